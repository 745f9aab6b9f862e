//! Colours that occur together: mostly muted, around the hues of earth, leaves and sky, now and then loud.

use crate::source::scenes::materials::between;
use crate::source::scenes::math::{V3, oklch};
use dinoscope_base::rng::{RngExt, Stream};

/// Entries of a ramp.
const STEPS: usize = 48;

/// A few hues that the ramps of a picture are about.
#[derive(Clone, Copy, Debug)]
pub struct PictureHues {
    hues: [f32; 3],
    /// How loud the picture is: the mean chroma.
    chroma: f32,
}

impl PictureHues {
    /// Hues of a picture.
    pub fn draw(rng: &mut Stream) -> Self {
        let mut hue = || match rng.random_range(0..20u32) {
            0..=6 => between(rng, 0.08, 0.22),
            7..=11 => between(rng, 0.26, 0.42),
            12..=16 => between(rng, 0.6, 0.75),
            _ => rng.random(),
        };
        let hues = [hue(), hue(), hue()];
        let loud = rng.random::<f32>();
        Self { hues, chroma: 0.02 + 0.12 * loud * loud }
    }

    /// One colour.
    pub fn colour(&self, rng: &mut Stream, lightness: f32) -> V3 {
        let (chroma, hue) = self.tone(rng);
        oklch(lightness, chroma, hue)
    }

    fn tone(&self, rng: &mut Stream) -> (f32, f32) {
        // Mostly the first hue; one colour in nine is an accent of any.
        let (which, loud) = (rng.random::<f32>(), rng.random::<f32>());
        if which > 0.89 {
            return (between(rng, 0.08, 0.22), rng.random());
        }
        let hue = self.hues[if which < 0.5 { 0 } else { 1 + usize::from(which > 0.72) }];
        ((self.chroma * (0.3 + 1.4 * loud)).min(0.24), hue + between(rng, -0.05, 0.05))
    }
}

/// Colours along a scale from 0 to 1, linear RGB.
#[derive(Clone, Debug)]
pub struct ColourRamp([V3; STEPS]);

impl ColourRamp {
    /// A ramp through two to five colours of a picture.
    pub fn draw(rng: &mut Stream, hues: &PictureHues) -> Self {
        let count = 2 + rng.random_range(0..4u32) as usize;
        // From low to high light, or up and down.
        let (low, high) = (between(rng, 0.08, 0.55), between(rng, 0.5, 0.97));
        let monotone = rng.random::<f32>() < 0.45;
        let mut stops: Vec<(f32, V3)> = Vec::with_capacity(count);
        for i in 0..count {
            let t = i as f32 / (count - 1) as f32;
            let l =
                if monotone { low + (high - low) * t } else { between(rng, low.min(high), low.max(high)) };
            let place = if i == 0 || i + 1 == count { t } else { t + between(rng, -0.3, 0.3) / count as f32 };
            stops.push((place, hues.colour(rng, l)));
        }
        if rng.random() {
            stops.reverse();
            stops.iter_mut().for_each(|stop| stop.0 = 1.0 - stop.0);
        }
        // Some ramps have hard edges between their colours.
        let hard = rng.random::<f32>() < 0.2;
        let mut at = 0;
        Self(std::array::from_fn(|i| {
            let x = i as f32 / (STEPS - 1) as f32;
            while at + 2 < stops.len() && x > stops[at + 1].0 {
                at += 1;
            }
            let ((a, from), (b, to)) = (stops[at], stops[at + 1]);
            let t = ((x - a) / (b - a).max(1e-4)).clamp(0.0, 1.0);
            from.mix(to, if hard { f32::from(u8::from(t > 0.5)) } else { t })
        }))
    }

    /// The colour at `t`, held between 0 and 1.
    #[inline(always)]
    pub fn at(&self, t: f32) -> V3 {
        let x = t.clamp(0.0, 1.0) * (STEPS - 1) as f32;
        let i = (x as usize).min(STEPS - 2);
        self.0[i].mix(self.0[i + 1], x - i as f32)
    }
}
