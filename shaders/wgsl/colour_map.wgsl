// Single numbers -> packed RGBA8 of a colour map. The CPU twin `colour_map_cpu` defines what is right.

struct Parameters {
    lo: vec4<f32>,      // number that becomes the first colour, in x
    scale: vec4<f32>,   // 1 / (hi - lo) in x, or 0 where there is no range
    count: u32,         // numbers
    row: u32,           // invocations in one row of the dispatch
    values: u32,        // words before the first one
    padding: u32,
    polynomial: array<vec4<f32>, 7>, // red, green, blue; constant term first
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> values: array<u32>;        // [count]
@group(0) @binding(2) var<storage, read_write> colours: array<u32>; // [count]

const BLACK: u32 = 0xff000000u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * parameters.row + id.x;
    if (i >= parameters.count) {
        return;
    }
    let bits = values[parameters.values + i];
    if ((bits & 0x7f800000u) == 0x7f800000u) {
        colours[i] = BLACK;
        return;
    }
    var t = 0.0;
    if (parameters.scale.x != 0.0) {
        t = clamp((bitcast<f32>(bits) - parameters.lo.x) * parameters.scale.x, 0.0, 1.0);
    }
    var colour = vec3<f32>(0.0);
    for (var k = 0u; k < 7u; k += 1u) {
        colour = colour * t + parameters.polynomial[6u - k].xyz;
    }
    let levels = vec3<u32>(clamp(colour, vec3<f32>(0.0), vec3<f32>(1.0)) * 255.0 + 0.5);
    colours[i] = BLACK | (levels.z << 16u) | (levels.y << 8u) | levels.x;
}
