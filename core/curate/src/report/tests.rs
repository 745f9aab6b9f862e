use super::*;
use crate::made_heap::{MadePicture, lay_down};
use crate::table::CuratedPicture;
use crate::{BalanceOptions, CopiesOptions, QualityOptions};
use dinoscope_data::source::PictureSource;
use dinoscope_data::source::procedural::ProceduralSource;

const DIM: usize = 8;

/// Forty pictures of files that are there, in pairs of a cosine of 0.985; some are dark, and one has no file.
fn heap(folder: &Path) {
    let source = ProceduralSource::new(3, 64, 48);
    let picture = |i: usize| {
        let path = folder.join(format!("<{i}> & \"x\".png"));
        if i != 7 {
            let rgb = source.load(i).unwrap().rgb;
            image::RgbImage::from_raw(48, 48, rgb).unwrap().save(&path).unwrap();
        }
        let degrees = 30.0 * (i / 8) as f64 + if i % 2 == 1 { 10.0 } else { 0.0 };
        let mut made =
            MadePicture::new(i as u64, MadePicture::towards(DIM, i / 2 % 4, degrees), path.to_string_lossy());
        made.row = CuratedPicture {
            width: Some(100),
            height: Some(100 + i as i64),
            blur: Some(i as f32),
            darkness: Some(if i.is_multiple_of(13) { 0.9 } else { 0.1 }),
            label: Some(format!("class {}", i % 3)),
            ..made.row
        };
        made
    };
    let pictures: Vec<MadePicture> = (0..40).map(picture).collect();
    let lost = CuratedPicture {
        key: "lost".to_owned(),
        kept: Some(false),
        unreadable: Some("no picture".to_owned()),
        ..CuratedPicture::default()
    };
    lay_down(folder, names::EMBED, DIM, &pictures, vec![lost]);
}

#[test]
fn the_page_says_what_each_step_took_and_left() {
    let folder = tempfile::tempdir().unwrap();
    heap(folder.path());
    let page = folder.path().join(names::REPORT);
    let options = CurationReportOptions::new(folder.path(), &page);
    let mut heard = |_: usize, _: usize, _: &str| true;
    let said = report(&options, &mut heard).unwrap();
    assert_eq!((said.steps.len(), said.pictures, said.kept), (0, 41, 40), "of features alone");
    let bounds = QualityOptions { min_blur: Some(4.0), ..QualityOptions::new(folder.path()) };
    let good = crate::quality(&bounds, &mut heard).unwrap();
    let copies = CopiesOptions { threshold: 0.98, ..CopiesOptions::new(folder.path()) };
    let left = crate::copies(&copies, &mut heard).unwrap();
    let balance = BalanceOptions { clusters: vec![6, 2], ..BalanceOptions::new(folder.path(), 10) };
    crate::balance(&balance, &mut heard).unwrap();
    let said = report(&options, &mut heard).unwrap();
    assert_eq!(
        (said.steps.join(" "), said.pictures, said.kept),
        ("quality copies balance".to_owned(), 41, 10)
    );
    let html = std::fs::read_to_string(&page).unwrap();
    assert_eq!(html.len(), said.bytes);
    for wanted in [
        "10 of 41 pictures stay",
        "1 can't be read",
        "it is dark: …, of … at most",
        "a copy: its nearest has a cosine of …",
        "not drawn: its cluster gives … of …",
        "Darkness: left out, and the lightest",
        "Sharpness: kept, and the least sharp",
        "Copies by their features, nearest to the bound",
        "No copies by their features, nearest to the bound",
        "Sizes of components",
        "Share of pictures in the finest clusters",
        "Share of pictures in the classes",
        "bound 0.98",
        "bound 4",
        "data:image/jpeg;base64,",
        "&lt;1&gt; &amp; &quot;x&quot;.png",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    assert!(
        !html.contains("<script") && !html.contains("http") && !html.contains("<1>"),
        "nothing from elsewhere"
    );
    let counted = format!("<b>{}</b><small>{} left out</small>", left.kept, good.kept - left.kept);
    assert!(html.contains(&counted), "{counted}");
    // Pictures are bounded, and none where none are wanted.
    let shown = |examples: usize| {
        report(&CurationReportOptions { examples, ..options.clone() }, &mut |_, _, _| true).unwrap();
        std::fs::read_to_string(&page).unwrap().matches("<figure").count()
    };
    assert!(shown(2) < shown(8) && shown(0) == 0);
}

#[test]
fn what_does_not_fit_together_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("p.html");
    let options = CurationReportOptions::new(folder.path(), &page);
    let said =
        |options: &CurationReportOptions| report(options, &mut |_, _, _| true).unwrap_err().to_string();
    assert!(said(&options).contains("curate embed"), "{}", said(&options));
    heap(folder.path());
    assert!(said(&CurationReportOptions { examples: 5000, ..options.clone() }).contains("--examples 5000"));
    crate::quality(&QualityOptions::new(folder.path()), &mut |_, _, _| true).unwrap();
    // A heap that has changed since.
    let embedded = folder.path().join(names::EMBED);
    let mut table = CurationTable::read(&embedded).unwrap();
    table.rows.truncate(20);
    table.write(&embedded).unwrap();
    let summary = report(&options, &mut |_, _, _| true).unwrap();
    assert!(summary.steps.is_empty());
    assert!(std::fs::read_to_string(&page).unwrap().contains("quality is not on this page"));
    let stopped = report(&options, &mut |_, _, _| false);
    assert!(stopped.is_ok(), "there is nothing left to stop");
    crate::quality(&QualityOptions::new(folder.path()), &mut |_, _, _| true).unwrap();
    assert!(matches!(report(&options, &mut |_, _, _| false), Err(CurateError::Stopped)));
}
