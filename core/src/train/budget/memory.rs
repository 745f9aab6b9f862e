//! How much memory a recipe takes, what to lower when it does not fit, and how much is in use.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::bytes;
use crate::ssl::CropMasks;
use crate::train::network::NetworkConfig;
use crate::train::recipe::Recipe;
use crate::train::state_bytes::StateBytes;

/// Sizes in bytes, float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Student, teacher, gradients and the two moments of AdamW, at a step's fullest moment.
    pub parameters: u64,
    /// What the student's blocks keep for the backward pass, and the similarities of patches where they are learned.
    pub activations: u64,
    /// Logits of student and teacher, with their softmax and gradient.
    pub logits: u64,
    /// The largest single tensor.
    pub largest: u64,
}

impl MemoryEstimate {
    /// All of it together.
    pub fn total(&self) -> u64 {
        self.parameters + self.activations + self.logits
    }
}

/// Estimates the memory of one part of a step in a process by itself.
pub fn estimate(recipe: &Recipe) -> MemoryEstimate {
    estimate_of_rank(recipe, 1)
}

/// Estimates the memory of one part of a step on one of so many ranks; `train.batch` is what this one has of the batch.
pub fn estimate_of_rank(recipe: &Recipe, ranks: usize) -> MemoryEstimate {
    let config = NetworkConfig::from(recipe);
    let b = &config.backbone;
    let state = StateBytes::new(&config, recipe.train.shard, ranks);

    let images = (recipe.train.batch / recipe.train.accumulate) as u64;
    let tokens = |side: usize| (b.prefix() + (side / b.patch).pow(2)) as u64;
    let (global, local) = (tokens(recipe.crops.global_size), tokens(recipe.crops.local_size));
    let locals = recipe.crops.locals as u64;
    let sequence = images * (2 * global + locals * local);
    let scores = images * b.heads as u64 * (2 * global * global + locals * local * local);
    // Per token and block: two norms, qkv, mixed values, two branches, twice the hidden width; scores twice.
    let per_token = (12 * b.dim + 3 * b.hidden) as u64;
    let grid = (recipe.crops.global_size / b.patch).pow(2);
    let gram = if recipe.loss.gram > 0.0 { 1 } else { 0 };
    // Of student, Gram teacher, their difference and its square.
    let similarities = gram * 4 * 2 * images * (grid * grid) as u64;
    let activations = b.depth as u64 * (sequence * per_token + 2 * scores) + similarities;
    let masked = match recipe.distill.is_on() {
        true => (2 * images * grid as u64) as f64 * recipe.distill.patches,
        false => CropMasks::upper_bound(&recipe.mask, 2 * images as usize, grid) as f64,
    } as u64;
    let k = if recipe.distill.of_features() { 0 } else { recipe.head.prototypes as u64 };
    let rows = images * (2 + locals) + masked;
    let largest =
        (rows * k).max(2 * images * b.heads as u64 * global * global).max(sequence * b.hidden as u64);
    MemoryEstimate {
        parameters: state.most + 4 * gram * b.parameters() as u64,
        activations: 4 * activations,
        logits: 4 * (4 * rows * k + 3 * (2 * images + masked) * k),
        largest: 4 * largest,
    }
}

/// A sentence with the sizes and what to lower.
pub fn hint(recipe: &Recipe) -> String {
    let e = estimate(recipe);
    format!(
        "This recipe needs about {} for parameters, {} for activations and {} for logits (largest tensor {}). If \
         memory ran out, raise train.accumulate (exact) or lower train.batch (now {}), crops.locals ({}), \
         crops.global_size ({}) or head.prototypes ({}){}.",
        bytes::shown(e.parameters),
        bytes::shown(e.activations),
        bytes::shown(e.logits),
        bytes::shown(e.largest),
        recipe.train.batch,
        recipe.crops.locals,
        recipe.crops.global_size,
        recipe.head.prototypes,
        if recipe.distill.is_on() { ", distill.patches" } else { "" }
    )
}

/// Whose memory is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemoryKind {
    /// A GPU's.
    #[serde(rename = "GPU")]
    Gpu,
    /// The process's.
    #[serde(rename = "process")]
    Process,
}

impl MemoryKind {
    /// `GPU` or `process`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "GPU",
            Self::Process => "process",
        }
    }
}

/// Memory in use, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStats {
    /// Held by tensors on a GPU; the machine's memory that the process takes otherwise.
    pub used: u64,
    /// The same with what is kept for later: pages of a GPU's pools that are not full.
    pub reserved: u64,
    /// Whose memory it is.
    pub what: MemoryKind,
}

/// Memory in use now: of a GPU's pools by this program, of this process on the CPU backend. `None` where nobody tells.
pub fn in_use(device: &Device) -> Option<MemoryStats> {
    if let Some(usage) = device.memory_pool_usage() {
        return Some(MemoryStats {
            used: usage.bytes_in_use,
            reserved: usage.bytes_reserved,
            what: MemoryKind::Gpu,
        });
    }
    let used = of_process("VmRSS:")?;
    Some(MemoryStats { used, reserved: used, what: MemoryKind::Process })
}

/// Bytes that this process may still take for tensors of the CPU backend. `None` where nobody tells (Linux does), and of
/// a GPU, which says how much is in use but not how much there is.
pub fn available(device: &Device) -> Option<u64> {
    if device.memory_pool_usage().is_some() {
        return None;
    }
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let system = kilobytes(&read("/proc/meminfo")?, "MemAvailable:")?;
    // A container may have less.
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    Some(limit.map_or(system, |(most, used)| system.min(most.saturating_sub(used))))
}

/// A size in bytes that the system keeps of this process, `VmRSS:` for instance; `None` where it keeps none (Linux does).
pub(crate) fn of_process(name: &str) -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, name)
}

/// The bytes of a line like `VmRSS: 12 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn accumulating_saves_activations_and_the_hint_says_so() {
        let recipe = Recipe::preset("nano").unwrap();
        let halved = recipe.with_overrides(&["train.accumulate=2".into()]).unwrap();
        let (a, b) = (estimate(&recipe), estimate(&halved));
        assert_eq!(a.parameters, b.parameters);
        assert_eq!(a.activations, 2 * b.activations);
        assert!(hint(&recipe).contains("train.accumulate"));
    }

    #[test]
    fn ranks_that_share_their_state_need_less() {
        let of = |shard: &str, ranks| {
            let recipe = Recipe::preset("nano").unwrap().with_overrides(&[format!("train.shard={shard}")]);
            estimate_of_rank(&recipe.unwrap(), ranks)
        };
        assert_eq!(of("none", 4), of("none", 1));
        assert_eq!(of("full", 1), of("none", 1));
        assert!(of("full", 4).parameters < of("optimizer", 4).parameters);
        assert!(of("optimizer", 4).parameters < of("none", 4).parameters);
        assert_eq!(of("full", 4).activations, of("none", 4).activations);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_in_use_grows_with_what_is_held() {
        let device = Device::flex();
        let before = in_use(&device).unwrap();
        // Written to, so that the pages are there.
        let held = std::hint::black_box(vec![1_u8; 256 << 20]);
        let after = in_use(&device).unwrap();
        assert_eq!((before.what, after.reserved), (MemoryKind::Process, after.used));
        assert!(
            after.used >= before.used + (200 << 20),
            "{before:?}, then {after:?} with {} more",
            held.len()
        );
        assert_eq!(of_process("VmNothing:"), None);
        assert!(available(&device).is_some_and(|free| free < 1 << 50));
    }
}
