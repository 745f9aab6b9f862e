//! Panics of other crates' decoders, caught without a backtrace on the terminal.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// The result of `work`, or what it said when it panicked. (A page's threads end with a panic: there nothing is caught.)
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    if cfg!(not(target_family = "wasm")) {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if !EXPECTED.get() {
                    before(panic);
                }
            }));
        });
    }
    let outer = EXPECTED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(outer);
    done.map_err(dinoscope_base::device::panic_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors_with_their_words() {
        assert_eq!(caught(|| 3), Ok(3));
        assert_eq!(caught(|| -> u8 { panic!("range end index {}", 3) }), Err("range end index 3".to_owned()));
        assert!(!EXPECTED.get());
    }
}
