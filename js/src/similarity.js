// How alike patches are: cosine similarity, fast enough to follow a mouse.

import { DinoscopeError } from './error.js';

/** @typedef {import('./index.js').Features} Features */

/**
 * Cosine similarity of one patch of `from` to every patch of `to`, in reading order. Patches of length zero are similar
 * to nothing (0).
 * @param {Features} from
 * @param {number} index
 * @param {Features} to
 * @returns {Float32Array}
 */
export function similarity(from, index, to) {
  const { dim } = from;
  if (to.dim !== dim) {
    throw new DinoscopeError('argument', `the features differ: ${dim} and ${to.dim} numbers per patch`);
  }
  const query = from.patches.subarray(index * dim, (index + 1) * dim);
  const length = Math.sqrt(product(query, query, 0));
  const found = new Float32Array(to.rows * to.cols);
  for (let i = 0; i < found.length; i += 1) {
    const patch = to.patches.subarray(i * dim, (i + 1) * dim);
    const both = length * Math.sqrt(product(patch, patch, 0));
    found[i] = both > 0 ? product(query, patch, 0) / both : 0;
  }
  return found;
}

/**
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @param {number} sum
 */
function product(a, b, sum) {
  for (let i = 0; i < a.length; i += 1) {
    sum += a[i] * b[i];
  }
  return sum;
}

/**
 * The patch of a place, in reading order.
 * @param {Features} features
 * @param {{ patch: number } | { x: number, y: number }} place
 * @returns {number}
 */
export function patchAt(features, place) {
  const { rows, cols, width, height } = features;
  const index = 'patch' in place
    ? place.patch
    : Math.floor(place.y / height * rows) * cols + Math.floor(place.x / width * cols);
  const inside = 'patch' in place
    ? Number.isInteger(index) && index >= 0 && index < rows * cols
    : place.x >= 0 && place.x < width && place.y >= 0 && place.y < height;
  if (!inside) {
    const given = 'patch' in place ? `patch ${place.patch}` : `the place ${place.x}, ${place.y}`;
    throw new DinoscopeError('argument', `${given} is outside the image: it has ${rows} × ${cols} patches and `
      + `${width} × ${height} pixels`);
  }
  return index;
}
