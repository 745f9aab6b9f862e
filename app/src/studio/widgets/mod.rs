//! What the panels are built of. Each widget can be reached with the keyboard and has a name that is read aloud.

mod button;
mod menu;
mod named;
mod paint;
mod progress;
mod row;
mod say;
mod scroll;
mod section;
mod segmented;
mod slider;
mod text;

pub use button::{button, button_width, danger_button, icon_button, primary_button, toggle_icon};
pub use menu::{context_menu, give_back, list_entry, menu};
pub use named::WidgetLabel;
pub use progress::{progress, progress_with_cancel};
pub use row::{choice_row, icons_at_end, row, switch, wide_row, with_border};
pub use say::{StatusTone, badge, empty_state, heading, hint, property, subheading};
pub use scroll::{beside_bar, scroll, scroll_with};
pub use section::section;
pub use segmented::segmented;
pub use slider::{SliderScale, say_slider, slider_row};
pub use text::{path_row, search_field, text_row};

#[cfg(test)]
mod specimen;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
