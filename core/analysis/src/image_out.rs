//! From patch grids to pictures and files: upsampling, contact sheets, PNG.

use std::path::Path;

pub use dinoscope_shaders::display::UpsampleFilter;

use super::{AnalysisError, check_len, write_atomic};
use dinoscope_data::Picture;

/// For each output position four input positions with their weights.
fn taps(input: usize, output: usize, filter: UpsampleFilter) -> Vec<[(usize, f32); 4]> {
    (0..output)
        .map(|i| {
            // Centres of patches and of pixels, as in torch's `align_corners=False`.
            let place = (i as f32 + 0.5) * input as f32 / output as f32 - 0.5;
            let at = |offset: isize| (place.floor() as isize + offset).clamp(0, input as isize - 1) as usize;
            let t = place - place.floor();
            match filter {
                UpsampleFilter::Nearest => {
                    let nearest = (i * input / output).min(input - 1);
                    [(nearest, 1.0), (0, 0.0), (0, 0.0), (0, 0.0)]
                }
                UpsampleFilter::Bilinear => [(at(0), 1.0 - t), (at(1), t), (0, 0.0), (0, 0.0)],
                UpsampleFilter::Bicubic => [
                    (at(-1), ((-0.5 * t + 1.0) * t - 0.5) * t),
                    (at(0), (1.5 * t - 2.5) * t * t + 1.0),
                    (at(1), ((-1.5 * t + 2.0) * t + 0.5) * t),
                    (at(2), (0.5 * t - 0.5) * t * t),
                ],
            }
        })
        .collect()
}

/// `[rows, cols, N]` to `[height, width, N]`, separably: first along rows, then along columns. The result goes to `put`
/// pixel by pixel: as numbers it would be several times the picture.
fn resample<const N: usize>(
    grid: &[[f32; N]],
    (rows, cols): (usize, usize),
    (height, width): (usize, usize),
    filter: UpsampleFilter,
    mut put: impl FnMut([f32; N]),
) -> Result<(), AnalysisError> {
    check_len("grid", grid.len(), rows * cols)?;
    if grid.is_empty() || width == 0 || height == 0 {
        return Err(AnalysisError::Empty("patches or pixels"));
    }
    // A tap outside the four is (0, 0.0); it must not spread a NaN from the corner.
    let mix = |taps: &[(usize, f32); 4], at: &dyn Fn(usize) -> [f32; N]| -> [f32; N] {
        let mut sum = [0.0; N];
        let (mut lo, mut hi) = ([f32::INFINITY; N], [f32::NEG_INFINITY; N]);
        for (i, weight) in taps.iter().filter(|(_, weight)| *weight != 0.0) {
            let value = at(*i);
            for c in 0..N {
                sum[c] += weight * value[c];
                lo[c] = lo[c].min(value[c]);
                hi[c] = hi[c].max(value[c]);
            }
        }
        // Without the clamp curves overshoot into halos around a black background.
        std::array::from_fn(|c| if sum[c].is_nan() { sum[c] } else { sum[c].max(lo[c]).min(hi[c]) })
    };
    let across = taps(cols, width, filter);
    let down = taps(rows, height, filter);
    let wide: Vec<[f32; N]> =
        (0..rows * width).map(|i| mix(&across[i % width], &|c| grid[i / width * cols + c])).collect();
    for i in 0..height * width {
        put(mix(&down[i / width], &|r| wide[r * width + i % width]));
    }
    Ok(())
}

/// Colours of patches, `[rows * cols]`, as a picture of `width` × `height`.
pub fn upsample(
    colours: &[[u8; 3]],
    rows: usize,
    cols: usize,
    width: usize,
    height: usize,
    filter: UpsampleFilter,
) -> Result<Picture, AnalysisError> {
    let grid: Vec<[f32; 3]> = colours.iter().map(|c| c.map(f32::from)).collect();
    let mut rgb = Vec::with_capacity(3 * width * height);
    resample(&grid, (rows, cols), (height, width), filter, |pixel| {
        rgb.extend(pixel.map(|v| v.round() as u8))
    })?;
    Ok(Picture::of_rgb(width, height, rgb))
}

/// Numbers of patches, `[rows * cols]`, as numbers of pixels, `[height * width]`.
pub fn upsample_values(
    values: &[f32],
    rows: usize,
    cols: usize,
    width: usize,
    height: usize,
    filter: UpsampleFilter,
) -> Result<Vec<f32>, AnalysisError> {
    let grid: Vec<[f32; 1]> = values.iter().map(|v| [*v]).collect();
    let mut out = Vec::with_capacity(width * height);
    resample(&grid, (rows, cols), (height, width), filter, |[value]| out.push(value))?;
    Ok(out)
}

/// Pictures in rows of `columns`, each centred in a cell of the largest size, `gap` pixels between and around them.
///
/// `columns` of 1 is a column, of `pictures.len()` a strip.
pub fn contact_sheet(
    pictures: &[&Picture],
    columns: usize,
    gap: usize,
    background: [u8; 3],
) -> Result<Picture, AnalysisError> {
    if pictures.is_empty() || columns == 0 {
        return Err(AnalysisError::Empty("pictures"));
    }
    for picture in pictures {
        check_len("bytes of the picture", picture.rgb.len(), picture.width * picture.height * 3)?;
    }
    let columns = columns.min(pictures.len());
    let cell_width = pictures.iter().map(|p| p.width).max().unwrap_or(0);
    let cell_height = pictures.iter().map(|p| p.height).max().unwrap_or(0);
    let width = columns * (cell_width + gap) + gap;
    let height = pictures.len().div_ceil(columns) * (cell_height + gap) + gap;
    let mut rgb = background.repeat(width * height);
    for (i, picture) in pictures.iter().enumerate() {
        let left = gap + i % columns * (cell_width + gap) + (cell_width - picture.width) / 2;
        let top = gap + i / columns * (cell_height + gap) + (cell_height - picture.height) / 2;
        for (row, line) in picture.rgb.chunks_exact((picture.width * 3).max(1)).enumerate() {
            let start = ((top + row) * width + left) * 3;
            rgb[start..start + line.len()].copy_from_slice(line);
        }
    }
    Ok(Picture::of_rgb(width, height, rgb))
}

/// The bytes of a PNG file.
pub fn png(picture: &Picture) -> Result<Vec<u8>, AnalysisError> {
    check_len("bytes of the picture", picture.rgb.len(), picture.width * picture.height * 3)?;
    let mut out = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut out);
    let (width, height) = (picture.width as u32, picture.height as u32);
    image::ImageEncoder::write_image(encoder, &picture.rgb, width, height, image::ExtendedColorType::Rgb8)
        .map_err(|source| AnalysisError::Encode { width: picture.width, height: picture.height, source })?;
    Ok(out)
}

/// Writes a PNG file, whole or not at all.
pub fn write_png(path: &Path, picture: &Picture) -> Result<(), AnalysisError> {
    write_atomic(path, &png(picture)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nearest_makes_blocks() {
        let p = upsample(&[[9; 3], [200, 0, 1]], 1, 2, 4, 2, UpsampleFilter::Nearest).unwrap();
        let row = [9, 9, 9, 9, 9, 9, 200, 0, 1, 200, 0, 1];
        assert_eq!(p.rgb, [row, row].concat());
    }

    #[test]
    fn smooth_filters_keep_size_range_and_constants() {
        for filter in [UpsampleFilter::Nearest, UpsampleFilter::Bilinear, UpsampleFilter::Bicubic] {
            // The same size is the same picture.
            let grid: Vec<f32> = (0..12).map(|v| (v * 7 % 5) as f32).collect();
            assert_eq!(upsample_values(&grid, 3, 4, 4, 3, filter).unwrap(), grid);
            assert!(
                upsample_values(&[3.0; 12], 3, 4, 31, 17, filter)
                    .unwrap()
                    .iter()
                    .all(|v| (v - 3.0).abs() < 1e-5)
            );
            let step = upsample(&[[0; 3], [255; 3]], 1, 2, 40, 3, filter).unwrap();
            assert!(step.rgb.chunks_exact(3).take(40).is_sorted());
            assert!(upsample(&[[7; 3]], 1, 1, 5, 5, filter).unwrap().rgb.iter().all(|v| *v == 7));
            assert!(upsample(&[], 0, 0, 5, 5, filter).is_err());
            assert!(upsample(&[[0; 3]], 1, 2, 5, 5, filter).is_err());
        }
        // Half way between two centres.
        assert_eq!(
            upsample_values(&[0.0, 1.0], 1, 2, 4, 1, UpsampleFilter::Bilinear).unwrap(),
            [0.0, 0.25, 0.75, 1.0]
        );
        // A NaN stays where it is.
        let nan =
            upsample_values(&[f32::NAN, 0.0, 0.0, 0.0, 0.0], 1, 5, 5, 1, UpsampleFilter::Bicubic).unwrap();
        assert!(nan[0].is_nan() && nan[4] == 0.0);
    }

    #[test]
    fn sheets_place_pictures() {
        let dot = |v| Picture::of_rgb(1, 1, vec![v; 3]);
        let wide = Picture::of_rgb(3, 1, vec![5; 9]);
        let sheet = contact_sheet(&[&dot(1), &wide, &dot(2)], 2, 1, [0; 3]).unwrap();
        assert_eq!((sheet.width, sheet.height), (9, 5));
        let at = |x: usize, y: usize| sheet.rgb[(y * 9 + x) * 3];
        assert_eq!((at(2, 1), at(1, 1), at(5, 1), at(7, 1), at(8, 1), at(2, 3)), (1, 0, 5, 5, 0, 2));
        assert!(contact_sheet(&[], 2, 1, [0; 3]).is_err());
        assert!(contact_sheet(&[&Picture::of_rgb(2, 2, vec![0])], 2, 1, [0; 3]).is_err());
    }

    #[test]
    fn png_round_trip() {
        let picture = Picture::of_rgb(3, 2, (0..18).collect());
        let back = image::load_from_memory(&png(&picture).unwrap()).unwrap().to_rgb8();
        assert_eq!((back.dimensions(), back.into_raw()), ((3, 2), picture.rgb));
        assert!(png(&Picture::of_rgb(0, 0, vec![])).is_err());
    }
}
