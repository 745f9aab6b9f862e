// Whatever shows a picture, as the program takes it: the content of a file, or pixels.

import { DinoscopeError } from './error.js';
import { content, kind } from './fetch.js';

/**
 * @typedef {import('./index.js').ImageSource} ImageSource
 * @typedef {{ name: string, bytes: Uint8Array }} Encoded
 * @typedef {{ rgba: Uint8ClampedArray, width: number, height: number }} Pixels
 */

/**
 * Files are decoded by the program, as the command line does, so that numbers agree everywhere; what the browser has
 * decoded already is taken by its pixels.
 * @param {ImageSource} source
 * @param {AbortSignal} [signal] gives up fetching
 * @returns {Promise<{ message: Encoded | Pixels, transfer: Transferable[] }>}
 */
export async function image(source, signal) {
  const isFile = typeof source === 'string' || source instanceof URL || source instanceof Blob
    || source instanceof ArrayBuffer || (ArrayBuffer.isView(source));
  if (isFile) {
    const { name, bytes, owned } = await content(source, { what: 'the image', code: 'image', signal });
    return { message: { name, bytes }, transfer: owned ? [/** @type {ArrayBuffer} */ (bytes.buffer)] : [] };
  }
  const { data, width, height } = await pixels(source);
  if (!(data instanceof Uint8ClampedArray)) {
    throw new DinoscopeError('image', `the image has pixels of ${kind(data)}; only 8-bit ones can be used`);
  }
  const own = data === /** @type {ImageData} */ (source).data ? [] : [data.buffer];
  return { message: { rgba: data, width, height }, transfer: own };
}

/**
 * @param {any} source An ImageData, or something that can be drawn.
 * @returns {Promise<ImageData>}
 */
async function pixels(source) {
  if (source && typeof source === 'object') {
    if ('data' in source && 'width' in source && 'height' in source) {
      return source;
    }
    const [width, height] = await size(source);
    if (width && height) {
      return draw(source, width, height);
    }
  }
  throw new DinoscopeError(
    'argument',
    `${kind(source)} is no image: expected a URL, a Blob, an ArrayBuffer with a file, ImageData, an <img>, <canvas> or `
      + '<video>, or an ImageBitmap',
  );
}

/**
 * The size in pixels; nothing where it can't be drawn.
 * @param {any} source
 * @returns {Promise<[number?, number?]>}
 */
async function size(source) {
  if ('naturalWidth' in source) {
    await source.decode?.().catch(() => {
      throw new DinoscopeError('image', `the <img> ${source.currentSrc || source.src} did not load`);
    });
    return [source.naturalWidth, source.naturalHeight];
  }
  if ('videoWidth' in source) {
    if (!source.videoWidth) {
      throw new DinoscopeError('image', 'the <video> shows no frame yet: wait for its event `loadeddata`');
    }
    return [source.videoWidth, source.videoHeight];
  }
  if ('displayWidth' in source) {
    return [source.displayWidth, source.displayHeight];
  }
  const drawable = 'getContext' in source || typeof source.close === 'function';
  if (drawable && source.width === 0) {
    throw new DinoscopeError('image', `the ${kind(source)} has no pixels`);
  }
  return drawable ? [source.width, source.height] : [];
}

/**
 * @param {CanvasImageSource} source
 * @param {number} width
 * @param {number} height
 * @returns {ImageData}
 */
function draw(source, width, height) {
  try {
    const context = canvas(width, height).getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
    if (!context) {
      throw new Error('there is no memory for a canvas of this size');
    }
    context.drawImage(source, 0, 0, width, height);
    return context.getImageData(0, 0, width, height, { colorSpace: 'srgb' });
  } catch (cause) {
    const { name, message } = /** @type {Error} */ (cause);
    const reason = name === 'SecurityError'
      ? 'it comes from another site. Set crossOrigin="anonymous" before its address, if that site allows it'
      : message;
    throw new DinoscopeError('image', `the image's pixels can't be read: ${reason}`, { cause });
  }
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {any} An OffscreenCanvas, or in browsers without one a canvas.
 */
function canvas(width, height) {
  if (typeof OffscreenCanvas !== 'undefined') {
    return new OffscreenCanvas(width, height);
  }
  return Object.assign(document.createElement('canvas'), { width, height });
}
