//! The table of position embeddings in a graph: resampled beforehand, or by the graph to the size that comes in.
//!
//! ONNX's `Resize` has no antialias before opset 18 and runtimes differ in its cubic mode. What
//! [`dinoscope_model::pos_embed`] does is two matrix products with small matrices of weights; the graph computes these
//! matrices from the number of rows and columns with plain arithmetic, so that all three rules come out the same on
//! every runtime.

use super::graph::{OnnxAttribute, OnnxGraph};
use dinoscope_model::config::PosEmbedInterpolation;
use dinoscope_model::grid::PatchGrid;
use dinoscope_model::pos_embed::resize_weights;

/// The patches' part of a position table, `[grid.area(), dim]`.
#[derive(Clone, Copy)]
pub(super) struct PosEmbedTable<'a> {
    pub values: &'a [f32],
    pub grid: PatchGrid,
    pub dim: usize,
    pub rule: PosEmbedInterpolation,
}

impl PosEmbedTable<'_> {
    /// The table for `rows` by `cols` patches, `[rows * cols, dim]`; [`dinoscope_model::pos_embed::resample`] on the
    /// host.
    pub fn resampled(&self, rows: usize, cols: usize) -> Vec<f32> {
        let Self { values, grid, dim, rule } = *self;
        if grid == PatchGrid::new(rows, cols) {
            return values.to_vec();
        }
        let (down, across) = (resize_weights(grid.rows, rows, rule), resize_weights(grid.cols, cols, rule));
        let wide_row = grid.cols * dim;
        let mut tall = vec![0.0f32; rows * wide_row];
        for (row, weights) in tall.chunks_exact_mut(wide_row).zip(down.chunks_exact(grid.rows)) {
            for (&weight, from) in weights.iter().zip(values.chunks_exact(wide_row)) {
                add(row, weight, from);
            }
        }
        let mut out = vec![0.0f32; rows * cols * dim];
        for (wide, row) in out.chunks_exact_mut(cols * dim).zip(tall.chunks_exact(wide_row)) {
            for (token, weights) in wide.chunks_exact_mut(dim).zip(across.chunks_exact(grid.cols)) {
                for (&weight, from) in weights.iter().zip(row.chunks_exact(dim)) {
                    add(token, weight, from);
                }
            }
        }
        out
    }

    /// Nodes that resample the constant `table`, `[grid.rows, grid.cols * dim]`, to the extent of the map `patches`,
    /// `[batch, dim, rows, cols]`. The result is `[1, rows * cols, dim]`.
    pub fn nodes(&self, graph: &mut OnnxGraph, table: &str, patches: &str) -> String {
        let (stored, dim) = (self.grid, self.dim as i64);
        let extent = graph.node("Shape", &[patches], "pos_embed.extent", &[]);
        let (two, three) = (graph.integer("pos_embed.axis_rows", 2), graph.integer("pos_embed.axis_cols", 3));
        let rows = graph.node("Gather", &[&extent, &two], "pos_embed.rows", &[]);
        let cols = graph.node("Gather", &[&extent, &three], "pos_embed.cols", &[]);
        let offset = self.offset(graph, &rows, &cols);
        let cubic = CubicConstants::new(graph, self.rule);
        let down = PosEmbedAxis::new(graph, &cubic, self.rule, stored.rows, "pos_embed.down");
        let down = down.weights(graph, &rows, &offset);
        let across = PosEmbedAxis::new(graph, &cubic, self.rule, stored.cols, "pos_embed.across");
        let across = across.weights(graph, &cols, &offset);
        let tall = graph.node("MatMul", &[&down, table], "pos_embed.tall", &[]);
        let shape = graph.integers("pos_embed.tall_shape", &[-1, stored.cols as i64, dim]);
        let tall = graph.node("Reshape", &[&tall, &shape], "pos_embed.tall_rows", &[]);
        let wide = graph.node("MatMul", &[&across, &tall], "pos_embed.wide", &[]);
        let shape = graph.integers("pos_embed.shape", &[1, -1, dim]);
        graph.node("Reshape", &[&wide, &shape], "pos_embed.resampled", &[])
    }

    /// What is added to the target size: the rule's offset, but nothing where the stored grid fits.
    fn offset(&self, graph: &mut OnnxGraph, rows: &str, cols: &str) -> String {
        let nothing = graph.scalar("pos_embed.no_offset", 0.0);
        if self.rule.offset == 0.0 {
            return nothing;
        }
        let fits =
            [(rows, "rows", self.grid.rows), (cols, "cols", self.grid.cols)].map(|(extent, axis, stored)| {
                let stored = graph.integer(&format!("pos_embed.stored_{axis}"), stored as i64);
                graph.node("Equal", &[extent, &stored], &format!("pos_embed.{axis}_fit"), &[])
            });
        let fits = graph.node("And", &[&fits[0], &fits[1]], "pos_embed.fits", &[]);
        let offset = graph.scalar("pos_embed.rule_offset", self.rule.offset as f32);
        graph.node("Where", &[&fits, &nothing, &offset], "pos_embed.offset", &[])
    }
}

fn add(to: &mut [f32], weight: f32, from: &[f32]) {
    if weight != 0.0 {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to += weight * from);
    }
}

/// Rows or columns of the stored grid.
struct PosEmbedAxis<'c> {
    cubic: &'c CubicConstants,
    rule: PosEmbedInterpolation,
    name: &'static str,
    /// How many are stored.
    stored: String,
    /// Their places, `[1, taps]`; without antialias also the two beyond each border.
    taps: String,
    /// Without antialias only: adds the two taps beyond each border to the border's own.
    fold: String,
}

impl<'c> PosEmbedAxis<'c> {
    fn new(
        graph: &mut OnnxGraph,
        cubic: &'c CubicConstants,
        rule: PosEmbedInterpolation,
        stored: usize,
        name: &'static str,
    ) -> Self {
        let named = |part: &str| format!("{name}.{part}");
        let beyond = if rule.antialias { 0 } else { 2 };
        let taps = (0..stored + 2 * beyond).map(|k| k as f32 - beyond as f32).collect();
        let fold = if beyond > 0 {
            let mut fold = vec![0.0; (stored + 4) * stored];
            for (k, row) in fold.chunks_exact_mut(stored).enumerate() {
                row[k.saturating_sub(2).min(stored - 1)] = 1.0;
            }
            graph.floats(&named("fold"), &[stored + 4, stored], fold)
        } else {
            String::new()
        };
        Self {
            cubic,
            rule,
            name,
            stored: graph.scalar(&named("stored"), stored as f32),
            taps: graph.floats(&named("taps"), &[1, stored + 2 * beyond], taps),
            fold,
        }
    }

    /// The matrix `[extent, stored]` of [`resize_weights`] for an `extent` that is known only when the graph runs.
    fn weights(&self, graph: &mut OnnxGraph, extent: &str, offset: &str) -> String {
        let (name, c) = (self.name, self.cubic);
        let float = [OnnxAttribute::Int("to", super::graph::number::FLOAT)];
        let named = |part: &str| format!("{name}.{part}");
        let size = graph.node("Cast", &[extent], &named("size"), &float);
        let size = graph.node("Add", &[&size, offset], &named("offset_size"), &[]);
        let step = graph.node("Div", &[&self.stored, &size], &named("step"), &[]);
        let at = graph.node("Range", &[&c.first, extent, &c.next], &named("index"), &[]);
        let at = graph.node("Cast", &[&at], &named("float_index"), &float);
        let at = graph.node("Add", &[&at, &c.half], &named("middle"), &[]);
        let at = graph.node("Mul", &[&at, &step], &named("scaled"), &[]);
        let at = graph.node("Sub", &[&at, &c.half], &named("centre"), &[]);
        let at = graph.node("Unsqueeze", &[&at, &c.last_axis], &named("centres"), &[]);
        let away = graph.node("Sub", &[&at, &self.taps], &named("away"), &[]);
        let away = graph.node("Abs", &[&away], &named("distance"), &[]);
        if self.rule.antialias {
            let support = graph.node("Max", &[&step, &c.one], &named("support"), &[]);
            let away = graph.node("Div", &[&away, &support], &named("narrowed"), &[]);
            let cubic = c.of(graph, &away, &named("cubic"));
            let sum = graph.node("ReduceSum", &[&cubic, &c.last_axis], &named("sum"), &[]);
            return graph.node("Div", &[&cubic, &sum], name, &[]);
        }
        // Taps beyond the border count for the border.
        let cubic = c.of(graph, &away, &named("cubic"));
        graph.node("MatMul", &[&cubic, &self.fold], name, &[])
    }
}

/// Constants of the cubic, which rows and columns share.
struct CubicConstants {
    first: String,
    next: String,
    half: String,
    one: String,
    two: String,
    nothing: String,
    last_axis: String,
    /// Factors, from the highest power down: below 1, and from 1 to 2.
    inner: [String; 2],
    outer: [String; 4],
}

impl CubicConstants {
    fn new(graph: &mut OnnxGraph, rule: PosEmbedInterpolation) -> Self {
        let a = if rule.antialias { -0.5f32 } else { -0.75 };
        let mut named = |part: &str, value: f32| graph.scalar(&format!("pos_embed.{part}"), value);
        Self {
            inner: [named("inner_3", a + 2.0), named("inner_2", a + 3.0)],
            outer: [
                named("outer_3", a),
                named("outer_2", 5.0 * a),
                named("outer_1", 8.0 * a),
                named("outer_0", 4.0 * a),
            ],
            half: named("half", 0.5),
            one: named("one", 1.0),
            two: named("two", 2.0),
            nothing: named("zero", 0.0),
            first: graph.integer("pos_embed.first", 0),
            next: graph.integer("pos_embed.next", 1),
            last_axis: graph.integers("pos_embed.last_axis", &[1]),
        }
    }

    /// The cubic of distances `t`: `((a + 2) t - (a + 3)) t² + 1` up to 1, `((a t - 5a) t + 8a) t - 4a` up to 2.
    fn of(&self, graph: &mut OnnxGraph, t: &str, name: &str) -> String {
        let mut step =
            |op: &str, a: &str, b: &str, part: &str| graph.node(op, &[a, b], &format!("{name}.{part}"), &[]);
        let x = step("Mul", t, &self.inner[0], "inner_a");
        let x = step("Sub", &x, &self.inner[1], "inner_b");
        let x = step("Mul", &x, t, "inner_c");
        let x = step("Mul", &x, t, "inner_d");
        let inner = step("Add", &x, &self.one, "inner");
        let x = step("Mul", t, &self.outer[0], "outer_a");
        let x = step("Sub", &x, &self.outer[1], "outer_b");
        let x = step("Mul", &x, t, "outer_c");
        let x = step("Add", &x, &self.outer[2], "outer_d");
        let x = step("Mul", &x, t, "outer_e");
        let outer = step("Sub", &x, &self.outer[3], "outer");
        let far = step("Less", t, &self.two, "reaches");
        let near = step("LessOrEqual", t, &self.one, "near");
        let outer = graph.node("Where", &[&far, &outer, &self.nothing], &format!("{name}.outer_part"), &[]);
        graph.node("Where", &[&near, &inner, &outer], name, &[])
    }
}
