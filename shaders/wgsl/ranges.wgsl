// The range of each channel of scores between two percentiles of the foreground, by radix selection:
// exact for any outliers. The CPU twin `ranges_cpu` defines what is right. One workgroup a channel.

struct Parameters {
    count: u32,          // rows of scores
    channels: u32,       // 1 to 3 scores in a row
    scores: u32,         // words before the first one
    foreground: u32,     // words before the first one
    use_foreground: u32, // 0: every row is foreground
    low: f32,            // percentiles as shares, 0 to 1
    high: f32,
    smoothing: f32,      // weight of the range that was there before, 0 to below 1
}

// The first two rows are also those of the parameters of `pca_colour.wgsl`.
struct Ranges {
    lo: vec4<f32>,
    scale: vec4<f32>,   // 1 / (hi - lo), or 0 where the channel has no range
    hi: vec4<f32>,
    spread: vec4<f32>,  // root of the mean square of all scores, the same in each channel
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> scores: array<u32>;      // [count, channels]
@group(0) @binding(2) var<storage, read> foreground: array<u32>;  // [count]
@group(0) @binding(3) var<storage, read_write> ranges: Ranges;

const WIDTH: u32 = 256u;

fn is_finite(bits: u32) -> bool {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

fn score(i: u32, channel: u32) -> u32 {
    return scores[parameters.scores + i * parameters.channels + channel];
}

fn counts(i: u32) -> bool {
    if (parameters.use_foreground != 0u) {
        let f = foreground[parameters.foreground + i];
        if (!is_finite(f) || bitcast<f32>(f) < 0.5) {
            return false;
        }
    }
    var good = true;
    for (var c = 0u; c < parameters.channels; c += 1u) {
        good = good && is_finite(score(i, c));
    }
    return good;
}

// Unsigned integers in the order of the floats.
fn key(bits: u32) -> u32 {
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn number(k: u32) -> f32 {
    return bitcast<f32>(select(~k, k & 0x7fffffffu, (k & 0x80000000u) != 0u));
}

var<workgroup> rows: atomic<u32>;
var<workgroup> squares: array<f32, 256>;
// Four order statistics at once: the neighbours of both percentiles.
var<workgroup> histogram: array<atomic<u32>, 1024>; // [4, 256]
var<workgroup> prefix: array<u32, 4>;               // the bits found so far
var<workgroup> rank: array<u32, 4>;                 // among the scores with these bits

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let channel = group.x;
    let channels = parameters.channels;
    var square = 0.0;
    var mine = 0u;
    for (var i = t; i < parameters.count; i += WIDTH) {
        if (counts(i)) {
            mine += 1u;
            for (var c = 0u; c < channels; c += 1u) {
                let s = bitcast<f32>(score(i, c));
                square += s * s;
            }
        }
    }
    squares[t] = square;
    atomicAdd(&rows, mine);
    workgroupBarrier();
    for (var half = WIDTH / 2u; half > 0u; half = half / 2u) {
        if (t < half) {
            squares[t] += squares[t + half];
        }
        workgroupBarrier();
    }
    let n = atomicLoad(&rows);
    let last = f32(max(n, 1u) - 1u);
    let places = vec2<f32>(parameters.low * last, parameters.high * last);
    if (t < 4u) {
        let place = select(places.x, places.y, t >= 2u);
        rank[t] = min(u32(place) + t % 2u, max(n, 1u) - 1u);
        prefix[t] = 0u;
    }
    for (var digit = 0u; digit < 4u; digit += 1u) {
        let shift = 24u - 8u * digit;
        for (var s = 0u; s < 4u; s += 1u) {
            atomicStore(&histogram[s * 256u + t], 0u);
        }
        workgroupBarrier();
        for (var i = t; i < parameters.count; i += WIDTH) {
            if (counts(i)) {
                let k = key(score(i, channel));
                for (var s = 0u; s < 4u; s += 1u) {
                    // A shift by all 32 bits is not defined.
                    if (digit == 0u || (k >> (min(shift, 16u) + 8u)) == prefix[s]) {
                        atomicAdd(&histogram[s * 256u + ((k >> shift) & 255u)], 1u);
                    }
                }
            }
        }
        workgroupBarrier();
        if (t < 4u) {
            var left = rank[t];
            var bin = 0u;
            for (; bin < 255u; bin += 1u) {
                let here = atomicLoad(&histogram[t * 256u + bin]);
                if (left < here) {
                    break;
                }
                left -= here;
            }
            rank[t] = left;
            prefix[t] = (prefix[t] << 8u) | bin;
        }
        workgroupBarrier();
    }
    if (t == 0u) {
        var lo = 0.0;
        var hi = 0.0;
        var spread = 0.0;
        if (n > 0u) {
            let below = number(prefix[0]);
            lo = below + fract(places.x) * (number(prefix[1]) - below);
            let high = number(prefix[2]);
            hi = high + fract(places.y) * (number(prefix[3]) - high);
            spread = sqrt(squares[0] / f32(n));
        }
        let before = ranges.spread[channel];
        if (parameters.smoothing > 0.0 && before > 0.0 && ranges.hi[channel] > ranges.lo[channel] && n > 0u) {
            let growth = spread / before;
            lo += parameters.smoothing * (ranges.lo[channel] * growth - lo);
            hi += parameters.smoothing * (ranges.hi[channel] * growth - hi);
        }
        // A difference too small for its inverse to be a number is none.
        if (!(hi - lo > 1e-36)) {
            hi = lo;
        }
        let scale = select(0.0, 1.0 / max(hi - lo, 1e-36), hi > lo);
        ranges.lo[channel] = lo;
        ranges.hi[channel] = hi;
        ranges.scale[channel] = scale;
        ranges.spread[channel] = spread;
    }
}
