//! How much memory decoded pictures may take: one after another, and all that are decoded at once.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use dinoscope_base::bytes::shown;

/// The environment's word for the limit, in MiB.
const SETTING: &str = "DINOSCOPE_MAX_PICTURE_MIB";
/// Bytes of a decoded picture: room for 300 megapixels in 8 bits; a page has less memory.
const USUAL: u64 = if cfg!(target_family = "wasm") { 512 << 20 } else { 1 << 30 };

/// Most bytes that a decoded picture may have, and the largest file that is read.
pub(super) fn bytes() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| set(std::env::var(SETTING).ok().as_deref()))
}

/// What the setting says; the usual limit where it is no number of MiB.
fn set(value: Option<&str>) -> u64 {
    let mib = value.and_then(|text| text.trim().parse::<u64>().ok()).filter(|mib| *mib > 0);
    mib.and_then(|mib| mib.checked_mul(1 << 20)).unwrap_or(USUAL)
}

/// The limit, and how it is moved, for a person.
pub(super) fn said(most: u64) -> String {
    format!(
        "at most {} are decoded for one picture: make it smaller, or set {SETTING} to allow more",
        shown(most)
    )
}

/// Pixels that are being decoded in all threads.
struct DecodeBudget {
    taken: Mutex<u64>,
    freed: Condvar,
}

static ROOM: DecodeBudget = DecodeBudget { taken: Mutex::new(0), freed: Condvar::new() };

/// A share of the room, given back when dropped.
#[derive(Debug)]
pub(super) struct DecodePermit(u64);

/// Waits until a picture of so many pixels and bytes can be decoded beside those of other threads.
///
/// # Errors
/// When it has no pixels, or takes more than `most` bytes.
pub(super) fn room_for((width, height): (u32, u32), bytes: u64, most: u64) -> Result<DecodePermit, String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("it has no pixels ({width} × {height})"));
    }
    let needed = bytes.max(pixels.saturating_mul(3));
    if needed > most {
        return Err(format!("it has {width} × {height} pixels, {}; {}", shown(needed), said(most)));
    }
    let mut taken = ROOM.taken.lock().unwrap_or_else(PoisonError::into_inner);
    // One alone always has its turn.
    while *taken > 0 && *taken + needed > most {
        taken = ROOM.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
    }
    *taken += needed;
    Ok(DecodePermit(needed))
}

impl Drop for DecodePermit {
    fn drop(&mut self) {
        let mut taken = ROOM.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(self.0);
        ROOM.freed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn the_setting_is_a_number_of_mib() {
        assert_eq!(set(Some("2048")), 2 << 30);
        for other in [None, Some("much"), Some("0"), Some("-1"), Some("99999999999999999")] {
            assert_eq!(set(other), USUAL, "{other:?}");
        }
    }

    #[test]
    fn pictures_of_all_threads_together_stay_within_the_limit() {
        // Other tests decode small pictures meanwhile.
        let most = 1 << 38;
        let (now, highest) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let room = room_for((1 << 18, 1 << 17), 0, most).unwrap();
                    let mine = now.fetch_add(room.0, Ordering::SeqCst) + room.0;
                    highest.fetch_max(mine, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(room.0, Ordering::SeqCst);
                    drop(room);
                });
            }
        });
        let highest = highest.load(Ordering::SeqCst);
        assert!((3 << 35..=most).contains(&highest), "{highest}");
        assert!(room_for((10, 10), 301, 300).unwrap_err().contains("DINOSCOPE_MAX_PICTURE_MIB"));
        assert!(room_for((0, 10), 0, 300).is_err());
    }
}
