//! What comes with the program, as bytes: a package of its own, so that every other one holds the files that it is
//! compiled from.
//!
//! Constants, so that a program has only those that it uses.

/// Inter, cut to the letters of European languages, digits and signs, in the weight of running text.
pub const INTER_REGULAR: &[u8] = include_bytes!("../fonts/Inter-Regular.ttf");

/// The same, heavier.
pub const INTER_SEMIBOLD: &[u8] = include_bytes!("../fonts/Inter-SemiBold.ttf");

/// Phosphor's icons, cut to what the studio shows.
pub const PHOSPHOR: &[u8] = include_bytes!("../fonts/Phosphor.ttf");

/// The program's icon as PNG, 256 × 256 pixels.
pub const ICON: &[u8] = include_bytes!("../icon/icon-256.png");

/// The starter weights as safetensors, trained by the program on pictures that it draws itself.
pub const STARTER_WEIGHTS: &[u8] = include_bytes!("../weights/starter.safetensors");
