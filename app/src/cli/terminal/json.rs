//! Events as JSON, one object a line.

use dinoscope_core::engine::{EngineError, RunEvent};
use dinoscope_core::train::forecast::RunForecast;
use serde_json::{Value, json};

/// An event as an object with its kind in `event`.
pub fn event(event: &RunEvent) -> Value {
    match event {
        RunEvent::Started { recipe, device, data, parameters, iteration } => json!({
            "event": "started", "preset": recipe.preset, "device": device, "data": data,
            "parameters": parameters, "iteration": iteration, "iterations": recipe.train.iterations,
        }),
        RunEvent::Step(step) => json!({
            "event": "step", "iteration": step.iteration, "values": step.values,
            "steps_per_second": step.steps_per_second, "images_per_second": step.images_per_second,
            "waited": step.waited, "health": step.health, "memory": step.memory,
        }),
        RunEvent::Aside(aside) => json!({
            "event": "aside", "iteration": aside.iteration, "what": aside.task.name(), "done": aside.done,
            "total": aside.total,
        }),
        RunEvent::Pictures { iteration, path } => {
            json!({ "event": "pictures", "iteration": iteration, "path": path })
        }
        RunEvent::Evaluation { iteration, accuracy, raw_pixels, agreement } => json!({
            "event": "evaluation", "iteration": iteration, "knn": accuracy, "raw_pixels": raw_pixels,
            "agreement": agreement,
        }),
        RunEvent::Crops { iteration, accuracy, raw_pixels } => json!({
            "event": "crops", "iteration": iteration, "accuracy": accuracy, "raw_pixels": raw_pixels,
        }),
        RunEvent::Judged { iteration, name, outcome } => {
            json!({ "event": "judged", "iteration": iteration, "name": name, "outcome": outcome })
        }
        RunEvent::Checkpoint { iteration, path } => {
            json!({ "event": "checkpoint", "iteration": iteration, "path": path })
        }
        RunEvent::Changed { recipe, needs_restart } => {
            json!({ "event": "changed", "recipe": recipe, "needs_restart": needs_restart })
        }
        RunEvent::Warning(message) => json!({ "event": "warning", "message": message }),
        RunEvent::Paused => json!({ "event": "paused" }),
        RunEvent::Resumed => json!({ "event": "resumed" }),
        RunEvent::Finished(finished) => json!({
            "event": "finished", "iteration": finished.iteration, "stopped": finished.stopped,
            "checkpoint": finished.checkpoint, "report": finished.report,
            "skipped": finished.skipped.iter().map(|(name, reason)| json!({ "name": name, "reason": reason }))
                .collect::<Vec<_>>(),
        }),
    }
}

/// The error that ended a run.
pub fn error(error: &EngineError) -> Value {
    json!({ "event": "error", "message": error.to_string() })
}

/// What a run is told to take, before its first step: bytes of memory, and seconds where the device's speed is known.
pub fn forecast(forecast: &RunForecast) -> Value {
    json!({ "event": "forecast", "memory": forecast.memory.total(), "seconds": forecast.seconds })
}
