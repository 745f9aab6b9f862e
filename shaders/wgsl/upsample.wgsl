// A grid of patches -> a picture of the size of the target. The CPU twins `upsample_cpu` and
// `upsample_scalars_cpu` define what is right; `taps` is theirs line by line.

struct Parameters {
    lo: vec4<f32>,      // for `scalars`: number that becomes the first colour, in x
    scale: vec4<f32>,   // 1 / (hi - lo) in x, or 0 where there is no range
    rows: u32,
    cols: u32,
    filter_: u32,       // 0 nearest, 1 bilinear, 2 bicubic
    grid: u32,          // words before the first one
    polynomial: array<vec4<f32>, 7>, // for `scalars`: the colour map, constant term first
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> grid: array<u32>; // [rows, cols], packed RGBA8 or f32
@group(0) @binding(2) var picture: texture_storage_2d<rgba8unorm, write>;

struct Taps {
    at: vec4<i32>,
    weights: vec4<f32>,
}

// Four input positions with their weights for output position `i`; a weight of zero is no tap.
fn taps(input: u32, output: u32, i: u32) -> Taps {
    if (parameters.filter_ == 0u) {
        let nearest = min(i * input / output, input - 1u);
        return Taps(vec4<i32>(i32(nearest)), vec4<f32>(1.0, 0.0, 0.0, 0.0));
    }
    // Centres of patches and of pixels, as in torch's `align_corners=False`; in whole numbers, so that
    // where a pixel lies on a centre does not depend on rounding.
    let place = (2u * i + 1u) * input + output;
    let first = i32(place / (2u * output)) - 1;
    let t = f32(place % (2u * output)) / f32(2u * output);
    let at = clamp(vec4<i32>(first - 1, first, first + 1, first + 2), vec4<i32>(0), vec4<i32>(i32(input) - 1));
    if (parameters.filter_ == 1u) {
        return Taps(at, vec4<f32>(0.0, 1.0 - t, t, 0.0));
    }
    return Taps(at, vec4<f32>(
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ));
}

fn levels(packed: u32) -> vec4<f32> {
    return vec4<f32>(
        f32(packed & 255u), f32((packed >> 8u) & 255u), f32((packed >> 16u) & 255u), f32(packed >> 24u),
    );
}

@compute @workgroup_size(8, 8)
fn colours(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = textureDimensions(picture);
    if (id.x >= size.x || id.y >= size.y) {
        return;
    }
    var across = taps(parameters.cols, size.x, id.x);
    var down = taps(parameters.rows, size.y, id.y);
    var sum = vec4<f32>(0.0);
    var lo = vec4<f32>(255.0);
    var hi = vec4<f32>(0.0);
    for (var r = 0u; r < 4u; r += 1u) {
        if (down.weights[r] == 0.0) {
            continue;
        }
        // First along the row; clamped, or curves overshoot into halos around a black background.
        var line = vec4<f32>(0.0);
        var line_lo = vec4<f32>(255.0);
        var line_hi = vec4<f32>(0.0);
        for (var c = 0u; c < 4u; c += 1u) {
            if (across.weights[c] == 0.0) {
                continue;
            }
            let v = levels(grid[parameters.grid + u32(down.at[r]) * parameters.cols + u32(across.at[c])]);
            line += across.weights[c] * v;
            line_lo = min(line_lo, v);
            line_hi = max(line_hi, v);
        }
        line = clamp(line, line_lo, line_hi);
        sum += down.weights[r] * line;
        lo = min(lo, line);
        hi = max(hi, line);
    }
    // Rounded here: how a store rounds is up to the implementation.
    textureStore(picture, id.xy, floor(clamp(sum, lo, hi) + 0.5) / 255.0);
}

@compute @workgroup_size(8, 8)
fn scalars(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = textureDimensions(picture);
    if (id.x >= size.x || id.y >= size.y) {
        return;
    }
    var across = taps(parameters.cols, size.x, id.x);
    var down = taps(parameters.rows, size.y, id.y);
    var bad = false;
    var sum = 0.0;
    var lo = 3.4e38;
    var hi = -3.4e38;
    for (var r = 0u; r < 4u; r += 1u) {
        if (down.weights[r] == 0.0) {
            continue;
        }
        var line = 0.0;
        var line_lo = 3.4e38;
        var line_hi = -3.4e38;
        for (var c = 0u; c < 4u; c += 1u) {
            if (across.weights[c] == 0.0) {
                continue;
            }
            let bits = grid[parameters.grid + u32(down.at[r]) * parameters.cols + u32(across.at[c])];
            if ((bits & 0x7f800000u) == 0x7f800000u) {
                bad = true;
                continue;
            }
            let v = bitcast<f32>(bits);
            line += across.weights[c] * v;
            line_lo = min(line_lo, v);
            line_hi = max(line_hi, v);
        }
        line = min(max(line, line_lo), line_hi);
        sum += down.weights[r] * line;
        lo = min(lo, line);
        hi = max(hi, line);
    }
    if (bad) {
        textureStore(picture, id.xy, vec4<f32>(0.0, 0.0, 0.0, 1.0));
        return;
    }
    sum = min(max(sum, lo), hi);
    var t = 0.0;
    if (parameters.scale.x != 0.0) {
        t = clamp((sum - parameters.lo.x) * parameters.scale.x, 0.0, 1.0);
    }
    var colour = vec3<f32>(0.0);
    for (var k = 0u; k < 7u; k += 1u) {
        colour = colour * t + parameters.polynomial[6u - k].xyz;
    }
    let rounded = floor(clamp(colour, vec3<f32>(0.0), vec3<f32>(1.0)) * 255.0 + 0.5) / 255.0;
    textureStore(picture, id.xy, vec4<f32>(rounded, 1.0));
}
