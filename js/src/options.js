// Options that a function knows; every other name is a mistake, and said.

import { DinoscopeError } from './error.js';

/**
 * Gives `options` back if it has no name but those that are `known`.
 * @template {object} T
 * @param {string} what the function
 * @param {T} options
 * @param {readonly string[]} known
 * @returns {T}
 */
export function options(what, options, known) {
  if (options === null || typeof options !== 'object') {
    throw new DinoscopeError('argument', `${what}: expected an object of options, not ${options}`);
  }
  const wrong = Object.keys(options).find((name) => !known.includes(name));
  if (wrong !== undefined) {
    const near = known.find((name) => distance(name.toLowerCase(), wrong.toLowerCase()) <= 2);
    const meant = near ? ` (did you mean ${near}?)` : '';
    throw new DinoscopeError('argument', `${what} has no option ${wrong}${meant}: its options are ${known.join(', ')}`);
  }
  return options;
}

/**
 * Letters to change, add or leave out to come from one word to another.
 * @param {string} a
 * @param {string} b
 */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + Number(a[i - 1] !== b[j - 1])));
    }
    row = next;
  }
  return row[b.length];
}
