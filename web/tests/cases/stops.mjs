// Hosts that have not everything, or serve it in another way: the page goes on where it can, and says what is wrong where
// it can't.

import fs from 'node:fs/promises';
import path from 'node:path';
import { settled, shows } from '../lib/browser.mjs';
import { list, named, policy } from '../lib/dist.mjs';
import { breaking } from '../lib/odd.mjs';
import { drop, looked, visit, widget } from '../lib/studio.mjs';

export async function run(stage) {
  await otherNames(stage);
  await missingProgram(stage);
  await missingScript(stage);
  await strictHost(stage);
  await damaged(stage);
  await withoutStarter(stage);
}

/** The page's file, by what it was called before it was built. */
const program = (dist) => named(dist, 'pkg/dinoscope_web_bg.wasm');
const content = async (dist, file) => fs.readFile(path.join(dist, file));

/** What a stopped page says. */
async function stop(stage, server) {
  const { page } = await stage.open('NO_WEBGPU_BUT_WEBGL');
  await page.goto(`${server.url}?device=cpu`);
  const state = await settled(page);
  const shown = async (which) => (await page.locator(which).allInnerTexts()).map((text) => text.replace(/\s+/g, ' '));
  return {
    page,
    state,
    reason: (await shown('#stopped-reason')).join(),
    advice: await shown('#stopped li:visible'),
    buttons: await shown('#stopped button:visible'),
  };
}

/** A program by a wrong name, in two halves: it is compiled all the same. */
async function otherNames(stage) {
  const { dist, check } = stage;
  const name = await program(dist);
  const body = await content(dist, name);
  const server = await stage.serve(dist, { odd: { [name]: breaking(body, [body.length >> 1]) } });
  const { page, errors, state } = await visit(stage, `${server.url}?device=cpu`, 'NO_WEBGPU_BUT_WEBGL');
  check('a program of another type, broken off on its way, starts', state === 'ready', await page.locator('#stopped-reason').innerText());
  const seen = errors.filter((text) => !/ERR_CONTENT_LENGTH_MISMATCH|ERR_INCOMPLETE|ERR_CONNECTION/.test(text));
  check('no other error in the console', seen.length === 0, seen);
}

async function missingProgram(stage) {
  const { dist, check } = stage;
  const name = await program(dist);
  const server = await stage.serve(dist, { odd: { [name]: (_, response) => response.writeHead(404).end() } });
  const { page, state, reason, advice, buttons } = await stop(stage, server);
  check('missing program: stops', state === 'failed', state);
  check('missing program: names the file and the answer', reason.includes(path.basename(name)) && /404/.test(reason), reason);
  check('missing program: a host\'s fault', advice.some((text) => /missing on the server/.test(text)), advice);
  check('missing program: no word of graphics', !advice.some((text) => /WebGPU|acceleration/.test(text)), advice);
  check('missing program: the CPU is no way on', String(buttons) === 'Start again', buttons);
  await stage.shoot(page, 'missing-program');
}

async function missingScript(stage) {
  const { dist, check } = stage;
  const name = await named(dist, 'pkg/dinoscope_web.js');
  // As a host does that answers everything with its one page.
  const odd = { [name]: (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>home') };
  const { state, advice } = await stop(stage, await stage.serve(dist, { odd }));
  check('missing script: stops', state === 'failed', state);
  check('missing script: a host\'s fault', advice.some((text) => /missing on the server/.test(text)), advice);
}

/** A host whose own policy forbids WebAssembly. */
async function strictHost(stage) {
  const { dist, check } = stage;
  const rule = (await policy(dist)).replace(" 'wasm-unsafe-eval'", '');
  const html = await content(dist, 'index.html');
  const headers = { 'content-type': 'text/html', 'content-security-policy': rule };
  const odd = { 'index.html': (_, response) => response.writeHead(200, headers).end(html) };
  const { page, state, reason, advice, buttons } = await stop(stage, await stage.serve(dist, { strict: false, odd }));
  check('strict host: stops', state === 'failed', state);
  check('strict host: the policy is named', /Content-Security-Policy/.test(reason), reason);
  check('strict host: what it must have', advice.some((text) => /'wasm-unsafe-eval'/.test(text)), advice);
  check('strict host: no word of graphics', !/WebGPU|acceleration/.test(String(advice)) && String(buttons) === 'Start again', advice);
  await stage.shoot(page, 'strict-host');
}

async function damaged(stage) {
  const { dist, check } = stage;
  const name = await program(dist);
  const headers = { 'content-type': 'application/wasm' };
  const odd = { [name]: (_, response) => response.writeHead(200, headers).end('no program at all') };
  const { state, reason, advice } = await stop(stage, await stage.serve(dist, { odd }));
  check('damaged program: stops', state === 'failed', state);
  check('damaged program: says so', /does not accept/.test(reason) && /damaged/.test(String(advice)), { reason, advice });
}

/** Without its starter weights the page goes on, and can ask for them again. */
async function withoutStarter(stage) {
  const { dist, root, check } = stage;
  const name = (await list(dist)).find((file) => /^weights\/starter\..*safetensors$/.test(file)) ?? 'weights/starter.safetensors';
  const body = await content(dist, name);
  let there = false;
  const odd = { [name]: (_, response) => (there ? response.writeHead(200).end(body) : response.writeHead(404, 'Not Found').end()) };
  const server = await stage.serve(dist, { odd });
  const { page, state } = await visit(stage, `${server.url}?device=cpu`, 'NO_WEBGPU_BUT_WEBGL');
  check('missing starter weights: the studio is there', state === 'ready', state);
  const said = await shows(page, (now) => now.toasts.length > 0, 'a reason');
  check('missing starter weights: the reason', /starter weights can't be fetched: .*404/.test(said.toasts[0]), said.toasts);
  await stage.shoot(page, 'missing-starter');
  there = true;
  const { place: [left, top, right, bottom] } = await widget(page, 'Try again');
  await page.mouse.click((left + right) / 2, (top + bottom) / 2);
  await shows(page, (now) => now.model === 'starter weights', 'the starter weights');
  await drop(page, [path.join(root, 'assets/samples/scene-20-fish.jpg')]);
  const seen = await looked(page, 1);
  check('missing starter weights: asked again, they look', seen.model === 'starter weights', seen.model);
}
