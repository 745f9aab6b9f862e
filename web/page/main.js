// Loads the program and the starter weights, shows how far that is, and gives the page to the studio.

import init, {
  act, arrived, enter, font, glance, go, hidden, place, start, touch, trouble, widgets,
} from './pkg/dinoscope_web.js';
import * as address from './address.js';
import { findGpu } from './gpu.js';
import { Host } from './host.js';
import * as keyboard from './keyboard.js';
import { load } from './load.js';
import { Mirror } from './mirror.js';
import { note, offer, progress, ready, stopped } from './screens.js';
import { watch } from './update.js';
import { listen } from './arrivals.js';

const PROGRAM = new URL('./pkg/dinoscope_web_bg.wasm', import.meta.url);
const FONT = new URL('./fonts/Hack-Regular.ttf', import.meta.url);
const STARTER = new URL('./weights/starter.safetensors', import.meta.url);

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

  const mirror = new Mirror(document.getElementById('mirror'), act);
  const host = new Host(module, { arrived, trouble, describe: (changes) => mirror.change(changes) });
  const { reason } = await gpu;
  const asked = { ...address.wishes(), touch: keyboard.fingers(touch) };
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
      throw new Error(`Neither WebGPU nor WebGL draws here. ${reason ?? ''} ${error.message ?? error}`);
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
