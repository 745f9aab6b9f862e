//! What evaluations of single pixels share: grids and pixels, who looks, how a head learns, examples in pictures.

pub(crate) mod axis;
pub(crate) mod bootstrap;
pub(crate) mod extractor;
pub(crate) mod frame;
pub(crate) mod sheet;
pub(crate) mod training;

use std::ops::Range;

use burn::tensor::Device;

pub use training::DenseTrainingOptions;

use super::EvalProtocolError;
use super::outcome::UnusableInput;
use super::run::EvaluationError;
use super::suite::{EvalContext, EvalSubject};
use dinoscope_base::parallel::for_chunks;
use dinoscope_data::DataError;
use dinoscope_data::source::dense::{DenseSample, DenseSource, DenseTruthKind};
use dinoscope_model::features::reason;
use dinoscope_model::{Vit, VitConfig};
use extractor::DenseFeatureExtractor;

/// Memory that features may fill; views beyond it are looked at again in every step.
pub const MEMORY: usize = if cfg!(target_family = "wasm") { 256 << 20 } else { 1 << 30 };

/// Pictures that are loaded at once.
const ROUND: usize = 16;

/// Side of windows without a wish: the shorter one of the stored position grid, but at least 16 patches, since small grids show
/// little, and at most 224 pixels.
pub fn default_window(config: &VitConfig) -> usize {
    let most = (224 / config.patch).max(1);
    config.grid.short().clamp(16.min(most), most) * config.patch
}

/// An error when an option is outside its range.
pub(crate) fn check(
    option: &'static str,
    value: f64,
    fits: bool,
    expected: &'static str,
) -> Result<(), EvalProtocolError> {
    if fits { Ok(()) } else { Err(EvalProtocolError::Option { option, value, expected }) }
}

impl DenseTrainingOptions {
    /// An error when a setting is outside its range.
    pub(crate) fn check(&self) -> Result<(), EvalProtocolError> {
        let Self { iterations, batch, lr, weight_decay } = *self;
        check("iterations", iterations as f64, iterations > 0, "1 or more")?;
        check("views of a step", batch as f64, batch > 0, "1 or more")?;
        check("learning rate", lr, lr > 0.0 && lr.is_finite(), "above 0")?;
        check("weight decay", weight_decay, (0.0..1.0).contains(&weight_decay), "0 or more, below 1")
    }
}

/// Pictures that were left out, and whether that were too many.
#[derive(Default)]
pub(crate) struct SkippedDenseInputs {
    pub all: Vec<UnusableInput>,
    /// Truths that are of another kind than the pictures need, or do not belong to them; the first as it was told.
    unfit: usize,
    first: Option<DataError>,
}

impl SkippedDenseInputs {
    fn add(&mut self, source: &dyn DenseSource, index: usize, error: DataError) {
        let of_truth = matches!(error, DataError::Source { .. });
        let files = source.files(index).map(|files| if of_truth { files.truth } else { files.picture });
        let input = files.unwrap_or_else(|| source.name(index));
        self.all.push(UnusableInput { input, reason: reason(&error) });
        self.unfit += usize::from(of_truth);
        self.first.get_or_insert(error);
    }

    /// A picture of which nothing is known.
    pub fn unknown(&mut self, source: &dyn DenseSource, index: usize, reason: &str) {
        let input = source.files(index).map_or_else(|| source.name(index), |files| files.truth);
        self.all.push(UnusableInput { input, reason: reason.to_owned() });
    }

    /// An error when none of `count` pictures could be used, or when more than half of their truths do not fit: that is a
    /// mistake in the data, and would be one in the figures.
    pub fn check(&mut self, count: usize) -> Result<(), EvaluationError> {
        if 2 * self.unfit <= count && self.all.len() < count {
            return Ok(());
        }
        match self.first.take() {
            Some(DataError::Source { path, reason }) if count > 1 => {
                let left_out = self.all.len();
                let reason =
                    format!("{reason} ({left_out} of {count} pictures can't be used; this is the first)");
                Err(DataError::Source { path, reason }.into())
            }
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// Loads some pictures of a collection on all cores. Those that can't be used are left out and added to `skipped`.
pub(crate) fn load(
    source: &dyn DenseSource,
    range: Range<usize>,
    truth: DenseTruthKind,
    skipped: &mut SkippedDenseInputs,
) -> Vec<(usize, DenseSample)> {
    let mut slots: Vec<(usize, Option<Result<DenseSample, DataError>>)> = range.map(|i| (i, None)).collect();
    for_chunks(&mut slots, 1, |_, slots| {
        for (index, slot) in slots {
            *slot = Some(source.load(*index, truth));
        }
    });
    let mut out = Vec::new();
    for (index, loaded) in slots {
        match loaded {
            Some(Ok(dense)) => out.push((index, dense)),
            Some(Err(error)) => skipped.add(source, index, error),
            None => {}
        }
    }
    out
}

/// Loads a whole collection and makes something of each picture. `on_progress` is told how many are done and answers whether to
/// go on.
///
/// # Errors
/// As [`SkippedDenseInputs::check`] has, or when `on_progress` says no.
pub(crate) async fn load_all<T>(
    source: &dyn DenseSource,
    truth: DenseTruthKind,
    skipped: &mut SkippedDenseInputs,
    mut each: impl FnMut(usize, DenseSample) -> Vec<T>,
    on_progress: &mut impl AsyncFnMut(usize) -> bool,
) -> Result<Vec<T>, EvaluationError> {
    let mut out = Vec::new();
    for from in (0..source.len()).step_by(ROUND) {
        let to = (from + ROUND).min(source.len());
        for (index, dense) in load(source, from..to, truth, skipped) {
            out.extend(each(index, dense));
        }
        if !on_progress(to).await {
            return Err(EvalProtocolError::Stopped.into());
        }
    }
    skipped.check(source.len())?;
    Ok(out)
}

/// What is looked at behind which blocks.
#[derive(Clone, Debug)]
pub(crate) struct DenseFeatureSpec {
    pub blocks: Vec<usize>,
    pub norm: bool,
    pub cls: bool,
}

impl DenseFeatureSpec {
    /// A subject that looks; `untrained` is where its backbone is kept.
    pub fn extractor<'a>(
        &self,
        context: &EvalContext<'a>,
        subject: EvalSubject,
        untrained: &'a mut Option<Vit>,
    ) -> DenseFeatureExtractor<'a> {
        let device: &'a Device = context.device;
        let vit: &'a Vit = match subject {
            // Those of whole pictures say nothing of a patch.
            EvalSubject::RawPixels | EvalSubject::ColourHistogram | EvalSubject::Hog => {
                return DenseFeatureExtractor::Pixels { patch: context.backbone.config.patch, device };
            }
            EvalSubject::Untrained => {
                untrained.insert(Vit::init(&context.backbone.config, context.options.seed, device))
            }
            EvalSubject::Weights => context.backbone,
        };
        let Self { blocks, norm, cls } = self.clone();
        DenseFeatureExtractor::Backbone { vit, device, blocks, norm, cls, batch: context.options.batch }
    }
}
