// The class that a page works with: a model that looks at images.

import { connect } from './client.js';
import { DinoscopeError } from './error.js';
import { content } from './fetch.js';
import { image } from './image.js';
import { patchAt, similarity } from './similarity.js';

/**
 * @typedef {import('./index.js').AttentionOptions} AttentionOptions
 * @typedef {import('./index.js').Features} Features
 * @typedef {import('./index.js').ImageSource} ImageSource
 * @typedef {import('./index.js').LoadOptions} LoadOptions
 * @typedef {import('./index.js').PcaOptions} PcaOptions
 * @typedef {import('./index.js').WeightsSource} WeightsSource
 */

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
    return start(weights, options);
  }

  /** @param {LoadOptions} [options] */
  static async starter(options = {}) {
    return start(new URL('./starter.safetensors', import.meta.url), { name: 'starter weights', ...options });
  }

  /**
   * @param {ImageSource} source
   * @param {{ resolution?: number }} [options]
   * @returns {Promise<Features>}
   */
  async features(source, { resolution } = {}) {
    const { message, transfer } = await image(source);
    return this.#call('features', { image: message, resolution }, transfer);
  }

  /**
   * @param {any} images
   * @param {PcaOptions} [options]
   * @returns {Promise<any>} One ImageData for one image, an array for an array.
   */
  async pca(images, { resolution, foreground = false, smooth = true, size = 'image' } = {}) {
    const all = await Promise.all((Array.isArray(images) ? images : [images]).map(seenOrImage));
    const options = { images: all.map(({ message }) => message), resolution, foreground, smooth, size };
    /** @type {{ data: Uint8ClampedArray<ArrayBuffer>, width: number, height: number }[]} */
    const painted = await this.#call('pca', options, all.flatMap(({ transfer }) => transfer));
    const pictures = painted.map(({ data, width, height }) => new ImageData(data, width, height));
    return Array.isArray(images) ? pictures : pictures[0];
  }

  /**
   * @param {ImageSource} source
   * @param {AttentionOptions} [options]
   * @returns {Promise<import('./index.js').Attention>}
   */
  async attention(source, { resolution, block, query = 'cls' } = {}) {
    const asked = query === 'cls' ? [] : typeof query === 'number' ? [query] : [query?.x, query?.y];
    if (!asked.every((number) => typeof number === 'number')) {
      throw new DinoscopeError('argument', 'query: expected \'cls\', a patch\'s number, or { x, y } in pixels');
    }
    const { message, transfer } = await image(source);
    return this.#call('attention', { image: message, resolution, block, query: asked }, transfer);
  }

  /**
   * @param {Features} features
   * @param {{ patch: number } | { x: number, y: number }} place
   * @param {Features} [to]
   */
  similarity(features, place, to = features) {
    return similarity(features, patchAt(features, place), to);
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
   */
  #call(method, options, transfer) {
    return this.#client.call(method, options, transfer);
  }
}

/**
 * The program starts while the weights are on their way.
 * @param {WeightsSource} source
 * @param {LoadOptions} options
 */
async function start(source, { device = 'auto', worker = true, wasm, name, signal, onProgress }) {
  if (!['auto', 'webgpu', 'cpu'].includes(device)) {
    throw new DinoscopeError('argument', `device is ${device}, expected 'auto', 'webgpu' or 'cpu'`);
  }
  signal?.throwIfAborted();
  const address = wasm === undefined ? undefined : new URL(wasm, globalThis.location?.href).href;
  const fetching = content(source, { what: name ?? 'the weights', code: 'weights', signal, onProgress });
  const [client, weights] = await Promise.allSettled([connect({ worker, wasm: address }), fetching]);
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
  try {
    const opened = await client.value.call('open', { name: name ?? file, bytes, device }, transfer);
    return new Dinoscope(client.value, opened);
  } catch (thrown) {
    client.value.close(new DinoscopeError('disposed', 'the model did not open'));
    throw thrown;
  }
}

/**
 * An image, or what was seen in it before.
 * @param {ImageSource | Features} source
 * @returns {Promise<{ message: object, transfer: Transferable[] }>}
 */
async function seenOrImage(source) {
  const seen = source && typeof source === 'object' && 'patches' in source;
  return seen ? { message: source, transfer: [] } : image(source);
}
