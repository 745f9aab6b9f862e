//! What every kind of weights file offers: names with shapes at once, numbers only when asked for.
//!
//! A file is listed first and read tensor by tensor after the plan is checked, so that a wrong file costs no memory
//! and a large one is held once, as float32.

use crate::{HostTensor, WeightsError};
use std::collections::BTreeMap;
use std::io::{Read, Seek};

/// Something seekable to read from: a file, or bytes in memory.
pub(crate) trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Number type of a stored tensor. Only floats are converted; the rest is known so that it can be named and skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    /// A type that weights are not stored in: its name, and its width in bits if it has one.
    Other(String, Option<usize>),
}

/// Names in safetensors files and in `torch`, and widths in bits, of what is not converted.
const OTHERS: [(&str, &str, usize); 16] = [
    ("I64", "int64", 64),
    ("I32", "int32", 32),
    ("I16", "int16", 16),
    ("I8", "int8", 8),
    ("U64", "uint64", 64),
    ("U32", "uint32", 32),
    ("U16", "uint16", 16),
    ("U8", "uint8", 8),
    ("BOOL", "bool", 8),
    ("F8_E4M3", "float8_e4m3fn", 8),
    ("F8_E5M2", "float8_e5m2", 8),
    ("F8_E8M0", "float8_e8m0fnu", 8),
    ("C64", "complex64", 64),
    ("F6_E2M3", "float6_e2m3", 6),
    ("F6_E3M2", "float6_e3m2", 6),
    ("F4", "float4_e2m1fn_x2", 4),
];

impl Dtype {
    /// From a safetensors header.
    pub fn from_safetensors(name: &str) -> Self {
        match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            _ => Self::Other(name.to_lowercase(), OTHERS.iter().find(|o| o.0 == name).map(|o| o.2)),
        }
    }

    /// From `torch.<name>`, or `None` if torch has no such number type.
    pub fn from_torch(name: &str) -> Option<Self> {
        Some(match name {
            "float64" | "double" => Self::F64,
            "float32" | "float" => Self::F32,
            "float16" | "half" => Self::F16,
            "bfloat16" => Self::Bf16,
            "complex128" => Self::Other(name.into(), Some(128)),
            _ => {
                let known = OTHERS.iter().find(|o| o.1 == name)?;
                Self::Other(name.into(), Some(known.2))
            }
        })
    }

    /// From `torch.<name>PickledStorage`.
    pub fn from_storage(name: &str) -> Option<Self> {
        Self::from_torch(match name.strip_suffix("Storage")? {
            "Double" => "float64",
            "Float" => "float32",
            "Half" => "float16",
            "BFloat16" => "bfloat16",
            "Long" => "int64",
            "Int" => "int32",
            "Short" => "int16",
            "Char" => "int8",
            "Byte" => "uint8",
            "Bool" => "bool",
            "ComplexFloat" => "complex64",
            "ComplexDouble" => "complex128",
            _ => return None,
        })
    }

    /// Width in bits; `None` where that is unknown.
    pub fn bits(&self) -> Option<usize> {
        match self {
            Self::F64 => Some(64),
            Self::F32 => Some(32),
            Self::F16 | Self::Bf16 => Some(16),
            Self::Other(_, bits) => *bits,
        }
    }

    /// Whether weights may be stored so.
    pub fn is_weight(&self) -> bool {
        !matches!(self, Self::Other(..))
    }

    /// Short name for people.
    pub fn name(&self) -> &str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Other(name, _) => name,
        }
    }

    /// Little-endian `bytes` as float32; `None` for a type that is not converted.
    pub fn to_f32(&self, bytes: &[u8]) -> Option<Vec<f32>> {
        Some(match self {
            Self::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            Self::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
            Self::Bf16 => {
                bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect()
            }
            Self::Other(..) => return None,
        })
    }
}

/// A tensor in a file, before it is read.
#[derive(Clone, Debug)]
pub(crate) struct TensorInfo {
    pub shape: Vec<usize>,
    pub dtype: Dtype,
}

/// An opened weights file.
pub(crate) trait WeightsReader {
    /// Name for messages.
    fn file(&self) -> &str;
    /// Every tensor by the file's own key.
    fn entries(&self) -> &BTreeMap<String, TensorInfo>;
    /// String metadata (safetensors only).
    fn metadata(&self) -> &BTreeMap<String, String>;
    /// Read one tensor as float32.
    fn read(&mut self, key: &str) -> Result<HostTensor, WeightsError>;
}

/// Product of `shape`, or `None` where it does not fit.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// The error for a tensor that holds no weights.
pub(crate) fn not_weights(file: &str, key: &str, entry: &TensorInfo) -> WeightsError {
    WeightsError::Dtype {
        file: file.into(),
        key: key.into(),
        shape: entry.shape.clone(),
        dtype: entry.dtype.name().into(),
    }
}

/// Exactly `count` bytes. Memory grows with what arrives, so that a lie about the size costs nothing.
pub(crate) fn read_bytes(
    reader: &mut dyn Read,
    count: usize,
    plausible: usize,
    file: &str,
) -> Result<Vec<u8>, WeightsError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(count.min(plausible)).map_err(|_| {
        WeightsError::format(file, format!("not enough memory for a tensor of {count} bytes"))
    })?;
    reader.take(count as u64).read_to_end(&mut bytes).map_err(|e| WeightsError::io(file, "read", e))?;
    if bytes.len() != count {
        return Err(WeightsError::io(file, "read", std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_exact() {
        let cases = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x8001, -5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ];
        let half = |bits: u16| Dtype::F16.to_f32(&bits.to_le_bytes()).unwrap()[0];
        for (bits, value) in cases {
            assert_eq!(half(bits).to_bits(), f32::to_bits(value), "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn every_float_type_becomes_f32() {
        assert_eq!(Dtype::F64.to_f32(&1.5f64.to_le_bytes()).unwrap(), [1.5]);
        assert_eq!(Dtype::F32.to_f32(&1.5f32.to_le_bytes()).unwrap(), [1.5]);
        assert_eq!(Dtype::Bf16.to_f32(&[0xc0, 0x3f]).unwrap(), [1.5]);
        assert_eq!(Dtype::F16.to_f32(&[0x00, 0x3e]).unwrap(), [1.5]);
        assert!(Dtype::from_safetensors("I64").to_f32(&[0; 8]).is_none());
    }
}
