//! Files of `torch.save`: what is honoured, and that nothing is ever executed.

use super::super::*;
use super::{Pickler, archive, pth, random, strides, tiny};
use dinoscope_model::config::FfnKind;
use zip::CompressionMethod::{Deflated, Stored};

fn message(bytes: &[u8]) -> String {
    from_bytes("evil.pth", bytes).unwrap_err().to_string()
}

/// `state` with `write` called where its first key's value would be pickled.
fn with_value(
    state: &StateDict,
    key: &str,
    mut write: impl FnMut(&mut Pickler),
) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let mut pickle = Pickler::new();
    pickle.raw(b"}(");
    let mut storages = Vec::new();
    for (i, (name, tensor)) in state.iter().filter(|(name, _)| *name != key).enumerate() {
        let view = (0, &tensor.shape[..], &strides(&tensor.shape)[..]);
        pickle.text(name).tensor("FloatStorage", &i.to_string(), tensor.data.len(), view);
        storages.push((i.to_string(), tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect()));
    }
    pickle.text(key);
    write(&mut pickle);
    pickle.raw(b"u.");
    (pickle.0, storages)
}

#[test]
fn a_call_to_the_shell_is_refused_by_name() {
    let state = random(&tiny(0, FfnKind::Mlp));
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("__builtin__", "__import__"),
        ("runpy", "_run_code"),
        ("importlib.util", "find_spec"),
        ("torch", "load"),
    ] {
        let (pickle, storages) = with_value(&state, "bonus", |p| {
            p.global(module, name).text("touch /tmp/never").raw(b"\x85R");
        });
        let error = from_bytes("evil.pth", &archive(&pickle, &storages, Stored)).unwrap_err();
        assert!(matches!(&error, WeightsError::Refused { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("{module}.{name}")) && text.contains("evil.pth"), "{text}");
    }
    // The same through the newer opcode, and without a call.
    let mut pickle = Pickler(vec![0x80, 4]);
    pickle.raw(b"\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.");
    assert!(message(&archive(&pickle.0, &[], Stored)).contains("posix.system"));
}

#[test]
fn unknown_objects_are_left_closed() {
    let state = random(&tiny(0, FfnKind::Mlp));
    let (pickle, storages) = with_value(&state, "args", |p| {
        p.global("argparse", "Namespace").raw(b")\x81}").text("lr").raw(b"G\x3f\xf0\0\0\0\0\0\0sb");
    });
    let read = from_bytes("x.pth", &archive(&pickle, &storages, Stored)).unwrap();
    assert_eq!(read.backbone, state);
    assert!(
        read.notes.iter().any(|n| n.contains("args") && n.contains("argparse.Namespace")),
        "{:?}",
        read.notes
    );

    // Where a tensor is needed, an object is an error that names key and object.
    let (pickle, storages) = with_value(&state, "norm.bias", |p| {
        p.global("numpy.core.multiarray", "scalar").raw(b")R");
    });
    let text = message(&archive(&pickle, &storages, Stored));
    assert!(text.contains("norm.bias") && text.contains("numpy.core.multiarray.scalar"), "{text}");

    let mut whole = Pickler::new();
    whole.global("dinov2.models.vision_transformer", "DinoVisionTransformer").raw(b")\x81}b.");
    let text = message(&archive(&whole.0, &[], Stored));
    assert!(text.contains("DinoVisionTransformer") && text.contains("state_dict"), "{text}");
}

#[test]
fn parameters_metadata_and_newer_protocols() {
    let state = random(&tiny(0, FfnKind::Mlp));
    let bias = &state["norm.bias"];
    let storage = ("p".to_string(), bias.data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    let (mut pickle, mut storages) = with_value(&state, "norm.bias", |p| {
        p.global("torch._utils", "_rebuild_parameter").raw(b"(");
        p.tensor("FloatStorage", "p", 32, (0, &[32], &[1]))
            .raw(b"\x88")
            .global("collections", "OrderedDict")
            .raw(b")RtR");
    });
    storages.push(storage);
    // `_metadata` of a state dict arrives as object state.
    pickle.pop();
    pickle.extend_from_slice(b"}X\x09\0\0\0_metadata}sb.");
    assert_eq!(from_bytes("x.pth", &archive(&pickle, &storages, Stored)).unwrap().backbone, state);
    for protocol in [3, 4, 5] {
        pickle[1] = protocol;
        let framed = [&pickle[..2], &[0x95], &(pickle.len() as u64 - 2).to_le_bytes(), &pickle[2..]].concat();
        assert_eq!(from_bytes("x.pth", &archive(&framed, &storages, Stored)).unwrap().backbone, state);
    }
    for protocol in [0, 1, 6] {
        pickle[1] = protocol;
        assert!(message(&archive(&pickle, &storages, Stored)).contains("protocol"));
    }
}

#[test]
fn strided_and_shared_views_are_honoured() {
    let state = random(&tiny(0, FfnKind::Mlp));
    let key = "blocks.0.attn.proj.weight";
    let tensor = &state[key];
    // Stored transposed, four elements into a larger storage.
    let mut data = vec![9.0f32; 4 + 32 * 32];
    for row in 0..32 {
        for column in 0..32 {
            data[4 + column * 32 + row] = tensor.data[row * 32 + column];
        }
    }
    let (pickle, mut storages) = with_value(&state, key, |p| {
        p.tensor("FloatStorage", "t", data.len(), (4, &[32, 32], &[1, 32]));
    });
    storages.push(("t".into(), data.iter().flat_map(|v| v.to_le_bytes()).collect()));
    assert_eq!(from_bytes("x.pth", &archive(&pickle, &storages, Stored)).unwrap().backbone, state);

    let (pickle, storages) = with_value(&state, key, |p| {
        p.tensor("FloatStorage", "0", 32, (0, &[32, 32], &[1, 32]));
    });
    let text = message(&archive(&pickle, &storages, Stored));
    assert!(text.contains(key) && text.contains("outside its storage"), "{text}");
}

#[test]
fn half_double_and_brain_floats_are_converted() {
    let state = random(&tiny(0, FfnKind::Mlp));
    let key = "norm.bias";
    let cases: [(&str, Vec<u8>); 3] = [
        ("HalfStorage", [0x00, 0x3e].repeat(32)),
        ("BFloat16Storage", [0xc0, 0x3f].repeat(32)),
        ("DoubleStorage", 1.5f64.to_le_bytes().repeat(32)),
    ];
    for (class, bytes) in cases {
        let (pickle, mut storages) = with_value(&state, key, |p| {
            p.tensor(class, "h", 32, (0, &[32], &[1]));
        });
        storages.push(("h".into(), bytes));
        let file = archive(&pickle, &storages, Stored);
        assert_eq!(from_bytes("x.pth", &file).unwrap().backbone[key].data, [1.5; 32], "{class}");
        assert_eq!(inspect_bytes("x.pth", &file).unwrap().dtypes.len(), 2);
    }
    let (pickle, mut storages) = with_value(&state, key, |p| {
        p.tensor("LongStorage", "h", 32, (0, &[32], &[1]));
    });
    storages.push(("h".into(), vec![0; 256]));
    let text = message(&archive(&pickle, &storages, Stored));
    assert!(text.contains(key) && text.contains("int64") && text.contains("[32]"), "{text}");
}

#[test]
fn untyped_storages_with_a_named_type() {
    let state = random(&tiny(0, FfnKind::Mlp));
    let (pickle, mut storages) = with_value(&state, "norm.bias", |p| {
        p.global("torch._utils", "_rebuild_tensor_v3").raw(b"((");
        p.text("storage").global("torch.storage", "UntypedStorage").text("u").text("cpu").int(64).raw(b"tQ");
        p.int(0).sizes(&[32]).sizes(&[1]).raw(b"\x89").global("collections", "OrderedDict").raw(b")R");
        p.global("torch", "float16").raw(b"tR");
    });
    storages.push(("u".into(), [0x00, 0x3e].repeat(32)));
    let read = from_bytes("x.pth", &archive(&pickle, &storages, Stored)).unwrap();
    assert_eq!(read.backbone["norm.bias"].data, [1.5; 32]);
}

#[test]
fn compressed_archives_are_read_and_bombs_are_not() {
    let state = random(&tiny(0, FfnKind::Mlp));
    let (pickle, mut storages) = with_value(&state, "norm.bias", |p| {
        p.tensor("FloatStorage", "z", 32, (0, &[32], &[1]));
    });
    storages.push(("z".into(), vec![0; 128]));
    assert!(from_bytes("x.pth", &archive(&pickle, &storages, Deflated)).is_ok());

    // Sixty-four megabytes of zeros in less than a tenth of one.
    let count = 1 << 24;
    let mut bomb = Pickler::new();
    bomb.raw(b"}").text("cls_token").tensor("FloatStorage", "0", count, (0, &[count], &[1])).raw(b"s.");
    let file = archive(&bomb.0, &[("0".into(), vec![0; 4 * count])], Deflated);
    assert!(file.len() < 100_000);
    let text = inspect_bytes("bomb.pth", &file).unwrap_err().to_string();
    assert!(text.contains("bomb.pth") && text.contains("memory"), "{text}");

    // One element, seen as a billion.
    let mut view = Pickler::new();
    view.raw(b"}")
        .text("cls_token")
        .tensor("FloatStorage", "0", 1, (0, &[1 << 15, 1 << 15], &[0, 0]))
        .raw(b"s.");
    let text = inspect_bytes("x.pth", &archive(&view.0, &[("0".into(), vec![0; 4])], Stored))
        .unwrap_err()
        .to_string();
    assert!(text.contains("memory"), "{text}");
}

#[test]
fn deep_wide_and_endless_pickles_end() {
    let nested = |open: &[u8], close: &[u8], depth: usize| {
        let mut pickle = Pickler::new();
        for _ in 0..depth {
            pickle.raw(open);
        }
        for _ in 0..depth {
            pickle.raw(close);
        }
        archive(pickle.raw(b".").0.as_slice(), &[], Deflated)
    };
    for (open, close) in [(&b"("[..], &b"t"[..]), (b"]", b"a"), (b"(", b"l"), (b")", b"\x85")] {
        assert!(from_bytes("deep", &nested(open, close, 1 << 20)).is_err());
    }
    // Dictionaries in dictionaries, each twice: 2^40 paths.
    let mut twice = Pickler::new();
    twice.raw(b"}").raw(b"q\0");
    for level in 1..40u8 {
        twice
            .raw(&[b'}', b'q', level, b'('])
            .text("a")
            .raw(&[b'h', level - 1])
            .text("b")
            .raw(&[b'h', level - 1])
            .raw(b"u");
    }
    assert!(from_bytes("twice", &archive(twice.raw(b".").0.as_slice(), &[], Stored)).is_err());
    // A dictionary that contains itself.
    let mut cycle = Pickler::new();
    cycle.raw(b"}q\0").text("me").raw(b"h\0s.");
    assert!(from_bytes("cycle", &archive(&cycle.0, &[], Stored)).is_err());
    // A container repeated by calls that return it.
    let mut copies = Pickler::new();
    copies.raw(b"](").raw(&b"N".repeat(1 << 20)).raw(b"eq\0");
    for _ in 0..1000 {
        copies.global("collections", "OrderedDict").raw(b"h\0\x85R0");
        copies.global("torch", "Size").raw(b"h\0\x85R0");
    }
    assert!(from_bytes("copies", &archive(copies.raw(b".").0.as_slice(), &[], Deflated)).is_err());
    // Lengths that are lies.
    for lie in [
        &b"X\xff\xff\xff\xff"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"B\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\xff",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut pickle = Pickler::new();
        assert!(message(&archive(&pickle.raw(lie).raw(b".").0, &[], Stored)).contains("pickle"));
    }
    // Nothing where something is needed.
    for broken in [
        &b"."[..],
        b"R.",
        b"t.",
        b"u.",
        b"s.",
        b"a.",
        b"(R.",
        b"}(Nu.",
        b"h\0.",
        b"0.",
        b"(\x85.",
        b"NQ.",
        b"N)R.",
        b"Nb.",
    ] {
        let mut pickle = Pickler::new();
        assert!(from_bytes("broken", &archive(&pickle.raw(broken).0, &[], Stored)).is_err());
    }
}

#[test]
fn big_endian_files_are_refused() {
    use std::io::Write;
    let state = random(&tiny(0, FfnKind::Mlp));
    let file = pth(&state, None);
    let mut old = zip::ZipArchive::new(std::io::Cursor::new(&file)).unwrap();
    let mut new = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for i in 0..old.len() {
        let entry = old.by_index(i).unwrap();
        if entry.name().unwrap() == "archive/byteorder" {
            new.start_file("archive/byteorder", zip::write::SimpleFileOptions::default()).unwrap();
            new.write_all(b"big").unwrap();
        } else {
            new.raw_copy_file(entry).unwrap();
        }
    }
    assert!(message(&new.finish().unwrap().into_inner()).contains("big-endian"));
}

/// A file as torch wrote them before 1.6.
fn legacy(state: &StateDict, little: bool) -> Vec<u8> {
    let mut out = vec![0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
    out.extend_from_slice(b"\x80\x02M\xe9\x03.");
    let mut system = Pickler::new();
    system.raw(b"}(").text("protocol_version").int(1001).text("little_endian").raw(if little {
        b"\x88"
    } else {
        b"\x89"
    });
    out.extend_from_slice(&system.raw(b"u.").0);
    let (mut object, mut keys, mut data) = (Pickler::new(), Pickler::new(), Vec::new());
    object.raw(b"}(");
    keys.raw(b"](");
    for (i, (key, tensor)) in state.iter().enumerate() {
        let id = format!("9{i:05}");
        object.text(key).tensor(
            "FloatStorage",
            &id,
            tensor.data.len(),
            (0, &tensor.shape, &strides(&tensor.shape)),
        );
        keys.text(&id);
        data.extend_from_slice(&(tensor.data.len() as u64).to_le_bytes());
        data.extend(tensor.data.iter().flat_map(|v| v.to_le_bytes()));
    }
    out.extend_from_slice(&object.raw(b"u.").0);
    out.extend_from_slice(&keys.raw(b"e.").0);
    out.extend_from_slice(&data);
    out
}

#[test]
fn legacy_files_are_read() {
    let state = random(&tiny(4, FfnKind::SwiGlu));
    let file = legacy(&state, true);
    assert_eq!(from_bytes("old.pth", &file).unwrap().backbone, state);
    assert!(message(&legacy(&state, false)).contains("big-endian"));
    for length in (0..file.len()).step_by(997) {
        assert!(from_bytes("old.pth", &file[..length]).is_err());
    }
    // Storage counts that are lies.
    let mut noise = super::Noise(5);
    for _ in 0..500 {
        let mut file = file.clone();
        let at = noise.below(file.len());
        file[at..].iter_mut().take(8).for_each(|b| *b = noise.next() as u8);
        let _ = from_bytes("old.pth", &file);
    }
}
