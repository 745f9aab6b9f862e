//! Rows and columns of a position table, and what stands in it before the patches.
//!
//! A file holds a list of positions. Official and Hugging Face's begin with the CLS token's; timm's may (its models
//! without registers), may not (those with registers), or may begin with those of CLS and registers. The list does not
//! say how it is folded into rows and columns, so what a person, the file's metadata or its config.json say comes first;
//! without them a square is taken where there is exactly one way to read it, and anything else is refused.

use crate::{HostTensor, KeyLayout, StateDict, WeightsError};
use dinoscope_model::grid::PatchGrid;

/// How a file keeps its positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PosEmbedLayout {
    /// Rows and columns of the patches.
    pub grid: PatchGrid,
    /// Positions before the patches': 1 for CLS, none, or one for CLS and for each register.
    pub before: usize,
}

/// What is known about a table of positions.
pub(crate) struct PosEmbedInfo<'a> {
    pub file: &'a str,
    /// The table's key in the file.
    pub key: &'a str,
    pub layout: KeyLayout,
    pub registers: usize,
    /// How many positions it holds.
    pub count: usize,
    /// What a person says.
    pub asked: Option<PatchGrid>,
    /// What its own metadata say.
    pub own: Option<PatchGrid>,
    /// What the config.json beside it says.
    pub config: Option<PatchGrid>,
    /// Whether the config.json says that there are patches alone (timm's `no_embed_class`).
    pub patches_alone: Option<bool>,
}

impl PosEmbedInfo<'_> {
    /// How the table is to be read.
    ///
    /// # Errors
    /// If nothing tells, or a person says what can't be.
    pub fn positions(&self) -> Result<PosEmbedLayout, WeightsError> {
        let before = self.before();
        let fits = |grid: PatchGrid| {
            let before =
                before.iter().copied().find(|before| self.count.checked_sub(*before) == Some(grid.area()));
            before.map(|before| PosEmbedLayout { grid, before })
        };
        if let Some(grid) = self.asked {
            return fits(grid).ok_or_else(|| self.refused(format!("a grid of {grid} has {}", grid.area())));
        }
        if let Some(found) = [self.own, self.config].into_iter().flatten().find_map(fits) {
            return Ok(found);
        }
        let squares = before.iter().filter_map(|&before| {
            Some(PosEmbedLayout { grid: PatchGrid::of_area(self.count.checked_sub(before)?)?, before })
        });
        let squares: Vec<PosEmbedLayout> = squares.collect();
        match squares[..] {
            // timm's models without registers keep a position for CLS: a square without one may as well be a CLS token
            // and a grid that is not square.
            [PosEmbedLayout { grid, before: 0 }] if self.registers == 0 && self.patches_alone.is_none() => {
                let patches = self.count - 1;
                Err(self.refused(format!("that is {grid} patches, or a CLS token and {patches} patches")))
            }
            [found, ..] => Ok(found),
            [] => Err(self.refused(match before[0] {
                0 => "which is no square grid".to_owned(),
                before => format!("{before} of them before the patches, and the rest is no square grid"),
            })),
        }
    }

    /// How many positions may stand before the patches', likeliest first.
    fn before(&self) -> Vec<usize> {
        (self.layout.entry().before_patches)(self.registers, self.patches_alone)
    }

    fn refused(&self, why: String) -> WeightsError {
        WeightsError::Grid { file: self.file.into(), key: self.key.into(), count: self.count, why }
    }
}

impl PosEmbedLayout {
    /// Positions in the file.
    pub fn count(self) -> usize {
        self.before + self.grid.area()
    }

    /// Brings tables as a file has them into the official form: a position for CLS, none for registers. Those of
    /// registers are added to their tokens, which is what the forward pass does with them.
    pub fn official(self, backbone: &mut StateDict, registers: usize) {
        let Some(table) = backbone.get_mut("pos_embed") else { return };
        let dim = table.shape.last().copied().unwrap_or_default();
        match self.before {
            1 => {}
            0 => {
                table.data.splice(0..0, std::iter::repeat_n(0.0, dim));
            }
            before => {
                let of_registers: Vec<f32> = table.data.drain(dim..before * dim).collect();
                if let Some(HostTensor { data, .. }) = backbone.get_mut("register_tokens") {
                    data.iter_mut()
                        .zip(of_registers)
                        .take(registers * dim)
                        .for_each(|(token, at)| *token += at);
                }
            }
        }
        if let Some(table) = backbone.get_mut("pos_embed") {
            table.shape = vec![1, 1 + self.grid.area(), dim];
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn known(layout: KeyLayout, registers: usize, count: usize) -> PosEmbedInfo<'static> {
        PosEmbedInfo {
            file: "a.safetensors",
            key: "pos_embed",
            layout,
            registers,
            count,
            asked: None,
            own: None,
            config: None,
            patches_alone: None,
        }
    }

    fn read(known: &PosEmbedInfo) -> Option<(usize, usize, usize)> {
        known.positions().ok().map(|found| (found.grid.rows, found.grid.cols, found.before))
    }

    #[test]
    fn squares_are_known_where_there_is_one_way_to_read_them() {
        use KeyLayout::{HuggingFace, Official, Timm};
        for (layout, registers, count, expected) in [
            (Official, 0, 1370, Some((37, 37, 1))),
            (HuggingFace, 4, 257, Some((16, 16, 1))),
            (Official, 0, 225, None),
            (HuggingFace, 0, 1369, None),
            (Timm, 0, 1370, Some((37, 37, 1))),
            (Timm, 4, 1369, Some((37, 37, 0))),
            (Timm, 4, 5 + 256, Some((16, 16, 5))),
            // 15 x 15 patches, or CLS and 14 x 16.
            (Timm, 0, 225, None),
            (Timm, 4, 224, None),
            (Timm, 0, 201, None),
            (Official, 0, 1, None),
            (Official, 0, 0, None),
            (Timm, 4, 0, None),
        ] {
            assert_eq!(read(&known(layout, registers, count)), expected, "{layout:?} {registers} {count}");
        }
    }

    #[test]
    fn who_says_more_is_believed_first_and_only_where_it_fits() {
        let timm = |count| known(KeyLayout::Timm, 0, count);
        let (wide, tall, square) = (PatchGrid::new(14, 16), PatchGrid::new(16, 14), PatchGrid::square(15));
        assert_eq!(read(&PosEmbedInfo { config: Some(wide), ..timm(225) }), Some((14, 16, 1)));
        assert_eq!(read(&PosEmbedInfo { config: Some(square), ..timm(225) }), Some((15, 15, 0)));
        assert_eq!(read(&PosEmbedInfo { config: Some(wide), ..timm(224) }), Some((14, 16, 0)));
        assert_eq!(
            read(&PosEmbedInfo { own: Some(tall), config: Some(wide), ..timm(225) }),
            Some((16, 14, 1))
        );
        assert_eq!(
            read(&PosEmbedInfo { asked: Some(tall), own: Some(wide), ..timm(225) }),
            Some((16, 14, 1))
        );
        assert_eq!(read(&PosEmbedInfo { patches_alone: Some(true), ..timm(225) }), Some((15, 15, 0)));
        assert_eq!(read(&PosEmbedInfo { patches_alone: Some(false), ..timm(225) }), None);
        // A config.json of another size says nothing; a person who says what can't be is told so.
        assert_eq!(
            read(&PosEmbedInfo { config: Some(PatchGrid::square(37)), ..timm(257) }),
            Some((16, 16, 1))
        );
        let error = PosEmbedInfo { asked: Some(PatchGrid::new(9, 9)), ..timm(257) }
            .positions()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a.safetensors") && error.contains("257") && error.contains("9 x 9"),
            "{error}"
        );
        let registers = PosEmbedInfo { config: Some(wide), ..known(KeyLayout::Timm, 4, 229) };
        assert_eq!(read(&registers), Some((14, 16, 5)));
    }

    #[test]
    fn a_refusal_names_the_way_out() {
        let error = known(KeyLayout::Timm, 0, 225).positions().unwrap_err().to_string();
        for part in
            ["a.safetensors", "225 positions", "15 x 15", "224 patches", "--grid ROWSxCOLS", "config.json"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn positions_of_registers_are_added_to_them() {
        let mut state = StateDict::new();
        let count = |n: usize| (0..n).map(|i| i as f32).collect::<Vec<f32>>();
        state.insert("pos_embed".into(), HostTensor::new([1, 3 + 2, 2], count(10)));
        state.insert("register_tokens".into(), HostTensor::new([1, 2, 2], vec![100.0; 4]));
        PosEmbedLayout { grid: PatchGrid::new(1, 2), before: 3 }.official(&mut state, 2);
        assert_eq!(state["pos_embed"], HostTensor::new([1, 3, 2], vec![0.0, 1.0, 6.0, 7.0, 8.0, 9.0]));
        assert_eq!(state["register_tokens"].data, [102.0, 103.0, 104.0, 105.0]);

        state.insert("pos_embed".into(), HostTensor::new([1, 2, 2], count(4)));
        PosEmbedLayout { grid: PatchGrid::new(2, 1), before: 0 }.official(&mut state, 0);
        assert_eq!(state["pos_embed"], HostTensor::new([1, 3, 2], vec![0.0, 0.0, 0.0, 1.0, 2.0, 3.0]));
    }
}
