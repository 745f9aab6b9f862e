//! Pictures that are too small, too long, blurred or dark are left out, each with its reason; nothing is deleted.
//!
//! The measures are those that [`embed`](crate::embed()) has taken; see [`crate::picture`] for where they come from.

use std::path::PathBuf;

use crate::steps::{CurationStep, table_before};
use crate::table::{CuratedPicture, CurationTable, file_digest};
use crate::{CurateError, Heard, names};

/// What a picture must be like. A bound that is `None` leaves nothing out.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityOptions {
    /// The folder of curation.
    pub folder: PathBuf,
    /// Pixels that the shorter side has at least.
    pub min_side: Option<u32>,
    /// The longer side by the shorter one, at most.
    pub max_aspect: Option<f32>,
    /// [`crate::PictureQuality::blur`] at least: it is low where a picture is blurred.
    pub min_blur: Option<f32>,
    /// [`crate::PictureQuality::darkness`] at most.
    pub max_darkness: Option<f32>,
}

impl QualityOptions {
    /// Below it little is left of a picture in a crop.
    pub const SIDE: u32 = 64;
    /// Longer ones are banners and strips.
    pub const ASPECT: f32 = 4.0;
    /// Where blur begins to show at a shorter side of 256 pixels: see docs/curation.md for what was measured.
    pub const BLUR: f32 = 10.0;
    /// cleanvision calls pictures dark from here on.
    pub const DARKNESS: f32 = 0.68;

    /// The usual bounds.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            min_side: Some(Self::SIDE),
            max_aspect: Some(Self::ASPECT),
            min_blur: Some(Self::BLUR),
            max_darkness: Some(Self::DARKNESS),
        }
    }

    fn check(&self) -> Result<(), CurateError> {
        let wrong = |text: String| Err(CurateError::Option(text));
        match (self.max_aspect, self.min_blur, self.max_darkness) {
            (Some(aspect), _, _) if !(aspect.is_finite() && aspect >= 1.0) => wrong(format!(
                "--max-aspect {aspect}: give 1 or more, the longer side by the shorter, or off"
            )),
            (_, Some(blur), _) if !(blur.is_finite() && blur >= 0.0) => {
                wrong(format!("--min-blur {blur}: give 0 or more, or off"))
            }
            (_, _, Some(dark)) if !(0.0..=1.0).contains(&dark) => {
                wrong(format!("--max-darkness {dark}: give 0 to 1, or off"))
            }
            _ => Ok(()),
        }
    }

    /// No bounds: nothing is left out.
    pub fn none(folder: impl Into<PathBuf>) -> Self {
        let (min_side, max_aspect, min_blur, max_darkness) = (None, None, None, None);
        Self { folder: folder.into(), min_side, max_aspect, min_blur, max_darkness }
    }

    /// The bounds as a table keeps them.
    pub(crate) fn settings(&self) -> Vec<(String, f32)> {
        let bound = |name: &str, value: Option<f32>| Some((name.to_owned(), value?));
        let bounds = [
            bound("min_side", self.min_side.map(|side| side as f32)),
            bound("max_aspect", self.max_aspect),
            bound("min_blur", self.min_blur),
            bound("max_darkness", self.max_darkness),
        ];
        bounds.into_iter().flatten().collect()
    }

    /// Why a picture is left out, in a sentence; nothing where it stays.
    pub fn fault(&self, row: &CuratedPicture) -> Option<String> {
        let reasons: Vec<String> = self.reasons(row).into_iter().map(|(_, why)| why).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Why a picture is left out: all reasons, by which of the summary's.
    fn reasons(&self, row: &CuratedPicture) -> Vec<(QualityFlaw, String)> {
        let (width, height) = (row.width.unwrap_or(0), row.height.unwrap_or(0));
        let (short, long) = (width.min(height), width.max(height));
        let mut all = Vec::new();
        if let Some(least) = self.min_side.filter(|least| short < i64::from(*least)) {
            let why = format!("its shorter side has {short} pixels, of at least {least}");
            all.push((QualityFlaw::Small, why));
        }
        let aspect = long as f32 / short.max(1) as f32;
        if let Some(most) = self.max_aspect.filter(|most| aspect > *most) {
            let why = format!("its longer side is {aspect:.1} times its shorter one, of {most} at most");
            all.push((QualityFlaw::Long, why));
        }
        if let (Some(least), Some(blur)) = (self.min_blur, row.blur)
            && blur < least
        {
            let why = format!(
                "it is blurred or plain: its Laplacian has a variance of {blur:.1}, of at least {least}"
            );
            all.push((QualityFlaw::Blurred, why));
        }
        if let (Some(most), Some(darkness)) = (self.max_darkness, row.darkness)
            && darkness > most
        {
            all.push((QualityFlaw::Dark, format!("it is dark: {darkness:.2}, of {most} at most")));
        }
        all
    }
}

/// What may be wrong with a picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum QualityFlaw {
    Small,
    Long,
    Blurred,
    Dark,
}

/// What was left out. A picture with several flaws counts for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QualitySummary {
    /// Pictures of the heap.
    pub pictures: usize,
    /// Those that stay.
    pub kept: usize,
    /// Those whose shorter side is too short.
    pub small: usize,
    /// Those that are too long.
    pub long: usize,
    /// Those that are blurred, or have nothing on them.
    pub blurred: usize,
    /// Those that are dark.
    pub dark: usize,
    /// Those that can't be used.
    pub unreadable: usize,
}

/// Leaves out what falls short of the bounds, and writes which pictures stay.
///
/// # Errors
/// When there is no table of [`embed`](crate::embed()), a bound can't be, a file fails, or whoever listens says stop.
pub fn quality(options: &QualityOptions, heard: Heard<'_>) -> Result<QualitySummary, CurateError> {
    options.check()?;
    let path = table_before(&options.folder, CurationStep::Quality)?;
    let mut table = CurationTable::read(&path)?;
    let all = table.rows.len();
    let mut summary = QualitySummary { pictures: all, ..QualitySummary::default() };
    if !heard(0, all, "") {
        return Err(CurateError::Stopped);
    }
    for row in &mut table.rows {
        if row.unreadable.is_some() {
            summary.unreadable += 1;
            continue;
        }
        let reasons = options.reasons(row);
        for (flaw, _) in &reasons {
            let count = match flaw {
                QualityFlaw::Small => &mut summary.small,
                QualityFlaw::Long => &mut summary.long,
                QualityFlaw::Blurred => &mut summary.blurred,
                QualityFlaw::Dark => &mut summary.dark,
            };
            *count += 1;
        }
        if reasons.is_empty() {
            summary.kept += 1;
            continue;
        }
        row.kept = Some(false);
        row.why = options.fault(row);
    }
    table.settings = options.settings();
    table.from = Some(file_digest(&path)?);
    table.made = Some("quality".to_owned());
    table.write(&options.folder.join(names::QUALITY))?;
    heard(all, all, "");
    Ok(summary)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(key: &str, size: (i64, i64), blur: f32, darkness: f32) -> CuratedPicture {
        CuratedPicture {
            key: key.to_owned(),
            width: Some(size.0),
            height: Some(size.1),
            blur: Some(blur),
            darkness: Some(darkness),
            ..CuratedPicture::default()
        }
    }

    fn run(options: &QualityOptions) -> (QualitySummary, Vec<CuratedPicture>) {
        let summary = quality(options, &mut |_, _, _| true).unwrap();
        (summary, CurationTable::read(&options.folder.join(names::QUALITY)).unwrap().rows)
    }

    #[test]
    fn what_falls_short_is_left_out_with_its_reasons() {
        let folder = tempfile::tempdir().unwrap();
        let unreadable = CuratedPicture {
            key: "broken".to_owned(),
            kept: Some(false),
            unreadable: Some("no picture".to_owned()),
            ..CuratedPicture::default()
        };
        let rows = vec![
            row("good", (64, 256), 10.0, 0.68),
            row("small", (63, 200), 50.0, 0.1),
            row("long", (500, 100), 50.0, 0.1),
            row("blurred", (300, 300), 9.0, 0.1),
            row("night", (300, 300), 0.0, 0.9),
            unreadable,
        ];
        let embedded = folder.path().join(names::EMBED);
        CurationTable { rows: rows.clone(), ..CurationTable::default() }.write(&embedded).unwrap();
        let options = QualityOptions::new(folder.path());
        let (summary, rows) = run(&options);
        let wanted =
            QualitySummary { pictures: 6, kept: 1, small: 1, long: 1, blurred: 2, dark: 1, unreadable: 1 };
        assert_eq!(summary, wanted);
        let why = |i: usize| rows[i].why.as_deref().unwrap();
        assert!(rows[0].kept.is_none() && rows[0].why.is_none(), "undecided as before");
        assert!(rows[1..].iter().all(|row| row.kept == Some(false)));
        assert_eq!(why(1), "its shorter side has 63 pixels, of at least 64");
        assert_eq!(why(2), "its longer side is 5.0 times its shorter one, of 4 at most");
        assert!(why(3).contains("variance of 9.0, of at least 10"), "{}", why(3));
        assert!(why(4).contains("; it is dark: 0.90, of 0.68 at most"), "{}", why(4));
        let table = CurationTable::read(&folder.path().join(names::QUALITY)).unwrap();
        assert!(table.settings.contains(&("min_blur".to_owned(), 10.0)), "{:?}", table.settings);
        // Bounds that are off, and again from the same table.
        let one = QualityOptions { min_side: None, max_aspect: None, min_blur: None, ..options };
        assert_eq!((run(&one).0.kept, run(&one).0.dark), (4, 1));
    }

    #[test]
    fn bounds_that_cannot_be_are_sentences() {
        let folder = tempfile::tempdir().unwrap();
        let options = QualityOptions::new(folder.path());
        let said = |options: &QualityOptions| quality(options, &mut |_, _, _| true).unwrap_err().to_string();
        assert!(said(&options).contains("curate embed"), "{}", said(&options));
        for (wrong, word) in [
            (QualityOptions { max_aspect: Some(0.5), ..options.clone() }, "--max-aspect 0.5"),
            (QualityOptions { min_blur: Some(f32::NAN), ..options.clone() }, "--min-blur NaN"),
            (QualityOptions { max_darkness: Some(1.5), ..options.clone() }, "--max-darkness 1.5"),
        ] {
            assert!(said(&wrong).contains(word), "{}", said(&wrong));
        }
    }
}
