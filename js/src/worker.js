// The worker's side: an engine that is called by messages.

import { Engine } from './engine.js';
import { asError } from './error.js';

const engine = new Engine();
/** @type {any} */
const self = globalThis;

/** What is asked for and not answered yet; and what of that nobody waits for any more. */
const [open, stopped] = [new Set(), new Set()];

self.onmessage = async (/** @type {MessageEvent} */ { data: { id, method, options, stop } }) => {
  if (stop) {
    if (open.has(id)) {
      stopped.add(id);
    }
    return;
  }
  open.add(id);
  const hear = (/** @type {object} */ progress) => self.postMessage({ id, progress });
  try {
    const value = await engine.call(method, options, { stopped: () => stopped.has(id), hear });
    self.postMessage({ id, value }, buffers(value));
  } catch (thrown) {
    const { code, message } = asError(thrown);
    self.postMessage({ id, error: { code, message } });
  } finally {
    open.delete(id);
    stopped.delete(id);
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
