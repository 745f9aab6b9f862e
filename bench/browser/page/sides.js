// The sides in one page: each opens a model and looks at one picture. bench.mjs calls `window.sides`.

import { AutoModel, Tensor, env } from '@huggingface/transformers';
import { Dinoscope } from '/dinoscope/index.js';
import * as plain from '/modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs';

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = '/models/';
env.useBrowserCache = false;
env.useWasmCache = false;
// The runtimes of the same release, from this machine, with the one thread that pages have without isolation.
for (const [settings, build] of [[env.backends.onnx.wasm, '.asyncify'], [plain.env.wasm, '']]) {
  const runtime = new URL(`/modules/onnxruntime-web/dist/ort-wasm-simd-threaded${build}`, location.href).href;
  settings.wasmPaths = { mjs: `${runtime}.mjs`, wasm: `${runtime}.wasm` };
  settings.numThreads = 1;
}

const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/**
 * Colours that no two patches share.
 * @param {number} side
 */
function picture(side) {
  const image = new ImageData(side, side);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const waves = [Math.sin(0.05 * x + 0.02 * y), Math.cos(0.0006 * x * y), Math.sin(0.07 * y - 0.03 * x)];
      waves.forEach((wave, channel) => { image.data[4 * (y * side + x) + channel] = 127 + 120 * wave; });
      image.data[4 * (y * side + x) + 3] = 255;
    }
  }
  return image;
}

/**
 * @param {ImageData} image
 * @param {Function} Kind The tensor of a library.
 */
function normalised({ data, width, height }, Kind) {
  const values = new Float32Array(3 * width * height);
  for (let i = 0; i < width * height; i += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      values[channel * width * height + i] = (data[4 * i + channel] / 255 - MEAN[channel]) / STD[channel];
    }
  }
  return new Kind('float32', values, [1, 3, height, width]);
}

/** CLS token and patch tokens of one picture, without the registers between them. */
const split = ({ data, dims }, registers) => [data.subarray(0, dims[2]), data.subarray((1 + registers) * dims[2])];

/** How to open a model; the result has `look`, which gives all tokens, and `close`. */
const OPEN = {
  async dinoscope(name, device, side) {
    const model = await Dinoscope.load(`/models/${name}/official.safetensors`, { device: device === 'wasm' ? 'cpu' : device });
    const image = picture(side);
    return {
      about: `${model.device.type}, ${model.device.name}`,
      // From the picture's pixels to numbers in the page.
      look: async () => {
        const { cls, patches } = await model.features(image, { resolution: side });
        return [cls, patches];
      },
      close: () => model.dispose(),
    };
  },
  async transformers(name, device, side, registers) {
    const model = await AutoModel.from_pretrained(name, { device, dtype: 'fp32' });
    // Prepared beforehand: the time is the model's alone.
    const pixels = normalised(picture(side), Tensor);
    return {
      about: device,
      look: async () => {
        return split((await model({ pixel_values: pixels })).last_hidden_state, registers);
      },
      close: () => model.dispose(),
    };
  },
  /** The runtime below transformers.js in its fastest build for the CPU, which transformers.js does not use. */
  async onnxruntime(name, device, side, registers) {
    const session = await plain.InferenceSession.create(`/models/${name}/onnx/model.onnx`);
    const pixels = normalised(picture(side), plain.Tensor);
    return {
      about: device,
      look: async () => split((await session.run({ pixel_values: pixels })).last_hidden_state, registers),
      close: () => session.release(),
    };
  },
};

const opened = {};
const seen = {};

/** Cosine of the angle between a token of one result and the same of the other: the least of all tokens. */
function agreement([clsA, patchesA], [clsB, patchesB]) {
  if (patchesA.length !== patchesB.length) {
    throw new Error(`${patchesA.length} numbers against ${patchesB.length}`);
  }
  const cosine = (a, b) => {
    let [ab, aa, bb] = [0, 0, 0];
    a.forEach((value, i) => { ab += value * b[i]; aa += value * value; bb += b[i] * b[i]; });
    return ab / Math.sqrt(aa * bb);
  };
  const dim = clsA.length;
  const tokens = Array.from({ length: patchesA.length / dim }, (_, i) => [i * dim, (i + 1) * dim]);
  const all = tokens.map(([from, to]) => cosine(patchesA.subarray(from, to), patchesB.subarray(from, to)));
  // A token that is no number must not hide behind Math.min's rules.
  return [cosine(clsA, clsB), ...all].reduce((least, value) => (value >= least ? least : value), 1);
}

window.sides = {
  /** Opens a model; returns where it computes and how long it took until the first result. */
  async open(side, name, device, pixels, registers) {
    const start = performance.now();
    opened[side] = await OPEN[side](name, device, pixels, registers);
    seen[side] = await opened[side].look();
    return { about: opened[side].about, milliseconds: performance.now() - start };
  },
  /** Milliseconds of one look. */
  async look(side) {
    const start = performance.now();
    seen[side] = await opened[side].look();
    return performance.now() - start;
  },
  /** How far a side agrees with ours. */
  agreement: (side) => agreement(seen.dinoscope, seen[side]),
  async close() {
    await Promise.all(Object.values(opened).map((side) => side.close()));
  },
};
document.body.dataset.state = 'ready';
