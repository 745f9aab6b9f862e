// Opens the built page in Chromium, once with WebGPU and once without, and checks what it says.
//
//     node web/tests/page.mjs DIST PICTURES
//
// DIST is what `cargo xtask web` built, PICTURES a folder for screenshots; CHROMIUM names the browser.
// Prints one line for each check and ends with `N passed, N failed`.

import fs from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';

const [dist, pictures] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const SECONDS = 180;

// WebGPU in software, so that the test runs on any machine. Without `--use-angle` a page that draws kills the
// browser's GPU process.
const SOFTWARE_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan',
  '--use-vulkan=swiftshader', '--use-angle=swiftshader'];
const NO_GPU = ['--disable-gpu', '--disable-blink-features=WebGPU'];
const QUIET = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

let passed = 0;
let failed = 0;

function check(name, good, found) {
  good ? passed += 1 : failed += 1;
  console.log(`${good ? 'ok    ' : 'FAILED'} ${name}${good ? '' : `: ${found}`}`);
}

const KINDS = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml' };

/** Serves `dist` on the loopback address. */
async function serve() {
  const server = http.createServer(async (request, response) => {
    const name = path.normalize(new URL(request.url, 'http://page').pathname).replace(/\/$/, '/index.html');
    try {
      const body = await fs.readFile(path.join(dist, name));
      response.writeHead(200, { 'content-type': KINDS[path.extname(name)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return server;
}

/** Opens the page in a fresh browser and hands it to `look` once it is ready. */
async function open(name, flags, look) {
  const browser = await chromium.launch({ executablePath, headless: true, args: [...QUIET, ...flags] });
  try {
    const page = await browser.newPage({ viewport: { width: 1000, height: 720 } });
    const errors = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('crash', () => errors.push('the page crashed'));
    const start = performance.now();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const done = () => ['ready', 'failed'].includes(document.body.dataset.state);
    await page.waitForFunction(done, null, { timeout: SECONDS * 1000 }).catch((error) => errors.push(String(error)));
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const body = page.locator('body');
    const report = JSON.parse((await body.getAttribute('data-report')) ?? 'null');
    const sentence = await page.locator('#sentence').innerText();
    console.log(`${name}, ${seconds} s: ${sentence}`);
    check(`${name}: ready`, (await body.getAttribute('data-state')) === 'ready', sentence);
    check(`${name}: no error in the console`, errors.length === 0, errors.join(' | '));
    check(`${name}: features [1, 17, 32]`, String(report?.shape) === '1,17,32', report?.shape);
    check(`${name}: features are numbers`, Number.isFinite(report?.length), report?.length);
    await look(page, report, sentence);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}.png`), fullPage: true });
    }
  } catch (error) {
    check(`${name}: runs to its end`, false, error);
  } finally {
    await browser.close();
  }
}

const server = await serve();
await fs.mkdir(pictures, { recursive: true });

await open('webgpu', SOFTWARE_GPU, async (page, report, sentence) => {
  const { gpu, gpu_error: error } = report ?? {};
  check('webgpu: computes on the GPU', Boolean(gpu), error);
  check('webgpu: every feature is finite', gpu?.finite === true, gpu?.finite);
  // JSON has no NaN: a difference that is no number arrives as null.
  const close = typeof gpu?.difference === 'number' && gpu.difference < 1e-3;
  check('webgpu: equals the CPU backend within 1e-3', close, gpu?.difference);
  check('webgpu: says so', /features \[1, 17, 32\] on .+ in .+\sms; equals/.test(sentence), sentence);
  // Loaded a second time, the program is a fresh one: the page's own device is not touched.
  const rows = JSON.parse(await page.evaluate(async () => {
    const program = await import('./pkg/dinoscope_web.js?programs');
    await program.default();
    return program.programs().catch((error) => JSON.stringify([{ name: String(error), passed: false }]));
  }));
  const wrong = rows.filter((row) => !row.passed).map((row) => `${row.name} ${row.error} of ${row.tolerance ?? 0}`);
  check(`webgpu: ${rows.length} GPU programs equal their CPU twins`, rows.length > 100 && !wrong.length, wrong.join('; '));
  check('webgpu: no advice', await page.locator('#advice').isHidden(), 'the advice is on the page');
});

await open('no-webgpu', NO_GPU, async (page, report, sentence) => {
  check('no-webgpu: computes on the CPU', report?.gpu === null && report?.cpu_ms >= 0, JSON.stringify(report));
  check('no-webgpu: says so', /features \[1, 17, 32\] on the CPU in .+\sms/.test(sentence), sentence);
  const advice = await page.locator('#advice').innerText();
  check('no-webgpu: says what to switch on', /WebGPU/.test(advice) && /chrome:\/\/flags/.test(advice), advice);
});

server.close();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
