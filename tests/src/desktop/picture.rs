//! What is to be seen: a picture of a window, and questions about parts of it.

use std::collections::HashSet;
use std::path::PathBuf;

use image::RgbImage;

/// A rectangle of pixels; whatever lies outside a picture is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Region {
    /// A rectangle by its upper left corner and its size.
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self { x, y, width, height }
    }

    /// All of a picture.
    pub fn of(picture: &RgbImage) -> Self {
        Self::new(0, 0, picture.width(), picture.height())
    }

    /// The point in its middle.
    pub fn centre(self) -> (i32, i32) {
        let middle = |start: u32, length: u32| i32::try_from(start + length / 2).unwrap_or(i32::MAX);
        (middle(self.x, self.width), middle(self.y, self.height))
    }

    /// The positions that it has in a picture, row by row.
    fn pixels(self, picture: &RgbImage) -> impl Iterator<Item = (u32, u32)> + use<> {
        let right = self.x.saturating_add(self.width).min(picture.width());
        let bottom = self.y.saturating_add(self.height).min(picture.height());
        (self.y..bottom).flat_map(move |y| (self.x..right).map(move |x| (x, y)))
    }
}

/// The largest difference of two colours in a channel.
fn apart(a: [u8; 3], b: [u8; 3]) -> u8 {
    a.iter().zip(b).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
}

/// Share of a region's pixels, 0 to 1, that differ by more than `tolerance` in a channel. Pictures of different sizes
/// differ in everything, and so does a region that is not in them: no test should pass by looking past the window.
pub fn differing(a: &RgbImage, b: &RgbImage, region: Region, tolerance: u8) -> f64 {
    if a.dimensions() != b.dimensions() {
        return 1.0;
    }
    let (mut differ, mut count) = (0_u32, 0_u32);
    for (x, y) in region.pixels(a) {
        count += 1;
        differ += u32::from(apart(a.get_pixel(x, y).0, b.get_pixel(x, y).0) > tolerance);
    }
    if count == 0 { 1.0 } else { f64::from(differ) / f64::from(count) }
}

/// Mean colour of a region, 0 to 255; NaN where there is no pixel.
pub fn mean(picture: &RgbImage, region: Region) -> [f64; 3] {
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for (x, y) in region.pixels(picture) {
        count += 1.0;
        sum.iter_mut().zip(picture.get_pixel(x, y).0).for_each(|(sum, value)| *sum += f64::from(value));
    }
    sum.map(|sum| sum / count)
}

/// How many different colours a region has: 1 is an empty surface, a photograph has thousands.
pub fn colours(picture: &RgbImage, region: Region) -> usize {
    region.pixels(picture).map(|(x, y)| picture.get_pixel(x, y).0).collect::<HashSet<_>>().len()
}

/// The smallest rectangle around all pixels of a region that are within `tolerance` of a colour: where a coloured
/// button is, or the line of a plot.
pub fn bounds(picture: &RgbImage, region: Region, colour: [u8; 3], tolerance: u8) -> Option<Region> {
    let mut found: Option<[u32; 4]> = None;
    for (x, y) in region.pixels(picture) {
        if apart(picture.get_pixel(x, y).0, colour) <= tolerance {
            let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
            found = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
        }
    }
    found.map(|[left, top, right, bottom]| Region::new(left, top, right - left + 1, bottom - top + 1))
}

/// Writes `pictures/NAME.png`, and says where that is.
///
/// # Panics
/// When it can't be written.
pub fn save(name: &str, picture: &RgbImage) -> PathBuf {
    let folder = super::pictures();
    let file = folder.join(format!("{name}.png"));
    let saved =
        std::fs::create_dir_all(&folder).map_err(image::ImageError::from).and_then(|()| picture.save(&file));
    match saved {
        Ok(()) => file,
        Err(error) => panic!("writing {}: {error}", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cross() -> RgbImage {
        RgbImage::from_fn(10, 8, |x, y| image::Rgb(if x == 4 || y == 2 { [200, 100, 0] } else { [0; 3] }))
    }

    #[test]
    fn regions_are_measured() {
        let (picture, whole) = (cross(), Region::new(0, 0, 10, 8));
        assert_eq!(Region::of(&picture), whole);
        assert_eq!(colours(&picture, whole), 2);
        assert_eq!(colours(&picture, Region::new(6, 4, 50, 50)), 1);
        assert_eq!(mean(&picture, Region::new(4, 0, 2, 1)), [100.0, 50.0, 0.0]);
        assert!(mean(&picture, Region::new(10, 0, 2, 1))[0].is_nan());
        assert_eq!(bounds(&picture, Region::new(3, 3, 7, 5), [205, 96, 4], 5), Some(Region::new(4, 3, 1, 5)));
        assert_eq!(bounds(&picture, whole, [205, 96, 4], 4), None);
        assert_eq!(Region::new(4, 3, 3, 5).centre(), (5, 5));
    }

    #[test]
    fn differences_are_counted() {
        let (a, whole) = (cross(), Region::new(0, 0, 10, 8));
        let mut b = a.clone();
        b.put_pixel(0, 0, image::Rgb([0, 9, 0]));
        assert_eq!(differing(&a, &b, whole, 8), 1.0 / 80.0);
        assert_eq!(differing(&a, &b, whole, 9), 0.0);
        assert_eq!(differing(&a, &RgbImage::new(9, 8), whole, 255), 1.0);
        assert_eq!(differing(&a, &a, Region::new(10, 8, 1, 1), 0), 1.0, "outside");
    }
}
