//! Damaged and malicious files: always an error that says what is wrong, never a panic, never memory without bound.

use super::super::*;
use super::{FIXTURES, Noise, fixture, pth, random, tiny};
use dinoscope_model::config::FfnKind;

#[test]
fn truncated_files_give_errors() {
    for name in FIXTURES {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let mut noise = Noise(bytes.len() as u64);
        let near = (0..200).chain(bytes.len() - 300..bytes.len());
        let anywhere: Vec<_> = (0..200).map(|_| noise.below(bytes.len())).collect();
        for length in near.chain(anywhere) {
            let error = from_bytes(name, &bytes[..length]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(inspect_bytes(name, &bytes[..length]).is_err(), "{name} cut to {length}");
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    for name in FIXTURES {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let mut noise = Noise(7 + bytes.len() as u64);
        // Where structure is: the beginning, and of zip archives the end.
        let (head, tail) = (bytes.len().min(9000), bytes.len() - 6000);
        for round in 0..600 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + noise.below(4) {
                let at = if round % 2 == 0 { noise.below(head) } else { tail + noise.below(6000) };
                damaged[at] = match noise.below(3) {
                    0 => damaged[at] ^ (1 << noise.below(8)),
                    1 => noise.next() as u8,
                    _ => 0xff,
                };
            }
            let _ = from_bytes(name, &damaged);
        }
    }
}

#[test]
fn random_pickles_never_panic() {
    // Opcodes without a zip around them, so that no checksum stands in the way.
    let file = pth(&random(&tiny(0, FfnKind::Mlp)), Some("teacher"));
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(file)).unwrap();
    let mut good = Vec::new();
    std::io::copy(&mut zip.by_name("archive/data.pkl").unwrap(), &mut good).unwrap();
    let opcodes = b"(.012FGIJKLMNQPRSTUVXabcdeghijlopqrstu)]}BC\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x90\x91\x92\x93\x94\x95";
    let mut noise = Noise(11);
    for _ in 0..6000 {
        let mut bytes = good.clone();
        for _ in 0..1 + noise.below(6) {
            let at = 2 + noise.below(bytes.len() - 2);
            bytes[at] =
                if noise.below(2) == 0 { opcodes[noise.below(opcodes.len())] } else { noise.next() as u8 };
        }
        let _ = pickle::parse(&bytes);
        let _ = from_bytes("x.pth", &super::archive(&bytes, &[], zip::CompressionMethod::Stored));
    }
    for _ in 0..4000 {
        let length = 1 + noise.below(200);
        let mut bytes = vec![0x80, 2 + noise.below(4) as u8];
        bytes.extend((0..length).map(|_| opcodes[noise.below(opcodes.len())]));
        let _ = pickle::parse(&bytes);
    }
}

/// An official safetensors file with one tensor changed.
fn changed(change: impl Fn(&mut StateDict)) -> Vec<u8> {
    let mut state = random(&tiny(4, FfnKind::Mlp));
    change(&mut state);
    let mut tensors = official::as_is(&state);
    let mut bytes = Vec::new();
    safetensors::write(&mut bytes, &mut tensors, &[], WeightsDtype::F32).unwrap();
    bytes
}

#[test]
fn a_wrong_shape_names_file_key_and_both_shapes() {
    let keys: Vec<String> = random(&tiny(4, FfnKind::Mlp)).into_keys().collect();
    for key in &keys {
        let found = std::cell::RefCell::new((Vec::new(), Vec::new()));
        let bytes = changed(|state| {
            let tensor = state.get_mut(key).unwrap();
            let good = tensor.shape.clone();
            *tensor.shape.last_mut().unwrap() += 3;
            tensor.data = vec![0.5; tensor.shape.iter().product()];
            *found.borrow_mut() = (good, tensor.shape.clone());
        });
        let text = from_bytes("folder/model.safetensors", &bytes).unwrap_err().to_string();
        let (good, bad) = found.into_inner();
        for part in ["folder/model.safetensors", &format!("`{key}`"), &format!("{bad:?}")] {
            assert!(text.contains(part), "{key}: {text}");
        }
        // Only the patch size cannot be known from elsewhere.
        assert!(key == "patch_embed.proj.weight" || text.contains(&format!("{good:?}")), "{key}: {text}");
    }
}

#[test]
fn missing_and_unexpected_keys_are_named() {
    for key in random(&tiny(4, FfnKind::Mlp)).keys().filter(|k| *k != "register_tokens") {
        let error = from_bytes("m.safetensors", &changed(|state| drop(state.remove(key)))).unwrap_err();
        let text = error.to_string();
        // Without one of a pair that is optional as a pair, the other is what is unexpected or missing.
        assert!(text.contains("m.safetensors") && text.contains('[') && text.contains('`'), "{text}");
        assert!(text.contains(key.as_str()), "{key}: {text}");
    }
    let text = from_bytes(
        "m.safetensors",
        &changed(|state| {
            state.insert("blocks.0.attn.extra".into(), HostTensor::new([2, 5], vec![0.0; 10]));
        }),
    );
    let text = text.unwrap_err().to_string();
    assert!(text.contains("blocks.0.attn.extra") && text.contains("[2, 5]"), "{text}");
    // A gap in the blocks.
    let text =
        from_bytes("m.safetensors", &changed(|state| state.retain(|k, _| !k.starts_with("blocks.0."))));
    assert!(text.unwrap_err().to_string().contains("blocks.0.norm1.weight"));
}

#[test]
fn hugging_face_errors_speak_the_files_language() {
    let bytes = std::fs::read(fixture("hf_dinov2/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    let with = |header: String| {
        let mut out = (header.len() as u64).to_le_bytes().to_vec();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&bytes[8 + length..]);
        from_bytes("hf/model.safetensors", &out).unwrap_err().to_string()
    };
    let key = "encoder.layer.1.attention.attention.key.bias";
    let text = with(header.replace(key, "encoder.layer.1.attention.attention.kee.bias"));
    assert!(text.contains(key) && text.contains("[48]"), "{text}");
    let text = with(header.replace("\"shape\":[192,48]", "\"shape\":[96,96]"));
    assert!(text.contains("encoder.layer.0.mlp.fc1.weight") && text.contains("[96, 96]"), "{text}");
}

#[test]
fn safetensors_headers_that_lie() {
    let file = |header: &str, data: usize| {
        let mut out = (header.len() as u64).to_le_bytes().to_vec();
        out.extend_from_slice(header.as_bytes());
        out.resize(out.len() + data, 0);
        from_bytes("liar.safetensors", &out).unwrap_err().to_string()
    };
    let one = |body: &str| format!("{{\"cls_token\":{{{body}}}}}");
    for (header, data) in [
        (one(r#""dtype":"F32","shape":[4],"data_offsets":[0,15]"#), 16),
        (one(r#""dtype":"F32","shape":[4],"data_offsets":[16,0]"#), 16),
        (one(r#""dtype":"F32","shape":[4],"data_offsets":[0,16]"#), 12),
        (one(r#""dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,16]"#), 16),
        (one(r#""dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]"#), 16),
        (one(r#""dtype":"F32","shape":[-1],"data_offsets":[0,16]"#), 16),
        (one(r#""dtype":"F32","shape":[0,99999999999],"data_offsets":[0,0]"#), 16),
        (one(r#""dtype":"BOGUS","shape":[4],"data_offsets":[0,16]"#), 16),
        (r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}"#.into(), 24),
        ("[1]".into(), 0),
        ("{".repeat(100_000), 0),
    ] {
        assert!(file(&header, data).contains("liar.safetensors"));
    }
    let mut huge = u64::MAX.to_le_bytes().to_vec();
    huge.extend_from_slice(b"{}");
    assert!(from_bytes("x", &huge).is_err());
}

#[test]
fn other_files_are_recognised() {
    let text = |bytes: &[u8]| from_bytes("f", bytes).unwrap_err().to_string();
    assert!(text(b"").contains("empty"));
    assert!(text(b"<!DOCTYPE html><html>").contains("web page"));
    assert!(text(b"version https://git-lfs.github.com/spec/v1\n").contains("LFS"));
    assert!(text(b"\x80\x04\x95aaaaaaaaaaaaaaa").contains("pickle"));
    assert!(text(b"\x89PNG\r\n\x1a\n and so on").contains("neither"));
    let missing = load(std::path::Path::new("/no/such/file.pth")).unwrap_err().to_string();
    assert!(missing.contains("/no/such/file.pth"), "{missing}");
    let empty = tempfile::tempdir().unwrap();
    assert!(load(empty.path()).unwrap_err().to_string().contains("model.safetensors"));

    let linear: StateDict = [("weight", vec![10, 4]), ("bias", vec![10])]
        .map(|(key, shape)| {
            (key.to_string(), HostTensor::new(shape.clone(), vec![0.0; shape.iter().product()]))
        })
        .into();
    assert!(text(&pth(&linear, None)).contains("linear"));
}
