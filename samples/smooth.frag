#version 330
// Smooths jagged edges: where brightness jumps, neighbours along the edge are mixed in (the idea of Lottes' FXAA, 2009).
uniform sampler2D jagged;
out vec4 shown;

float bright(vec3 c) { return dot(c, vec3(.3, .59, .11)); }

void main() {
    vec2 pixel = 1.0 / vec2(textureSize(jagged, 0)), at = gl_FragCoord.xy * pixel;
    vec3 here = texture(jagged, at).rgb;
    float nw = bright(texture(jagged, at + vec2(-1, 1) * pixel).rgb), ne = bright(texture(jagged, at + pixel).rgb);
    float sw = bright(texture(jagged, at - pixel).rgb), se = bright(texture(jagged, at + vec2(1, -1) * pixel).rgb);
    float low = min(bright(here), min(min(nw, ne), min(sw, se)));
    float high = max(bright(here), max(max(nw, ne), max(sw, se)));
    shown = vec4(here, 1.0);
    if (high - low < max(.04, high * .1)) return;
    vec2 along = vec2((sw + se) - (nw + ne), (nw + sw) - (ne + se));
    along = clamp(along / (min(abs(along.x), abs(along.y)) + .02), -2.0, 2.0) * pixel;
    vec3 near = .5 * (texture(jagged, at - along / 6.0).rgb + texture(jagged, at + along / 6.0).rgb);
    vec3 far = .5 * near + .25 * (texture(jagged, at - along * .5).rgb + texture(jagged, at + along * .5).rgb);
    float mixed = bright(far);
    shown.rgb = mixed < low || mixed > high ? near : far;
}
