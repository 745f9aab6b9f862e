// Projected patch features -> packed RGBA8. The CPU twin `pca_colour_cpu` defines what is right.
// Scores and foreground arrive as bits: an implementation may assume that an f32 is never NaN, so
// the test for one has to be made on integers.

struct Parameters {
    lo: vec4<f32>,       // score that becomes 0 in each channel; w unused
    scale: vec4<f32>,    // 1 / (hi - lo), or 0 where the channel has no range; w unused
    count: u32,          // patches
    row: u32,            // invocations in one row of the dispatch
    background: u32,     // 0 black, 1 dim, 2 keep
    padding: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> scores: array<u32>;      // [count, 3]
@group(0) @binding(2) var<storage, read> foreground: array<u32>;  // [count]
@group(0) @binding(3) var<storage, read_write> colours: array<u32>; // [count]

const BLACK: u32 = 0xff000000u;

fn is_finite(bits: u32) -> bool {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

// One channel as 0..255. A scale of 0 marks a channel in which all scores agree: middle grey.
fn level(bits: u32, lo: f32, scale: f32) -> u32 {
    if (scale == 0.0) {
        return 128u;
    }
    let t = clamp((bitcast<f32>(bits) - lo) * scale, 0.0, 1.0);
    return u32(t * 255.0 + 0.5);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // Two dimensions, because one dimension ends at 65535 workgroups.
    let i = id.y * parameters.row + id.x;
    if (i >= parameters.count) {
        return;
    }
    let x = scores[i * 3u];
    let y = scores[i * 3u + 1u];
    let z = scores[i * 3u + 2u];
    let f = foreground[i];
    if (!(is_finite(x) && is_finite(y) && is_finite(z) && is_finite(f))) {
        colours[i] = BLACK;
        return;
    }
    var r = level(x, parameters.lo.x, parameters.scale.x);
    var g = level(y, parameters.lo.y, parameters.scale.y);
    var b = level(z, parameters.lo.z, parameters.scale.z);
    if (bitcast<f32>(f) < 0.5) {
        switch (parameters.background) {
            case 1u: {
                r = r / 4u;
                g = g / 4u;
                b = b / 4u;
            }
            case 2u: {}
            default: {
                r = 0u;
                g = 0u;
                b = 0u;
            }
        }
    }
    colours[i] = BLACK | (b << 16u) | (g << 8u) | r;
}
