// The program at work: in a worker, or where there is none in the page itself.

import init, { Comparison, Model, Palette, Picture, listen } from './pkg/dinoscope_js.js';
import { DinoscopeError, asError, crashed } from './error.js';
import { findGpu } from './gpu.js';
import { counted } from './fetch.js';

/**
 * @typedef {import('./image.js').Encoded | import('./image.js').Pixels | import('./index.js').Features} Given
 * @typedef {{ resolution?: number }} Look
 * @typedef {{ stopped?: () => boolean, hear?: (progress: import('./fetch.js').Progress) => void }} How
 */

/** Bytes of the program; build.mjs says how many. */
const PROGRAM = 0;

/** How long a panic waits for a lost device, which makes the program panic too and says more, in milliseconds. */
const GRACE = 100;

/** @type {Promise<unknown> | undefined} */
let loaded;
/** What ended the program for good. @type {DinoscopeError | undefined} */
let ended;
/** Rejects what is pending. @type {Set<(error: DinoscopeError) => void>} */
const pending = new Set();

/** @param {DinoscopeError} error */
function end(error) {
  ended ??= error;
  for (const reject of pending) {
    reject(ended);
  }
  pending.clear();
}

/**
 * @param {string} code
 * @param {string} message
 */
function heard(code, message) {
  if (code === 'lost') {
    const advice = 'The browser or its driver gave it up, often for want of memory. Load the model again to go on.';
    end(new DinoscopeError('lost', `the GPU is gone (${message}). ${advice}`));
  } else {
    setTimeout(() => end(new DinoscopeError('crash', crashed(message))), GRACE);
  }
}

/**
 * Loads the program, once.
 * @param {string | undefined} wasm Address of the WebAssembly file, if it is not beside this one.
 * @param {How['hear']} hear
 */
function load(wasm, hear) {
  loaded ??= fetched(wasm, hear).then((found) => init({ module_or_path: found })).then(() => {
    listen(heard);
    // Where memory runs out the program stops without a panic, and the promise it works for stays as it is.
    globalThis.addEventListener('error', ({ error }) => {
      if (error instanceof WebAssembly.RuntimeError || /wasm-function/.test(error?.stack)) {
        heard('crash', error.message);
      }
    });
  }).catch((cause) => {
    loaded = undefined;
    const hint = 'Is dinoscope_js_bg.wasm served beside the package\'s scripts, and does the page\'s '
      + 'Content-Security-Policy allow `script-src \'wasm-unsafe-eval\'`?';
    throw new DinoscopeError('program', `Dinoscope's WebAssembly did not load: ${cause.message}. ${hint}`, { cause });
  });
  return loaded;
}

/**
 * The program: compiled while it comes where the server calls it by its name, else whole.
 * @param {string | undefined} wasm
 * @param {How['hear']} hear
 * @returns {Promise<Response | ArrayBuffer>}
 */
async function fetched(wasm, hear) {
  const response = await fetch(wasm ?? new URL('./pkg/dinoscope_js_bg.wasm', import.meta.url));
  if (!response.ok) {
    throw new Error(`the server says ${response.status} ${response.statusText}`.trimEnd());
  }
  const type = response.headers.get('content-type') ?? '';
  if (/^text\/html\b/.test(type)) {
    throw new Error('the answer is a web page, not a program');
  }
  const counting = counted(response, hear, wasm === undefined ? PROGRAM : 0);
  return /^application\/wasm\b/.test(type) ? counting : counting.arrayBuffer();
}

/** Lets whoever waits have a turn, messages too: a message to oneself, for timers are held back. */
const { port1, port2 } = new MessageChannel();
/** @type {(() => void)[]} */
const turns = [];
port1.onmessage = () => turns.shift()?.();

/**
 * Called by the program between two steps of its work: whether it is to go on.
 * @param {How} how
 * @returns {() => Promise<boolean>}
 */
function pause({ stopped }) {
  return async () => {
    await new Promise((/** @type {(value: void) => void} */ done) => {
      turns.push(done);
      port2.postMessage(null);
    });
    return !stopped?.();
  };
}

/** One model. Its methods are what a page can ask of it; they take turns. */
export class Engine {
  /** @type {Model | undefined} */
  #model;
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();

  /**
   * Runs a method after those asked for before.
   * @param {string} method
   * @param {any} options
   * @param {How} [how]
   * @returns {Promise<any>}
   */
  call(method, options, how = {}) {
    const work = () => new Promise((resolve, reject) => {
      if (ended || how.stopped?.()) {
        reject(ended ?? new DinoscopeError('argument', 'it was stopped'));
        return;
      }
      pending.add(reject);
      const run = /** @type {any} */ (this)[method](options, how);
      run.then(resolve, (/** @type {unknown} */ thrown) => reject(asError(thrown)))
        .finally(() => pending.delete(reject));
    });
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /**
   * @param {{ wasm?: string }} options
   * @param {How} how
   */
  async start({ wasm }, { hear }) {
    await load(wasm, hear);
  }

  /** @param {{ name: string, bytes: Uint8Array, device: 'auto' | 'webgpu' | 'cpu', heads?: number }} options */
  async open({ name, bytes, device, heads }) {
    const found = await findGpu(device);
    if (device === 'webgpu' && !found.use) {
      throw new DinoscopeError('device', `${found.reason}; device: 'auto' or 'cpu' computes on the CPU`);
    }
    let { use, reason } = found;
    if (use) {
      try {
        this.#model = await Model.open(name, bytes, true, heads);
      } catch (thrown) {
        const { code, message } = asError(thrown);
        if (code !== 'device' || device === 'webgpu') {
          throw thrown;
        }
        [use, reason] = [false, message];
      }
    }
    this.#model ??= await Model.open(name, bytes, false, heads);
    return {
      info: this.#model.info,
      device: use
        ? { type: 'webgpu', name: found.name || this.#model.adapter || 'WebGPU' }
        : { type: 'cpu', name: 'CPU (WebAssembly)', ...(reason && { reason }) },
    };
  }

  get #opened() {
    if (!this.#model) {
      throw new DinoscopeError('disposed', 'this model was disposed of');
    }
    return this.#model;
  }

  /**
   * @param {{ images: Given[] } & Look} options
   * @param {How} how
   * @returns {Promise<import('./index.js').Features[]>}
   */
  async features({ images, resolution }, how) {
    const model = this.#opened;
    const { channels } = model.info;
    const pictures = images.map((image) => picture(image, channels));
    /** @type {any[]} */
    const found = await model.features(pictures, resolution, pause(how));
    return found.map((features) => ({ ...features, shape: [features.rows, features.cols, features.dim] }));
  }

  /**
   * @param {{ image: Given, block?: number, query: number[] } & Look} options
   * @param {How} how
   */
  async attention({ image, resolution, block, query }, how) {
    return this.#opened.attention(picture(image, this.#opened.info.channels), resolution, block, new Float64Array(query), pause(how));
  }

  /**
   * @param {{ images: Given[], foreground: boolean, smooth: boolean,
   *   size: 'image' | 'patches' | { width: number, height: number } } & Look} options
   * @param {How} how
   */
  async pca({ images, resolution, foreground, smooth, size }, how) {
    const palette = new Palette();
    try {
      const sizes = [];
      for (const image of images) {
        const seen = 'patches' in image ? image : (await this.features({ images: [image], resolution }, how))[0];
        palette.add(seen.patches, seen.rows, seen.cols, seen.dim);
        sizes.push(size === 'image' ? seen : size === 'patches' ? { width: seen.cols, height: seen.rows } : size);
      }
      palette.fit(foreground);
      return sizes.map(({ width, height }, i) => ({ width, height, data: palette.paint(i, width, height, smooth) }));
    } finally {
      palette.free();
    }
  }

  /**
   * @param {{ own: import('./index.js').Features[], theirs: import('./index.js').Features[], foreground: boolean,
   *   smooth: boolean, size: 'image' | 'patches' | { width: number, height: number } }} options
   */
  async compare({ own, theirs, foreground, smooth, size }) {
    const comparison = new Comparison();
    try {
      own.forEach((seen) => comparison.add(false, seen.patches, seen.rows, seen.cols, seen.dim));
      theirs.forEach((seen) => comparison.add(true, seen.patches, seen.rows, seen.cols, seen.dim));
      comparison.fit(foreground);
      /**
       * @param {boolean} other
       * @param {import('./index.js').Features} seen
       * @param {number} i
       */
      const painted = (other, seen, i) => {
        const { width, height } = size === 'image' ? seen
          : size === 'patches' ? { width: seen.cols, height: seen.rows } : size;
        return { width, height, data: comparison.paint(other, i, width, height, smooth) };
      };
      const pictures = own.map((seen, i) => ({ own: painted(false, seen, i), other: painted(true, theirs[i], i) }));
      return { cka: comparison.cka, neighbours: comparison.neighbours, pictures };
    } finally {
      comparison.free();
    }
  }

  /** Lets the model go. */
  async close() {
    this.#model?.free();
    this.#model = undefined;
  }
}

/**
 * @param {Given} image
 * @param {number} channels that the model takes
 */
function picture(image, channels) {
  if ('rgba' in image) {
    return Picture.pixels(new Uint8Array(image.rgba.buffer, image.rgba.byteOffset, image.rgba.length), image.width,
      image.height, channels);
  }
  if ('bytes' in image) {
    return Picture.decode(image.name, image.bytes, channels);
  }
  throw new DinoscopeError('argument', 'features and attention need the image itself, not its features');
}
