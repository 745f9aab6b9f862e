//! What an address can hold of the exploring side: what is shown, and the model where it has a name or an address.

use dinoscope_core::explore::ModelSource;

use crate::studio::explore::{ExplorePanel, ExploreWorkspace};

/// Names and addresses of models.
#[derive(Debug, Default)]
pub struct ModelAddresses {
    /// Of the one that was asked for last.
    asked: Option<String>,
    /// Of the one that looks.
    looking: Option<String>,
}

impl ModelAddresses {
    /// A model was asked for. A file that was fetched keeps the name that it was fetched by.
    pub fn ask(&mut self, source: &ModelSource, fetched: bool) {
        if !fetched {
            self.asked = match source {
                ModelSource::Released(name) => Some(name.clone()),
                _ => None,
            };
        }
    }

    /// A model is ready.
    pub fn ready(&mut self, source: &ModelSource) {
        self.looking = match source {
            ModelSource::Starter => None,
            _ => self.asked.clone(),
        };
    }
}

impl ExploreWorkspace {
    /// What is shown over pictures.
    pub fn panel(&self) -> ExplorePanel {
        self.settings.panel
    }

    /// Shows that over pictures.
    pub fn show(&mut self, panel: ExplorePanel) {
        self.settings.panel = panel;
    }

    /// Name or address of the model that looks, or that is on its way; nothing for what has none.
    pub fn address(&self) -> Option<&str> {
        let named = if self.opens() { &self.named.asked } else { &self.named.looking };
        named.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_keeps_the_name_that_it_was_asked_by() {
        let mut named = ModelAddresses::default();
        let file = ModelSource::Path("/models/dinov2-small.safetensors".into());
        named.ask(&ModelSource::Released("dinov2-small".to_owned()), false);
        named.ask(&file, true);
        named.ready(&file);
        assert_eq!(named.looking.as_deref(), Some("dinov2-small"));
        named.ask(&file, false);
        named.ready(&file);
        assert_eq!(named.looking, None, "a file that was dropped has no address");
        // The starter weights in place of what could not be had.
        named.ask(&ModelSource::Released("gone".to_owned()), false);
        named.ready(&ModelSource::Starter);
        assert_eq!(named.looking, None);
    }
}
