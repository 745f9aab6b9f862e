//! What was computed over the picture that it was computed from.

use super::common::{BindingKind, CommandRecorder, WgslProgram, check_len, pixels, uniform};
use crate::ShaderError;

const PROGRAM: &str = "overlay";

/// How a layer lies over a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverlayOptions {
    /// The share of the layer in the result, 0 to 1.
    pub opacity: f32,
    /// Left of this share of the width there is only the picture: what a slider over it moves. 0 to 1.
    pub swipe: f32,
}

impl Default for OverlayOptions {
    fn default() -> Self {
        Self { opacity: 0.6, swipe: 0.0 }
    }
}

impl OverlayOptions {
    /// Both within 0 to 1; NaN is 0.
    fn clamped(self) -> (f32, f32) {
        let share = |v: f32| if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) };
        (share(self.opacity), share(self.swipe))
    }
}

/// `[height, width]` packed colours of `layer` over those of `picture`, opaque, mixed as they are (not as light).
///
/// Fails when the two have not the same length, or no whole number of rows.
pub fn overlay_cpu(
    picture: &[u32],
    layer: &[u32],
    width: usize,
    overlay: OverlayOptions,
) -> Result<Vec<u32>, ShaderError> {
    check_len(PROGRAM, "layer", layer.len(), picture.len())?;
    check_len(PROGRAM, "picture", picture.len(), picture.len().next_multiple_of(width.max(1)))?;
    let (opacity, swipe) = overlay.clamped();
    let mix = |(i, (under, over)): (usize, (&u32, &u32))| {
        let x = (i % width.max(1)) as f32 + 0.5;
        let opacity = if x < swipe * width as f32 { 0.0 } else { opacity };
        let (under, over) = (under.to_le_bytes().map(f32::from), over.to_le_bytes().map(f32::from));
        let level = |c: usize| (under[c] * (1.0 - opacity) + over[c] * opacity + 0.5) as u8;
        u32::from_le_bytes([level(0), level(1), level(2), 255])
    };
    Ok(picture.iter().zip(layer).enumerate().map(mix).collect())
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct OverlayParams {
    opacity: f32,
    swipe: f32,
    padding: [f32; 2],
}

/// The GPU program; see [`overlay_cpu`] for what it computes.
#[derive(Debug)]
pub struct OverlayProgram {
    program: WgslProgram,
}

impl OverlayProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        use BindingKind::{Target, Texture, Uniform};
        let source = wgpu::include_wgsl!("../../wgsl/overlay.wgsl");
        Self {
            program: WgslProgram::new(
                device,
                PROGRAM,
                source,
                &[Uniform, Texture, Texture, Target],
                &["main"],
            ),
        }
    }

    /// Records `layer` over `picture` into all of `target`.
    ///
    /// The three may differ in size: of the first two the nearest pixels are taken. They need usage
    /// `TEXTURE_BINDING` and a float format without conversion; `target` is another texture, of the
    /// format [`super::FORMAT`] with usage `STORAGE_BINDING`.
    pub fn encode(
        &self,
        recorder: &mut CommandRecorder<'_>,
        picture: &wgpu::Texture,
        layer: &wgpu::Texture,
        overlay: OverlayOptions,
        target: &wgpu::Texture,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        let (opacity, swipe) = overlay.clamped();
        let uniform = uniform(device, PROGRAM, &OverlayParams { opacity, swipe, padding: [0.0; 2] })?;
        let views = [picture, layer, target].map(|texture| texture.create_view(&Default::default()));
        let [picture, layer, both] = views.each_ref().map(wgpu::BindingResource::TextureView);
        let group = self.program.bind(device, &[uniform.as_entire_binding(), picture, layer, both]);
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        self.program.dispatch(&mut pass, "main", &group, pixels(target));
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mixes_by_hand() {
        let (picture, layer) = ([0xff64_6464; 4], [0x00c8_0065; 4]);
        let mixed =
            |opacity, swipe| overlay_cpu(&picture, &layer, 4, OverlayOptions { opacity, swipe }).unwrap();
        assert_eq!(mixed(0.5, 0.0), [0xff96_3265; 4]);
        assert_eq!(mixed(0.0, 0.0), picture);
        assert_eq!(mixed(1.0, 0.5), [0xff64_6464, 0xff64_6464, 0xffc8_0065, 0xffc8_0065]);
        assert_eq!(mixed(f32::NAN, f32::INFINITY), picture);
        assert!(overlay_cpu(&picture, &layer[..3], 4, OverlayOptions::default()).is_err());
        assert!(overlay_cpu(&picture, &layer, 3, OverlayOptions::default()).is_err());
    }
}
