// Cosine similarity of feature rows to queries. The CPU twin `similarity_cpu` defines what is right.

struct Parameters {
    count: u32,     // rows of features
    dim: u32,       // numbers in a row
    row: u32,       // rows of features in one row of the dispatch
    features: u32,  // words before the first one
    queries: u32,   // words before the first one
    padding_0: u32,
    padding_1: u32,
    padding_2: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<u32>;         // [count, dim]
@group(0) @binding(2) var<storage, read> queries: array<u32>;          // [queries, dim]
@group(0) @binding(3) var<storage, read_write> similarity: array<u32>; // [queries, count]

const LANES: u32 = 32u; // invocations for one row of features
const NAN: u32 = 0x7fc00000u;
const SHORT: f32 = 1e-36; // a squared length below this is zero

// Not finite, or 2^50 and more: the exponent says so.
fn is_usable(bits: u32) -> bool {
    return (bits & 0x7f800000u) < 0x58800000u;
}

// Product, both squared lengths, and how many numbers are not usable.
var<workgroup> sums: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let lane = t % LANES;
    let i = group.y * parameters.row + group.x * 8u + t / LANES;
    let d = parameters.dim;
    let there = i < parameters.count;
    var sum = vec4<f32>(0.0);
    if (there) {
        for (var c = lane; c < d; c += LANES) {
            let x = features[parameters.features + i * d + c];
            let q = queries[parameters.queries + group.z * d + c];
            if (is_usable(x) && is_usable(q)) {
                let a = bitcast<f32>(x);
                let b = bitcast<f32>(q);
                sum += vec4<f32>(a * b, a * a, b * b, 0.0);
            } else {
                sum.w += 1.0;
            }
        }
    }
    sums[t] = sum;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half = half / 2u) {
        if (lane < half) {
            sums[t] += sums[t + half];
        }
        workgroupBarrier();
    }
    if (there && lane == 0u) {
        let s = sums[t];
        var cosine = 0.0;
        if (s.y >= SHORT && s.z >= SHORT) {
            cosine = clamp(s.x / (sqrt(s.y) * sqrt(s.z)), -1.0, 1.0);
        }
        similarity[group.z * parameters.count + i] = select(bitcast<u32>(cosine), NAN, s.w != 0.0);
    }
}
