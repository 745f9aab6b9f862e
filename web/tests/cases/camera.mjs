// The camera: its picture is looked at again and again, in colours that follow it.

import { shows } from '../lib/browser.mjs';
import { click, visit } from '../lib/studio.mjs';

/** Chromium's own camera, which films a moving pattern and asks nobody. */
const CAMERA = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

export async function run(stage) {
  const { check } = stage;
  const server = await stage.serve(stage.dist);
  const settings = { version: 1, values: { view: { resolution: 128 } } };
  const context = { permissions: ['camera'] };
  const { page, errors } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU', { settings, context, flags: CAMERA });
  await click(page, 'Camera');
  const first = await shows(page, (now) => now.explore.pictures === 1 && now.explore.colours, 'the camera\'s first picture');
  const later = await shows(page, (now) => now.explore.colours >= first.explore.colours + 3, 'more of its pictures');
  check('the camera\'s picture is looked at again and again', later.explore.pictures === 1, later.explore);
  await click(page, 'Attention');
  await shows(page, (now) => now.explore.grid, 'its attention');
  await stage.shoot(page, 'camera');
  await click(page, 'Stop the camera');
  const still = await shows(page, (now) => !now.busy, 'the camera to stop');
  await page.waitForTimeout(1500);
  const after = await page.evaluate(() => window.dinoscope.state());
  check('stopped, nothing changes any more', after.explore.colours === still.explore.colours, [still, after]);
  check('no error in the console', errors.length === 0, errors);

  const { page: other } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU', { flags: ['--use-fake-device-for-media-stream'] });
  await click(other, 'Camera');
  const said = await shows(other, (now) => now.toasts.length > 0, 'why there is no camera');
  check('without leave: the reason', /camera can't be used/i.test(said.toasts[0]), said.toasts);
}
