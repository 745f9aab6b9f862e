//! `batches PRESET --iterations N [--set FIELD=VALUE …]`: what a run's steps are given, for another program.
//!
//! Crops and masks come from the code that training takes them from, on the CPU; `bench/train500.py` trains on them in
//! PyTorch. On standard output:
//!
//! - a line of JSON: `recipe`, `backbone`, `iterations`, and the length in bytes of `weights`;
//! - the student's weights before the first step, a safetensors file under official names;
//! - for each step one byte a value: global crops `[2 batch, 3, side, side]`, local crops `[locals batch, 3, side, side]`,
//!   both crop-major and as the 8-bit pictures that they are before they are normalised, and the masks of the global
//!   crops `[2 batch, patches]`, 1 where the student sees nothing.
#![allow(clippy::print_stderr)] // It is a program.

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use dinoscope_core::burn::tensor::{Device, Tensor};
use dinoscope_core::data::Picture;
use dinoscope_core::data::augment::normalize;
use dinoscope_core::device::block_on;
use dinoscope_core::model::params::read;
use dinoscope_core::train::feed::BatchFeeder;
use dinoscope_core::train::preparation::draw_masks;
use dinoscope_core::train::{Recipe, TrainerState, sources, start};
use dinoscope_core::weights::StateDict;
use safetensors::tensor::{Dtype, TensorView, serialize};

/// What a run's steps are given, on standard output.
#[derive(Parser)]
struct Arguments {
    /// A recipe by name.
    preset: String,
    /// How many steps; schedules are not part of it.
    #[arg(long)]
    iterations: u64,
    /// A field of the recipe, as FIELD=VALUE.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
}

fn main() -> ExitCode {
    let broken = |error: &anyhow::Error| {
        error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    match stream(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever listened has enough.
        Err(error) if broken(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("batches: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn stream(arguments: &Arguments) -> Result<()> {
    // One part: accumulation changes nothing but the order.
    let set = [arguments.set.clone(), vec!["train.accumulate=1".to_owned()]].concat();
    let recipe = Recipe::preset(&arguments.preset)?.with_overrides(&set)?;
    let device = Device::flex();
    let source = sources::open(&recipe)?.train;
    let state = start::fill(TrainerState::new(&recipe, &device), &recipe, &device)?;
    let weights = file(&block_on(state.student.state_dict())?)?;
    let header = serde_json::json!({
        "recipe": &recipe,
        "backbone": recipe.backbone(),
        "iterations": arguments.iterations,
        "weights": weights.len(),
    });
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "{header}")?;
    out.write_all(&weights)?;
    let bytes = Bytes::new();
    let mut feed = BatchFeeder::start(source, &recipe, recipe.train.batch, 0, 1, &device);
    for iteration in 0..arguments.iterations {
        let (mut parts, skipped) = feed.next(&recipe, &draw_masks(&recipe, iteration))?;
        for picture in skipped {
            eprintln!("batches: step {iteration}, {}: {}", picture.name, picture.reason);
        }
        let part = parts.pop().context("a batch without parts")?;
        out.write_all(&bytes.of(part.global)?)?;
        if let Some(local) = part.local {
            out.write_all(&bytes.of(local)?)?;
        }
        let masks: Vec<u8> = part.masks.into_data().iter::<bool>().map(u8::from).collect();
        out.write_all(&masks)?;
    }
    Ok(out.flush()?)
}

/// Tensors as a safetensors file.
fn file(tensors: &StateDict) -> Result<Vec<u8>> {
    let numbers = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let raw: Vec<(&String, &[usize], Vec<u8>)> =
        tensors.iter().map(|(name, tensor)| (name, &tensor.shape[..], numbers(&tensor.data))).collect();
    let views: Result<Vec<_>, _> = raw
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<_, safetensors::SafeTensorError>>();
    Ok(serialize(views?, None)?)
}

/// From normalised values back to the bytes that they come from, exactly.
struct Bytes {
    /// For each channel what every byte is.
    values: [Vec<f32>; 3],
}

impl Bytes {
    fn new() -> Self {
        let greys = Picture::of_rgb(256, 1, (0..=255).flat_map(|byte| [byte; 3]).collect());
        let all = normalize(&greys);
        Self { values: [0, 1, 2].map(|channel| all[256 * channel..256 * (channel + 1)].to_vec()) }
    }

    /// Crops `[crops, 3, height, width]` as bytes.
    fn of(&self, crops: Tensor<4>) -> Result<Vec<u8>> {
        let [_, _, height, width] = crops.dims();
        let values = block_on(read(crops))?;
        let mut bytes = Vec::with_capacity(values.len());
        for (plane, values) in values.chunks_exact(height * width).enumerate() {
            let table = &self.values[plane % 3];
            for value in values {
                let byte = table.partition_point(|known| known < value);
                ensure!(table.get(byte) == Some(value), "a crop holds {value}, which no 8-bit picture gives");
                bytes.push(byte as u8);
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dinoscope_core::burn::tensor::TensorData;

    use super::*;

    #[test]
    fn crops_come_back_as_the_bytes_that_they_were_and_nothing_else_does() {
        let rgb: Vec<u8> = (0..3 * 256).map(|i| (7 * i % 256) as u8).collect();
        let picture = Picture::of_rgb(32, 8, rgb.clone());
        let crops = |values: Vec<f32>| {
            Tensor::<4>::from_data(TensorData::new(values, [1, 3, 8, 32]), &Device::flex())
        };
        let mut values = normalize(&picture);
        let bytes = Bytes::new().of(crops(values.clone())).unwrap();
        for (channel, plane) in bytes.chunks_exact(256).enumerate() {
            assert!(plane.iter().eq(rgb.iter().skip(channel).step_by(3)), "channel {channel}");
        }
        values[300] += 1e-3;
        assert!(Bytes::new().of(crops(values)).is_err());
    }
}
