//! Tests of reading, writing and refusing weights, and the tools they share: fixtures, a pickle writer, a generator.
#![allow(clippy::unwrap_used)]

mod dinov3;
mod download;
mod files;
mod grids;
mod hostile;
mod kin;
mod layouts;
mod parts;
mod pickles;
mod told;
mod wrappings;

use super::{HostTensor, StateDict, expected_shapes};
use dinoscope_model::config::{FfnKind, PosEmbedInterpolation, VitConfig, swiglu_hidden};
use std::io::{Cursor, Write};
use std::path::PathBuf;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Path of a reference case.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap())
        .join("../../tests/fixtures/weights")
        .join(name)
}

/// Every reference file that holds weights.
pub const FIXTURES: [&str; 5] = [
    "official_vit.pth",
    "official_vit_reg4.pth",
    "hf_dinov2/model.safetensors",
    "hf_dinov2_registers/model.safetensors",
    "hf_dinov2_swiglu/model.safetensors",
];

/// Reproducible noise (SplitMix64).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A small backbone of every kind.
pub fn tiny(registers: usize, ffn: FfnKind) -> VitConfig {
    let mut config = VitConfig::new(28, 7, 32, 2, 2).with_registers(registers);
    if registers > 0 {
        config.interpolation = PosEmbedInterpolation::ANTIALIAS;
    }
    if ffn == FfnKind::SwiGlu {
        (config.ffn, config.hidden) = (ffn, swiglu_hidden(4 * config.dim));
    }
    config
}

/// Noise in the shape of `config`.
pub fn random(config: &VitConfig) -> StateDict {
    let mut noise = Noise(config.parameters() as u64);
    let fill = |(key, shape): (String, Vec<usize>)| {
        let count = shape.iter().product();
        let data = (0..count).map(|_| (noise.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
        (key, HostTensor::new(shape, data))
    };
    expected_shapes(config).into_iter().map(fill).collect()
}

/// Assembles pickles of protocol 2 as `torch.save` writes them.
#[derive(Default)]
pub struct Pickler(pub Vec<u8>);

impl Pickler {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn global(&mut self, module: &str, name: &str) -> &mut Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    pub fn int(&mut self, value: usize) -> &mut Self {
        self.raw(b"J").raw(&(value as u32).to_le_bytes())
    }

    pub fn sizes(&mut self, sizes: &[usize]) -> &mut Self {
        self.raw(b"(");
        for &size in sizes {
            self.int(size);
        }
        self.raw(b"t")
    }

    /// A tensor over storage `key` of `count` elements of `class`.
    pub fn tensor(
        &mut self,
        class: &str,
        key: &str,
        count: usize,
        view: (usize, &[usize], &[usize]),
    ) -> &mut Self {
        self.global("torch._utils", "_rebuild_tensor_v2").raw(b"((");
        self.text("storage").global("torch", class).text(key).text("cpu").int(count).raw(b"tQ");
        self.int(view.0).sizes(view.1).sizes(view.2).raw(b"\x89");
        self.global("collections", "OrderedDict").raw(b")RtR")
    }
}

/// Strides of a contiguous tensor.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// A `.pth` in memory with the given pickle and storages.
pub fn archive(pickle: &[u8], storages: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    let mut add = |name: String, bytes: &[u8]| {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    add("archive/data.pkl".into(), pickle);
    add("archive/byteorder".into(), b"little");
    for (key, bytes) in storages {
        add(format!("archive/data/{key}"), bytes);
    }
    zip.finish().unwrap().into_inner()
}

/// A `.pth` of float32 tensors; `outer` wraps the dictionary (`{"teacher": {...}}`).
pub fn pth(state: &StateDict, outer: Option<&str>) -> Vec<u8> {
    let mut pickle = Pickler::new();
    if let Some(outer) = outer {
        pickle.raw(b"}").text(outer);
    }
    pickle.global("collections", "OrderedDict").raw(b")R(");
    let mut storages = Vec::new();
    for (i, (key, tensor)) in state.iter().enumerate() {
        let view = (0, &tensor.shape[..], &strides(&tensor.shape)[..]);
        pickle.text(key).tensor("FloatStorage", &i.to_string(), tensor.data.len(), view);
        storages.push((i.to_string(), tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect()));
    }
    pickle.raw(b"u");
    if outer.is_some() {
        pickle.raw(b"s");
    }
    pickle.raw(b".");
    archive(&pickle.0, &storages, CompressionMethod::Stored)
}

/// `state` with every key renamed.
pub fn renamed(state: &StateDict, rename: impl Fn(&str) -> String) -> StateDict {
    state.iter().map(|(key, tensor)| (rename(key), tensor.clone())).collect()
}
