// The leading eigenvectors of a symmetric positive matrix by subspace iteration from a given basis.
// The CPU twin `eigenvectors_cpu` defines what is right. Entry points: begin, then `multiply` and
// `orthonormalise` for each iteration, then multiply, ritz. Each invocation of a single workgroup
// owns the columns t, t + 256, ... of all vectors, so that only sums have to be shared.

struct Parameters {
    dim: u32,
    k: u32,       // vectors carried, 1 to 8
    follow: u32,  // 1: order and sign of the first three as in the given ones
    padding: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> covariance: array<u32>;           // [dim, dim]
@group(0) @binding(2) var<storage, read_write> components: array<u32>;     // [k, dim], given and found
@group(0) @binding(3) var<storage, read_write> basis: array<f32>;          // [8, dim]
@group(0) @binding(4) var<storage, read_write> image: array<f32>;          // [8, dim]
@group(0) @binding(5) var<storage, read_write> values: array<f32>;         // [9], eigenvalues and their whole sum
@group(0) @binding(6) var<storage, read_write> scale: array<f32>;          // [2], largest diagonal element, 1 / that

const WIDTH: u32 = 256u;
const VECTORS: u32 = 8u;
const DEPENDENT: f32 = 1e-4; // of a vector's length left after projection: the rest is rounding
const NOISE: f32 = 1e-5;     // of the largest eigenvalue: below this an eigenvalue is rounding

fn finite_or_zero(bits: u32) -> f32 {
    return bitcast<f32>(select(0u, bits, (bits & 0x7f800000u) < 0x7f800000u));
}

// A number in -1..1 for each place, the same everywhere: where a given basis says nothing.
fn noise(vector: u32, column: u32) -> f32 {
    var h = vector * 0x9e3779b9u + column * 0x85ebca6bu + 0x27d4eb2fu;
    h = (h ^ (h >> 16u)) * 0x7feb352du;
    h = (h ^ (h >> 15u)) * 0x846ca68bu;
    h = h ^ (h >> 16u);
    return f32(h >> 8u) / 8388608.0 - 1.0;
}

var<workgroup> low: array<vec4<f32>, 256>;
var<workgroup> high: array<vec4<f32>, 256>;

var<workgroup> strips: array<f32, 64>;
var<workgroup> total: array<f32, 8>;

// The sums over `width` invocations of eight numbers each, in `total`. Few barriers: they cost more
// than the additions. Ends with one; callers need another before the next sum.
fn sum_up(t: u32, width: u32, l: vec4<f32>, h: vec4<f32>) {
    low[t] = l;
    high[t] = h;
    workgroupBarrier();
    // Eight strips of each of the eight numbers.
    if (t < 64u) {
        let m = t % 8u;
        var sum = 0.0;
        for (var i = t / 8u; i < width; i += 8u) {
            if (m < 4u) {
                sum += low[i][m];
            } else {
                sum += high[i][m - 4u];
            }
        }
        strips[t] = sum;
    }
    workgroupBarrier();
    if (t < 8u) {
        var sum = 0.0;
        for (var i = t; i < 64u; i += 8u) {
            sum += strips[i];
        }
        total[t] = sum;
    }
    workgroupBarrier();
}

// Products of one column of all eight vectors with a number.
fn column(c: u32, x: f32, l: ptr<function, vec4<f32>>, h: ptr<function, vec4<f32>>) {
    let d = parameters.dim;
    *l += x * vec4<f32>(basis[c], basis[d + c], basis[2u * d + c], basis[3u * d + c]);
    *h += x * vec4<f32>(basis[4u * d + c], basis[5u * d + c], basis[6u * d + c], basis[7u * d + c]);
}

// Gram–Schmidt on `basis`, in order. The first of two passes finds vectors that depend on those
// before them and puts noise in their place, the second makes what there is exact; where even
// noise depends, all dimensions are taken and the vector is zero.
fn gram_schmidt(t: u32) {
    let d = parameters.dim;
    for (var i = 0u; i < parameters.k; i += 1u) {
        for (var pass_ = 0u; pass_ < 2u; pass_ += 1u) {
            var l = vec4<f32>(0.0);
            var h = vec4<f32>(0.0);
            for (var c = t; c < d; c += WIDTH) {
                column(c, basis[i * d + c], &l, &h);
            }
            sum_up(t, WIDTH, l, h);
            // Only those before it; then its own square.
            let own = total[i];
            var a = vec4<f32>(0.0);
            var b = vec4<f32>(0.0);
            for (var m = 0u; m < i; m += 1u) {
                if (m < 4u) {
                    a[m] = total[m];
                } else {
                    b[m - 4u] = total[m];
                }
            }
            workgroupBarrier();
            var left = 0.0;
            for (var c = t; c < d; c += WIDTH) {
                var l4 = vec4<f32>(0.0);
                var h4 = vec4<f32>(0.0);
                column(c, 1.0, &l4, &h4);
                let x = basis[i * d + c] - dot(a, l4) - dot(b, h4);
                basis[i * d + c] = x;
                left += x * x;
            }
            sum_up(t, WIDTH, vec4<f32>(left), vec4<f32>(0.0));
            let rest = total[0];
            workgroupBarrier();
            let dependent = !(rest > DEPENDENT * DEPENDENT * own);
            let factor = select(inverseSqrt(max(rest, 1e-38)), 0.0, dependent);
            for (var c = t; c < d; c += WIDTH) {
                if (dependent && pass_ == 0u) {
                    basis[i * d + c] = noise(i, c);
                } else {
                    basis[i * d + c] = basis[i * d + c] * factor;
                }
            }
        }
    }
}

@compute @workgroup_size(256)
fn begin(@builtin(local_invocation_index) t: u32) {
    let d = parameters.dim;
    var largest = 0.0;
    var trace = 0.0;
    for (var c = t; c < d; c += WIDTH) {
        let v = finite_or_zero(covariance[c * d + c]);
        largest = max(largest, v);
        trace += v;
    }
    low[t] = vec4<f32>(largest, trace, 0.0, 0.0);
    workgroupBarrier();
    for (var half = WIDTH / 2u; half > 0u; half = half / 2u) {
        if (t < half) {
            let other = low[t + half];
            low[t] = vec4<f32>(max(low[t].x, other.x), low[t].y + other.y, 0.0, 0.0);
        }
        workgroupBarrier();
    }
    if (t == 0u) {
        let most = low[0].x;
        scale[0] = most;
        // Below this a matrix is zero: its inverse would not be a number.
        scale[1] = select(0.0, 1.0 / max(most, 1e-36), most > 1e-36);
        values[8] = low[0].y;
    }
    workgroupBarrier();
    for (var c = t; c < d; c += WIDTH) {
        for (var m = 0u; m < VECTORS; m += 1u) {
            var v = 0.0;
            if (m < parameters.k) {
                v = clamp(finite_or_zero(components[m * d + c]), -1.0, 1.0);
            }
            basis[m * d + c] = v;
        }
    }
    gram_schmidt(t);
}

// image = covariance * basis, scaled: one row a workgroup.
@compute @workgroup_size(64)
fn multiply(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let d = parameters.dim;
    let row = group.x;
    var l = vec4<f32>(0.0);
    var h = vec4<f32>(0.0);
    for (var c = t; c < d; c += 64u) {
        column(c, finite_or_zero(covariance[row * d + c]) * scale[1], &l, &h);
    }
    sum_up(t, 64u, l, h);
    if (t < VECTORS) {
        image[t * d + row] = total[t];
    }
}

@compute @workgroup_size(256)
fn orthonormalise(@builtin(local_invocation_index) t: u32) {
    let d = parameters.dim;
    for (var c = t; c < d; c += WIDTH) {
        for (var m = 0u; m < VECTORS; m += 1u) {
            basis[m * d + c] = image[m * d + c];
        }
    }
    gram_schmidt(t);
}

var<workgroup> small: array<f32, 64>; // basis' * image
var<workgroup> turn: array<f32, 64>;  // its eigenvectors, as columns
var<workgroup> found: array<f32, 8>;  // its eigenvalues
var<workgroup> order: array<u32, 8>;  // which eigenvector comes where
var<workgroup> signs: array<f32, 8>;

// Cyclic Jacobi rotations on `small`, by one invocation.
fn jacobi(k: u32) {
    var size = 0.0;
    for (var i = 0u; i < k; i += 1u) {
        for (var j = 0u; j < k; j += 1u) {
            // Rounding has made the two halves differ.
            let mean = 0.5 * (small[i * 8u + j] + small[j * 8u + i]);
            small[i * 8u + j] = mean;
            small[j * 8u + i] = mean;
            turn[i * 8u + j] = select(0.0, 1.0, i == j);
            size += mean * mean;
        }
    }
    for (var sweep = 0u; sweep < 12u; sweep += 1u) {
        var off = 0.0;
        for (var p = 0u; p < k; p += 1u) {
            for (var q = p + 1u; q < k; q += 1u) {
                off += small[p * 8u + q] * small[p * 8u + q];
            }
        }
        if (off <= 1e-16 * size) {
            break;
        }
        for (var p = 0u; p < k; p += 1u) {
            for (var q = p + 1u; q < k; q += 1u) {
                let apq = small[p * 8u + q];
                // Too small for a division, and for any effect.
                if (abs(apq) < 1e-30) {
                    continue;
                }
                // Clamped so that its square is a number; larger ones rotate by nothing anyway.
                let theta = clamp((small[q * 8u + q] - small[p * 8u + p]) / (2.0 * apq), -1e15, 1e15);
                let sign = select(-1.0, 1.0, theta >= 0.0);
                let tan = sign / (abs(theta) + sqrt(theta * theta + 1.0));
                let cos = inverseSqrt(tan * tan + 1.0);
                let sin = tan * cos;
                for (var m = 0u; m < k; m += 1u) {
                    let x = small[m * 8u + p];
                    let y = small[m * 8u + q];
                    small[m * 8u + p] = cos * x - sin * y;
                    small[m * 8u + q] = sin * x + cos * y;
                }
                for (var m = 0u; m < k; m += 1u) {
                    let x = small[p * 8u + m];
                    let y = small[q * 8u + m];
                    small[p * 8u + m] = cos * x - sin * y;
                    small[q * 8u + m] = sin * x + cos * y;
                    let u = turn[m * 8u + p];
                    let v = turn[m * 8u + q];
                    turn[m * 8u + p] = cos * u - sin * v;
                    turn[m * 8u + q] = sin * u + cos * v;
                }
                // Zero but for rounding, which would keep the sweeps going.
                small[p * 8u + q] = 0.0;
                small[q * 8u + p] = 0.0;
            }
        }
    }
    for (var i = 0u; i < k; i += 1u) {
        found[i] = small[i * 8u + i];
        order[i] = i;
    }
    // Largest first; equal ones stay in place.
    for (var i = 1u; i < k; i += 1u) {
        for (var j = i; j > 0u; j -= 1u) {
            if (found[order[j]] > found[order[j - 1u]]) {
                let other = order[j];
                order[j] = order[j - 1u];
                order[j - 1u] = other;
            }
        }
    }
}

// Which of the new components takes the place of which given one: the best of all orders, as in
// core's `signed_permutation`. `cosines` is [new, given], and `order` and `signs` are changed.
fn follow_given(cosines: mat3x3<f32>, k: u32) {
    var agree = cosines;
    let n = min(k, 3u);
    // The new component for each place, in six orders.
    var orders = array<vec3<u32>, 6>(
        vec3<u32>(0u, 1u, 2u), vec3<u32>(0u, 2u, 1u), vec3<u32>(1u, 0u, 2u),
        vec3<u32>(2u, 0u, 1u), vec3<u32>(1u, 2u, 0u), vec3<u32>(2u, 1u, 0u),
    );
    var best = orders[0];
    var most = -1.0;
    for (var o = 0u; o < 6u; o += 1u) {
        let candidate = orders[o];
        var sum = 0.0;
        var fits = true;
        for (var j = 0u; j < n; j += 1u) {
            fits = fits && candidate[j] < n;
            sum += abs(agree[candidate[j]][j]);
        }
        if (fits && sum > most) {
            most = sum;
            best = candidate;
        }
    }
    let before = vec3<u32>(order[0], order[1], order[2]);
    for (var j = 0u; j < n; j += 1u) {
        order[j] = before[best[j]];
        if (agree[best[j]][j] < 0.0) {
            signs[order[j]] = -signs[order[j]];
        }
    }
}

// Turns the basis onto the eigenvectors of the matrix within it, and writes them in order.
@compute @workgroup_size(256)
fn ritz(@builtin(local_invocation_index) t: u32) {
    let d = parameters.dim;
    let k = parameters.k;
    for (var i = 0u; i < k; i += 1u) {
        var l = vec4<f32>(0.0);
        var h = vec4<f32>(0.0);
        for (var c = t; c < d; c += WIDTH) {
            column(c, image[i * d + c], &l, &h);
        }
        sum_up(t, WIDTH, l, h);
        if (t < VECTORS) {
            small[i * 8u + t] = total[t];
        }
        workgroupBarrier();
    }
    if (t == 0u) {
        jacobi(k);
    }
    workgroupBarrier();
    // The eigenvectors, into `image`.
    for (var c = t; c < d; c += WIDTH) {
        for (var i = 0u; i < k; i += 1u) {
            var sum = 0.0;
            for (var m = 0u; m < k; m += 1u) {
                sum += turn[m * 8u + i] * basis[m * d + c];
            }
            image[i * d + c] = sum;
        }
    }
    // The first coefficient that is within a thousandth of the largest is positive: in vectors with
    // symmetries many have the same size, and which of them is the largest would be chance.
    for (var i = 0u; i < k; i += 1u) {
        var peak = 0.0;
        for (var c = t; c < d; c += WIDTH) {
            peak = max(peak, abs(image[i * d + c]));
        }
        low[t].x = peak;
        workgroupBarrier();
        for (var half = WIDTH / 2u; half > 0u; half = half / 2u) {
            if (t < half) {
                low[t].x = max(low[t].x, low[t + half].x);
            }
            workgroupBarrier();
        }
        let enough = low[0].x * 0.999;
        workgroupBarrier();
        // Place and coefficient; a place below 2^24 is exact as a float.
        var first = vec2<f32>(f32(d), 0.0);
        for (var c = t; c < d; c += WIDTH) {
            let v = image[i * d + c];
            if (abs(v) >= enough && f32(c) < first.x) {
                first = vec2<f32>(f32(c), v);
            }
        }
        low[t] = vec4<f32>(first, 0.0, 0.0);
        workgroupBarrier();
        for (var half = WIDTH / 2u; half > 0u; half = half / 2u) {
            if (t < half) {
                let other = low[t + half];
                if (other.x < low[t].x) {
                    low[t] = other;
                }
            }
            workgroupBarrier();
        }
        if (t == 0u) {
            signs[i] = select(1.0, -1.0, low[0].y < 0.0);
        }
        workgroupBarrier();
    }
    // How new and given components agree; those that are rounding agree with nothing.
    var agree = mat3x3<f32>();
    let n = min(k, 3u);
    for (var j = 0u; j < n; j += 1u) {
        var l = vec4<f32>(0.0);
        for (var c = t; c < d; c += WIDTH) {
            let given = finite_or_zero(components[j * d + c]);
            for (var i = 0u; i < n; i += 1u) {
                let m = order[i];
                l[i] += clamp(given, -1.0, 1.0) * signs[m] * image[m * d + c];
            }
        }
        sum_up(t, WIDTH, l, vec4<f32>(0.0));
        for (var i = 0u; i < n; i += 1u) {
            agree[i][j] = total[i];
        }
        workgroupBarrier();
    }
    if (t == 0u) {
        let floor_ = NOISE * max(found[order[0]], 0.0);
        for (var i = 0u; i < k; i += 1u) {
            let m = order[i];
            if (!(found[m] > floor_)) {
                signs[m] = 0.0;
                if (i < 3u) {
                    agree[i] = vec3<f32>(0.0);
                }
            }
        }
        if (parameters.follow != 0u) {
            follow_given(agree, k);
        }
        for (var i = 0u; i < VECTORS; i += 1u) {
            var value = 0.0;
            if (i < k) {
                value = max(found[order[i]], 0.0) * scale[0];
                value = select(value, 0.0, signs[order[i]] == 0.0);
            }
            values[i] = value;
        }
    }
    workgroupBarrier();
    for (var c = t; c < d; c += WIDTH) {
        for (var i = 0u; i < k; i += 1u) {
            let m = order[i];
            components[i * d + c] = bitcast<u32>(signs[m] * image[m * d + c]);
        }
    }
}
