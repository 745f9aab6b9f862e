// Loads the program and the starter weights, shows how far that is, and gives the page to the studio.

import { findGpu } from './gpu.js';
import { Host } from './host.js';
import { load, whole } from './load.js';
import { around, program } from './program.js';
import { Trouble, note, offer, progress, ready, stopped } from './screens.js';
import { watch } from './update.js';
import { listen } from './arrivals.js';

const PROGRAM = new URL('./pkg/dinoscope_web_bg.wasm', import.meta.url);
const FONT = new URL('./fonts/Hack-Regular.ttf', import.meta.url);
const STARTER = new URL('./weights/starter.safetensors', import.meta.url);
/** How long the studio waits for the starter weights once it could start, in milliseconds. */
const ENOUGH = 5000;

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

/** An address as seen from this page; names of released models stay names, also with `facebook/` before them. */
function absolute(address) {
  const isAddress = address && /[./]/.test(address) && !/^facebook\/[\w-]+$/.test(address);
  return isAddress ? new URL(address, document.baseURI).href : address;
}

/**
 * The starter weights: on their way from the beginning. The page goes on without them, and may ask for them again.
 * @param {import('./load.js').Hear} hear
 */
function starter(hear) {
  let loading = whole(STARTER, hear).then(({ bytes }) => bytes);
  loading.catch(() => {});
  const again = async (hear) => {
    const found = loading ?? whole(STARTER, hear).then(({ bytes }) => bytes);
    loading = undefined;
    return found;
  };
  const soon = () => Promise.race([
    loading.catch(() => undefined),
    new Promise((later) => setTimeout(later, ENOUGH)),
  ]);
  return { again, soon };
}

async function main() {
  const parts = { program: 0, weights: 0 };
  const hear = (name) => (done, _, word) => {
    parts[name] = done;
    progress(parts.program + parts.weights, word);
  };
  const gpu = findGpu();
  const weights = starter(hear('weights'));
  const [module, studio] = await Promise.all([
    program(PROGRAM, hear('program')),
    around(import('./pkg/dinoscope_web.js')),
  ]);
  const { arrived, font, glance, hidden, place, start, trouble, widgets } = studio;
  await studio.default({ module_or_path: module });
  const bytes = await weights.soon();
  if (bytes) {
    place('/starter.safetensors', bytes);
  }

  const host = new Host(module, weights.again, { arrived, trouble });
  const { reason } = await gpu;
  const asked = wishes();
  const begin = (webgpu) => start(host, host.canvas(), JSON.stringify(asked), webgpu);
  let why = asked.device === 'cpu' ? null : reason;
  try {
    await begin(!reason && asked.device !== 'cpu');
  } catch (error) {
    if (reason || asked.device === 'cpu') {
      throw new Trouble('drawing', `Neither WebGPU nor WebGL draws here. ${reason ?? ''} ${error.message ?? error}`);
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
  await more(font).catch((error) => console.warn(`no font for columns: ${error.message}`));
}

/** What is not needed for the first picture. */
async function more(font) {
  const letters = await load(FONT).then((response) => response.arrayBuffer());
  font(new Uint8Array(letters));
}

const loaded = main().catch((error) => {
  stopped(String(error?.message ?? error), error instanceof Trouble ? error.cause : 'fault');
});

if ('serviceWorker' in navigator && window.isSecureContext) {
  navigator.serviceWorker.register('sw.js')
    .then((registration) => loaded.then(() => watch(registration, import.meta.url, offer)))
    .catch((error) => console.warn(`not kept for offline use: ${error}`));
}
