// A visitor's own pictures in the tab: trained on, begun with and distilled into, saved while the run goes on, gone on with on
// another visit, evaluated. Whatever is shown goes by the name that it was given by.

import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { shows, until } from '../lib/browser.mjs';
import { clickAt, drop, looked, visit, widget } from '../lib/studio.mjs';

/** As little as has all parts of the method. */
const least = (steps) => `preset = "nano"
[train]
iterations = ${steps}
batch = 2
evaluate_every = 0
picture_every = 1000
checkpoint_every = 1000
[crops]
global_size = 16
local_size = 8
locals = 2
[model]
depth = 1
dim = 24
heads = 1
[head]
prototypes = 16
hidden = 16
bottleneck = 8
[optim]
warmup = 1
`;

/** Folders of the page's own file system, which is on no disk. */
const PATHS = /(^|[\s"'“(:])\/(given|fetched|downloads|models|runs|settings)(\/|\b)/;

const SAMPLES = ['scene-20-fish', 'scene-19-teapot', 'scene-26-rocket', 'scene-33-mushroom'];
/** As many as can be divided into those to learn from and those to evaluate. */
const COUNT = 6;

export async function run(stage) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-'));
  try {
    const own = path.join(folder, 'holiday');
    for (let index = 0; index < COUNT; index += 1) {
      const sample = SAMPLES[index % SAMPLES.length];
      const part = path.join(own, index % SAMPLES.length < 2 ? 'sea' : 'land');
      await fs.mkdir(part, { recursive: true });
      const name = index < SAMPLES.length ? sample : `${sample}-again`;
      await fs.copyFile(path.join(stage.root, `assets/samples/${sample}.jpg`), path.join(part, `${name}.jpg`));
    }
    const file = await saved(stage, own, folder);
    await again(stage, own, file);
    await begun(stage, own);
    await loose(stage, own);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

const open = async (stage, steps) => {
  const server = await stage.serve(stage.dist);
  const settings = { version: 1, values: { recipe: least(steps) } };
  return visit(stage, `${server.url}?view=train&device=cpu`, 'WEBGPU', { settings });
};

const widgets = (page) => page.evaluate(() => window.dinoscope.widgets());

/** Clicks on the last widget of a role that is called `label`, once it stands still. */
async function press(page, label, role) {
  const fits = (one) => (label instanceof RegExp ? label.test(one.label) : one.label === label)
    && (!role || one.role === role) && !one.disabled;
  await clickAt(page, label, async () => (await widgets(page)).filter(fits).at(-1)?.place);
}

/** Waits for a text that fits, and gives it. */
async function reads(page, pattern) {
  const find = (all) => all.find((one) => pattern.test(one.label) || pattern.test(one.value));
  const found = await until(() => widgets(page), (all) => Boolean(find(all)), `${pattern}`);
  return find(found);
}

/** Nothing that is shown names a path of the page's own. */
async function named(page, check, when) {
  const { toasts } = await page.evaluate(() => window.dinoscope.state());
  const all = (await widgets(page)).flatMap((one) => [one.label, one.value]);
  const wrong = [...all, ...toasts].filter((text) => PATHS.test(text));
  check(`no path of no disk: ${when}`, wrong.length === 0, wrong);
}

/** Opens the gallery's pictures to be trained on. */
async function train(page, called) {
  await press(page, 'Train', 'RadioButton');
  await press(page, 'A folder', 'RadioButton');
  await press(page, `The gallery's: ${called}`, 'Button');
}

/** Starts a run, and waits for its end. */
async function finishes(page, check, what) {
  const before = await page.evaluate(() => window.dinoscope.state().train?.name);
  await press(page, 'Start', 'Button');
  const over = (now) => now.train && now.train.name !== before && /Finished|Failed/.test(now.train.phase) && !now.going;
  const after = await shows(page, (now) => over(now) || /could not start/.test(now.toasts.join()), `${what} to end`);
  const { phase, loss } = after.train ?? {};
  check(`${what}: trains to its end`, /Finished/.test(phase) && Number.isFinite(loss), [phase, loss, after.toasts]);
  return after.train;
}

/** A dropped folder: previewed, trained on, saved while the run goes on. */
async function saved(stage, own, folder) {
  const { check } = stage;
  const { page, errors } = await open(stage, 4000);
  await drop(page, [own]);
  await looked(page, COUNT);
  await train(page, 'holiday');
  const found = await reads(page, new RegExp(`^${COUNT} pictures in holiday`));
  check('a dropped folder is found whole, by its name', !PATHS.test(found.label || found.value), found);
  await press(page, 'What the model will be given');
  check('what the model will be given is shown', Boolean(await reads(page, /^Global crop 1/)));
  await press(page, 'What the model will be given');
  await press(page, 'Start', 'Button');
  const going = await shows(page, (now) => now.train?.done >= 2 || /Failed/.test(now.train?.phase ?? ''), 'two steps');
  check('a run on a dropped folder takes steps', going.train.done >= 2 && Number.isFinite(going.train.loss), going);
  const title = await until(() => page.title(), (text) => text !== 'Dinoscope', 'a title');
  check('the title says how far it is', /^\d+ % · nano-001 · Dinoscope$/.test(title), title);
  await named(page, check, 'while a run goes on');
  const downloads = page.waitForEvent('download');
  await press(page, 'Save as one file', 'Button');
  const file = path.join(folder, 'mine (1).zip');
  await (await downloads).saveAs(file);
  const { toasts } = await shows(page, (now) => now.toasts.some((text) => /^Saved/.test(text)), 'a word about the file');
  const said = toasts.find((text) => /^Saved/.test(text));
  check('where it went is said', /^Saved nano-001-\d+\.zip in the browser's downloads/.test(said), said);
  await named(page, check, 'after the run was saved');
  check('no error in the console', errors.length === 0, errors);
  return file;
}

/** The file that was saved while the run went on, on another visit: nobody's, by its name, gone on with. */
async function again(stage, own, file) {
  const { check } = stage;
  const { page, errors } = await open(stage, 2);
  await drop(page, [file]);
  const opened = await shows(page, (now) => now.train?.checkpoint > 0, 'the run that was dropped');
  check('it keeps its own name', opened.train.name === 'nano-001', opened.train.name);
  const on = await reads(page, /^Go on from step \d+$/);
  const all = await widgets(page);
  check('it can go on at once', !on.disabled && !all.some((one) => /Another program/.test(one.label)), on);
  await named(page, check, 'after a run was dropped');
  await press(page, /^Go on from step/, 'Button');
  const asked = await reads(page, /This run needs “holiday”/);
  check('its pictures are asked for by their name', /Drop it on the page/.test(asked.label || asked.value), asked);
  await drop(page, [own]);
  await looked(page, COUNT);
  await press(page, 'Train', 'RadioButton');
  await press(page, /^Go on from step/, 'Button');
  const steps = opened.train.checkpoint;
  const after = await shows(page, (now) => now.train?.done > steps || /Failed/.test(now.train?.phase ?? ''), 'a step more');
  check('with its pictures it goes on where it was', after.train.done > steps && Number.isFinite(after.train.loss), after);
  await named(page, check, 'after it went on');
  check('no error in the console', errors.length === 0, errors);
}

/** What a run can begin with, all on given pictures. */
async function begun(stage, own) {
  const { check, root } = stage;
  const { page, errors } = await open(stage, 2);
  await drop(page, [own]);
  await looked(page, COUNT);
  await train(page, 'holiday');
  await reads(page, new RegExp(`^${COUNT} pictures in holiday`));
  await finishes(page, check, 'nothing to begin with');

  // A run, on larger pictures.
  await press(page, 'A run', 'RadioButton');
  await press(page, 'Choose …', 'Button');
  await press(page, 'nano-001', 'Button');
  await reads(page, /^Goes on from the run's student/);
  await named(page, check, 'with a run to begin with');
  await finishes(page, check, 'a run to begin with');

  // Weights that come with the program, and a file.
  await press(page, 'Weights', 'RadioButton');
  await press(page, 'Choose …', 'Button');
  await press(page, 'Starter weights', 'Button');
  await reads(page, /^The backbone is taken over/);
  await finishes(page, check, 'the starter weights to begin with');
  await press(page, 'Choose …', 'Button');
  const choosing = page.waitForEvent('filechooser');
  await press(page, 'A file of weights …', 'Button');
  await (await choosing).setFiles(path.join(root, 'assets/weights/starter.safetensors'));
  await reads(page, /^starter\.safetensors$/);
  await reads(page, /^The backbone is taken over/);
  await named(page, check, 'with weights to begin with');
  await finishes(page, check, 'a file of weights to begin with');

  // A teacher.
  await press(page, 'A teacher', 'RadioButton');
  await press(page, 'Choose …', 'Button');
  await press(page, 'Starter weights', 'Button');
  await reads(page, /^The student learns/);
  await finishes(page, check, 'a teacher');
  await stage.shoot(page, 'own');

  // All of it is evaluated, too.
  await press(page, 'Evaluate', 'RadioButton');
  await press(page, 'Yours', 'RadioButton');
  await press(page, "The gallery's: holiday", 'Button');
  await reads(page, /to learn from, \d+ to test, 2 classes/);
  await press(page, 'Start evaluation', 'Button');
  const { evaluate } = await shows(page, (now) => !now.evaluate.going && now.evaluate.found.length + now.evaluate.troubles.length > 0, 'a finding');
  check('the gallery is judged', evaluate.found.length === 1 && evaluate.troubles.length === 0, evaluate);
  await named(page, check, 'after it was judged');
  check('no error in the console', errors.length === 0, errors);
}

/** Loose pictures that came one after the other are trained on together; what is none is named as it is called. */
async function loose(stage, own) {
  const { check } = stage;
  const { page, errors } = await open(stage, 2);
  const [fish, teapot, rocket] = SAMPLES.map((name, index) => path.join(own, index < 2 ? 'sea' : 'land', `${name}.jpg`));
  await drop(page, [fish, teapot]);
  await looked(page, 2);
  await drop(page, [rocket]);
  await looked(page, 3);
  const torn = path.join(own, 'torn.jpg');
  await fs.writeFile(torn, (await fs.readFile(fish)).subarray(0, 900));
  await drop(page, [torn]);
  const { toasts } = await shows(page, (now) => now.toasts.some((text) => /torn\.jpg/.test(text)), 'a word about torn.jpg');
  const said = toasts.find((text) => /torn\.jpg/.test(text));
  check('a file is called as it was given', !PATHS.test(said) && !/loose/.test(said), said);
  await train(page, 'loose pictures');
  await reads(page, /^4 pictures in loose pictures/);
  await finishes(page, check, 'loose pictures');
  await named(page, check, 'with loose pictures');
  check('no error in the console', errors.length === 0, errors);
  check('the page is still there', Boolean(await widget(page, 'Start')));
}
