// Reads NumPy's files, which the command line writes.

import fs from 'node:fs/promises';

/**
 * Numbers and shape of a file of version 1.0 with little-endian float32 in C order.
 * @param {string} file
 * @returns {Promise<{ shape: number[], data: Float32Array }>}
 */
export async function readNpy(file) {
  const bytes = await fs.readFile(file);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, start);
  if (bytes.toString('latin1', 1, 6) !== 'NUMPY' || !header.includes("'<f4'") || header.includes('True')) {
    throw new Error(`${file} is no NumPy file of float32: ${header}`);
  }
  const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(',').filter((part) => part.trim()).map(Number);
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
  return { shape, data };
}

/** Largest difference over the largest value; not a number if any is none, or the lengths differ. */
export function apart(found, expected) {
  if (found?.length !== expected.length) {
    return Number.NaN;
  }
  let [worst, largest] = [0, 0];
  for (let i = 0; i < expected.length; i += 1) {
    worst = Math.max(worst, Math.abs(found[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return worst / largest;
}
