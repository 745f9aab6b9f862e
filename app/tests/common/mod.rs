//! What tests of the interface share: pictures of it without a graphics card, the same on every machine.

pub mod moving;
pub mod window;

use dinoscope_raster::Raster;
use egui::{Color32, Context, FullOutput, TexturesDelta};
use egui_kittest::TestRenderer;
use image::RgbaImage;

/// Paints a test's frames on the processor: hand it to `HarnessBuilder::renderer`.
#[derive(Default)]
pub struct RasterRenderer {
    raster: Raster,
}

impl TestRenderer for RasterRenderer {
    fn handle_delta(&mut self, delta: &mut TexturesDelta) {
        self.raster.update(delta);
        delta.clear();
    }

    fn render(&mut self, ctx: &Context, output: &FullOutput) -> Result<RgbaImage, String> {
        let pixels_per_point = ctx.pixels_per_point();
        let size = ctx.content_rect().size() * pixels_per_point;
        let size = [size.x, size.y].map(|side| side.round() as usize);
        let primitives = ctx.tessellate(output.shapes.clone(), pixels_per_point);
        Ok(self.raster.paint(size, pixels_per_point, &primitives, Color32::TRANSPARENT))
    }
}
