//! A graph as a file: ONNX's outer messages, with the numbers inside or in a file beside.

use std::io::{self, Write};

use super::OnnxInputSize;
use super::backbone::{CLS, INPUT, TOKENS};
use super::graph::{OnnxConstant, OnnxConstantValues, OnnxDimension, OnnxGraph, number, value_info};
use super::proto::{ProtoMessage, prefix};
use dinoscope_data::RGB;
use dinoscope_model::config::VitConfig;

/// Longest message that readers of protocol buffers take.
pub(super) const LONGEST: u64 = i32::MAX as u64;
/// Constants below this length stay in the model's own file, where shapes can be inferred from them.
const SMALL: u64 = 1024;
/// Numbers in a file of their own start on a page, so that they can be mapped.
const PAGE: u64 = 4096;

fn joined(values: &[f32]) -> String {
    values.iter().map(f32::to_string).collect::<Vec<_>>().join(", ")
}

/// A model on its way into a file.
pub(super) struct OnnxModelWriter<'g, 'a> {
    graph: &'g OnnxGraph<'a>,
    /// Everything before the graph.
    outer: ProtoMessage,
    /// The graph without its constants.
    inner: ProtoMessage,
    /// Name of the file for the numbers, if they get one.
    beside: Option<String>,
}

impl<'g, 'a> OnnxModelWriter<'g, 'a> {
    /// Says what `graph` is, computed for pictures of `size`.
    pub fn new(graph: &'g OnnxGraph<'a>, config: &VitConfig, size: OnnxInputSize) -> Self {
        let entry = |key: &str, value: &str| ProtoMessage::default().text(1, key).text(2, value);
        let about = [
            ("patch_size", config.patch.to_string()),
            ("num_register_tokens", config.registers.to_string()),
            ("image_mean", joined(&config.pixels.mean)),
            ("image_std", joined(&config.pixels.deviation)),
            ("size", size.to_string()),
        ];
        let outer = ProtoMessage::default()
            .integer(1, 8)
            .text(2, "dinoscope")
            .text(3, env!("CARGO_PKG_VERSION"))
            .message(8, &ProtoMessage::default().text(1, "").integer(2, 17))
            .each(&about, |m, (key, value)| m.message(14, &entry(key, value)));
        let (height, width, tokens) = match size {
            OnnxInputSize::Free => (
                OnnxDimension::Named("height"),
                OnnxDimension::Named("width"),
                OnnxDimension::Named("sequence_length"),
            ),
            OnnxInputSize::Fixed { height, width } => {
                let patches = (height / config.patch) * (width / config.patch);
                (
                    OnnxDimension::Known(height),
                    OnnxDimension::Known(width),
                    OnnxDimension::Known(config.prefix() + patches),
                )
            }
        };
        let batch = || OnnxDimension::Named("batch_size");
        let dim = || OnnxDimension::Known(config.dim);
        let channels = config.channels();
        let of = if channels == RGB { "RGB".to_owned() } else { format!("{channels} channels") };
        let input = format!("{of}, scaled to 0 to 1, normalised by image_mean and image_std");
        let inner = ProtoMessage::default()
            .each(&graph.nodes, |m, node| m.message(number::NODE, node))
            .text(2, "dinov2")
            .message(
                11,
                &value_info(INPUT, &[batch(), OnnxDimension::Known(channels), height, width], &input),
            )
            .message(12, &value_info(TOKENS, &[batch(), tokens, dim()], "CLS, registers, patches row by row"))
            .message(12, &value_info(CLS, &[batch(), dim()], "the CLS token"));
        Self { graph, outer, inner, beside: None }
    }

    /// The same model with its numbers in the file `name` beside it.
    pub fn with_numbers_in(self, name: &str) -> Self {
        Self { beside: Some(name.to_owned()), ..self }
    }

    /// Length of the model's own file in bytes.
    pub fn length(&self) -> u64 {
        let graph = self.graph_length();
        self.outer.0.len() as u64 + prefix(7, graph).len() as u64 + graph
    }

    fn graph_length(&self) -> u64 {
        let constants = self.constants().map(|(constant, head)| {
            let length = self.constant_length(constant, &head);
            prefix(number::INITIALIZER, length).len() as u64 + length
        });
        self.inner.0.len() as u64 + constants.sum::<u64>()
    }

    fn constant_length(&self, constant: &OnnxConstant, head: &ProtoMessage) -> u64 {
        let numbers = if self.goes_beside(constant) {
            0
        } else {
            prefix(number::RAW_DATA, constant.bytes()).len() as u64 + constant.bytes()
        };
        head.0.len() as u64 + numbers
    }

    fn goes_beside(&self, constant: &OnnxConstant) -> bool {
        self.beside.is_some() && constant.bytes() >= SMALL
    }

    /// All constants, each with what is said about it before its numbers.
    fn constants(&self) -> impl Iterator<Item = (&OnnxConstant<'a>, ProtoMessage)> {
        let mut end = 0u64;
        self.graph.constants.iter().map(move |constant| {
            let mut head = constant.head();
            if let Some(beside) = self.beside.as_deref().filter(|_| self.goes_beside(constant)) {
                let entry = |key: &str, value: &str| ProtoMessage::default().text(1, key).text(2, value);
                let start = end.next_multiple_of(PAGE);
                end = start + constant.bytes();
                head = head
                    .message(13, &entry("location", beside))
                    .message(13, &entry("offset", &start.to_string()))
                    .message(13, &entry("length", &constant.bytes().to_string()))
                    .integer(14, 1);
            }
            (constant, head)
        })
    }

    /// Writes the model's own file.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.outer.0)?;
        out.write_all(&prefix(7, self.graph_length()))?;
        out.write_all(&self.inner.0)?;
        for (constant, head) in self.constants() {
            out.write_all(&prefix(number::INITIALIZER, self.constant_length(constant, &head)))?;
            out.write_all(&head.0)?;
            if !self.goes_beside(constant) {
                out.write_all(&prefix(number::RAW_DATA, constant.bytes()))?;
                numbers(out, constant)?;
            }
        }
        Ok(())
    }

    /// Writes the file for the numbers.
    pub fn write_numbers(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut end = 0u64;
        for constant in self.graph.constants.iter().filter(|constant| self.goes_beside(constant)) {
            let start = end.next_multiple_of(PAGE);
            out.write_all(&vec![0; (start - end) as usize])?;
            numbers(out, constant)?;
            end = start + constant.bytes();
        }
        Ok(())
    }
}

/// The numbers of a constant, lowest byte first.
fn numbers(out: &mut dyn Write, constant: &OnnxConstant) -> io::Result<()> {
    match &constant.values {
        OnnxConstantValues::Integers(values) => {
            values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
        }
        OnnxConstantValues::Floats(make) => {
            let mut bytes = Vec::with_capacity(4 << 14);
            for chunk in make().chunks(1 << 14) {
                bytes.clear();
                bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
                out.write_all(&bytes)?;
            }
            Ok(())
        }
    }
}
