// After one visit the page needs no server, and a new version takes the old one's place.

import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { settled, until } from '../lib/browser.mjs';

/** Waits until everything is kept: the worker that keeps it has begun to work. */
const kept = (page) => page.evaluate(async () => {
  const { active } = await navigator.serviceWorker.ready;
  if (active.state !== 'activated') {
    await new Promise((done) => active.addEventListener('statechange', done, { once: true }));
  }
});

/** What is kept of the page, of each version: how many files, and which version. */
const caches = (page) => page.evaluate(async () => {
  const names = (await window.caches.keys()).filter((one) => one.startsWith('dinoscope http'));
  return Promise.all(names.map(async (one) => {
    const files = await (await window.caches.open(one)).keys();
    return { version: one.split(' ').at(-1), files: files.length };
  }));
});

/** A host may put the page anywhere. */
const under = '/some/where/';

export async function run({ dist, check, serve, open }) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-offline-'));
  try {
    await fs.cp(dist, folder, { recursive: true });
    await visits(folder, check, serve, open);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

async function visits(folder, check, serve, open) {
  const server = await serve(folder, { under });
  const { page, context, errors } = await open('WEBGPU');
  await page.goto(server.url);
  check('first visit: ready', (await settled(page)) === 'ready');
  const begun = await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length);
  check('nothing is packed away before the studio draws', begun === 0, begun);
  await kept(page);
  const asked = server.requests.map((request) => request.path).filter((file) => /\.(wasm|safetensors)$/.test(file));
  check('program and weights are loaded once', asked.length === 2 && new Set(asked).size === 2, asked);
  const sent = server.requests.filter((request) => request.encoding === 'br').map((request) => request.path);
  check('the program is sent compressed', sent.some((file) => file.endsWith('.wasm')), sent);
  const stray = server.requests.filter((request) => request.path.startsWith('/')).map((request) => request.path);
  check('below its folder nothing is asked for elsewhere', stray.length === 0, stray);

  await server.close();
  // What the browser keeps by itself for a while would hide what the page does not keep.
  await (await context.newCDPSession(page)).send('Network.clearBrowserCache');
  const reached = await page.evaluate(() => fetch('not-kept').then(() => true, () => false));
  check('the server is gone', reached === false);
  errors.length = 0;
  await page.reload();
  check('without a server: ready', (await settled(page)) === 'ready');
  check('without a server: no error in the console', errors.length === 0, errors);

  await change(folder);
  const back = await serve(folder, { under, port: server.port });
  await page.reload();
  check('a new version is seen at once', await isNew(page));
  await settled(page);
  // This tab shows the new version, and no other one the old.
  const alone = (found) => found.length === 1 && found[0].version === 'anew0000';
  const left = await until(() => caches(page), alone, 'the new version in place of the old one');
  check('the old version is removed', left[0].files > 5, left);
  const loaded = back.requests.filter((request) => request.path.endsWith('.wasm'));
  check('what has not changed is not loaded again', loaded.length === 0, loaded);
  await back.close();
  await (await context.newCDPSession(page)).send('Network.clearBrowserCache');
  await page.reload();
  check('the new version without a server', (await settled(page)) === 'ready' && (await isNew(page)));
}

/** Whether the page is the other version. Its title is the studio's. */
const isNew = (page) => page.evaluate(() => 'anew' in document.documentElement.dataset);

/** Makes another version of a page, as a later build would. */
async function change(folder) {
  const rewrite = async (file, from, to) => {
    const place = path.join(folder, file);
    await fs.writeFile(place, (await fs.readFile(place, 'utf8')).replace(from, to));
    await fs.rm(`${place}.br`, { force: true });
  };
  await rewrite('index.html', '<html lang="en">', '<html lang="en" data-anew>');
  await rewrite('sw.js', /const VERSION = '\w{8}';/, "const VERSION = 'anew0000';");
}
