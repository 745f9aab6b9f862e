// Packs the package as for npm and installs it into a fresh project, as a developer would.

import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const here = import.meta.dirname;
const call = promisify(execFile);
// Windows starts npm through a script.
const shell = process.platform === 'win32';

/** Output of a program; an error says what it printed. */
export async function output(program, args, options = {}) {
  const settings = { shell: shell && program === 'npm', maxBuffer: 1 << 26, ...options };
  const { stdout } = await call(program, args, settings).catch((error) => {
    throw new Error(`${program} ${args.join(' ')}: ${`${error.stdout ?? ''}${error.stderr ?? ''}` || error.message}`);
  });
  return stdout;
}

/**
 * A project in a temporary folder that has the package installed, and what was packed.
 * @param {string} dist The package's folder, js/dist.
 */
export async function install(dist) {
  const project = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-package-'));
  await fs.cp(path.join(here, 'project'), project, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) {
    await fs.copyFile(path.join(here, name), path.join(project, name));
  }
  // A type checker passes over what is in node_modules: the sources once more, to be checked.
  await fs.cp(path.resolve(dist), path.join(project, 'package'), { recursive: true });
  const packed = await output('npm', ['pack', path.resolve(dist), '--json', '--pack-destination', project]);
  const parsed = JSON.parse(packed);
  const [{ filename, files, size, unpackedSize }] = Array.isArray(parsed) ? parsed : Object.values(parsed);
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline'];
  await output('npm', ['ci', ...quiet], { cwd: project });
  await output('npm', ['install', `./${filename}`, '--no-save', ...quiet], { cwd: project });
  return { project, files: files.map((file) => file.path), size, unpackedSize };
}

/** Runs one of the project's tools. */
export function tool(project, name, args) {
  const script = { vite: 'vite/bin/vite.js', tsc: 'typescript/bin/tsc' }[name];
  return output(process.execPath, [path.join(project, 'node_modules', script), ...args], { cwd: project });
}
