// Models from an address: which are kept, how long, what the server is asked, and what looks where one can't be had.

import fs from 'node:fs/promises';
import path from 'node:path';
import { settled, shows, until } from '../lib/browser.mjs';
import { breaking, stalling, versioned } from '../lib/odd.mjs';
import { click, drop, looked, visit, widget } from '../lib/studio.mjs';

const GRAPHICS = 'NO_WEBGPU_BUT_WEBGL';
const weights = (root, file) => fs.readFile(path.join(root, file));

export async function run(stage) {
  const starter = await weights(stage.root, 'assets/weights/starter.safetensors');
  await versions(stage, starter);
  await truncated(stage, starter);
  await fallsBack(stage);
  await names(stage);
  await slow(stage, starter);
  await elsewhere(stage);
}

/** Addresses and bytes of what the browser keeps. */
const kept = (page) => page.evaluate(async () => {
  const cache = await window.caches.open('dinoscope-models');
  return Promise.all((await cache.keys()).map(async ({ url }) => [new URL(url).pathname, (await (await cache.match(url)).blob()).size]));
});

/** Another model in a file of the same length: every number is half as large. */
function halved(file) {
  const copy = Buffer.from(file);
  const begin = 8 + Number(copy.readBigUInt64LE(0));
  for (let at = begin; at + 2 <= copy.length; at += 2) {
    const bits = copy.readUInt16LE(at);
    const size = bits & 0x7fff;
    // One less in the exponent; small ones have none to spare.
    copy.writeUInt16LE((bits & 0x8000) | (size >= 0x800 ? size - 0x400 : size >> 1), at);
  }
  return copy;
}

/** A model is kept; each visit asks whether it is still the newest; without a server the kept one looks. */
async function versions(stage, starter) {
  const { check } = stage;
  const mine = versioned({ body: starter, tag: '"one"' });
  const server = await stage.serve(stage.dist, { odd: { 'mine.safetensors': mine } });
  const asked = `${server.url}?weights=mine.safetensors&device=cpu`;
  const { page, errors } = await visit(stage, asked, GRAPHICS);
  const there = () => shows(page, (now) => now.model === 'mine.safetensors' && !now.busy, 'the model');
  await there();
  const found = await until(() => kept(page), (list) => list.length === 1, 'the model to be kept');
  check('a model that opened is kept', String(found) === `/mine.safetensors,${starter.length}`, found);
  check('it was asked for once', String(mine.asked) === 'GET 200', mine.asked);

  await page.reload();
  await settled(page);
  await there();
  check('the next visit asks whether it has changed', String(mine.asked) === 'GET 200,GET 304', mine.asked);

  mine.file.body = halved(starter);
  mine.file.tag = '"two"';
  await page.reload();
  await settled(page);
  await there();
  check('a file that was replaced is loaded', mine.asked.at(-1) === 'GET 200', mine.asked);
  const newer = () => page.evaluate(async () => (await (await window.caches.open('dinoscope-models')).match('mine.safetensors')).headers.get('etag'));
  check('and kept in place of the old one', (await until(newer, (tag) => tag === '"two"', 'the new version')) === '"two"');

  mine.file.status = 503;
  await page.reload();
  await settled(page);
  await there();
  check('where the server is out of order the kept one looks', mine.asked.at(-1) === 'GET 503', mine.asked);
  const wrong = errors.filter((text) => !/503/.test(text));
  check('no error in the console', wrong.length === 0, wrong);

  mine.file.status = undefined;
  await about(stage, page);
}

/** What is kept stands in About, and goes away there. */
async function about(stage, page) {
  const { check } = stage;
  await click(page, 'About Dinoscope');
  const shown = await widget(page, /^Remove mine\.safetensors/);
  const all = await page.evaluate(() => window.dinoscope.widgets().map((one) => one.label || one.value));
  check('About names what is kept, with sizes', all.includes('mine.safetensors, 1.7 MB'), all.filter((label) => /MB/.test(label)));
  check('no path of no disk', !all.some((label) => /settings\/studio/.test(label)), shown);
  await stage.shoot(page, 'kept-models');
  await click(page, 'Remove mine.safetensors');
  const left = await until(() => kept(page), (list) => list.length === 0, 'it to be removed');
  check('and removes it', left.length === 0, left);
  await shows(page, () => true, 'the studio');
}

/** What did not open is not kept, and asked for anew. */
async function truncated(stage, starter) {
  const { check } = stage;
  const file = versioned({ body: starter.subarray(0, starter.length - 100_000), length: false });
  const server = await stage.serve(stage.dist, { odd: { 'torn.safetensors': file } });
  const { page } = await visit(stage, `${server.url}?weights=torn.safetensors&device=cpu`, GRAPHICS);
  const said = await shows(page, (now) => now.toasts.length > 0 && !now.busy, 'a reason');
  check('a file that ends too early: the reason, with its address', /torn\.safetensors/.test(said.toasts[0])
    && said.toasts[0].includes(server.url) && !/\/models\//.test(said.toasts[0]), said.toasts);
  check('the starter weights look', said.model === 'starter weights', said.model);
  check('nothing is kept', (await kept(page)).length === 0, await kept(page));
  file.file.body = starter;
  await click(page, 'Try again');
  const good = await shows(page, (now) => now.model === 'torn.safetensors', 'the whole file');
  check('asked again, it is whole', good.model === 'torn.safetensors');
  check('and kept', (await until(() => kept(page), (list) => list.length === 1, 'it to be kept'))[0][1] === starter.length);
}

/** An address without weights: the starter weights look, and the person can try again. */
async function fallsBack(stage) {
  const { check, root } = stage;
  const page404 = '<!doctype html><title>home</title>';
  const odd = { 'home.safetensors': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(page404) };
  const server = await stage.serve(stage.dist, { odd });
  for (const [what, address, reason] of [
    ['404', 'nowhere.safetensors', /nowhere\.safetensors can't be fetched: .*404/],
    ['a web page', 'home.safetensors', /home\.safetensors can't be fetched: .*is a web page, not a file/],
  ]) {
    const { page } = await visit(stage, `${server.url}?weights=${address}&device=cpu`, GRAPHICS);
    const said = await shows(page, (now) => now.toasts.length > 0, 'a reason');
    check(`${what}: the reason`, reason.test(said.toasts[0]), said.toasts);
    await drop(page, [path.join(root, 'assets/samples/scene-20-fish.jpg')]);
    const seen = await looked(page, 1);
    check(`${what}: the starter weights look at pictures`, seen.model === 'starter weights' && Boolean(seen.explore.grid), seen.model);
    check(`${what}: it can be tried again`, Boolean(await widget(page, 'Try again')));
    await stage.shoot(page, `no-weights-${what.replace(/\W/g, '-')}`);
  }
}

/** Names of released models, of both kinds, and words that are none. */
async function names(stage) {
  const { check, root } = stage;
  const server = await stage.serve(stage.dist);
  const hub = 'https://huggingface.co/facebook/dinov2-small/resolve/main/model.safetensors';
  const body = await weights(root, 'assets/weights/starter.safetensors');
  for (const name of ['dinov2_vits14', 'dinov2-small', 'facebook/dinov2-small']) {
    // No test goes out to the network; behind a service worker none could be answered here.
    const { page } = await stage.open(GRAPHICS, { serviceWorkers: 'block' });
    const asked = [];
    await page.route(/^https:/, (route) => {
      asked.push(route.request().url());
      return route.fulfill({ body, headers: { 'access-control-allow-origin': '*' } });
    });
    await page.goto(`${server.url}?weights=${name}&device=cpu`);
    await settled(page);
    await shows(page, (now) => now.model === 'dinov2-small.safetensors', 'the model');
    check(`${name} is a released model`, asked[0] === hub, asked);
  }
  const { page } = await visit(stage, `${server.url}?weights=resnet50&device=cpu`, GRAPHICS);
  const said = await shows(page, (now) => now.toasts.length > 0 && now.model, 'a reason');
  const lists = ['dinov2-small', 'dinov2_vits14', 'dinov2_vitl14_reg'].every((name) => said.toasts[0].includes(name));
  check('another word: the names there are', /^resnet50 is no released model/.test(said.toasts[0]) && lists, said.toasts);
  check('another word: nothing is asked for', !server.requests.some((request) => /resnet50/.test(request.path)), server.requests);
}

/** A server that stalls and breaks off: the starter weights look meanwhile, the rest comes by itself. */
async function slow(stage, starter) {
  const { check, root } = stage;
  const odd = { 'slow.safetensors': breaking(starter, [700_000], { tag: '"one"' }), 'silent.safetensors': stalling(starter, [900_000]) };
  const server = await stage.serve(stage.dist, { odd });
  const { page } = await visit(stage, `${server.url}?weights=slow.safetensors&device=cpu`, GRAPHICS);
  const good = await shows(page, (now) => now.model === 'slow.safetensors', 'the model');
  // Where it goes on is the case `loading`'s: a browser that is busy may lose what came before the connection broke.
  check('what broke off comes by itself', good.model === 'slow.safetensors' && odd['slow.safetensors'].asked.length === 2,
    odd['slow.safetensors'].asked);

  const { page: other } = await visit(stage, `${server.url}?weights=silent.safetensors&device=cpu`, GRAPHICS);
  await drop(other, [path.join(root, 'assets/samples/scene-20-fish.jpg')]);
  const seen = await shows(other, (now) => now.model === 'starter weights' && now.explore.grid, 'the starter weights');
  check('while a model is on its way the starter weights look', seen.explore.pictures === 1, seen.explore);
  const word = await widget(other, /no answer for \d+ s/);
  check('silence is said beside the count', /^900 kB of 1\.7 MB, no answer for \d+ s$/.test(word.label), word.label);
  await stage.shoot(other, 'stalled');
  // Before it goes on at another connection.
  await click(other, 'Cancel');
  const after = await shows(other, (now) => !now.busy, 'the end');
  check('it can be given up, without a complaint', after.toasts.length === 0 && after.model === 'starter weights', after.toasts);
  // Of a picture nothing shows how far it is.
  const fish = await fs.readFile(path.join(root, 'assets/samples/scene-20-fish.jpg'));
  const third = await stage.serve(stage.dist, { odd: { 'fish.jpg': stalling(fish, [100]) } });
  const { page: waiting } = await visit(stage, `${third.url}?image=fish.jpg&device=cpu`, GRAPHICS);
  const told = await shows(waiting, (now) => now.toasts.length > 0, 'a word');
  check('a picture that stalls: a word', /fish\.jpg: no answer for \d+ s\. It is waited for\./.test(told.toasts[0]), told.toasts);
}

/** Addresses that the page's own policy forbids. */
async function elsewhere(stage) {
  const { check } = stage;
  const [server, other] = [await stage.serve(stage.dist), await stage.serve(stage.dist)];
  for (const [what, key, file] of [['a picture', 'image', 'a.jpg'], ['weights', 'weights', 'a.safetensors']]) {
    const { page } = await visit(stage, `${server.url}?${key}=${other.url}${file}&device=cpu`, GRAPHICS);
    const said = await shows(page, (now) => now.toasts.length > 0, 'a reason');
    check(`${what} by http: only https`, /only https addresses/.test(said.toasts[0]) && !/CORS/.test(said.toasts[0]), said.toasts);
  }
  const odd = { 'cat.jpg': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>') };
  const third = await stage.serve(stage.dist, { odd });
  const { page } = await visit(stage, `${third.url}?image=cat.jpg&device=cpu`, GRAPHICS);
  const said = await shows(page, (now) => now.toasts.length > 0, 'a reason');
  check('a web page in place of a picture is named', /cat\.jpg.*is a web page, not a file/.test(said.toasts[0]), said.toasts);
}
