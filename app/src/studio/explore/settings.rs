//! How one looks: what is remembered and what belongs to the model.

use dinoscope_core::data::RGB;
use dinoscope_core::explore::{ModelSource, QueryToken, ViewQuery};
use dinoscope_core::model::VitConfig;
use serde::{Deserialize, Serialize};

use super::ExplorePanel;

/// How a layer lies over its picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverlayArrangement {
    /// Over it.
    #[default]
    Overlay,
    /// Left the picture, right the layer, with a handle between.
    Swipe,
    /// Beside it.
    Side,
}

/// Which pictures share their colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColourScope {
    /// The chosen one alone.
    #[default]
    One,
    /// All that are selected.
    Selection,
    /// All in the gallery; colours are fitted to at most [`MOST`] of them.
    All,
}

/// Most pictures that shared colours are fitted to.
pub const MOST: usize = 64;
/// Shorter sides of a view that can be chosen.
pub const RESOLUTIONS: std::ops::RangeInclusive<usize> = 112..=1568;

/// Everything one may change about a look.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ExploreSettings {
    /// What is shown.
    pub panel: ExplorePanel,
    /// How.
    pub arrangement: OverlayArrangement,
    /// Share of the layer, 0 to 1.
    pub opacity: f32,
    /// Where the handle is, 0 to 1.
    pub swipe: f32,
    /// Which pictures share their colours.
    pub scope: ColourScope,
    /// Colours stay as pictures change.
    pub locked: bool,
    /// Split objects from background.
    pub foreground: bool,
    /// Patches as blocks: exactly what was computed.
    pub blocks: bool,
    /// Shorter side of the view; the model's own when 0.
    pub resolution: usize,
    /// The second model that was compared with at the end, where it will be there at the next start too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<ModelSource>,
    /// Head whose attention shows; the mean of all without.
    #[serde(skip)]
    pub head: Option<usize>,
    /// Block whose attention shows; the last without.
    #[serde(skip)]
    pub block: Option<usize>,
    /// Attention of the pinned patch in place of the CLS token.
    #[serde(skip)]
    pub from_pin: bool,
    /// The model's own resolution.
    #[serde(skip)]
    pub own_resolution: usize,
    /// Side of a patch.
    #[serde(skip)]
    pub patch: usize,
    /// Channels of the pictures that the model takes.
    #[serde(skip)]
    pub channels: usize,
    /// Blocks of the model.
    #[serde(skip)]
    pub depth: usize,
    /// Heads of the model.
    #[serde(skip)]
    pub heads: usize,
}

impl Default for ExploreSettings {
    fn default() -> Self {
        Self {
            panel: ExplorePanel::Pca,
            arrangement: OverlayArrangement::Overlay,
            opacity: 0.85,
            swipe: 0.5,
            scope: ColourScope::One,
            locked: false,
            foreground: false,
            blocks: false,
            resolution: 0,
            against: None,
            head: None,
            block: None,
            from_pin: false,
            own_resolution: 224,
            patch: 14,
            channels: RGB,
            depth: 12,
            heads: 6,
        }
    }
}

impl ExploreSettings {
    /// Adapts what belongs to a model.
    pub fn fit_to(&mut self, config: &VitConfig) {
        // As `dinoscope features`: the stored grid, at least 32 patches.
        self.own_resolution = config.view_side();
        (self.patch, self.depth, self.heads) = (config.patch, config.depth, config.heads);
        self.channels = config.channels();
        self.block = self.block.filter(|block| *block < config.depth);
        self.head = self.head.filter(|head| *head < config.heads);
    }

    /// Shorter side of the view, a multiple of the patch.
    pub fn resolution(&self) -> usize {
        match self.resolution {
            0 => self.own_resolution,
            side => (side.clamp(*RESOLUTIONS.start(), *RESOLUTIONS.end()) / self.patch).max(1) * self.patch,
        }
    }

    /// The way to look from `query`.
    pub fn way(&self, query: QueryToken) -> ViewQuery {
        ViewQuery { resolution: self.resolution(), block: self.block.unwrap_or(self.depth - 1), query }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_is_a_multiple_of_the_patch() {
        let mut settings = ExploreSettings::default();
        settings.fit_to(&VitConfig::new(518, 14, 384, 12, 6));
        assert_eq!(settings.resolution(), 518);
        settings.resolution = 500;
        assert_eq!(settings.resolution(), 490);
        settings.resolution = 1;
        assert_eq!(settings.resolution(), 112);
        settings.block = Some(11);
        settings.fit_to(&VitConfig::new(64, 8, 96, 6, 3));
        assert_eq!((settings.resolution(), settings.way(QueryToken::Cls).block), (112, 5));
    }

    #[test]
    fn what_is_remembered_comes_back() {
        let settings =
            ExploreSettings { opacity: 0.3, panel: ExplorePanel::Match, ..ExploreSettings::default() };
        let text = serde_json::to_string(&settings).unwrap();
        let back: ExploreSettings = serde_json::from_str(&text).unwrap();
        assert!(back.opacity == 0.3 && back.panel == ExplorePanel::Match);
        let old: ExploreSettings = serde_json::from_str(r#"{"swipe":0.2}"#).unwrap();
        assert!(old.swipe == 0.2 && old.opacity == 0.85 && old.against.is_none());
        assert!(!text.contains("against"), "no second model, no word of it: {text}");
        for against in [ModelSource::Starter, ModelSource::Path("a/run#teacher".into())] {
            let settings = ExploreSettings { against: Some(against.clone()), ..ExploreSettings::default() };
            let text = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<ExploreSettings>(&text).unwrap().against, Some(against));
        }
    }
}
