//! `dinoscope eval`: how good features are, without training anything on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use dinoscope_core::data::source::idx::{IdxSource, Split};
use dinoscope_core::data::source::scenes::ScenesSource;
use dinoscope_core::data::source::{Source, subset::Subset};
use dinoscope_core::device::block_on;
use dinoscope_core::eval::knn::KnnResult;
use dinoscope_core::eval::run::{knn_of_backbone, knn_of_pixels};
use dinoscope_core::model::Vit;
use dinoscope_core::train::sources::{Labelled, open_path};

use super::progress::Progress;
use super::{Mistake, load};

/// Judge features on labelled pictures.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Weighted nearest neighbours on CLS features, against raw pixels and the untrained model.
    Knn(Knn),
}

/// Weighted nearest neighbours.
#[derive(clap::Args)]
pub struct Knn {
    /// A weights file, a Hugging Face folder, a run (its folder or .zip), a checkpoint, or the name of a pulled model.
    #[arg(long)]
    weights: PathBuf,
    /// Labelled pictures: a folder with a subfolder per class, an IDX images file or folder, or `scenes`.
    #[arg(long)]
    data: PathBuf,
    /// Pictures to predict [default: the IDX pair's test half, other scenes, or a fifth of --data].
    #[arg(long)]
    test: Option<PathBuf>,
    /// At most this many pictures to look up, chosen at random.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// At most this many pictures to predict, chosen at random.
    #[arg(long, value_name = "N")]
    limit_test: Option<usize>,
    /// Side of the centre crop; a multiple of the patch [default: that of the stored position grid, at most 224].
    #[arg(long)]
    size: Option<usize>,
    /// Measure the weights alone, not the untrained model and raw pixels.
    #[arg(long)]
    alone: bool,
    /// Pictures that pass through the model at once.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Seed of the untrained model and of random choices.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, cpu, gpu or gpu:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// One JSON object per measurement.
    #[arg(long)]
    json: bool,
}

/// Measures and prints a table.
pub fn run(command: Command) -> Result<()> {
    let Command::Knn(arguments) = command;
    let chosen = load::device(&arguments.device, arguments.json)?;
    let backbone = load::backbone(&arguments.weights, &chosen.device, arguments.json)?;
    let config = &backbone.config;
    let size = arguments.size.unwrap_or_else(|| config.image().min(224 / config.patch * config.patch));
    if size == 0 || !size.is_multiple_of(config.patch) {
        bail!(Mistake(format!("--size {size} is not a multiple of the model's patch of {}", config.patch)));
    }
    let labelled = labelled(&arguments)?;
    let (first, second) = (labelled.train.len(), labelled.test.len());
    if !arguments.json {
        println!(
            "{first} pictures looked up, {second} predicted, {} classes",
            labelled.train.classes().len()
        );
    }
    let measure = |vit: &Vit, what: &str| -> Result<KnnResult> {
        let mut progress = Progress::new((first + second) as u64, "pictures", arguments.json);
        let step = async |done: usize, _| progress.set(done as u64, what.to_owned());
        let evaluated =
            block_on(knn_of_backbone(vit, &labelled, size, arguments.batch.max(1), &chosen.device, step))?;
        progress.finish();
        if !arguments.json && what == "weights" {
            for (name, reason) in &evaluated.skipped {
                eprintln!("left out {name}: {reason}");
            }
        }
        Ok(evaluated.result)
    };
    report("weights", &measure(&backbone, "weights")?, arguments.json);
    if !arguments.alone {
        let untrained = Vit::init(config, arguments.seed, &chosen.device);
        report("untrained", &measure(&untrained, "untrained")?, arguments.json);
        report("raw pixels", &knn_of_pixels(&labelled, size)?.result, arguments.json);
    }
    Ok(())
}

fn report(what: &str, result: &KnnResult, json: bool) {
    if json {
        println!("{}", serde_json::json!({ "features": what, "knn": result }));
        return;
    }
    for score in &result.scores {
        let (low, high) = score.top1.wilson95();
        println!(
            "{what:<11} k {:>3}   top-1 {:5.1} % ({:.1}–{:.1})   top-5 {:5.1} %",
            score.k,
            100.0 * score.top1.value(),
            100.0 * low,
            100.0 * high,
            100.0 * score.top5.value()
        );
    }
}

/// What is looked up and what is predicted.
fn labelled(arguments: &Knn) -> Result<Labelled> {
    let data = &arguments.data;
    let (train, test): (Arc<dyn Source>, Arc<dyn Source>) = if data == Path::new("scenes") {
        let scenes = |seed, count| Arc::new(ScenesSource::new(seed, count, 96)) as Arc<dyn Source>;
        (scenes(1 << 32, 1200), scenes((1 << 32) + 1, 600))
    } else {
        let train = open_path(data, true)?;
        match (&arguments.test, idx_test(data)?) {
            (Some(test), _) => (train, open_path(test, true)?),
            (None, Some(test)) => (train, test),
            (None, None) => {
                let count = train.len();
                let Some((a, b)) = Subset::split(&train, count - count / 5, count / 5, arguments.seed) else {
                    bail!(Mistake(format!(
                        "{} has too few labelled pictures to predict some from others",
                        data.display()
                    )));
                };
                (Arc::new(a), Arc::new(b))
            }
        }
    };
    if train.classes().is_empty() {
        bail!(Mistake(format!("{} has no labels: put each class into a subfolder", data.display())));
    }
    if train.classes() != test.classes() {
        bail!(Mistake(format!(
            "classes differ: {} to look up, {} to predict",
            train.classes().join(", "),
            test.classes().join(", ")
        )));
    }
    Ok(Labelled {
        train: limited(train, arguments.limit, arguments.seed),
        test: limited(test, arguments.limit_test, arguments.seed),
    })
}

/// The test half beside an IDX training half.
fn idx_test(data: &Path) -> Result<Option<Arc<dyn Source>>> {
    if !IdxSource::recognizes(data) {
        return Ok(None);
    }
    let folder = if data.is_dir() { data } else { data.parent().unwrap_or(Path::new(".")) };
    Ok(IdxSource::open(folder, Split::Test).ok().map(|s| Arc::new(s) as Arc<dyn Source>))
}

fn limited(source: Arc<dyn Source>, limit: Option<usize>, seed: u64) -> Arc<dyn Source> {
    match limit.filter(|n| *n < source.len()).and_then(|n| Subset::sample(&source, n, seed)) {
        Some(some) => Arc::new(some),
        None => source,
    }
}
