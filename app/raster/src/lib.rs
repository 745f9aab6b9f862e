//! Draws egui's triangles on the processor: for screenshots and tests, and for windows where no graphics card is.
//!
//! The picture is that of `egui-wgpu`: colours are premultiplied and mixed as they are, without going through
//! linear light; a pixel belongs to a triangle if its middle does. The same input gives the same bytes on every
//! machine, however many threads paint.

mod blend;
mod shade;
#[cfg(test)]
mod tests;
mod texture;
mod triangle;

use std::ops::Range;

use egui::epaint::{Mesh, Primitive, Vertex};
use egui::{ClippedPrimitive, Color32, Rect, TexturesDelta};
use image::RgbaImage;
use rayon::prelude::*;

use self::blend::{PixelFormat, RgbaFormat, XrgbFormat};
use self::shade::{RasterVertex, TriangleShader};
use self::texture::{TexelView, TextureStore, pack};
use self::triangle::{ScissorRect, cover, cover_rectangle, cut, is_rectangle, on_grid};

/// The most texels that a side of a texture may have: what graphics cards take.
pub const MAX_TEXTURE_SIDE: usize = 8192;

/// A painter that needs no graphics card, and the textures it was given.
#[derive(Default)]
pub struct Raster {
    textures: TextureStore,
}

impl Raster {
    /// A painter without textures.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what changed in egui's textures; the caller clears `delta`.
    ///
    /// To be called before the frame that `delta` came with is painted. Freed textures are kept until the next
    /// call, as that frame may still show them.
    pub fn update(&mut self, delta: &TexturesDelta) {
        self.textures.update(delta);
    }

    /// Paints a picture of `size` pixels. Paint callbacks, which speak to a graphics card, are left out.
    pub fn paint(
        &mut self,
        size: [usize; 2],
        pixels_per_point: f32,
        primitives: &[ClippedPrimitive],
        clear: Color32,
    ) -> RgbaImage {
        let sides = size.map(u32::try_from);
        let (Some(count), [Ok(width), Ok(height)]) = (size[0].checked_mul(size[1]), sides) else {
            return RgbaImage::new(0, 0);
        };
        let mut pixels = vec![0; count];
        self.bands::<RgbaFormat>(&mut pixels, size[0], pixels_per_point, primitives, clear);
        let mut bytes = vec![0; count * 4];
        for (bytes, pixel) in bytes.chunks_exact_mut(4).zip(&pixels) {
            bytes.copy_from_slice(&pixel.to_le_bytes());
        }
        RgbaImage::from_raw(width, height, bytes).unwrap_or_default()
    }

    /// Paints on a window's pixels, `0x00RRGGBB` row by row, as [`Raster::paint`] does. What lies behind the
    /// colour to clear with is black.
    pub fn paint_window(
        &mut self,
        pixels: &mut [u32],
        size: [usize; 2],
        pixels_per_point: f32,
        primitives: &[ClippedPrimitive],
        clear: Color32,
    ) {
        let count = size[0].saturating_mul(size[1]).min(pixels.len());
        self.bands::<XrgbFormat>(&mut pixels[..count], size[0], pixels_per_point, primitives, clear);
    }

    /// Paints bands one below the other, on all threads. No band depends on another or on where it starts.
    fn bands<L: PixelFormat>(
        &self,
        pixels: &mut [u32],
        width: usize,
        pixels_per_point: f32,
        primitives: &[ClippedPrimitive],
        clear: Color32,
    ) {
        if width == 0 || pixels.is_empty() {
            return;
        }
        let height = pixels.len() / width;
        // A few for each thread, as some parts of a window are fuller than others; but each goes through all triangles.
        let rows = height.div_ceil(rayon::current_num_threads().clamp(1, 64) * 3).max(16);
        pixels.par_chunks_mut(width * rows).enumerate().for_each(|(index, pixels)| {
            pixels.fill(L::pack(pack(clear)));
            let top = index * rows;
            let mut band = Band { bottom: top + pixels.len() / width, pixels, width, height, top };
            for ClippedPrimitive { clip_rect, primitive } in primitives {
                let area = band.area(clip_rect, pixels_per_point);
                let Primitive::Mesh(mesh) = primitive else { continue };
                if !area.is_empty()
                    && let Some(texels) = self.textures.get(mesh.texture_id)
                {
                    band.mesh::<L>(mesh, &texels, &area, pixels_per_point);
                }
            }
        });
    }
}

/// Some rows of the target.
struct Band<'a> {
    pixels: &'a mut [u32],
    width: usize,
    /// Of the whole target.
    height: usize,
    top: usize,
    bottom: usize,
}

impl Band<'_> {
    /// What a clip rectangle leaves of the band: its edges go to the nearest pixels.
    fn area(&self, clip: &Rect, pixels_per_point: f32) -> ScissorRect {
        let pixel = |points: f32| (points * pixels_per_point).round() as usize;
        let [left, right] = [clip.min.x, clip.max.x].map(|x| pixel(x).min(self.width));
        let [top, bottom] = [clip.min.y, clip.max.y].map(|y| pixel(y).min(self.height));
        ScissorRect { x: left..right, y: top.max(self.top)..bottom.min(self.bottom) }
    }

    /// Paints a mesh's triangles, two at once where they make a rectangle: most of what egui draws is that.
    fn mesh<L: PixelFormat>(
        &mut self,
        mesh: &Mesh,
        texels: &TexelView<'_>,
        area: &ScissorRect,
        pixels_per_point: f32,
    ) {
        let corner = |index: &u32| corner(mesh.vertices.get(*index as usize)?, pixels_per_point);
        let mut rest = mesh.indices.as_slice();
        while let [ia, ib, ic, after @ ..] = rest {
            rest = after;
            let (Some(a), Some(b), Some(c)) = (corner(ia), corner(ib), corner(ic)) else { continue };
            if area.misses([a.at[1], b.at[1], c.at[1]]) {
                continue;
            }
            if let [first, second, id, behind @ ..] = after
                && [first, second] == [ic, ib]
                && let Some(d) = corner(id)
            {
                let mut corners = [a, b, c, d];
                if on_grid(&mut corners) && is_rectangle(&corners) {
                    rest = behind;
                    self.rectangle::<L>(&corners, texels, area);
                    continue;
                }
            }
            let mut corners = [a, b, c];
            if on_grid(&mut corners) {
                self.triangle::<L>(&corners, texels, area);
            } else {
                cut(&corners, |part| self.triangle::<L>(part, texels, area));
            }
        }
    }

    fn triangle<L: PixelFormat>(
        &mut self,
        corners: &[RasterVertex; 3],
        texels: &TexelView<'_>,
        area: &ScissorRect,
    ) {
        if let Some(shade) = TriangleShader::new(corners, texels) {
            cover(corners, area, |y, columns| self.span::<L>(&shade, y, columns));
        }
    }

    fn rectangle<L: PixelFormat>(
        &mut self,
        [a, b, c, _]: &[RasterVertex; 4],
        texels: &TexelView<'_>,
        area: &ScissorRect,
    ) {
        if let Some(shade) = TriangleShader::new(&[*a, *b, *c], texels) {
            cover_rectangle(b.at, c.at, area, |y, columns| self.span::<L>(&shade, y, columns));
        }
    }

    fn span<L: PixelFormat>(&mut self, shade: &TriangleShader<'_>, y: usize, columns: Range<usize>) {
        let row = (y - self.top) * self.width;
        if let Some(pixels) = self.pixels.get_mut(row + columns.start..row + columns.end) {
            shade.paint::<L>(pixels, columns.start, y);
        }
    }
}

/// A vertex as a corner; none if its place is no number.
fn corner(vertex: &Vertex, pixels_per_point: f32) -> Option<RasterVertex> {
    let at = [vertex.pos.x, vertex.pos.y].map(|value| f64::from(value) * f64::from(pixels_per_point));
    let uv = [vertex.uv.x, vertex.uv.y].map(f64::from);
    let numbers = at.iter().chain(&uv).all(|value| value.is_finite());
    numbers.then(|| RasterVertex { at, uv, color: vertex.color.to_array().map(f32::from) })
}
