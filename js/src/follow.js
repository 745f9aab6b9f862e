// A place followed through frames, by the numbers of `dinoscope follow`: core/analysis/src/follow/ defines what is right.

import { DinoscopeError } from './error.js';
import { patchAt } from './similarity.js';

/** @typedef {import('./index.js').Features} Features */
/** @typedef {import('./index.js').Followed} Followed */

/** How much less similar a neighbour of the best patch has to be to count for a third of it. */
const SHARPNESS = 0.05;

/** Follows what is at a place of the first frame through those behind it. */
export class Follower {
  /**
   * @param {Features} first
   * @param {{ patch: number } | { x: number, y: number }} place
   * @param {{ threshold?: number, radius?: number }} [options]
   */
  constructor(first, place, { threshold = 0.5, radius } = {}) {
    const { rows, cols, width, height, dim } = first;
    for (const [name, value, low] of /** @type {const} */ ([['threshold', threshold, -1], ['radius', radius ?? 0, 0]])) {
      if (typeof value !== 'number' || !(value >= low)) {
        throw new DinoscopeError('argument', `follow: ${name} is ${value}, expected a number of at least ${low}`);
      }
    }
    const patch = patchAt(first, place);
    const along = (/** @type {number} */ share, /** @type {number} */ count) => Math.min(Math.max(share * count - 0.5, 0), count - 1);
    this.threshold = threshold;
    this.radius = radius ?? Math.min(rows, cols) / 4;
    this.dim = dim;
    this.row = 'patch' in place ? Math.floor(patch / cols) : along(place.y / height, rows);
    this.col = 'patch' in place ? patch % cols : along(place.x / width, cols);
    this.query = between(first, this.row, this.col);
    this.lost = 0;
    this.first = this.#found(first, 1, true);
  }

  /**
   * Where the place is in the next frame.
   * @param {Features} frame
   * @returns {Followed}
   */
  next(frame) {
    const { rows, cols } = frame;
    const similar = similarities(this.query, frame, this.dim);
    const radius = this.radius * (1 + this.lost);
    let best = -1;
    for (let i = 0; i < similar.length; i += 1) {
      const far = Math.hypot(Math.floor(i / cols) - this.row, i % cols - this.col);
      if (far <= radius && (best < 0 || similar[i] > similar[best])) {
        best = i;
      }
    }
    const similarity = best < 0 ? 0 : similar[best];
    const seen = best >= 0 && similarity >= this.threshold;
    this.lost = seen ? 0 : this.lost + 1;
    if (seen) {
      [this.row, this.col] = middle(similar, rows, cols, best);
    }
    return this.#found(frame, similarity, seen);
  }

  /**
   * @param {Features} frame
   * @param {number} similarity
   * @param {boolean} seen
   * @returns {Followed}
   */
  #found({ rows, cols, width, height }, similarity, seen) {
    return { x: (this.col + 0.5) / cols * width, y: (this.row + 0.5) / rows * height, similarity, seen };
  }
}

/**
 * The feature between patches, by how near they are, each as a direction.
 * @param {Features} features
 * @param {number} row
 * @param {number} col
 */
function between({ rows, cols, dim, patches }, row, col) {
  const out = new Float32Array(dim);
  const axis = (/** @type {number} */ at, /** @type {number} */ count) => {
    const low = Math.max(Math.min(Math.floor(at), count - 2), 0);
    return [[low, 1 - (at - low)], [Math.min(low + 1, count - 1), at - low]];
  };
  for (const [r, down] of axis(row, rows)) {
    for (const [c, across] of axis(col, cols)) {
      const patch = patches.subarray((r * cols + c) * dim, (r * cols + c + 1) * dim);
      const length = Math.hypot(...patch);
      if (down * across > 0 && length > 0) {
        patch.forEach((value, i) => {
          out[i] += down * across * value / length;
        });
      }
    }
  }
  return out;
}

/**
 * Cosine of a feature with every patch of a frame.
 * @param {Float32Array} query
 * @param {Features} frame
 * @param {number} dim
 */
function similarities(query, frame, dim) {
  if (frame.dim !== dim) {
    throw new DinoscopeError('argument', `the features differ: ${dim} and ${frame.dim} numbers per patch`);
  }
  const found = new Float32Array(frame.rows * frame.cols);
  const length = Math.hypot(...query);
  for (let i = 0; i < found.length; i += 1) {
    let [product, square] = [0, 0];
    for (let j = 0; j < dim; j += 1) {
      const value = frame.patches[i * dim + j];
      product += query[j] * value;
      square += value * value;
    }
    const both = length * Math.sqrt(square);
    found[i] = both > 0 ? product / both : 0;
  }
  return found;
}

/**
 * The middle of the best patch and those around it that are nearly as similar.
 * @param {Float32Array} similar
 * @param {number} rows
 * @param {number} cols
 * @param {number} best
 */
function middle(similar, rows, cols, best) {
  const [row, col] = [Math.floor(best / cols), best % cols];
  let [sum, down, across] = [0, 0, 0];
  for (let r = Math.max(row - 1, 0); r < Math.min(row + 2, rows); r += 1) {
    for (let c = Math.max(col - 1, 0); c < Math.min(col + 2, cols); c += 1) {
      const weight = Math.exp((similar[r * cols + c] - similar[best]) / SHARPNESS);
      sum += weight;
      down += weight * r;
      across += weight * c;
    }
  }
  return [down / sum, across / sum];
}
