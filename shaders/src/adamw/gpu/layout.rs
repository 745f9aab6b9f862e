//! Where parameters lie in the arenas, on the host and on the device.

use cubecl::client::Client;
use cubecl::server::Handle;

use super::{IDLE, LAST_LAYER, WORDS};
use crate::launch::ALIGN;

/// What sets one parameter apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArenaParamGroup {
    /// Factor on the learning rate.
    pub lr: f32,
    /// Factor on the weight decay.
    pub decay: f32,
    /// Takes the learning rate of the last layers.
    pub is_last_layer: bool,
    /// Sub-module, below [`MODULES`].
    pub module: u32,
    /// Has no gradient, so that only its teacher moves.
    pub idle: bool,
}

/// One parameter in the arenas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArenaSegment {
    /// First value; a multiple of [`ALIGN`].
    pub offset: usize,
    /// Values.
    pub length: usize,
    /// How it is updated.
    pub group: ArenaParamGroup,
}

/// Where every parameter lies in the arenas.
#[derive(Clone, Debug, PartialEq)]
pub struct ArenaLayout {
    /// In the order of the parameters.
    pub segments: Vec<ArenaSegment>,
    /// Values of an arena.
    pub len: usize,
}

impl ArenaLayout {
    /// Parameters of these lengths one after another, each where a view may start.
    pub fn new(parameters: impl IntoIterator<Item = (usize, ArenaParamGroup)>) -> Self {
        let mut len = 0;
        let place = |(length, group): (usize, ArenaParamGroup)| {
            let offset = len;
            len += length.next_multiple_of(ALIGN);
            ArenaSegment { offset, length, group }
        };
        let segments = parameters.into_iter().map(place).collect();
        Self { segments, len }
    }

    /// The table the programs read: a segment's words, then for every [`ALIGN`] values the segment they belong to.
    pub fn upload(&self, client: &Client) -> ArenaLayoutTable {
        let mut words = Vec::with_capacity(self.segments.len() * WORDS as usize + self.len / ALIGN);
        for ArenaSegment { offset, length, group } in &self.segments {
            let flags = group.module
                | if group.is_last_layer { LAST_LAYER } else { 0 }
                | if group.idle { IDLE } else { 0 };
            words.extend([(offset + length) as u32, group.lr.to_bits(), group.decay.to_bits(), flags]);
        }
        for (i, segment) in self.segments.iter().enumerate() {
            words.extend(std::iter::repeat_n(i as u32, segment.length.div_ceil(ALIGN)));
        }
        let count = words.len();
        // An upload of nothing is refused.
        words.resize(count.max(1), 0);
        let handle = client.create_from_slice(bytemuck::cast_slice(&words));
        ArenaLayoutTable { handle, words: count, segments: self.segments.len(), len: self.len }
    }
}

/// A [`ArenaLayout`] on the device.
#[derive(Clone, Debug)]
pub struct ArenaLayoutTable {
    pub(super) handle: Handle,
    pub(super) words: usize,
    pub(super) segments: usize,
    pub(super) len: usize,
}
