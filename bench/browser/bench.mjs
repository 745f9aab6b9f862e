// Dinoscope's package beside transformers.js in one browser: the same weights, the same picture, alternating runs.
//
//     npm ci --ignore-scripts
//     node bench.mjs --program DINOSCOPE --package DIST [--models small,vits14] [--devices webgpu,wasm] [--runs 7]
//                    [--size fixed|free] [--gpu software|hardware] [--json]
//
// DINOSCOPE is the native program, which writes the ONNX file; DIST the built npm package (js/dist); CHROMIUM names the
// browser. A run of ours goes from pixels to numbers in the page, one of theirs from a prepared tensor. Their ONNX file
// is written for the picture's size, which is what they are fastest with; `--size free` gives them one for any size.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

import { serve } from './serve.mjs';
import { writeWeights } from './weights.mjs';

const here = import.meta.dirname;
const target = process.env.CARGO_TARGET_DIR ?? path.join(here, '../../target');
const { values: options } = parseArgs({
  options: {
    program: { type: 'string', default: path.join(target, 'release/dinoscope') },
    package: { type: 'string', default: path.join(here, '../../js/dist') },
    models: { type: 'string', default: 'small' },
    devices: { type: 'string', default: 'webgpu,wasm' },
    runs: { type: 'string', default: '7' },
    size: { type: 'string', default: 'fixed' },
    gpu: { type: 'string', default: 'software' },
    json: { type: 'boolean', default: false },
  },
});

/** Backbones by name, with the side of the picture in pixels. */
const MODELS = {
  tiny: { patch: 14, grid: 16, dim: 96, depth: 4, heads: 3, side: 112 },
  small: { patch: 14, grid: 16, dim: 192, depth: 12, heads: 3, side: 224 },
  vits14: { patch: 14, grid: 37, dim: 384, depth: 12, heads: 6, side: 224 },
  dinov3_small: { patch: 16, grid: 14, dim: 192, depth: 12, heads: 3, side: 224, rope: true },
  dinov3_vits16: { patch: 16, grid: 14, dim: 384, depth: 12, heads: 6, side: 224, rope: true },
};
/** Who runs on a device. */
const SIDES = {
  webgpu: ['dinoscope', 'transformers'],
  wasm: ['dinoscope', 'transformers', 'onnxruntime'],
};
const LABELS = { dinoscope: 'Dinoscope', transformers: 'transformers.js', onnxruntime: 'onnxruntime-web' };
const LEAST_AGREEMENT = 0.9999;
const FLAGS = {
  software: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan',
    '--use-vulkan=swiftshader', '--use-angle=swiftshader'],
  hardware: ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--ignore-gpu-blocklist'],
};
const QUIET = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

for (const [file, remedy] of [
  [options.program, 'cargo build --release -p dinoscope'],
  [path.join(options.package, 'index.js'), 'cargo xtask web'],
  [path.join(here, 'node_modules'), 'npm ci --ignore-scripts in bench/browser'],
]) {
  if (!existsSync(file)) {
    console.error(`${file} is not there: ${remedy}`);
    process.exit(2);
  }
}
for (const [option, known] of [['models', MODELS], ['devices', SIDES]]) {
  const strange = options[option].split(',').find((name) => !(name in known));
  if (strange !== undefined) {
    console.error(`--${option} ${strange}: there are ${Object.keys(known).join(', ')}`);
    process.exit(2);
  }
}

/** Makes the folder that both sides load `name` from: a safetensors file, and a Hugging Face folder with ONNX. */
async function prepare(models, name) {
  const { side, ...backbone } = MODELS[name];
  const folder = path.join(models, name);
  const weights = path.join(folder, 'official.safetensors');
  await fs.mkdir(path.join(folder, 'onnx'), { recursive: true });
  await writeWeights(weights, backbone);
  const convert = (...rest) => execFileSync(options.program, ['weights', 'convert', weights, ...rest]);
  convert(folder, '--to', 'hugging-face');
  const size = options.size === 'free' ? 'free' : String(side);
  convert(path.join(folder, 'onnx/model.onnx'), '--to', 'onnx', '--size', size);
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** All sides in a page of their own; throws when their results disagree. */
async function compare(browser, address, name, device) {
  const page = await browser.newPage();
  page.on('console', (message) => message.type() === 'error' && process.stderr.write(`${message.text()}\n`));
  page.on('pageerror', (error) => process.stderr.write(`${error}\n`));
  await page.goto(`${address}/page/index.html`);
  await page.waitForSelector('body[data-state=ready]', { state: 'attached' });
  const call = (method, ...rest) => page.evaluate(([m, a]) => window.sides[m](...a), [method, rest]);
  const { side: pixels, rope } = MODELS[name];
  const registers = rope ? 4 : 0;
  const sides = [];
  for (const side of SIDES[device]) {
    const { about, milliseconds } = await call('open', side, name, device, pixels, registers);
    const agreement = await call('agreement', side);
    if (!(agreement >= LEAST_AGREEMENT)) {
      throw new Error(`${name} on ${device}: ${LABELS[side]} sees something else, least cosine of two tokens ${agreement}`);
    }
    sides.push({ side, about, agreement, first: milliseconds, times: [] });
  }
  for (let run = 0; run < Number(options.runs); run += 1) {
    // Whoever goes first changes, so that none always follows the same one.
    for (let i = 0; i < sides.length; i += 1) {
      const { side, times } = sides[(run + i) % sides.length];
      times.push(await call('look', side));
    }
  }
  await call('close');
  await page.close();
  const ours = median(sides[0].times);
  for (const side of sides) {
    Object.assign(side, { median: median(side.times), ratio: ours / median(side.times) });
  }
  return { model: name, pixels, device, sides };
}

function print({ model, pixels, device, sides }) {
  if (options.json) {
    console.log(JSON.stringify({ model, pixels, device, sides }));
    return;
  }
  console.log(`${model} at ${pixels}, ${device} (${sides[0].about})`);
  for (const { side, median: middle, times, first, ratio, agreement } of sides) {
    const spread = `${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)}`;
    const beside = side === 'dinoscope' ? '' : `; ours takes ${ratio.toFixed(2)} of it, least cosine ${agreement.toFixed(7)}`;
    const label = LABELS[side].padEnd(16);
    console.log(`  ${label} ${middle.toFixed(0)} ms (${spread}), loaded and seen first in ${first.toFixed(0)} ms${beside}`);
  }
}

const models = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-bench-'));
const server = await serve({ page: path.join(here, 'page'), modules: path.join(here, 'node_modules'),
  dinoscope: path.resolve(options.package), models });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true,
  args: [...QUIET, ...FLAGS[options.gpu]] });
try {
  for (const name of options.models.split(',')) {
    await prepare(models, name);
    for (const device of options.devices.split(',')) {
      print(await compare(browser, server.address, name, device));
    }
  }
} finally {
  await browser.close();
  server.close();
  await fs.rm(models, { recursive: true });
}
