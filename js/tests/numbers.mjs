// Whether the package computes what the command line does.

import { apart } from './npy.mjs';
import { RESOLUTION } from './native.mjs';

/** Largest difference of an ImageData's colours to a picture's, in steps of 255; NaN if the sizes differ. */
function colours(image, { width, height, data }) {
  if (image?.width !== width || image.height !== height || image.data.length !== data.length) {
    return Number.NaN;
  }
  return data.reduce((worst, value, i) => Math.max(worst, Math.abs(image.data[i] - value)), 0);
}

/**
 * Looks at the pictures in a page and compares.
 * @param {import('playwright-core').Page} page
 * @param {{ device: string, worker: boolean, tolerance: number, numbers: object,
 *   check: (name: string, good: boolean, found: unknown) => void }} options
 */
export async function compare(page, { device, worker, tolerance, numbers, check }) {
  const name = `${device}${worker ? '' : ' without a worker'}`;
  const { width, height, rgba } = numbers.drawn;
  const found = await page.evaluate(async ({ device, worker, resolution, width, height, rgba }) => {
    const { Dinoscope, plain } = window.project;
    const heard = [];
    const weights = new URL('starter.safetensors', location.href);
    const model = await Dinoscope.load(weights, { device, worker, onProgress: (progress) => heard.push(progress) });
    const blob = await (await fetch('drawn.png')).blob();
    const pixels = new ImageData(new Uint8ClampedArray(rgba), width, height);
    const [fish, drawn] = await Promise.all([
      model.features('fish.jpg', { resolution }),
      model.features(pixels, { resolution }),
    ]);
    const result = {
      info: model.info, device: model.device, heard, fish, drawn,
      file: await model.features(blob, { resolution }),
      together: await model.features(['fish.jpg', pixels, 'fish.jpg'], { resolution }),
      looks: await model.attention([pixels, 'fish.jpg'], { resolution }),
      pca: await model.pca(['fish.jpg', drawn], { resolution }),
      attention: await model.attention('fish.jpg', { resolution }),
      other: {
        pca: await model.pca(fish, { foreground: true, smooth: false }),
        attention: await model.attention('fish.jpg', { resolution, block: 1, query: 2 * fish.cols + 3 }),
        // The middle of that patch of 12 × 12, in pixels of the picture's 384.
        place: await model.attention('fish.jpg', { resolution, block: 1, query: { x: 3.5 * 32, y: 2.5 * 32 } }),
      },
      similar: model.similarity(fish, { patch: 27 }),
      place: model.similarity(fish, { x: 3.5 * 32, y: 2.5 * 32 }),
      compared: await model.compare(model, ['fish.jpg', pixels], { resolution }),
      // In a frame that is the same the place is where it was.
      followed: await model.follow([fish, 'fish.jpg', fish], { x: 100, y: 90 }, { resolution, radius: 1 }),
      isolated: crossOriginIsolated,
    };
    const out = plain(result);
    model.dispose();
    return out;
  }, { device, worker, resolution: RESOLUTION, width, height, rgba: [...rgba] });

  const near = (what, value, limit = tolerance) => check(`${name}: ${what}`, value <= limit, `${value}, not ${limit}`);
  check(`${name}: says where it computes`, found.device.type === device && found.device.worker === worker, found.device);
  check(`${name}: needs no isolation from other sites`, found.isolated === false, found.isolated);
  for (const which of ['fish', 'drawn']) {
    const { cls, patches } = numbers[which];
    check(`${name}: shape of ${which}`, String(found[which].shape) === String(patches.shape), found[which].shape);
    near(`CLS token of ${which}`, apart(found[which].cls, cls.data));
    near(`patches of ${which}`, apart(found[which].patches, patches.data));
  }
  near('a file and its pixels', apart(found.file.patches, found.drawn.patches), 0);
  near('attention', apart(found.attention.heads.flat(), numbers.fish.attention.data));
  near('attention of a patch in block 1', apart(found.other.attention.heads.flat(), numbers.other.attention.data));
  near('the same patch by its place', apart(found.other.place.heads.flat(), found.other.attention.heads.flat()), 0);
  near('colours of fish', colours(found.pca[0], numbers.fish.pca), 2);
  near('colours of drawn', colours(found.pca[1], numbers.drawn.pca), 2);
  near('colours in blocks, without background', colours(found.other.pca, numbers.other.pca), 2);
  near('similarity', apart(found.similar, cosine(numbers.fish.patches, 27)));
  near('similarity by place', apart(found.place, found.similar), 0);
  const { cka, neighbours, images: both } = found.compared;
  check(`${name}: a model agrees with itself`, Math.abs(cka - 1) < 1e-3 && neighbours === 1, [cka, neighbours]);
  near('its colours beside itself', colours(both[0].own.pca, numbers.fish.pca), 2);
  near('and turned onto its own', colours(both[1].other.pca, numbers.drawn.pca), 3);
  near('the features of both', apart(both[1].other.features.patches, found.drawn.patches), 0);
  const [first, ...later] = found.followed;
  check(`${name}: a place begins where it was said`, Math.hypot(first.x - 100, first.y - 90) < 1e-3 && first.seen, first);
  // Patches of 32 pixels.
  const stays = later.length === 2 && later.every(({ x, y, seen }) => seen && Math.hypot(x - 100, y - 90) < 32);
  check(`${name}: and is found there again`, stays, later);
  const { name: file, patch, dim, depth, heads, resolution, parameters } = found.info;
  check(`${name}: what the model is`, [file, patch, dim, depth, heads, resolution, parameters].join()
    === 'starter.safetensors,8,128,4,4,256,827648', found.info);
  const last = (stage) => found.heard.filter((one) => one.stage === stage).at(-1);
  const whole = (stage) => last(stage)?.loaded > 0 && last(stage).total === last(stage).loaded;
  check(`${name}: progress of the weights reaches the end`, last('weights')?.loaded === 1661032 && whole('weights'), last('weights'));
  check(`${name}: progress of the model reaches the end`, whole('model'), last('model'));
  // Without a worker the page has loaded it once for all models.
  check(`${name}: progress of the program reaches the end`, whole('program') || !worker, last('program'));
  check(`${name}: several images at a time`, found.together.length === 3 && String(found.together[1].shape) === String(found.drawn.shape),
    found.together.map(({ shape }) => shape));
  near('several images give what each gives alone', Math.max(apart(found.together[0].patches, found.fish.patches),
    apart(found.together[1].patches, found.drawn.patches), apart(found.together[2].patches, found.fish.patches)));
  near('several images: attention', apart(found.looks[1].heads.flat(), found.attention.heads.flat()), 0);
}

/**
 * The same of a pickle that a person chose, of a model with registers.
 * @param {import('playwright-core').Page} page
 * @param {number} tolerance
 * @param {object} numbers
 * @param {(name: string, good: boolean, found: unknown) => void} check
 */
export async function pickled(page, tolerance, numbers, check) {
  const { info, features, attention } = await page.evaluate(async (resolution) => {
    const { Dinoscope, plain } = window.project;
    const blob = await (await fetch('official_vit_reg4.pth')).blob();
    const model = await Dinoscope.load(new File([blob], 'official_vit_reg4.pth'), { device: 'cpu' });
    const features = await model.features('fish.jpg', { resolution });
    const attention = await model.attention('fish.jpg', { resolution });
    model.dispose();
    return plain({ info: model.info, features, attention });
  }, RESOLUTION);
  const { patches, attention: expected } = numbers.registers;
  const differences = [apart(features.patches, patches.data), apart(attention.heads.flat(), expected.data)];
  check('.pth: features and attention', differences.every((one) => one <= tolerance), differences);
  check('.pth: has registers', info.registers === 4 && info.name === 'official_vit_reg4.pth', info);
}

/** Cosine similarity of a patch to all others, from the command line's numbers. */
function cosine({ shape: [rows, cols, dim], data }, index) {
  const patch = (i) => data.subarray(i * dim, (i + 1) * dim);
  const product = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const length = (a) => Math.sqrt(product(a, a));
  return Array.from({ length: rows * cols }, (_, i) =>
    product(patch(index), patch(i)) / length(patch(index)) / length(patch(i)));
}
