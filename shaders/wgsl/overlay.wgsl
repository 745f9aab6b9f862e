// A layer over a picture. The CPU twin `overlay_cpu` defines what is right.

struct Parameters {
    opacity: f32,  // share of the layer, 0 to 1
    swipe: f32,    // left of this share of the width there is no layer
    padding_0: f32,
    padding_1: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(2) var layer: texture_2d<f32>;
@group(0) @binding(3) var both: texture_storage_2d<rgba8unorm, write>;

// The pixel of a source of `source` pixels that lies at one of `size`.
fn place(id: vec2<u32>, size: vec2<u32>, source: vec2<u32>) -> vec2<u32> {
    return min(id * source / size, source - 1u);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = textureDimensions(both);
    if (id.x >= size.x || id.y >= size.y) {
        return;
    }
    // Whole levels again: a load gives them divided by 255.
    let under = round(textureLoad(picture, place(id.xy, size, textureDimensions(picture)), 0) * 255.0);
    let over = round(textureLoad(layer, place(id.xy, size, textureDimensions(layer)), 0) * 255.0);
    var opacity = parameters.opacity;
    if (f32(id.x) + 0.5 < parameters.swipe * f32(size.x)) {
        opacity = 0.0;
    }
    let mixed = under.xyz * (1.0 - opacity) + over.xyz * opacity;
    textureStore(both, id.xy, vec4<f32>(floor(mixed + 0.5) / 255.0, 1.0));
}
