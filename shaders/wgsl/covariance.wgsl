// Mean and covariance of feature rows. The CPU twin `covariance_cpu` defines what is right.
// Entry points, one after another: usable, sums, mean_of_sums, residuals, refine, outer, reduce.
// Features arrive as bits, because an implementation may assume that an f32 is never NaN.

struct Parameters {
    count: u32,        // rows of features
    dim: u32,          // numbers in a row
    features: u32,     // words before the first one
    weights: u32,      // words before the first one
    use_weights: u32,  // 0: every row counts
    row: u32,          // rows of features in one row of the dispatch of `usable`
    chunks: u32,       // partial sums of the mean
    chunk: u32,        // rows of features in each
    splits: u32,       // partial sums of the covariance
    split: u32,        // rows of features in each
    elements: u32,     // invocations in one row of the dispatch of `reduce`
    padding: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<u32>;        // [count, dim]
@group(0) @binding(2) var<storage, read> weights: array<u32>;         // [count]
@group(0) @binding(3) var<storage, read_write> mask: array<f32>;      // [count], 1 for rows that count
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;   // [chunks, dim + 1], then [splits, dim, dim]
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;      // [dim + 1], the last how many rows count
@group(0) @binding(6) var<storage, read_write> covariance: array<f32>; // [dim, dim]

// Not finite, or 2^50 and more: the exponent says so.
fn is_usable(bits: u32) -> bool {
    return (bits & 0x7f800000u) < 0x58800000u;
}

fn feature(row: u32, column: u32) -> f32 {
    return bitcast<f32>(features[parameters.features + row * parameters.dim + column]);
}

const LANES: u32 = 32u; // invocations for one row in `usable`

var<workgroup> bad: array<atomic<u32>, 8>;

@compute @workgroup_size(256)
fn usable(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = t / LANES;
    let lane = t % LANES;
    let i = group.y * parameters.row + group.x * 8u + slot;
    if (lane == 0u) {
        atomicStore(&bad[slot], 0u);
    }
    workgroupBarrier();
    if (i < parameters.count) {
        var any = false;
        for (var c = lane; c < parameters.dim; c += LANES) {
            any = any || !is_usable(features[parameters.features + i * parameters.dim + c]);
        }
        if (lane == 0u && parameters.use_weights != 0u) {
            let w = weights[parameters.weights + i];
            any = any || !is_usable(w) || bitcast<f32>(w) < 0.5;
        }
        if (any) {
            atomicStore(&bad[slot], 1u);
        }
    }
    workgroupBarrier();
    if (i < parameters.count && lane == 0u) {
        mask[i] = select(1.0, 0.0, atomicLoad(&bad[slot]) != 0u);
    }
}

// The sum of one column of one chunk without `shift`; the column behind the last one counts rows.
fn sum_of_chunk(c: u32, chunk: u32, shift: f32) {
    let start = chunk * parameters.chunk;
    let end = min(start + parameters.chunk, parameters.count);
    var sum = 0.0;
    for (var i = start; i < end; i += 1u) {
        if (mask[i] != 0.0) {
            if (c == parameters.dim) {
                sum += 1.0;
            } else {
                sum += feature(i, c) - shift;
            }
        }
    }
    partial[chunk * (parameters.dim + 1u) + c] = sum;
}

fn sum_of_chunks(c: u32) -> f32 {
    var sum = 0.0;
    for (var k = 0u; k < parameters.chunks; k += 1u) {
        sum += partial[k * (parameters.dim + 1u) + c];
    }
    return sum;
}

@compute @workgroup_size(64)
fn sums(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x <= parameters.dim) {
        sum_of_chunk(id.x, id.y, 0.0);
    }
}

@compute @workgroup_size(64)
fn mean_of_sums(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = id.x;
    if (c < parameters.dim) {
        mean[c] = sum_of_chunks(c) / max(sum_of_chunks(parameters.dim), 1.0);
    } else if (c == parameters.dim) {
        mean[c] = sum_of_chunks(c);
    }
}

// Once more without the mean so far: sums of many equal numbers drift, and where the mean is large
// the drift would look like a direction of its own.
@compute @workgroup_size(64)
fn residuals(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < parameters.dim) {
        sum_of_chunk(id.x, id.y, mean[id.x]);
    }
}

@compute @workgroup_size(64)
fn refine(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < parameters.dim) {
        mean[id.x] += sum_of_chunks(id.x) / max(mean[parameters.dim], 1.0);
    }
}

const SIDE: u32 = 64u;  // columns in a tile
const STEP: u32 = 16u;  // rows of features in workgroup memory

var<workgroup> left: array<vec4<f32>, 256>;  // [STEP, SIDE / 4]
var<workgroup> above: array<vec4<f32>, 256>;

// Four centred features; rows that do not count are zero.
fn centred(row: u32, end: u32, column: u32) -> vec4<f32> {
    var v = vec4<f32>(0.0);
    if (row < end) {
        if (mask[row] != 0.0) {
            for (var k = 0u; k < 4u; k += 1u) {
                let c = column + k;
                if (c < parameters.dim) {
                    v[k] = feature(row, c) - mean[c];
                }
            }
        }
    }
    return v;
}

fn store(split: u32, i: u32, column: u32, sums: vec4<f32>) {
    if (i < parameters.dim) {
        for (var k = 0u; k < 4u; k += 1u) {
            let j = column + k;
            if (j < parameters.dim) {
                partial[(split * parameters.dim + i) * parameters.dim + j] = sums[k];
            }
        }
    }
}

// One tile of one split a workgroup, four by four sums an invocation. Tiles below the diagonal
// mirror those above.
@compute @workgroup_size(256)
fn outer(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    if (group.x < group.y) {
        return;
    }
    let x = t % 16u;
    let y = t / 16u;
    let start = group.z * parameters.split;
    let end = min(start + parameters.split, parameters.count);
    var s0 = vec4<f32>(0.0);
    var s1 = vec4<f32>(0.0);
    var s2 = vec4<f32>(0.0);
    var s3 = vec4<f32>(0.0);
    for (var i = start; i < end; i += STEP) {
        left[t] = centred(i + y, end, group.y * SIDE + x * 4u);
        above[t] = centred(i + y, end, group.x * SIDE + x * 4u);
        workgroupBarrier();
        for (var k = 0u; k < STEP; k += 1u) {
            let a = left[k * 16u + y];
            let b = above[k * 16u + x];
            s0 += a.x * b;
            s1 += a.y * b;
            s2 += a.z * b;
            s3 += a.w * b;
        }
        workgroupBarrier();
    }
    let i = group.y * SIDE + y * 4u;
    let j = group.x * SIDE + x * 4u;
    store(group.z, i, j, s0);
    store(group.z, i + 1u, j, s1);
    store(group.z, i + 2u, j, s2);
    store(group.z, i + 3u, j, s3);
}

fn total(i: u32, j: u32) -> f32 {
    var sum = 0.0;
    for (var k = 0u; k < parameters.splits; k += 1u) {
        sum += partial[(k * parameters.dim + i) * parameters.dim + j];
    }
    return sum / max(mean[parameters.dim], 1.0);
}

// A column whose spread is below the rounding of its mean does not vary.
fn is_constant(c: u32) -> bool {
    let rounding = mean[c] * 9.5367431640625e-7;
    return total(c, c) <= rounding * rounding;
}

@compute @workgroup_size(64)
fn reduce(@builtin(global_invocation_id) id: vec3<u32>) {
    let e = id.y * parameters.elements + id.x;
    if (e >= parameters.dim * parameters.dim) {
        return;
    }
    let i = e / parameters.dim;
    let j = e % parameters.dim;
    // Tiles below the diagonal were not computed.
    var value = 0.0;
    if (j / SIDE >= i / SIDE) {
        value = total(i, j);
    } else {
        value = total(j, i);
    }
    if (is_constant(i) || is_constant(j)) {
        value = 0.0;
    }
    covariance[e] = value;
}
