// The class that a page works with: a model that looks at images.

import { connect } from './client.js';
import { DinoscopeError } from './error.js';
import { inBrowser } from './environment.js';
import { content } from './fetch.js';
import { Follower } from './follow.js';
import { image } from './image.js';
import { options as known } from './options.js';
import { patchAt, similarity } from './similarity.js';

/**
 * @typedef {import('./index.js').AttentionOptions} AttentionOptions
 * @typedef {import('./index.js').Features} Features
 * @typedef {import('./index.js').ImageSource} ImageSource
 * @typedef {import('./index.js').LoadOptions} LoadOptions
 * @typedef {import('./index.js').PcaOptions} PcaOptions
 * @typedef {import('./index.js').WeightsSource} WeightsSource
 */

const LOOK = ['resolution', 'signal'];
const LOAD = ['device', 'heads', 'name', 'onProgress', 'signal', 'warmUp', 'wasm', 'worker'];

/** Images that are on their way to the program at a time. */
const TOGETHER = 8;

/** @implements {Pick<import('./index.js').Dinoscope, keyof import('./index.js').Dinoscope>} */
export class Dinoscope {
  #client;
  #disposed = false;
  info;
  device;

  /**
   * @param {import('./client.js').Client} client
   * @param {{ info: import('./index.js').ModelInfo, device: import('./index.js').DeviceInfo }} opened
   */
  constructor(client, { info, device }) {
    this.#client = client;
    this.info = Object.freeze(info);
    this.device = Object.freeze({ ...device, worker: client.worker });
  }

  /**
   * @param {WeightsSource} weights
   * @param {LoadOptions} [options]
   */
  static async load(weights, options = {}) {
    return start(weights, known('load', options, LOAD));
  }

  /** @param {LoadOptions} [options] */
  static async starter(options = {}) {
    const address = new URL('./starter.safetensors', import.meta.url);
    return start(address, { name: 'starter weights', ...known('starter', options, LOAD) });
  }

  /**
   * @param {any} images
   * @param {import('./index.js').LookOptions} [options]
   * @returns {Promise<any>} Features of one image, an array for an array.
   */
  async features(images, options = {}) {
    const { resolution, signal } = known('features', options, LOOK);
    const all = Array.isArray(images) ? images : [images];
    const found = [];
    for (let from = 0; from < all.length; from += TOGETHER) {
      signal?.throwIfAborted();
      const some = await Promise.all(all.slice(from, from + TOGETHER).map((source) => image(source, signal)));
      const asked = { images: some.map(({ message }) => message), resolution };
      found.push(...await this.#call('features', asked, some.flatMap(({ transfer }) => transfer), signal));
    }
    return Array.isArray(images) ? found : found[0];
  }

  /**
   * @param {any} images
   * @param {PcaOptions} [options]
   * @returns {Promise<any>} One ImageData for one image, an array for an array.
   */
  async pca(images, options = {}) {
    const { resolution, signal, foreground = false, smooth = true, size = 'image' }
      = known('pca', options, [...LOOK, 'foreground', 'size', 'smooth']);
    signal?.throwIfAborted();
    const all = await Promise.all((Array.isArray(images) ? images : [images]).map((source) => seenOrImage(source, signal)));
    const asked = { images: all.map(({ message }) => message), resolution, foreground, smooth, size };
    /** @type {{ data: Uint8ClampedArray<ArrayBuffer>, width: number, height: number }[]} */
    const painted = await this.#call('pca', asked, all.flatMap(({ transfer }) => transfer), signal);
    const pictures = painted.map(({ data, width, height }) => new ImageData(data, width, height));
    return Array.isArray(images) ? pictures : pictures[0];
  }

  /**
   * @param {any} images
   * @param {AttentionOptions} [options]
   * @returns {Promise<any>} Attention in one image, an array for an array.
   */
  async attention(images, options = {}) {
    const { resolution, signal, block, query = 'cls' } = known('attention', options, [...LOOK, 'block', 'query']);
    const asked = query === 'cls' ? [] : typeof query === 'number' ? [query] : [query?.x, query?.y];
    if (!asked.every((number) => typeof number === 'number')) {
      throw new DinoscopeError('argument', 'query: expected \'cls\', a patch\'s number, or { x, y } in pixels');
    }
    const found = [];
    for (const source of Array.isArray(images) ? images : [images]) {
      signal?.throwIfAborted();
      const { message, transfer } = await image(source, signal);
      found.push(await this.#call('attention', { image: message, resolution, block, query: asked }, transfer, signal));
    }
    return Array.isArray(images) ? found : found[0];
  }

  /**
   * @param {Dinoscope} other
   * @param {any} images
   * @param {PcaOptions} [options]
   * @returns {Promise<import('./index.js').Compared>}
   */
  async compare(other, images, options = {}) {
    const { resolution, signal, foreground = false, smooth = true, size = 'image' }
      = known('compare', options, [...LOOK, 'foreground', 'size', 'smooth']);
    if (!(other instanceof Dinoscope)) {
      throw new DinoscopeError('argument', 'compare: expected another model, and then images');
    }
    const all = Array.isArray(images) ? images : [images];
    const own = await this.features(all, { resolution, signal });
    const theirs = await other.features(all, { resolution, signal });
    const { cka, neighbours, pictures } = await this.#call('compare', { own, theirs, foreground, smooth, size }, [], signal);
    /** @param {{ data: Uint8ClampedArray<ArrayBuffer>, width: number, height: number }} painted */
    const drawn = ({ data, width, height }) => new ImageData(data, width, height);
    return {
      cka,
      neighbours,
      images: pictures.map((/** @type {any} */ both, /** @type {number} */ i) => ({
        own: { pca: drawn(both.own), features: own[i] },
        other: { pca: drawn(both.other), features: theirs[i] },
      })),
    };
  }

  /**
   * @param {Features} features
   * @param {{ patch: number } | { x: number, y: number }} place
   * @param {Features} [to]
   */
  similarity(features, place, to = features) {
    return similarity(features, patchAt(features, place), to);
  }

  /**
   * @param {any} frames
   * @param {{ patch: number } | { x: number, y: number }} place
   * @param {import('./index.js').FollowOptions} [options]
   */
  async follow(frames, place, options = {}) {
    const { resolution, signal, threshold, radius, onFrame }
      = known('follow', options, [...LOOK, 'threshold', 'radius', 'onFrame']);
    let follower;
    const found = [];
    for await (const source of frames) {
      signal?.throwIfAborted();
      const seen = source && typeof source === 'object' && 'patches' in source;
      const features = seen ? source : await this.features(source, { resolution, signal });
      let at;
      if (follower) {
        at = follower.next(features);
      } else {
        follower = new Follower(features, place, { threshold, radius });
        at = follower.first;
      }
      found.push(at);
      onFrame?.(at, found.length - 1);
    }
    return found;
  }

  dispose() {
    if (!this.#disposed) {
      this.#disposed = true;
      this.#client.close(new DinoscopeError('disposed', `the model ${this.info.name} was disposed of`));
    }
  }

  /**
   * @param {string} method
   * @param {object} options
   * @param {Transferable[]} transfer
   * @param {AbortSignal} [signal]
   */
  #call(method, options, transfer, signal) {
    return this.#client.call(method, options, transfer, { signal });
  }
}

/**
 * The program starts while the weights are on their way.
 * @param {WeightsSource} source
 * @param {LoadOptions} options
 */
async function start(source, { device = 'auto', worker = true, warmUp = false, wasm, name, heads, signal, onProgress }) {
  inBrowser();
  if (!['auto', 'webgpu', 'cpu'].includes(device)) {
    throw new DinoscopeError('argument', `device is ${device}, expected 'auto', 'webgpu' or 'cpu'`);
  }
  signal?.throwIfAborted();
  /** @param {import('./index.js').Progress['stage']} stage */
  const hear = (stage) => onProgress && ((/** @type {import('./fetch.js').Progress} */ progress) => onProgress({ stage, ...progress }));
  const address = wasm === undefined ? undefined : new URL(wasm, globalThis.location?.href).href;
  const fetching = content(source, { what: name ?? 'the weights', code: 'weights', signal, onProgress: hear('weights') });
  const connecting = connect({ worker, wasm: address, signal, hear: hear('program') });
  const [client, weights] = await Promise.allSettled([connecting, fetching]);
  const failed = [weights, client].find(({ status }) => status === 'rejected');
  if (client.status === 'rejected' || weights.status === 'rejected' || signal?.aborted) {
    const reason = failed ? /** @type {PromiseRejectedResult} */ (failed).reason : signal?.reason;
    if (client.status === 'fulfilled') {
      client.value.close(new DinoscopeError('disposed', 'loading ended'));
    }
    throw reason;
  }
  const { bytes, owned, name: file } = weights.value;
  const transfer = owned ? [/** @type {ArrayBuffer} */ (bytes.buffer)] : [];
  /**
   * @param {import('./index.js').Progress['stage']} stage
   * @param {() => Promise<any>} work
   */
  const step = async (stage, work) => {
    hear(stage)?.({ loaded: 0, total: 1 });
    const made = await work();
    hear(stage)?.({ loaded: 1, total: 1 });
    return made;
  };
  try {
    const asked = { name: name ?? file, bytes, device, heads };
    const opened = await step('model', () => client.value.call('open', asked, transfer, { signal }));
    // A model of other channels takes what no canvas has.
    if (warmUp && [1, 3, 4].includes(opened.info.channels)) {
      // Any image has the model's own size in the end, and what a GPU compiles depends on that alone.
      const grey = { rgba: new Uint8ClampedArray(256).fill(128), width: 8, height: 8 };
      await step('warm-up', () => client.value.call('features', { images: [grey] }, [], { signal }));
    }
    return new Dinoscope(client.value, opened);
  } catch (thrown) {
    client.value.close(new DinoscopeError('disposed', 'the model did not open'));
    throw thrown;
  }
}

/**
 * An image, or what was seen in it before.
 * @param {ImageSource | Features} source
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ message: object, transfer: Transferable[] }>}
 */
async function seenOrImage(source, signal) {
  const seen = source && typeof source === 'object' && 'patches' in source;
  return seen ? { message: source, transfer: [] } : image(source, signal);
}
