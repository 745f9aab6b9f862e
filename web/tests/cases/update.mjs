// A new version while tabs are open: it is offered to those of the old one, and takes nothing from them.
//
// The page is a small one around the real sw.js, update.js and notices, so that it changes from version to version as
// a build does.

import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { tab, until } from '../lib/browser.mjs';

/** Puts a version into the folder: files with a hash in their names, as `cargo xtask web` writes them. */
async function build(root, folder, version) {
  const source = (file) => fs.readFile(path.join(root, 'web/page', file), 'utf8');
  await fs.rm(folder, { recursive: true, force: true });
  await fs.mkdir(folder, { recursive: true });
  const html = await source('index.html');
  const head = html.slice(html.indexOf('<head>'), html.indexOf('<title>'));
  const notices = html.slice(html.indexOf('<div id="notices">'), html.indexOf('</body>'));
  const files = {
    'index.html': `<!doctype html><html>${head}<title>${version}</title><link rel="stylesheet" href="style.${version}.css">`
      + `<script type="module" src="main.${version}.js"></script></head><body data-state="ready">${notices}</body></html>`,
    [`main.${version}.js`]: `import { watch } from './update.${version}.js'; import { offer } from './screens.${version}.js';
      window.kept = navigator.serviceWorker.register('sw.js').then((found) => { watch(found, import.meta.url, offer); });`,
    [`update.${version}.js`]: await source('update.js'),
    [`screens.${version}.js`]: await source('screens.js'),
    [`style.${version}.css`]: await source('style.css'),
    [`late.${version}.js`]: `// ${version}`,
  };
  const list = ['./', ...Object.keys(files).filter((file) => file !== 'index.html')];
  files['sw.js'] = (await source('sw.js')).replace("const VERSION = '';", `const VERSION = '${version}';`)
    .replace('const FILES = [];', `const FILES = ${JSON.stringify(list)};`);
  await Promise.all(Object.entries(files).map(([file, text]) => fs.writeFile(path.join(folder, file), text)));
}

/** The versions that are kept. */
const versions = (page) => page.evaluate(async () => {
  const names = (await window.caches.keys()).filter((one) => one.startsWith('dinoscope http'));
  return names.map((one) => one.split(' ').at(-1)).sort();
});

/** The version of the worker that serves the page. */
const rules = (page) => page.evaluate(async () => (await navigator.serviceWorker.ready).active?.state === 'activated');

const [FIRST, SECOND, THIRD] = ['aaaaaaa1', 'aaaaaaa2', 'aaaaaaa3'];

export async function run({ root, check, serve, open }) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-update-'));
  try {
    await build(root, folder, FIRST);
    const server = await serve(folder, { strict: false, extra: { 'favicon.ico': '' } });
    const { page, context, errors } = await open('NOTHING');
    await page.goto(server.url);
    await until(() => rules(page), Boolean, 'the first version to be kept');
    check('the first version offers nothing', await page.locator('#update').isHidden());

    // Another tab brings a new version in: it shows it, the first one is asked.
    await build(root, folder, SECOND);
    const { page: other, errors: wrong } = await tab(context);
    await other.goto(server.url);
    check('a tab that is opened shows the new version', (await other.title()) === SECOND, await other.title());
    await until(() => page.locator('#update').isVisible(), Boolean, 'the offer in the old tab');
    check('the new tab is offered nothing', await other.locator('#update').isHidden());
    check('the old tab stays as it is', (await page.title()) === FIRST, await page.title());
    const late = (tab, version) => tab.evaluate((name) => fetch(name).then((answer) => answer.text(), String), `late.${version}.js`);
    check('and has its files, which the server has no more', (await late(page, FIRST)) === `// ${FIRST}`, await versions(page));
    check('the new tab has its own', (await late(other, SECOND)) === `// ${SECOND}`);

    // Asked for, the new version comes, whichever tab was there first.
    await Promise.all([page.waitForEvent('load'), page.locator('#update-reload').click()]);
    check('reloaded, the old tab shows the new version', (await page.title()) === SECOND, await page.title());
    await other.close();
    await page.reload();
    const left = await until(() => versions(page), (found) => found.length === 1, 'one version');
    check('and the old one is gone', left[0] === SECOND, left);

    // A tab that waits with its answer is not reloaded by itself.
    await build(root, folder, THIRD);
    await page.evaluate(async () => (await navigator.serviceWorker.ready).update());
    await until(() => page.locator('#update').isVisible(), Boolean, 'the next offer');
    await page.locator('#update-close').click();
    check('the offer can be put away', await page.locator('#update').isHidden() && (await page.title()) === SECOND);
    await page.reload();
    const last = await until(() => versions(page), (found) => String(found) === THIRD, 'the third version alone');
    check('a reload takes the new version over without asking', (await page.title()) === THIRD, last);
    check('no error in the console', errors.length + wrong.length === 0, [...errors, ...wrong]);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}
