// The program at work: in a worker, or where there is none in the page itself.

import init, { Model, Palette, Picture, listen } from './pkg/dinoscope_js.js';
import { DinoscopeError, asError, crashed } from './error.js';
import { findGpu } from './gpu.js';

/**
 * @typedef {import('./image.js').Encoded | import('./image.js').Pixels | import('./index.js').Features} Given
 * @typedef {{ resolution?: number }} Look
 */

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
 * @param {string} [wasm] Address of the WebAssembly file, if it is not beside this one.
 */
function load(wasm) {
  loaded ??= init(wasm === undefined ? undefined : { module_or_path: wasm }).then(() => {
    listen(heard);
    // Where memory runs out the program stops without a panic, and the promise it works for stays as it is.
    globalThis.addEventListener('error', ({ error }) => {
      if (error instanceof WebAssembly.RuntimeError || /wasm-function/.test(error?.stack)) {
        heard('crash', error.message);
      }
    });
  }, (cause) => {
    loaded = undefined;
    const hint = 'Is dinoscope_js_bg.wasm served beside the package\'s scripts, and does the page\'s '
      + 'Content-Security-Policy allow `script-src \'wasm-unsafe-eval\'`?';
    throw new DinoscopeError('program', `Dinoscope's WebAssembly did not load: ${cause.message}. ${hint}`, { cause });
  });
  return loaded;
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
   * @returns {Promise<any>}
   */
  call(method, options) {
    const work = () => new Promise((resolve, reject) => {
      if (ended) {
        reject(ended);
        return;
      }
      pending.add(reject);
      const run = /** @type {any} */ (this)[method](options);
      run.then(resolve, (/** @type {unknown} */ thrown) => reject(asError(thrown)))
        .finally(() => pending.delete(reject));
    });
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** @param {{ wasm?: string }} options */
  async start({ wasm }) {
    await load(wasm);
  }

  /** @param {{ name: string, bytes: Uint8Array, device: 'auto' | 'webgpu' | 'cpu' }} options */
  async open({ name, bytes, device }) {
    const found = await findGpu(device);
    if (device === 'webgpu' && !found.use) {
      throw new DinoscopeError('device', `${found.reason}; device: 'auto' or 'cpu' computes on the CPU`);
    }
    let { use, reason } = found;
    if (use) {
      try {
        this.#model = await Model.open(name, bytes, true);
      } catch (thrown) {
        const { code, message } = asError(thrown);
        if (code !== 'device' || device === 'webgpu') {
          throw thrown;
        }
        [use, reason] = [false, message];
      }
    }
    this.#model ??= await Model.open(name, bytes, false);
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

  /** @param {{ image: Given } & Look} options */
  async features({ image, resolution }) {
    const features = await this.#opened.features(picture(image), resolution);
    return { ...features, shape: [features.rows, features.cols, features.dim] };
  }

  /** @param {{ image: Given, block?: number, query: number[] } & Look} options */
  async attention({ image, resolution, block, query }) {
    return this.#opened.attention(picture(image), resolution, block, new Float64Array(query));
  }

  /**
   * @param {{ images: Given[], foreground: boolean, smooth: boolean,
   *   size: 'image' | 'patches' | { width: number, height: number } } & Look} options
   */
  async pca({ images, resolution, foreground, smooth, size }) {
    const palette = new Palette();
    try {
      const sizes = [];
      for (const image of images) {
        const seen = 'patches' in image ? image : await this.#opened.features(picture(image), resolution);
        palette.add(seen.patches, seen.rows, seen.cols, seen.dim);
        sizes.push(size === 'image' ? seen : size === 'patches' ? { width: seen.cols, height: seen.rows } : size);
      }
      palette.fit(foreground);
      return sizes.map(({ width, height }, i) => ({ width, height, data: palette.paint(i, width, height, smooth) }));
    } finally {
      palette.free();
    }
  }

  /** Lets the model go. */
  async close() {
    this.#model?.free();
    this.#model = undefined;
  }
}

/** @param {Given} image */
function picture(image) {
  if ('rgba' in image) {
    return Picture.pixels(new Uint8Array(image.rgba.buffer, image.rgba.byteOffset, image.rgba.length), image.width,
      image.height);
  }
  if ('bytes' in image) {
    return Picture.decode(image.name, image.bytes);
  }
  throw new DinoscopeError('argument', 'attention needs the image itself, not its features');
}
