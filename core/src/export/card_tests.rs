//! Cards of runs and of files: what must be said, what must not, and what may be replaced.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::eval::Accuracy;
use crate::model::PatchGrid;
use crate::train::archive;
use crate::train::metrics::of_pairs as values;
use crate::train::run::{MetricsLine, RunFolder};
use std::path::Path;

fn config() -> VitConfig {
    VitConfig::new(64, 8, 96, 4, 3)
}

fn plain_card(config: &VitConfig, written: ModelExportFormat) -> String {
    card(&ModelCard { name: "mine", config, written, file: "mine.safetensors", run: None })
}

fn outcome(title: &str, value: f64) -> EvalReport {
    let figure = |name: &str, value| EvalMetric::plain(name, value, EvalMetricUnit::Share);
    EvalReport {
        title: title.to_owned(),
        data: "3 pictures | 2 classes".to_owned(),
        rows: vec![EvalTableRow {
            subject: "weights".to_owned(),
            setting: "k 20".to_owned(),
            figures: (0..6).map(|i| figure(&format!("figure {i}"), value)).collect(),
        }],
        pictures: Vec::new(),
        notes: vec!["a note".to_owned(), "kept in /home/me/secret/features".to_owned()],
        left_out: Vec::new(),
    }
}

/// A run with two checkpoints, figures and an evaluation.
fn run(folder: &Path, overrides: &[&str]) -> RunFolder {
    let overrides: Vec<String> = overrides.iter().map(|pair| (*pair).to_owned()).collect();
    let recipe = Recipe::preset("nano").unwrap().with_overrides(&overrides).unwrap();
    let run = RunFolder::create(folder, &recipe).unwrap();
    let mut log = run.metrics_from(0).unwrap();
    for step in 0..4 {
        log.append(&MetricsLine::new(step, &values(&[("loss", step as f64)]))).unwrap();
        let found = [("knn_top1", 0.5), ("knn_correct", 8.0 + step as f64), ("knn_total", 20.0)];
        log.append(&MetricsLine::new(step + 1, &values(&found))).unwrap();
    }
    for step in ["000002", "000004"] {
        let checkpoint = run.checkpoints().join(step);
        std::fs::create_dir(&checkpoint).unwrap();
        for file in ["student", "teacher", "optimizer"] {
            std::fs::write(checkpoint.join(format!("{file}.safetensors")), "weights").unwrap();
        }
        std::fs::write(checkpoint.join("state.json"), "{}").unwrap();
    }
    std::fs::create_dir(run.path().join("evaluations")).unwrap();
    let kept = serde_json::to_vec(&outcome("Linear probe", 0.25)).unwrap();
    std::fs::write(run.path().join("evaluations/linear.json"), kept).unwrap();
    std::fs::write(run.path().join("evaluations/notes.txt"), "not one").unwrap();
    run
}

fn of_run(run: &ModelCardRun) -> String {
    let config = run.recipe.backbone();
    let written = ModelExportFormat::Weights(KeyLayout::HuggingFace);
    card(&ModelCard { name: &run.name, config: &config, written, file: "", run: Some(run) })
}

#[test]
fn the_front_matter_is_what_hubs_read() {
    for (written, library) in [
        (ModelExportFormat::Weights(KeyLayout::HuggingFace), "transformers"),
        (ModelExportFormat::Weights(KeyLayout::Timm), "timm"),
        (ModelExportFormat::Weights(KeyLayout::Official), "dinoscope"),
        (ModelExportFormat::Onnx(onnx::OnnxInputSize::Free), "onnx"),
        (ModelExportFormat::OnnxFolder(onnx::OnnxInputSize::Free), "transformers.js"),
    ] {
        let text = plain_card(&config(), written);
        let (front, body) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
        assert!(front.starts_with(&format!("library_name: {library}\n")), "{front}");
        assert!(
            front.contains("\npipeline_tag: image-feature-extraction\n")
                && front.contains("\nlicense: unknown\n")
        );
        assert!(front.contains("\ntags:\n- dinov2\n") && !front.contains("distillation"));
        assert!(
            body.contains("\n# mine\n")
                && body.contains("placeholder")
                && body.ends_with(&format!("{MARK}\n"))
        );
        assert!(!body.contains("## How it was trained") && !body.contains("## Figures"));
    }
}

#[test]
fn what_loads_the_weights_has_their_sizes() {
    let of = |config: &VitConfig, layout| plain_card(config, ModelExportFormat::Weights(layout));
    let timm = of(&config(), KeyLayout::Timm);
    for part in
        ["img_size=64,", "patch_size=8,", "embed_dim=96,", "num_heads=3,", "load_file(\"mine.safetensors\")"]
    {
        assert!(timm.contains(part), "{part} in {timm}");
    }
    assert!(timm.contains("create_transform((64, 64)") && timm.contains("tokens[:, 1:]"));
    let mut swiglu = config().with_swiglu().with_registers(4);
    (swiglu.layerscale, swiglu.qkv_bias) = (None, false);
    let timm = of(&swiglu, KeyLayout::Timm);
    for part in [
        "SwiGLUPacked",
        "reg_tokens=4,",
        "no_embed_class=True",
        "qkv_bias=False",
        "init_values=0,",
        "[:, 5:]",
    ] {
        assert!(timm.contains(part), "{part} in {timm}");
    }
    // timm rounds the product down.
    let (_, ratio) = timm.split_once("mlp_ratio=").unwrap();
    let ratio: f64 = ratio.split_once(',').unwrap().0.parse().unwrap();
    assert_eq!((ratio * swiglu.dim as f64) as usize, 2 * swiglu.hidden);
    let official = of(&swiglu, KeyLayout::Official);
    for part in ["ffn_layer=\"swiglufused\"", "init_values=None", "num_register_tokens=4", "mlp_ratio=4,"] {
        assert!(official.contains(part), "{part} in {official}");
    }
    let fixed = onnx::OnnxInputSize::Fixed { height: 32, width: 48 };
    assert!(plain_card(&config(), ModelExportFormat::Onnx(fixed)).contains("resize((48, 32)"));
    assert!(!plain_card(&config(), ModelExportFormat::Onnx(fixed)).contains("dinoscope features"));
    assert_eq!(
        [crate::weights::crop_side(&config()), crate::weights::crop_side(&VitConfig::new(518, 14, 96, 1, 3))],
        [64, 224]
    );
}

#[test]
fn a_folder_for_transformers_js_shows_what_loads_it() {
    let size = onnx::OnnxInputSize::Fixed { height: 32, width: 48 };
    let text = plain_card(&config().with_registers(2), ModelExportFormat::OnnxFolder(size));
    for part in [
        "```js\nimport { pipeline } from \"@huggingface/transformers\";",
        "pipeline(\"image-feature-extraction\", \"./\", { dtype: \"fp32\" })",
        "// [1, 27, 96]",
        "tokens.slice(null, [3, null]); // 4 rows of 6",
        "InferenceSession(\"onnx/model.onnx\")",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("dinoscope features"));
}

#[test]
fn what_another_program_does_not_know_is_told_to_it() {
    let of = |config: &VitConfig, layout| plain_card(config, ModelExportFormat::Weights(layout));
    let wide = VitConfig { grid: PatchGrid::new(6, 10), norm_eps: 1e-5, ..config() };
    let timm = of(&wide, KeyLayout::Timm);
    for part in [
        "img_size=(48, 80),",
        "create_transform((48, 48)",
        "        module.eps = 1e-5\nmodel.eval()",
        "6 × 10 patches, 48 × 80 pixels",
        "LayerNorm's epsilon | 1e-5",
        "48 pixels high and 80 wide",
    ] {
        assert!(timm.contains(part), "{part} in {timm}");
    }
    for layout in [KeyLayout::HuggingFace, KeyLayout::Official] {
        let text = of(&wide, layout);
        assert!(text.contains("square grids") && text.contains("`--to timm`"), "{text}");
        assert!(!text.contains("```python") && text.contains("dinoscope features"), "{text}");
    }
    let official = of(&VitConfig { norm_eps: 1e-5, ..config() }, KeyLayout::Official);
    assert!(official.contains("module.eps = 1e-5") && official.contains("img_size=64,"), "{official}");
    assert!(!of(&config(), KeyLayout::Official).contains("module.eps"));
    // transformers reads it from config.json.
    assert!(!of(&VitConfig { norm_eps: 1e-5, ..config() }, KeyLayout::HuggingFace).contains("module.eps"));
}

#[test]
fn a_run_is_told_from_its_folder_a_checkpoint_or_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nano-007");
    let run = run(&path, &[]);
    let newest = ModelCardRun::of(&path).unwrap().unwrap();
    assert_eq!((newest.name.as_str(), newest.iteration, newest.lines.len()), ("nano-007", 4, 8));
    assert_eq!(newest.accuracy("knn"), Some(Accuracy { correct: 11, total: 20 }));
    let text = of_run(&newest);
    for part in [
        "# nano-007",
        "1200 easy scenes of 96 pixels",
        "4 of 240, each on 32 pictures",
        "the last 4 steps that were reported | 1.500",
        "55.0 % (34.2–74.2)",
        "### Linear probe",
        "3 pictures \\| 2 classes",
        "figure 3 25.0 %",
        "- a note",
        "\ndinoscope train nano\n",
        "drawn pictures",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("figure 4"), "a row is not a page");

    for named in ["checkpoints/000002", "checkpoints/000002/teacher.safetensors"] {
        let older = ModelCardRun::of(&path.join(named)).unwrap().unwrap();
        assert_eq!((older.iteration, older.lines.len()), (2, 4), "{named}");
        assert_eq!(older.accuracy("knn"), Some(Accuracy { correct: 9, total: 20 }));
    }

    let packed = folder.path().join("nano-007.zip");
    std::fs::write(&packed, archive::pack(run.path()).unwrap()).unwrap();
    let unpacked = ModelCardRun::of(&packed).unwrap().unwrap();
    assert_eq!(of_run(&unpacked), text);
    assert!(ModelCardRun::of(folder.path()).unwrap().is_none());
    std::fs::write(path.join("recipe.toml"), "preset = 3").unwrap();
    assert!(ModelCardRun::of(&path).unwrap_err().to_string().contains("recipe.toml"));
}

#[test]
fn paths_of_one_machine_stay_there() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = [
        "data.path=/home/me/secret/My Pictures/",
        "start.weights=C:\\Users\\me\\dinov2_vits14.pth",
        "distill.method=similarity",
        "distill.teacher=/home/me/secret/teacher-001",
        "train.checkpoint_every=7",
        "train.seed=3",
    ];
    let path = folder.path().join("pupil");
    run(&path, &overrides);
    let text = of_run(&ModelCardRun::of(&path).unwrap().unwrap());
    assert!(!text.contains("secret") && !text.contains("Users"), "{text}");
    for part in [
        "pictures of `My Pictures`",
        "backbone of `dinov2_vits14.pth`",
        "`teacher-001`, frozen",
        "- knowledge-distillation",
        "its teacher's licence",
        "--data 'My Pictures'",
        "--set train.seed=3",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("checkpoint_every"), "what changes nothing is not repeated");
}

#[test]
fn tables_keep_their_shape_whatever_a_name_holds() {
    assert_eq!(plain("a|b\nc <script>"), "a\\|b c &lt;script>");
    assert_eq!([shell("a-b.c"), shell("it's"), shell("")], ["a-b.c", r"'it'\''s'", "''"]);
    assert_eq!([count(7), count(22_500), count(22_056_576)], ["7", "23 thousand", "22.1 million"]);
}

#[test]
fn only_cards_from_here_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let text = plain_card(&config(), ModelExportFormat::Weights(KeyLayout::Timm));
    let path = save_card(folder.path(), &text).unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert!(save_card(folder.path(), &text.replace("mine", "newer")).unwrap().is_some());
    assert!(std::fs::read_to_string(&path).unwrap().contains("# newer"));
    std::fs::write(&path, "My own words.").unwrap();
    assert!(save_card(folder.path(), &text).unwrap().is_none());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "My own words.");
}

#[test]
fn a_folder_asks_for_pictures_of_its_size() {
    let sides = |config: &VitConfig| {
        let json = crate::weights::preprocessor_json(config);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        (json["crop_size"]["height"].as_u64().unwrap(), json["size"]["shortest_edge"].as_u64().unwrap())
    };
    assert_eq!(sides(&VitConfig::new(518, 14, 384, 12, 6)), (224, 256));
    assert_eq!(sides(&config()), (64, 73));
}
