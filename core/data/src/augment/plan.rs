//! The random decisions behind one crop, and carrying them out.

use super::blur::GaussianBlur;
use super::planes::PlanarPicture;
use super::resize::CropResizer;
use super::{BlurProbability, CropBox, CropRecipe, GramCropRecipe, color, hue};
use crate::channels::{ByteTables, ChannelStatistics};
use crate::{Picture, RGB};
use dinoscope_base::rng::{RngExt, Stream};

/// Which of a picture's crops a view is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// The first global crop.
    Global1,
    /// The second global crop, the only one that may be solarized.
    Global2,
    /// A local crop.
    Local,
}

/// One step of colour jitter with its strength.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColourAdjustment {
    /// Factor for [`super::brightness`].
    Brightness(f32),
    /// Factor for [`super::contrast`].
    Contrast(f32),
    /// Factor for [`super::saturation`].
    Saturation(f32),
    /// Shift for [`super::hue`].
    Hue(f32),
}

/// Everything that is decided at random about one view; fields stand in the order they are carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewPlan {
    /// The part of the picture that becomes the view.
    pub crop: CropBox,
    /// Whether the view is mirrored left to right.
    pub flip: bool,
    /// Colour jitter in the order it is applied, if any.
    pub jitter: Option<[ColourAdjustment; 4]>,
    /// Whether all colour is dropped.
    pub grayscale: bool,
    /// Standard deviation of the Gaussian blur in pixels of the view, if any.
    pub blur: Option<f32>,
    /// Whether values of 128 and above are inverted.
    pub solarize: bool,
}

impl ViewPlan {
    /// Draws the decisions for one view of a picture of `width` by `height` pixels (both at least 1).
    pub fn draw(rng: &mut Stream, kind: ViewKind, width: usize, height: usize, recipe: &CropRecipe) -> Self {
        let BlurProbability { global1, global2, local } = recipe.blur;
        let (scale, blur, solarize) = match kind {
            ViewKind::Global1 => (recipe.global_scale, global1, 0.0),
            ViewKind::Global2 => (recipe.global_scale, global2, recipe.solarize),
            ViewKind::Local => (recipe.local_scale, local, 0.0),
        };
        Self {
            crop: draw_crop(rng, width, height, scale, recipe.aspect),
            flip: chance(rng, recipe.flip),
            jitter: chance(rng, recipe.jitter).then(|| draw_jitter(rng, recipe)),
            grayscale: chance(rng, recipe.grayscale),
            blur: chance(rng, blur).then(|| uniform(rng, recipe.blur_sigma) as f32),
            solarize: chance(rng, solarize),
        }
    }

    /// Draws the decisions for all crops of a picture: the two global ones, then the local ones. Where a picture holds several
    /// views of the same thing side by side, the global crops come from two of them, and every local crop from any.
    pub fn draw_all(
        rng: &mut Stream,
        width: usize,
        height: usize,
        views: usize,
        recipe: &CropRecipe,
    ) -> Vec<Self> {
        let locals = std::iter::repeat_n(ViewKind::Local, recipe.locals);
        let kinds = [ViewKind::Global1, ViewKind::Global2].into_iter().chain(locals);
        if views <= 1 {
            return kinds.map(|kind| Self::draw(rng, kind, width, height, recipe)).collect();
        }
        let (each, count) = (width / views, views as u32);
        let first = rng.random_range(0..count);
        let second = (first + rng.random_range(1..count)) % count;
        let crop = |kind| {
            let view = match kind {
                ViewKind::Global1 => first,
                ViewKind::Global2 => second,
                ViewKind::Local => rng.random_range(0..count),
            };
            let mut plan = Self::draw(rng, kind, each, height, recipe);
            plan.crop.left += view as usize * each;
            plan
        };
        kinds.map(crop).collect()
    }

    /// The plan with its place and mirroring alone: colours and sharpness stay the picture's.
    #[must_use]
    pub fn undistorted(&self) -> Self {
        Self { crop: self.crop, flip: self.flip, jitter: None, grayscale: false, blur: None, solarize: false }
    }

    /// The plans of what a Gram teacher sees of a picture: those of its global crops.
    pub fn of_gram(plans: &[Self], recipe: &GramCropRecipe) -> Vec<Self> {
        let seen = |plan: &Self| if recipe.distorted { plan.clone() } else { plan.undistorted() };
        plans.iter().take(2).map(seen).collect()
    }

    /// Carries the plan out: the view as a square of `size` pixels.
    pub fn apply(&self, picture: &Picture, size: usize) -> Picture {
        let (mut cutter, colours) = (ViewCutter::default(), picture.channels == RGB);
        picture.map_layers(|layer| cutter.planes(self, (layer, picture.width), size, colours).picture())
    }
}

/// Carries out plans one after another, in memory that it keeps.
pub struct ViewCutter {
    resizer: CropResizer,
    blur: GaussianBlur,
    view: PlanarPicture,
    tables: ByteTables,
}

impl Default for ViewCutter {
    fn default() -> Self {
        Self::of(&ChannelStatistics::image_net())
    }
}

impl ViewCutter {
    /// For pictures of as many channels as these statistics have, normalised by them.
    pub fn of(pixels: &ChannelStatistics) -> Self {
        let (resizer, blur, view) = Default::default();
        Self { resizer, blur, view, tables: pixels.tables() }
    }

    /// What [`ViewPlan::apply`] makes, normalised into `out`, `[channels, size, size]`.
    pub fn cut(&mut self, plan: &ViewPlan, picture: &Picture, size: usize, out: &mut [f32]) {
        let (tables, colours) = (self.tables.clone(), picture.channels == RGB);
        let outs = out.chunks_mut((RGB * size * size).max(1));
        for ((layer, tables), out) in picture.layers().zip(tables.chunks(RGB)).zip(outs) {
            self.planes(plan, (layer, picture.width), size, colours).normalize_into(tables, out);
        }
    }

    /// The view of a layer with rows of so many pixels. Where its channels are no colours, each keeps to itself: what mixes
    /// colours (saturation, hue, loss of colour) is left out, and contrast is about each channel's own mean.
    fn planes(
        &mut self,
        plan: &ViewPlan,
        layer: (&[u8], usize),
        size: usize,
        colours: bool,
    ) -> &PlanarPicture {
        let view = &mut self.view;
        self.resizer.square(layer, plan.crop, size, plan.flip, view);
        for adjustment in plan.jitter.iter().flatten() {
            match *adjustment {
                ColourAdjustment::Brightness(factor) => color::brighten(view, factor),
                ColourAdjustment::Contrast(factor) if colours => color::spread(view, factor),
                ColourAdjustment::Contrast(factor) => color::spread_each(view, factor),
                ColourAdjustment::Saturation(factor) if colours => color::saturate(view, factor),
                ColourAdjustment::Hue(shift) if colours => hue::turn(view, shift),
                ColourAdjustment::Saturation(_) | ColourAdjustment::Hue(_) => {}
            }
        }
        if plan.grayscale && colours {
            color::drop_color(view);
        }
        if let Some(sigma) = plan.blur {
            self.blur.apply(view, sigma);
        }
        if plan.solarize {
            color::invert_from(&mut view.bytes, 128);
        }
        view
    }
}

/// torchvision's `RandomResizedCrop.get_params`.
fn draw_crop(
    rng: &mut Stream,
    width: usize,
    height: usize,
    scale: (f64, f64),
    aspect: (f64, f64),
) -> CropBox {
    let (w, h) = (width as f64, height as f64);
    let whole = |length: f64| length.round_ties_even() as usize;
    for _ in 0..10 {
        let area = w * h * uniform(rng, scale);
        let ratio = uniform(rng, (aspect.0.ln(), aspect.1.ln())).exp();
        let (cut_w, cut_h) = (whole((area * ratio).sqrt()), whole((area / ratio).sqrt()));
        if (1..=width).contains(&cut_w) && (1..=height).contains(&cut_h) {
            let top = rng.random_range(0..=(height - cut_h) as u32) as usize;
            let left = rng.random_range(0..=(width - cut_w) as u32) as usize;
            return CropBox { left, top, width: cut_w, height: cut_h };
        }
    }
    // No luck: the largest crop in the middle whose aspect is allowed.
    let (cut_w, cut_h) = if w / h < aspect.0 {
        (width, whole(w / aspect.0).clamp(1, height))
    } else if w / h > aspect.1 {
        (whole(h * aspect.1).clamp(1, width), height)
    } else {
        (width, height)
    };
    CropBox { left: (width - cut_w) / 2, top: (height - cut_h) / 2, width: cut_w, height: cut_h }
}

/// torchvision's `ColorJitter.get_params`.
fn draw_jitter(rng: &mut Stream, recipe: &CropRecipe) -> [ColourAdjustment; 4] {
    let mut factor = |spread: f64| uniform(rng, ((1.0 - spread).max(0.0), 1.0 + spread)) as f32;
    let mut adjustments = [
        ColourAdjustment::Brightness(factor(recipe.brightness)),
        ColourAdjustment::Contrast(factor(recipe.contrast)),
        ColourAdjustment::Saturation(factor(recipe.saturation)),
        ColourAdjustment::Hue(uniform(rng, (-recipe.hue, recipe.hue)) as f32),
    ];
    for last in (1..adjustments.len()).rev() {
        adjustments.swap(last, rng.random_range(0..=last as u32) as usize);
    }
    adjustments
}

fn uniform(rng: &mut Stream, (from, to): (f64, f64)) -> f64 {
    from + (to - from) * rng.random::<f64>()
}

fn chance(rng: &mut Stream, probability: f64) -> bool {
    rng.random::<f64>() < probability
}

#[cfg(test)]
mod tests {
    use super::super::{gaussian_blur, hue::hue, resized_crop};
    use super::*;
    use dinoscope_base::rng::stream;

    fn plans(kind: ViewKind, width: usize, height: usize, recipe: &CropRecipe) -> Vec<ViewPlan> {
        (0..4000).map(|i| ViewPlan::draw(&mut stream(3, "test", i, 0), kind, width, height, recipe)).collect()
    }

    fn share(plans: &[ViewPlan], of: impl Fn(&ViewPlan) -> bool) -> f64 {
        plans.iter().filter(|plan| of(plan)).count() as f64 / plans.len() as f64
    }

    #[test]
    fn views_are_blurred_as_often_as_the_recipe_says() {
        for blur in [BlurProbability::OFFICIAL, BlurProbability::INTENDED] {
            let recipe = CropRecipe { blur, ..CropRecipe::default() };
            for (kind, expected) in [
                (ViewKind::Global1, blur.global1),
                (ViewKind::Global2, blur.global2),
                (ViewKind::Local, blur.local),
            ] {
                let drawn = plans(kind, 500, 375, &recipe);
                let blurred = share(&drawn, |plan| plan.blur.is_some());
                assert!((blurred - expected).abs() < 0.03, "{kind:?}: {blurred} instead of {expected}");
                assert!(drawn.iter().filter_map(|plan| plan.blur).all(|sigma| (0.1..=2.0).contains(&sigma)));
            }
        }
    }

    #[test]
    fn other_decisions_come_as_often_as_the_recipe_says() {
        let recipe = CropRecipe::default();
        for kind in [ViewKind::Global1, ViewKind::Global2, ViewKind::Local] {
            let drawn = plans(kind, 500, 375, &recipe);
            let solarize = if kind == ViewKind::Global2 { 0.2 } else { 0.0 };
            for (name, found, expected) in [
                ("flip", share(&drawn, |plan| plan.flip), 0.5),
                ("jitter", share(&drawn, |plan| plan.jitter.is_some()), 0.8),
                ("grayscale", share(&drawn, |plan| plan.grayscale), 0.2),
                ("solarize", share(&drawn, |plan| plan.solarize), solarize),
            ] {
                assert!((found - expected).abs() < 0.03, "{kind:?} {name}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn jitter_keeps_to_its_ranges_in_every_order() {
        let drawn = plans(ViewKind::Local, 64, 64, &CropRecipe::default());
        let mut orders = std::collections::HashSet::new();
        for adjustments in drawn.iter().filter_map(|plan| plan.jitter) {
            orders.insert(adjustments.map(|a| std::mem::discriminant(&a)));
            for adjustment in adjustments {
                let (value, range) = match adjustment {
                    ColourAdjustment::Brightness(f) | ColourAdjustment::Contrast(f) => (f, 0.6..=1.4),
                    ColourAdjustment::Saturation(f) => (f, 0.8..=1.2),
                    ColourAdjustment::Hue(f) => (f, -0.1..=0.1),
                };
                assert!(range.contains(&value), "{adjustment:?}");
            }
        }
        assert_eq!(orders.len(), 24);
    }

    #[test]
    fn crops_lie_inside_and_keep_to_scale_and_aspect() {
        let recipe = CropRecipe::default();
        for (kind, scale) in [(ViewKind::Global1, (0.32, 1.0)), (ViewKind::Local, (0.05, 0.32))] {
            let mut mean = 0.0;
            for CropBox { left, top, width, height } in
                plans(kind, 1000, 800, &recipe).iter().map(|plan| plan.crop)
            {
                assert!(left + width <= 1000 && top + height <= 800);
                let share = (width * height) as f64 / 800_000.0;
                let aspect = width as f64 / height as f64;
                assert!(share > scale.0 - 0.01 && share < scale.1 + 0.01, "{kind:?}: {share} of the picture");
                assert!(aspect > 0.74 && aspect < 1.35, "{kind:?}: aspect {aspect}");
                mean += share / 4000.0;
            }
            // A global crop above some share of the picture may not fit, which is drawn again: smaller on average.
            assert!((mean - (scale.0 + scale.1) / 2.0).abs() < 0.1, "{kind:?}: mean share {mean}");
        }
    }

    #[test]
    fn all_views_are_drawn_one_after_another() {
        let recipe = CropRecipe { locals: 3, ..CropRecipe::default() };
        let plans = ViewPlan::draw_all(&mut stream(1, "test", 0, 0), 20, 10, 1, &recipe);
        let mut rng = stream(1, "test", 0, 0);
        let kinds = [ViewKind::Global1, ViewKind::Global2, ViewKind::Local, ViewKind::Local, ViewKind::Local];
        let expected = kinds.map(|kind| ViewPlan::draw(&mut rng, kind, 20, 10, &recipe));
        assert_eq!(plans, expected);
    }

    #[test]
    fn global_crops_of_several_views_come_from_two_of_them_and_local_ones_from_any() {
        let recipe = CropRecipe { locals: 6, ..CropRecipe::default() };
        let (mut globals, mut locals) = ([0; 3], [0; 3]);
        for i in 0..600 {
            let plans = ViewPlan::draw_all(&mut stream(4, "test", i, 0), 90, 30, 3, &recipe);
            let view = |plan: &ViewPlan| {
                let view = plan.crop.left / 30;
                assert!(plan.crop.left + plan.crop.width <= 30 * (view + 1), "a crop of two views: {plan:?}");
                view
            };
            let (first, second) = (view(&plans[0]), view(&plans[1]));
            assert_ne!(first, second);
            globals[first] += 1;
            globals[second] += 1;
            plans[2..].iter().for_each(|plan| locals[view(plan)] += 1);
        }
        assert!(globals.iter().all(|n| (330..470).contains(n)), "{globals:?}");
        assert!(locals.iter().all(|n| (1080..1320).contains(n)), "{locals:?}");
    }

    #[test]
    fn thin_pictures_fall_back_to_the_middle() {
        for plan in plans(ViewKind::Global1, 2000, 20, &CropRecipe::default()) {
            assert_eq!(plan.crop, CropBox { left: 986, top: 0, width: 27, height: 20 });
        }
        for plan in plans(ViewKind::Global1, 1, 1, &CropRecipe::default()) {
            assert_eq!(plan.crop, CropBox { left: 0, top: 0, width: 1, height: 1 });
        }
    }

    #[test]
    fn a_plan_is_carried_out_in_order() {
        let rgb: Vec<u8> = (0..40 * 30 * 3).map(|i| (i * 7 % 256) as u8).collect();
        let picture = Picture::of_rgb(40, 30, rgb);
        let crop = CropBox { left: 3, top: 5, width: 20, height: 18 };
        let jitter = [
            ColourAdjustment::Hue(0.05),
            ColourAdjustment::Contrast(1.2),
            ColourAdjustment::Brightness(0.7),
            ColourAdjustment::Saturation(0.9),
        ];
        let plan = ViewPlan {
            crop,
            flip: true,
            jitter: Some(jitter),
            grayscale: true,
            blur: Some(1.0),
            solarize: true,
        };
        let mut expected = resized_crop(&picture, crop, 16, 16);
        color::flip_horizontal(&mut expected);
        hue(&mut expected, 0.05);
        color::contrast(&mut expected, 1.2);
        color::brightness(&mut expected, 0.7);
        color::saturation(&mut expected, 0.9);
        color::grayscale(&mut expected);
        gaussian_blur(&mut expected, 1.0);
        color::solarize(&mut expected, 128);
        assert_eq!(plan.apply(&picture, 16), expected);
    }
}
