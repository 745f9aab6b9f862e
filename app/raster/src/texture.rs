//! Textures, and reading them as a graphics card would.

use std::collections::HashMap;
use std::sync::Arc;

use egui::epaint::ImageDelta;
use egui::{
    Color32, ColorImage, ImageData, TextureFilter, TextureId, TextureOptions, TextureWrapMode, TexturesDelta,
};

/// Pixels, premultiplied, and how they are to be read. They are shared with egui until a part of them changes.
struct RasterTexture {
    image: Arc<ColorImage>,
    options: TextureOptions,
}

/// All textures of a context.
#[derive(Default)]
pub struct TextureStore {
    by_id: HashMap<TextureId, RasterTexture>,
    /// Freed by the last change, but perhaps still to be seen in what is painted after it.
    leaving: Vec<TextureId>,
}

impl TextureStore {
    /// Takes over what changed. What is freed stays until the next change: the frame that came with it may show it.
    pub fn update(&mut self, delta: &TexturesDelta) {
        for id in self.leaving.drain(..) {
            self.by_id.remove(&id);
        }
        for (id, changes) in &delta.set {
            for change in changes {
                self.set(*id, change);
            }
        }
        self.leaving.extend(delta.free.iter().copied());
    }

    fn set(&mut self, id: TextureId, change: &ImageDelta) {
        let ImageData::Color(image) = &change.image;
        if image.width().checked_mul(image.height()) != Some(image.pixels.len()) {
            log::warn!("A texture's size does not fit its pixels: {:?}", image.size);
            return;
        }
        let Some(corner) = change.pos else {
            let texture = RasterTexture { image: Arc::clone(image), options: change.options };
            self.by_id.insert(id, texture);
            return;
        };
        let Some(texture) = self.by_id.get_mut(&id) else {
            log::warn!("A part of texture {id:?} came before the whole");
            return;
        };
        texture.options = change.options;
        let whole = Arc::make_mut(&mut texture.image);
        let [width, height] = whole.size;
        let [left, top] = corner;
        let columns = image.width().min(width.saturating_sub(left));
        if columns == 0 {
            return;
        }
        let rows = whole.pixels.chunks_exact_mut(width).take(height).skip(top);
        for (to, from) in rows.zip(image.pixels.chunks_exact(image.width())) {
            to[left..left + columns].copy_from_slice(&from[..columns]);
        }
    }

    /// A texture's pixels, if it has any. Textures that others than egui made are unknown here.
    pub fn get(&self, id: TextureId) -> Option<TexelView<'_>> {
        let RasterTexture { image, options } = self.by_id.get(&id)?;
        let side = |n: usize| i32::try_from(n).ok().filter(|n| *n > 0);
        let size = [side(image.width())?, side(image.height())?];
        Some(TexelView { pixels: &image.pixels, size, options: *options })
    }
}

/// A texture's pixels and how they are read outside and between them.
pub struct TexelView<'a> {
    pixels: &'a [Color32],
    size: [i32; 2],
    options: TextureOptions,
}

/// A place on a texture: texels from its left or top edge, in steps of 2⁻³². Whole numbers, as the way from a
/// floating-point number to the texel below it is long on older processors.
pub type Place = i64;

/// One texel.
const TEXEL: Place = 1 << 32;

/// A number of texels as a [`TexelCoordinate`]; far out it is held, and no number is 0.
pub fn place(texels: f64) -> Place {
    (texels * TEXEL as f64).clamp(-(TEXEL as f64) * 1e9, TEXEL as f64 * 1e9) as Place
}

/// `start` and so many steps; what is too far to count comes round.
pub fn along(start: Place, step: Place, count: usize) -> Place {
    start.wrapping_add(step.wrapping_mul(count as Place))
}

/// A texel's place, and how far towards the next one, in parts of 256.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TexelCoordinate {
    texel: i32,
    toward_next: u32,
}

impl TexelCoordinate {
    /// Colours are those of texels' middles. Weights have the eight bits that graphics cards give them.
    fn at(place: Place) -> Self {
        let rounded = place.wrapping_sub(TEXEL / 2 - TEXEL / 512);
        Self { texel: (rounded >> 32) as i32, toward_next: ((rounded >> 24) & 255) as u32 }
    }
}

impl<'a> TexelView<'a> {
    /// Width and height in texels.
    pub fn size(&self) -> [f64; 2] {
        self.size.map(f64::from)
    }

    /// How this is read where one step on the screen is `step` texels.
    pub fn filter(&self, step: f64) -> TextureFilter {
        if step > 1.0 { self.options.minification } else { self.options.magnification }
    }

    /// The texel that is read for an index that may lie outside.
    fn wrap(&self, index: i32, axis: usize) -> usize {
        let size = self.size[axis];
        let inside = match self.options.wrap_mode {
            TextureWrapMode::ClampToEdge => index.clamp(0, size - 1),
            TextureWrapMode::Repeat => index.rem_euclid(size),
            TextureWrapMode::MirroredRepeat => {
                let phase = i64::from(index).rem_euclid(2 * i64::from(size));
                phase.min(2 * i64::from(size) - 1 - phase) as i32
            }
        };
        inside as usize
    }

    /// A row of texels.
    fn row(&self, y: i32) -> &'a [Color32] {
        let width = self.size[0] as usize;
        let start = self.wrap(y, 1) * width;
        &self.pixels[start..start + width]
    }

    /// The colour at a place.
    pub fn read(&self, [x, y]: [Place; 2], filter: TextureFilter) -> u32 {
        match filter {
            TextureFilter::Nearest => pack(self.row((y >> 32) as i32)[self.wrap((x >> 32) as i32, 0)]),
            TextureFilter::Linear => self.line(y).linear(x),
        }
    }

    /// What is read for all places at `y`.
    pub fn line(&self, y: Place) -> TexelRowPair<'_> {
        let y = TexelCoordinate::at(y);
        let (above, below) = (self.row(y.texel), self.row(y.texel.wrapping_add(1)));
        TexelRowPair { texels: self, above, below, toward_below: y.toward_next }
    }
}

/// The two rows of texels between which a row of places lies.
pub struct TexelRowPair<'a> {
    texels: &'a TexelView<'a>,
    above: &'a [Color32],
    below: &'a [Color32],
    toward_below: u32,
}

impl<'a> TexelRowPair<'a> {
    /// The texels that are read from `x` on in `count` steps of `step`, if they coincide with the places, as they
    /// do for text and for pictures in their own size: none has to be mixed.
    pub fn direct(&self, x: Place, step: Place, count: usize) -> Option<&'a [Color32]> {
        let last = count.checked_sub(1)?;
        let (first, end) = (TexelCoordinate::at(x), TexelCoordinate::at(along(x, step, last)));
        // What is true of both ends is true between them.
        let aligned = first.toward_next == 0 && end.toward_next == 0 && self.toward_below == 0;
        let start = usize::try_from(first.texel).ok()?;
        if !aligned || end.texel.checked_sub(first.texel) != i32::try_from(last).ok() {
            return None;
        }
        self.above.get(start..start.checked_add(count)?)
    }

    /// The colour at `x`.
    pub fn linear(&self, x: Place) -> u32 {
        let x = TexelCoordinate::at(x);
        // What is negative is far beyond the end.
        let left = x.texel as usize;
        let pair = left..left.wrapping_add(2);
        match (self.above.get(pair.clone()), self.below.get(pair)) {
            (Some([a, b]), Some([c, d])) => mix([*a, *b, *c, *d], x.toward_next, self.toward_below),
            _ => self.linear_at_edge(x),
        }
    }

    #[cold]
    fn linear_at_edge(&self, x: TexelCoordinate) -> u32 {
        let (left, right) = (self.texels.wrap(x.texel, 0), self.texels.wrap(x.texel.wrapping_add(1), 0));
        let corners = [self.above[left], self.above[right], self.below[left], self.below[right]];
        mix(corners, x.toward_next, self.toward_below)
    }
}

/// A colour as a word, red in the lowest byte.
pub fn pack(color: Color32) -> u32 {
    u32::from_le_bytes(color.to_array())
}

/// Between four colours: top left, top right, bottom left, bottom right; weights in parts of 256.
fn mix(corners: [Color32; 4], x: u32, y: u32) -> u32 {
    let weights = [(256 - x) * (256 - y), x * (256 - y), (256 - x) * y, x * y];
    // Two channels in each word, with room for a product of 8 and 16 bits.
    let (mut even, mut odd) = (0x8000_0000_8000_u64, 0x8000_0000_8000_u64);
    for (color, weight) in corners.into_iter().zip(weights) {
        let color = u64::from(pack(color));
        even += ((color & 0xff) | ((color & 0xff_0000) << 16)) * u64::from(weight);
        odd += (((color >> 8) & 0xff) | ((color & 0xff00_0000) << 8)) * u64::from(weight);
    }
    let bytes = |lanes: u64| ((lanes >> 16) & 0xff) | ((lanes >> 32) & 0xff_0000);
    (bytes(even) | (bytes(odd) << 8)) as u32
}
