#version 330
// Camera's view of the product and the backdrop: passes on what the fragment shader lights.
uniform mat4 camera;
in vec3 position;
in vec3 normal;
in vec3 rgb;
in vec4 surface;  // finish, roughness, metallic, printed
out vec3 at;
out vec3 facing;
out vec3 colour;
flat out vec4 made;

void main() {
    at = position;
    facing = normal;
    colour = rgb;
    made = surface;
    gl_Position = camera * vec4(position, 1.0);
}
