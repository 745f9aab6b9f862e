// What the first picture needs, begun before the program can ask for it: the pictures that the address names.

import { whole } from './load.js';

/** @type {Map<string, {answer: Promise<{bytes: Uint8Array}>, hear: import('./load.js').Hear}>} */
const coming = new Map();

/**
 * Begins to fetch them.
 * @param {string[]} addresses
 */
export function begin(addresses) {
  for (const address of addresses) {
    const fetching = { hear: () => true };
    fetching.answer = whole(address, (...news) => fetching.hear(...news));
    // Whoever asks for it hears why it can't be had.
    fetching.answer.catch(() => {});
    coming.set(address, fetching);
  }
}

/**
 * What was begun, once; nothing where it was not. From now on `hear` is told how far it is.
 * @param {string} address
 * @param {import('./load.js').Hear} hear
 */
export function taken(address, hear) {
  const fetching = coming.get(address);
  if (fetching) {
    coming.delete(address);
    fetching.hear = hear;
  }
  return fetching?.answer;
}
