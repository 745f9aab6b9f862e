// A worker, from the page.

import { below } from './given.js';

/** Workers that have the program and wait to be hired. */
const waiting = [];

/** A worker with the program. It is listened to from the start, or why it does not start would be lost. */
function fresh(module) {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const hand = { worker, early: [], hear: (event) => hand.early.push(event) };
  worker.onmessage = (event) => hand.hear(event);
  worker.onerror = (event) => {
    event.preventDefault();
    hand.hear(event);
  };
  worker.postMessage({ module });
  return hand;
}

/**
 * Has a worker start while the page draws for the first time, so that the first who hires one does not wait for it.
 * @param {WebAssembly.Module} module
 */
export function prepare(module) {
  waiting.push(fresh(module));
}

/**
 * Hires a worker with the program that the page has compiled.
 * @param {WebAssembly.Module} module
 * @param {(message: Uint8Array) => void} heard
 * @param {(reason: string) => void} failed
 */
export function hire(module, heard, failed) {
  const hand = waiting.pop() ?? fresh(module);
  const { worker } = hand;
  let over = false;
  const fail = (reason) => {
    if (!over) {
      over = true;
      worker.terminate();
      failed(reason);
    }
  };
  const broken = (event) => {
    // A program that can't have the memory it asks for stops without a word.
    const silent = /unreachable/.test(event.message ?? '');
    const memory = 'a worker has stopped, as it does when it needs more memory than the browser gives it';
    fail((silent ? memory : event.message) || 'a worker could not be started');
  };
  hand.hear = (event) => {
    if (event.type === 'error') {
      broken(event);
    } else if (event.data.panic) {
      fail(event.data.panic);
    } else {
      heard(event.data.message);
    }
  };
  hand.early.splice(0).forEach(hand.hear);
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
