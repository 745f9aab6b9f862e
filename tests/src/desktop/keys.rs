//! Names of keys, and which keys of the keyboard give them.

/// X's number of a key that is named rather than printed on it.
fn named(name: &str) -> Option<u32> {
    let function = |name: &str| {
        let number: u32 = name.strip_prefix('F')?.parse().ok()?;
        (1..=12).contains(&number).then_some(0xffbd + number)
    };
    Some(match name {
        "Ctrl" => 0xffe3,
        "Shift" => 0xffe1,
        "Alt" => 0xffe9,
        "Super" => 0xffeb,
        "Enter" => 0xff0d,
        "Escape" => 0xff1b,
        "Tab" => 0xff09,
        "Space" => 0x20,
        "Backspace" => 0xff08,
        "Delete" => 0xffff,
        "Insert" => 0xff63,
        "Home" => 0xff50,
        "End" => 0xff57,
        "Left" => 0xff51,
        "Up" => 0xff52,
        "Right" => 0xff53,
        "Down" => 0xff54,
        "PageUp" => 0xff55,
        "PageDown" => 0xff56,
        "Plus" => 0x2b,
        _ => return function(name),
    })
}

/// The shift key, which capital letters need.
pub const SHIFT: u32 = 0xffe1;

/// X's number of a character.
pub fn of_char(character: char) -> u32 {
    match u32::from(character) {
        0x0a => 0xff0d, // A new line is the Enter key.
        0x09 => 0xff09,
        latin @ (0x20..=0x7e | 0xa0..=0xff) => latin,
        other => 0x0100_0000 + other,
    }
}

/// `Ctrl+Shift+Z`: the keys in the order in which they go down.
///
/// # Panics
/// When a name is unknown.
pub fn chord(text: &str) -> Vec<u32> {
    let key = |name: &str| {
        let mut characters = name.chars();
        match (named(name), characters.next(), characters.next()) {
            (Some(key), _, _) => key,
            // Shift is a key of its own in a chord, so that the letter is the one printed on the key.
            (None, Some(character), None) => of_char(character.to_ascii_lowercase()),
            _ => panic!("no key is called {name:?} in {text:?}"),
        }
    };
    text.split('+').map(key).collect()
}

/// Which key gives which number, alone and with Shift.
pub struct Layout {
    /// Number of the first key.
    pub first: u8,
    /// How many numbers each key has.
    pub per_key: usize,
    /// The numbers, key by key.
    pub symbols: Vec<u32>,
}

impl Layout {
    /// The key for a number, and whether it needs Shift.
    ///
    /// # Panics
    /// When the keyboard has none.
    pub fn find(&self, symbol: u32) -> (u8, bool) {
        let keys = || self.symbols.chunks(self.per_key.max(1)).zip(self.first..=u8::MAX);
        let with = |level: usize| {
            keys().find(|(symbols, _)| symbols.get(level) == Some(&symbol)).map(|(_, key)| (key, level == 1))
        };
        match with(0).or_else(|| with(1)) {
            Some(found) => found,
            None => panic!("the keyboard of the test's display has no key for {symbol:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_are_read() {
        assert_eq!(chord("Ctrl+Shift+Z"), [0xffe3, 0xffe1, 0x7a]);
        assert_eq!(chord("Ctrl+Plus"), [0xffe3, 0x2b]);
        assert_eq!(chord("F12"), [0xffc9]);
        assert_eq!(chord("?"), [0x3f]);
        assert!(std::panic::catch_unwind(|| chord("Ctrl+Foo")).is_err());
        assert!(std::panic::catch_unwind(|| chord("F13")).is_err());
        assert_eq!((of_char('\n'), of_char('é'), of_char('€')), (0xff0d, 0xe9, 0x0100_20ac));
    }

    #[test]
    fn keys_are_found_with_and_without_shift() {
        let layout = Layout { first: 8, per_key: 2, symbols: vec![0x61, 0x41, 0x3d, 0x2b] };
        assert_eq!(
            (layout.find(0x61), layout.find(0x41), layout.find(0x2b)),
            ((8, false), (8, true), (9, true))
        );
        assert!(std::panic::catch_unwind(|| layout.find(0x62)).is_err());
        let last = Layout { first: 255, per_key: 2, symbols: vec![0x61, 0x41] };
        assert_eq!(last.find(0x41), (255, true));
    }
}
