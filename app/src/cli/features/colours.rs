//! Principal components of all pictures together, as colours: fitted when all have been seen, then drawn one by one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dinoscope_core::analysis::image_out::{UpsampleFilter, upsample, write_png};
use dinoscope_core::analysis::pca::{BackgroundMode, ForegroundCue, ForegroundResult, Pca, PcaOptions};
use dinoscope_core::analysis::pca_sample::PcaPatchSampling;
use dinoscope_core::analysis::{PatchFeatures, npy};
use serde_json::json;

/// Patch features that wait for the fit: in files, because those of many pictures fill any memory.
pub struct SpilledFeatures {
    /// Where those lie that are not kept anyway; removed in the end.
    folder: PathBuf,
    pictures: Vec<SpilledImage>,
}

/// A picture whose features wait.
struct SpilledImage {
    /// An `.npy` file of `[rows, cols, dim]`.
    features: PathBuf,
    shape: [usize; 3],
    /// Pixels across and down.
    size: (usize, usize),
    /// Where the colours go.
    to: PathBuf,
    /// An `.npy` file of `[rows, cols]` attention, where there is one.
    attention: Option<PathBuf>,
}

/// How colours are fitted and drawn.
pub struct PcaRenderOptions {
    /// Split objects from background.
    pub foreground: bool,
    /// Take the other side of the split.
    pub invert: bool,
    /// How patches become pixels.
    pub filter: UpsampleFilter,
}

/// What came of the fit.
pub struct PcaFitReport {
    /// A sentence where the fit has looked at a part of the patches only.
    pub note: Option<String>,
    /// What was split from the background, of all fitted patches.
    pub foreground: ForegroundResult,
    /// What decided which side is foreground.
    pub side: Option<ForegroundCue>,
}

impl SpilledFeatures {
    /// None so far; files go into a folder below `out`.
    pub fn new(out: &Path) -> Self {
        let folder = out.join(".features.tmp");
        // What a process that was killed may have left.
        let _ = std::fs::remove_dir_all(&folder);
        Self { folder, pictures: Vec::new() }
    }

    /// Adds a picture whose features are in a file that stays.
    pub fn add_kept(&mut self, features: PathBuf, shape: [usize; 3], size: (usize, usize), to: PathBuf) {
        self.pictures.push(SpilledImage { features, shape, size, to, attention: None });
    }

    /// Adds a picture.
    pub fn add(&mut self, features: &PatchFeatures, size: (usize, usize), to: PathBuf) -> Result<()> {
        let PatchFeatures { rows, cols, dim, ref data } = *features;
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("can't make {}", self.folder.display()))?;
        let path = self.folder.join(format!("{}.npy", self.pictures.len()));
        npy::write(&path, &[rows, cols, dim], data)?;
        self.add_kept(path, [rows, cols, dim], size, to);
        Ok(())
    }

    /// Adds where the model looks in the picture that was added last: a second hint of what is foreground.
    pub fn seen(&mut self, attention: &[f32]) -> Result<()> {
        let path = self.folder.join(format!("{}.attention.npy", self.pictures.len()));
        let Some(last) = self.pictures.last_mut() else { return Ok(()) };
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("can't make {}", self.folder.display()))?;
        npy::write(&path, &last.shape[..2], attention)?;
        last.attention = Some(path);
        Ok(())
    }

    /// Fits the colours, and writes a picture of each. `each` hears of every picture that is drawn.
    pub fn colour(&self, how: &PcaRenderOptions, mut each: impl FnMut(usize)) -> Result<PcaFitReport> {
        let patches = self.pictures.iter().map(|p| p.shape[0] * p.shape[1]).sum();
        let dim = self.pictures.first().map_or(0, |p| p.shape[2]);
        let sample = PcaPatchSampling::of(self.pictures.len(), patches, dim);
        let taken = || self.pictures.iter().enumerate().filter(|(i, _)| sample.has(*i)).map(|(_, of)| of);
        let parts: Vec<PatchFeatures> =
            taken().map(|picture| Ok(sample.thin(picture.load()?))).collect::<Result<_>>()?;
        let looks: Option<Vec<PatchFeatures>> = match how.foreground {
            true => taken()
                .map(|of| of.looks().map(|looks| looks.map(|looks| sample.thin(looks))))
                .collect::<Result<_>>()?,
            false => None,
        };
        let looks: Option<Vec<&[f32]>> =
            looks.as_ref().map(|all| all.iter().map(|looks| looks.data.as_slice()).collect());
        let looked_at: usize = parts.iter().map(PatchFeatures::len).sum();
        let options = PcaOptions {
            foreground: how.foreground,
            invert: how.invert,
            background: BackgroundMode::Black,
            ..PcaOptions::default()
        };
        let pca = Pca::fit_seen(&parts.iter().collect::<Vec<_>>(), looks.as_deref(), None, &options)?;
        drop(parts);
        for (i, picture) in self.pictures.iter().enumerate() {
            let coloured = pca.colour(&picture.load()?)?;
            let (w, h) = picture.size;
            let drawn = upsample(&coloured.rgb, coloured.rows, coloured.cols, w, h, how.filter)?;
            write_png(&picture.to, &drawn)?;
            each(i + 1);
        }
        let whole = sample.is_whole();
        let note = (!whole)
            .then(|| format!("colours are fitted to {looked_at} of {patches} patches, spread over all"));
        Ok(PcaFitReport { note, foreground: pca.foreground, side: pca.side() })
    }
}

impl PcaFitReport {
    /// What was split, in a sentence: `foreground: 31 % of the patches, by attention`. `None` where no split was asked for.
    pub fn words(&self) -> Option<String> {
        let percent = |share: f32| format!("{:.0} %", 100.0 * share);
        match (self.foreground, self.side) {
            (ForegroundResult::Split(share), Some(side)) => {
                let way = match side {
                    ForegroundCue::Hand => side.words().to_owned(),
                    _ => format!("by the {}; --invert takes the other side", side.words()),
                };
                Some(format!("foreground: {} of the patches, {way}", percent(share)))
            }
            (ForegroundResult::Fallback(share), _) => Some(format!(
                "foreground: the first component would leave {} of the patches, so nothing is split off",
                percent(share)
            )),
            _ => None,
        }
    }

    /// The same for a program: the share of foreground and what decided. `None` where no split was asked for.
    pub fn json(&self) -> Option<serde_json::Value> {
        match (self.foreground, self.side) {
            (ForegroundResult::Split(share), Some(side)) => {
                Some(json!({ "event": "foreground", "share": share, "reason": side.words() }))
            }
            (ForegroundResult::Fallback(_), _) => {
                Some(json!({ "event": "foreground", "share": 1.0, "reason": "nothing is split off" }))
            }
            _ => None,
        }
    }
}

impl SpilledImage {
    fn load(&self) -> Result<PatchFeatures> {
        let [rows, cols, dim] = self.shape;
        let data = npy::read_back(&self.features, &self.shape);
        let data = data.with_context(|| format!("{} is gone or was changed", self.features.display()))?;
        Ok(PatchFeatures { rows, cols, dim, data })
    }

    /// Attention over the patches, as features of one number; none where it was not kept.
    fn looks(&self) -> Result<Option<PatchFeatures>> {
        let Some(file) = &self.attention else { return Ok(None) };
        let [rows, cols, _] = self.shape;
        let data = npy::read_back(file, &[rows, cols]);
        let data = data.with_context(|| format!("{} is gone or was changed", file.display()))?;
        Ok(Some(PatchFeatures { rows, cols, dim: 1, data }))
    }
}

impl Drop for SpilledFeatures {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn features(seed: usize, rows: usize, cols: usize) -> PatchFeatures {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 100.0 + (i % 5) as f32;
        PatchFeatures { rows, cols, dim: 5, data: (0..rows * cols * 5).map(value).collect() }
    }

    #[test]
    fn colours_are_those_of_all_pictures_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let all = [features(1, 6, 7), features(2, 5, 5), features(3, 8, 4)];
        let how = PcaRenderOptions { foreground: true, invert: false, filter: UpsampleFilter::Nearest };
        let mut waiting = SpilledFeatures::new(folder.path());
        let to = |i: usize| folder.path().join(format!("{i}.png"));
        for (i, picture) in all.iter().enumerate() {
            waiting.add(picture, (14, 12), to(i)).unwrap();
        }
        let mut drawn = 0;
        let coloured = waiting.colour(&how, |i| drawn = i).unwrap();
        assert_eq!((coloured.note.is_none(), coloured.side), (true, Some(ForegroundCue::FirstComponent)));
        drop(waiting);
        let pca = Pca::fit(&all.iter().collect::<Vec<_>>(), None, &PcaOptions::default()).unwrap();
        for (i, picture) in all.iter().enumerate() {
            let coloured = pca.colour(picture).unwrap();
            let wanted =
                upsample(&coloured.rgb, coloured.rows, coloured.cols, 14, 12, UpsampleFilter::Nearest)
                    .unwrap();
            assert_eq!(image::open(to(i)).unwrap().to_rgb8().into_raw(), wanted.rgb);
        }
        assert_eq!(
            (drawn, std::fs::read_dir(folder.path()).unwrap().count()),
            (3, 3),
            "nothing is left beside"
        );
    }

    #[test]
    fn what_is_foreground_follows_attention_and_can_be_turned_round() {
        let folder = tempfile::tempdir().unwrap();
        // Left and right: no place says which of them is the object.
        let value = |i: usize| if (i / 5) % 8 < 4 { 2.0 } else { -1.0 } + ((i * 37) % 11) as f32 / 50.0;
        let picture = PatchFeatures { rows: 8, cols: 8, dim: 5, data: (0..8 * 8 * 5).map(value).collect() };
        let colour = |left: bool, invert| {
            let mut waiting = SpilledFeatures::new(folder.path());
            waiting.add(&picture, (8, 8), folder.path().join("1.png")).unwrap();
            let looks: Vec<f32> = (0..64).map(|i| f32::from(u8::from((i % 8 < 4) == left))).collect();
            waiting.seen(&looks).unwrap();
            let how = PcaRenderOptions { foreground: true, invert, filter: UpsampleFilter::Nearest };
            let coloured = waiting.colour(&how, |_| ()).unwrap();
            let drawn = image::open(folder.path().join("1.png")).unwrap().to_rgb8();
            let black = |x: u32| drawn.get_pixel(x, 3).0 == [0; 3];
            (black(1), black(6), coloured)
        };
        for (left, invert) in [(true, false), (true, true), (false, false), (false, true)] {
            let (dark_left, dark_right, coloured) = colour(left, invert);
            assert_eq!((dark_left, dark_right), (left == invert, left != invert));
            let reason = if invert { "inverted by hand" } else { "attention" };
            let said = coloured.json().unwrap();
            assert_eq!((said["reason"].as_str(), said["share"].as_f64()), (Some(reason), Some(0.5)));
            assert!(coloured.words().unwrap().contains("50 % of the patches"));
        }
    }
}
