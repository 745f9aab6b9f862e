//! What stands around weights: newer names, distributed tensors and checkpoints, whole modules, trainers' prefixes.

use super::super::*;
use super::{Pickler, archive, pth, random, renamed, strides, tiny};
use dinoscope_model::config::FfnKind;
use std::collections::BTreeMap;
use std::path::Path;
use zip::CompressionMethod::Stored;

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn rows(tensor: &HostTensor, from: usize, to: usize) -> HostTensor {
    let width: usize = tensor.shape[1..].iter().product();
    let mut shape = tensor.shape.clone();
    shape[0] = to - from;
    HostTensor::new(shape, tensor.data[from * width..to * width].to_vec())
}

/// The names that `state_dict()` of transformers 5.24 has.
fn newest(state: &StateDict) -> StateDict {
    let mut out = StateDict::new();
    for (key, tensor) in state {
        let Some((block, rest)) = shapes::split_block(key) else {
            out.insert(hugging_face::names(key).remove(0), tensor.clone());
            continue;
        };
        let names: Vec<String> = match rest.rsplit_once('.').unwrap() {
            ("attn.qkv", field) => ["q", "k", "v"].map(|n| format!("attention.{n}_proj.{field}")).into(),
            ("attn.proj", field) => vec![format!("attention.o_proj.{field}")],
            ("mlp.w12", field) => ["gate", "up"].map(|n| format!("mlp.{n}_proj.{field}")).into(),
            ("mlp.w3", field) => vec![format!("mlp.down_proj.{field}")],
            ("ls1", _) => vec!["layer_scale1.lambda1".into()],
            ("ls2", _) => vec!["layer_scale2.lambda1".into()],
            _ => vec![rest.to_string()],
        };
        let share = tensor.shape[0] / names.len();
        for (part, name) in names.iter().enumerate() {
            let part = rows(tensor, part * share, (part + 1) * share);
            out.insert(format!("encoder.layer.{block}.{name}"), part);
        }
    }
    out
}

#[test]
fn the_names_of_transformers_in_memory_are_read() {
    for (registers, ffn) in [(0, FfnKind::Mlp), (0, FfnKind::SwiGlu), (4, FfnKind::Mlp), (4, FfnKind::SwiGlu)]
    {
        let state = random(&tiny(registers, ffn));
        let newest = newest(&state);
        assert!(newest.contains_key("encoder.layer.1.attention.q_proj.weight"));
        for prefix in
            ["", "dinov2.", "dinov2_with_registers.", "model.", "model.dinov2.", "module._orig_mod.backbone."]
        {
            let mut named = renamed(&newest, |key| format!("{prefix}{key}"));
            named.insert("classifier.weight".into(), HostTensor::new([10, 64], vec![0.0; 640]));
            let read = from_bytes("memory.pth", &pth(&named, None)).unwrap();
            assert!(read.backbone == state, "{prefix} {registers} {ffn:?}");
            assert_eq!(read.layout, KeyLayout::HuggingFace);
        }
        let mut short = newest.clone();
        short.remove("encoder.layer.1.attention.k_proj.weight");
        let error = from_bytes("memory.pth", &pth(&short, None)).unwrap_err().to_string();
        assert!(error.contains("encoder.layer.1.attention.k_proj.weight"), "{error}");
    }
}

#[test]
fn the_prefixes_of_trainers_are_looked_through() {
    let state = random(&tiny(4, FfnKind::Mlp));
    for prefix in [
        "model.",
        "model.backbone.",
        "backbone.",
        "module.",
        "_orig_mod.",
        "model._orig_mod.",
        "module.model._orig_mod.backbone.",
        "_forward_module.module.net.vit.",
        "_fsdp_wrapped_module.",
        "encoder.",
    ] {
        for outer in [None, Some("state_dict"), Some("model"), Some("module")] {
            let read = from_bytes("x.ckpt", &pth(&renamed(&state, |key| format!("{prefix}{key}")), outer));
            assert!(read.unwrap().backbone == state, "{outer:?} {prefix}");
        }
    }
}

/// A `DTensor` of `whole` of which this process holds `local`.
fn dtensor(p: &mut Pickler, whole: &[usize], local: &HostTensor, key: &str) {
    p.global("torch._tensor", "_rebuild_from_type_v2").raw(b"(");
    p.global("torch._utils", "_rebuild_wrapper_subclass")
        .global("torch.distributed.tensor", "DTensor")
        .raw(b"(");
    p.global("torch.distributed.tensor", "DTensor").global("torch", "float32").sizes(whole);
    p.sizes(&strides(whole)).int(0).global("torch", "strided");
    p.global("torch", "device").text("cpu").raw(b"\x85R\x89t");
    // No `__dict__`, but slots.
    p.raw(b"(N}(").text("_local_tensor");
    p.tensor("FloatStorage", key, local.data.len(), (0, &local.shape, &strides(&local.shape)));
    p.text("_spec")
        .global("torch.distributed.tensor._dtensor_spec", "DTensorSpec")
        .raw(b")\x81}")
        .text("mesh");
    p.global("torch.distributed.device_mesh", "DeviceMesh").raw(b")\x81sbuttR");
}

fn distributed(state: &StateDict, share: impl Fn(&HostTensor) -> HostTensor) -> Vec<u8> {
    let mut pickle = Pickler::new();
    pickle.raw(b"}").text("model").raw(b"}(");
    let mut storages = Vec::new();
    for (i, (key, tensor)) in state.iter().enumerate() {
        let local = share(tensor);
        pickle.text(key);
        dtensor(&mut pickle, &tensor.shape, &local, &i.to_string());
        storages.push((i.to_string(), bytes(&local.data)));
    }
    pickle.raw(b"us.");
    archive(&pickle.0, &storages, Stored)
}

#[test]
fn distributed_tensors_are_read_where_they_are_whole() {
    let state = random(&tiny(0, FfnKind::Mlp));
    assert!(from_bytes("one.pt", &distributed(&state, Clone::clone)).unwrap().backbone == state);
    let half = |tensor: &HostTensor| rows(tensor, 0, tensor.shape[0].div_ceil(2));
    let error = from_bytes("rank0.pt", &distributed(&state, half)).unwrap_err().to_string();
    for part in ["rank0.pt", "one process", "dcp_to_torch", "full_state_dict"] {
        assert!(error.contains(part), "{error}");
    }
}

/// A name, and what writes the value.
type Attribute<'a> = (&'a str, &'a dyn Fn(&mut Pickler));

/// An object of `torch.distributed.checkpoint.metadata` with attributes.
fn object(p: &mut Pickler, class: &str, attributes: &[Attribute]) {
    p.global("torch.distributed.checkpoint.metadata", class).raw(b")\x81}(");
    for (name, write) in attributes {
        p.text(name);
        write(p);
    }
    p.raw(b"ub");
}

fn size(p: &mut Pickler, sizes: &[usize]) {
    p.global("torch", "Size").sizes(sizes).raw(b"\x85R");
}

/// Writes `state` as a distributed checkpoint whose tensors are split by rows among `ranks` files.
fn checkpoint_folder(folder: &Path, state: &StateDict, ranks: usize) {
    let mut files: Vec<Vec<u8>> = vec![Vec::new(); ranks];
    let mut index = Vec::new();
    for (key, tensor) in state {
        let step = tensor.shape[0].div_ceil(ranks);
        for (rank, file) in files.iter_mut().enumerate() {
            let (from, to) = ((rank * step).min(tensor.shape[0]), ((rank + 1) * step).min(tensor.shape[0]));
            if from == to {
                continue;
            }
            let piece = rows(tensor, from, to);
            let mut pickle = Pickler::new();
            let view = (0, &piece.shape[..], &strides(&piece.shape)[..]);
            pickle.tensor("FloatStorage", "0", piece.data.len(), view).raw(b".");
            let saved = archive(&pickle.0, &[("0".into(), bytes(&piece.data))], Stored);
            let mut offsets = vec![0; piece.shape.len()];
            offsets[0] = from;
            index.push((key.clone(), offsets, piece.shape.clone(), rank, file.len(), saved.len()));
            file.extend(saved);
        }
    }
    let mut p = Pickler::new();
    let described = |p: &mut Pickler| {
        p.raw(b"}(");
        for (key, tensor) in state {
            let properties = |p: &mut Pickler| {
                let state = |p: &mut Pickler| {
                    p.raw(b"(").global("torch", "float32").raw(b"\x89t");
                };
                p.global("torch.distributed.checkpoint.metadata", "TensorProperties").raw(b")\x81");
                state(p);
                p.raw(b"b");
            };
            let chunks = |p: &mut Pickler| {
                p.raw(b"](");
                for (_, offsets, sizes, ..) in index.iter().filter(|(name, ..)| name == key) {
                    let (offsets, sizes) =
                        (|p: &mut Pickler| size(p, offsets), |p: &mut Pickler| size(p, sizes));
                    object(p, "ChunkStorageMetadata", &[("offsets", &offsets), ("sizes", &sizes)]);
                }
                p.raw(b"e");
            };
            let whole = |p: &mut Pickler| size(p, &tensor.shape);
            p.text(&format!("model.{key}"));
            object(
                p,
                "TensorStorageMetadata",
                &[("properties", &properties), ("size", &whole), ("chunks", &chunks)],
            );
        }
        p.text("step");
        object(p, "BytesStorageMetadata", &[]);
        p.raw(b"u");
    };
    let stored = |p: &mut Pickler| {
        p.raw(b"}(");
        for (key, offsets, _, rank, start, length) in &index {
            let name = |p: &mut Pickler| {
                p.text(&format!("model.{key}"));
            };
            let offset = |p: &mut Pickler| size(p, offsets);
            object(
                p,
                "MetadataIndex",
                &[
                    ("fqn", &name),
                    ("offset", &offset),
                    ("index", &|p| {
                        p.int(0);
                    }),
                ],
            );
            let file = |p: &mut Pickler| {
                p.text(&format!("__{rank}_0.distcp"));
            };
            let (start, length) = (
                |p: &mut Pickler| {
                    p.int(*start);
                },
                |p: &mut Pickler| {
                    p.int(*length);
                },
            );
            object(p, "_StorageInfo", &[("relative_path", &file), ("offset", &start), ("length", &length)]);
        }
        p.raw(b"u");
    };
    object(&mut p, "Metadata", &[("state_dict_metadata", &described), ("storage_data", &stored)]);
    p.raw(b".");
    std::fs::write(folder.join(".metadata"), &p.0).unwrap();
    for (rank, file) in files.iter().enumerate() {
        std::fs::write(folder.join(format!("__{rank}_0.distcp")), file).unwrap();
    }
}

#[test]
fn distributed_checkpoints_are_read_from_their_pieces() {
    let state = random(&tiny(4, FfnKind::SwiGlu));
    for ranks in [1, 2, 3] {
        let folder = tempfile::tempdir().unwrap();
        checkpoint_folder(folder.path(), &state, ranks);
        for named in
            [folder.path().to_owned(), folder.path().join(".metadata"), folder.path().join("__0_0.distcp")]
        {
            assert!(load(&named).unwrap().backbone == state, "{ranks} {}", named.display());
        }
        let seen = inspect(folder.path()).unwrap();
        assert_eq!((seen.problem, seen.tensors.len()), (None, state.len()));

        // A process's file was not copied, or only in part.
        let last = folder.path().join(format!("__{}_0.distcp", ranks - 1));
        let file = std::fs::read(&last).unwrap();
        std::fs::write(&last, &file[..file.len() / 2]).unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("truncated"));
        std::fs::remove_file(&last).unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("__{}_0.distcp", ranks - 1)) && error.contains("not there"),
            "{error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".metadata"), b"\x80\x02}.").unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("dcp_to_torch") && error.contains(&folder.path().display().to_string()),
        "{error}"
    );
}

/// A module of parameters and modules below it.
#[derive(Default)]
struct Module<'a> {
    parameters: BTreeMap<String, &'a HostTensor>,
    modules: BTreeMap<String, Module<'a>>,
}

impl<'a> Module<'a> {
    fn of(state: &'a StateDict) -> Self {
        let mut top = Self::default();
        for (key, tensor) in state {
            let (path, name) = key.rsplit_once('.').unwrap_or(("", key));
            let inner = path.split('.').filter(|part| !part.is_empty());
            let module = inner.fold(&mut top, |module, part| module.modules.entry(part.into()).or_default());
            module.parameters.insert(name.into(), tensor);
        }
        top
    }

    fn write(&self, p: &mut Pickler, storages: &mut Vec<(String, Vec<u8>)>) {
        let mut tensor = |p: &mut Pickler, tensor: &HostTensor| {
            let key = storages.len().to_string();
            p.tensor("FloatStorage", &key, tensor.data.len(), (0, &tensor.shape, &strides(&tensor.shape)));
            storages.push((key, bytes(&tensor.data)));
        };
        p.global("my.own.vision_transformer", "Block").raw(b")\x81}(").text("training").raw(b"\x88");
        p.text("_parameters").global("collections", "OrderedDict").raw(b")R(");
        for (name, parameter) in &self.parameters {
            p.text(name).global("torch._utils", "_rebuild_parameter").raw(b"(");
            tensor(p, parameter);
            p.raw(b"\x88").global("collections", "OrderedDict").raw(b")RtR");
        }
        p.text("absent").raw(b"Nu");
        p.text("_buffers").raw(b"}(").text("scratch");
        tensor(p, &HostTensor::new([2], vec![1.0, 2.0]));
        p.raw(b"u")
            .text("_non_persistent_buffers_set")
            .global("__builtin__", "set")
            .raw(b"(]")
            .text("scratch");
        p.raw(b"atR").text("act").global("torch._C._nn", "gelu").text("_modules").raw(b"}(");
        for (name, module) in &self.modules {
            p.text(name);
            module.write(p, storages);
        }
        p.raw(b"uub");
    }
}

#[test]
fn whole_modules_give_their_tensors_without_being_run() {
    let state = random(&tiny(4, FfnKind::Mlp));
    let module = Module::of(&state);
    for outer in [false, true] {
        let (mut p, mut storages) = (Pickler::new(), Vec::new());
        if outer {
            p.raw(b"}").text("ema");
        }
        module.write(&mut p, &mut storages);
        p.raw(if outer { b"s." } else { b"." });
        let file = archive(&p.0, &storages, Stored);
        let read = from_bytes("model.pt", &file).unwrap();
        assert!(read.backbone == state);
        let seen = inspect_bytes("model.pt", &file).unwrap();
        assert_eq!(seen.tensors.len(), state.len(), "nothing that a state dict lacks");
    }
    // A name that only an attack uses is refused inside a module as anywhere.
    let (mut p, mut storages) = (Pickler::new(), Vec::new());
    p.raw(b"}").text("a").global("os", "system").raw(b"s0");
    module.write(&mut p, &mut storages);
    p.raw(b".");
    assert!(matches!(from_bytes("x", &archive(&p.0, &storages, Stored)), Err(WeightsError::Refused { .. })));
}

#[test]
fn modules_that_hold_themselves_end() {
    let mut p = Pickler::new();
    p.global("a", "B").raw(b")\x81q\x00}(").text("_parameters").raw(b"}").text("_modules").raw(b"}(");
    for i in 0..60 {
        p.text(&i.to_string()).raw(b"h\x00");
    }
    p.raw(b"uub.");
    assert!(from_bytes("x", &archive(&p.0, &[], Stored)).is_err());
}

#[test]
fn safetensors_without_metadata_may_say_so() {
    let state = random(&tiny(0, FfnKind::Mlp));
    let mut file = Vec::new();
    safetensors::write(&mut file, &mut official::as_is(&state), &[], WeightsDtype::F32).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(file[8..8 + length].to_vec()).unwrap();
    assert!(header.contains(r#""__metadata__":{}"#));
    let header = header.replace(r#""__metadata__":{}"#, r#""__metadata__":null"#);
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&file[8 + length..]);
    assert!(from_bytes("x.safetensors", &out).unwrap().backbone == state);
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_name() {
    let state = random(&tiny(0, FfnKind::Mlp));
    let mut broken = state.clone();
    broken.get_mut("norm.bias").unwrap().data[3] = f32::NAN;
    broken.get_mut("blocks.1.mlp.fc1.weight").unwrap().data[..2].fill(f32::INFINITY);
    let file = pth(&broken, Some("teacher"));
    let error = from_bytes("diverged.pth", &file).unwrap_err();
    assert!(matches!(error, WeightsError::NotFinite { values: 3, broken: 2, .. }), "{error}");
    let text = error.to_string();
    for part in ["diverged.pth", "`teacher.norm.bias`", "`teacher.blocks.1.mlp.fc1.weight`", "3 values"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(inspect_bytes("diverged.pth", &file).unwrap().non_finite, 3);

    // A head is left out; the backbone is as good as ever.
    let mut state = renamed(&state, |key| format!("backbone.{key}"));
    for (key, shape) in [
        ("mlp.weight", vec![8, 32]),
        ("mlp.bias", vec![8]),
        ("last_layer.weight_g", vec![4, 1]),
        ("last_layer.weight_v", vec![4, 8]),
    ] {
        let count = shape.iter().product();
        state.insert(format!("dino_head.{key}"), HostTensor::new(shape, vec![0.5; count]));
    }
    assert!(from_bytes("x", &pth(&state, None)).unwrap().heads.contains_key("dino_head"));
    state.get_mut("dino_head.mlp.bias").unwrap().data[0] = f32::NEG_INFINITY;
    let read = from_bytes("x", &pth(&state, None)).unwrap();
    assert!(
        read.heads.is_empty() && read.notes.iter().any(|n| n.contains("dino_head.mlp.bias")),
        "{:?}",
        read.notes
    );
}
