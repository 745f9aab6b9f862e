// Training in the tab: the loss falls, the page answers, the run pauses while nobody sees it, and goes on elsewhere.

import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { shows } from '../lib/browser.mjs';
import { native } from '../lib/native.mjs';
import { click, visit, widget } from '../lib/studio.mjs';

/** Steps after which the loss has to have fallen. */
const STEPS = 20;

/** The preset `nano` with fewer pictures a step, as a person would write it for a slow machine. */
const RECIPE = `preset = "nano"
[train]
iterations = 40
batch = 8
evaluate_every = 0
picture_every = 10
checkpoint_every = 1000
[optim]
warmup = 5
`;

/** As little as has all parts of the method: a GPU in software takes seconds for each. */
const LEAST = `${RECIPE.replace('batch = 8', 'batch = 2')}
[crops]
locals = 2
[model]
depth = 1
`;

export async function run(stage) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-'));
  try {
    const file = await learn(stage, folder);
    await elsewhere(stage, file);
    await again(stage, file);
    await onGpu(stage);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

/** Opens the page with a recipe that was drawn up on another visit. */
function begin(stage, server, device, recipe = RECIPE) {
  const settings = { version: 1, values: { recipe } };
  return visit(stage, `${server.url}?view=train&device=${device}`, 'WEBGPU', { settings });
}

/**
 * How often a page has to answer during a step, on average. One that computed the step itself would answer once or
 * twice; how long it takes says nothing on a machine that is busy with other work.
 */
const ANSWERS = 3;

/** How often the page answered while `during` lasted, and the longest time that it did not, in milliseconds. */
async function answers(page, during) {
  await page.evaluate(() => {
    const stalls = { count: 0, longest: 0, last: performance.now(), on: true };
    window.stalls = stalls;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      const now = performance.now();
      stalls.count += 1;
      stalls.longest = Math.max(stalls.longest, now - stalls.last);
      stalls.last = now;
      if (stalls.on) {
        setTimeout(() => port2.postMessage(0), 4);
      }
    };
    port2.postMessage(0);
  });
  const result = await during();
  const { count, longest } = await page.evaluate(() => {
    window.stalls.on = false;
    return window.stalls;
  });
  return { result, count, longest };
}

async function learn(stage, folder) {
  const { check } = stage;
  const server = await stage.serve(stage.dist);
  const { page, errors } = await begin(stage, server, 'cpu');
  const begun = performance.now();
  await click(page, 'Start');
  await shows(page, (now) => now.train?.done >= 1, 'the first step');
  const first = performance.now();
  const during = () => shows(page, (now) => now.train.done >= STEPS, `${STEPS} steps`);
  const { result: after, count, longest } = await answers(page, during);
  const seconds = (performance.now() - first) / 1000;
  console.log(`       first step after ${((first - begun) / 1000).toFixed(1)} s, ${(seconds / STEPS).toFixed(2)} s a step, `
    + `${count} answers, longest stall ${longest.toFixed(0)} ms`);
  const { loss, first_loss: before } = after.train;
  check(`the loss is finite after ${STEPS} steps`, Number.isFinite(loss) && Number.isFinite(before), [before, loss]);
  check('the loss falls', loss < before, [before, loss]);
  check('features of the watched pictures are there', after.train.pictures.includes(10), after.train.pictures);
  check('the page answers while steps are computed', count >= ANSWERS * STEPS, `${count} times in ${STEPS} steps`);
  await stage.shoot(page, 'train');

  // Hidden, it holds; seen again, it goes on.
  const session = await page.context().newCDPSession(page);
  const seen = (hidden) => page.evaluate((is) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await seen(true);
  const held = await shows(page, (now) => now.train.phase === 'Paused', 'a run that holds');
  await page.waitForTimeout(3000);
  const still = await page.evaluate(() => window.dinoscope.state().train.done);
  check('a hidden page\'s run holds', still === held.train.done, [held.train.done, still]);
  await seen(false);
  await shows(page, (now) => now.train.done > still, 'a run that goes on');
  check('seen again, it goes on', true);
  await session.detach();

  // Paused and saved as one file.
  await click(page, /^Pause/);
  await shows(page, (now) => now.train.phase === 'Paused', 'a paused run');
  const downloads = page.waitForEvent('download');
  await click(page, 'Save as one file');
  const download = await downloads;
  const file = path.join(folder, download.suggestedFilename());
  await download.saveAs(file);
  check('a paused run is saved as one file', /^nano-001-\d+\.zip$/.test(path.basename(file)), path.basename(file));
  check('no error in the console', errors.length === 0, errors);
  return file;
}

/** The native program looks with the run, and goes on with it. */
async function elsewhere({ root, check }, file) {
  const fish = path.join(root, 'assets/samples/scene-20-fish.jpg');
  const words = (out) => ['features', fish, '--weights', file, '--device', 'cpu', '--npy', '--out', out];
  const made = await native(root, words, (folder) => fs.readdir(folder));
  check('the command line looks with it', made.includes('scene-20-fish.npy'), made);
  const steps = Number(/-(\d+)\.zip$/.exec(file)[1]);
  const train = () => ['train', '--resume', file, '--device', 'cpu', '--json'];
  const said = await native(root, train, (_, output) => output);
  check('and goes on with it', said.includes(`"iteration":${steps}`), said.slice(-400));
}

/** Another tab, where nothing is known of the run, goes on with it. */
async function again(stage, file) {
  const { check } = stage;
  const server = await stage.serve(stage.dist);
  const { page, errors } = await begin(stage, server, 'cpu');
  const bytes = (await fs.readFile(file)).toString('base64');
  await page.evaluate(async ([name, text]) => {
    const content = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([content], name));
    window.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  }, [path.basename(file), bytes]);
  const opened = await shows(page, (now) => now.train?.checkpoint > 0, 'the run that was dropped');
  await click(page, /^Go on from/);
  const steps = opened.train.checkpoint;
  const on = await shows(page, (now) => now.train?.done > steps, 'a step more');
  check('a dropped run goes on where it was', on.train.done > steps && Number.isFinite(on.train.loss), on.train);
  check('no error in the console', errors.length === 0, errors);
}

/** A few steps with WebGPU: the same method on another device. */
async function onGpu(stage) {
  const { check } = stage;
  const server = await stage.serve(stage.dist);
  const { page, errors } = await begin(stage, server, 'gpu', LEAST);
  await click(page, 'Start');
  const after = await shows(page, (now) => now.train?.done >= 2 || /Failed/.test(now.train?.phase ?? ''), 'steps on the GPU');
  check('trains with WebGPU', after.train.done >= 2 && Number.isFinite(after.train.loss), after.train);
  check('says so', /WebGPU/.test(after.train.device), after.train.device);
  await click(page, 'Stop');
  await shows(page, (now) => !now.going, 'a run that has ended');
  check('ends when it is told to', Boolean(await widget(page, 'Start')));
  check('no error in the console', errors.length === 0, errors);
}
