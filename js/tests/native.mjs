// The same pictures on the command line: what the package's numbers are compared with.

import fs from 'node:fs/promises';
import path from 'node:path';
import { native } from '../../web/tests/lib/native.mjs';
import { decode } from '../../web/tests/lib/pixels.mjs';
import { readNpy } from './npy.mjs';
import { encode } from './png.mjs';

const root = path.dirname(path.dirname(import.meta.dirname));
const STARTER = 'assets/weights/starter.safetensors';
/** A model of another kind of file, with registers. */
const REGISTERS = 'tests/fixtures/weights/official_vit_reg4.pth';

/** Shorter side of the view: 12 patches, so that software GPUs are quick. */
export const RESOLUTION = 96;

/** A picture that is not square and is transparent in places, made here so that its pixels are known. */
function drawing() {
  const [width, height] = [90, 60];
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i += 1) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const inside = (x - 60) ** 2 + (y - 30) ** 2 < 400;
    rgba.set(inside ? [230, 60, 20, 255] : [x * 2, 90 + y, 200 - x, 255 - Math.min(255, y * 4)], i * 4);
  }
  return { width, height, rgba };
}

/** What `dinoscope features` says of each picture. */
function features(pictures, weights, options = []) {
  const words = (out) => ['features', ...pictures, '--weights', path.join(root, weights), '--device', 'cpu',
    '--resolution', String(RESOLUTION), '--pca', '--npy', '--attention', ...options, '--out', out];
  return native(root, words, (folder) => Promise.all(pictures.map(async (picture) => {
    const file = path.join(folder, path.parse(picture).name);
    return {
      bytes: await fs.readFile(picture),
      cls: await readNpy(`${file}.cls.npy`),
      patches: await readNpy(`${file}.npy`),
      attention: await readNpy(`${file}.attention.npy`),
      pca: decode(await fs.readFile(`${file}.pca.png`)),
    };
  })));
}

/**
 * All that the package is compared with.
 * @param {string} folder Where a picture is put.
 */
export async function expected(folder) {
  const made = drawing();
  const [photo, file] = [path.join(root, 'assets/samples/scene-20-fish.jpg'), path.join(folder, 'drawn.png')];
  await fs.writeFile(file, encode(made.rgba, made.width, made.height));
  const [fish, drawn] = await features([photo, file], STARTER);
  // Once more as blocks, with objects apart, of one picture, and a patch's attention of another block.
  const [other] = await features([photo], STARTER, ['--foreground', '--blocks', '--block', '1', '--query', '2,3']);
  const [registers] = await features([photo], REGISTERS);
  return { fish, drawn: { ...drawn, ...made }, other, registers };
}
