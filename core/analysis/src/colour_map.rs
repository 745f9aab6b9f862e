//! Colour maps for single numbers: those of the programs that draw, so that a picture on the device and one
//! in a file have the same colours.

pub use dinoscope_shaders::display::ColourMap;
