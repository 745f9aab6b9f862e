// Looking at pictures: what is dropped is seen, in the colours that the command line computes, and it answers the pointer.

import fs from 'node:fs/promises';
import path from 'node:path';
import { shows } from '../lib/browser.mjs';
import { native } from '../lib/native.mjs';
import { decode, picture } from '../lib/pixels.mjs';
import { EXACT, blocks, click, drop, looked, middle, visit } from '../lib/studio.mjs';

const FISH = 'assets/samples/scene-20-fish.jpg';
/** A model whose features a software GPU computes in seconds: 16 × 16 patches. */
const RESOLUTION = 128;

export async function run(stage) {
  const server = await stage.serve(stage.dist);
  const wanted = await colours(stage.root);
  for (const [graphics, device] of [['WEBGPU', 'gpu'], ['WEBGPU', 'cpu'], ['NO_WEBGPU_BUT_WEBGL', 'cpu']]) {
    await look(stage, `${server.url}?device=${device}`, graphics, device, wanted);
  }
}

/** What the command line makes of the fish: the colour of each patch. */
async function colours(root) {
  const file = path.join(root, FISH);
  const words = (out) => ['features', file, '--weights', path.join(root, 'assets/weights/starter.safetensors'),
    '--device', 'cpu', '--resolution', String(RESOLUTION), '--pca', '--blocks', '--out', out];
  return native(root, words, async (folder) => decode(await fs.readFile(path.join(folder, 'scene-20-fish.pca.png'))));
}

async function look(stage, url, graphics, device, wanted) {
  const check = (what, good, found) => stage.check(`${graphics}, ${device}: ${what}`, good, found);
  const settings = structuredClone(EXACT);
  settings.values.view.resolution = RESOLUTION;
  const { page, errors, state } = await visit(stage, url, graphics, { settings });
  check('ready', state === 'ready', state);
  const start = performance.now();
  await drop(page, [path.join(stage.root, FISH)]);
  const seen = await looked(page, 1);
  console.log(`       ${graphics}, ${device}: looked at after ${((performance.now() - start) / 1000).toFixed(1)} s`);
  check('computes there', /WebAssembly/.test(seen.device) === (device === 'cpu'), seen.device);

  const drawn = await picture(page);
  const found = blocks(drawn, seen.explore);
  const [rows, cols] = seen.explore.grid;
  const expected = blocks(wanted, { place: [0, 0, wanted.width, wanted.height], grid: [rows, cols] });
  const apart = found.map((rgb, patch) => Math.max(...rgb.map((value, i) => Math.abs(value - expected[patch][i]))));
  check('as many patches as the command line', rows * cols === (RESOLUTION / 8) ** 2, [rows, cols]);
  check('every patch has the command line\'s colour, within 2 of 255', Math.max(...apart) <= 2, Math.max(...apart));
  // The fish swims in the middle, water is in the corners.
  const at = (row, col) => found[row * cols + col];
  const distance = (a, b) => Math.hypot(...a.map((value, i) => value - b[i]));
  const between = distance(at(rows / 2, cols / 2), at(0, 0));
  check('object and background differ', between > 60, between);

  // Similarity lights up under the pointer, and follows it.
  await page.keyboard.press('3');
  const layers = [];
  for (const [row, col] of [[rows / 2, cols / 2], [0, 0]]) {
    await page.mouse.move(...middle(seen.explore, row, col));
    const patch = row * cols + col;
    await shows(page, (now) => now.explore.hover?.patch === patch && !now.busy, `the similarity to patch ${patch}`);
    layers.push(blocks(await picture(page), seen.explore));
  }
  const changed = layers[0].filter((rgb, patch) => distance(rgb, layers[1][patch]) > 30).length;
  check('similarity follows the pointer', changed > (rows * cols) / 4, changed);
  await page.mouse.click(...middle(seen.explore, 3, 4));
  const pinned = await shows(page, (now) => now.explore.pinned !== null, 'a pinned patch');
  check('a click pins the patch', pinned.explore.pinned.patch === 3 * cols + 4, pinned.explore.pinned);

  await click(page, 'Attention');
  await shows(page, (now) => !now.busy, 'attention');
  const attention = blocks(await picture(page), seen.explore);
  const differs = attention.filter((rgb, patch) => distance(rgb, found[patch]) > 30).length;
  check('attention shows', differs > (rows * cols) / 4, differs);
  await stage.shoot(page, `explore-${graphics}-${device}`.toLowerCase());

  // A second model beside the first: the same weights see the same.
  await click(page, 'PCA');
  await click(page, 'Compare with…');
  await click(page, 'Starter weights');
  const both = await shows(page, (now) => now.explore.compared?.cka && now.explore.compared.colours !== null && !now.busy, 'two models');
  const { cka, neighbours } = both.explore.compared;
  check('a model agrees with itself', cka > 0.999 && neighbours > 0.95, both.explore.compared);
  await stage.shoot(page, `compare-${graphics}-${device}`.toLowerCase());
  await click(page, 'Stop comparing');
  await shows(page, (now) => !now.explore.compared && !now.busy, 'one model');
  check('no error in the console', errors.length === 0, errors);
}
