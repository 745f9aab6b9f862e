// The command line's numbers, from the same weights.

import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The program: what `DINOSCOPE` names, else where cargo puts it. */
async function program(root) {
  if (process.env.DINOSCOPE) return process.env.DINOSCOPE;
  const { stdout } = await run('cargo', ['metadata', '--no-deps', '--format-version', '1'], { cwd: root, maxBuffer: 1 << 26 });
  const file = path.join(JSON.parse(stdout).target_directory, 'release/dinoscope');
  return process.platform === 'win32' ? `${file}.exe` : file;
}

/** Runs a command of the program in a folder of its own, and hands that over before it is removed. */
export async function native(root, words, take) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-'));
  try {
    const { stdout } = await run(await program(root), words(folder), { maxBuffer: 1 << 26 });
    return await take(folder, stdout);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}
