//! The window is asked to close while a run goes on: nothing is lost without a word.

use egui::ViewportCommand;

use super::session::TrainSession;
use crate::studio::theme::{icons, space};
use crate::studio::widgets;

/// What was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseDialogState {
    /// Nobody asked.
    #[default]
    No,
    /// The question stands.
    Asked,
    /// The run is being stopped; then the window closes.
    Stopping,
    /// Nothing is in the way.
    Free,
}

impl CloseDialogState {
    /// Draws the question, and sees to what was answered.
    pub fn ui(&mut self, ctx: &egui::Context, own: Option<&mut TrainSession>) {
        let Some(own) = own.filter(|own| own.is_going()) else {
            if *self == Self::Stopping {
                *self = Self::Free;
                ctx.send_viewport_cmd(ViewportCommand::Close);
            } else if *self == Self::Asked {
                // It has ended by itself: the window may go, as was asked.
                *self = Self::Free;
                ctx.send_viewport_cmd(ViewportCommand::Close);
            }
            return;
        };
        if *self != Self::Free && ctx.input(|input| input.viewport().close_requested()) {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            if *self == Self::No {
                *self = Self::Asked;
            }
        }
        if !matches!(self, Self::Asked | Self::Stopping) {
            return;
        }
        let frame = egui::Frame::window(&ctx.global_style());
        let modal = egui::Modal::new(egui::Id::unique("closing")).frame(frame).show(ctx, |ui| {
            ui.set_width(400.0);
            widgets::heading(ui, "A run is going on");
            ui.add_space(space::S);
            if *self == Self::Stopping {
                ui.horizontal(|ui| {
                    ui.spinner();
                    ui.label("Finishing the step and saving. Then the window closes.");
                });
                ui.add_space(space::M);
                if widgets::button(ui, "", "Keep the window").clicked() {
                    *self = Self::No;
                }
                return;
            }
            let text = format!(
                "{} is at step {} of {}. Stopped, it is saved and can go on from there another day.",
                own.view.name, own.view.done, own.view.total
            );
            ui.add(egui::Label::new(text).wrap());
            ui.add_space(space::M);
            ui.horizontal(|ui| {
                if widgets::primary_button(ui, icons::SAVE, "Stop the run and save").clicked() {
                    own.stop();
                    *self = Self::Stopping;
                }
                if widgets::button(ui, "", "Keep running").clicked() {
                    *self = Self::No;
                }
            });
        });
        if *self == Self::Asked && modal.should_close() {
            *self = Self::No;
        }
    }
}
