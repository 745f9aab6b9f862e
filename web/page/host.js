// What only JavaScript can do for the studio; app/src/platform/web/host.rs says what each of these is for.

import { moved } from './address.js';
import { taken } from './ahead.js';
import { choose, fromClipboard, read } from './arrivals.js';
import { Camera } from './camera.js';
import { below } from './given.js';
import { hire } from './hand.js';
import { leave } from './keyboard.js';
import { whole } from './load.js';
import { Models } from './models.js';
import { stopped } from './screens.js';
import { videoFrames } from './video.js';

const SETTINGS = 'dinoscope';

const askFirst = (event) => event.preventDefault();

export class Host {
  #module;
  #camera = new Camera();
  #models = new Models();
  #starter;
  #studio;

  /**
   * @param {WebAssembly.Module} module the program, for workers
   * @param {(hear: import('./load.js').Hear) => Promise<Uint8Array>} starter the weights that come along
   * @param {{arrived: Function, trouble: (text: string) => void, describe: (changes: object) => void}} studio what it is told
   */
  constructor(module, starter, studio) {
    this.#module = module;
    this.#starter = starter;
    this.#studio = studio;
  }

  canvas() {
    return document.getElementById('studio');
  }

  freshCanvas() {
    const old = this.canvas();
    const fresh = old.cloneNode(false);
    old.replaceWith(fresh);
    return fresh;
  }

  hire(heard, failed) {
    return hire(this.#module, heard, failed);
  }

  save(name, bytes) {
    const address = URL.createObjectURL(new Blob([bytes]));
    const link = Object.assign(document.createElement('a'), { href: address, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }

  pick(purpose, kinds, folder) {
    choose(this, kinds, folder);
  }

  paste() {
    fromClipboard(this);
  }

  kept() {
    try {
      return localStorage.getItem(SETTINGS) ?? undefined;
    } catch {
      return undefined; // not allowed here: nothing is remembered
    }
  }

  keep(text) {
    try {
      localStorage.setItem(SETTINGS, text);
    } catch {
      // Not allowed, or full: a layout is lost, nothing else.
    }
  }

  async fetch(address, hear) {
    return (await (taken(address, hear) ?? whole(address, hear))).bytes;
  }

  fetchModel(address, hear) {
    return address === 'starter' ? this.#starter(hear) : this.#models.fetch(address, hear);
  }

  opened(address, good) {
    this.#models.opened(address, good);
  }

  models() {
    return this.#models.list();
  }

  removeModel(address) {
    return this.#models.remove(address);
  }

  hasCamera() {
    return Boolean(navigator.mediaDevices?.getUserMedia);
  }

  startCamera() {
    return this.#camera.start();
  }

  stopCamera() {
    this.#camera.stop();
  }

  frame(side) {
    return this.#camera.frame(side);
  }

  videoFrames(path, side, most) {
    const [[, file] = []] = below(path);
    return file ? videoFrames(file, side, most) : Promise.reject(new Error('the page does not have it any more: open it again'));
  }

  setTitle(title) {
    document.title = title;
  }

  stopped(reason) {
    stopped(reason);
  }

  describe(changes) {
    try {
      this.#studio.describe(JSON.parse(changes));
    } catch (error) {
      // The studio goes on without being read aloud.
      console.warn(`what is drawn can't be told: ${error.message}`);
    }
  }

  leave(forward) {
    leave(forward);
  }

  moved(place, again) {
    try {
      moved(JSON.parse(place), again);
    } catch (error) {
      // Browsers refuse too many addresses in a short time.
      console.warn(`the address stays as it is: ${error.message}`);
    }
  }


  guard(on) {
    (on ? addEventListener : removeEventListener)('beforeunload', askFirst);
  }

  /** Takes files into the studio. */
  async take(chosen, roots, files) {
    try {
      this.#studio.arrived(chosen, roots, ...(await read(files)));
    } catch (error) {
      this.#studio.trouble(error.message);
      if (chosen) {
        this.#studio.arrived(true, [], [], new Float64Array(), []);
      }
    }
  }
}
