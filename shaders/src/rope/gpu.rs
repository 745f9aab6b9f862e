//! Rotary positions on the GPU: bias and turn in one pass.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::{RopeSequences, RopeTurn};
use crate::ShaderError;
use crate::launch::{self, UNITS, buffer};

const NAME: &str = "rope";
/// Numbers that describe a group: its first token, its end, its tokens, its first row of the table.
const GROUP: usize = 4;

/// `qkv + bias` with queries and keys turned, `[tokens, 3 heads width]` stored as `elem`.
///
/// * `qkv`: as the result; `bias`: `[3 heads width]` floats, or none; `table`: `[positions, width]` floats.
///
/// # Errors
/// A buffer is too short, or heads have an odd width.
#[allow(clippy::too_many_arguments)]
pub fn rotate(
    client: &Client,
    qkv: &Handle,
    bias: Option<&Handle>,
    table: &Handle,
    groups: &[RopeSequences],
    (heads, width): (usize, usize),
    turn: RopeTurn,
    elem: ElemType,
) -> Result<Handle, ShaderError> {
    let (tokens, positions) = super::extents(groups);
    let columns = 3 * heads * width;
    let out = launch::empty(client, tokens * columns, elem.size());
    if tokens * columns == 0 {
        return Ok(out);
    }
    if !width.is_multiple_of(2) {
        let what = format!("heads of {width} dimensions: a turn needs pairs");
        return Err(ShaderError::Unsupported { program: NAME, what });
    }
    let (mut start, mut first, mut spans) = (0, 0, Vec::new());
    for group in groups {
        let end = start + group.count * group.tokens;
        spans.extend([start, end, group.tokens, first].map(|n| n as u32));
        (start, first) = (end, first + group.tokens);
    }
    let spans_on_device = client.create_from_slice(bytemuck::cast_slice(&spans));
    let pairs = tokens * columns / 2;
    let qkv = buffer(NAME, "qkv", qkv, tokens * columns, elem.size())?;
    let bias = bias.map(|bias| buffer(NAME, "bias", bias, columns, 4)).transpose()?;
    let table = buffer(NAME, "table", table, positions * width, 4)?;
    let result = buffer(NAME, "out", &out, tokens * columns, elem.size())?;
    let list = buffer(NAME, "groups", &spans_on_device, spans.len(), 4)?;
    // SAFETY: lengths were checked, and every token is in a group.
    unsafe {
        rotate_kernel::launch_unchecked(
            client,
            launch::grid(pairs, UNITS as usize),
            CubeDim::new_1d(UNITS),
            qkv,
            bias.into(),
            table,
            list,
            result,
            pairs as u32,
            (columns / 2) as u32,
            (width / 2) as u32,
            (spans.len() / GROUP) as u32,
            turn.sign(),
            elem,
        );
    }
    Ok(out)
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn rotate_kernel<E: Float>(
    qkv: &[E],
    bias: ComptimeOption<&[f32]>,
    table: &[f32],
    groups: &[u32],
    out: &mut [E],
    pairs: u32,
    row_pairs: u32,
    half: u32,
    group_count: u32,
    sign: f32,
    #[define(E)] _elem: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at < pairs as usize {
        let pair = at as u32;
        let token = pair / row_pairs;
        let within = pair % row_pairs;
        let i = within % half;
        // The first of the two columns; the other one is half a head further.
        let column = within / half * 2 * half + i;
        let first = (token * row_pairs * 2 + column) as usize;
        let second = first + half as usize;
        #[comptime]
        let added = match &bias {
            ComptimeOption::Some(bias) => bias[column as usize],
            ComptimeOption::None => 0.0f32,
        };
        #[comptime]
        let added_behind = match &bias {
            ComptimeOption::Some(bias) => bias[(column + half) as usize],
            ComptimeOption::None => 0.0f32,
        };
        let mut a = f32::cast_from(qkv[first]) + added;
        let mut b = f32::cast_from(qkv[second]) + added_behind;
        // Values, the last third, stay.
        if column < row_pairs * 4 / 3 {
            let mut row = 0u32;
            for group in 0..group_count {
                let g = (group * 4) as usize;
                let start = groups[g];
                if token >= start && token < groups[g + 1] {
                    row = groups[g + 3] + (token - start) % groups[g + 2];
                }
            }
            let angle = (row * half * 2 + i) as usize;
            let cos = table[angle];
            let sin = sign * table[angle + half as usize];
            let turned = a * cos - b * sin;
            b = b * cos + a * sin;
            a = turned;
        }
        out[first] = E::cast_from(a);
        out[second] = E::cast_from(b);
    }
}
