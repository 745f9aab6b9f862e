// Foreground and background from scores along the first component. The CPU twin `split_cpu`
// defines what is right. Entry points: `decide` with one workgroup, then `apply` for each picture.

struct Parameters {
    count: u32,        // patches of all pictures
    rows: u32,         // of one picture
    cols: u32,
    dim: u32,
    row: u32,          // invocations in one row of the dispatch of `apply`
    padding_0: u32,
    padding_1: u32,
    padding_2: u32,
}

struct State {
    sign: f32,       // of the component for foreground to be positive; 0 before the first decision
    use_split: u32,  // 0: the split is not plausible and all is foreground
    share: f32,      // of foreground
    evidence: f32,   // mean score of the borders in units of the spread, before the sign
    direction: array<f32>, // [dim], towards the foreground
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> scores: array<u32>;        // [count, 3], the first one counts
@group(0) @binding(2) var<storage, read> weights: array<u32>;       // [count], below 0.5 does not count
@group(0) @binding(3) var<storage, read> component: array<f32>;     // [dim]
@group(0) @binding(4) var<storage, read_write> state: State;
@group(0) @binding(5) var<storage, read_write> foreground: array<f32>; // [count]

const WIDTH: u32 = 256u;
const UNCLEAR: f32 = 0.1; // evidence below this says nothing
const CLEAR: f32 = 0.5;   // above this it overrules the decision before

fn is_finite(bits: u32) -> bool {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

fn counts(i: u32) -> bool {
    return is_finite(scores[i * 3u]) && is_finite(weights[i]) && bitcast<f32>(weights[i]) >= 0.5;
}

fn is_border(i: u32) -> bool {
    let place = i % (parameters.rows * parameters.cols);
    let r = place / parameters.cols;
    let c = place % parameters.cols;
    // Pictures that are all border have no inside to compare with.
    return parameters.rows > 2u && parameters.cols > 2u
        && (r == 0u || c == 0u || r + 1u == parameters.rows || c + 1u == parameters.cols);
}

// Squares, border scores, agreement with the direction before; then patches: all, border, above, below zero.
var<workgroup> sums: array<vec3<f32>, 256>;
var<workgroup> numbers: array<vec4<u32>, 256>;
var<workgroup> turned: f32;

@compute @workgroup_size(256)
fn decide(@builtin(local_invocation_index) t: u32) {
    var sum = vec3<f32>(0.0);
    var number = vec4<u32>(0u);
    for (var i = t; i < parameters.count; i += WIDTH) {
        if (counts(i)) {
            let s = bitcast<f32>(scores[i * 3u]);
            sum.x += s * s;
            number += vec4<u32>(1u, 0u, select(0u, 1u, s > 0.0), select(0u, 1u, s < 0.0));
            if (is_border(i)) {
                sum.y += s;
                number.y += 1u;
            }
        }
    }
    for (var c = t; c < parameters.dim; c += WIDTH) {
        sum.z += component[c] * state.direction[c];
    }
    sums[t] = sum;
    numbers[t] = number;
    workgroupBarrier();
    for (var half = WIDTH / 2u; half > 0u; half = half / 2u) {
        if (t < half) {
            sums[t] += sums[t + half];
            numbers[t] += numbers[t + half];
        }
        workgroupBarrier();
    }
    if (t == 0u) {
        let s = sums[0];
        let n = numbers[0];
        let all = f32(max(n.x, 1u));
        let spread = sqrt(s.x / all);
        var evidence = 0.0;
        if (n.y > 0u && spread > 0.0) {
            evidence = s.y / f32(n.y) / spread;
        }
        var flip = n.z > n.w;
        if (state.sign != 0.0 && s.z != 0.0 && abs(evidence) < CLEAR) {
            flip = s.z < 0.0;
        } else if (abs(evidence) >= UNCLEAR) {
            flip = evidence > 0.0;
        }
        let share = f32(select(n.z, n.w, flip)) / all;
        turned = select(1.0, -1.0, flip);
        state.sign = turned;
        state.use_split = select(0u, 1u, share >= 0.02 && share <= 0.98);
        state.share = share;
        state.evidence = evidence;
    }
    workgroupBarrier();
    for (var c = t; c < parameters.dim; c += WIDTH) {
        state.direction[c] = turned * component[c];
    }
}

@compute @workgroup_size(64)
fn apply(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * parameters.row + id.x;
    if (i >= parameters.count) {
        return;
    }
    let good = counts(i);
    var f = select(0.0, 1.0, good);
    if (good && state.use_split != 0u && !(bitcast<f32>(scores[i * 3u]) * state.sign > 0.0)) {
        f = 0.0;
    }
    foreground[i] = f;
}
