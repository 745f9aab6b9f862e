//! Pictures as the window draws them: no larger than it can take, and halved where they are drawn small.

use std::sync::Arc;

use dinoscope_core::data::Picture;
use dinoscope_core::data::augment::resize_to;
use egui::ColorImage;

/// Narrower pictures are not halved any more.
const NARROW: usize = 400;

/// As egui takes it, no side longer than `widest`.
pub fn image(picture: &Picture, widest: usize) -> ColorImage {
    let longest = picture.width.max(picture.height).max(1);
    if longest <= widest {
        return ColorImage::from_rgb([picture.width, picture.height], &picture.rgb);
    }
    let side = |length: usize| (length * widest / longest).max(1);
    let small = resize_to(picture, side(picture.width), side(picture.height));
    ColorImage::from_rgb([small.width, small.height], &small.rgb)
}

/// As egui takes it, no larger than the screen's painter can take, and at halves of that: what is drawn small from a large
/// picture flickers and can't be read.
pub fn images(picture: &Picture, widest: usize) -> Vec<Arc<ColorImage>> {
    let longest = picture.width.max(picture.height).max(1);
    let of = |image: &Picture| Arc::new(ColorImage::from_rgb([image.width, image.height], &image.rgb));
    let side = |length: usize| (length * widest.min(longest) / longest).max(1);
    let mut last = match longest <= widest {
        true => picture.clone(),
        false => resize_to(picture, side(picture.width), side(picture.height)),
    };
    let mut images = vec![of(&last)];
    while last.width >= 2 * NARROW && last.height > 1 {
        last = resize_to(&last, last.width / 2, last.height / 2);
        images.push(of(&last));
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pictures_fit_the_painter_and_come_in_halves() {
        let picture =
            |width: usize, height: usize| Picture::of_rgb(width, height, vec![7; width * height * 3]);
        let sizes = |width, height, widest| {
            images(&picture(width, height), widest).iter().map(|image| image.size).collect::<Vec<_>>()
        };
        assert_eq!(sizes(900, 300, 2048), [[900, 300], [450, 150]]);
        assert_eq!(sizes(100, 3000, 1500), [[50, 1500]]);
        assert_eq!(sizes(3, 2, 2048), [[3, 2]]);
    }
}
