//! Which tensors a pickle holds: in dictionaries of dictionaries, in whole modules, or one alone.

use crate::WeightsError;
use crate::pickle::{Id, Pickle, PickleValue, PickledObject, PickledTensor};
use crate::pickle_torch::name_of;
use crate::source::{Dtype, TensorInfo};
use std::collections::{BTreeMap, BTreeSet};

/// Dictionaries inside dictionaries that are looked through (`{"teacher": {...}}` is one).
const MAX_DEPTH: usize = 4;
/// Modules inside modules.
const MAX_MODULES: usize = 32;
/// Keys and attributes that are looked at, and the length of their names together, whatever the nesting repeats.
const MAX_KEYS: usize = 1 << 18;
const MAX_KEY_BYTES: usize = 32 << 20;
/// Name of a tensor that was saved alone.
pub(crate) const ALONE: &str = "tensor";

/// Tensors, and what else has a key, by dotted key.
type Listed = (BTreeMap<String, PickledTensor>, BTreeMap<String, TensorInfo>);

/// Every tensor of `pickle` by dotted key.
pub(crate) fn list(file: &str, pickle: &Pickle) -> Result<Listed, WeightsError> {
    let mut listing = PthTensorCollector { file, pickle, out: Listed::default(), seen: 0, seen_bytes: 0 };
    match pickle.top() {
        PickleValue::Dict(items) => listing.dictionary(items, "", 0)?,
        PickleValue::Tensor(tensor) => listing.tensor(ALONE.into(), tensor),
        PickleValue::Record(record) if is_module(pickle, record) => listing.module(record, "", 0)?,
        // A dictionary of its own kind.
        PickleValue::Record(record) if !record.items.is_empty() => {
            listing.dictionary(&record.items, "", 0)?
        }
        PickleValue::Opaque(_) | PickleValue::Record(_) => {
            let reason = format!(
                "holds a whole Python object (`{}`), which only its own program can open; there, save the weights with \
                 torch.save(model.state_dict(), …)",
                name_of(pickle.top())
            );
            return Err(WeightsError::format(file, reason));
        }
        _ => return Err(WeightsError::format(file, "holds no dictionary of tensors")),
    }
    Ok(listing.out)
}

/// Whether an object is a `torch.nn.Module`, by the attributes that each has.
fn is_module(pickle: &Pickle, record: &PickledObject) -> bool {
    let attributes = pickle.attributes(record);
    let has = |name: &str| {
        attributes
            .iter()
            .any(|&(key, value)| key == name && matches!(pickle.get(value), PickleValue::Dict(_)))
    };
    has("_parameters") && has("_modules")
}

struct PthTensorCollector<'a> {
    file: &'a str,
    pickle: &'a Pickle,
    out: Listed,
    seen: usize,
    seen_bytes: usize,
}

impl<'a> PthTensorCollector<'a> {
    /// `prefix` and the key's text, or `None` for keys of other kinds: numbers, in optimizer states, never name weights.
    fn name(&mut self, prefix: &str, key: Id) -> Result<Option<String>, WeightsError> {
        self.seen_bytes += prefix.len();
        self.charge(1)?;
        let PickleValue::Text(name) = self.pickle.get(key) else { return Ok(None) };
        if name.len() > 512 {
            return Err(WeightsError::format(self.file, "a key is longer than 512 bytes"));
        }
        Ok(Some(format!("{prefix}{name}")))
    }

    fn charge(&mut self, looked_at: usize) -> Result<(), WeightsError> {
        self.seen += looked_at;
        if self.seen > MAX_KEYS || self.seen_bytes > MAX_KEY_BYTES {
            return Err(WeightsError::format(self.file, "holds more keys than any checkpoint"));
        }
        Ok(())
    }

    fn tensor(&mut self, name: String, tensor: &PickledTensor) {
        let entry = TensorInfo { shape: tensor.shape.clone(), dtype: tensor.dtype.clone() };
        self.out.1.insert(name.clone(), entry);
        self.out.0.insert(name, tensor.clone());
    }

    fn dictionary(&mut self, items: &'a [(Id, Id)], prefix: &str, depth: usize) -> Result<(), WeightsError> {
        for &(key, value) in items {
            let Some(name) = self.name(prefix, key)? else { continue };
            if let PickleValue::Record(record) = self.pickle.get(value) {
                self.charge(self.pickle.attributes(record).len())?;
            }
            match self.pickle.get(value) {
                PickleValue::Dict(inner) if depth < MAX_DEPTH => {
                    self.dictionary(inner, &format!("{name}."), depth + 1)?;
                }
                PickleValue::Tensor(tensor) => self.tensor(name, tensor),
                PickleValue::Record(record) if is_module(self.pickle, record) => {
                    self.module(record, &format!("{name}."), 0)?;
                }
                PickleValue::Record(record) if !record.items.is_empty() && depth < MAX_DEPTH => {
                    self.dictionary(&record.items, &format!("{name}."), depth + 1)?;
                }
                what @ (PickleValue::Opaque(_) | PickleValue::Record(_)) => {
                    let dtype = Dtype::Other(name_of(what), None);
                    self.out.1.insert(name, TensorInfo { shape: Vec::new(), dtype });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The parameters, buffers and modules of a `torch.nn.Module`, under the names that its state dict has.
    fn module(&mut self, record: &'a PickledObject, prefix: &str, depth: usize) -> Result<(), WeightsError> {
        let pickle = self.pickle;
        let attributes = pickle.attributes(record);
        self.charge(attributes.len())?;
        let named = |name: &str| {
            let found = attributes.iter().rev().find(|(key, _)| *key == name);
            found.map(|&(_, value)| pickle.get(value))
        };
        let unsaved: BTreeSet<&str> = match named("_non_persistent_buffers_set") {
            Some(PickleValue::List(items) | PickleValue::Tuple(items)) => {
                let text = |&id: &Id| match pickle.get(id) {
                    PickleValue::Text(name) => Some(name.as_str()),
                    _ => None,
                };
                items.iter().filter_map(text).collect()
            }
            _ => BTreeSet::new(),
        };
        for table in ["_parameters", "_buffers", "_modules"] {
            let Some(PickleValue::Dict(items)) = named(table) else { continue };
            for &(key, value) in items {
                let own = matches!(pickle.get(key), PickleValue::Text(own) if unsaved.contains(own.as_str()));
                let Some(name) = self.name(prefix, key)?.filter(|_| table != "_buffers" || !own) else {
                    continue;
                };
                match pickle.get(value) {
                    PickleValue::Tensor(tensor) if table != "_modules" => self.tensor(name, tensor),
                    PickleValue::Record(inner) if table == "_modules" && depth < MAX_MODULES => {
                        self.module(inner, &format!("{name}."), depth + 1)?;
                    }
                    // A shard of a parameter is told of where it is missed.
                    PickleValue::Opaque(what) if table == "_parameters" => {
                        let dtype = Dtype::Other(what.clone(), None);
                        self.out.1.insert(name, TensorInfo { shape: Vec::new(), dtype });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
