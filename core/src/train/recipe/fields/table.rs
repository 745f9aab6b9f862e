//! All fields of a recipe.

use super::RecipeField;
use crate::data::MAX_CHANNELS;
use crate::train::recipe::gram::GRAM_FIELDS;
use crate::train::recipe::loss::LOSS_FIELDS;
use crate::train::recipe::sharing::SHARING_FIELDS;

/// A field that decides what is computed.
pub(in crate::train) const fn f(
    key: &'static str,
    meaning: &'static str,
    unit: &'static str,
    low: f64,
    high: f64,
) -> RecipeField {
    RecipeField { key, meaning, unit, range: (low, high), live: false }
}

/// The same, for a field that does not touch what is computed: it may change while a run goes on.
pub(in crate::train) const fn live(
    key: &'static str,
    meaning: &'static str,
    unit: &'static str,
    low: f64,
    high: f64,
) -> RecipeField {
    RecipeField { live: true, ..f(key, meaning, unit, low, high) }
}

/// Above every count of iterations.
pub(in crate::train) const HUGE: f64 = 1e9;

/// All fields, in the order of the file.
pub const FIELDS: &[RecipeField] = &{
    const PARTS: [&[RecipeField]; 6] = [FIRST, &LOSS_FIELDS, &GRAM_FIELDS, MIDDLE, &SHARING_FIELDS, REST];
    const OF_SECTIONS: usize = LOSS_FIELDS.len() + GRAM_FIELDS.len() + SHARING_FIELDS.len();
    let mut all = [FIRST[0]; FIRST.len() + MIDDLE.len() + REST.len() + OF_SECTIONS];
    let (mut part, mut at) = (0, 0);
    while part < PARTS.len() {
        let mut i = 0;
        while i < PARTS[part].len() {
            all[at] = PARTS[part][i];
            (i, at) = (i + 1, at + 1);
        }
        part += 1;
    }
    all
};

/// Those before `[loss]`.
const FIRST: &[RecipeField] = &[
    f("preset", "Name of the recipe that this one started from", "", 0.0, 0.0),
    f("model.patch", "Side of a patch", "pixels", 1.0, 64.0),
    f("model.dim", "Width of a token; a multiple of the heads", "", 1.0, 8192.0),
    f("model.depth", "Transformer blocks", "", 1.0, 128.0),
    f("model.heads", "Attention heads", "", 1.0, 128.0),
    f("model.ffn", "Feed-forward network: mlp or swiglu", "", 0.0, 0.0),
    f("model.registers", "Register tokens (Darcet et al. 2023)", "", 0.0, 64.0),
    f("model.layerscale", "Initial gain of the residual branches; 0 for none", "", 0.0, 10.0),
    f("model.drop_path", "Share of crops that skip a residual branch in training", "", 0.0, 0.95),
    f("model.norm_eps", "Added to the variance in every LayerNorm", "", 0.0, 1.0),
    f("model.positions", "How a patch's place is told: table (DINOv2) or rope (DINOv3)", "", 0.0, 0.0),
    f("model.interpolate_offset", "Added to the grid when positions are resampled", "patches", 0.0, 1.0),
    f("model.interpolate_antialias", "Resample positions with antialiasing", "", 0.0, 0.0),
    f("model.rope_shift", "Rotary positions are moved by up to this in training", "half sides", 0.0, 1.0),
    f(
        "model.rope_jitter",
        "Each axis is stretched up to so many times; 1 for not at all",
        "times",
        1.0,
        16.0,
    ),
    f(
        "model.rope_rescale",
        "Both axes are stretched up to so many times; 1 for not at all",
        "times",
        1.0,
        16.0,
    ),
    f("crops.global_size", "Side of the two global crops; a multiple of the patch", "pixels", 1.0, 4096.0),
    f("crops.local_size", "Side of the local crops; a multiple of the patch", "pixels", 1.0, 4096.0),
    f("crops.locals", "Local crops per picture", "", 0.0, 64.0),
    f("crops.global_scale", "Area of a global crop, from and to", "share of the picture", 1e-4, 1.0),
    f("crops.local_scale", "Area of a local crop, from and to", "share of the picture", 1e-4, 1.0),
    f(
        "crops.blur",
        "Blur probabilities: official (0, 0.9, 0.5), intended (1, 0.1, 0.5) or none",
        "",
        0.0,
        0.0,
    ),
    f("crops.brightness", "Jitter of the brightness, as a factor of 1 ± this", "", 0.0, 1.0),
    f("crops.contrast", "Jitter of the contrast, as a factor of 1 ± this", "", 0.0, 1.0),
    f("crops.saturation", "Jitter of the saturation, as a factor of 1 ± this", "", 0.0, 1.0),
    f("crops.hue", "Jitter of the hue; 0.5 reaches every colour", "turns", 0.0, 0.5),
    f("crops.grayscale", "Share of crops without colour", "", 0.0, 1.0),
    f("crops.solarize", "Share of second global crops that are solarised", "", 0.0, 1.0),
    f("mask.probability", "Share of global crops that are masked", "", 0.0, 1.0),
    f("mask.ratio_min", "Smallest masked share of a masked crop", "", 0.0, 1.0),
    f("mask.ratio_max", "Largest masked share of a masked crop", "", 0.0, 1.0),
    f("head.prototypes", "Prototypes of the DINO head, K", "", 2.0, 1_048_576.0),
    f("head.hidden", "Hidden width of the heads", "", 1.0, 65_536.0),
    f("head.bottleneck", "Width before the prototypes", "", 1.0, 65_536.0),
    f("head.layers", "Linear layers of the heads' MLP", "", 1.0, 8.0),
    f("head.separate_ibot", "A head of its own for iBOT", "", 0.0, 0.0),
    f("head.ibot_prototypes", "Prototypes of a separate iBOT head", "", 2.0, 1_048_576.0),
    f("head.ibot_bottleneck", "Width before the prototypes of a separate iBOT head", "", 1.0, 65_536.0),
];

/// Those from `[optim]` on to what processes share out.
const MIDDLE: &[RecipeField] = &[
    f(
        "optim.schedule",
        "The learning rate after its warm-up: cosine (weight decay and momentum go to their ends likewise), or constant until the cool-down, for runs whose length is open (weight decay and momentum stay as they begin)",
        "",
        0.0,
        0.0,
    ),
    f(
        "optim.cooldown",
        "Last iterations, in which a constant learning rate falls to the one at the end",
        "iterations",
        0.0,
        HUGE,
    ),
    f(
        "optim.base_lr",
        "Peak learning rate for a batch of 1024; scales with the root of the batch",
        "",
        0.0,
        10.0,
    ),
    f("optim.min_lr", "Learning rate at the end", "", 0.0, 10.0),
    f("optim.warmup", "Length of the learning rate's warm-up", "iterations", 0.0, HUGE),
    f("optim.weight_decay", "Weight decay at the beginning", "", 0.0, 10.0),
    f("optim.weight_decay_end", "Weight decay at the end", "", 0.0, 10.0),
    f("optim.layer_decay", "Factor on the learning rate from each block to the one below", "", 0.01, 1.0),
    f("optim.patch_embed_lr", "Factor on the learning rate of the patch embedding", "", 0.0, 10.0),
    f("optim.beta1", "AdamW's decay of the first moment", "", 0.0, 0.9999),
    f("optim.beta2", "AdamW's decay of the second moment", "", 0.0, 0.999999),
    f(
        "optim.clip",
        "Largest gradient norm of the backbone and of each head; 0 for no clipping",
        "",
        0.0,
        HUGE,
    ),
    f("optim.freeze_last_layer", "How long the heads' last layers are held", "iterations", 0.0, HUGE),
    f("optim.momentum", "Momentum of the teacher at the beginning", "", 0.0, 1.0),
    f("optim.momentum_end", "Momentum of the teacher at the end", "", 0.0, 1.0),
    f("optim.teacher_temp_start", "Temperature of the teacher at the beginning", "", 0.001, 10.0),
    f("optim.teacher_temp", "Temperature of the teacher after its warm-up", "", 0.001, 10.0),
    f("optim.teacher_temp_warmup", "Length of the temperature's warm-up", "iterations", 0.0, HUGE),
    f(
        "start.weights",
        "Weights to start from: a file, a run, a pulled model; empty for random ones",
        "",
        0.0,
        0.0,
    ),
    f("start.heads", "Take the heads and the teacher of a run too, and not the backbone alone", "", 0.0, 0.0),
    f("start.hold_backbone", "How long only the heads are trained", "iterations", 0.0, HUGE),
    f(
        "distill.method",
        "What is learned from a frozen teacher: none, heads, similarity or regression",
        "",
        0.0,
        0.0,
    ),
    f("distill.teacher", "The frozen teacher: a file, a run, a pulled model", "", 0.0, 0.0),
    f(
        "distill.teacher_size",
        "Side of what the teacher sees; 0 for about that of a global crop",
        "pixels",
        0.0,
        4096.0,
    ),
    f("distill.patches", "Share of the patches of the global crops in the iBOT loss (heads)", "", 0.001, 1.0),
    f("distill.blocks", "Last blocks of the teacher whose patches are learned (regression)", "", 1.0, 128.0),
    f(
        "distill.queue",
        "Teacher's CLS vectors that similarity is taken to; 0 chooses by the pictures",
        "",
        0.0,
        1e6,
    ),
    f("distill.temperature", "Temperature of similarities", "", 0.001, 10.0),
    f(
        "distill.patch_weight",
        "Weight of the patches beside the CLS token (similarity, regression)",
        "",
        0.0,
        100.0,
    ),
    f(
        "distill.mixup",
        "Blend each batch with itself in another order (similarity, regression)",
        "",
        0.0,
        0.0,
    ),
    f(
        "distill.fixed_views",
        "Give each picture the same crops every time, and keep what the teacher says on disk (similarity, regression)",
        "",
        0.0,
        0.0,
    ),
    f("train.iterations", "Length of the run", "iterations", 1.0, HUGE),
    f("train.batch", "Pictures per step, all parts together", "pictures", 1.0, 65_536.0),
    f(
        "train.accumulate",
        "Parts that a batch is computed in; exact, costs a second student pass",
        "",
        1.0,
        65_536.0,
    ),
    f(
        "train.precision",
        "Numbers of the residual branches: f32, f16 or bf16; weights stay f32",
        "",
        0.0,
        0.0,
    ),
    f(
        "train.matmul_precision",
        "Numbers that a CPU multiplies matrices in: f32, or bf16, faster on Zen 4, Sapphire Rapids and later; sums and weights stay f32",
        "",
        0.0,
        0.0,
    ),
    f(
        "train.checkpoint_activations",
        "Keep less of the forward pass and compute it again: less memory, more work",
        "",
        0.0,
        0.0,
    ),
];

/// Those behind.
const REST: &[RecipeField] = &[
    f("train.seed", "Seed of weights, order, crops and masks", "", 0.0, 9e15),
    live("train.workers", "Threads that prepare pictures; 0 chooses", "", 0.0, 256.0),
    live("train.report_every", "Iterations between two reports", "iterations", 1.0, HUGE),
    live(
        "train.picture_every",
        "Iterations between two pictures of the watched images; 0 for none",
        "iterations",
        0.0,
        HUGE,
    ),
    live(
        "train.evaluate_every",
        "Iterations between two k-NN evaluations; 0 for none",
        "iterations",
        0.0,
        HUGE,
    ),
    live("train.checkpoint_every", "Iterations between two checkpoints", "iterations", 1.0, HUGE),
    live("train.keep_checkpoints", "Newest checkpoints that are kept", "", 1.0, 1e6),
    live("evaluate.linear", "Train linear probes on the features at every evaluation", "", 0.0, 0.0),
    live("evaluate.segment", "Train a linear segmentation at every evaluation", "", 0.0, 0.0),
    live("evaluate.depth", "Train a linear depth estimate at every evaluation", "", 0.0, 0.0),
    live(
        "evaluate.dense",
        "Pictures with a truth for every pixel: a folder, or built-in ones: `scenes` (of data.scene_kind), `scenes:easy`, `scenes:varied`",
        "",
        0.0,
        0.0,
    ),
    live(
        "evaluate.depth_unit",
        "What a step of its 16-bit depth files is worth: mm, cm, or metres such as 1/256",
        "",
        0.0,
        0.0,
    ),
    f(
        "data.path",
        "A folder of pictures, a list (.txt, .csv, .parquet with a column `path` or `key`), an archive (.tar, .zip, .parquet with pictures), an IDX file, or built-in pictures: `scenes`, `scenes:easy`, `scenes:varied`, `procedural`; several as `[\"A\", \"B\"]`, in shares as `[\"A*0.7\", \"procedural*0.3\"]`",
        "",
        0.0,
        0.0,
    ),
    f("data.labels", "Take the names of subfolders, or a table's column `label`, as labels", "", 0.0, 0.0),
    f(
        "data.channels",
        "Channels of a picture: 3 are colours, 1 is grey; others are bands or pages of TIFF files, opacity, sides of .npy files",
        "",
        1.0,
        MAX_CHANNELS as f64,
    ),
    f(
        "data.normalize",
        "What pictures are normalised by: auto (ImageNet's for colours, else measured as the run begins), or means and deviations as in `0.45 0.31 / 0.22 0.19`",
        "",
        0.0,
        0.0,
    ),
    f(
        "data.depth_range",
        "Black and white of files of more than 8 bits: fixed, file (its lowest and highest), or numbers such as 0..4095",
        "",
        0.0,
        0.0,
    ),
    f(
        "data.reduce",
        "Keep pictures at the least size at which no crop has to be enlarged, not with all their pixels",
        "",
        0.0,
        0.0,
    ),
    f(
        "data.scene_kind",
        "What `scenes` means: varied (nothing but its form tells what an object is), or easy (one in the middle in its usual colours)",
        "",
        0.0,
        0.0,
    ),
    f("data.scenes", "How many built-in pictures; of several kinds each", "pictures", 1.0, 1e8),
    f("data.scene_size", "Side of the built-in pictures", "pixels", 8.0, 4096.0),
    f("data.scene_seed", "Seed of the built-in pictures", "", 0.0, 9e15),
    f(
        "data.scene_views",
        "Views of each scene: with 2 and more the global crops come from different ones, which have the form of the main object in common and nothing else",
        "",
        1.0,
        16.0,
    ),
];
