// What the package makes a visitor load, as README.md says it.

import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import zlib from 'node:zlib';

const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip);

/** How far a size may be from what README.md says: builds differ a little. */
const NEAR = 0.06;

async function packed(file) {
  const content = await fs.readFile(file);
  const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 9, [zlib.constants.BROTLI_PARAM_LGWIN]: 22 };
  return [(await brotli(content, { params })).length, (await gzip(content, { level: 9 })).length, content.length];
}

const sum = (rows) => rows.reduce((all, row) => all.map((value, i) => value + row[i]), [0, 0, 0]);

/** `2.9 MB` and `14 kB` as bytes. */
const bytes = (text) => Number.parseFloat(text) * { kB: 1e3, MB: 1e6 }[text.trim().split(' ')[1]];

const shown = (size) => (size < 1e6 ? `${(size / 1e3).toFixed(0)} kB` : `${(size / 1e6).toFixed(1)} MB`);

/**
 * @param {string} root the repository
 * @param {string} project that was bundled
 * @param {(name: string, good: boolean, found?: unknown) => void} check
 */
export async function sizes(root, project, check) {
  const assets = path.join(project, 'dist/assets');
  const built = (await fs.readdir(assets)).map((file) => path.join(assets, file));
  // The engine is in the worker's script; its own is loaded only where a page may have no workers.
  const scripts = built.filter((file) => file.endsWith('.js') && !path.basename(file).startsWith('engine-'));
  const found = {
    WebAssembly: await packed(path.join(root, 'js/dist/pkg/dinoscope_js_bg.wasm')),
    'JavaScript, bundled': sum(await Promise.all(scripts.map(packed))),
    'The small model': await packed(path.join(root, 'js/dist/starter.safetensors')),
  };
  const readme = await fs.readFile(path.join(root, 'js/README.md'), 'utf8');
  for (const [name, measured] of Object.entries(found)) {
    console.log(`       package: ${name}: ${measured.map(shown).join(' | ')}`);
    const row = readme.split('\n').find((line) => line.startsWith(`| ${name}`));
    const said = row?.split('|').slice(2, 5).map(bytes) ?? [];
    // Less than a tenth of a megabyte, or a kilobyte, is below what the table shows.
    const near = measured.every((size, i) => Math.abs(size - said[i]) <= Math.max(NEAR * size, size < 1e6 ? 1000 : 5e4));
    check(`README.md has the size of ${name}`, near, { measured: measured.map(shown), said: said.map(shown) });
  }
}
