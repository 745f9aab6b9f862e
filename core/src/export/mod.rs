//! What goes out with weights for others to read: the model card.

mod card;
mod card_run;
mod card_snippets;

pub use card::{MARK, ModelCard, ModelExportFormat, card, save_card};
pub use card_run::{ModelCardError, ModelCardRun};
