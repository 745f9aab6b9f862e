// The built page: files by the names that they had before `cargo xtask web` put a hash into them.

import fs from 'node:fs/promises';
import path from 'node:path';

/**
 * All files below `dist`, with `/` between folders.
 * @param {string} dist
 */
export async function list(dist) {
  const entries = await fs.readdir(dist, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((file) => path.relative(dist, path.join(file.parentPath ?? file.path, file.name)).split(path.sep).join('/')).sort();
}

/**
 * `pkg/dinoscope_web.js` gives `pkg/dinoscope_web.1a2b3c4d.js`.
 * @param {string} dist
 * @param {string} name
 */
export async function named(dist, name) {
  const dot = name.lastIndexOf('.');
  const [stem, extension] = [name.slice(0, dot), name.slice(dot)];
  const fits = (file) => file.startsWith(`${stem}.`) && file.endsWith(extension)
    && /^[0-9a-f]{8}$/.test(file.slice(stem.length + 1, -extension.length));
  const found = (await list(dist)).filter(fits);
  if (found.length !== 1) {
    throw new Error(`${dist} has ${found.length} files for ${name}`);
  }
  return found[0];
}

/**
 * The page's content security policy, on one line.
 * @param {string} dist
 */
export async function policy(dist) {
  const page = await fs.readFile(path.join(dist, 'index.html'), 'utf8');
  const [, found] = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(page) ?? [];
  if (!found) {
    throw new Error('index.html has no content security policy');
  }
  return found.trim().replace(/\s+/g, ' ');
}
