//! The backbone, top to bottom as in the paper: patches, tokens, positions, blocks, norm.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor};

use super::attention::concatenate;
use super::block::{TransformerBlock, VitForwardOptions};
use super::config::VitConfig;
use super::layers::{LayerNorm, WeightInit, constant, normal};
use super::patch_embed::PatchEmbed;
use super::pos_embed::resample;
use super::rope::{RopeGrid, RopeWarp, rope_tensor};
use crate::fused::packing::{CropGroup, SequencePacking};
use dinoscope_base::rng::stream;

/// A Vision Transformer. Its parameter paths are the official checkpoint keys.
#[derive(Module, Debug)]
pub struct Vit {
    /// `[1, 1, dim]`
    pub cls_token: Param<Tensor<3>>,
    /// `[1, 1 + grid.area(), dim]`; the first row belongs to the CLS token. `None` with rotary positions.
    pub pos_embed: Option<Param<Tensor<3>>>,
    /// `[1, dim]`; takes the place of masked patches.
    pub mask_token: Param<Tensor<2>>,
    /// `[1, registers, dim]`
    pub register_tokens: Option<Param<Tensor<3>>>,
    /// Pictures to patch tokens.
    pub patch_embed: PatchEmbed,
    /// The transformer.
    pub blocks: Vec<TransformerBlock>,
    /// Applied to every token at the end.
    pub norm: LayerNorm,
    /// Sizes.
    #[module(skip)]
    pub config: VitConfig,
}

/// Crops of one size on their way in.
#[derive(Clone, Debug)]
pub struct VitInput {
    /// `[batch, channels, height, width]`, normalised; both sides are multiples of the patch.
    pub images: Tensor<4>,
    /// `[batch, patches]`: true where the student must guess.
    pub masks: Option<Tensor<2, Bool>>,
}

/// What a forward pass gives for crops of one size. All but `prenorm` have passed the final norm.
#[derive(Clone, Debug)]
pub struct VitOutput {
    /// `[batch, dim]`
    pub cls: Tensor<2>,
    /// `[batch, registers, dim]`; `None` without registers.
    pub registers: Option<Tensor<3>>,
    /// `[batch, patches, dim]`, patches row by row.
    pub patches: Tensor<3>,
    /// `[batch, tokens, dim]`: CLS, registers, patches before the final norm.
    pub prenorm: Tensor<3>,
}

/// The tokens of all crops behind the last block, one crop after the other: CLS, registers, patches.
#[derive(Clone, Debug)]
pub struct PackedTokens {
    /// `[tokens, dim]`, before the final norm.
    pub prenorm: Tensor<2>,
    /// `[tokens, dim]`, behind it.
    pub normed: Tensor<2>,
    /// Where each crop begins.
    pub packing: Arc<SequencePacking>,
}

/// Which blocks to look behind.
#[derive(Clone, Copy, Debug)]
pub enum LayerSelection<'a> {
    /// The last n blocks.
    Last(usize),
    /// These blocks, counted from 0; results come in block order.
    At(&'a [usize]),
}

/// Tokens behind one block.
#[derive(Clone, Debug)]
pub struct LayerOutput {
    /// `[batch, dim]`
    pub cls: Tensor<2>,
    /// `[batch, patches, dim]`
    pub patches: Tensor<3>,
    /// `[batch, tokens, dim]`: CLS, registers, patches.
    pub tokens: Tensor<3>,
}

impl LayerOutput {
    /// Patch tokens as a map, `[batch, dim, rows, cols]`.
    pub fn map(&self, rows: usize, cols: usize) -> Tensor<4> {
        let [batch, _, dim] = self.patches.dims();
        self.patches.clone().swap_dims(1, 2).reshape([batch, dim, rows, cols])
    }
}

/// One batch of whole pictures on its way through the blocks.
struct EmbeddedBatch {
    /// `[batch * tokens, dim]`
    x: Tensor<2>,
    packing: Arc<SequencePacking>,
    rope: Option<Tensor<2>>,
}

impl EmbeddedBatch {
    /// Behind one more block, without stochastic depth.
    fn through(mut self, block: &TransformerBlock) -> Self {
        self.x = block.forward(self.x, &self.packing, self.rope.as_ref(), &mut VitForwardOptions::default());
        self
    }

    fn group(&self) -> CropGroup {
        self.packing.groups[0]
    }
}

impl Vit {
    /// A backbone with random weights. The same seed gives the same weights on every device.
    pub fn init(config: &VitConfig, seed: u64, device: &Device) -> Self {
        Self::new(config, &mut WeightInit::Random(stream(seed, "backbone", 0, 0)), device)
    }

    /// A backbone whose weights are yet to be loaded: all that training would draw at random is 0.
    pub fn unloaded(config: &VitConfig, device: &Device) -> Self {
        Self::new(config, &mut WeightInit::Zeros, device)
    }

    fn new(config: &VitConfig, draw: &mut WeightInit, device: &Device) -> Self {
        let (dim, positions) = (config.dim, 1 + config.grid.area());
        // DINOv3 draws tokens like weights.
        let tokens = if config.rope.is_some() { 0.02 } else { 1e-6 };
        Self {
            cls_token: normal([1, 1, dim], tokens, draw, device),
            pos_embed: config.rope.is_none().then(|| normal([1, positions, dim], 0.02, draw, device)),
            mask_token: constant([1, dim], 0.0, device),
            register_tokens: (config.registers > 0)
                .then(|| normal([1, config.registers, dim], tokens, draw, device)),
            patch_embed: PatchEmbed::init(config.channels(), config.patch, dim, draw, device),
            blocks: (0..config.depth).map(|_| TransformerBlock::init(config, draw, device)).collect(),
            norm: LayerNorm::init(dim, config.norm_eps, device),
            config: config.clone(),
        }
    }

    /// All crops in one packed pass; one result for each entry of `crops`.
    ///
    /// Equal to passing each entry alone: crops never see each other.
    pub fn forward_packed(&self, crops: &[VitInput], pass: VitForwardOptions) -> Vec<VitOutput> {
        let PackedTokens { prenorm, normed, packing } = self.forward_tokens(crops, pass);
        packing.spans().map(|(start, group)| self.features(&prenorm, &normed, start, group)).collect()
    }

    /// [`Vit::forward_packed`], all tokens in one sequence: for who needs some of them.
    pub fn forward_tokens(&self, crops: &[VitInput], mut pass: VitForwardOptions) -> PackedTokens {
        let (tokens, groups): (Vec<_>, Vec<_>) = crops.iter().map(|c| self.prepare_tokens(c)).unzip();
        let packing = Arc::new(SequencePacking { groups });
        let grids: Vec<RopeGrid> = crops.iter().map(|c| self.rope_grid(&c.images)).collect();
        let mut x = concatenate(tokens);
        // Where nothing moves one table does for all blocks.
        let mut moves = pass.rope.take().filter(|draws| !draws.augmentation.is_none());
        let mut rope = match &moves {
            None => self.rope_table(&grids, || RopeWarp::NONE, &x.device()),
            Some(_) => None,
        };
        for block in &self.blocks {
            if let Some(draws) = moves.as_deref_mut() {
                rope = self.rope_table(&grids, || draws.augmentation.draw(draws.rng), &x.device());
            }
            x = block.forward(x, &packing, rope.as_ref(), &mut pass);
        }
        let prenorm = x;
        PackedTokens { normed: self.norm.forward(prenorm.clone()), prenorm, packing }
    }

    /// One batch of crops, no stochastic depth.
    pub fn forward(&self, images: Tensor<4>, masks: Option<Tensor<2, Bool>>) -> VitOutput {
        self.forward_packed(&[VitInput { images, masks }], VitForwardOptions::default()).swap_remove(0)
    }

    /// [`Vit::forward`] of pictures without masks, a block at a time: `pause` is awaited before each block, and ends it by
    /// saying no. Nothing then.
    pub async fn forward_pausing(
        &self,
        images: Tensor<4>,
        mut pause: impl AsyncFnMut() -> bool,
    ) -> Option<VitOutput> {
        let at = self.forward_blocks(&self.blocks, images, &mut pause).await?;
        let normed = self.norm.forward(at.x.clone());
        Some(self.features(&at.x, &normed, 0, at.group()))
    }

    /// [`Vit::attention`] in the same way.
    ///
    /// # Panics
    /// When the block does not exist.
    pub async fn attention_pausing(
        &self,
        images: Tensor<4>,
        block: usize,
        query: Option<usize>,
        mut pause: impl AsyncFnMut() -> bool,
    ) -> Option<Tensor<4>> {
        let at = self.forward_blocks(&self.blocks[..block], images, &mut pause).await?;
        Some(self.blocks[block].attention(at.x.clone(), at.group(), query, at.rope.as_ref()))
    }

    /// One batch of whole pictures through some blocks; nothing where `pause` says no.
    async fn forward_blocks(
        &self,
        blocks: &[TransformerBlock],
        images: Tensor<4>,
        pause: &mut impl AsyncFnMut() -> bool,
    ) -> Option<EmbeddedBatch> {
        let mut at = self.embed_batch(images);
        for block in blocks {
            if !pause().await {
                return None;
            }
            at = at.through(block);
        }
        pause().await.then_some(at)
    }

    /// The residual stream behind chosen blocks, with the final norm on each of them or without.
    ///
    /// # Panics
    /// When a block does not exist; callers check against [`VitConfig::depth`].
    pub fn intermediate_layers(
        &self,
        images: Tensor<4>,
        layers: LayerSelection,
        norm: bool,
    ) -> Vec<LayerOutput> {
        let depth = self.blocks.len();
        let wanted: Vec<usize> = match layers {
            LayerSelection::Last(n) => (depth.saturating_sub(n)..depth).collect(),
            LayerSelection::At(blocks) => blocks.to_vec(),
        };
        assert!(wanted.iter().all(|&i| i < depth), "blocks {wanted:?} of a backbone with {depth}");
        let mut at = self.embed_batch(images);
        let mut outputs = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            at = at.through(block);
            if wanted.contains(&i) {
                let tokens = if norm { self.norm.forward(at.x.clone()) } else { at.x.clone() };
                let VitOutput { cls, patches, prenorm: tokens, .. } =
                    self.features(&tokens, &tokens, 0, at.group());
                outputs.push(LayerOutput { cls, patches, tokens });
            }
        }
        outputs
    }

    /// Attention probabilities of one block, `[batch, heads, queries, tokens]`; `query` picks one token.
    ///
    /// Token 0 is CLS, then registers, then patches. Fused kernels never hold these, so they are recomputed.
    ///
    /// # Panics
    /// When the block does not exist.
    pub fn attention(&self, images: Tensor<4>, block: usize, query: Option<usize>) -> Tensor<4> {
        let at = self.blocks[..block].iter().fold(self.embed_batch(images), EmbeddedBatch::through);
        self.blocks[block].attention(at.x.clone(), at.group(), query, at.rope.as_ref())
    }

    /// What [`Vit::forward`] and [`Vit::attention`] give, in one pass.
    ///
    /// # Panics
    /// When the block does not exist.
    pub fn forward_with_attention(
        &self,
        images: Tensor<4>,
        block: usize,
        query: Option<usize>,
    ) -> (VitOutput, Tensor<4>) {
        let (before, after) = self.blocks.split_at(block);
        let at = before.iter().fold(self.embed_batch(images), EmbeddedBatch::through);
        let attention = after[0].attention(at.x.clone(), at.group(), query, at.rope.as_ref());
        let at = after.iter().fold(at, EmbeddedBatch::through);
        let normed = self.norm.forward(at.x.clone());
        (self.features(&at.x, &normed, 0, at.group()), attention)
    }

    /// The tokens of one batch of whole pictures.
    fn embed_batch(&self, images: Tensor<4>) -> EmbeddedBatch {
        let grid = self.rope_grid(&images);
        let (x, group) = self.prepare_tokens(&VitInput { images, masks: None });
        let rope = self.rope_table(&[grid], || RopeWarp::NONE, &x.device());
        EmbeddedBatch { x, packing: Arc::new(SequencePacking { groups: vec![group] }), rope }
    }

    /// Where the patches of pictures `[batch, channels, height, width]` are.
    fn rope_grid(&self, images: &Tensor<4>) -> RopeGrid {
        let ([_, _, height, width], patch) = (images.dims(), self.config.patch);
        RopeGrid { prefix: self.config.prefix(), rows: height / patch, cols: width / patch }
    }

    /// Cosines and sines of all groups, `[positions, width]`, with rotary positions; `warp` is asked once for each group.
    fn rope_table(
        &self,
        grids: &[RopeGrid],
        warp: impl FnMut() -> RopeWarp,
        device: &Device,
    ) -> Option<Tensor<2>> {
        let rope = self.config.rope.as_ref()?;
        Some(rope_tensor(rope, self.config.head_width(), grids, warp, device))
    }

    /// Crops to flat tokens `[batch * tokens, dim]`: patches, masked where asked, positions, CLS, registers.
    fn prepare_tokens(&self, crops: &VitInput) -> (Tensor<2>, CropGroup) {
        let [batch, _, height, width] = crops.images.dims();
        let (rows, cols) = (height / self.config.patch, width / self.config.patch);
        let dim = self.config.dim;
        let mut patches = self.patch_embed.forward(crops.images.clone());
        if let Some(masks) = &crops.masks {
            let shape = [batch, rows * cols, dim];
            let token = self.mask_token.val().unsqueeze::<3>().expand(shape);
            patches = patches.mask_where(masks.clone().unsqueeze_dim::<3>(2).expand(shape), token);
        }
        let mut class = self.cls_token.val();
        if let Some(table) = &self.pos_embed {
            let positions = resample(table.val(), self.config.grid, rows, cols, self.config.interpolation);
            class = class + positions.clone().narrow(1, 0, 1);
            patches = patches + positions.narrow(1, 1, rows * cols);
        }
        let mut parts = vec![class.expand([batch, 1, dim])];
        if let Some(registers) = &self.register_tokens {
            // Registers have no position.
            parts.push(registers.val().expand([batch, self.config.registers, dim]));
        }
        parts.push(patches);
        let tokens = self.config.prefix() + rows * cols;
        (Tensor::cat(parts, 1).reshape([batch * tokens, dim]), CropGroup { count: batch, tokens })
    }

    /// Cuts one group out of the flat sequence.
    fn features(&self, x: &Tensor<2>, normed: &Tensor<2>, start: usize, group: CropGroup) -> VitOutput {
        let (registers, dim) = (self.config.registers, self.config.dim);
        let cut = |x: &Tensor<2>| {
            x.clone().narrow(0, start, group.count * group.tokens).reshape([group.count, group.tokens, dim])
        };
        let normed = cut(normed);
        let prefix = 1 + registers;
        VitOutput {
            cls: normed.clone().narrow(1, 0, 1).squeeze_dim(1),
            registers: (registers > 0).then(|| normed.clone().narrow(1, 1, registers)),
            patches: normed.narrow(1, prefix, group.tokens - prefix),
            prenorm: cut(x),
        }
    }
}
