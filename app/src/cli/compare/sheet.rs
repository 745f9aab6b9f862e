//! A picture with the colours of two models beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dinoscope_core::analysis::PatchFeatures;
use dinoscope_core::analysis::canvas::{CanvasTextStyle, Colour, PictureCanvas};
use dinoscope_core::analysis::image_out::{UpsampleFilter, upsample, write_png};
use dinoscope_core::analysis::lettering::shortened;
use dinoscope_core::analysis::pca::{Pca, PcaOptions};
use dinoscope_core::data::Picture;
use dinoscope_core::data::augment::resize_to;

/// Longest side of each of the three.
const SIDE: usize = 720;
/// Shortest width of each, so that there is room for a name.
const NARROWEST: usize = 160;
/// Between them, around them, and the line of names.
const GAP: usize = 12;
const LINE: usize = 28;
const TEXT: f32 = 15.0;
const GROUND: Colour = [24, 24, 27];
const INK: Colour = [228, 228, 231];

/// Draws one after another, with colours that stay as steady as pictures allow.
pub struct ComparisonSheet {
    folder: PathBuf,
    names: [String; 2],
    options: PcaOptions,
    filter: UpsampleFilter,
    /// The colours of A for the picture before.
    last: Option<Pca>,
}

impl ComparisonSheet {
    /// Writes into `folder`, which is there.
    pub fn new(folder: PathBuf, names: [String; 2], foreground: bool, blocks: bool) -> Self {
        // Each picture has a range of its own at once.
        let options = PcaOptions { foreground, smoothing: 0.0, ..PcaOptions::default() };
        let filter = if blocks { UpsampleFilter::Nearest } else { UpsampleFilter::Bicubic };
        Self { folder, names, options, filter, last: None }
    }

    /// Writes `STEM.compare.png`.
    pub fn write(&mut self, stem: &Path, picture: &Picture, [a, b]: [&PatchFeatures; 2]) -> Result<()> {
        let of_a = Pca::fit(&[a], self.last.as_ref(), &self.options)?;
        let of_b = Pca::fit_beside(&[b], &of_a, &[a], &self.options)?;
        let longest = picture.width.max(picture.height).max(1);
        // Small pictures grow by whole numbers, so that each of their pixels stays what it is.
        let scale =
            if longest > SIDE { SIDE as f64 / longest as f64 } else { (SIDE / longest).max(1) as f64 };
        let [width, height] =
            [picture.width, picture.height].map(|side| ((side as f64 * scale).round() as usize).max(1));
        let shown =
            if scale < 1.0 { resize_to(picture, width, height) } else { grown(picture, scale as usize) };
        let drawn = |pca: &Pca, patches: &PatchFeatures| -> Result<Picture> {
            let coloured = pca.colour(patches)?;
            Ok(upsample(&coloured.rgb, coloured.rows, coloured.cols, width, height, self.filter)?)
        };
        let parts = [shown, drawn(&of_a, a)?, drawn(&of_b, b)?];
        let column = width.max(NARROWEST);
        let mut canvas = PictureCanvas::new(3 * column + 4 * GAP, height + LINE + GAP, GROUND);
        let labels = [String::new(), format!("A  {}", self.names[0]), format!("B  {}", self.names[1])];
        for (i, (part, label)) in parts.iter().zip(labels).enumerate() {
            let left = GAP + i * (column + GAP);
            canvas.paste(part, left + (column - width) / 2, LINE);
            let text = shortened(&label, TEXT, column as f32);
            canvas.text(&text, left as f32, 0.5 * LINE as f32, CanvasTextStyle::new(TEXT, INK));
        }
        let mut path = self.folder.join(stem).into_os_string();
        path.push(".compare.png");
        let path = PathBuf::from(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        write_png(&path, &canvas.picture())?;
        self.last = Some(of_a);
        Ok(())
    }
}

/// Each pixel as a square of `times` × `times`.
fn grown(picture: &Picture, times: usize) -> Picture {
    let (width, height) = (picture.width * times, picture.height * times);
    let pixel = |i: usize| {
        let at = 3 * ((i / width / times) * picture.width + i % width / times);
        [picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]]
    };
    Picture::of_rgb(width, height, (0..width * height).flat_map(pixel).collect())
}
