// A worker, from the page.

import { below } from './given.js';

/**
 * Starts a worker with the program that the page has compiled.
 * @param {WebAssembly.Module} module
 * @param {(message: Uint8Array) => void} heard
 * @param {(reason: string) => void} failed
 */
export function hire(module, heard, failed) {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }) => {
    if (data.panic) {
      fail(data.panic);
    } else {
      heard(data.message);
    }
  };
  let over = false;
  const fail = (reason) => {
    if (!over) {
      over = true;
      worker.terminate();
      failed(reason);
    }
  };
  worker.onerror = (event) => {
    event.preventDefault();
    // A program that can't have the memory it asks for stops without a word.
    const silent = /unreachable/.test(event.message ?? '');
    const memory = 'a worker has stopped, as it does when it needs more memory than the browser gives it';
    fail((silent ? memory : event.message) || 'a worker could not be started');
  };
  worker.postMessage({ module });
  return {
    post(message, paths) {
      worker.postMessage({ message, files: paths.flatMap(below) }, [message.buffer]);
    },
    end() {
      over = true;
      worker.terminate();
    },
  };
}
