//! Models that a page has kept: which, how large, and away with them.

use dinoscope_core::bytes;
use egui::{ScrollArea, Ui, vec2};

use super::theme::{self, icons, space};
use super::widgets;
use crate::platform::model_download::CachedModel;

/// Models that a person wants to be removed, by their addresses.
pub type Removed = Vec<String>;

/// Lists them; gives those that are to be removed.
pub fn ui(ui: &mut Ui, kept: &[CachedModel]) -> Removed {
    let mut removed = Vec::new();
    let sum: u64 = kept.iter().map(|model| model.bytes).sum();
    let text = if kept.is_empty() { "none".to_owned() } else { bytes::shown(sum) };
    widgets::property(ui, "Kept models", &text);
    if kept.is_empty() {
        return removed;
    }
    ScrollArea::vertical().id_salt("kept models").max_height(3.0 * theme::ROW).show(ui, |ui| {
        for model in kept {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing = vec2(space::S, 0.0);
                let name = model.name();
                if widgets::icon_button(ui, icons::TRASH, &*format!("Remove {name}")).clicked() {
                    removed.push(model.address.clone());
                }
                widgets::hint(ui, &format!("{name}, {}", bytes::shown(model.bytes)))
                    .on_hover_text(&model.address);
            });
        }
    });
    if kept.len() > 1 && widgets::button(ui, icons::TRASH, "Remove all kept models").clicked() {
        removed = kept.iter().map(|model| model.address.clone()).collect();
    }
    removed
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable as _;

    use super::*;

    fn two() -> Vec<CachedModel> {
        let hub = "https://huggingface.co/facebook/dinov2-small/resolve/main/model.safetensors";
        let own = "https://example.org/weights/mine.pth?v=2";
        [(hub, 88_250_000), (own, 1_900_000)]
            .map(|(address, bytes)| CachedModel { address: address.to_owned(), bytes })
            .to_vec()
    }

    #[test]
    fn they_are_named_with_their_sizes_and_can_be_removed() {
        let (mut harness, own) = (stage(two()), two()[1].address.clone());
        assert!(harness.query_by_label("90 MB").is_some());
        assert!(harness.query_by_label("dinov2-small, 88 MB").is_some());
        assert!(harness.query_by_label("mine.pth, 1.9 MB").is_some());
        harness.get_by_label("Remove mine.pth").click();
        harness.run();
        assert_eq!(harness.state().1, [own]);
        harness.get_by_label("Remove all kept models").click();
        harness.run();
        assert_eq!(harness.state().1.len(), 3);
    }

    #[test]
    fn where_none_are_kept_it_says_so() {
        let harness = stage(Vec::new());
        assert!(harness.query_by_label("none").is_some());
        assert!(harness.query_by_label("Remove all kept models").is_none());
    }

    fn stage(kept: Vec<CachedModel>) -> Harness<'static, (Vec<CachedModel>, Removed)> {
        let mut harness = Harness::builder()
            .with_context_setup(theme::install)
            .with_size(vec2(440.0, 320.0))
            .build_ui_state(
                |ui, (kept, removed): &mut (Vec<CachedModel>, Removed)| removed.extend(super::ui(ui, kept)),
                (kept, Vec::new()),
            );
        harness.run();
        harness
    }
}
