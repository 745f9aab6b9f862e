//! DINOv3: read and written in all three layouts, and what its files say beside weights.

use super::super::*;
use super::{fixture, pth, random, renamed, tiny};
use dinoscope_model::config::FfnKind;
use dinoscope_model::rope::RopeConfig;

fn rotary(ffn: FfnKind) -> VitConfig {
    tiny(3, ffn).with_rope()
}

/// Noise in the shape of `config`, with biases of keys that do not count.
fn state(config: &VitConfig) -> StateDict {
    let mut state = random(config);
    if config.qkv_bias && !config.key_bias {
        for block in 0..config.depth {
            let bias = state.get_mut(&format!("blocks.{block}.attn.qkv.bias")).unwrap();
            bias.data[config.dim..2 * config.dim].fill(0.0);
        }
    }
    state
}

fn from_folder(folder: &Path) -> LoadedWeights {
    load(folder).unwrap()
}

/// Official, to Hugging Face, to timm, and back: the same numbers, sizes and notes of nothing but the mask token.
#[test]
fn all_three_layouts_carry_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    for (ffn, qkv_bias) in [(FfnKind::Mlp, true), (FfnKind::SwiGlu, true), (FfnKind::SwiGlu, false)] {
        let config = VitConfig { qkv_bias, ..rotary(ffn) };
        let mut state = state(&config);
        // timm keeps none.
        state.get_mut("mask_token").unwrap().data.fill(0.0);
        let at = |name: &str| folder.path().join(format!("{name}{qkv_bias}{ffn:?}"));
        let official = at("official").with_extension("safetensors");
        save(&official, &state, &config, KeyLayout::Official).unwrap();
        let first = load(&official).unwrap();
        assert_eq!((first.layout, &first.config), (KeyLayout::Official, &config), "{:?}", first.notes);
        assert!(first.notes.is_empty(), "{:?}", first.notes);

        first.save(&at("hf"), KeyLayout::HuggingFace).unwrap();
        let second = from_folder(&at("hf"));
        assert_eq!(second.layout, KeyLayout::HuggingFace);
        let timm = at("timm").with_extension("safetensors");
        second.save(&timm, KeyLayout::Timm).unwrap();
        let third = load(&timm).unwrap();
        assert_eq!(third.layout, KeyLayout::Timm);
        for read in [&second, &third] {
            assert_eq!(read.config, VitConfig { interpolation: read.config.interpolation, ..config.clone() });
            assert!(read.backbone == state, "{:?}", read.layout);
        }
        let again = at("again").with_extension("safetensors");
        third.save(&again, KeyLayout::Official).unwrap();
        assert_eq!(load(&again).unwrap().backbone, first.backbone);
    }
}

/// Official names: what the repository's program asks for is in the file.
#[test]
fn official_files_hold_masks_and_periods() {
    let config = rotary(FfnKind::SwiGlu);
    let file = to_bytes(&state(&config), &config, KeyLayout::Official).unwrap();
    let seen = inspect_bytes("v3.safetensors", &file).unwrap();
    assert_eq!(seen.problem, None);
    let shape = |name: &str| seen.tensors.iter().find(|tensor| tensor.name == name).map(|t| t.shape.clone());
    assert_eq!(shape("rope_embed.periods"), Some(vec![4]));
    assert_eq!(shape("storage_tokens"), Some(vec![1, 3, 32]));
    assert_eq!(shape("blocks.1.attn.qkv.bias_mask"), Some(vec![96]));
    assert_eq!(shape("blocks.0.mlp.w2.weight"), Some(vec![config.hidden, 32]));
    for absent in ["pos_embed", "register_tokens", "blocks.0.mlp.w12.weight"] {
        assert_eq!(shape(absent), None, "{absent}");
    }
}

/// Periods that were rounded are kept, through a folder of Hugging Face as well; those of the base are not.
#[test]
fn periods_of_a_file_are_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = rotary(FfnKind::Mlp);
    let formula = RopeConfig::default().formula(config.head_width());
    let rounded: Vec<f32> =
        formula.iter().map(|p| f32::from_bits((p.to_bits() + 0x8000) & 0xffff_0000)).collect();
    assert_ne!(rounded, formula);
    let state = state(&config);
    for (periods, kept) in [(formula, None), (rounded.clone(), Some(rounded))] {
        let mut file = state.clone();
        let registers = file.remove("register_tokens").unwrap();
        file.insert("storage_tokens".into(), registers);
        file.insert("rope_embed.periods".into(), HostTensor::new([4], periods));
        for block in 0..2 {
            // As before the first weights were drawn.
            let mask = HostTensor::new([96], vec![f32::NAN; 96]);
            file.insert(format!("blocks.{block}.attn.qkv.bias_mask"), mask);
        }
        let read = from_bytes("v3.pth", &pth(&file, None)).unwrap();
        assert_eq!(read.config.rope.as_ref().unwrap().periods, kept);
        config.rope = read.config.rope.clone();
        read.save(&folder.path().join("hf"), KeyLayout::HuggingFace).unwrap();
        assert_eq!(from_folder(&folder.path().join("hf")).config.rope, config.rope);
    }
}

/// Heads come from the periods, or from a person where there are none.
#[test]
fn heads_are_told_by_periods_or_by_a_person() {
    let config = VitConfig { heads: 4, ..rotary(FfnKind::Mlp) };
    let state = state(&config);
    let metadata_free = |state: &StateDict, extra: &[(&str, HostTensor)]| {
        let mut file = renamed(state, |key| key.replace("register_tokens", "storage_tokens"));
        file.extend(extra.iter().map(|(key, tensor)| (key.to_string(), tensor.clone())));
        pth(&file, None)
    };
    let periods = ("rope_embed.periods", HostTensor::new([2], vec![1.0, 10.0]));
    let with = metadata_free(&state, &[periods]);
    let read = from_bytes("v3.pth", &with).unwrap();
    assert_eq!(read.config.heads, 4);
    assert!(!read.notes.iter().any(|note| note.contains("heads")), "{:?}", read.notes);

    let without = metadata_free(&state, &[]);
    let said = |part: Option<&str>, heads: Option<usize>| {
        from_bytes_as("v3.pth", &without, WeightsLoadOptions { part, heads, ..WeightsLoadOptions::default() })
    };
    let guessed = said(None, None).unwrap();
    assert_eq!(guessed.config.heads, guess_heads(32));
    assert!(guessed.notes.iter().any(|note| note.starts_with(HEADS_UNKNOWN)), "{:?}", guessed.notes);
    for read in [said(None, Some(8)), said(Some("heads=8"), None), said(Some("heads=2"), Some(8))] {
        let read = read.unwrap();
        assert_eq!(read.config.heads, 8);
        assert!(!read.notes.iter().any(|note| note.contains("heads")), "{:?}", read.notes);
    }
    for (part, heads, reason) in [
        (None, Some(5), "--heads asks for 5"),
        (Some("heads=x"), None, "heads=x is no number"),
        (None, Some(16), "multiple of 4"),
        (Some("ema,heads=4"), None, "ema"),
    ] {
        let error = said(part, heads).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("v3.pth"), "{error}");
    }
}

/// A model of DINOv2 takes a person's number of heads too, also where it says one itself.
#[test]
fn a_person_is_believed_before_the_file() {
    let config = tiny(0, FfnKind::Mlp);
    let file = to_bytes(&random(&config), &config, KeyLayout::Official).unwrap();
    let reading = WeightsLoadOptions { heads: Some(4), ..WeightsLoadOptions::default() };
    assert_eq!(from_bytes_as("v2.safetensors", &file, reading).unwrap().config.heads, 4);
    assert_eq!(from_bytes("v2.safetensors", &file).unwrap().config.heads, 2);
}

/// What a file's own metadata say of positions is looked at before it is believed.
#[test]
fn metadata_that_cannot_be_are_not_believed() {
    let mut config = rotary(FfnKind::Mlp);
    config.grid = dinoscope_model::PatchGrid::new(usize::MAX, 3);
    config.rope = Some(RopeConfig { base: 100.0, periods: Some(vec![1.0, 0.0, 2.0, 3.0]) });
    let state = state(&config);
    let metadata = serde_json::to_string(&config).unwrap();
    let mut file = Vec::new();
    let tensors = &mut (KeyLayout::Timm.entry().outgoing)(&state, &rotary(FfnKind::Mlp));
    let metadata = [(crate::plan::CONFIG_KEY, metadata)];
    crate::safetensors::write(&mut file, tensors, &metadata, WeightsDtype::F32).unwrap();
    let read = from_bytes("odd.safetensors", &file).unwrap();
    assert_eq!(read.config.rope, Some(RopeConfig::default()));
    assert_eq!(read.config.grid, dinoscope_model::PatchGrid::square(224 / 7));
}

/// What a training of DINOv3 leaves beside its backbone is left out, and said.
#[test]
fn a_norm_for_local_crops_is_left_out() {
    let read = load(&fixture("official_dinov3_swiglu.pth")).unwrap();
    assert!(read.notes.iter().any(|note| note.contains("norm for local crops")), "{:?}", read.notes);
    assert!(!read.config.qkv_bias && read.config.rope.unwrap().periods.is_some());
}

#[test]
fn names_in_memory_are_read_as_well() {
    let read = load(&fixture("hf_dinov3_gated")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = safetensors_of(&fixture("hf_dinov3_gated/model.safetensors"));
    let in_memory = renamed(&file, |key| match key.strip_prefix("layer.") {
        Some(rest) => format!("model.layer.{rest}"),
        None => key.to_owned(),
    });
    let path = folder.path().join("model.pth");
    std::fs::write(&path, pth(&in_memory, None)).unwrap();
    std::fs::copy(fixture("hf_dinov3_gated/config.json"), folder.path().join("config.json")).unwrap();
    let again = load(&path).unwrap();
    assert_eq!((again.backbone == read.backbone, &again.config), (true, &read.config));
}

fn safetensors_of(path: &Path) -> StateDict {
    let bytes = std::fs::read(path).unwrap();
    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, ::safetensors::tensor::TensorView)| {
        let values = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        (name, HostTensor::new(view.shape().to_vec(), values))
    };
    file.tensors().into_iter().map(tensor).collect()
}

#[test]
fn what_no_dinov3_has_is_refused() {
    let config = rotary(FfnKind::Mlp);
    let base = || {
        let mut file = renamed(&state(&config), |key| key.replace("register_tokens", "storage_tokens"));
        file.insert("rope_embed.periods".into(), HostTensor::new([4], vec![1.0, 3.0, 10.0, 30.0]));
        file
    };
    assert!(from_bytes("v3.pth", &pth(&base(), None)).is_ok());
    let with = |key: &str, tensor: HostTensor| {
        let mut file = base();
        file.insert(key.into(), tensor);
        from_bytes("v3.pth", &pth(&file, None)).unwrap_err().to_string()
    };
    for (key, tensor, reason) in [
        ("rope_embed.periods", HostTensor::new([4], vec![1.0, 0.0, 10.0, 30.0]), "a period of 0"),
        ("rope_embed.periods", HostTensor::new([4], vec![1.0, f32::NAN, 10.0, 30.0]), "no number"),
        ("rope_embed.periods", HostTensor::new([3], vec![1.0; 3]), "rope_embed.periods"),
        ("rope_embed.periods", HostTensor::new([0], Vec::new()), "rope_embed.periods"),
        ("blocks.0.attn.qkv.bias_mask", HostTensor::new([96], vec![1.0; 96]), "masks other biases"),
        ("blocks.0.attn.qkv.bias_mask", HostTensor::new([5], vec![1.0; 5]), "masks other biases"),
        ("cls_norm.weight", HostTensor::new([32], vec![1.0; 32]), "cls_norm.weight"),
    ] {
        let error = with(key, tensor);
        assert!(error.contains("v3.pth") && error.contains(reason), "{error}");
    }
    // A table of positions that was lost is no sign of DINOv3.
    let mut lost = random(&tiny(2, FfnKind::Mlp));
    lost.remove("pos_embed");
    let error = from_bytes("v2.pth", &pth(&lost, None)).unwrap_err().to_string();
    assert!(error.contains("pos_embed"), "{error}");
}

/// What Meta released is known by its name: its licence, and the pixels of satellite pictures.
#[test]
fn released_files_say_their_licence_and_satellites_have_their_own_pixels() {
    let config = rotary(FfnKind::Mlp);
    let mut file = renamed(&state(&config), |key| key.replace("register_tokens", "storage_tokens"));
    let periods = RopeConfig::default().formula(config.head_width());
    file.insert("rope_embed.periods".into(), HostTensor::new([4], periods));
    let of = |name: &str| from_bytes(name, &pth(&file, None)).unwrap();
    let licence = |read: &LoadedWeights| read.notes.iter().any(|note| note.contains("DINOv3 License"));
    let (own, web) = (of("mine.pth"), of("x/dinov3_vits16_pretrain_lvd1689m-08c60483.pth"));
    assert!(!licence(&own) && licence(&web));
    assert!(own.backbone == web.backbone);
    let satellite = of("dinov3_vitl16_pretrain_sat493m-eadcf0ff.pth");
    assert!(licence(&satellite) && satellite.notes.iter().any(|note| note.contains("sat493m")));
    let key = "patch_embed.proj.weight";
    assert!(satellite.backbone[key] != own.backbone[key]);
    // A channel's gain is one deviation over the other.
    let gain = satellite.backbone[key].data[0] / own.backbone[key].data[0];
    assert!((gain - 0.229 / 0.213).abs() < 1e-4, "{gain}");
}

#[test]
fn config_json_says_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = rotary(FfnKind::Mlp);
    config.rope = Some(RopeConfig { base: 250.0, periods: None });
    save(folder.path(), &state(&config), &config, KeyLayout::HuggingFace).unwrap();
    assert_eq!(load(folder.path()).unwrap().config.rope, config.rope);
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let nested = text.replace("\"rope_theta\": 250.0", "\"rope_parameters\": {\"rope_theta\": 64.0}");
    std::fs::write(&path, nested).unwrap();
    assert_eq!(load(folder.path()).unwrap().config.rope.unwrap().base, 64.0);
    std::fs::write(&path, text.replace("250.0", "-1")).unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("rope_theta -1"), "{error}");
}
