//! Which names a pickle may use, and what the few known ones stand for.
//!
//! Three verdicts: known (a constructor below, written in Rust), opaque (kept as a name, never called; in place of what a
//! call would make there is a record of what was put into it), refused (a name that only an attack uses; the whole file is
//! turned down so that its owner learns about it).

use crate::pickle::{
    Id, Outcome, PickleError, PickleValue, PickledObject, PickledStorage, PickledTensor, Unpickler, malformed,
};
use crate::source::Dtype;

/// A name that is understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PickleGlobal {
    /// `collections.OrderedDict`, `defaultdict`, `dict`.
    Dict,
    /// `torch.Size`, `tuple`, `list`, `set`: returns its argument.
    Same,
    /// `torch._utils._rebuild_tensor_v2` and `_v3`, which names the number type in its seventh argument.
    Tensor { v3: bool },
    /// `torch._utils._rebuild_parameter`: a tensor with flags around it.
    Parameter,
    /// `torch._tensor._rebuild_from_type_v2(function, type, arguments, state)`.
    FromType,
    /// `torch._utils._rebuild_wrapper_subclass`: a tensor around another one, such as a `DTensor`.
    Wrapper,
    /// `torch.FloatStorage`, …; `None` for an untyped storage.
    Storage(Option<Dtype>),
    /// `torch.float32`, ….
    Dtype(Dtype),
}

/// Modules that reach outside the process or run code given as text.
const REFUSED_MODULES: [&str; 34] = [
    "os",
    "posix",
    "nt",
    "posixpath",
    "ntpath",
    "subprocess",
    "_posixsubprocess",
    "sys",
    "shutil",
    "socket",
    "_socket",
    "runpy",
    "pty",
    "importlib",
    "ctypes",
    "_ctypes",
    "code",
    "codeop",
    "commands",
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "webbrowser",
    "urllib",
    "urllib2",
    "http",
    "requests",
    "asyncio",
    "multiprocessing",
    "pip",
    "timeit",
];
/// The same among Python's built-in functions.
const REFUSED_BUILTINS: [&str; 10] =
    ["eval", "exec", "execfile", "compile", "open", "__import__", "input", "breakpoint", "apply", "globals"];
/// The same inside modules that are harmless otherwise.
const REFUSED_NAMES: [&str; 7] = [
    "torch.load",
    "torch.serialization.load",
    "torch.hub.load",
    "torch.hub.download_url_to_file",
    "types.FunctionType",
    "types.CodeType",
    "operator.methodcaller",
];

/// What stands for a tensor of which only some rows are in the file.
pub(crate) const SHARD: &str = "one process's rows of a DTensor";

/// What `module.name` is to be taken for.
pub(crate) fn judge(module: &str, name: &str) -> Outcome<PickleValue> {
    let full = format!("{module}.{name}");
    let outer = module.split('.').next().unwrap_or(module);
    let builtin = matches!(module, "builtins" | "__builtin__");
    if REFUSED_MODULES.contains(&outer)
        || (builtin && REFUSED_BUILTINS.contains(&name.split('.').next().unwrap_or(name)))
        || REFUSED_NAMES.contains(&full.as_str())
    {
        return Err(PickleError::Refused(full));
    }
    let known = match (module, name) {
        ("collections", "OrderedDict" | "defaultdict") => PickleGlobal::Dict,
        ("torch", "Size") => PickleGlobal::Same,
        ("torch._utils", "_rebuild_tensor_v2") => PickleGlobal::Tensor { v3: false },
        ("torch._utils", "_rebuild_tensor_v3") => PickleGlobal::Tensor { v3: true },
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => PickleGlobal::Parameter,
        ("torch._tensor", "_rebuild_from_type_v2") => PickleGlobal::FromType,
        ("torch._utils", "_rebuild_wrapper_subclass") => PickleGlobal::Wrapper,
        ("torch.storage", "UntypedStorage" | "TypedStorage") | ("torch", "UntypedStorage") => {
            PickleGlobal::Storage(None)
        }
        (_, "dict") if builtin => PickleGlobal::Dict,
        (_, "list" | "tuple" | "set" | "frozenset") if builtin => PickleGlobal::Same,
        ("torch" | "torch.cuda", _) => match (Dtype::from_storage(name), Dtype::from_torch(name)) {
            (Some(dtype), _) => PickleGlobal::Storage(Some(dtype)),
            (None, Some(dtype)) => PickleGlobal::Dtype(dtype),
            _ => return Ok(PickleValue::Opaque(full)),
        },
        _ => return Ok(PickleValue::Opaque(full)),
    };
    Ok(PickleValue::Global(known))
}

/// An object of the class `class` that holds nothing yet.
pub(crate) fn record(class: String) -> PickleValue {
    PickleValue::Record(Box::new(PickledObject { class, ..PickledObject::default() }))
}

/// A name for an object that is not understood.
pub(crate) fn name_of(node: &PickleValue) -> String {
    match node {
        PickleValue::Opaque(name) => name.clone(),
        PickleValue::Record(record) => record.class.clone(),
        PickleValue::Global(known) => format!("{known:?}"),
        _ => "an object without a name".into(),
    }
}

/// What a call gives.
pub(crate) enum PickleCallResult {
    /// A new value.
    New(PickleValue),
    /// One of its arguments.
    Same(Id),
}

/// What calling `callee` would give: built here for known names, an inert record for others.
pub(crate) fn construct(machine: &mut Unpickler, callee: Id, arguments: &[Id]) -> Outcome<PickleCallResult> {
    let known = match machine.get(callee) {
        PickleValue::Global(known) => known.clone(),
        other => {
            let mut class = name_of(other);
            // Python's own makers name the class in their first argument.
            if matches!(class.rsplit('.').next(), Some("_reconstructor" | "__newobj__" | "__newobj_ex__"))
                && let Some(&first) = arguments.first()
            {
                class = name_of(machine.get(first));
            }
            return Ok(PickleCallResult::New(record(class)));
        }
    };
    let node = match known {
        PickleGlobal::Same | PickleGlobal::Parameter => {
            return match (known, arguments) {
                (PickleGlobal::Same, []) => Ok(PickleCallResult::New(PickleValue::List(Vec::new()))),
                (PickleGlobal::Same, [only]) | (_, [only, ..]) => Ok(PickleCallResult::Same(*only)),
                _ => malformed("a parameter without a tensor"),
            };
        }
        PickleGlobal::Dict => {
            // Looking through a long list costs time even if it holds no pairs.
            if let Some(PickleValue::List(items) | PickleValue::Tuple(items)) =
                arguments.last().map(|&id| machine.get(id))
            {
                machine.charge(items.len())?;
            }
            let pairs = pairs(machine, arguments);
            Ok(PickleValue::Dict(pairs))
        }
        PickleGlobal::Tensor { v3 } => tensor(machine, arguments, v3),
        PickleGlobal::FromType => {
            let (Some(&function), Some(&inner)) = (arguments.first(), arguments.get(2)) else {
                return malformed("a tensor type without arguments");
            };
            match (machine.get(function), machine.get(inner)) {
                (PickleValue::Global(PickleGlobal::Tensor { v3 }), PickleValue::Tuple(inner)) => {
                    tensor(machine, inner, *v3)
                }
                (PickleValue::Global(PickleGlobal::Wrapper), PickleValue::Tuple(inner)) => {
                    distributed(machine, arguments, inner)
                }
                (function, _) => Ok(PickleValue::Opaque(name_of(function))),
            }
        }
        PickleGlobal::Wrapper => Ok(PickleValue::Opaque("torch._utils._rebuild_wrapper_subclass".into())),
        PickleGlobal::Storage(_) | PickleGlobal::Dtype(_) => {
            Ok(PickleValue::Opaque("a storage inside the pickle".into()))
        }
    }?;
    Ok(PickleCallResult::New(node))
}

/// A `DTensor`: `outer` is `(function, type, arguments, state)`, `inner` its arguments, the third of which is the size of
/// the whole. The rows that this process held are in the state; they are the tensor where they are all of it.
fn distributed(machine: &Unpickler, outer: &[Id], inner: &[Id]) -> Outcome<PickleValue> {
    let class = outer.get(1).map_or_else(String::new, |&class| name_of(machine.get(class)));
    let (Some(&state), Some(&whole)) = (outer.get(3), inner.get(2)) else {
        return Ok(PickleValue::Opaque(class));
    };
    let held = match machine.get(state) {
        // `__dict__` and slots.
        PickleValue::Tuple(both) if both.len() == 2 => both.iter().find_map(|&part| local(machine, part)),
        _ => local(machine, state),
    };
    Ok(match held {
        Some(tensor) if tensor.shape == sizes(machine, whole)? => {
            PickleValue::Tensor(Box::new(tensor.clone()))
        }
        Some(_) => PickleValue::Opaque(SHARD.into()),
        None => PickleValue::Opaque(class),
    })
}

fn local<'m>(machine: &'m Unpickler, state: Id) -> Option<&'m PickledTensor> {
    let PickleValue::Dict(items) = machine.get(state) else { return None };
    let named = |key: Id| matches!(machine.get(key), PickleValue::Text(name) if name == "_local_tensor");
    let value = items.iter().find(|(key, _)| named(*key))?.1;
    if let PickleValue::Tensor(tensor) = machine.get(value) { Some(tensor) } else { None }
}

/// The items of `OrderedDict([[key, value], …])`; other arguments (a `defaultdict`'s factory) hold none.
fn pairs(machine: &Unpickler, arguments: &[Id]) -> Vec<(Id, Id)> {
    let mut pairs = Vec::new();
    if let Some(PickleValue::List(items) | PickleValue::Tuple(items)) =
        arguments.last().map(|&id| machine.get(id))
    {
        for &item in items {
            if let PickleValue::Tuple(pair) | PickleValue::List(pair) = machine.get(item)
                && let [key, value] = pair[..]
            {
                pairs.push((key, value));
            }
        }
    }
    pairs
}

fn tensor(machine: &Unpickler, arguments: &[Id], v3: bool) -> Outcome<PickleValue> {
    let [storage, offset, shape, strides, rest @ ..] = arguments else {
        return malformed("a tensor without storage, offset, shape and strides");
    };
    let storage = match machine.get(*storage) {
        PickleValue::Storage(storage) => storage.clone(),
        other @ (PickleValue::Opaque(_) | PickleValue::Record(_)) => {
            return Ok(PickleValue::Opaque(name_of(other)));
        }
        _ => return malformed("a tensor whose storage is not one"),
    };
    let named = match rest.get(2).filter(|_| v3).map(|&id| machine.get(id)) {
        Some(PickleValue::Global(PickleGlobal::Dtype(dtype))) => Some(dtype.clone()),
        Some(other) => Some(Dtype::Other(name_of(other), None)),
        None => None,
    };
    let Some(dtype) = named.or_else(|| storage.dtype.clone()) else {
        return malformed("a tensor over an untyped storage without a number type");
    };
    let (shape, strides) = (sizes(machine, *shape)?, sizes(machine, *strides)?);
    if shape.len() != strides.len() {
        return malformed("a tensor with as many strides as dimensions was expected");
    }
    let offset = size(machine, *offset)?;
    Ok(PickleValue::Tensor(Box::new(PickledTensor { storage, dtype, offset, shape, strides })))
}

fn size(machine: &Unpickler, id: Id) -> Outcome<usize> {
    match machine.get(id) {
        PickleValue::Int(n) => usize::try_from(*n).or_else(|_| malformed(format!("{n} is not a size"))),
        _ => malformed("a size that is not a number"),
    }
}

fn sizes(machine: &Unpickler, id: Id) -> Outcome<Vec<usize>> {
    match machine.get(id) {
        // Far above what any weight has.
        PickleValue::Tuple(items) | PickleValue::List(items) if items.len() <= 16 => {
            items.iter().map(|&id| size(machine, id)).collect()
        }
        _ => malformed("a shape that is not a short tuple"),
    }
}

/// `('storage', torch.FloatStorage, key, location, count[, view])`.
pub(crate) fn persistent(machine: &Unpickler, id: Id) -> Outcome<PickleValue> {
    let PickleValue::Tuple(items) = machine.get(id) else {
        return malformed("a persistent id that is not a tuple");
    };
    // Older versions of torch put a module's class beside its source text: ('module', class, file, source).
    if let [tag, class, _, _] = items[..]
        && matches!(machine.get(tag), PickleValue::Text(tag) if tag == "module")
    {
        return Ok(machine.get(class).clone());
    }
    let [tag, class, key, _location, count, view @ ..] = &items[..] else {
        return malformed("a persistent id of unknown form");
    };
    if !matches!(machine.get(*tag), PickleValue::Text(tag) if tag == "storage") {
        return malformed("a persistent id that is not a storage");
    }
    if view.first().is_some_and(|&view| !matches!(machine.get(view), PickleValue::None)) {
        return malformed("a storage that is a view of another; save the file again with a newer torch");
    }
    let dtype = match machine.get(*class) {
        PickleValue::Global(PickleGlobal::Storage(dtype)) => dtype.clone(),
        other => Some(Dtype::Other(name_of(other), None)),
    };
    let key = match machine.get(*key) {
        PickleValue::Text(key) if key.len() <= 64 => key.clone(),
        PickleValue::Int(key) => key.to_string(),
        _ => return malformed("a storage without a short key"),
    };
    Ok(PickleValue::Storage(PickledStorage { key, dtype, count: size(machine, *count)? }))
}
