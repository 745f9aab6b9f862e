//! Parameters of a module by name: in and out of state dicts, gradients, updates.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{ExecutionError, Gradients, Tensor, TensorData};

use dinoscope_base::state_dict::{HostTensor, StateDict};

/// Flat tensors by parameter path, on the plain (graph-free) device.
pub type Named = BTreeMap<String, Tensor<1>>;

struct ParamVisitor<F> {
    path: Vec<String>,
    each: F,
}

/// A parameter as a visitor sees it.
pub struct ParamRef<'a> {
    /// Path in the module, which is the official key for backbones.
    pub name: &'a str,
    /// Extent of each dimension.
    pub shape: Vec<usize>,
    /// Flat value, without a graph.
    pub value: Tensor<1>,
}

impl<F: FnMut(ParamRef)> ModuleVisitor for ParamVisitor<F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().without_autodiff();
        let shape = value.dims().to_vec();
        (self.each)(ParamRef { name: &self.path.join("."), shape, value: value.reshape([-1]) });
    }
}

/// Calls `each` for every parameter.
pub fn visit<M: Module>(module: &M, each: impl FnMut(ParamRef)) {
    module.visit(&mut ParamVisitor { path: Vec::new(), each });
}

/// All parameters, flat.
pub fn values<M: Module>(module: &M) -> Named {
    let mut out = Named::new();
    visit(module, |seen| {
        out.insert(seen.name.to_owned(), seen.value);
    });
    out
}

struct GradientCollector<'a> {
    path: Vec<String>,
    gradients: &'a mut Gradients,
    out: Named,
}

impl ModuleVisitor for GradientCollector<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.gradients) {
            self.out.insert(self.path.join("."), gradient.reshape([-1]));
        }
    }
}

/// Takes the gradients of `module` out of `gradients`; parameters that the loss does not reach are absent.
pub fn take_gradients<M: Module>(module: &M, gradients: &mut Gradients) -> Named {
    let mut collect = GradientCollector { path: Vec::new(), gradients, out: Named::new() };
    module.visit(&mut collect);
    collect.out
}

struct ParamMapper<F> {
    path: Vec<String>,
    each: F,
}

impl<F: FnMut(&str, Tensor<1>) -> Tensor<1>> ModuleMapper for ParamMapper<F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        param.map(|tensor| {
            let (shape, device) = (tensor.dims(), tensor.device());
            let flat = tensor.without_autodiff().reshape([-1]);
            let updated = (self.each)(&name, flat).reshape(shape);
            if device.is_autodiff() { updated.autodiff().require_grad() } else { updated }
        })
    }
}

/// The module with every parameter replaced by what `each` returns for it (flat, without a graph).
pub fn update<M: Module>(module: M, each: impl FnMut(&str, Tensor<1>) -> Tensor<1>) -> M {
    module.map(&mut ParamMapper { path: Vec::new(), each })
}

struct ParamReplacer<F> {
    path: Vec<String>,
    each: F,
}

impl<F: FnMut(&str) -> Option<(Tensor<1>, Vec<usize>)>> ModuleMapper for ParamReplacer<F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((values, shape)) = (self.each)(&self.path.join(".")) else { return param };
        match <[usize; D]>::try_from(shape) {
            Ok(shape) => param.map(|_| values.reshape(shape)),
            Err(_) => param,
        }
    }
}

/// The module with parameters replaced by what `each` returns for their names: values of any number, on any device and with any
/// graph, and the shape to have them in, of as many dimensions as before. The others stay.
pub fn replace<M: Module>(module: M, each: impl FnMut(&str) -> Option<(Tensor<1>, Vec<usize>)>) -> M {
    module.map(&mut ParamReplacer { path: Vec::new(), each })
}

/// Reads a module into a state dict; `key` turns paths into official keys.
///
/// # Errors
/// When the device fails to hand over its memory.
pub async fn state_dict<M: Module>(
    module: &M,
    key: impl Fn(&str) -> String,
) -> Result<StateDict, ExecutionError> {
    let mut handles = Vec::new();
    visit(module, |seen| handles.push((key(seen.name), seen.shape, seen.value)));
    let mut dict = StateDict::new();
    for (name, shape, value) in handles {
        dict.insert(name, HostTensor { shape, data: read(value).await? });
    }
    Ok(dict)
}

/// Fills a module from a state dict that was checked to hold every key with the right number of values.
/// Returns the keys that were missing or of another size; those parameters stay as they were.
pub fn load<M: Module>(module: M, dict: &StateDict, key: impl Fn(&str) -> String) -> (M, Vec<String>) {
    let mut missing = Vec::new();
    let module = update(module, |name, old| {
        let key = key(name);
        match dict.get(&key) {
            Some(found) if found.data.len() == old.dims()[0] => {
                Tensor::from_data(TensorData::new(found.data.clone(), [found.data.len()]), &old.device())
            }
            _ => {
                missing.push(key);
                old
            }
        }
    });
    (module, missing)
}

/// Brings a tensor's values to the host.
///
/// # Errors
/// When the device fails to hand over its memory.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ExecutionError> {
    let data = tensor.into_data_async().await?;
    Ok(data.iter::<f32>().collect())
}
