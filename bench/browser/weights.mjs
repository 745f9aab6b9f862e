// Random weights of a DINOv2 or DINOv3 backbone as an official-key safetensors file, the same ones at every call.

import fs from 'node:fs/promises';

/**
 * @typedef {object} Backbone
 * @property {number} patch Side of a patch in pixels.
 * @property {number} grid Side of the stored position grid in patches.
 * @property {number} dim
 * @property {number} depth
 * @property {number} heads
 * @property {boolean} [rope] Whether positions are DINOv3's, with four registers.
 */

/**
 * Official keys and shapes.
 * @param {Backbone} backbone
 * @returns {[string, number[]][]}
 */
function shapes({ patch, grid, dim, depth, heads, rope = false }) {
  const block = (i) => [
    ['attn.qkv.weight', [3 * dim, dim]], ['attn.qkv.bias', [3 * dim]],
    ['attn.proj.weight', [dim, dim]], ['attn.proj.bias', [dim]],
    ['mlp.fc1.weight', [4 * dim, dim]], ['mlp.fc1.bias', [4 * dim]],
    ['mlp.fc2.weight', [dim, 4 * dim]], ['mlp.fc2.bias', [dim]],
    ...['norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias', 'ls1.gamma', 'ls2.gamma'].map((key) => [key, [dim]]),
  ].map(([key, shape]) => [`blocks.${i}.${key}`, shape]);
  const positions = rope
    ? [['storage_tokens', [1, 4, dim]], ['rope_embed.periods', [dim / heads / 4]]]
    : [['pos_embed', [1, 1 + grid * grid, dim]]];
  return [
    ['cls_token', [1, 1, dim]], ['mask_token', [1, dim]], ...positions,
    ['patch_embed.proj.weight', [dim, 3, patch, patch]], ['patch_embed.proj.bias', [dim]],
    ...Array.from({ length: depth }, (_, i) => block(i)).flat(),
    ['norm.weight', [dim]], ['norm.bias', [dim]],
  ];
}

/**
 * Numbers from a normal distribution (Mulberry32, Box and Muller).
 * @param {number} seed
 */
function noise(seed) {
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/**
 * Gains around 1, so that every block matters, and projections that keep the size of what passes through.
 * @param {string} file
 * @param {Backbone} backbone
 */
export async function writeWeights(file, backbone) {
  const normal = noise(7);
  const config = { ...backbone, ffn: 'mlp', hidden: 4 * backbone.dim, registers: 0, layerscale: 1, qkv_bias: true,
    interpolation: { offset: 0.1, antialias: false }, drop_path: 0 };
  // DINOv3's files say all of it.
  const header = backbone.rope ? {} : { __metadata__: { 'dinoscope.config': JSON.stringify(config) } };
  const parts = [];
  let at = 0;
  for (const [key, shape] of shapes(backbone)) {
    const gain = /gamma$|norm\d?\.weight$/.test(key) ? 1 : 0;
    const spread = gain || !key.endsWith('weight') ? 0.1 : 1 / Math.sqrt(shape.slice(1).reduce((a, b) => a * b));
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => gain + spread * normal());
    if (key === 'rope_embed.periods') {
      values.forEach((_, j) => { values[j] = 100 ** (j / values.length); });
    } else if (backbone.rope && key.endsWith('qkv.bias')) {
      // Keys have no bias.
      values.fill(0, backbone.dim, 2 * backbone.dim);
    }
    header[key] = { dtype: 'F32', shape, data_offsets: [at, at + values.byteLength] };
    at += values.byteLength;
    parts.push(Buffer.from(values.buffer));
  }
  const text = Buffer.from(JSON.stringify(header));
  const padding = Buffer.alloc((8 - text.length % 8) % 8, ' ');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length + padding.length));
  await fs.writeFile(file, Buffer.concat([length, text, padding, ...parts]));
}
