//! Tables of words as text: rows of fields with commas, semicolons or tabs between them, quoted where they hold such
//! (RFC 4180).

/// A table with named columns.
#[derive(Debug, PartialEq, Eq)]
pub struct CsvTable {
    /// Names of the columns, without blanks around them.
    pub columns: Vec<String>,
    /// The rows below, each with the line of the file that it begins in and a field for every column.
    pub rows: Vec<(usize, Vec<String>)>,
}

/// What may stand between fields; the one that the first line has most of does.
const BETWEEN: [char; 3] = [',', ';', '\t'];

/// Reads a table. Lines without anything are passed over.
///
/// # Errors
/// Names the line, and what is wrong in it.
pub fn parse(text: &str) -> Result<CsvTable, String> {
    // Some programs begin a file with a mark.
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().find(|line| !line.trim().is_empty()).ok_or("it is empty")?;
    let most = |between: &char| first.matches(*between).count();
    // Of several that are as many the last is taken: the most usual one.
    let between = BETWEEN.into_iter().rev().max_by_key(most).unwrap_or(',');
    let mut rows = rows(text, between)?.into_iter();
    let (_, columns) = rows.next().ok_or("it is empty")?;
    let columns: Vec<String> = columns.iter().map(|name| name.trim().to_owned()).collect();
    let rows: Vec<(usize, Vec<String>)> = rows.collect();
    match rows.iter().find(|(_, row)| row.len() != columns.len()) {
        Some((line, row)) => Err(format!(
            "line {line} has {} fields and the first line {}; a field with a `{between}` in it must be quoted",
            row.len(),
            columns.len()
        )),
        None => Ok(CsvTable { columns, rows }),
    }
}

fn rows(text: &str, between: char) -> Result<Vec<(usize, Vec<String>)>, String> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began) = (1, 1);
    let mut letters = text.chars().peekable();
    loop {
        match letters.next() {
            // Quotes begin a field or are letters like others.
            Some('"') if field.is_empty() => {
                let opened = line;
                loop {
                    match letters.next() {
                        Some('"') if letters.peek() == Some(&'"') => {
                            letters.next();
                            field.push('"');
                        }
                        Some('"') => break,
                        Some(letter) => {
                            line += usize::from(letter == '\n');
                            field.push(letter);
                        }
                        None => return Err(format!("the quote that line {opened} begins is never ended")),
                    }
                }
                let ends = |letter: &char| *letter == between || matches!(letter, '\r' | '\n');
                if letters.peek().is_some_and(|next| !ends(next)) {
                    return Err(format!("line {line}: a quoted field goes on behind its quotes"));
                }
            }
            Some(letter) if letter == between => row.push(std::mem::take(&mut field)),
            Some('\r') if letters.peek() == Some(&'\n') => {}
            end @ (Some('\n') | None) => {
                row.push(std::mem::take(&mut field));
                let whole = std::mem::take(&mut row);
                if whole.iter().any(|field| !field.trim().is_empty()) {
                    rows.push((began, whole));
                }
                if end.is_none() {
                    return Ok(rows);
                }
                line += 1;
                began = line;
            }
            Some(letter) => field.push(letter),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_programs_write_them() {
        let written =
            "\u{feff} path ,label\r\n\"a, \"\"b\"\".png\",cat\r\n\r\n\"two\nlines.png\",\nc\"d\".png, dog";
        let CsvTable { columns, rows } = parse(written).unwrap();
        assert_eq!(columns, ["path", "label"]);
        let fields: Vec<(usize, &str, &str)> =
            rows.iter().map(|(line, row)| (*line, row[0].as_str(), row[1].as_str())).collect();
        assert_eq!(
            fields,
            [(2, "a, \"b\".png", "cat"), (4, "two\nlines.png", ""), (6, "c\"d\".png", " dog")]
        );
        for between in [";", "\t"] {
            let table = parse(&format!("path{between}label\na,b.png{between}cat\n")).unwrap();
            assert_eq!(table.rows, [(2, vec!["a,b.png".to_owned(), "cat".to_owned()])]);
        }
        assert_eq!(parse("path\na.png\n").unwrap().rows.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, said) in [
            ("", "empty"),
            ("\n \n", "empty"),
            ("path,label\na.png,cat\nb,c.png,dog\n", "line 3 has 3 fields and the first line 2"),
            ("path,label\n\"a.png,cat\n", "quote that line 2 begins"),
            ("path,label\n\"a\"b.png,cat\n", "line 2: a quoted field goes on"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
