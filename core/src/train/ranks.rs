//! A run that several processes share: what they have to agree on before the first step and between steps.
//!
//! The first rank writes the run's folder, prints and takes commands; the others compute. What ends a run ends it on all
//! ranks: what every rank notices alike, or is told, ends each in order; whoever started a rank that fails alone has to end
//! the others, for they wait for it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::batch::MicroBatch;
use super::checkpoint;
use super::fields;
use super::metrics::Values;
use super::protocol::EngineError;
use super::recipe::Recipe;
use super::resume::TrainDataFingerprint;
use super::state::TrainerState;
use super::tensors::hex;
use super::trainer::{StepControl, Trainer};
use crate::data::DataError;
use crate::data::loader::{BatchShare, SkippedPicture};
use crate::model::params;
use crate::ssl::{Collective, CropMasks, RankGroup};

/// The part of a run that this process does; all of it by default.
#[derive(Clone, Debug, Default)]
pub struct RunRanks {
    /// All processes of the run.
    pub group: RankGroup,
    /// Where a rank that is not the first, and so has no folder, reads the checkpoint to go on from.
    pub checkpoints: Option<PathBuf>,
}

impl RunRanks {
    /// Whether the ranks can share the recipe's batches.
    ///
    /// # Errors
    /// They can't, said by the first rank; [`EngineError::Elsewhere`] on the others.
    pub fn fits(&self, recipe: &Recipe) -> Result<(), EngineError> {
        self.share(recipe).map(drop)
    }

    /// What this rank has of each batch.
    ///
    /// # Errors
    /// The batch can't be shared out evenly.
    pub(super) fn share(&self, recipe: &Recipe) -> Result<BatchShare, EngineError> {
        let (batch, parts, ranks) = (recipe.train.batch, recipe.train.accumulate, self.group.ranks());
        let each = parts * ranks;
        if batch.is_multiple_of(each) {
            return Ok(BatchShare { batch, parts, rank: self.group.rank(), ranks });
        }
        Err(self.ends(EngineError::Shares { batch, parts, ranks, wanted: batch.div_ceil(each) * each }))
    }

    /// An error that all ranks notice: the first says it.
    pub(super) fn ends(&self, error: EngineError) -> EngineError {
        if self.group.is_first() { error } else { EngineError::Elsewhere }
    }
}

/// The masks of the crops that this rank has, of all of the batch's.
pub(super) fn own_masks(masks: CropMasks, share: BatchShare) -> CropMasks {
    if share.ranks == 1 {
        return masks;
    }
    masks.pick((0..2).flat_map(|view| share.slots().map(move |slot| view * share.batch + slot)))
}

/// What has to be the same on all ranks before the first step.
#[derive(Debug, Serialize, Deserialize)]
struct RunIdentity {
    place: String,
    program: String,
    recipe: String,
    data: TrainDataFingerprint,
    iteration: u64,
    weights: String,
}

/// Fields that may differ between machines: they say where something is, or how it is loaded.
const OF_A_MACHINE: [&str; 2] = ["data.path", "train.workers"];

impl RunIdentity {
    /// What `other` has otherwise, in words; `None` where nothing differs.
    fn differs(&self, other: &Self) -> Option<String> {
        let both = |what: &str, first: &dyn std::fmt::Display, other: &dyn std::fmt::Display| {
            Some(format!("{what} ({other}, and {first} on rank 0)"))
        };
        if self.program != other.program {
            return both("the version of the program", &self.program, &other.program);
        }
        if let Some(fields) = fields_apart(&self.recipe, &other.recipe) {
            return Some(format!("the recipe ({fields})"));
        }
        if self.data.pictures != other.data.pictures {
            return both("the number of pictures", &self.data.pictures, &other.data.pictures);
        }
        if self.data.names != other.data.names {
            return Some("the names of the pictures".to_owned());
        }
        if self.data.teacher != other.data.teacher {
            return Some("the teacher's weights".to_owned());
        }
        if self.iteration != other.iteration {
            return both("the step to go on from", &self.iteration, &other.iteration);
        }
        (self.weights != other.weights).then(|| "the weights to begin with".to_owned())
    }
}

/// Names of the fields in which two recipes differ.
fn fields_apart(first: &str, other: &str) -> Option<String> {
    if first == other {
        return None;
    }
    let parse = |text: &str| Recipe::from_toml(text, &[]).ok();
    let apart = match (parse(first), parse(other)) {
        (Some(first), Some(other)) => fields::differences(&first, &other).unwrap_or_default(),
        _ => return Some("it can't be read".to_owned()),
    };
    let apart: Vec<&str> = apart.into_iter().filter(|key| !OF_A_MACHINE.contains(key)).collect();
    (!apart.is_empty()).then(|| apart.join(", "))
}

/// SHA-256 of the student's weights.
async fn digest(state: &TrainerState) -> Result<String, EngineError> {
    let mut hash = Sha256::new();
    for (name, value) in params::values(&state.student) {
        hash.update(name);
        let values = params::read(value)
            .await
            .map_err(|error| EngineError::Device { reason: error.to_string(), hint: String::new() })?;
        hash.update(bytemuck::cast_slice::<f32, u8>(&values));
    }
    Ok(hex(hash))
}

/// Compares ranks before the first step.
///
/// # Errors
/// What differs, and where; ranks are lost.
pub(super) async fn ensure_equal(
    ranks: &RunRanks,
    state: &TrainerState,
    recipe: &Recipe,
    data: impl FnOnce() -> TrainDataFingerprint,
) -> Result<(), EngineError> {
    if ranks.group.is_alone() {
        return Ok(());
    }
    let own = RunIdentity {
        place: ranks.group.place(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        recipe: recipe.to_toml().unwrap_or_default(),
        data: data(),
        iteration: state.iteration,
        weights: digest(state).await?,
    };
    let all = ranks.group.gather_bytes(serde_json::to_vec(&own).unwrap_or_default())?;
    let all: Vec<Option<RunIdentity>> = all.iter().map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    let apart = |(rank, other): (usize, &Option<RunIdentity>)| match (&all[0], other) {
        (Some(first), Some(other)) => Some((other.place.clone(), first.differs(other)?)),
        _ => Some((format!("rank {rank}"), "the version of the program".to_owned())),
    };
    match all.iter().enumerate().find_map(apart) {
        None => Ok(()),
        Some((place, what)) => Err(ranks.ends(EngineError::Apart { place, what })),
    }
}

/// The checkpoint that the first rank goes on from, on every rank: its state there, and the same one loaded here.
///
/// # Errors
/// It is not there on this rank, or can't be gone on from; ranks are lost.
pub(super) fn same_checkpoint(
    ranks: &RunRanks,
    first: Option<PathBuf>,
    load: impl FnOnce(PathBuf) -> Result<TrainerState, EngineError>,
) -> Result<Option<TrainerState>, EngineError> {
    let name = first.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let name = ranks.group.broadcast_bytes(name.unwrap_or_default().into_bytes())?;
    let name = String::from_utf8_lossy(&name).into_owned();
    if ranks.group.is_first() || checkpoint::iteration_of(&name).is_none() {
        return Ok(None);
    }
    ranks.checkpoints.as_ref().map(|folder| load(folder.join(name))).transpose()
}

/// What a command to the first rank asks of all: what is shared out has to be brought together for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AskedOfAll {
    /// A checkpoint.
    pub save: bool,
    /// A look at the watched pictures.
    pub pictures: bool,
}

/// What went wrong with a rank's part of a batch.
#[derive(Debug, Default, Serialize, Deserialize)]
struct BatchTrouble {
    place: String,
    /// Name, reason, and whether it could not even be read.
    skipped: Vec<(String, String, bool)>,
    error: Option<String>,
}

/// Parts of a batch, with the pictures that had to be replaced.
pub(super) type TakenBatch = Result<(Vec<MicroBatch>, Vec<SkippedPicture>), DataError>;

impl Trainer<'_> {
    /// Carries out commands, and has all ranks do the same: stop where one is told to, take over what was changed, save and look.
    pub(super) async fn between_steps(&mut self) -> Result<StepControl, EngineError> {
        loop {
            let own = self.handle_commands().await?;
            let (stop, asked) = self.agreed(matches!(own, StepControl::Stop)).await?;
            if asked.save {
                self.save_midway().await?;
            }
            self.look(asked.pictures, false).await?;
            if stop {
                return Ok(StepControl::Stop);
            }
            // More may be asked while the run is held.
            if asked == AskedOfAll::default() {
                return Ok(StepControl::Go);
            }
        }
    }

    /// Whether any rank stops, and what the first one asks of all; a recipe that it changed is taken over.
    async fn agreed(&mut self, stop: bool) -> Result<(bool, AskedOfAll), EngineError> {
        let (own, changed) = (std::mem::take(&mut self.asked), self.changed.take());
        let group = self.job.ranks.group.clone();
        if group.is_alone() {
            return Ok((stop, own));
        }
        let mut word = vec![u8::from(stop), u8::from(own.save), u8::from(own.pictures)];
        if let Some(changed) = changed.filter(|_| group.is_first()) {
            word.extend(changed.to_toml().unwrap_or_default().into_bytes());
        }
        let words = group.gather_bytes(word)?;
        let changed = words[0].get(3..).filter(|text| !text.is_empty() && !group.is_first());
        if let Some(recipe) =
            changed.and_then(|text| Recipe::from_toml(std::str::from_utf8(text).ok()?, &[]).ok())
        {
            self.change(&recipe).await;
        }
        let said = |at: usize| words[0].get(at) == Some(&1);
        let stop = words.iter().any(|word| word.first() == Some(&1));
        Ok((stop, AskedOfAll { save: said(1), pictures: said(2) }))
    }

    /// A batch whose parts all ranks have, with what any of them had to do without; the run ends where one has none.
    pub(super) async fn agreed_batch(
        &mut self,
        taken: TakenBatch,
    ) -> Result<(Vec<MicroBatch>, Vec<SkippedPicture>), EngineError> {
        let group = self.job.ranks.group.clone();
        if group.is_alone() {
            return match taken {
                Ok(taken) => Ok(taken),
                Err(error) => Err(self.without_batch(&error).await),
            };
        }
        let (parts, trouble) = match taken {
            Ok((parts, skipped)) => {
                let skipped = skipped.into_iter().map(|s| (s.name, s.reason, s.unreadable)).collect();
                (parts, BatchTrouble { skipped, ..BatchTrouble::default() })
            }
            Err(error) => {
                (Vec::new(), BatchTrouble { error: Some(error.to_string()), ..BatchTrouble::default() })
            }
        };
        let silent = trouble.error.is_none() && trouble.skipped.is_empty();
        let word = match silent {
            true => Vec::new(),
            false => {
                let trouble = BatchTrouble { place: group.place(), ..trouble };
                serde_json::to_vec(&trouble).unwrap_or_default()
            }
        };
        let mut skipped = Vec::new();
        for word in group.gather_bytes(word)?.into_iter().filter(|word| !word.is_empty()) {
            let told: BatchTrouble = serde_json::from_slice(&word).unwrap_or_default();
            if let Some(reason) = told.error {
                let error = DataError::Source { path: told.place, reason };
                return Err(self.without_batch(&error).await);
            }
            let of = |(name, reason, unreadable)| SkippedPicture { name, reason, unreadable };
            skipped.extend(told.skipped.into_iter().map(of));
        }
        Ok((parts, skipped))
    }

    /// Why the run must not go on, as the first rank sees it; asked on all ranks alike.
    pub(super) fn first_says(&self, own: Option<String>) -> Result<Option<String>, EngineError> {
        let said = self.job.ranks.group.broadcast_bytes(own.unwrap_or_default().into_bytes())?;
        Ok((!said.is_empty()).then(|| String::from_utf8_lossy(&said).into_owned()))
    }

    /// What the first rank decides, on all ranks.
    pub(super) fn first_decides(&self, own: bool) -> Result<bool, EngineError> {
        Ok(self.job.ranks.group.broadcast_bytes(vec![u8::from(own)])? == [1])
    }

    /// Figures of a step over all ranks: the mean, to which figures that are none (a norm, a rank, a maximum) come as
    /// equal numbers.
    pub(super) fn over_ranks(&self, values: Values) -> Result<Values, EngineError> {
        let group = &self.job.ranks.group;
        if group.is_alone() {
            return Ok(values);
        }
        let (names, own): (Vec<String>, Vec<f32>) =
            values.into_iter().map(|(name, value)| (name, value as f32)).unzip();
        Ok(names.into_iter().zip(group.means(own)?).collect())
    }

    /// How long ranks wait for each other, as a share of the time, and what each would do without: pictures a second of its own. `waited`
    /// is this rank's share.
    pub(super) fn rank_figures(&self, images_per_second: f64, waited: f64) -> Result<Values, EngineError> {
        let group = &self.job.ranks.group;
        if group.is_alone() {
            return Ok(Values::new());
        }
        let ranks = group.ranks() as f64;
        let all = group.gather_bytes(waited.to_le_bytes().to_vec())?;
        let all: Vec<f64> =
            all.iter().filter_map(|bytes| Some(f64::from_le_bytes(*bytes.first_chunk()?))).collect();
        let mean = ("ranks_waited".to_owned(), all.iter().sum::<f64>() / ranks);
        let speed = |(rank, waited): (usize, &f64)| {
            let own = images_per_second / ranks / (1.0 - waited).max(0.01);
            (format!("rank_{rank}_images_per_second"), own)
        };
        Ok(all.iter().enumerate().map(speed).chain([mean]).collect())
    }

    /// What computes, for a person.
    pub(super) fn device_name(device: &str, ranks: &RunRanks) -> String {
        match ranks.group.ranks() {
            1 => device.to_owned(),
            count => format!("{device}, one of {count} ranks"),
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
#[path = "ranks_tests.rs"]
pub(in crate::train) mod tests;
