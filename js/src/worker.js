// The worker's side: an engine that is called by messages.

import { Engine } from './engine.js';
import { asError } from './error.js';

const engine = new Engine();
/** @type {any} */
const self = globalThis;

self.onmessage = async (/** @type {MessageEvent} */ { data: { id, method, options } }) => {
  try {
    const value = await engine.call(method, options);
    self.postMessage({ id, value }, buffers(value));
  } catch (thrown) {
    const { code, message } = asError(thrown);
    self.postMessage({ id, error: { code, message } });
  }
};

/**
 * The memory of all numbers in a result, which is handed over instead of copied.
 * @param {any} value
 * @returns {ArrayBuffer[]}
 */
function buffers(value) {
  if (ArrayBuffer.isView(value)) {
    return [/** @type {ArrayBuffer} */ (value.buffer)];
  }
  return value && typeof value === 'object' ? Object.values(value).flatMap(buffers) : [];
}

self.postMessage({ ready: true });
