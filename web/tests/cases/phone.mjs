// A phone: one column, everything within reach of a thumb.

import { shows } from '../lib/browser.mjs';
import { click, looked, visit, widget } from '../lib/studio.mjs';

export async function run(stage) {
  const { check } = stage;
  const server = await stage.serve(stage.dist);
  // Not with a phone's fine pixels: a browser that only acts as one miscounts those of a canvas.
  const context = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
  const { page, errors } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU', { context });
  await stage.shoot(page, 'phone-empty');
  await click(page, 'Add built-in scenes');
  const seen = await looked(page, 12);
  const [left, top, right, bottom] = seen.explore.place;
  check('the picture is on the screen', left >= 0 && right <= 390 && top >= 0 && bottom <= 844, seen.explore.place);
  check('and has most of its width', right - left > 300, right - left);
  await stage.shoot(page, 'phone-explore');
  await click(page, 'View');
  const panel = await widget(page, 'Attention');
  check('what is shown can be chosen', panel.place[2] <= 390, panel.place);
  await click(page, 'Attention');
  await shows(page, (now) => !now.busy, 'attention');
  await stage.shoot(page, 'phone-view');
  // A tap pins.
  const { explore } = await shows(page, (now) => now.explore.grid, 'a picture');
  await page.touchscreen.tap((explore.place[0] + explore.place[2]) / 2, (explore.place[1] + explore.place[3]) / 2);
  const pinned = await shows(page, (now) => now.explore.pinned !== null, 'a pinned patch');
  check('a tap pins a patch', pinned.explore.pinned !== null);
  await click(page, 'Train');
  await stage.shoot(page, 'phone-train');
  check('a run can be started', Boolean(await widget(page, 'Start')));
  check('no error in the console', errors.length === 0, errors);
}
