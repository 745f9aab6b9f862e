//! Principal components of all pictures together, as colours: fitted when all have been seen, then drawn one by one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dinoscope_core::analysis::image_out::{Filter, upsample, write_png};
use dinoscope_core::analysis::pca::{Background, Pca, PcaOptions};
use dinoscope_core::analysis::pca_sample::Sample;
use dinoscope_core::analysis::{PatchFeatures, npy};

/// Patch features that wait for the fit: in files, because those of many pictures fill any memory.
pub struct Waiting {
    /// Where those lie that are not kept anyway; removed in the end.
    folder: PathBuf,
    pictures: Vec<Picture>,
}

/// A picture whose features wait.
struct Picture {
    /// An `.npy` file of `[rows, cols, dim]`.
    features: PathBuf,
    shape: [usize; 3],
    /// Pixels across and down.
    size: (usize, usize),
    /// Where the colours go.
    to: PathBuf,
}

/// How colours are fitted and drawn.
pub struct Colouring {
    /// Split objects from background.
    pub foreground: bool,
    /// How patches become pixels.
    pub filter: Filter,
}

impl Waiting {
    /// None so far; files go into a folder below `out`.
    pub fn new(out: &Path) -> Self {
        let folder = out.join(".features.tmp");
        // What a process that was killed may have left.
        let _ = std::fs::remove_dir_all(&folder);
        Self { folder, pictures: Vec::new() }
    }

    /// Adds a picture whose features are in a file that stays.
    pub fn add_kept(&mut self, features: PathBuf, shape: [usize; 3], size: (usize, usize), to: PathBuf) {
        self.pictures.push(Picture { features, shape, size, to });
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

    /// Fits the colours, and writes a picture of each. `each` hears of every picture that is drawn.
    ///
    /// Gives a sentence where the fit has looked at a part of the patches only.
    pub fn colour(&self, how: &Colouring, mut each: impl FnMut(usize)) -> Result<Option<String>> {
        let patches = self.pictures.iter().map(|p| p.shape[0] * p.shape[1]).sum();
        let dim = self.pictures.first().map_or(0, |p| p.shape[2]);
        let sample = Sample::of(self.pictures.len(), patches, dim);
        let taken = self.pictures.iter().enumerate().filter(|(i, _)| sample.has(*i));
        let parts: Vec<PatchFeatures> =
            taken.map(|(_, picture)| Ok(sample.thin(picture.load()?))).collect::<Result<_>>()?;
        let looked_at: usize = parts.iter().map(PatchFeatures::len).sum();
        let options =
            PcaOptions { foreground: how.foreground, background: Background::Black, ..PcaOptions::default() };
        let pca = Pca::fit(&parts.iter().collect::<Vec<_>>(), None, &options)?;
        drop(parts);
        for (i, picture) in self.pictures.iter().enumerate() {
            let coloured = pca.colour(&picture.load()?)?;
            let (w, h) = picture.size;
            let drawn = upsample(&coloured.rgb, coloured.rows, coloured.cols, w, h, how.filter)?;
            write_png(&picture.to, &drawn)?;
            each(i + 1);
        }
        let whole = sample.is_whole();
        Ok((!whole)
            .then(|| format!("colours are fitted to {looked_at} of {patches} patches, spread over all")))
    }
}

impl Picture {
    fn load(&self) -> Result<PatchFeatures> {
        let [rows, cols, dim] = self.shape;
        let data = npy::read_back(&self.features, &self.shape);
        let data = data.with_context(|| format!("{} is gone or was changed", self.features.display()))?;
        Ok(PatchFeatures { rows, cols, dim, data })
    }
}

impl Drop for Waiting {
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
        let how = Colouring { foreground: true, filter: Filter::Nearest };
        let mut waiting = Waiting::new(folder.path());
        let to = |i: usize| folder.path().join(format!("{i}.png"));
        for (i, picture) in all.iter().enumerate() {
            waiting.add(picture, (14, 12), to(i)).unwrap();
        }
        let mut drawn = 0;
        assert_eq!(waiting.colour(&how, |i| drawn = i).unwrap(), None);
        drop(waiting);
        let pca = Pca::fit(&all.iter().collect::<Vec<_>>(), None, &PcaOptions::default()).unwrap();
        for (i, picture) in all.iter().enumerate() {
            let coloured = pca.colour(picture).unwrap();
            let wanted =
                upsample(&coloured.rgb, coloured.rows, coloured.cols, 14, 12, Filter::Nearest).unwrap();
            assert_eq!(image::open(to(i)).unwrap().to_rgb8().into_raw(), wanted.rgb);
        }
        assert_eq!(
            (drawn, std::fs::read_dir(folder.path()).unwrap().count()),
            (3, 3),
            "nothing is left beside"
        );
    }
}
