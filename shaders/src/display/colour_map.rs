//! Colour maps for single numbers: perceptually even, readable in greyscale and with colour-blind eyes.
//!
//! Both are sixth-degree polynomial fits (M. Zucker, in the public domain) of matplotlib's maps
//! (S. van der Walt and N. Smith, CC0): one to three levels of 255 away from the originals on
//! average, nine at most. Polynomials, because a GPU program can hold the same few numbers.

use super::common::{
    BindingKind, ColourRangeSource, CommandRecorder, StorageSlice, WgslProgram, groups, uniform,
};
use crate::{ColourRange, ShaderError};

const PROGRAM: &str = "colour_map";
/// Opaque black.
const BLACK: u32 = 0xff00_0000;

/// Which colours stand for 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourMap {
    /// Black through violet and orange to pale yellow: a glow over a picture.
    #[default]
    Inferno,
    /// Dark violet through green to yellow: nowhere as dark as black.
    Viridis,
    /// Black to white.
    Grey,
}

type Polynomial = [[f64; 3]; 7];

const INFERNO: Polynomial = [
    [0.000_218_940_37, 0.001_651_004_63, -0.019_480_898_44],
    [0.106_513_419_49, 0.563_956_436_79, 3.932_712_388_89],
    [11.602_493_082_47, -3.972_853_965_67, -15.942_394_106_29],
    [-41.703_996_131_39, 17.436_398_882_05, 44.354_145_198_73],
    [77.162_935_699_43, -33.402_358_942_10, -81.807_309_257_39],
    [-71.319_428_244_99, 32.626_064_263_98, 73.209_519_858_03],
    [25.131_126_224_77, -12.242_668_952_39, -23.070_325_002_87],
];

const VIRIDIS: Polynomial = [
    [0.277_727_327_22, 0.005_407_344_54, 0.334_099_805_34],
    [0.105_093_043_11, 1.404_613_529_90, 1.384_590_162_59],
    [-0.330_861_828_73, 0.214_847_559_47, 0.095_095_163_03],
    [-4.634_230_498_98, -5.799_100_973_35, -19.332_440_956_28],
    [6.228_269_936_35, 14.179_933_366_81, 56.690_552_600_68],
    [4.776_384_997_67, -13.745_145_377_75, -65.353_032_633_37],
    [-5.435_455_855_93, 4.645_852_612_18, 26.312_435_249_58],
];

const GREY: Polynomial = [[0.0; 3], [1.0; 3], [0.0; 3], [0.0; 3], [0.0; 3], [0.0; 3], [0.0; 3]];

impl ColourMap {
    fn polynomial(self) -> &'static Polynomial {
        match self {
            Self::Inferno => &INFERNO,
            Self::Viridis => &VIRIDIS,
            Self::Grey => &GREY,
        }
    }

    /// The colour of `t`, which is clamped to 0..1; NaN is black.
    pub fn colour(self, t: f32) -> [u8; 3] {
        if t.is_nan() {
            return [0; 3];
        }
        let t = f64::from(t.clamp(0.0, 1.0));
        std::array::from_fn(|c| {
            let value = self.polynomial().iter().rev().fold(0.0, |sum, row| sum * t + row[c]);
            (value.clamp(0.0, 1.0) * 255.0).round() as u8
        })
    }

    /// 256 colours from 0 to 1, for a texture or a legend.
    pub fn table(self) -> [[u8; 3]; 256] {
        std::array::from_fn(|i| self.colour(i as f32 / 255.0))
    }

    /// The polynomial as the WGSL files read it.
    pub(crate) fn rows(self) -> [[f32; 4]; 7] {
        self.polynomial().map(|row| [row[0] as f32, row[1] as f32, row[2] as f32, 0.0])
    }

    /// One packed colour; `range` is the first channel of a [`ColourRange`] with its scale.
    pub(crate) fn packed(self, value: f32, lo: f32, scale: f32) -> u32 {
        if !value.is_finite() {
            return BLACK;
        }
        let t = if scale == 0.0 { 0.0 } else { (value - lo) * scale };
        let [r, g, b] = self.colour(t).map(u32::from);
        BLACK | b << 16 | g << 8 | r
    }
}

/// One colour a number, `0xAABBGGRR`; the first channel of `range` is what becomes 0 and 1 of the map.
///
/// Numbers that are not finite are opaque black; where there is no range all others are the first colour.
pub fn colour_map_cpu(values: &[f32], range: ColourRange, map: ColourMap) -> Vec<u32> {
    let scale = range.scale()[0];
    values.iter().map(|v| map.packed(*v, range.lo[0], scale)).collect()
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct ColourMapParams {
    lo: [f32; 4],
    scale: [f32; 4],
    count: u32,
    row: u32,
    values: u32,
    padding: u32,
    polynomial: [[f32; 4]; 7],
}

/// The GPU program; see [`colour_map_cpu`] for what it computes.
#[derive(Debug)]
pub struct ColourMapProgram {
    program: WgslProgram,
}

impl ColourMapProgram {
    /// Compiles the program for a device.
    pub fn new(device: &wgpu::Device) -> Self {
        let source = wgpu::include_wgsl!("../../wgsl/colour_map.wgsl");
        let bindings = [BindingKind::Uniform, BindingKind::Read, BindingKind::Write];
        Self { program: WgslProgram::new(device, PROGRAM, source, &bindings, &["main"]) }
    }

    /// Records the colours of `n` values.
    ///
    /// - `values`: `[n]` f32.
    /// - `colours`: `[n]` packed colours, or longer; written.
    pub fn encode<'r>(
        &self,
        recorder: &mut CommandRecorder<'_>,
        values: StorageSlice<'_>,
        n: usize,
        range: impl Into<ColourRangeSource<'r>>,
        map: ColourMap,
        colours: &wgpu::Buffer,
    ) -> Result<(), ShaderError> {
        let device = recorder.device;
        let (values, skip) = values.bind(device, PROGRAM, "values", n)?;
        let (colours, _) = StorageSlice::whole(colours).bind(device, PROGRAM, "colours", n)?;
        let (groups, row) = groups(device, PROGRAM, n, 64)?;
        let range = range.into();
        let [lo, scale] = range.known();
        let polynomial = map.rows();
        let parameters =
            ColourMapParams { lo, scale, count: n as u32, row, values: skip, padding: 0, polynomial };
        let uniform = uniform(device, PROGRAM, &parameters)?;
        range.fill(recorder.encoder, &uniform);
        let group = self.program.bind(device, &[uniform.as_entire_binding(), values, colours]);
        let mut pass = recorder.encoder.begin_compute_pass(&Default::default());
        self.program.dispatch(&mut pass, "main", &group, groups);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of matplotlib 3.10 at 0, 1/4, 1/2, 3/4 and 1.
    #[test]
    fn close_to_matplotlib() {
        let known = [
            (ColourMap::Viridis, [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]),
            (ColourMap::Inferno, [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]),
        ];
        for (map, colours) in known {
            for (i, want) in colours.iter().enumerate() {
                let got = map.colour(i as f32 / 4.0);
                for (a, b) in got.iter().zip(want) {
                    assert!(a.abs_diff(*b) <= 6, "{map:?} at {i}/4: {got:?} for {want:?}");
                }
            }
        }
    }

    #[test]
    fn brightness_rises() {
        for map in [ColourMap::Inferno, ColourMap::Viridis, ColourMap::Grey] {
            let luma =
                |c: [u8; 3]| 0.2126 * f64::from(c[0]) + 0.7152 * f64::from(c[1]) + 0.0722 * f64::from(c[2]);
            let table = map.table();
            for pair in table.windows(4) {
                assert!(luma(pair[3]) > luma(pair[0]) - 0.5, "{map:?}: {pair:?}");
            }
            assert_eq!(map.colour(-3.0), table[0]);
            assert_eq!(map.colour(f32::INFINITY), table[255]);
            assert_eq!(map.colour(f32::NAN), [0; 3]);
        }
    }
}
