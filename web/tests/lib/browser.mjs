// Chromium, with the graphics that a case asks for.

import { chromium } from 'playwright-core';

const QUIET = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** What a page finds to draw and compute with. All in software, so that a case runs on any machine. */
export const GRAPHICS = {
  // Without `--use-angle` a page that draws kills the browser's GPU process.
  WEBGPU: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan',
    '--use-vulkan=swiftshader', '--use-angle=swiftshader'],
  NO_WEBGPU_BUT_WEBGL: ['--disable-blink-features=WebGPU', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  NOTHING: ['--disable-blink-features=WebGPU', '--disable-gpu', '--disable-3d-apis'],
};

/** After this long something hangs: software graphics on a busy machine take their time. In milliseconds. */
const HANGS = 600_000;

/**
 * A fresh browser, without anything kept from before.
 * @param {keyof typeof GRAPHICS} graphics
 * @param {string[]} [flags] more of them
 */
export async function launch(graphics, flags = []) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, headless: true, args: [...QUIET, ...GRAPHICS[graphics], ...flags] });
}

/**
 * A tab in `browser`, with what goes wrong in it.
 * @param {import('playwright-core').Browser | import('playwright-core').BrowserContext} browser
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function tab(browser, options = {}) {
  const context = 'newContext' in browser
    ? await browser.newContext({ viewport: { width: 1000, height: 720 }, ...options })
    : browser;
  const page = await context.newPage();
  page.setDefaultTimeout(HANGS);
  page.setDefaultNavigationTimeout(HANGS);
  /** @type {string[]} */
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(`${message.text()} (${message.location().url})`));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('crash', () => errors.push('the page crashed'));
  return { page, context, errors };
}

/**
 * Asks until the answer is good, and gives it. Playwright's own way of waiting in the page needs `eval`, which the
 * page's policy forbids.
 * @template T
 * @param {() => Promise<T>} ask
 * @param {(answer: T) => boolean} good
 * @param {string} what is waited for
 * @returns {Promise<T>}
 */
export async function until(ask, good, what) {
  const start = performance.now();
  for (;;) {
    const answer = await ask();
    if (good(answer)) {
      return answer;
    }
    if (performance.now() - start > HANGS) {
      throw new Error(`still waiting for ${what}; the last answer is ${JSON.stringify(answer)}`);
    }
    await new Promise((later) => setTimeout(later, 100));
  }
}

/**
 * Waits until the page's studio is there, or says that it won't be: `ready` or `failed`.
 * @param {import('playwright-core').Page} page
 * @returns {Promise<string>}
 */
export async function settled(page) {
  const state = () => page.evaluate(() => document.body?.dataset.state);
  return until(state, (found) => found === 'ready' || found === 'failed', 'the studio');
}

/**
 * Waits until `good` holds for what the studio shows, and gives that.
 * @param {import('playwright-core').Page} page
 * @param {(state: any) => boolean} good
 * @param {string} what is waited for
 */
export async function shows(page, good, what) {
  return until(() => page.evaluate(() => window.dinoscope?.state()), (state) => Boolean(state) && good(state), what);
}
