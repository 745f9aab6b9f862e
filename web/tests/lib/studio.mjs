// The studio on its canvas, as a person uses it: with pointer, keys and files. What is where the studio says itself.

import { settled, shows, until } from './browser.mjs';

/** Settings of another visit: features cover the picture, each patch a block of the colour that was computed. */
export const EXACT = { version: 1, values: { view: { panel: 'Pca', opacity: 1, blocks: true } } };

/**
 * Opens the page and waits for the studio.
 * @param {object} stage of the case
 * @param {string} url
 * @param {string} graphics
 * @param {object} [options]
 * @param {object} [options.settings] what the browser remembers
 * @param {object} [options.context] of the browser: viewport, touch
 * @param {string[]} [options.flags] of the browser, beside those of its graphics
 * @returns {Promise<{page: import('playwright-core').Page, errors: string[], state: string}>}
 */
export async function visit(stage, url, graphics, { settings, context, flags } = {}) {
  const { page, errors } = await stage.open(graphics, { viewport: { width: 1280, height: 800 }, ...context }, flags);
  if (settings) {
    await page.addInitScript((text) => localStorage.setItem('dinoscope', text), JSON.stringify(settings));
  }
  await page.goto(url);
  return { page, errors, state: await settled(page) };
}

/** The first widget that is called `label`, which may be a pattern, once it is drawn and can be used. */
export async function widget(page, label) {
  const fits = (text) => (label instanceof RegExp ? label.test(text) : text === label);
  const all = () => page.evaluate(() => window.dinoscope.widgets());
  const found = await until(all, (drawn) => drawn.some((one) => fits(one.label) && !one.disabled), `${label}`);
  return found.find((one) => fits(one.label) && !one.disabled);
}

/** Lets the page draw what is due: a busy machine draws less often than one looks, and then nothing seems to move. */
async function drawn(page) {
  await page.waitForTimeout(150);
  await page.evaluate(() => new Promise((done) => {
    requestAnimationFrame(() => requestAnimationFrame(done));
  }));
}

/** Clicks in the middle of what `find` gives the place of, once it stands still. */
export async function clickAt(page, what, find) {
  let before = String(await find());
  const place = await until(async () => {
    await drawn(page);
    return find();
  }, (now) => {
    const still = Boolean(now) && String(now) === before;
    before = String(now);
    return still;
  }, `${what} to stand still`);
  await page.mouse.click((place[0] + place[2]) / 2, (place[1] + place[3]) / 2);
}

/** Clicks in the middle of a widget. */
export async function click(page, label) {
  await clickAt(page, label, async () => (await widget(page, label)).place);
}

/**
 * Drops files or folders of the disk on the page, as the system would.
 * @param {import('playwright-core').Page} page
 * @param {string[]} files
 */
export async function drop(page, files) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await session.send('Input.dispatchDragEvent', { type, x: 400, y: 300, data });
  }
  await session.detach();
}

/** Waits until as many pictures are open, the chosen one is looked at, and nothing is on its way. */
export async function looked(page, pictures) {
  const good = (state) => state.explore.pictures === pictures && state.explore.grid && !state.busy;
  return shows(page, good, `${pictures} pictures that were looked at`);
}

/** The middle of a patch on the page. */
export function middle({ place: [left, top, right, bottom], grid: [rows, cols] }, row, col) {
  return [left + ((col + 0.5) * (right - left)) / cols, top + ((row + 0.5) * (bottom - top)) / rows];
}

/** The colours of all patches on a picture of the page, row by row. */
export function blocks(picture, explore) {
  const [rows, cols] = explore.grid;
  return Array.from({ length: rows * cols }, (_, patch) => {
    const [x, y] = middle(explore, Math.floor(patch / cols), patch % cols).map(Math.floor);
    const at = (y * picture.width + x) * 4;
    return [...picture.data.subarray(at, at + 3)];
  });
}
