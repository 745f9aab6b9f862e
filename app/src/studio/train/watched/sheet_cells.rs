//! Where the pictures of a contact sheet are, told from the backdrop between them.

use dinoscope_core::data::Picture;

/// Pixels between the pictures of a sheet.
pub const GAP: usize = 4;
/// Columns of the sheets on disk.
pub const COLUMNS: usize = 2;
/// Behind and between the pictures of a sheet.
pub const BACKDROP: [u8; 3] = [24, 24, 27];

/// The pictures of a sheet that lies on disk, each without what stands around it.
pub fn pictures(sheet: &Picture) -> Vec<Picture> {
    let places = cells(sheet, COLUMNS, None).into_iter().map(|place| trimmed(sheet, place));
    places.map(|place| cut(sheet, place)).collect()
}

fn cut(sheet: &Picture, [left, top, width, height]: [usize; 4]) -> Picture {
    let row = |y: usize| {
        let from = (y * sheet.width + left) * 3;
        sheet.rgb.get(from..from + 3 * width).unwrap_or_default()
    };
    Picture::of_rgb(width, height, (top..top + height).flat_map(row).copied().collect())
}

/// Where the pictures of a sheet are: left, top, width, height. Without a count, the rows are told from the backdrop
/// between them, and a last place that is empty is left out.
pub fn cells(sheet: &Picture, columns: usize, count: Option<usize>) -> Vec<[usize; 4]> {
    let inner = |length: usize, parts: usize| {
        let left = length.checked_sub(GAP * (parts + 1))?;
        (left > 0 && left.is_multiple_of(parts)).then_some(left / parts)
    };
    let is_backdrop = |x: usize, y: usize| {
        let at = (y * sheet.width + x) * 3;
        sheet.rgb.get(at..at + 3) == Some(BACKDROP.as_slice())
    };
    // A sheet of one picture has one column.
    let gutter = |x: usize| (0..sheet.height).all(|y| is_backdrop(x, y));
    let two =
        columns == 1 || count.is_some() || inner(sheet.width, columns).is_some_and(|w| gutter(GAP + w + 1));
    let columns = if two { columns } else { 1 };
    let Some(width) = inner(sheet.width, columns) else { return vec![[0, 0, sheet.width, sheet.height]] };
    let line = |y: usize| (0..sheet.width).all(|x| is_backdrop(x, y));
    let gap = |height: usize, row: usize| row * (height + GAP);
    let fits = |rows: usize| {
        let height = inner(sheet.height, rows)?;
        (1..rows).all(|row| line(gap(height, row) + GAP / 2)).then_some((rows, height))
    };
    // A dark band through all pictures of a row looks like a gap, but not like one of its height.
    let is_sharp = |(rows, height): &(usize, usize)| {
        (1..*rows).all(|row| !line(gap(*height, row) - 1) && !line(gap(*height, row) + GAP))
    };
    let found = match count {
        Some(count) => fits(count.div_ceil(columns)),
        None => {
            let possible = (1..=sheet.height / (2 * GAP)).rev().filter_map(fits);
            let possible: Vec<_> = possible.filter(|(_, height)| 8 * height >= width).collect();
            let sharp = possible.iter().copied().find(|found| found.0 > 1 && is_sharp(found));
            sharp.or(possible.first().copied())
        }
    };
    let Some((rows, height)) = found else { return vec![[0, 0, sheet.width, sheet.height]] };
    let place =
        |i: usize| [GAP + i % columns * (width + GAP), GAP + i / columns * (height + GAP), width, height];
    let empty = |[x, y, w, h]: [usize; 4]| (y..y + h).all(|y| (x..x + w).all(|x| is_backdrop(x, y)));
    let all = (0..rows * columns).map(place);
    match count {
        Some(count) => all.take(count).collect(),
        None => {
            let mut cells: Vec<_> = all.collect();
            if cells.last().is_some_and(|last| empty(*last)) {
                cells.pop();
            }
            cells
        }
    }
}

/// The part of a place that is a picture: without the rows and columns of backdrop around it. All of the place where nothing
/// but backdrop is.
pub fn trimmed(sheet: &Picture, [left, top, width, height]: [usize; 4]) -> [usize; 4] {
    let is_backdrop = |x: usize, y: usize| {
        let at = (y * sheet.width + x) * 3;
        sheet.rgb.get(at..at + 3) == Some(BACKDROP.as_slice())
    };
    let row = |y: usize| (left..left + width).any(|x| !is_backdrop(x, y));
    let column = |x: usize| (top..top + height).any(|y| !is_backdrop(x, y));
    let (mut rows, mut columns) = (top..top + height, left..left + width);
    let (Some(first), Some(last)) = (rows.clone().find(|y| row(*y)), rows.rfind(|y| row(*y))) else {
        return [left, top, width, height];
    };
    let (from, to) = (columns.clone().find(|x| column(*x)), columns.rfind(|x| column(*x)));
    let (from, to) = (from.unwrap_or(left), to.unwrap_or(left + width - 1));
    [from, first, to + 1 - from, last + 1 - first]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_core::analysis::image_out::contact_sheet;

    fn plain(width: usize, height: usize, shade: u8) -> Picture {
        Picture::of_rgb(width, height, vec![shade; width * height * 3])
    }

    #[test]
    fn the_pictures_of_a_sheet_are_found_again() {
        for count in [1, 2, 3, 5, 6, 7] {
            for (width, height) in [(16, 16), (40, 24), (24, 40)] {
                let pictures: Vec<Picture> = (0..count).map(|i| plain(width, height, 60 + i as u8)).collect();
                let sheet =
                    contact_sheet(&pictures.iter().collect::<Vec<_>>(), COLUMNS, GAP, BACKDROP).unwrap();
                let found = cells(&sheet, COLUMNS, None);
                assert_eq!(found.len(), count, "{count} of {width} × {height}");
                for (i, [x, y, w, h]) in found.into_iter().enumerate() {
                    assert_eq!((w, h), (width, height));
                    let at = (y * sheet.width + x) * 3;
                    assert_eq!(sheet.rgb[at], 60 + i as u8);
                }
            }
        }
    }

    #[test]
    fn what_stands_around_a_picture_is_left_out() {
        // A wide and a high picture, which leave room above and beside them.
        let pictures = [plain(40, 20, 200), plain(20, 40, 100), plain(40, 40, 50)];
        let framed: Vec<Picture> = pictures
            .iter()
            .map(|picture| {
                let mut square = Picture::of_rgb(40, 40, BACKDROP.repeat(1600));
                let (left, top) = ((40 - picture.width) / 2, (40 - picture.height) / 2);
                for y in 0..picture.height {
                    let to = ((top + y) * 40 + left) * 3;
                    let from = y * picture.width * 3;
                    square.rgb[to..to + picture.width * 3]
                        .copy_from_slice(&picture.rgb[from..from + picture.width * 3]);
                }
                square
            })
            .collect();
        let sheet = contact_sheet(&framed.iter().collect::<Vec<_>>(), COLUMNS, GAP, BACKDROP).unwrap();
        let found: Vec<_> = cells(&sheet, COLUMNS, Some(3)).into_iter().map(|p| trimmed(&sheet, p)).collect();
        assert_eq!(found, [[4, 14, 40, 20], [58, 4, 20, 40], [4, 48, 40, 40]]);
        assert_eq!(super::pictures(&sheet), pictures);
        let empty = Picture::of_rgb(8, 8, BACKDROP.repeat(64));
        assert_eq!(trimmed(&empty, [2, 2, 4, 4]), [2, 2, 4, 4]);
    }

    #[test]
    fn a_dark_picture_is_not_cut_in_pieces() {
        let dark: Vec<Picture> = (0..4)
            .map(|_| {
                let mut picture = plain(32, 32, 200);
                picture.rgb[32 * 3 * 10..32 * 3 * 20].copy_from_slice(&BACKDROP.repeat(320));
                picture
            })
            .collect();
        let sheet = contact_sheet(&dark.iter().collect::<Vec<_>>(), COLUMNS, GAP, BACKDROP).unwrap();
        assert_eq!(cells(&sheet, COLUMNS, Some(4)).len(), 4);
        assert_eq!(cells(&sheet, COLUMNS, None).len(), 4);
    }
}
