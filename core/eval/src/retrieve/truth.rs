//! Which pictures of a database show what a query shows: the lists of the revisited Oxford and Paris benchmarks.
//!
//! They come as a Python pickle; the same dictionary as JSON is read here. To make it:
//!
//! ```text
//! python3 -c "import json, pickle; json.dump(pickle.load(open('gnd_roxford5k.pkl', 'rb')),
//!   open('gnd_roxford5k.json', 'w'), default=lambda v: v.tolist())"
//! ```
//!
//! `imlist` names the pictures of the database and `qimlist` the queries, with or without their extension. `gnd` has an
//! entry for each query: `easy`, `hard` and `junk` are positions in `imlist`, `bbx` the part of the picture that is
//! asked for (left, top, right, bottom in pixels; the whole where it is missing).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::RelevanceGrade;
use dinoscope_base::files;
use dinoscope_data::augment::{CropBox, resized_crop};
use dinoscope_data::decode::decode_file;
use dinoscope_data::source::{PictureSource, folder::pictures_in};
use dinoscope_data::{DataError, Picture};

/// A benchmark: a database, queries, and what is right for each of them.
#[derive(Clone)]
pub struct RetrievalBenchmark {
    /// The pictures to find.
    pub database: Arc<BenchmarkSource>,
    /// The pictures, or parts of pictures, that are asked for.
    pub queries: Arc<BenchmarkSource>,
    /// `[queries, database]`.
    pub grades: Arc<Vec<RelevanceGrade>>,
}

/// The file.
#[derive(Deserialize)]
struct GroundTruthFile {
    imlist: Vec<String>,
    qimlist: Vec<String>,
    gnd: Vec<GroundTruthQuery>,
}

#[derive(Deserialize)]
struct GroundTruthQuery {
    bbx: Option<[f64; 4]>,
    #[serde(default, alias = "ok")]
    easy: Vec<usize>,
    #[serde(default)]
    hard: Vec<usize>,
    #[serde(default)]
    junk: Vec<usize>,
}

impl RetrievalBenchmark {
    /// Reads the lists in `file`, whose pictures lie in `folder` or folders in it.
    ///
    /// # Errors
    /// When the file can't be read or contradicts itself, or a picture that it names is not there.
    pub fn open(file: &Path, folder: &Path) -> Result<Self, DataError> {
        let name = file.display().to_string();
        let wrong = |reason: String| DataError::Source { path: name.clone(), reason };
        let text = files::read(file).map_err(|source| DataError::Read { path: name.clone(), source })?;
        let lists: GroundTruthFile = serde_json::from_slice(&text).map_err(|error| {
            let way = "expected the dictionary of gnd_*.pkl with imlist, qimlist and gnd, as JSON";
            wrong(format!("{error}; {way}"))
        })?;
        if lists.qimlist.len() != lists.gnd.len() {
            let (queries, entries) = (lists.qimlist.len(), lists.gnd.len());
            return Err(wrong(format!("qimlist has {queries} queries and gnd {entries} entries")));
        }
        if lists.imlist.is_empty() || lists.qimlist.is_empty() {
            return Err(wrong("imlist or qimlist is empty".to_owned()));
        }
        let pictures = lists.imlist.len();
        let mut grades = vec![RelevanceGrade::Unrelated; lists.gnd.len() * pictures];
        for ((query, list), row) in
            lists.qimlist.iter().zip(&lists.gnd).zip(grades.chunks_exact_mut(pictures))
        {
            for (at, grade) in [
                (&list.easy, RelevanceGrade::Easy),
                (&list.hard, RelevanceGrade::Hard),
                (&list.junk, RelevanceGrade::Junk),
            ] {
                for at in at {
                    let slot = row.get_mut(*at).ok_or_else(|| {
                        wrong(format!("the entry of {query} names picture {at}, but imlist ends before it"))
                    })?;
                    *slot = grade;
                }
            }
        }
        let shelf = PictureNameIndex::new(folder)?;
        let find =
            |names: &[String]| names.iter().map(|name| shelf.find(name, file)).collect::<Result<_, _>>();
        let boxes = lists.gnd.iter().map(|list| list.bbx).collect();
        Ok(Self {
            database: Arc::new(BenchmarkSource { paths: find(&lists.imlist)?, boxes: vec![None; pictures] }),
            queries: Arc::new(BenchmarkSource { paths: find(&lists.qimlist)?, boxes }),
            grades: Arc::new(grades),
        })
    }
}

/// The pictures of a folder by the names that lists give them.
struct PictureNameIndex<'a> {
    folder: &'a Path,
    by_name: HashMap<String, PathBuf>,
}

impl<'a> PictureNameIndex<'a> {
    fn new(folder: &'a Path) -> Result<Self, DataError> {
        let mut by_name = HashMap::new();
        for path in pictures_in(folder)? {
            let inside = path.strip_prefix(folder).unwrap_or(&path).to_owned();
            // By its path or its name alone, with and without the extension; the first of one name wins.
            let file = inside.file_name().map_or_else(PathBuf::new, PathBuf::from);
            for short in [inside.clone(), inside.with_extension(""), file.clone(), file.with_extension("")] {
                by_name.entry(short.to_string_lossy().replace('\\', "/")).or_insert_with(|| path.clone());
            }
        }
        Ok(Self { folder, by_name })
    }

    fn find(&self, name: &str, file: &Path) -> Result<PathBuf, DataError> {
        self.by_name.get(name).cloned().ok_or_else(|| DataError::Source {
            path: self.folder.display().to_string(),
            reason: format!("there is no picture “{name}” in this folder, which {} names", file.display()),
        })
    }
}

/// Pictures, or parts of them, in the order of a list.
pub struct BenchmarkSource {
    paths: Vec<PathBuf>,
    /// Left, top, right and bottom in pixels.
    boxes: Vec<Option<[f64; 4]>>,
}

impl PictureSource for BenchmarkSource {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn name(&self, index: usize) -> String {
        self.paths[index].display().to_string()
    }

    fn label(&self, _: usize) -> Option<usize> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn load(&self, index: usize) -> Result<Picture, DataError> {
        let picture = decode_file(&self.paths[index])?;
        let Some(edges) = self.boxes[index] else { return Ok(picture) };
        let [left, top, right, bottom] = edges.map(|v| v.round().max(0.0) as usize);
        let (right, bottom) = (right.min(picture.width), bottom.min(picture.height));
        if left >= right || top >= bottom {
            let (name, size) = (self.name(index), format!("{} x {}", picture.width, picture.height));
            let reason = format!("its bbx {edges:?} lies outside the picture of {size} pixels");
            return Err(DataError::Decode { name, reason });
        }
        let part = CropBox { left, top, width: right - left, height: bottom - top };
        Ok(resized_crop(&picture, part, part.width, part.height))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_analysis::image_out::write_png;

    /// A folder with the pictures `a` to `d`, of which `c` lies deeper, and a file with `text`.
    fn case(text: &str) -> (tempfile::TempDir, Result<RetrievalBenchmark, DataError>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("jpg")).unwrap();
        for (i, name) in ["a.png", "b.png", "jpg/c.png", "d.png"].into_iter().enumerate() {
            let rgb = (0..8 * 6 * 3).map(|v| (v / 3 % 8 * 10 + i) as u8).collect();
            write_png(&folder.path().join(name), &Picture::of_rgb(8, 6, rgb)).unwrap();
        }
        let file = folder.path().join("gnd.json");
        std::fs::write(&file, text).unwrap();
        let found = RetrievalBenchmark::open(&file, folder.path());
        (folder, found)
    }

    #[test]
    fn lists_become_grades_and_boxes_parts() {
        let (_folder, truth) = case(
            r#"{"imlist": ["a", "b.png", "c"], "qimlist": ["d", "jpg/c"], "other": 1, "gnd": [
                {"bbx": [1.6, 2.4, 5.0, 99.0], "easy": [2], "hard": [0], "junk": [1]}, {"ok": [1]}]}"#,
        );
        let truth = truth.unwrap();
        use RelevanceGrade::{Easy, Hard, Junk, Unrelated};
        assert_eq!(*truth.grades, [Hard, Junk, Easy, Unrelated, Easy, Unrelated]);
        assert_eq!((truth.database.len(), truth.queries.len()), (3, 2));
        assert!(truth.database.name(2).ends_with("c.png"));
        let part = truth.queries.load(0).unwrap();
        assert_eq!((part.width, part.height), (3, 4));
        // Columns 2, 3 and 4 of picture 3.
        assert_eq!(part.rgb[..9], [23, 23, 23, 33, 33, 33, 43, 43, 43]);
        assert_eq!(truth.queries.load(1).unwrap().width, 8);
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        for (text, words) in [
            ("{", "EOF"),
            (r#"{"imlist": [], "qimlist": []}"#, "gnd"),
            (r#"{"imlist": [], "qimlist": [], "gnd": []}"#, "empty"),
            (r#"{"imlist": ["a"], "qimlist": ["b"], "gnd": []}"#, "1 queries and gnd 0"),
            (r#"{"imlist": ["a"], "qimlist": ["b"], "gnd": [{"hard": [1]}]}"#, "names picture 1"),
            (r#"{"imlist": ["a"], "qimlist": ["zebra"], "gnd": [{}]}"#, "“zebra”"),
        ] {
            let error = case(text).1.err().unwrap().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let outside = case(r#"{"imlist": ["a"], "qimlist": ["b"], "gnd": [{"bbx": [9.0, 0.0, 12.0, 3.0]}]}"#);
        let error = outside.1.unwrap().queries.load(0).unwrap_err().to_string();
        assert!(error.contains("outside"), "{error}");
    }
}
