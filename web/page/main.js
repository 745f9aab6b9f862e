// Loads the program and the starter weights, shows how far that is, and gives the page to the studio.

import * as address from './address.js';
import * as ahead from './ahead.js';
import { findGpu } from './gpu.js';
import { prepare } from './hand.js';
import { Host } from './host.js';
import * as keyboard from './keyboard.js';
import { load, whole } from './load.js';
import { Mirror } from './mirror.js';
import { around, program } from './program.js';
import { Trouble, note, offer, progress, ready, stopped } from './screens.js';
import { watch } from './update.js';
import { listen } from './arrivals.js';

const PROGRAM = new URL('./pkg/dinoscope_web_bg.wasm', import.meta.url);
const FONT = new URL('./fonts/Hack-Regular.ttf', import.meta.url);
const STARTER = new URL('./weights/starter.safetensors', import.meta.url);
/** How long the studio waits for the starter weights once it could start, in milliseconds. */
const ENOUGH = 5000;
/** How long the first picture has the browser for itself once the studio draws, in milliseconds. */
const FIRST = 2000;

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
  const wished = address.wishes();
  const gpu = findGpu();
  ahead.begin(wished.image);
  const weights = starter(hear('weights'));
  const [module, studio] = await Promise.all([
    program(PROGRAM, hear('program')),
    around(import('./pkg/dinoscope_web.js')),
  ]);
  const { act, arrived, enter, font, snapshot, go, hidden, place, start, touch, trouble, widgets } = studio;
  // One decodes pictures; where no GPU does, another one looks.
  prepare(module);
  if (wished.device === 'cpu' || (await gpu).reason) {
    prepare(module);
  }
  await studio.default({ module_or_path: module });
  const bytes = await weights.soon();
  if (bytes) {
    place('/starter.safetensors', bytes);
  }

  const mirror = new Mirror(document.getElementById('mirror'), act);
  const told = { arrived, trouble, describe: (changes) => mirror.change(changes) };
  const host = new Host(module, weights.again, told);
  const { reason } = await gpu;
  const asked = { ...wished, touch: keyboard.fingers(touch) };
  const begin = (webgpu) => start(host, host.canvas(), JSON.stringify(asked), webgpu);
  let why = asked.device === 'cpu' ? null : reason;
  // Before the first frame, so that the canvas has its size from the start.
  if (why) {
    note(why);
  }
  try {
    await begin(!reason && asked.device !== 'cpu');
  } catch (error) {
    if (reason || asked.device === 'cpu') {
      throw new Trouble('drawing', `Neither WebGPU nor WebGL draws here. ${reason ?? ''} ${error.message ?? error}`);
    }
    why = `WebGPU did not start (${error.message ?? error}).`;
    host.freshCanvas();
    note(why);
    await begin(false);
  }
  keyboard.listen(enter);
  address.listen(go);
  listen(host);
  document.addEventListener('visibilitychange', () => hidden(document.hidden));
  // For tests, and for who is curious.
  window.dinoscope = {
    state: () => JSON.parse(snapshot()),
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
  // It loads and packs away all files once more: done at once, that took a third of the time until the studio draws.
  loaded.then(() => new Promise((later) => setTimeout(later, FIRST)))
    .then(() => navigator.serviceWorker.register('sw.js'))
    .then((registration) => watch(registration, import.meta.url, offer))
    .catch((error) => console.warn(`not kept for offline use: ${error}`));
}
