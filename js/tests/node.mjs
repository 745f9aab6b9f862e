// The package where no browser is: it can be imported, and says in one way what it needs.

import fs from 'node:fs/promises';
import path from 'node:path';
import { output } from './install.mjs';

const SCRIPT = `
import { Dinoscope, DinoscopeError } from 'dinoscope';
const settled = (promise) => promise.then(() => ({}), (error) => ({ ours: error instanceof DinoscopeError, ...error, message: error.message }));
console.log(JSON.stringify([
  await settled(Dinoscope.starter()),
  await settled(Dinoscope.load(new Uint8Array(8))),
  await settled(Dinoscope.load('https://example.org/weights.pth')),
]));
`;

/**
 * @param {string} project that has the package installed
 * @param {(name: string, good: boolean, found?: unknown) => void} check
 */
export async function inNode(project, check) {
  const file = path.join(project, 'node.mjs');
  await fs.writeFile(file, SCRIPT);
  const found = JSON.parse(await output(process.execPath, [file], { cwd: project }));
  const good = (error) => error.ours && error.code === 'environment' && /browsers only.*Node\.js/.test(error.message);
  check('in Node.js: one error that says so', found.length === 3 && found.every(good), found);
  const manifest = JSON.parse(await fs.readFile(path.join(project, 'node_modules/dinoscope/package.json'), 'utf8'));
  check('package.json says browser', manifest.browser === './index.js' && manifest.exports['.'].browser === './index.js', manifest.exports);
  const readme = await fs.readFile(path.join(project, 'node_modules/dinoscope/README.md'), 'utf8');
  check('README.md says so too', /browsers only/i.test(readme) && readme.includes('`environment`'));
}
