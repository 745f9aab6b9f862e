//! Rotary positions inside a graph: cosines and sines for any size, and the turn of queries and keys.
//!
//! See [`dinoscope_model::rope`]: patch centres between -1 and 1 along each axis, angles of rows before those of columns,
//! nothing for CLS and registers.

use std::f32::consts::TAU;

use super::OnnxInputSize;
use super::graph::{OnnxAttribute, OnnxGraph, number};
use dinoscope_model::config::VitConfig;
use dinoscope_model::rope::{RopeConfig, RopeGrid, RopeWarp, rope_table};

/// Names of the cosines and sines, each `[tokens, heads' width / 2]`.
pub(super) struct RopeAngles {
    cos: String,
    sin: String,
}

impl RopeAngles {
    /// Angles of all tokens: constants for one size, else computed from the extent of the map `patches`
    /// `[batch, dim, rows, cols]`.
    pub fn new(
        graph: &mut OnnxGraph,
        config: &VitConfig,
        rope: &RopeConfig,
        size: OnnxInputSize,
        patches: &str,
    ) -> Self {
        let periods = rope.periods(config.head_width());
        match size {
            OnnxInputSize::Free => Self::of_any_size(graph, config.prefix(), &periods, patches),
            OnnxInputSize::Fixed { height, width } => {
                let (prefix, rows, cols) = (config.prefix(), height / config.patch, width / config.patch);
                let table = rope_table(&periods, RopeGrid { prefix, rows, cols }, RopeWarp::NONE);
                let half = 2 * periods.len();
                let mut part = |name: &str, from: usize| {
                    let values = table.chunks_exact(2 * half).flat_map(|row| &row[from..from + half]);
                    graph.floats(name, &[prefix + rows * cols, half], values.copied().collect())
                };
                Self { cos: part("rope.cos", 0), sin: part("rope.sin", half) }
            }
        }
    }

    fn of_any_size(graph: &mut OnnxGraph, prefix: usize, periods: &[f32], patches: &str) -> Self {
        let quarter = periods.len();
        let extent = graph.node("Shape", &[patches], "rope.extent", &[]);
        let [rows, cols] = [("rows", 2), ("cols", 3)].map(|(axis, at)| {
            let at = graph.integers(&format!("rope.axis_{axis}"), &[at]);
            graph.node("Gather", &[&extent, &at], &format!("rope.{axis}"), &[])
        });
        let last = graph.integers("rope.quarter", &[quarter as i64]);
        let joined = [OnnxAttribute::Int("axis", 0)];
        let whole = graph.node("Concat", &[&rows, &cols, &last], "rope.shape", &joined);
        let periods = graph.floats("rope.periods", &[quarter], periods.to_vec());
        let shapes = [("rows", &rows, [-1, 1, 1]), ("cols", &cols, [1, -1, 1])];
        let axes = shapes.map(|(axis, extent, shape)| {
            let angles = Self::of_axis(graph, axis, extent, &shape, &periods);
            graph.node("Expand", &[&angles, &whole], &format!("rope.{axis}_everywhere"), &[])
        });
        let angles =
            graph.node("Concat", &[&axes[0], &axes[1]], "rope.both", &[OnnxAttribute::Int("axis", 2)]);
        let shape = graph.integers("rope.by_patch", &[-1, 2 * quarter as i64]);
        let angles = graph.node("Reshape", &[&angles, &shape], "rope.angles", &[]);
        let mut part = |op: &str, name: &str, before: f32| {
            let values = graph.node(op, &[&angles], &format!("{name}_of_patches"), &[]);
            let before = vec![before; prefix * 2 * quarter];
            let before = graph.floats(&format!("{name}_of_prefix"), &[prefix, 2 * quarter], before);
            graph.node("Concat", &[&before, &values], name, &joined)
        };
        Self { cos: part("Cos", "rope.cos", 1.0), sin: part("Sin", "rope.sin", 0.0) }
    }

    /// Angles along one axis of `extent` patches, `shape` with one more extent of as many angles as there are periods.
    fn of_axis(graph: &mut OnnxGraph, axis: &str, extent: &str, shape: &[i64], periods: &str) -> String {
        let named = |part: &str| format!("rope.{axis}_{part}");
        let float = [OnnxAttribute::Int("to", number::FLOAT)];
        let scalar = graph.integers(&named("scalar"), &[]);
        let count = graph.node("Reshape", &[extent, &scalar], &named("count"), &[]);
        let (first, next) = (graph.integer(&named("first"), 0), graph.integer(&named("next"), 1));
        let at = graph.node("Range", &[&first, &count, &next], &named("index"), &[]);
        let at = graph.node("Cast", &[&at], &named("float_index"), &float);
        let size = graph.node("Cast", &[&count], &named("size"), &float);
        let [half, one, two, circle] = [("half", 0.5), ("one", 1.0), ("two", 2.0), ("circle", TAU)]
            .map(|(name, value)| graph.scalar(&named(name), value));
        let mut step = |op: &str, x: &str, by: &str, part: &str| graph.node(op, &[x, by], &named(part), &[]);
        let at = step("Add", &at, &half, "middle");
        let at = step("Div", &at, &size, "share");
        let at = step("Mul", &at, &two, "doubled");
        let at = step("Sub", &at, &one, "centre");
        let at = step("Mul", &at, &circle, "turns");
        let shape = graph.integers(&named("shape"), shape);
        let at = graph.node("Reshape", &[&at, &shape], &named("places"), &[]);
        graph.node("Div", &[&at, periods], &named("angles"), &[])
    }

    /// `x` `[batch, heads, tokens, width]` turned.
    pub fn turn(&self, graph: &mut OnnxGraph, x: &str) -> String {
        let (a, b) = (format!("{x}.first"), format!("{x}.second"));
        let along = [OnnxAttribute::Int("axis", 3)];
        graph.split("Split", &[x], &format!("{x}.halves"), &[&a, &b], &along);
        let mut times =
            |half: &str, by: &str, name: &str| graph.node("Mul", &[half, by], &format!("{x}.{name}"), &[]);
        let (ac, bs) = (times(&a, &self.cos, "first_cos"), times(&b, &self.sin, "second_sin"));
        let (bc, as_) = (times(&b, &self.cos, "second_cos"), times(&a, &self.sin, "first_sin"));
        let ahead = graph.node("Sub", &[&ac, &bs], &format!("{x}.first_turned"), &[]);
        let behind = graph.node("Add", &[&bc, &as_], &format!("{x}.second_turned"), &[]);
        graph.node("Concat", &[&ahead, &behind], &format!("{x}.turned"), &along)
    }
}
