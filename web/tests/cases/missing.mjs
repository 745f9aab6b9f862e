// Browsers that lack something: the page does what it can, and says what is missing and how to get it.

import { settled } from '../lib/browser.mjs';
import { colours, picture } from '../lib/pixels.mjs';

/** What this browser has, asked of itself: a case that means to lack something must lack it. */
const has = (page) => page.evaluate(async () => ({
  webgpu: Boolean(await navigator.gpu?.requestAdapter()),
  webgl: Boolean(document.createElement('canvas').getContext('webgl2')),
}));

export async function run({ dist, check, serve, open, shoot }) {
  const server = await serve(dist);
  await withoutWebGpu(server, check, open, shoot);
  await withoutAnything(server, check, open, shoot);
}

async function withoutWebGpu(server, check, open, shoot) {
  const { page, errors } = await open('NO_WEBGPU_BUT_WEBGL');
  await page.goto(server.url);
  const state = await settled(page);
  const found = await has(page);
  check('this browser has WebGL and no WebGPU', found.webgl && !found.webgpu, found);
  check('without WebGPU: ready', state === 'ready', state);
  const note = page.locator('#note');
  check('without WebGPU: a note says so', await note.isVisible());
  const text = await note.innerText();
  check('without WebGPU: the note says what computes and why', /on the CPU/.test(text) && /WebGPU[,.]? .+\./.test(text), text);
  await note.locator('summary').click();
  const ways = await note.innerText();
  check('without WebGPU: and what to switch on', /chrome:\/\/flags/.test(ways) && /Safari/.test(ways), ways);
  await shoot(page, 'no-webgpu');
  await page.locator('#note-close').click();
  check('without WebGPU: the note can be closed', await note.isHidden());
  const drawn = colours(await picture(page));
  check('without WebGPU: the studio draws', drawn > 50, `${drawn} colours`);
  check('without WebGPU: no error in the console', errors.length === 0, errors);
}

async function withoutAnything(server, check, open, shoot) {
  const { page } = await open('NOTHING');
  await page.goto(server.url);
  const state = await settled(page);
  const found = await has(page);
  check('this browser has neither WebGPU nor WebGL', !found.webgl && !found.webgpu, found);
  check('without anything: says that it stopped', state === 'failed', state);
  const stopped = page.locator('#stopped');
  check('without anything: the reason is on the page', await stopped.isVisible());
  const reason = await page.locator('#stopped-reason').innerText();
  check('without anything: the reason names what is missing', /WebGPU/.test(reason) && /WebGL/.test(reason), reason);
  check('without anything: there are ways on', (await stopped.locator('li').count()) > 1);
  check('without anything: one of them is a button', await page.locator('#stopped-again').isVisible());
  await shoot(page, 'nothing');
}
