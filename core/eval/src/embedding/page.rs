//! A map as one HTML file that opens anywhere: points to hover, drag and zoom, with small pictures inside.
//!
//! Nothing is loaded from elsewhere. All that comes from outside, such as names of files, is data in JSON that the
//! script shows as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::{ProjectionMap, SpriteSheet, mark};
use dinoscope_analysis::AnalysisError;

const CSS: &str = include_str!("page.css");
const BODY: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");

/// Steps across the page in which places are given: finer than any screen, shorter than fractions.
const STEPS: f32 = 20_000.0;

/// The page of a map, under a title and a line of facts. `sprites` has a copy for each point, in their order.
///
/// # Errors
/// When the small pictures can't be encoded.
pub fn page(
    map: &ProjectionMap,
    sprites: &SpriteSheet,
    title: &str,
    facts: &str,
) -> Result<String, AnalysisError> {
    let colour = |[r, g, b]: [u8; 3]| format!("#{r:02x}{g:02x}{b:02x}");
    let look = |class: Option<u32>, name: &str, count: usize| {
        let mark = mark(class);
        json!({ "name": name, "count": count, "colour": colour(mark.colour), "shape": mark.shape.name() })
    };
    let mut classes: Vec<_> = (0u32..)
        .zip(map.classes.iter().zip(map.counts()))
        .map(|(class, (name, count))| look(Some(class), name, count))
        .collect();
    // Pictures without a class come last, as a class of their own.
    let without = classes.len();
    let lost = map.labels.iter().filter(|label| label.is_none()).count();
    if lost > 0 {
        classes.push(look(None, if without > 0 { "without a class" } else { "" }, lost));
    }
    let step = |v: f32| ((v + 1.0) / 2.0 * STEPS).round() as i64;
    let column = |k: usize| -> Vec<i64> { map.points.iter().map(|p| step(p[k])).collect() };
    let of: Vec<usize> =
        map.labels.iter().map(|label| label.map_or(without, |label| label as usize)).collect();
    let jpeg = BASE64.encode(sprites.jpeg()?);
    let data = json!({
        "title": title,
        "facts": facts,
        "steps": STEPS,
        "x": column(0),
        "y": column(1),
        "of": of,
        "names": map.names,
        "classes": classes,
        "sprites": {
            "side": sprites.side,
            "columns": sprites.columns,
            "src": format!("data:image/jpeg;base64,{jpeg}"),
        },
    });
    // In a script element only `<` could end it.
    let data = data.to_string().replace('<', "\\u003c");
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>Feature map · Dinoscope</title>\n<style>\n{CSS}</style></head>\n<body>\n{BODY}\
         <script id=\"data\" type=\"application/json\">{data}</script>\n<script>\n{SCRIPT}</script></body></html>\n"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_data::source::scenes::ScenesSource;

    #[test]
    fn the_page_holds_everything_and_nothing_gets_out_of_it() {
        let map = ProjectionMap {
            way: "t-SNE".to_owned(),
            points: vec![[-1.0, 1.0], [0.0, 0.0], [1.0, -1.0]],
            labels: vec![Some(1), None, Some(0)],
            classes: vec!["mug".to_owned(), "</script><b>".to_owned()],
            names: vec!["a.png".to_owned(), "<!-- b".to_owned(), "c\"d".to_owned()],
            pictures: vec![0, 1, 2],
        };
        let sprites = SpriteSheet::of(&ScenesSource::new(1, 3, 30), &map.pictures);
        let page = page(&map, &sprites, "my </title> run", "3 pictures").unwrap();
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("<!-- b") && !page.contains("my </title>"));
        for outside in ["http://", "https://", "src=\"", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let start = page.find("application/json\">").unwrap() + 18;
        let data = &page[start..start + page[start..].find("</script>").unwrap()];
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            (data["x"].to_string(), data["y"].to_string()),
            ("[0,10000,20000]".into(), "[20000,10000,0]".into())
        );
        assert_eq!(data["of"].to_string(), "[1,2,0]");
        assert_eq!(data["names"][1], "<!-- b");
        assert_eq!(data["classes"][1]["name"], "</script><b>");
        assert_eq!(data["classes"][2]["count"], 1);
        assert!(data["sprites"]["src"].as_str().unwrap().starts_with("data:image/jpeg;base64,/9j/"));
    }
}
