//! The pictures of a command, one after the other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Result, bail};
use dinoscope_core::analysis::attention_map::{AttentionMaps, overlay, stretch};
use dinoscope_core::analysis::colour_map::ColourMap;
use dinoscope_core::analysis::image_out::{UpsampleFilter, write_png};
use dinoscope_core::analysis::{PatchFeatures, npy, similarity};
use dinoscope_core::data::decode::DecodeOptions;
use dinoscope_core::data::{Picture, archive};
use dinoscope_core::device::{SelectedDevice, block_on};
use dinoscope_core::features::{ViewFeatures, view_attention, view_features, view_features_and_attention};
use dinoscope_core::model::Vit;
use dinoscope_core::rng::fnv1a;
use serde_json::json;

use super::FeaturesArgs;
use super::ahead::{ImagePrefetcher, PrefetchOptions, PrefetchedImage};
use super::colours::{PcaRenderOptions, SpilledFeatures};
use super::inputs::FeatureInput;
use super::journal::{FeatureJournal, JournalEntry};
use crate::cli::UsageError;
use crate::cli::progress::CliProgress;
use crate::cli::status::{CliExitStatus, FailedInputs};
use crate::cli::terminal::{note, out};

/// Reasons that are said again when no picture could be used.
const REASONS: usize = 3;

/// What is done with which pictures.
pub struct FeatureJob<'a> {
    /// What was asked for.
    pub arguments: &'a FeaturesArgs,
    /// The model.
    pub backbone: &'a Vit,
    /// Where it is.
    pub chosen: &'a SelectedDevice,
    /// The pictures.
    pub inputs: &'a [FeatureInput],
    /// Shorter side of the views.
    pub resolution: usize,
    /// Where files of each picture go, if there are any.
    pub folder: Option<PathBuf>,
}

/// What there is before the work begins.
struct FeatureJobState {
    journal: FeatureJournal,
    failed: FailedInputs,
    /// What each picture's file is known by.
    stamps: Vec<String>,
    /// What is to be written for each.
    wanted: BTreeSet<String>,
    /// Pictures that are passed over: all that is wanted of them is there.
    skipped: Vec<bool>,
    /// Colours that wait to be fitted, unless that was done.
    waiting: Option<SpilledFeatures>,
    /// What patches are compared with.
    query: Option<Vec<f32>>,
    /// Pictures that are done, in their order.
    usable: Vec<usize>,
    /// Why others are not.
    reasons: Vec<String>,
}

impl FeatureJob<'_> {
    /// Makes what is missing.
    pub fn carry_out(&self, journal: FeatureJournal, failed: FailedInputs) -> Result<CliExitStatus> {
        let mut state = self.look(journal, failed);
        let todo: Vec<&PathBuf> = self
            .inputs
            .iter()
            .zip(&state.skipped)
            .filter(|(_, s)| !**s)
            .map(|(input, _)| &input.path)
            .collect();
        let making = PrefetchOptions {
            resolution: self.resolution,
            patch: self.backbone.config.patch,
            decode: DecodeOptions {
                channels: self.backbone.config.channels(),
                ..self.arguments.depth_range.into()
            },
            whole: self.arguments.attention || self.arguments.similarity.is_some(),
        };
        let mut progress = CliProgress::new(self.inputs.len() as u64, "pictures", self.arguments.json);
        std::thread::scope(|scope| {
            let mut ahead = ImagePrefetcher::start(scope, &todo, making)?;
            for (i, input) in self.inputs.iter().enumerate() {
                if state.skipped[i] {
                    self.pass_over(i, &mut state);
                } else {
                    let refused = match ahead.next()? {
                        Ok(ready) => self.see(i, &ready, &mut state)?,
                        Err(error) => Some(error.to_string()),
                    };
                    if let Some(reason) = refused {
                        progress.aside(|| state.failed.add(&input.path.display().to_string(), &reason));
                        state.journal.fail(&input.stem, &state.stamps[i])?;
                        state.reasons.push(reason);
                    }
                }
                progress.set(i as u64 + 1, input.path.display().to_string());
            }
            Ok::<(), anyhow::Error>(())
        })?;
        progress.finish();
        self.complete(state)
    }

    /// What is there already.
    fn look(&self, journal: FeatureJournal, failed: FailedInputs) -> FeatureJobState {
        let stamps: Vec<String> = self.inputs.iter().map(|input| stamp(&input.path)).collect();
        let lost: Vec<bool> = self
            .inputs
            .iter()
            .zip(&stamps)
            .map(|(input, stamp)| journal.has_failed(&input.stem, stamp))
            .collect();
        let first = lost.iter().position(|lost| !lost).map(|i| self.inputs[i].stem.as_path());
        let wanted = self.wanted(first.unwrap_or(Path::new("")));
        let done = |i: usize| {
            let input = &self.inputs[i];
            let known = journal.entry(&input.stem).is_some_and(|entry| {
                entry.image == input.path && entry.stamp == stamps[i] && wanted.is_subset(&entry.made)
            });
            let row = self.arguments.table.is_none() || journal.has_row(&input.stem);
            known && row && self.endings().iter().all(|ending| self.file(input, ending).is_file())
        };
        let mut skipped: Vec<bool> = (0..self.inputs.len()).map(done).collect();
        let all = skipped.iter().zip(&lost).all(|(skipped, lost)| *skipped || *lost);
        // Patches are compared with the first picture, whose features are not kept.
        if self.arguments.similarity.is_some() && !all {
            skipped.fill(false);
        }
        let usable: Vec<usize> = (0..skipped.len()).filter(|i| skipped[*i]).collect();
        let coloured = all
            && journal.has_colours(&self.of_colours(&usable, &stamps))
            && usable.iter().all(|i| self.file(&self.inputs[*i], "pca.png").is_file());
        let waiting = match &self.folder {
            Some(folder) if self.arguments.pca && !coloured => Some(SpilledFeatures::new(folder)),
            _ => None,
        };
        // Features that wait for colours are those of the `.npy` files, or computed again, as is where the model looks.
        if waiting.is_some() && (!self.arguments.npy || self.arguments.foreground) {
            skipped.fill(false);
        }
        let (query, usable, reasons) = Default::default();
        FeatureJobState { journal, failed, stamps, wanted, skipped, waiting, query, usable, reasons }
    }

    /// Names of what is written for each picture, but for its colours.
    fn wanted(&self, first: &Path) -> BTreeSet<String> {
        let FeaturesArgs { npy, attention, query, blocks, .. } = *self.arguments;
        let mut wanted = BTreeSet::new();
        if self.folder.is_none() {
            return wanted;
        }
        if npy {
            wanted.insert("npy".to_owned());
        }
        if attention {
            let of = format!("block {}, query {query:?}", self.block());
            wanted.insert(format!("attention of {of}, blocks {blocks}"));
            if npy {
                wanted.insert(format!("attention.npy of {of}"));
            }
        }
        if let Some(at) = self.arguments.similarity {
            wanted.insert(format!("similarity to {at:?} of {}, blocks {blocks}", first.display()));
        }
        wanted
    }

    /// Endings of files that show whether the rest is there.
    fn endings(&self) -> Vec<&'static str> {
        let FeaturesArgs { npy, attention, similarity, .. } = *self.arguments;
        let all = [
            ("npy", npy),
            ("cls.npy", npy),
            ("attention.png", attention),
            ("attention.npy", npy && attention),
            ("similarity.png", similarity.is_some()),
        ];
        let written = |wanted: bool| wanted && self.folder.is_some();
        all.into_iter().filter(|(_, wanted)| written(*wanted)).map(|(ending, _)| ending).collect()
    }

    /// The pictures whose colours are fitted together, and how.
    fn of_colours(&self, usable: &[usize], stamps: &[String]) -> String {
        let FeaturesArgs { foreground, invert, blocks, .. } = *self.arguments;
        let mut of = format!("foreground {foreground}, inverted {invert}, blocks {blocks}");
        for i in usable {
            of += &format!("; {} {}", self.inputs[*i].stem.display(), stamps[*i]);
        }
        // Long for many pictures, and only ever compared.
        let sum = fnv1a(&of);
        format!("{} pictures, {sum:016x}", usable.len())
    }

    /// Whether objects are split from background, for which it is looked where the model looks.
    fn splits(&self) -> bool {
        self.arguments.pca && self.arguments.foreground && self.folder.is_some()
    }

    fn block(&self) -> usize {
        self.arguments.block.unwrap_or(self.backbone.config.depth - 1)
    }

    fn filter(&self) -> UpsampleFilter {
        if self.arguments.blocks { UpsampleFilter::Nearest } else { UpsampleFilter::Bicubic }
    }

    /// A file of a picture's results.
    fn file(&self, input: &FeatureInput, ending: &str) -> PathBuf {
        let mut name = self.stem(input).into_os_string();
        name.push(format!(".{ending}"));
        name.into()
    }

    fn stem(&self, input: &FeatureInput) -> PathBuf {
        self.folder.as_deref().unwrap_or(Path::new("")).join(&input.stem)
    }

    /// A picture that is done already.
    fn pass_over(&self, i: usize, state: &mut FeatureJobState) {
        let input = &self.inputs[i];
        let Some(entry) = state.journal.entry(&input.stem) else { return };
        if let Some(waiting) = &mut state.waiting {
            waiting.add_kept(self.file(input, "npy"), entry.shape, entry.size, self.file(input, "pca.png"));
        }
        self.say(input, entry.shape, true);
        state.usable.push(i);
    }

    /// A picture through the model, and its results on the disk. Why there are none, where that is the picture's fault.
    fn see(&self, i: usize, ready: &PrefetchedImage, state: &mut FeatureJobState) -> Result<Option<String>> {
        let (input, config, arguments) = (&self.inputs[i], &self.backbone.config, self.arguments);
        let (rows, cols) = (ready.view.height / config.patch, ready.view.width / config.patch);
        let token = match arguments.query {
            None => 0,
            Some(at) => match patch_index(at, rows, cols) {
                Ok(index) => config.prefix() + index,
                Err(refused) => return Ok(Some(refused)),
            },
        };
        let (view, device) = (&ready.view, &self.chosen.device);
        let mut hint = None;
        let (features, looks) = match arguments.attention && self.folder.is_some() {
            true => {
                let seen = view_features_and_attention(self.backbone, view, self.block(), token, device);
                let (features, looks) = block_on(seen)?;
                (features, Some(AttentionMaps::new(&looks, config.heads, config.prefix(), rows, cols)?))
            }
            false if self.splits() => {
                let seen = view_features_and_attention(self.backbone, view, config.depth - 1, 0, device);
                let (features, looks) = block_on(seen)?;
                hint = Some(AttentionMaps::new(&looks, config.heads, config.prefix(), rows, cols)?.mean);
                (features, None)
            }
            false => (block_on(view_features(self.backbone, view, device))?, None),
        };
        if let Some(maps) = looks.as_ref().filter(|_| self.splits()) {
            // What is written may be another block's or token's.
            hint = match (self.block() + 1 == config.depth, token) {
                (true, 0) => Some(maps.mean.clone()),
                _ => {
                    let looks = block_on(view_attention(self.backbone, view, config.depth - 1, 0, device))?;
                    Some(AttentionMaps::new(&looks, config.heads, config.prefix(), rows, cols)?.mean)
                }
            };
        }
        if let Some(folder) = self.stem(input).parent().filter(|_| self.folder.is_some()) {
            std::fs::create_dir_all(folder)
                .map_err(|e| UsageError(format!("can't make the folder {}: {e}", folder.display())))?;
        }
        let PatchFeatures { dim, ref data, .. } = features.patches;
        if arguments.npy {
            npy::write(&self.file(input, "npy"), &[rows, cols, dim], data)?;
            npy::write(&self.file(input, "cls.npy"), &[dim], &features.cls)?;
        }
        if let (Some(maps), Some(picture)) = (&looks, &ready.picture) {
            self.write_attention(input, maps, picture)?;
        }
        if let (Some(at), Some(picture)) = (arguments.similarity, &ready.picture) {
            self.write_similarity(input, at, &features.patches, picture, &mut state.query)?;
        }
        if let Some(waiting) = &mut state.waiting {
            let to = self.file(input, "pca.png");
            match arguments.npy {
                true => waiting.add_kept(self.file(input, "npy"), [rows, cols, dim], ready.size, to),
                false => waiting.add(&features.patches, ready.size, to)?,
            }
            if let Some(hint) = hint {
                waiting.seen(&hint)?;
            }
        }
        let entry = JournalEntry {
            stem: input.stem.clone(),
            image: input.path.clone(),
            stamp: state.stamps[i].clone(),
            made: state.wanted.clone(),
            shape: [rows, cols, dim],
            size: ready.size,
            row: String::new(),
        };
        let row = arguments.table.is_some().then(|| numbers(&features));
        state.journal.done(entry, row.as_deref())?;
        self.say(input, [rows, cols, dim], false);
        state.usable.push(i);
        Ok(None)
    }

    /// One JSON object for a picture that is done.
    fn say(&self, input: &FeatureInput, [rows, cols, dim]: [usize; 3], there: bool) {
        if !self.arguments.json {
            return;
        }
        let mut said =
            json!({ "image": input.path.display().to_string(), "rows": rows, "cols": cols, "dim": dim });
        if self.folder.is_some() {
            said["stem"] = json!(self.stem(input).display().to_string());
        }
        if there {
            said["skipped"] = json!(true);
        }
        out!("{said}");
    }

    fn write_attention(&self, input: &FeatureInput, maps: &AttentionMaps, picture: &Picture) -> Result<()> {
        let draw = |map: &[f32], ending: &str| -> Result<()> {
            let values = stretch(map, 99.0);
            let (rows, cols) = (maps.rows, maps.cols);
            let drawn = overlay(picture, &values, rows, cols, ColourMap::Inferno, 0.7, self.filter())?;
            Ok(write_png(&self.file(input, ending), &drawn)?)
        };
        for (head, map) in maps.heads.iter().enumerate() {
            draw(map, &format!("attention-{head}.png"))?;
        }
        if self.arguments.npy {
            let shape = [maps.heads.len(), maps.rows, maps.cols];
            npy::write(&self.file(input, "attention.npy"), &shape, &maps.heads.concat())?;
        }
        draw(&maps.mean, "attention.png")
    }

    fn write_similarity(
        &self,
        input: &FeatureInput,
        at: (usize, usize),
        patches: &PatchFeatures,
        picture: &Picture,
        query: &mut Option<Vec<f32>>,
    ) -> Result<()> {
        let query = match query {
            Some(query) => query,
            None => {
                let index = patch_index(at, patches.rows, patches.cols).map_err(UsageError)?;
                query.insert(patches.patch(index).unwrap_or_default().to_vec())
            }
        };
        let values: Vec<f32> = similarity::to_all(query, patches)?.iter().map(|v| v.max(0.0)).collect();
        let (rows, cols) = (patches.rows, patches.cols);
        let drawn = overlay(picture, &values, rows, cols, ColourMap::Viridis, 0.7, self.filter())?;
        Ok(write_png(&self.file(input, "similarity.png"), &drawn)?)
    }

    /// What is made of all pictures together, and the last words.
    fn complete(&self, mut state: FeatureJobState) -> Result<CliExitStatus> {
        let FeaturesArgs { json, foreground, invert, table, .. } = self.arguments;
        let count = state.usable.len();
        if count == 0 {
            let mut said = state.reasons.iter().take(REASONS).cloned().collect::<Vec<_>>().join("; ");
            if state.reasons.len() > REASONS {
                said += &format!("; and {} others", state.reasons.len() - REASONS);
            }
            let colon = if said.is_empty() { "" } else { ": " };
            bail!(UsageError(format!("no picture could be used{colon}{said}")));
        }
        if let Some(waiting) = state.waiting.take() {
            let mut progress = CliProgress::new(count as u64, "pictures in colour", *json);
            let how = PcaRenderOptions { foreground: *foreground, invert: *invert, filter: self.filter() };
            let coloured = waiting.colour(&how, |done| progress.set(done as u64, "colours".to_owned()))?;
            progress.finish();
            if let Some(said) = &coloured.note {
                note!("{said}");
            }
            match coloured.json().filter(|_| *json) {
                Some(said) => out!("{said}"),
                None => coloured.words().iter().for_each(|said| note!("{said}")),
            }
            state.journal.coloured(self.of_colours(&state.usable, &state.stamps))?;
        }
        if let Some(table) = table {
            let inputs: Vec<&FeatureInput> = state.usable.iter().map(|i| &self.inputs[*i]).collect();
            let names: Vec<String> = inputs.iter().map(|input| input.path.display().to_string()).collect();
            let journal = &mut state.journal;
            table.write(&names, self.backbone.config.dim, |i| journal.row(&inputs[i].stem))?;
        }
        if *json {
            if let Some(table) = table {
                out!(
                    "{}",
                    json!({ "event": "table", "table": table.path().display().to_string(), "pictures": count })
                );
            }
        } else {
            let plural = if count == 1 { "" } else { "s" };
            let there = state.usable.iter().filter(|i| state.skipped[**i]).count();
            let there = if there > 0 { format!(" ({there} already there)") } else { String::new() };
            let results = self.folder.as_ref().map(|folder| format!("results in {}", folder.display()));
            let table = table.as_ref().map(|table| format!("table in {}", table.path().display()));
            let all: Vec<String> = results.into_iter().chain(table).collect();
            out!("{count} picture{plural}{there}, {}", all.join(", "));
        }
        if self.folder.is_none() {
            state.journal.remove()?;
        }
        Ok(state.failed.status())
    }
}

/// What a file is known by without reading it.
pub(super) fn stamp(path: &Path) -> String {
    // What is in an archive changes with it.
    let about = match archive::located(path) {
        Some((archive, _)) => std::fs::metadata(archive),
        None => std::fs::metadata(path),
    };
    let Ok(about) = about else { return "missing".to_owned() };
    let time = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{} {}", about.len(), time.unwrap_or_default().as_nanos())
}

/// CLS token and mean patch token.
fn numbers(features: &ViewFeatures) -> Vec<f32> {
    let dim = features.patches.dim;
    let mut sums = vec![0f64; dim];
    for patch in features.patches.data.chunks_exact(dim) {
        sums.iter_mut().zip(patch).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    let count = features.patches.len().max(1) as f64;
    features.cls.iter().copied().chain(sums.into_iter().map(|sum| (sum / count) as f32)).collect()
}

fn patch_index((row, col): (usize, usize), rows: usize, cols: usize) -> Result<usize, String> {
    if row < rows && col < cols {
        return Ok(row * cols + col);
    }
    Err(format!("patch {row},{col} is outside the picture's grid of {rows} rows and {cols} columns"))
}
