//! The card of converted weights: the `README.md` that model hubs show, with what the model is, how to load it, how it
//! was trained, what was measured, and what it is not for.
//!
//! Source of the front matter: the Hub's documentation of model cards. `unknown` is a licence it accepts, and says what
//! is so: who publishes a model chooses its licence.

use std::path::{Path, PathBuf};

use super::card_run::ModelCardRun;
use super::card_snippets::{CardSnippet, incompatibility_note, snippets};
use crate::data::RGB;
use crate::data::channels::ChannelStatistics;
use crate::data::source::builtin::{BuiltinPictures, SharedPlace};
use crate::data::source::places;
use crate::eval::outcome::{EvalMetric, EvalMetricUnit, EvalReport, EvalTableRow};
use crate::files;
use crate::fused::MatmulPrecision;
use crate::model::config::{FfnKind, NORM_EPS, PosEmbedInterpolation, VitConfig};
use crate::train::fields;
use crate::train::recipe::{DistillMethod, Recipe};
use crate::weights::{KeyLayout, WeightsError, onnx};

/// Last line of every card, by which one is known that may be written again.
pub const MARK: &str =
    "<!-- written by `dinoscope weights convert`: without this line the file is never replaced -->";

/// Steps over which the final loss is averaged.
const LAST: usize = 25;
/// Figures of a row that a card has room for.
const FIGURES: usize = 4;

/// As what weights were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelExportFormat {
    /// A safetensors file, or a Hugging Face folder.
    Weights(KeyLayout),
    /// A graph in a file.
    Onnx(onnx::OnnxInputSize),
    /// A graph in the folder that transformers.js loads.
    OnnxFolder(onnx::OnnxInputSize),
}

/// What a card is about.
#[derive(Clone, Copy, Debug)]
pub struct ModelCard<'a> {
    /// The heading: `tiny-001`.
    pub name: &'a str,
    /// The backbone.
    pub config: &'a VitConfig,
    /// As what it was written.
    pub written: ModelExportFormat,
    /// Name of the file beside the card; not used for folders.
    pub file: &'a str,
    /// The run that it comes from, if it does.
    pub run: Option<&'a ModelCardRun>,
}

/// The card as Markdown.
pub fn card(card: &ModelCard) -> String {
    let parts = [
        Some(front_matter(card)),
        Some(format!("# {}\n\n{}\n{}", plain(card.name), introduction(card), sizes(card.config))),
        Some(loading(card)),
        card.run.map(training),
        card.run.and_then(figures),
        Some(limits(card)),
        Some(format!("{MARK}\n")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Writes a card's text as `README.md` into `folder`, whole or not at all. One that a person has written, or made their
/// own by taking [`MARK`] out of it, is left alone; then this is `None`.
///
/// # Errors
/// If the disk refuses.
pub fn save_card(folder: &Path, text: &str) -> Result<Option<PathBuf>, WeightsError> {
    let path = folder.join("README.md");
    let name = path.display().to_string();
    if files::exists(&path) {
        let there = files::read(&path).map_err(|e| WeightsError::io(&name, "read", e))?;
        if !String::from_utf8_lossy(&there).contains(MARK) {
            return Ok(None);
        }
    }
    files::write_and_rename(&path, text).map_err(|e| WeightsError::io(&name, "write", e))?;
    Ok(Some(path))
}

fn front_matter(card: &ModelCard) -> String {
    let library = match card.written {
        ModelExportFormat::Weights(KeyLayout::HuggingFace) => "transformers",
        ModelExportFormat::Weights(KeyLayout::Timm) => "timm",
        ModelExportFormat::Weights(KeyLayout::Official) => "dinoscope",
        ModelExportFormat::Onnx(_) => "onnx",
        ModelExportFormat::OnnxFolder(_) => "transformers.js",
    };
    let distilled = card.run.is_some_and(|run| run.recipe.distill.is_on());
    let mut tags =
        vec!["dinov2", "vision", "self-supervised-learning", "image-feature-extraction", "dinoscope"];
    if distilled {
        tags.push("knowledge-distillation");
    }
    let tags: String = tags.iter().map(|tag| format!("- {tag}\n")).collect();
    format!(
        "---\nlibrary_name: {library}\npipeline_tag: image-feature-extraction\n\
         # A placeholder: choose a licence before you publish.\nlicense: unknown\ntags:\n{tags}---\n"
    )
}

fn introduction(card: &ModelCard) -> String {
    let dim = card.config.dim;
    let origin = match card.run {
        Some(run) if run.recipe.distill.is_on() => {
            "It learned from a larger model, without labels, in [Dinoscope](https://github.com/dinoscope/dinoscope)."
        }
        Some(_) => "It was trained without labels in [Dinoscope](https://github.com/dinoscope/dinoscope).",
        None => "It was converted by [Dinoscope](https://github.com/dinoscope/dinoscope).",
    };
    let kind = if card.config.rope.is_some() {
        "with rotary positions, as DINOv3 has them"
    } else {
        "as DINOv2 has it"
    };
    format!(
        "A backbone {kind}: a Vision Transformer that makes a picture into a CLS token for the whole and a token for each \
         patch, {dim} numbers each. {origin} It has no classifier: its features are for nearest neighbours, linear heads, \
         retrieval, and maps of what belongs together.\n"
    )
}

fn sizes(config: &VitConfig) -> String {
    let ffn = match config.ffn {
        FfnKind::Mlp => "MLP",
        FfnKind::SwiGlu => "SwiGLU",
    };
    let (height, width) = config.image();
    let mut rows = vec![
        ("blocks, width, heads", format!("{}, {}, {}", config.depth, config.dim, config.heads)),
        ("patch", format!("{0} × {0} pixels", config.patch)),
        ("channels", channels(config)),
        ("feed-forward", format!("{ffn} of {}", config.hidden)),
        ("registers", config.registers.to_string()),
        match &config.rope {
            None => (
                "positions stored for",
                format!("{} × {} patches, {height} × {width} pixels", config.grid.rows, config.grid.cols),
            ),
            Some(rope) => ("positions", format!("rotary, base {}; for {height} × {width} pixels", rope.base)),
        },
        ("parameters", count(config.parameters())),
    ];
    if config.norm_eps != NORM_EPS {
        rows.push(("LayerNorm's epsilon", format!("{:e}", config.norm_eps)));
    }
    table(["", ""], rows.into_iter().map(|(what, value)| [what.to_owned(), value]))
}

/// Channels of its pictures, and what they are normalised by where that is not usual.
fn channels(config: &VitConfig) -> String {
    let ChannelStatistics { mean, deviation } = &config.pixels;
    match config.channels() {
        RGB if config.pixels == ChannelStatistics::image_net() => "red, green and blue".to_owned(),
        RGB => format!("red, green and blue, less {mean:?}, over {deviation:?}"),
        1 => format!("grey, less {mean:?}, over {deviation:?}"),
        count => format!("{count}, less {mean:?}, over {deviation:?}"),
    }
}

/// The size that positions are stored for.
fn pixels(config: &VitConfig) -> String {
    match config.image() {
        (height, width) if height == width => format!("{height} pixels"),
        (height, width) => format!("{height} pixels high and {width} wide"),
    }
}

fn loading(card: &ModelCard) -> String {
    let mut text = "## How to load it\n".to_owned();
    if let Some(reason) = incompatibility_note(card) {
        text += &format!("\n{reason}\n");
    }
    for CardSnippet { intro, language, code } in snippets(card) {
        text += &format!("\n{intro}\n\n```{language}\n{code}```\n");
    }
    text
}

fn training(run: &ModelCardRun) -> String {
    let recipe = &run.recipe;
    let mut text = "## How it was trained\n\n".to_owned();
    text += &table(["", ""], recipe_rows(run).into_iter().map(|(what, value)| [what.to_owned(), value]));
    text += &format!("\nThe same recipe once more:\n\n```sh\n{}\n```\n", again(recipe));
    text
}

fn recipe_rows(run: &ModelCardRun) -> Vec<(&'static str, String)> {
    let Recipe { crops, train, optim, loss, head, distill, start, .. } = &run.recipe;
    let per_cent = |[low, high]: [f64; 2]| format!("{:.0}–{:.0} %", 100.0 * low, 100.0 * high);
    let mut rows = vec![("data", data(&run.recipe))];
    if !start.weights.is_empty() {
        let parts = if start.heads { "backbone and heads" } else { "backbone" };
        rows.push(("started from", format!("{parts} of `{}`", name_of(&start.weights))));
    }
    rows.push((
        "crops of a picture",
        format!(
            "2 of {} pixels ({} of its area), {} of {} pixels ({})",
            crops.global_size,
            per_cent(crops.global_scale),
            crops.locals,
            crops.local_size,
            per_cent(crops.local_scale)
        ),
    ));
    rows.push((
        "steps",
        format!("{} of {}, each on {} pictures", run.iteration, train.iterations, train.batch),
    ));
    let heads = format!("{} prototypes", head.prototypes);
    let weights: Vec<String> = loss.weights().map(|(name, weight)| format!("{name} {weight}")).collect();
    let weights = weights.join(", ");
    match distill.method {
        DistillMethod::None => {
            rows.push(("losses", format!("{weights}; {heads}, {} centering", word(&loss.centering))));
            rows.push((
                "teacher",
                format!("the student's moving average, {} to {}", optim.momentum, optim.momentum_end),
            ));
        }
        DistillMethod::Heads => {
            rows.push(("losses", format!("{weights}, without masks, against what the teacher's heads say")));
        }
        DistillMethod::Similarity => {
            rows.push(("losses", "similarities among pictures and among patches".to_owned()))
        }
        DistillMethod::Regression => {
            rows.push(("losses", "the teacher's features, through linear projections".to_owned()))
        }
    }
    if distill.is_on() {
        rows.push(("teacher", format!("`{}`, frozen", name_of(&distill.teacher))));
        rows.push(("kept", "the student's moving average".to_owned()));
    }
    rows.push((
        "optimiser",
        format!(
            "AdamW, learning rate up to {:.3e}, weight decay {} to {}",
            run.recipe.peak_lr(),
            optim.weight_decay,
            optim.weight_decay_end
        ),
    ));
    let products = match train.matmul_precision {
        MatmulPrecision::F32 => String::new(),
        other => format!(", products in {}", word(&other)),
    };
    rows.push(("numbers, seed", format!("{}{products}, {}", word(&train.precision), train.seed)));
    rows
}

/// What was trained on, without the path that leads there.
fn data(recipe: &Recipe) -> String {
    let data = &recipe.data;
    let drawn = |builtin: BuiltinPictures| {
        let what = match builtin {
            BuiltinPictures::Scenes(kind) => format!("{} scenes", kind.unwrap_or(data.scene_kind)),
            BuiltinPictures::Procedural => "procedural pictures".to_owned(),
        };
        format!("{} {what} of {} pixels that Dinoscope draws itself", data.scenes, data.scene_size)
    };
    if let Some(builtin) = data.path.only().and_then(places::builtin) {
        return drawn(builtin);
    }
    let words = data.path.iter().map(|path| match SharedPlace::read(path) {
        Ok(SharedPlace { builtin: Some(builtin), share, .. }) => {
            drawn(builtin) + &share.map_or(String::new(), |share| format!(" (share {share})"))
        }
        _ => format!("pictures of `{}`", name_of(path)),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The command that trains a recipe: its preset and what differs from it, without paths of one machine.
fn again(recipe: &Recipe) -> String {
    let preset = Recipe::preset(&recipe.preset);
    let differ = preset.and_then(|preset| fields::differences(&preset, recipe)).unwrap_or_default();
    let mut command = format!("dinoscope train {}", recipe.preset);
    for key in differ {
        if fields::live(key) {
            continue;
        }
        let Some(value) = fields::get(recipe, key) else { continue };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        command += &match fields::kind(key) {
            Some(fields::RecipeFieldKind::Path) if key == "data.path" => {
                recipe.data.path.iter().map(|path| format!(" --data {}", shell(&name_of(path)))).collect()
            }
            Some(fields::RecipeFieldKind::Path) => {
                format!(" --set {}", shell(&format!("{key}={}", name_of(&text))))
            }
            _ => format!(" --set {}", shell(&format!("{key}={text}"))),
        };
    }
    command
}

/// What was measured, if anything was.
fn figures(run: &ModelCardRun) -> Option<String> {
    let mut rows = Vec::new();
    let losses: Vec<f64> =
        run.lines.iter().filter_map(|line| line.values.get("loss").copied().flatten()).collect();
    let last = &losses[losses.len().saturating_sub(LAST)..];
    if !last.is_empty() {
        let mean = last.iter().sum::<f64>() / last.len() as f64;
        rows.push([
            "loss".to_owned(),
            format!("the last {} steps that were reported", last.len()),
            format!("{mean:.3}"),
        ]);
    }
    for (measure, name, what) in [
        ("k-NN top-1", "knn", "CLS tokens, 20 neighbours"),
        ("k-NN top-1", "knn_raw_pixels", "raw pixels, 20 neighbours"),
        ("crop retrieval top-1", "crops", "CLS tokens, among the pictures that it learned from"),
        ("crop retrieval top-1", "crops_raw_pixels", "raw pixels, among the same"),
    ] {
        if let Some(accuracy) = run.accuracy(name) {
            rows.push([measure.to_owned(), what.to_owned(), EvalMetric::accuracy("top-1", accuracy).text()]);
        }
    }
    for (name, what) in [
        ("agreement_cls", "CLS tokens, cosine"),
        ("agreement_patches", "patch tokens, cosine"),
        ("agreement_neighbours", "share of common neighbours"),
    ] {
        if let Some(value) = run.last(name) {
            let text = EvalMetric::plain(name, value, EvalMetricUnit::More).text();
            rows.push(["agreement with the teacher".to_owned(), what.to_owned(), text]);
        }
    }
    if rows.is_empty() && run.outcomes.is_empty() {
        return None;
    }
    let mut text = "## Figures\n\nIn brackets the 95 % interval for a test set of this size.\n".to_owned();
    if !rows.is_empty() {
        text += &format!("\n### While it was trained\n\n{}", table(["measure", "of", "value"], rows));
    }
    for outcome in &run.outcomes {
        text += &evaluation(outcome);
    }
    Some(text)
}

fn evaluation(outcome: &EvalReport) -> String {
    let mut text = format!("\n### {}\n\n{}\n\n", plain(&outcome.title), plain(&outcome.data));
    let figures = |row: &EvalTableRow| {
        let shown = row.figures.iter().take(FIGURES);
        shown.map(|figure| format!("{} {}", figure.name, figure.text())).collect::<Vec<_>>().join(", ")
    };
    let rows = outcome.rows.iter().map(|row| [row.subject.clone(), row.setting.clone(), figures(row)]);
    text += &table(["judged", "setting", "figures"], rows);
    // Where something lies on one machine is nobody's business.
    let notes: Vec<&String> = outcome.notes.iter().filter(|note| !note.contains(['/', '\\'])).collect();
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        text += &format!("- {}\n", plain(note));
    }
    text
}

fn limits(card: &ModelCard) -> String {
    let config = card.config;
    let mut points = vec![
        "No licence has been chosen: `license: unknown` above is a placeholder. What may be done with the weights also \
         depends on the pictures that they learned from."
            .to_owned(),
        format!("Sides of a picture should be multiples of {} pixels; what is beyond the last whole patch is not seen.", config.patch),
        format!(
            "Features are best near the size that was trained on, {}; finer maps come from larger pictures, up to \
             about twice that.",
            pixels(config)
        ),
    ];
    let table = config.rope.is_none();
    match card.written {
        ModelExportFormat::Weights(KeyLayout::HuggingFace) if table && config.interpolation == PosEmbedInterpolation::OFFSET => points.push(format!(
            "At other sizes than {} `transformers` resamples positions slightly differently from the training, as \
             it does for the released models; features differ a little.",
            pixels(config)
        )),
        ModelExportFormat::Weights(KeyLayout::Timm) if table && config.interpolation != PosEmbedInterpolation::ANTIALIAS => points.push(format!(
            "At other sizes than {} `timm` resamples positions slightly differently from the training; features \
             differ a little.",
            pixels(config)
        )),
        _ => {}
    }
    if let Some(run) = card.run {
        if run.recipe.data.path.is_builtin() {
            points.push(
                "It has only ever seen drawn pictures: for photographs take a model that was trained on them."
                    .to_owned(),
            );
        } else {
            points.push(
                "What the pictures do not show, or show in one way only, it has not learned.".to_owned(),
            );
        }
        if run.recipe.distill.is_on() {
            points.push("It was distilled: its teacher's licence and limits are its own as well.".to_owned());
        }
        if !run.recipe.start.weights.is_empty() {
            points.push(
                "It started from other weights, whose licence and limits are its own as well.".to_owned(),
            );
        }
    }
    let points: String = points.iter().map(|point| format!("- {point}\n")).collect();
    format!("## Limits\n\n{points}")
}

/// A Markdown table.
fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(heads.iter().map(|head| (*head).to_owned()).collect());
    text += &format!("|{}\n", "---|".repeat(N));
    for row in rows {
        text += &line(row.iter().map(|cell| plain(cell)).collect());
    }
    text
}

/// Text that a person or a file brought, in one line that no table breaks at.
fn plain(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|").replace('<', "&lt;")
}

/// The last part of a path: where it lies on one machine is nobody's business.
fn name_of(path: &str) -> String {
    let trimmed = path.trim_end_matches(['/', '\\']);
    trimmed.rsplit(['/', '\\']).next().unwrap_or(trimmed).replace('`', "'")
}

/// A word as a shell takes it.
pub(super) fn shell(text: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(simple) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A choice by the word that recipes have for it.
fn word(choice: &impl serde::Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `22.1 million`
fn count(values: usize) -> String {
    match values {
        0..1000 => values.to_string(),
        1000..1_000_000 => format!("{} thousand", (values + 500) / 1000),
        _ => format!("{:.1} million", values as f64 / 1e6),
    }
}

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
