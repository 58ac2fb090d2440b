#version 330
// A lamp's view of the product, for its shadow.
uniform mat4 camera;
in vec3 position;

void main() {
    gl_Position = camera * vec4(position, 1.0);
}
