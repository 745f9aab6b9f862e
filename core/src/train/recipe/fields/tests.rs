//! Fields by name: what is accepted, what is refused, and that table, struct and enums agree.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::train::presets;

fn nano_with(pairs: &[&str]) -> Result<Recipe, String> {
    let pairs: Vec<String> = pairs.iter().map(|s| (*s).to_owned()).collect();
    Recipe::preset("nano").unwrap().with_overrides(&pairs).map_err(|e| e.to_string())
}

fn leaves(table: &Table, prefix: &str, out: &mut Vec<String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => leaves(inner, &path, out),
            _ => out.push(path),
        }
    }
}

#[test]
fn the_table_and_the_struct_name_the_same_fields() {
    let mut names = Vec::new();
    leaves(&to_table(&Recipe::preset("nano").unwrap()).unwrap(), "", &mut names);
    let mut keys: Vec<&str> = FIELDS.iter().map(|f| f.key).collect();
    names.sort();
    keys.sort();
    assert_eq!(names, keys);
}

#[test]
fn values_are_set_by_name() {
    let r = nano_with(&[
        "train.batch=8",
        "loss.centering=softmax",
        "crops.global_scale=[0.5, 1]",
        "optim.clip=1",
    ]);
    let r = r.unwrap();
    assert_eq!(r.train.batch, 8);
    assert_eq!(r.crops.global_scale, [0.5, 1.0]);
    assert_eq!(r.optim.clip, 1.0);
}

#[test]
fn mistakes_name_the_field_and_the_way_out() {
    for (pair, wanted) in [
        ("train.bach=8", "did you mean train.batch?"),
        ("train.nothing=8", "fields of train are"),
        ("batch=8", "did you mean train.batch?"),
        ("train.batch=0", "allowed is 1 to 65536"),
        ("train.batch=ten", "must be a whole number"),
        ("train.batch=1.5", "must be a whole number"),
        ("model.ffn=gated", "gated"),
        ("crops.global_size=65", "multiple of model.patch = 8, for instance 64 or 72"),
        ("optim.base_lr=nan", "allowed is"),
        ("train.accumulate=5", "multiple of train.accumulate"),
        ("crops.local_scale=[0.5,0.1]", "must not be above"),
        ("optim.warmup=1000", "train.iterations"),
        ("whatever", "key=value"),
    ] {
        let message = nano_with(&[pair]).unwrap_err();
        assert!(message.contains(wanted), "{pair}: {message}");
    }
}

#[test]
fn a_file_changes_its_preset() {
    let r = Recipe::from_toml("preset = \"tiny\"\n[train]\nbatch = 8\n", &["train.seed=3".into()]).unwrap();
    assert_eq!((r.preset.as_str(), r.train.batch, r.train.seed, r.model.dim), ("tiny", 8, 3, 192));
    assert!(
        Recipe::from_toml("preset = \"huge\"", &[]).unwrap_err().to_string().contains("presets are demo")
    );
    assert!(Recipe::from_toml("[train]\nbatch = ", &[]).is_err());
    let message = Recipe::from_toml("[trian]\nbatch = 3", &[]).unwrap_err().to_string();
    assert!(message.contains("`trian.batch`; did you mean train.batch?"), "{message}");
    let message = Recipe::from_toml("[train]\nbtch = 3", &[]).unwrap_err().to_string();
    assert!(message.contains("did you mean train.batch?"), "{message}");
}

#[test]
fn warm_ups_follow_the_length_of_a_shorter_run_unless_they_were_chosen() {
    let nano = Recipe::preset("nano").unwrap();
    let pairs = |pairs: &[&str]| -> Vec<String> { pairs.iter().map(|pair| (*pair).to_owned()).collect() };
    let resolve = |of: &[&str]| nano.resolve(&pairs(of)).map_err(|e| e.to_string());
    let lengths = |r: &Recipe| [r.train.iterations, r.optim.warmup, r.optim.teacher_temp_warmup];
    assert_eq!(lengths(&nano), [240, 20, 100]);

    let short = resolve(&["train.iterations=10"]).unwrap();
    assert_eq!(lengths(&short.recipe), [10, 1, 4]);
    assert!(short.notes[0].starts_with("warm-up is 1 of 10 steps (optim.warmup was 20"), "{:?}", short.notes);
    assert_eq!(short.notes.len(), 2);
    // What fits stays.
    let middle = resolve(&["train.iterations=60"]).unwrap();
    assert_eq!((lengths(&middle.recipe), middle.notes.len()), ([60, 20, 25], 1));
    let long = resolve(&["train.iterations=1000"]).unwrap();
    assert_eq!((lengths(&long.recipe), long.notes.len()), ([1000, 20, 100], 0));
    assert_eq!(lengths(&resolve(&["train.iterations=1"]).unwrap().recipe), [1, 1, 1]);

    // What was chosen stays, and is refused where it can't be.
    let chosen =
        resolve(&["train.iterations=10", "optim.warmup=10", "optim.teacher_temp_warmup=50"]).unwrap();
    assert_eq!((lengths(&chosen.recipe), chosen.notes.len()), ([10, 10, 50], 0));
    for refused in
        [&["train.iterations=10", "optim.warmup=11"][..], &["optim.warmup=241"], &["train.iterations=0"]]
    {
        assert!(resolve(refused).is_err(), "{refused:?}");
    }
    // A file counts as a person's choice, a preset does not.
    let file = Recipe::resolve_toml("preset = \"tiny\"\n[train]\niterations = 100\n", &[]).unwrap();
    assert!(file.recipe.optim.warmup <= 100 && file.notes.len() > 1, "{:?}", file.notes);
    let refused = Recipe::from_toml("[optim]\nwarmup = 30\n", &pairs(&["train.iterations=20"]));
    assert!(refused.unwrap_err().to_string().contains("optim.warmup"));
    // A run's own file gives the run again.
    let again = Recipe::resolve_toml(&short.recipe.to_toml().unwrap(), &[]).unwrap();
    assert_eq!((again.recipe, again.notes.len()), (short.recipe, 0));
}

#[test]
fn every_field_of_every_preset_is_read_and_set_by_its_kind() {
    for name in presets::NAMES {
        // A way to distil needs a teacher, and not every way blends pictures.
        let pairs = ["distill.teacher=starter", "distill.mixup=false"].map(str::to_owned);
        let recipe = Recipe::preset(name).unwrap().with_overrides(&pairs).unwrap();
        let values = values(&recipe).unwrap();
        assert!(values.iter().map(|(f, _)| f.key).eq(FIELDS.iter().map(|f| f.key)));
        for (f, value) in values {
            assert_eq!(get(&recipe, f.key).as_ref(), Some(&value));
            assert_eq!(set(&recipe, f.key, value.clone()).unwrap(), recipe, "{name} {}", f.key);
            let (low, high) = f.range;
            let wrong = match (kind(f.key).unwrap(), &value) {
                (RecipeFieldKind::Whole, Value::Integer(_)) => Value::Integer(low as i64 - 1),
                (RecipeFieldKind::Number, Value::Float(_)) => Value::Float(high + 1.0),
                (RecipeFieldKind::Pair, Value::Array(pair)) if pair.len() == 2 => {
                    Value::Array(vec![Value::Float(0.5)])
                }
                (RecipeFieldKind::Switch, Value::Boolean(_)) => Value::Integer(1),
                (RecipeFieldKind::Choice(words), Value::String(word)) => {
                    assert!(words.len() > 1 && words.contains(&word.as_str()), "{}: {words:?}", f.key);
                    for word in words {
                        let chosen = set(&recipe, f.key, Value::String((*word).to_owned())).unwrap();
                        assert_eq!(get(&chosen, f.key).unwrap().as_str(), Some(*word));
                    }
                    Value::String("none of them".to_owned())
                }
                (RecipeFieldKind::Text | RecipeFieldKind::Path, Value::String(_)) => Value::Float(0.5),
                (kind, value) => panic!("{} is {kind:?} and holds {value}", f.key),
            };
            let numeric = matches!(
                kind(f.key).unwrap(),
                RecipeFieldKind::Whole | RecipeFieldKind::Number | RecipeFieldKind::Pair
            );
            assert_eq!(high > low, numeric, "{}: a range for numbers alone", f.key);
            assert!(set(&recipe, f.key, wrong.clone()).is_err(), "{name} {} = {wrong}", f.key);
        }
    }
}

#[test]
fn kinds_and_words_are_those_of_the_struct() {
    assert_eq!(choices("model.ffn"), ["mlp", "swiglu"]);
    assert_eq!(choices("crops.blur"), ["official", "intended", "none"]);
    assert_eq!(choices("loss.centering"), ["softmax", "sinkhorn-knopp"]);
    assert_eq!(choices("loss.koleo_group"), ["rank", "all"]);
    assert_eq!(choices("train.precision"), ["f32", "f16", "bf16"]);
    assert_eq!(choices("train.matmul_precision"), ["f32", "bf16"]);
    assert_eq!(choices("train.shard"), ["none", "optimizer", "full"]);
    assert_eq!(choices("train.wire"), ["f32", "bf16"]);
    assert_eq!(choices("data.scene_kind"), ["easy", "varied"]);
    assert!(choices("train.batch").is_empty());
    let kinds =
        ["train.batch", "optim.clip", "crops.local_scale", "data.labels", "preset", "data.path"].map(kind);
    let wanted = [
        RecipeFieldKind::Whole,
        RecipeFieldKind::Number,
        RecipeFieldKind::Pair,
        RecipeFieldKind::Switch,
        RecipeFieldKind::Text,
        RecipeFieldKind::Path,
    ];
    assert_eq!(kinds, wanted.map(Some));
    assert_eq!(
        (kind("train"), kind("train.bach"), get(&Recipe::preset("nano").unwrap(), "train")),
        (None, None, None)
    );
    let message =
        set(&Recipe::preset("nano").unwrap(), "train.bach", Value::Integer(3)).unwrap_err().to_string();
    assert!(message.contains("did you mean train.batch?"), "{message}");
}

#[test]
fn live_fields_are_taken_over_and_others_named() {
    let live_keys: Vec<&str> = FIELDS.iter().map(|f| f.key).filter(|key| live(key)).collect();
    let cadence = ["report_every", "picture_every", "evaluate_every", "checkpoint_every", "keep_checkpoints"];
    let beside = ["linear", "segment", "depth", "dense", "depth_unit"].map(|last| format!("evaluate.{last}"));
    let of_train = ["shard", "workers"].iter().chain(&cadence).map(|last| format!("train.{last}"));
    let wanted: Vec<String> = of_train.chain(beside).collect();
    assert_eq!(live_keys, wanted);

    let now = nano_with(&[]).unwrap();
    let other =
        nano_with(&["train.report_every=3", "optim.clip=1", "train.batch=16", "train.workers=2"]).unwrap();
    let (taken, bound) = take_over(&now, &other).unwrap();
    assert_eq!(taken, nano_with(&["train.report_every=3", "train.workers=2"]).unwrap());
    assert_eq!(bound, ["optim.clip", "train.batch"]);
    let mut broken = now.clone();
    broken.train.keep_checkpoints = 0;
    assert!(take_over(&now, &broken).unwrap_err().to_string().contains("train.keep_checkpoints"));
}

#[test]
fn a_recipe_of_before_scenes_had_kinds_means_easy_ones() {
    let tiny = Recipe::preset("tiny").unwrap();
    assert_eq!(tiny.data.scene_kind, SceneKind::Varied, "of new runs");
    // A recipe that was written whole, as every run keeps it, by a version that did not know the field.
    let before = tiny.to_toml().unwrap().replace("scene_kind = \"varied\"\n", "");
    let read = Recipe::resolve_toml(&before, &[]).unwrap();
    let easy = tiny.with_overrides(&["data.scene_kind=easy".to_owned()]).unwrap();
    assert_eq!(read.recipe, easy);
    assert!(read.notes[0].contains("data.scene_kind"), "{:?}", read.notes);
    let varied = Recipe::resolve_toml(&before, &["data.scene_kind=varied".to_owned()]).unwrap();
    assert_eq!((varied.recipe, varied.notes.len()), (tiny.clone(), 0));
    // A file by hand that leaves the scenes alone describes a new run.
    let by_hand =
        Recipe::from_toml("preset = \"tiny\"\n[train]\nbatch = 8\n[data]\nscenes = 50\n", &[]).unwrap();
    assert_eq!(by_hand.data.scene_kind, SceneKind::Varied);
    // Nor did it reduce pictures.
    assert!(tiny.data.reduce && by_hand.data.reduce);
    let before = before.replace("reduce = true\n", "");
    assert!(!Recipe::from_toml(&before, &[]).unwrap().data.reduce);
    let again = Recipe::from_toml(&easy.to_toml().unwrap(), &[]).unwrap();
    assert_eq!(again, easy);
}

#[test]
fn pictures_come_from_one_place_or_several() {
    let with = |pair: &str| Recipe::preset("nano").unwrap().with_overrides(&[pair.to_owned()]);
    let recipe = with(r#"data.path=["a", "b c"]"#).unwrap();
    assert_eq!(recipe.data.path.paths().len(), 2);
    let again = Recipe::from_toml(&recipe.to_toml().unwrap(), &[]).unwrap();
    assert_eq!(again, recipe);
    assert_eq!(recipe.with_overrides(&["data.path=photos".to_owned()]).unwrap().data.path, "photos");
    assert_eq!(with(r#"data.path=["photos"]"#).unwrap().data.path, "photos");
    assert!(with("data.path=photos").unwrap().to_toml().unwrap().contains("path = \"photos\"\n"));
    for (pair, said) in [
        (r#"data.path=["scenes*0.5", "a"]"#, "a has none"),
        ("data.path=scenes:odd", "easy or varied"),
        (r#"data.path=["a", "procedural:fire"]"#, "scenes:varied or procedural"),
        ("data.scene_kind=odd", "odd"),
        ("evaluate.dense=scenes:odd", "easy or varied"),
        ("evaluate.dense=procedural", "nothing is known of their pixels"),
        (r#"data.path=["a", ""]"#, "one of the places is empty"),
        ("data.path=[]", "a place that pictures come from"),
        ("data.path=[1]", "a place that pictures come from"),
    ] {
        let error = with(pair).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
