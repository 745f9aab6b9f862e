//! What a triangle's pixels look like: colour and texture as planes over the screen.

use egui::TextureFilter;

use super::blend::{PixelFormat, blend, channels, fill, modulate, quantise};
use super::texture::{Place, TexelView, along, pack, place};

/// A corner of a triangle, on the screen in pixels and on the texture from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RasterVertex {
    /// Pixels from the left and top edges.
    pub at: [f64; 2],
    /// Place on the texture.
    pub uv: [f64; 2],
    /// Premultiplied colour, each channel from 0 to 255.
    pub color: [f32; 4],
}

impl RasterVertex {
    /// The corner `part` of the way towards another one.
    pub fn toward(&self, other: &Self, part: f64) -> Self {
        let mix = |a: f64, b: f64| a + (b - a) * part;
        let mut corner = *self;
        for axis in 0..2 {
            corner.at[axis] = mix(self.at[axis], other.at[axis]);
            corner.uv[axis] = mix(self.uv[axis], other.uv[axis]);
        }
        for (channel, end) in corner.color.iter_mut().zip(other.color) {
            *channel = mix(f64::from(*channel), f64::from(end)) as f32;
        }
        corner
    }
}

/// Values that change evenly over the screen.
struct PlaneEquations<const N: usize> {
    origin: [f64; 2],
    base: [f64; N],
    across: [f64; N],
    down: [f64; N],
}

impl<const N: usize> PlaneEquations<N> {
    /// The planes through three corners' values; none if the corners are on a line.
    fn through(corners: &[RasterVertex; 3], values: impl Fn(&RasterVertex) -> [f64; N]) -> Option<Self> {
        let [a, b, c] = corners;
        let (bx, by) = (b.at[0] - a.at[0], b.at[1] - a.at[1]);
        let (cx, cy) = (c.at[0] - a.at[0], c.at[1] - a.at[1]);
        let area = bx * cy - cx * by;
        if area == 0.0 {
            return None;
        }
        let (base, vb, vc) = (values(a), values(b), values(c));
        let (mut across, mut down) = ([0.0; N], [0.0; N]);
        for i in 0..N {
            let (db, dc) = (vb[i] - base[i], vc[i] - base[i]);
            across[i] = (db * cy - dc * by) / area;
            down[i] = (dc * bx - db * cx) / area;
        }
        Some(Self { origin: a.at, base, across, down })
    }

    /// The values in the middle of a pixel.
    fn at(&self, x: usize, y: usize) -> [f64; N] {
        let (x, y) = (x as f64 + 0.5 - self.origin[0], y as f64 + 0.5 - self.origin[1]);
        std::array::from_fn(|i| self.base[i] + self.across[i] * x + self.down[i] * y)
    }
}

/// The colour without the texture.
enum TriangleColour {
    Flat(u32),
    Smooth(PlaneEquations<4>),
}

/// A texture on a triangle.
struct TriangleTexture<'a> {
    texels: &'a TexelView<'a>,
    filter: TextureFilter,
    /// The place on the texture, in texels.
    place: PlaneEquations<2>,
}

/// How a triangle's pixels look.
pub struct TriangleShader<'a> {
    tint: TriangleColour,
    cloth: Option<TriangleTexture<'a>>,
}

impl<'a> TriangleShader<'a> {
    /// For a triangle with these corners; none if it has no area.
    pub fn new(corners: &[RasterVertex; 3], texels: &'a TexelView<'a>) -> Option<Self> {
        let [a, b, c] = corners;
        let size = texels.size();
        let texel = |corner: &RasterVertex| [corner.uv[0] * size[0], corner.uv[1] * size[1]];
        let mut colors = [a.color, b.color, c.color];
        let cloth = if a.uv == b.uv && a.uv == c.uv {
            // All of egui's plain colours: one white texel, read once.
            let light = texels.read(texel(a).map(place), texels.filter(0.0));
            if light != u32::MAX {
                let light = channels(light).map(|channel| channel / 255.0);
                for color in &mut colors {
                    color.iter_mut().zip(light).for_each(|(channel, light)| *channel *= light);
                }
            }
            None
        } else {
            let place = PlaneEquations::through(corners, texel)?;
            let length = |step: &[f64; 2]| step[0].hypot(step[1]);
            let filter = texels.filter(length(&place.across).max(length(&place.down)));
            Some(TriangleTexture { texels, filter, place })
        };
        let tint = if colors[0] == colors[1] && colors[0] == colors[2] {
            TriangleColour::Flat(quantise(colors[0]))
        } else {
            let corners = [0, 1, 2].map(|i| RasterVertex { color: colors[i], ..corners[i] });
            TriangleColour::Smooth(PlaneEquations::through(&corners, |corner| corner.color.map(f64::from))?)
        };
        Some(Self { tint, cloth })
    }

    /// Paints the pixels of `row`, the first of which is at `x`, `y`.
    pub fn paint<L: PixelFormat>(&self, row: &mut [u32], x: usize, y: usize) {
        match (&self.tint, &self.cloth) {
            (TriangleColour::Flat(color), None) => fill::<L>(row, *color),
            (TriangleColour::Smooth(planes), None) => {
                let tint = ColourSpan::new(planes, x, y);
                for (i, pixel) in row.iter_mut().enumerate() {
                    blend::<L>(pixel, quantise(tint.at(i)));
                }
            }
            (TriangleColour::Flat(u32::MAX), Some(cloth)) => cloth.read(row, x, y, |_, pixel, texel| {
                blend::<L>(pixel, texel);
            }),
            (TriangleColour::Flat(color), Some(cloth)) => cloth.read(row, x, y, |_, pixel, texel| {
                if texel != 0 {
                    blend::<L>(pixel, modulate(texel, *color));
                }
            }),
            (TriangleColour::Smooth(planes), Some(cloth)) => {
                let tint = ColourSpan::new(planes, x, y);
                cloth.read(row, x, y, |i, pixel, texel| {
                    let (tint, texel) = (tint.at(i), channels(texel));
                    blend::<L>(pixel, quantise(std::array::from_fn(|c| tint[c] * texel[c] * (1.0 / 255.0))));
                });
            }
        }
    }
}

/// Colours along a row.
struct ColourSpan {
    start: [f32; 4],
    step: [f32; 4],
}

impl ColourSpan {
    fn new(planes: &PlaneEquations<4>, x: usize, y: usize) -> Self {
        Self { start: planes.at(x, y).map(|c| c as f32), step: planes.across.map(|c| c as f32) }
    }

    fn at(&self, index: usize) -> [f32; 4] {
        // From 32 bits with a sign this is one instruction, from 64 without one it is many.
        let count = index as i32 as f32;
        std::array::from_fn(|i| self.start[i] + self.step[i] * count)
    }
}

impl TriangleTexture<'_> {
    /// Hands each pixel of a row to `put` with its index and what the texture has there.
    fn read(&self, row: &mut [u32], x: usize, y: usize, mut put: impl FnMut(usize, &mut u32, u32)) {
        let [u, v]: [Place; 2] = self.place.at(x, y).map(place);
        let [across, down] = self.place.across.map(place);
        let pixels = row.iter_mut().enumerate();
        if self.filter == TextureFilter::Linear && down == 0 {
            let line = self.texels.line(v);
            if let Some(texels) = line.direct(u, across, pixels.len()) {
                for ((i, pixel), texel) in pixels.zip(texels) {
                    put(i, pixel, pack(*texel));
                }
            } else {
                for (i, pixel) in pixels {
                    put(i, pixel, line.linear(along(u, across, i)));
                }
            }
        } else {
            for (i, pixel) in pixels {
                put(i, pixel, self.texels.read([along(u, across, i), along(v, down, i)], self.filter));
            }
        }
    }
}
