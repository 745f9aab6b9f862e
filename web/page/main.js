// Loads the program, lets it take its first look and says what came out.

import init, { look } from './pkg/dinoscope_web.js';

const element = (id) => document.getElementById(id);

/** Difference to the CPU backend up to which two devices count as equal. */
const CLOSE = 1e-3;

/** Why this browser gives no GPU, or null and the adapter's own description of itself. */
async function findGpu() {
  if (!window.isSecureContext) {
    return { reason: 'Browsers allow WebGPU only on pages opened through https or on localhost.' };
  }
  if (!navigator.gpu) {
    return { reason: 'This browser has no WebGPU, or it is switched off.' };
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter) {
    return { reason: 'This browser knows WebGPU, but offers no graphics adapter for it.' };
  }
  const { description, vendor, architecture } = adapter.info ?? {};
  return { reason: null, name: description || [vendor, architecture].filter(Boolean).join(' ') };
}

/** With a space that does not break. */
const ms = (time) => `${time < 10 ? time.toFixed(1) : Math.round(time)}\u00a0ms`;

const shape = (sizes) => `[${sizes.join(', ')}]`;

/** 3e-6 rather than 0.0000029802322387695312. */
const small = (value) => (value === null ? 'no number' : value === 0 ? '0' : value.toExponential(0));

function sentence(report, adapter) {
  const model = `ViT ${report.side} px / ${report.patch} px patches, ${report.blocks} blocks`;
  const features = `${model}: features ${shape(report.shape)}`;
  const { gpu } = report;
  if (!gpu) {
    return `${features} on the CPU in ${ms(report.cpu_ms)}`;
  }
  const verdict = gpu.finite && gpu.difference !== null && gpu.difference < CLOSE
    ? `equals the CPU backend within ${small(gpu.difference)}`
    : `differs from the CPU backend by ${small(gpu.difference)}: this browser or its driver computes wrongly`;
  return `${features} on ${adapter} in ${ms(gpu.ms)}; ${verdict}`;
}

function facts(report, adapter) {
  const { gpu } = report;
  const rows = [['Features', `${shape(report.shape)}: batch, tokens, width`],
    ['Weights', `${report.parameters.toLocaleString('en')} random values`]];
  if (gpu) {
    rows.push(['Adapter', adapter]);
    rows.push(['WebGPU', `${ms(gpu.ms)}, the first time ${ms(gpu.first_ms)}`]);
  }
  rows.push(['CPU', ms(report.cpu_ms)]);
  if (gpu) {
    rows.push(['Largest difference', small(gpu.difference), gpu.difference !== null && gpu.difference < CLOSE]);
  }
  for (const [name, value, good] of rows) {
    const term = document.createElement('dt');
    const detail = document.createElement('dd');
    term.textContent = name;
    detail.textContent = value;
    detail.classList.toggle('good', good === true);
    element('facts').append(term, detail);
  }
  element('facts').hidden = false;
}

function advise(reason) {
  element('reason').textContent = `${reason} Features were computed on the CPU instead.`;
  element('advice').hidden = false;
}

function finish(state, text) {
  element('sentence').textContent = text;
  document.body.dataset.state = state;
}

async function main() {
  await init();
  const found = await findGpu();
  element('sentence').textContent = 'Computing features…';
  const report = JSON.parse(await look(found.reason === null));
  const adapter = report.gpu?.adapter || found.name || 'this GPU';
  const reason = found.reason ?? (report.gpu_error && `WebGPU did not start (${report.gpu_error}).`);
  if (reason) {
    advise(reason);
  }
  facts(report, adapter);
  document.body.dataset.report = JSON.stringify(report);
  finish('ready', sentence(report, adapter));
}

main().catch((error) => {
  console.error(error);
  finish('failed', `This page stopped: ${error?.message ?? error}. The browser's console says more.`);
});
