use dinoscope_shaders::rope::gpu::rotate;
use dinoscope_shaders::rope::{RopeSequences, RopeTurn, extents};

use super::*;

/// Queries and keys as complex numbers, in f64.
fn turned(
    qkv: &[f32],
    bias: &[f32],
    table: &[f32],
    groups: &[RopeSequences],
    (heads, width): (usize, usize),
) -> Vec<f64> {
    let (dim, half) = (heads * width, width / 2);
    let mut out: Vec<f64> = Vec::new();
    let (mut token, mut first) = (0, 0);
    for group in groups {
        for position in (0..group.count).flat_map(|_| 0..group.tokens) {
            let angles = &table[(first + position) * width..][..width];
            let row: Vec<f64> =
                (0..3 * dim).map(|j| f64::from(qkv[token * 3 * dim + j]) + f64::from(bias[j])).collect();
            out.extend((0..3 * dim).map(|j| {
                let i = j % half;
                let (cos, sin) = (f64::from(angles[i]), f64::from(angles[half + i]));
                match (j < 2 * dim, j % width < half) {
                    (false, _) => row[j],
                    (true, true) => row[j] * cos - row[j + half] * sin,
                    (true, false) => row[j] * cos + row[j - half] * sin,
                }
            }));
            token += 1;
        }
        first += group.tokens;
    }
    out
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn turns_of_awkward_groups() {
    let client = client();
    let of = |count, tokens| RopeSequences { count, tokens };
    let cases = [
        (vec![of(1, 1)], 1, 2),
        (vec![of(3, 17)], 2, 6),
        (vec![of(2, 65), of(0, 9), of(5, 7), of(1, 1)], 3, 64),
        (vec![of(1, 257), of(4, 5)], 1, 20),
    ];
    for (groups, heads, width) in cases {
        let (tokens, positions) = extents(&groups);
        let columns = 3 * heads * width;
        let (qkv, bias, table) = (noise(tokens * columns, 1), noise(columns, 2), noise(positions * width, 3));
        let [q, b, t] = [&qkv, &bias, &table].map(|v| floats(&client, v));
        let sides = (heads, width);
        let got = rotate(&client, &q, Some(&b), &t, &groups, sides, RopeTurn::Forward, F32).unwrap();
        let want = turned(&qkv, &bias, &table, &groups, sides);
        close(&format!("{groups:?}"), &read(&client, &got), &want, 1e-6);

        // The way back is the adjoint: d against the turn is the turn back of d against its input.
        let d = noise(tokens * columns, 4);
        let zeros = vec![0.0; columns];
        let back = rotate(&client, &floats(&client, &d), None, &t, &groups, sides, RopeTurn::Back, F32);
        let back = wide(&read(&client, &back.unwrap()));
        let plain = turned(&qkv, &zeros, &table, &groups, sides);
        let (ahead, behind) = (dot(&wide(&d), &plain), dot(&back, &wide(&qkv)));
        assert!((ahead - behind).abs() < 1e-3 * ahead.abs().max(1.0), "{ahead} is not {behind}");
    }
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn not_a_number_stays_in_its_pair() {
    let client = client();
    let groups = [RopeSequences { count: 2, tokens: 2 }];
    let mut qkv = noise(4 * 24, 1);
    // Token 2, key of the second head, second value.
    qkv[2 * 24 + 8 + 4 + 1] = f32::NAN;
    let table: Vec<f32> = noise(2 * 4, 2);
    let (q, t) = (floats(&client, &qkv), floats(&client, &table));
    let got = rotate(&client, &q, None, &t, &groups, (2, 4), RopeTurn::Forward, F32).unwrap();
    let got = read(&client, &got);
    let nan: Vec<usize> = (0..got.len()).filter(|i| got[*i].is_nan()).collect();
    assert_eq!(nan, [2 * 24 + 13, 2 * 24 + 15]);
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn what_cannot_be_turned_is_said() {
    let client = client();
    let groups = [RopeSequences { count: 1, tokens: 2 }];
    let (q, t) = (floats(&client, &[0.0; 18]), floats(&client, &[0.0; 6]));
    let odd = rotate(&client, &q, None, &t, &groups, (1, 3), RopeTurn::Forward, F32);
    assert!(odd.unwrap_err().to_string().contains("3 dimensions"));
    let short = rotate(&client, &q, None, &t, &groups, (1, 4), RopeTurn::Forward, F32);
    assert!(short.unwrap_err().to_string().contains("qkv"));
    let none = rotate(&client, &q, None, &t, &[], (1, 4), RopeTurn::Forward, F32).unwrap();
    assert_eq!(none.size_in_used(), 0);
}
