// Puts the npm package together in js/dist, beside the program that wasm-bindgen has written to js/dist/pkg.
//
//     node js/build.mjs
//
// What is in js/dist then is what `npm pack` packs.

import fs from 'node:fs/promises';
import path from 'node:path';

const here = import.meta.dirname;
const root = path.dirname(here);
const dist = path.join(here, 'dist');

/** The version and the address that all crates share. */
async function workspace() {
  const manifest = await fs.readFile(path.join(root, 'Cargo.toml'), 'utf8');
  const [, section] = manifest.match(/^\[workspace\.package\]\n((?:[^[].*\n|\n)*)/m) ?? [];
  const value = (key) => section?.match(new RegExp(`^${key} = "(.+)"$`, 'm'))?.[1];
  const [version, repository] = [value('version'), value('repository')];
  if (!version || !repository) {
    throw new Error('Cargo.toml has no version or repository in [workspace.package]');
  }
  return { version, repository: { type: 'git', url: `git+${repository}.git`, directory: 'js' } };
}

/** Everything but the program, from scratch. */
async function build() {
  const program = path.join(dist, 'pkg/dinoscope_js_bg.wasm');
  const size = await fs.stat(program).then((stat) => stat.size, () => {
    throw new Error(`${program} is missing: \`cargo xtask web\` makes it`);
  });
  for (const name of await fs.readdir(dist)) {
    if (name !== 'pkg') {
      await fs.rm(path.join(dist, name), { recursive: true });
    }
  }
  for (const name of (await fs.readdir(path.join(here, 'src'))).filter((name) => /\.(js|d\.ts)$/.test(name))) {
    await fs.copyFile(path.join(here, 'src', name), path.join(dist, name));
  }
  const engine = path.join(dist, 'engine.js');
  const script = await fs.readFile(engine, 'utf8');
  if (!script.includes('const PROGRAM = 0;')) {
    throw new Error('engine.js has no place for the size of the program');
  }
  await fs.writeFile(engine, script.replace('const PROGRAM = 0;', `const PROGRAM = ${size};`));
  await fs.cp(path.join(here, 'example'), path.join(dist, 'example'), { recursive: true });
  await fs.copyFile(path.join(root, 'assets/weights/starter.safetensors'), path.join(dist, 'starter.safetensors'));
  await fs.copyFile(path.join(here, 'README.md'), path.join(dist, 'README.md'));
  for (const name of ['LICENSE-APACHE', 'LICENSE-MIT']) {
    await fs.copyFile(path.join(root, name), path.join(dist, name));
  }
  const template = JSON.parse(await fs.readFile(path.join(here, 'package.json'), 'utf8'));
  const { name, ...rest } = template;
  const { version, repository } = await workspace();
  const manifest = { name, version, ...rest, repository };
  await fs.writeFile(path.join(dist, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(`js/dist: ${name} ${version}, ${(size / 1e6).toFixed(1)} MB of wasm`);
}

await build();
