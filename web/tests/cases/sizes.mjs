// How much a visitor loads.

import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { list } from '../lib/dist.mjs';

/** Bytes of program and JavaScript as they travel, that the page may take. */
const MOST = 5e6;

const KINDS = { '.wasm': 'program', '.js': 'JavaScript', '.safetensors': 'weights' };

/** Bytes of a file as a page that is hosted sends it, which takes minutes to compress: `cargo xtask web --small`. */
async function hosted(root, file) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-'));
  try {
    const copy = path.join(folder, 'copy.br');
    await promisify(execFile)(process.execPath, [path.join(root, 'web/tools/compress.mjs'), '11', file, copy]);
    return (await fs.stat(copy)).size;
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

export async function run({ root, dist, check }) {
  const files = await list(dist);
  const copies = new Set(files.filter((file) => /\.(br|gz)$/.test(file)));
  const size = async (file) => (await fs.stat(path.join(dist, file))).size;
  const sums = {};
  for (const file of files.filter((one) => !copies.has(one))) {
    const kind = KINDS[path.extname(file)] ?? 'page';
    const sum = (sums[kind] ??= { plain: 0, sent: 0 });
    sum.plain += await size(file);
    sum.sent += await size(copies.has(`${file}.br`) ? `${file}.br` : file);
  }
  for (const [kind, { plain, sent }] of Object.entries(sums)) {
    console.log(`       sizes: ${kind} ${(sent / 1e6).toFixed(3)} MB, unpacked ${(plain / 1e6).toFixed(3)} MB`);
  }
  const wasm = files.filter((file) => file.endsWith('.wasm'));
  let sent = (sums.program?.sent ?? NaN) + (sums.JavaScript?.sent ?? NaN);
  if (sent > MOST) {
    const small = await hosted(root, path.join(dist, wasm[0]));
    console.log(`       sizes: the program is ${(small / 1e6).toFixed(3)} MB where it is hosted`);
    sent = small + sums.JavaScript.sent;
  }
  check('program and JavaScript are sent in 5 MB', sent <= MOST, `${sent} bytes`);
  check('there is one program, and it is compressed', wasm.length === 1 && copies.has(`${wasm[0]}.br`), wasm);
  const packed = copies.has(`${wasm[0]}.gz`) ? await size(`${wasm[0]}.gz`) : NaN;
  check('a host that packs nothing sends a third of it', packed < sums.program.plain / 3, packed);
  const unnamed = files.filter((file) => !/\.[0-9a-f]{8}\.\w+(\.br|\.gz)?$/.test(file));
  const fixed = ['index.html', 'index.html.br', 'sw.js', 'sw.js.br'];
  check('every file but two has its hash in its name', unnamed.every((file) => fixed.includes(file)), unnamed);
}
