//! A graph of ONNX operators while it is built: nodes and constants, each known by the name of its output.

use std::borrow::Cow;

use super::proto::ProtoMessage;

/// Field numbers and codes of onnx.proto that more than one place needs.
pub(super) mod number {
    pub const FLOAT: i64 = 1;
    pub const INT64: i64 = 7;
    pub const NODE: u32 = 1;
    pub const INITIALIZER: u32 = 5;
    pub const RAW_DATA: u32 = 9;
}

/// Numbers of a constant. Large ones are borrowed or made when they are written, so that they lie in memory once.
pub(super) enum OnnxConstantValues<'a> {
    Floats(Box<dyn Fn() -> Cow<'a, [f32]> + 'a>),
    Integers(Vec<i64>),
}

/// A constant of the graph.
pub(super) struct OnnxConstant<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: OnnxConstantValues<'a>,
}

impl OnnxConstant<'_> {
    /// Length of its numbers in bytes.
    pub fn bytes(&self) -> u64 {
        let width = match self.values {
            OnnxConstantValues::Floats(_) => 4,
            OnnxConstantValues::Integers(_) => 8,
        };
        width * self.shape.iter().map(|&n| n as u64).product::<u64>()
    }

    /// Name, type and shape as a TensorProto, to which the numbers or their whereabouts are added.
    pub fn head(&self) -> ProtoMessage {
        let kind = match self.values {
            OnnxConstantValues::Floats(_) => number::FLOAT,
            OnnxConstantValues::Integers(_) => number::INT64,
        };
        ProtoMessage::default()
            .each(&self.shape, |m, &n| m.integer(1, n as i64))
            .integer(2, kind)
            .text(8, &self.name)
    }
}

/// A setting of a node.
pub(super) enum OnnxAttribute<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
    Float(&'a str, f32),
}

impl OnnxAttribute<'_> {
    fn message(&self) -> ProtoMessage {
        let named = |name: &str| ProtoMessage::default().text(1, name);
        match self {
            Self::Float(name, value) => named(name).float(2, *value).integer(20, 1),
            Self::Int(name, value) => named(name).integer(3, *value).integer(20, 2),
            Self::Ints(name, values) => named(name).each(*values, |m, &v| m.integer(8, v)).integer(20, 7),
        }
    }
}

/// One extent of an input or output: known, or a name for what the caller chooses.
pub(super) enum OnnxDimension<'a> {
    Known(usize),
    Named(&'a str),
}

/// An input or output of float32 as a ValueInfoProto.
pub(super) fn value_info(name: &str, shape: &[OnnxDimension], about: &str) -> ProtoMessage {
    let dims = ProtoMessage::default().each(shape, |m, extent| {
        let dim = ProtoMessage::default();
        m.message(
            1,
            &match extent {
                OnnxDimension::Known(n) => dim.integer(1, *n as i64),
                OnnxDimension::Named(name) => dim.text(2, name),
            },
        )
    });
    let tensor = ProtoMessage::default().integer(1, number::FLOAT).message(2, &dims);
    ProtoMessage::default()
        .text(1, name)
        .message(2, &ProtoMessage::default().message(1, &tensor))
        .text(3, about)
}

/// Nodes in the order in which they run, and the constants that they take.
#[derive(Default)]
pub(super) struct OnnxGraph<'a> {
    pub nodes: Vec<ProtoMessage>,
    pub constants: Vec<OnnxConstant<'a>>,
}

impl<'a> OnnxGraph<'a> {
    /// Adds an operator with one output, which is called `name` as the node itself; returns that name.
    pub fn node(&mut self, op: &str, inputs: &[&str], name: &str, attributes: &[OnnxAttribute]) -> String {
        self.split(op, inputs, name, &[name], attributes);
        name.to_owned()
    }

    /// Adds an operator with several outputs.
    pub fn split(
        &mut self,
        op: &str,
        inputs: &[&str],
        name: &str,
        outputs: &[&str],
        attributes: &[OnnxAttribute],
    ) {
        let node = ProtoMessage::default()
            .each(inputs, |m, input| m.text(1, input))
            .each(outputs, |m, output| m.text(2, output))
            .text(3, name)
            .text(4, op)
            .each(attributes, |m, attribute| m.message(5, &attribute.message()));
        self.nodes.push(node);
    }

    /// Adds a constant whose numbers are made when it is written.
    pub fn lazy(&mut self, name: &str, shape: &[usize], values: impl Fn() -> Cow<'a, [f32]> + 'a) -> String {
        self.add(name, shape, OnnxConstantValues::Floats(Box::new(values)))
    }

    /// Adds a constant of float32.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> String {
        self.lazy(name, shape, move || Cow::Owned(values.clone()))
    }

    /// Adds a single number of float32.
    pub fn scalar(&mut self, name: &str, value: f32) -> String {
        self.floats(name, &[], vec![value])
    }

    /// Adds a list of integers: a shape, or axes.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.add(name, &[values.len()], OnnxConstantValues::Integers(values.to_vec()))
    }

    /// Adds a single integer.
    pub fn integer(&mut self, name: &str, value: i64) -> String {
        self.add(name, &[], OnnxConstantValues::Integers(vec![value]))
    }

    fn add(&mut self, name: &str, shape: &[usize], values: OnnxConstantValues<'a>) -> String {
        self.constants.push(OnnxConstant { name: name.to_owned(), shape: shape.to_vec(), values });
        name.to_owned()
    }
}
