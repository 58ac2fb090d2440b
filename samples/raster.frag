#version 330
// Square lamps with soft shadows, light from everywhere, a mirrored studio; finishes as in shaders.py, more simply.
const int LAMPS = 4;  // the last is the sky: its shadow is the ambient occlusion
uniform vec3 eye;
uniform int lamps;
uniform vec3 lamp_at[LAMPS];
uniform vec3 lamp_towards[LAMPS];
uniform float lamp_size[LAMPS];
uniform vec3 lamp_watts[LAMPS];
uniform mat4 lamp_camera[LAMPS];
uniform sampler2DShadow shadow;  // two by two maps, a lamp each
uniform vec3 ambient;
uniform vec3 wall;
uniform float product_height;
uniform int pattern;
uniform float repeat;
uniform vec3 second;
in vec3 at;
in vec3 facing;
in vec3 colour;
flat in vec4 made;
out vec4 seen;

const float PI = 3.14159265;
const vec2 RING[6] = vec2[](vec2(.3, .1), vec2(-.25, .22), vec2(.0, -.38), vec2(.85, .45), vec2(-.8, .6), vec2(.1, -.98));

float hash(vec3 p) {
    p = fract(p * vec3(.1031, .1030, .0973));
    p += dot(p, p.yxz + 33.33);
    return fract((p.x + p.y) * p.z);
}

float value_noise(vec3 p) {
    vec3 cell = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    vec4 low = vec4(hash(cell), hash(cell + vec3(1, 0, 0)), hash(cell + vec3(0, 1, 0)), hash(cell + vec3(1, 1, 0)));
    vec4 high = vec4(hash(cell + vec3(0, 0, 1)), hash(cell + vec3(1, 0, 1)), hash(cell + vec3(0, 1, 1)), hash(cell + vec3(1)));
    vec4 z = mix(low, high, f.z);
    return mix(mix(z.x, z.y, f.x), mix(z.z, z.w, f.x), f.y);
}

float noise(vec3 p, int octaves) {
    float sum = 0.0, share = 0.5, whole = 0.0;
    for (int k = 0; k < octaves; k++) {
        sum += share * value_noise(p);
        whole += share;
        share *= 0.5;
        p = p * 2.03 + 17.1;
    }
    return sum / whole;
}

// Whether the second colour is printed here: rings, strips and cells about the upright axis.
float printed_here() {
    float v = at.z / product_height, u = atan(at.y, at.x) / (2.0 * PI);
    float edge = 0.04;
    if (pattern == 1) return smoothstep(.62 - edge, .62 + edge, abs(fract(v * repeat) - .5) * 2.0);
    if (pattern == 2) return smoothstep(.6 - edge, .6 + edge, abs(fract(u * repeat) - .5) * 2.0);
    if (pattern == 3) return float(mod(floor(v * repeat) + floor(u * repeat * 2.0), 2.0) < 0.5);
    if (pattern == 4) {
        vec2 cell = vec2(u * repeat * 2.0 + 0.5 * mod(floor(v * repeat), 2.0), v * repeat);
        return 1.0 - smoothstep(.28, .32, length(fract(cell) - .5));
    }
    if (pattern == 5) return float(v < 1.0 / repeat);
    if (pattern == 6) return smoothstep(.6, .64, noise(at * repeat, 2));
    return 0.0;
}

float lit(int which, vec3 n) {
    vec4 place = lamp_camera[which] * vec4(at + n * .012, 1.0);
    vec3 p = place.xyz / place.w * .5 + .5;
    float spread = lamp_size[which] * (which == LAMPS - 1 ? .045 : .011), sum = 0.0;
    vec2 tile = vec2(which % 2, which / 2) * .5;
    for (int k = 0; k < 6; k++) {
        vec2 probe = clamp(p.xy + RING[k] * spread, .005, .995);
        sum += texture(shadow, vec3(tile + probe * .5, p.z - .002));
    }
    return sum / 6.0;
}

// What a mirror shows from direction `d`: wall, ceiling and the lamps' squares, blurred by roughness.
vec3 mirrored(vec3 d, float roughness) {
    vec3 back = mix(wall * .55, ambient * 1.1, smoothstep(-.25, .35, d.z));
    for (int k = 0; k < lamps; k++) {
        vec3 l = normalize(lamp_at[k] - at);
        float radius = lamp_size[k] * .55 / distance(lamp_at[k], at) + roughness * .6;
        float inside = smoothstep(cos(radius * 1.25), cos(radius * .75), dot(d, l));
        float power = .5 + roughness * 6.0;
        back += inside * lamp_watts[k] / (PI * lamp_size[k] * lamp_size[k]) / (power * power);
    }
    return back;
}

void main() {
    int finish = int(made.x + .5);
    float roughness = made.y, metallic = made.z;
    vec3 v = normalize(eye - at), n = normalize(facing);
    if (dot(n, v) < 0.0) n = -n;
    vec3 base = colour;
    bool clear = finish >= 20;
    if (made.w > 0.5 && pattern > 0) base = mix(base, second, printed_here());
    vec3 bumped = n;
    float grain = 0.5, bump = 0.0;
    if (finish >= 1 && finish <= 3) {  // wood, its grain along x, y or z
        vec3 stretch = vec3(9.0);
        stretch[finish - 1] = .9;
        grain = noise(at * stretch * 2.2, 4);
        base *= mix(.55, 1.3, smoothstep(.33, .67, grain));
    } else if (finish == 4) { base *= mix(.9, 1.06, noise(at * 110.0, 1)); bump = .12; }  // fabric
    else if (finish == 5) { base *= mix(.75, 1.12, noise(at * 16.0, 3)); bump = .2; }     // leather
    else if (finish == 6) { base *= mix(.65, 1.2, noise(at * 14.0, 2)); bump = .2; }      // wicker
    else if (finish == 7) { base *= mix(.75, 1.15, noise(at * 45.0, 3)); bump = .2; }     // fuzz
    else if (finish == 8) base *= mix(.7, 1.5, noise(at * 5.0, 2));                       // leaf
    else if (finish == 9) bump = .1;                                                      // pebble
    if (bump > 0.0) {
        float scale = finish == 5 ? 30.0 : 60.0;
        vec3 push = vec3(value_noise(at * scale), value_noise(at * scale + 31.0), value_noise(at * scale + 67.0)) - .5;
        bumped = normalize(n + push * bump * 1.5);
    }
    if (finish == 11) {  // shines by itself
        seen = vec4(base, 1.0);
    } else if (finish == 0) {
        vec3 arriving = ambient * (.35 + .65 * lit(LAMPS - 1, n));
        for (int k = 0; k < lamps; k++) {
            vec3 to = lamp_at[k] - at;
            float away = length(to), cosine = dot(n, to) / away, leaving = dot(-to, lamp_towards[k]) / away;
            if (cosine > 0.0 && leaving > 0.0)
                arriving += lamp_watts[k] * cosine * leaving / (PI * PI * away * away) * lit(k, n);
        }
        seen = vec4(base * arriving, 1.0);
    } else {
        float sky = lit(LAMPS - 1, n);
        vec3 diffuse = ambient * (.35 + .65 * sky) * (.75 + .25 * bumped.z);
        diffuse += wall * (ambient + .4) * .3 * (.5 - .5 * bumped.z);  // what the floor throws back
        vec3 gloss = vec3(0.0);
        vec3 f0 = mix(vec3(.04), base, metallic);
        for (int k = 0; k < lamps; k++) {
            vec3 to = lamp_at[k] - at;
            float away = length(to);
            vec3 l = to / away;
            float cosine = max(dot(bumped, l), 0.0), leaving = max(dot(-l, lamp_towards[k]), 0.0);
            if (cosine * leaving <= 0.0) continue;
            vec3 arriving = lamp_watts[k] * cosine * leaving / (PI * away * away) * lit(k, n);
            diffuse += arriving / PI;
            float a = max(roughness * roughness + lamp_size[k] * .08, .02);
            float nh = max(dot(bumped, normalize(l + v)), 0.0), d = nh * nh * (a * a - 1.0) + 1.0;
            gloss += arriving * f0 * (a * a / (PI * d * d)) * .25;
        }
        float fresnel = pow(1.0 - max(dot(bumped, v), 0.0), 5.0);
        vec3 mirror = mirrored(reflect(-v, bumped), roughness) * (.4 + .6 * sky);
        vec3 reflected = mirror * (f0 + (1.0 - f0) * fresnel * (1.0 - roughness)) * (1.0 - roughness * .6);
        vec3 own = base * diffuse * (1.0 - metallic);
        if (finish == 12) own += base * .35;
        seen = vec4(own + gloss + reflected, 1.0);
        if (clear) {
            float body = finish == 20 ? .05 : finish == 21 ? .8 : .93;
            float alpha = clamp(body + .5 * fresnel + .2 * pow(1.0 - abs(dot(n, v)), 2.0), 0.0, .95);
            vec3 inner = finish == 20 ? wall * .25 : base * (finish == 22 ? .7 : .9);
            vec3 light = inner * alpha + gloss * .5 + mirror * (.02 + .2 * fresnel);
            seen = vec4(light, alpha);
        }
    }
    vec3 c = clamp(seen.rgb, 0.0, 1.0);
    seen.rgb = mix(c * 12.92, 1.055 * pow(c, vec3(1.0 / 2.4)) - .055, step(.0031308, c));
}
