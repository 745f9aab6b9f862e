// Loads the program and the starter weights, shows how far that is, and gives the page to the studio.

import init, { arrived, font, glance, hidden, place, start, trouble, widgets } from './pkg/dinoscope_web.js';
import { findGpu } from './gpu.js';
import { Host } from './host.js';
import { load } from './load.js';
import { note, offer, progress, ready, stopped } from './screens.js';
import { watch } from './update.js';
import { listen } from './arrivals.js';

const PROGRAM = new URL('./pkg/dinoscope_web_bg.wasm', import.meta.url);
const FONT = new URL('./fonts/Hack-Regular.ttf', import.meta.url);
const STARTER = new URL('./weights/starter.safetensors', import.meta.url);

/** What the page's address asks for; see `Wishes` in app/src/tab/window.rs. */
function wishes() {
  const asked = new URLSearchParams(location.search);
  return {
    image: asked.getAll('image').map(absolute),
    weights: absolute(asked.get('weights')),
    view: asked.get('view'),
    device: asked.get('device'),
  };
}

/** An address as seen from this page; names of released models stay names. */
function absolute(address) {
  const isAddress = address && /[./]/.test(address);
  return isAddress ? new URL(address, document.baseURI).href : address;
}

async function main() {
  const parts = { program: 0, weights: 0 };
  const hear = (name) => (done) => {
    parts[name] = done;
    progress(parts.program + parts.weights);
  };
  const gpu = findGpu();
  const starter = load(STARTER, hear('weights')).then((response) => response.arrayBuffer());
  const module = await load(PROGRAM, hear('program')).then((response) => WebAssembly.compileStreaming(response));
  await init({ module_or_path: module });
  place('/starter.safetensors', new Uint8Array(await starter));

  const host = new Host(module, { arrived, trouble });
  const { reason } = await gpu;
  const asked = wishes();
  const begin = (webgpu) => start(host, host.canvas(), JSON.stringify(asked), webgpu);
  let why = asked.device === 'cpu' ? null : reason;
  try {
    await begin(!reason && asked.device !== 'cpu');
  } catch (error) {
    if (reason || asked.device === 'cpu') {
      throw new Error(`Neither WebGPU nor WebGL draws here. ${reason ?? ''} ${error.message ?? error}`);
    }
    why = `WebGPU did not start (${error.message ?? error}).`;
    host.freshCanvas();
    await begin(false);
  }
  if (why) {
    note(why);
  }
  listen(host);
  document.addEventListener('visibilitychange', () => hidden(document.hidden));
  // For tests, and for who is curious.
  window.dinoscope = {
    state: () => JSON.parse(glance()),
    widgets: () => JSON.parse(widgets()),
  };
  ready();
  await more().catch((error) => console.warn(`no font for columns: ${error.message}`));
}

/** What is not needed for the first picture. */
async function more() {
  const letters = await load(FONT, () => undefined).then((response) => response.arrayBuffer());
  font(new Uint8Array(letters));
}

const loaded = main().catch((error) => {
  stopped(String(error?.message ?? error));
});

if ('serviceWorker' in navigator && window.isSecureContext) {
  navigator.serviceWorker.register('sw.js')
    .then((registration) => loaded.then(() => watch(registration, import.meta.url, offer)))
    .catch((error) => console.warn(`not kept for offline use: ${error}`));
}
