//! Which crates a wasm program consists of: where its size comes from.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};

/// Rows that are printed; the rest is one more.
const ROWS: usize = 24;

/// A table of crates by the size of their code, from a program that still has the names of its functions.
///
/// # Errors
/// When `wasm` is no wasm.
pub fn table(wasm: &[u8]) -> Result<String> {
    let Program { bodies, names, imported, data } = Program::read(wasm)?;
    let mut crates: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (at, size) in bodies.iter().enumerate() {
        let name = names.get(&(imported + at as u64)).map(|name| owner(name)).unwrap_or_default();
        let (bytes, functions) = crates.entry(name).or_default();
        *bytes += size;
        *functions += 1;
    }
    let mut rows: Vec<_> = crates.into_iter().collect();
    rows.sort_by_key(|(_, (bytes, _))| std::cmp::Reverse(*bytes));
    let rest = rows.split_off(rows.len().min(ROWS));
    let sum = |rows: &[(String, (u64, u64))]| {
        rows.iter().fold((0, 0), |sum, row| (sum.0 + row.1.0, sum.1 + row.1.1))
    };
    let all = sum(&[rows.as_slice(), &rest].concat());
    let last = [("all others", sum(&rest)), ("all code", all), ("data", (data, 0))];
    rows.extend(last.map(|(name, row)| (name.to_owned(), row)));
    let mut text = format!("{:>10} {:>10}  crate, before compression\n", "kB", "functions");
    for (name, (bytes, functions)) in rows {
        let name = if name.is_empty() { "(no name)" } else { name.as_str() };
        let _ = writeln!(text, "{:>10.1} {functions:>10}  {name}", bytes as f64 / 1e3);
    }
    Ok(text)
}

/// The crate that a function's name begins with: `<egui::Ui as …>::add` belongs to egui.
fn owner(name: &str) -> String {
    let first = if let Some(mangled) = name.strip_prefix("_ZN") {
        counted(mangled).map(|first| {
            let words =
                [("$LT$", "<"), ("$RF$", "&"), ("$BP$", "*"), ("$u20$", " "), ("$u7b$", "{"), ("..", "::")];
            words
                .iter()
                .fold(first.trim_start_matches('_').to_owned(), |name, (from, to)| name.replace(from, to))
        })
    } else {
        // Of the newer kind: a crate is `Cs`, a number, `_`, and its counted name.
        let crates = name.strip_prefix("_R").and_then(|mangled| mangled.split_once("Cs"));
        crates.and_then(|(_, after)| counted(after.split_once('_')?.1).map(str::to_owned))
    };
    let first = first.unwrap_or_else(|| name.to_owned());
    let name = first.trim_start_matches(['<', '&', '*', '[', '(']);
    let name =
        ["mut ", "const ", "dyn "].iter().fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    name[..end].to_owned()
}

/// `4core3ptr…` gives `core`.
fn counted(mangled: &str) -> Option<&str> {
    let digits = mangled.find(|c: char| !c.is_ascii_digit())?;
    let (count, rest) = mangled.split_at(digits);
    rest.get(..count.parse().ok()?)
}

/// What is read of a program.
#[derive(Default)]
struct Program {
    /// Bytes of each function's code.
    bodies: Vec<u64>,
    /// Function names by index.
    names: BTreeMap<u64, String>,
    /// Functions that come from outside; they have the first indices.
    imported: u64,
    /// Bytes of constants.
    data: u64,
}

impl Program {
    fn read(wasm: &[u8]) -> Result<Self> {
        let Some(body) = wasm.strip_prefix(b"\0asm\x01\0\0\0") else { bail!("this is not a wasm program") };
        let (mut program, mut rest) = (Self::default(), Reader(body));
        while !rest.0.is_empty() {
            let section = rest.byte()?;
            let mut inside = Reader(rest.block()?);
            match section {
                0 if inside.text()? == "name" => program.names(inside)?,
                2 => program.imports(inside)?,
                10 => {
                    for _ in 0..inside.number()? {
                        program.bodies.push(inside.block()?.len() as u64);
                    }
                }
                11 => program.data = inside.0.len() as u64,
                _ => {}
            }
        }
        Ok(program)
    }

    fn names(&mut self, mut section: Reader) -> Result<()> {
        while !section.0.is_empty() {
            let kind = section.byte()?;
            let mut inside = Reader(section.block()?);
            if kind == 1 {
                for _ in 0..inside.number()? {
                    let at = inside.number()?;
                    self.names.insert(at, inside.text()?);
                }
            }
        }
        Ok(())
    }

    /// cargo's output takes functions and, at most, a memory or a table from outside.
    fn imports(&mut self, mut section: Reader) -> Result<()> {
        for _ in 0..section.number()? {
            let (_module, _name) = (section.text()?, section.text()?);
            match section.byte()? {
                0 => {
                    section.number()?;
                    self.imported += 1;
                }
                kind @ (1 | 2) => {
                    if kind == 1 {
                        section.byte()?;
                    }
                    let bounded = section.byte()? & 1 == 1;
                    section.number()?;
                    if bounded {
                        section.number()?;
                    }
                }
                3 => {
                    section.byte()?;
                    section.byte()?;
                }
                kind => bail!("an import of kind {kind}"),
            }
        }
        Ok(())
    }
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().context("the program ends too early")?;
        self.0 = rest;
        Ok(*first)
    }

    /// LEB128.
    fn number(&mut self) -> Result<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).context("a number is too long")?;
            shift += 7;
            if byte < 0x80 {
                return Ok(value);
            }
        }
    }

    /// Bytes with their count before them.
    fn block(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.number()?)?;
        let (block, rest) = self.0.split_at_checked(length).context("the program ends too early")?;
        self.0 = rest;
        Ok(block)
    }

    fn text(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.block()?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One function from outside, two with code, their names, and a constant.
    const PROGRAM: &[u8] = b"\0asm\x01\0\0\0\
        \x02\x07\x01\x01e\x01f\x00\x00\
        \x0a\x09\x02\x02\x00\x0b\x04\x00\x01\x01\x0b\
        \x0b\x03\x00ab\
        \x00\x26\x04name\x01\x1f\x02\x01\x09egui::add\x02\x11<&burn::T as U>::";

    #[test]
    fn code_is_counted_by_crate() {
        let program = Program::read(PROGRAM).unwrap();
        assert_eq!((program.bodies.as_slice(), program.imported, program.data), (&[2, 4][..], 1, 3));
        let text = table(PROGRAM).unwrap();
        let rows: Vec<_> =
            text.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(rows[0], ["0.0", "1", "burn"]);
        assert_eq!(rows[1], ["0.0", "1", "egui"]);
        assert_eq!(rows[3], ["0.0", "2", "all", "code"]);
    }

    #[test]
    fn what_is_no_program_or_ends_early_is_said() {
        assert!(table(b"MZ").is_err());
        assert!(table(&PROGRAM[..PROGRAM.len() - 3]).is_err());
    }

    #[test]
    fn a_name_has_one_owner() {
        assert_eq!(owner("<&mut egui::Ui as core::fmt::Debug>::fmt"), "egui");
        assert_eq!(owner("core::ptr::drop_in_place::<burn::X>"), "core");
        assert_eq!(owner("memcpy"), "memcpy");
        assert_eq!(owner("_ZN4core3ptr13drop_in_place17h0123456789abcdefE"), "core");
        assert_eq!(owner("_ZN40_$LT$egui..Ui$u20$as$u20$core..fmt..Debug$GT$3fmtE"), "egui");
        assert_eq!(owner("_RNvNtCs1234_4core3ptr4read"), "core");
    }
}
