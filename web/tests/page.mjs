// Checks the built page in Chromium, case by case.
//
//     node web/tests/page.mjs DIST PICTURES [--only CASE,…]
//
// DIST is what `cargo xtask web` built, PICTURES a folder for screenshots; CHROMIUM names the browser. A case is a
// file in cases/ that exports `run`; two of them run at a time, for much of a case is waiting. Prints one line for each
// check and ends with `N passed, N failed`.

import fs from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, tab } from './lib/browser.mjs';
import { Checks } from './lib/checks.mjs';
import { serve } from './lib/server.mjs';

/**
 * What a case is given.
 * @typedef {object} Stage
 * @property {string} root the repository
 * @property {string} dist the built page
 * @property {string} pictures where screenshots go
 * @property {ReturnType<Checks['of']>} check notes whether something is as it should be
 * @property {typeof serve} serve serves a folder until the case is over
 * @property {(graphics: string, options?: object, flags?: string[]) => ReturnType<typeof tab>} open a tab where nothing is
 *   kept from before; the one that was opened before it is closed, for pages that nobody looks at take time from those
 *   that are looked at
 * @property {(page: object, name: string) => Promise<void>} shoot keeps a screenshot, in light and in dark
 */

/** Runs one case; whatever it opened is closed. */
async function run(name, given, checks) {
  const closing = [];
  const browsers = new Map();
  let open;
  const stage = {
    ...given,
    check: checks.of(name),
    async serve(...how) {
      const server = await serve(...how);
      closing.push(() => server.close());
      return server;
    },
    async open(graphics, options, flags) {
      await open?.context.close();
      const kind = String([graphics, ...flags ?? []]);
      if (!browsers.has(kind)) {
        browsers.set(kind, await launch(graphics, flags));
        closing.push(() => browsers.get(kind).close());
      }
      open = await tab(browsers.get(kind), options);
      return open;
    },
    async shoot(page, name) {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: path.join(given.pictures, `${name}-${colorScheme}.png`) });
      }
    },
  };
  const start = performance.now();
  try {
    const found = await import(new URL(`./cases/${name}.mjs`, import.meta.url).href);
    await found.run(stage);
  } catch (error) {
    stage.check('runs to its end', false, error);
  } finally {
    for (const close of closing.reverse()) {
      await close().catch(() => {});
    }
  }
  console.log(`       ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** Cases that take minutes, the longest first: begun late, one of them would be waited for at the end. */
const LONG = ['package', 'train', 'access', 'kept'];

/** The names of the cases, all of them or those in `only`, in the order in which they begin. */
async function cases(only) {
  const files = await fs.readdir(new URL('./cases/', import.meta.url));
  const names = files.filter((file) => file.endsWith('.mjs')).map((file) => path.basename(file, '.mjs')).sort();
  const unknown = only?.filter((name) => !names.includes(name)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`no case is called ${unknown.join(', ')}; there are ${names.join(', ')}`);
  }
  const chosen = only ? names.filter((name) => only.includes(name)) : names;
  return [...LONG.filter((name) => chosen.includes(name)), ...chosen.filter((name) => !LONG.includes(name))];
}

const words = process.argv.slice(2);
const at = words.indexOf('--only');
const only = at < 0 ? undefined : words.splice(at, 2)[1]?.split(',') ?? [];
const [dist, pictures] = words;
if (!dist || !pictures) {
  throw new Error('node web/tests/page.mjs DIST PICTURES [--only CASE,…]');
}
await fs.mkdir(pictures, { recursive: true });
const root = fileURLToPath(new URL('../..', import.meta.url));
const given = { root, dist: path.resolve(dist), pictures: path.resolve(pictures) };
const checks = new Checks();
const waiting = await cases(only);
const lane = async () => {
  for (let name = waiting.shift(); name; name = waiting.shift()) {
    await run(name, given, checks);
  }
};
await Promise.all([lane(), lane()]);
console.log(checks.summary());
process.exitCode = checks.failed === 0 ? 0 : 1;
