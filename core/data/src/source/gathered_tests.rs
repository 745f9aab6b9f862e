#![allow(clippy::unwrap_used)]

use super::*;
use crate::source::joined::join;
use dinoscope_testing::folder;

fn how(labels: bool) -> SourceOptions {
    SourceOptions { labels, decode: DecodeOptions::default() }
}

fn open(places: &[PathBuf], labels: bool) -> Result<Arc<dyn PictureSource>, DataError> {
    let parts = gather(places, how(labels))?.into_iter().map(|part| part.whole(how(labels))).collect();
    join(parts, None)
}

/// Names with their classes, sorted.
fn found(source: &dyn PictureSource) -> Vec<(String, String)> {
    let class = |i| source.label(i).map_or("-".to_owned(), |label| source.classes()[label].clone());
    let mut all: Vec<(String, String)> =
        (0..source.len()).map(|i| (source.name(i).replace('\\', "/"), class(i))).collect();
    all.sort();
    all
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, class)| ((*name).to_owned(), (*class).to_owned())).collect()
}

#[test]
fn a_list_is_read_like_the_folder_with_only_these_pictures() {
    let root = folder(&["p/cat/1.png", "p/cat/2.png", "p/dog/1.png", "q/x/1.png", "q/cat/1.png"]);
    let list = root.path().join("list.txt");
    let absolute = root.path().join("p/dog/1.png").display().to_string();
    std::fs::write(&list, format!("p/cat/2.png\n{absolute}\np/cat/2.png\n")).unwrap();
    let source = open(std::slice::from_ref(&list), true).unwrap();
    assert_eq!(found(source.as_ref()), pairs(&[("cat/2.png", "cat"), ("dog/1.png", "dog")]));
    assert!(open(std::slice::from_ref(&list), false).unwrap().classes().is_empty());
    // Folders and patterns in it are read as if they had been named themselves.
    std::fs::write(&list, "p/cat/2.png\nq\np/d*/*.png\n").unwrap();
    let source = open(&[list], true).unwrap();
    assert_eq!(
        found(source.as_ref()),
        pairs(&[("dog/1.png", "-"), ("list.txt/2.png", "-"), ("q/cat/1.png", "cat"), ("q/x/1.png", "x")])
    );
}

#[test]
fn a_table_names_the_classes() {
    let root = folder(&["p/1.png", "p/2.png", "p/3, \"old\".png", "q/1.png"]);
    let table = root.path().join("labels.csv");
    let text = "label,path\nowl,p/1.png\ncat,\"p/3, \"\"old\"\".png\"\n,p/2.png\nowl,q\n";
    std::fs::write(&table, text).unwrap();
    let source = open(std::slice::from_ref(&table), true).unwrap();
    assert_eq!(source.classes(), ["cat", "owl"]);
    assert_eq!(
        found(source.as_ref()),
        pairs(&[("p/1.png", "owl"), ("p/2.png", "-"), ("p/3, \"old\".png", "cat"), ("q/1.png", "owl")])
    );
    assert!(open(std::slice::from_ref(&table), false).unwrap().classes().is_empty());
    std::fs::write(&table, "path,label\np/1.png,owl\np/1.png,cat\n").unwrap();
    let said = open(&[table], true).err().unwrap().to_string();
    assert!(said.contains("lines 2 and 3") && said.contains("owl and cat"), "{said}");
}

#[test]
fn what_is_missing_is_named_with_its_line() {
    let root = folder(&["1.png"]);
    let list = root.path().join("list.txt");
    std::fs::write(&list, "1.png\n\nno.png\nnor.png\n").unwrap();
    let said = open(std::slice::from_ref(&list), false).err().unwrap().to_string();
    for part in ["list.txt", "line 3 names", "no.png", "1 other is missing", "count from the list's folder"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    std::fs::write(&list, "\n").unwrap();
    assert!(
        open(std::slice::from_ref(&list), false).err().unwrap().to_string().contains("names no pictures")
    );
    std::fs::write(&list, "*.gif\n").unwrap();
    assert!(open(&[list], false).err().unwrap().to_string().contains("nothing fits"));
    let nothing = open(&[root.path().join("nowhere")], false).err().unwrap().to_string();
    assert!(nothing.contains("nowhere"), "{nothing}");
}

#[test]
fn patterns_find_pictures_and_folders() {
    let root = folder(&["a1/cat/1.png", "a2/dog/1.png", "b/1.png", "b/2.bmp", "b/notes.txt"]);
    let of = |pattern: &str, labels| open(&[root.path().join(pattern)], labels);
    assert_eq!(
        found(of("a*", true).unwrap().as_ref()),
        pairs(&[("a1/cat/1.png", "cat"), ("a2/dog/1.png", "dog")])
    );
    assert_eq!(found(of("b/*.{png,bmp}", false).unwrap().as_ref()), pairs(&[("1.png", "-"), ("2.bmp", "-")]));
    assert_eq!(
        found(of("a*/**/*.png", true).unwrap().as_ref()),
        pairs(&[("a1/cat/1.png", "a1"), ("a2/dog/1.png", "a2")])
    );
    assert!(of("b/*.txt", false).err().unwrap().to_string().contains("1 .txt"));
}

#[test]
fn halves_stay_halves_among_several_places() {
    let root = folder(&["h/train/a/1.png", "h/val/a/1.png", "f/b/1.png"]);
    let places = ["h", "f"].map(|place| root.path().join(place));
    let parts = gather(&places, how(true)).unwrap();
    assert!(
        matches!(parts[0].holds, SourceContent::Halves(_))
            && matches!(parts[1].holds, SourceContent::Whole(_))
    );
    let all = open(&places, true).unwrap();
    assert_eq!(all.classes(), ["a", "b"]);
    assert_eq!(all.len(), 3);
}
