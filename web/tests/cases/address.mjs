// The address holds where one is: it can be shared, and Back goes back. The first screen is no empty one.

import fs from 'node:fs/promises';
import path from 'node:path';
import { shows, until } from '../lib/browser.mjs';
import { colours, picture } from '../lib/pixels.mjs';
import { click, drop, looked, visit, widget } from '../lib/studio.mjs';

export async function run(stage) {
  const { root } = stage;
  const weights = await fs.readFile(path.join(root, 'assets/weights/starter.safetensors'));
  const server = await stage.serve(stage.dist, { extra: { 'mine.safetensors': weights } });
  await history(stage, server.url);
  await restored(stage, server.url);
  await misspelt(stage, server.url);
  await first(stage, server.url);
}

const chosen = (page, name) => page.locator(`[role=radio][aria-label="${name}"][aria-checked=true]`).waitFor({ state: 'attached' });

/** Waits for the address's query. */
const asked = (page, good, what) => until(async () => new URL(page.url()).search, good, what);

async function history(stage, url) {
  const { check, root } = stage;
  const { page, errors } = await visit(stage, `${url}?device=cpu`, 'WEBGPU');
  await shows(page, (now) => now.model !== null && !now.busy, 'the first screen');
  check('where one begins is the address as it is', new URL(page.url()).search === '?device=cpu', page.url());
  await click(page, 'Attention');
  await asked(page, (query) => /view=attention/.test(query), 'the view in the address');
  await click(page, 'Train');
  const trains = await asked(page, (query) => /workspace=train/.test(query), 'the workspace in the address');
  check('what else was asked for stays', /device=cpu/.test(trains) && /view=attention/.test(trains), trains);
  await page.goBack();
  const back = await shows(page, (now) => now.workspace === 'Explore', 'the workspace before');
  check('Back goes to the workspace before', back.workspace === 'Explore');
  await chosen(page, 'Attention');
  await page.goBack();
  await chosen(page, 'PCA');
  check('and to the view before', new URL(page.url()).search === '?device=cpu', page.url());
  await page.goForward();
  await chosen(page, 'Attention');
  await page.goForward();
  await shows(page, (now) => now.workspace === 'Train', 'the workspace after');
  check('Forward goes on', /workspace=train/.test(page.url()), page.url());
  await page.goBack();
  await shows(page, (now) => now.workspace === 'Explore', 'Explore');
  // A file of the disk has no address.
  await drop(page, [path.join(root, 'assets/samples/scene-20-fish.jpg')]);
  await looked(page, 1);
  check('a dropped picture changes no address', !/image=/.test(page.url()), page.url());
  check('no error in the console', errors.length === 0, errors);
}

async function restored(stage, url) {
  const { check } = stage;
  const { page } = await visit(stage, `${url}?weights=mine.safetensors&view=similarity&workspace=evaluate&device=cpu`, 'WEBGPU');
  const at = await shows(page, (now) => now.model !== null && !now.busy, 'a model');
  check('an address opens its workspace', at.workspace === 'Evaluate', at.workspace);
  check('and its model', /mine\.safetensors/.test(at.model), at.model);
  await click(page, 'Explore');
  await chosen(page, 'Similar');
  const query = await asked(page, (found) => !/workspace/.test(found), 'the address of Explore');
  check('the model stays in the address', /weights=mine\.safetensors/.test(query) && /view=similarity/.test(query), query);
  const label = /^Model: /;
  await click(page, label);
  await click(page, 'Starter weights');
  const starter = await asked(page, (found) => !/weights=/.test(found), 'an address without weights');
  check('the starter weights need none', !/weights=/.test(starter), starter);
  await shows(page, (now) => now.model === 'starter' || !/mine/.test(now.model), 'the starter weights');
  await page.goBack();
  const again = await shows(page, (now) => /mine\.safetensors/.test(now.model) && !now.busy, 'the model before');
  check('Back goes to the model before', /mine/.test(again.model), again.model);
}

async function misspelt(stage, url) {
  const { check } = stage;
  const { page } = await visit(stage, `${url}?device=banana&view=nonsense&workspace=nowhere`, 'NO_WEBGPU_BUT_WEBGL');
  const { toasts } = await shows(page, (now) => now.toasts.length >= 3, 'what was not understood');
  for (const wrong of ['device=banana', 'view=nonsense', 'workspace=nowhere']) {
    check(`${wrong} is told, with what there is`, toasts.some((text) => text.includes(wrong) && /There are /.test(text)), toasts);
  }
  const { page: old } = await visit(stage, `${url}?device=cpu&view=train`, 'WEBGPU');
  const at = await shows(old, (now) => now.workspace === 'Train', 'Train');
  check('a workspace may stand where a view does', at.workspace === 'Train' && at.toasts.length === 0, at.toasts);
}

async function first(stage, url) {
  const { check, root } = stage;
  const { page } = await visit(stage, `${url}?device=cpu`, 'WEBGPU');
  await shows(page, (now) => now.explore.sample, 'the sample');
  const { place: [left, top, right, bottom] } = await widget(page, /^A sample/);
  const half = (right - left) / 2;
  for (const [name, x] of [['picture', left], ['features', left + half + 4]]) {
    const clip = { x, y: top, width: half - 4, height: bottom - top };
    const count = colours(await picture(page, clip));
    check(`the first screen shows a sample: its ${name}`, count > 200, `${count} colours`);
  }
  check('it is none of the pictures', (await page.evaluate(() => window.dinoscope.state().explore.pictures)) === 0);
  await stage.shoot(page, 'first');
  await drop(page, [path.join(root, 'assets/samples/scene-20-fish.jpg')]);
  const seen = await looked(page, 1);
  check('it is gone with the first picture', seen.explore.sample === false);
}
