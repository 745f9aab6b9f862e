// Features on the axes of colour. The CPU twin `project_cpu` defines what is right.

struct Parameters {
    count: u32,        // rows of features
    dim: u32,          // numbers in a row
    k: u32,            // components there are; scores behind them are zero
    row: u32,          // rows of features in one row of the dispatch
    features: u32,     // words before the first one
    weights: u32,      // words before the first one
    use_weights: u32,  // 0: every row is foreground
    padding: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> features: array<u32>;     // [count, dim]
@group(0) @binding(2) var<storage, read> weights: array<u32>;      // [count]
@group(0) @binding(3) var<storage, read> mean: array<f32>;         // [dim]
@group(0) @binding(4) var<storage, read> components: array<f32>;   // [k, dim]
@group(0) @binding(5) var<storage, read_write> scores: array<u32>; // [count, 3]
@group(0) @binding(6) var<storage, read_write> foreground: array<u32>; // [count]

const LANES: u32 = 32u; // invocations for one row of features
const NAN: u32 = 0x7fc00000u;

// Not finite, or 2^50 and more: the exponent says so.
fn is_usable(bits: u32) -> bool {
    return (bits & 0x7f800000u) < 0x58800000u;
}

// The fourth counts what is not usable.
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
            let bits = features[parameters.features + i * d + c];
            if (is_usable(bits)) {
                let centred = bitcast<f32>(bits) - mean[c];
                sum.x += centred * components[c];
                if (parameters.k > 1u) {
                    sum.y += centred * components[d + c];
                }
                if (parameters.k > 2u) {
                    sum.z += centred * components[2u * d + c];
                }
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
        let bad = s.w != 0.0;
        scores[i * 3u] = select(bitcast<u32>(s.x), NAN, bad);
        scores[i * 3u + 1u] = select(bitcast<u32>(s.y), NAN, bad);
        scores[i * 3u + 2u] = select(bitcast<u32>(s.z), NAN, bad);
        var f = 0x3f800000u; // 1.0
        if (parameters.use_weights != 0u) {
            f = weights[parameters.weights + i];
        }
        foreground[i] = f;
    }
}
