// The npm package as a developer gets it: packed, installed into a project, bundled, and opened in browsers.

import fs from 'node:fs/promises';
import path from 'node:path';
import { SABOTAGE, disasters, mistakes } from '../../../js/tests/failures.mjs';
import { whole } from '../../../js/tests/whole.mjs';
import { install, tool } from '../../../js/tests/install.mjs';
import { expected } from '../../../js/tests/native.mjs';
import { compare, pickled } from '../../../js/tests/numbers.mjs';
import { inNode } from '../../../js/tests/node.mjs';
import { sizes } from '../../../js/tests/sizes.mjs';
import { sources } from '../../../js/tests/sources.mjs';
import { stops } from '../../../js/tests/stops.mjs';
import { until } from '../lib/browser.mjs';

/** Difference to the command line, over the largest value. */
const TOLERANCE = { cpu: 1e-4, webgpu: 1e-3 };

export async function run(stage) {
  const { root, check } = stage;
  const { project, files, size, unpackedSize } = await install(path.join(root, 'js/dist'));
  try {
    console.log(`       package: ${(size / 1e6).toFixed(1)} MB to download, ${(unpackedSize / 1e6).toFixed(1)} MB installed`);
    check('holds what it needs', contents(files), files);
    await succeeds('types', check, tool(project, 'tsc', ['--project', 'tsconfig.json']));
    const numbers = await expected(project);
    await put(root, path.join(project, 'public'), numbers);
    await succeeds('vite build', check, tool(project, 'vite', ['build', '--logLevel', 'warn']));
    const built = await fs.readdir(path.join(project, 'dist/assets'));
    check('bundled with one copy of the program', built.filter((file) => file.endsWith('.wasm')).length === 1, built);
    await sizes(root, project, check);
    await inNode(project, check);
    await bundled(path.join(project, 'dist'), numbers, stage);
    await example(path.join(project, 'node_modules/dinoscope'), stage);
  } finally {
    await fs.rm(project, { recursive: true, force: true });
  }
}

/** The package's files: no test, no source of the program. */
function contents(files) {
  const needed = ['README.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'package.json', 'index.js', 'index.d.ts', 'worker.js',
    'example/index.html', 'pkg/dinoscope_js.js', 'pkg/dinoscope_js_bg.wasm', 'starter.safetensors'];
  return needed.every((file) => files.includes(file)) && !files.some((file) => /\.(rs|mjs|toml)$/.test(file));
}

async function succeeds(what, check, work) {
  const failure = await work.then(() => null, (error) => error.message);
  check(what, failure === null, failure);
}

/** What the project's page fetches, beside its scripts. */
async function put(root, folder, { fish, drawn }) {
  await fs.mkdir(folder, { recursive: true });
  await fs.writeFile(path.join(folder, 'fish.jpg'), fish.bytes);
  await fs.writeFile(path.join(folder, 'drawn.png'), drawn.bytes);
  for (const file of ['assets/weights/starter.safetensors', 'tests/fixtures/weights/official_vit_reg4.pth']) {
    await fs.copyFile(path.join(root, file), path.join(folder, path.basename(file)));
  }
  const starter = await fs.readFile(path.join(root, 'assets/weights/starter.safetensors'));
  await fs.writeFile(path.join(folder, 'whole.safetensors'), whole(starter));
}

/** The bundled project, in browsers without and with WebGPU. */
async function bundled(dist, numbers, { check, serve, open }) {
  const html = await fs.readFile(path.join(dist, 'index.html'), 'utf8');
  const forbids = html.replace("worker-src 'self'", "worker-src 'none'");
  const home = (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(html);
  // A host that calls the program by another name.
  const program = `assets/${(await fs.readdir(path.join(dist, 'assets'))).find((file) => file.endsWith('.wasm'))}`;
  const wasm = await fs.readFile(path.join(dist, program));
  const unnamed = (_, response) => response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(wasm);
  const other = await serve(dist, { odd: { [program]: unnamed } });
  const started = await (await visit(other.url, await open('NOTHING'))).evaluate(
    () => window.project.settled(window.project.Dinoscope.starter().then((model) => model.info)));
  check('a program of another type starts', started.dim === 128, started.error ?? started);
  const { url } = await serve(dist, { extra: { 'no-workers.html': forbids }, odd: { 'home.jpg': home } });
  const cpu = await visit(url, await open('NOTHING'));
  for (const worker of [true, false]) {
    await compare(cpu, { device: 'cpu', worker, tolerance: TOLERANCE.cpu, numbers, check });
  }
  await pickled(cpu, TOLERANCE.cpu, numbers, check);
  await sources(cpu, check);
  await mistakes(cpu, check);
  await stops(cpu, check);
  await withoutWorkers(await visit(`${url}no-workers.html`, await open('NOTHING')), check);
  const gpu = await visit(url, await open('WEBGPU'));
  await compare(gpu, { device: 'webgpu', worker: true, tolerance: TOLERANCE.webgpu, numbers, check });
  await disasters(gpu, check);
}

/** A page that may have no workers, or does not find the package's scripts. */
async function withoutWorkers(page, check) {
  const start = () => page.evaluate(() => window.project.settled(window.project.Dinoscope.starter().then((model) => model.device)));
  await page.route(/\/assets\/engine-.*\.js$/, (route) => route.abort());
  const { error } = await start();
  check('scripts that are missing are named', error?.code === 'program' && /scripts did not load/.test(error.message), error);
  await page.unrouteAll();
  await page.reload();
  await until(() => page.evaluate(() => 'project' in window), Boolean, 'the project');
  const device = await start();
  check('where workers are forbidden it computes in the page', device.worker === false, device);
}

/** Opens the project's page. */
async function visit(url, { page }) {
  // The worker's script gets a few lines more, which do nothing until they are told to.
  await page.route(/\/assets\/worker-.*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${SABOTAGE}\n${await response.text()}` });
  });
  await page.goto(url);
  await until(() => page.evaluate(() => 'project' in window), Boolean, 'the project');
  return page;
}

/** The example, opened from where npm puts it. */
async function example(folder, { root, check, serve, open }) {
  const { url } = await serve(folder, { strict: false });
  const { page } = await open('NOTHING');
  await page.goto(`${url}example/index.html`);
  const status = page.locator('#status');
  await status.filter({ hasText: 'choose an image' }).waitFor();
  await page.locator('input').setInputFiles(path.join(root, 'assets/samples/scene-20-fish.jpg'));
  await status.filter({ hasText: '32 × 32 patches of 128 numbers' }).waitFor();
  const colours = await page.evaluate(() => {
    const canvas = document.querySelector('#colours');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return { width: canvas.width, different: new Set(new Uint32Array(data.buffer)).size };
  });
  check('the example shows colours', colours.width === 384 && colours.different > 100, colours);
}
