//! Where one is in the studio, as far as an address can hold it: workspace, what is shown, and the model.

use dinoscope_core::explore::{ModelSource, STARTER_NAME};
use serde::{Deserialize, Serialize};

use super::StudioApp;
use super::explore::ExplorePanel;
use super::panels::Workspace;

/// What an address can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudioUrlState {
    /// `explore`, `train` or `evaluate`.
    pub workspace: String,
    /// `pca`, `attention`, `similarity` or `match`.
    pub view: String,
    /// Name or address of the model; nothing for the starter weights, and for a model that has no address.
    pub weights: Option<String>,
    /// Name or address of the second model; nothing where there is none, and for one that has no address.
    pub against: Option<String>,
}

const WORKSPACES: [(&str, Workspace); 4] = [
    ("explore", Workspace::Explore),
    ("train", Workspace::Train),
    ("evaluate", Workspace::Evaluate),
    ("curate", Workspace::Curate),
];

const VIEWS: [(&str, ExplorePanel); 4] = [
    ("pca", ExplorePanel::Pca),
    ("attention", ExplorePanel::Attention),
    ("similarity", ExplorePanel::Similarity),
    ("match", ExplorePanel::Match),
];

/// The workspace of this name.
pub fn workspace(name: &str) -> Option<Workspace> {
    let named = WORKSPACES.iter().find(|(known, _)| *known == name).map(|(_, workspace)| *workspace);
    named.filter(|workspace| Workspace::offered().iter().any(|(offered, _)| offered == workspace))
}

/// What an address calls a view.
pub fn view(name: &str) -> Option<ExplorePanel> {
    VIEWS.iter().find(|(known, _)| *known == name).map(|(_, panel)| *panel)
}

/// The names of all views and workspaces, for who has written another one.
pub fn names() -> String {
    let views = VIEWS.iter().map(|(name, _)| *name);
    let here = WORKSPACES.iter().map(|(name, _)| *name).filter(|name| workspace(name).is_some());
    views.chain(here).collect::<Vec<_>>().join(", ")
}

impl StudioApp {
    /// Where one is.
    pub fn place(&self) -> StudioUrlState {
        let name = |found: Option<&'static str>| found.unwrap_or_default().to_owned();
        let at = self.layout.workspace;
        let panel = self.explore.panel();
        StudioUrlState {
            workspace: name(WORKSPACES.iter().find(|(_, known)| *known == at).map(|(name, _)| *name)),
            view: name(VIEWS.iter().find(|(_, known)| *known == panel).map(|(name, _)| *name)),
            weights: self.explore.address().map(str::to_owned),
            against: self.explore.compared_address().map(str::to_owned),
        }
    }

    /// Goes there; what is not known stays as it is.
    pub fn go(&mut self, place: &StudioUrlState) {
        if let Some(workspace) = workspace(&place.workspace) {
            self.layout.workspace = workspace;
        }
        if let Some(panel) = view(&place.view) {
            self.explore.show(panel);
        }
        if self.explore.address() != place.weights.as_deref() {
            let source = match place.weights.as_deref() {
                None | Some(STARTER_NAME) => ModelSource::Starter,
                Some(name) => ModelSource::Released(name.to_owned()),
            };
            self.explore.use_model(&mut self.app, source);
        }
        if self.explore.compared_address() != place.against.as_deref() {
            match place.against.as_deref() {
                None => self.explore.stop_comparing(&self.app),
                Some(name) => self.explore.compare_with(&mut self.app, of_address(name)),
            }
        }
    }
}

/// What a page's address calls a model.
pub fn of_address(name: &str) -> ModelSource {
    match name == STARTER_NAME {
        true => ModelSource::Starter,
        false => ModelSource::Released(name.to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::studio::app_context::RenderBackend;
    use crate::studio::{AppFrontend as _, StartupOptions};

    fn studio() -> StudioApp {
        let ctx = egui::Context::default();
        let startup = StartupOptions {
            fresh: true,
            device: Some(dinoscope_core::device::DeviceChoice::Cpu),
            ..StartupOptions::default()
        };
        StudioApp::new(&ctx, RenderBackend::default(), startup)
    }

    #[test]
    fn one_comes_back_to_where_one_was() {
        let mut studio = studio();
        let first = studio.place();
        assert_eq!(
            (first.workspace.as_str(), first.view.as_str(), &first.weights),
            ("explore", "pca", &None)
        );
        for (workspace, view) in [("train", "pca"), ("explore", "match"), ("evaluate", "attention")] {
            let there =
                StudioUrlState { workspace: workspace.to_owned(), view: view.to_owned(), ..first.clone() };
            studio.go(&there);
            assert_eq!(studio.place(), there);
        }
        let beside = StudioUrlState { against: Some(STARTER_NAME.to_owned()), ..studio.place() };
        studio.go(&beside);
        assert!(studio.explore().compares());
        assert_eq!(studio.place(), beside);
        studio.go(&first);
        assert_eq!(studio.place(), first);
        assert!(!studio.explore().compares());
        studio.closed();
    }

    #[test]
    fn what_nobody_knows_changes_nothing() {
        let mut studio = studio();
        let before = studio.place();
        studio.go(&StudioUrlState { workspace: "nowhere".to_owned(), ..StudioUrlState::default() });
        assert_eq!(studio.place(), before);
        assert!(view("nonsense").is_none() && workspace("pca").is_none());
        assert_eq!(names(), "pca, attention, similarity, match, explore, train, evaluate, curate");
    }

    #[test]
    fn a_model_that_can_not_be_had_leaves_the_address_of_the_one_that_looks() {
        let ctx = egui::Context::default();
        let mut studio = studio();
        let wait = |studio: &mut StudioApp, ctx: &egui::Context| {
            for _ in 0..20_000 {
                studio.logic(ctx);
                if !studio.explore().opens() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            panic!("it never opened");
        };
        wait(&mut studio, &ctx);
        let no_such = Some("no-such-model".to_owned());
        studio.go(&StudioUrlState { weights: no_such.clone(), ..studio.place() });
        assert_eq!(studio.place().weights, no_such, "what is asked for");
        wait(&mut studio, &ctx);
        assert_eq!(studio.place().weights, None);
    }
}
