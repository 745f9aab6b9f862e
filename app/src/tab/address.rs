//! The page's address follows what shows; Back and Forward go through it.

use std::cell::RefCell;

use super::window;
use crate::platform::web::host;
use crate::studio::url_state::StudioUrlState;

thread_local! {
    /// What the page knows.
    static TOLD: RefCell<Option<StudioUrlState>> = const { RefCell::new(None) };
}

/// Tells the page what shows now, where that is something else.
pub fn follow(place: StudioUrlState, opening: bool) {
    let Some(host) = host::get() else { return };
    TOLD.with_borrow_mut(|told| {
        if told.as_ref() == Some(&place) {
            return;
        }
        // A model that could not be had is no place to go back to.
        let fell = |before: &StudioUrlState| {
            !opening && StudioUrlState { weights: place.weights.clone(), ..before.clone() } == place
        };
        let again = told.as_ref().is_none_or(fell);
        if let Ok(text) = serde_json::to_string(&place) {
            host.moved(&text, again);
        }
        *told = Some(place);
    });
}

/// The person goes back or forward.
pub fn go(place: StudioUrlState) {
    window::with(|studio| {
        studio.go(&place);
        TOLD.set(Some(studio.place()));
    });
}
