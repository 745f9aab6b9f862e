//! Pictures in one piece, for evaluations that learn from none of them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use dinoscope_core::data::decode::DecodeOptions;
use dinoscope_core::data::decode::depth::IntensityRange;
use dinoscope_core::data::source::PictureSource;
use dinoscope_core::data::source::fitted::FittedSource;
use dinoscope_core::data::source::scenes::SceneKind;
use dinoscope_core::eval::data::{SCENE_SEED, SCENE_SIDE, limited, scene_counts};
use dinoscope_core::eval::pictures;

use super::data::builtin;
use crate::cli::terminal::note;

/// Pictures, with classes or without.
#[derive(clap::Args)]
pub struct ImageSetArgs {
    /// A folder of pictures (the subfolders are the classes; train/ and val/ are put together), a list of pictures (FILE.txt,
    /// a path a line; FILE.csv or FILE.parquet with the columns path and label), a pattern, an IDX images file or folder, built-in
    /// pictures: `scenes`, which are varied, `scenes:easy` or `procedural`; or `fashion-mnist`, `digits` or `stamps` where they
    /// are installed. Given again, all of them together.
    #[arg(long, value_name = "PLACE", required = true)]
    pub data: Vec<PathBuf>,
    /// At most this many pictures, chosen at random.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    limit: usize,
    /// Black and white of files of more than 8 bits: fixed, file, or two numbers such as 0..4095.
    #[arg(long, value_name = "RANGE", default_value_t)]
    depth_range: IntensityRange,
}

impl ImageSetArgs {
    /// The pictures with so many channels, or some of them by `seed`.
    pub fn open(&self, seed: u64, channels: usize) -> Result<Arc<dyn PictureSource>> {
        let all: Arc<dyn PictureSource> = match builtin(&self.data)? {
            Some(builtin) => {
                let count = scene_counts(SceneKind::Varied).0;
                FittedSource::of(builtin.open(SceneKind::Varied, SCENE_SEED, count, SCENE_SIDE), channels)
            }
            None => pictures::all(&self.data, DecodeOptions { channels, ..self.depth_range.into() })?,
        };
        all.file_notes().iter().for_each(|said| note!("{said}"));
        Ok(limited(all, self.limit, seed))
    }

    /// Whether the program draws them itself.
    pub fn are_scenes(&self) -> Result<bool> {
        Ok(builtin(&self.data)?.is_some())
    }
}
