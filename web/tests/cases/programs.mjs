// Every GPU program computes in this browser what its CPU twin defines.

import { named } from '../lib/dist.mjs';

export async function run({ dist, check, serve, open }) {
  const program = await named(dist, 'pkg/dinoscope_web.js');
  // A page of its own: the studio would draw meanwhile.
  const server = await serve(dist, { extra: { 'empty.html': '<!doctype html><title>empty</title>', 'favicon.ico': '' } });
  const { page, errors } = await open('WEBGPU');
  await page.goto(`${server.url}empty.html`);
  const rows = JSON.parse(await page.evaluate(async (file) => {
    const loaded = await import(`./${file}`);
    await loaded.default();
    return loaded.programs();
  }, program));
  check('more than a hundred programs were compared', rows.length > 100, rows.length);
  const wrong = rows.filter((row) => !row.passed).map((row) => `${row.name} ${row.error} of ${row.tolerance ?? 0}`);
  check(`${rows.length} GPU programs equal their CPU twins`, rows.length > 0 && wrong.length === 0, wrong.join('; '));
  const numbers = rows.filter((row) => Number.isFinite(row.error));
  check('every difference is a number', numbers.length === rows.length, rows.length - numbers.length);
  check('no error in the console', errors.length === 0, errors);
}
