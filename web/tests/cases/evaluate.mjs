// Evaluating in the tab: the figures are the command line's, findings are saved, and what takes long can be stopped.

import fs from 'node:fs/promises';
import path from 'node:path';
import { shows } from '../lib/browser.mjs';
import { native } from '../lib/native.mjs';
import { click, visit } from '../lib/studio.mjs';

/** Pictures to learn from; half as many are evaluated. */
const MOST = 24;

export async function run(stage) {
  const { check } = stage;
  const server = await stage.serve(stage.dist);
  const settings = { version: 1, values: { evaluate: { kinds: ['Knn', 'Logistic'], most: MOST } } };
  const { page, errors, state } = await visit(stage, `${server.url}?view=evaluate&device=cpu`, 'WEBGPU', { settings });
  check('ready', state === 'ready', state);
  const start = performance.now();
  await click(page, 'Start evaluation');
  const { evaluate } = await shows(page, (now) => !now.evaluate.going && now.evaluate.found.length + now.evaluate.troubles.length >= 2, 'two findings');
  console.log(`       judged after ${((performance.now() - start) / 1000).toFixed(1)} s`);
  check('nothing is in the way', evaluate.troubles.length === 0, evaluate.troubles);
  await stage.shoot(page, 'evaluate');

  for (const [index, word] of ['knn', 'logistic'].entries()) {
    const wanted = await outcome(stage.root, word);
    const [title, , quoted] = evaluate.found[index];
    check(`${word}: the finding is called as on the command line`, title === wanted.title, [title, wanted.title]);
    const expected = wanted.rows[0].figures[0].value;
    check(`${word}: the command line's figure`, Math.abs(quoted - expected) < 1e-6, [quoted, expected]);
  }

  const downloads = page.waitForEvent('download', (download) => download.suggestedFilename().endsWith('.json'));
  await click(page, 'Save figures and pictures');
  const download = await downloads;
  const saved = JSON.parse(await fs.readFile(await download.path(), 'utf8'));
  const shown = evaluate.found.find(([title]) => title === saved.title);
  check('what is saved is what was found', saved.rows[0].figures[0].value === shown?.[2], [saved.title, evaluate.found]);

  // Many pictures take long, and can be let go.
  await click(page, 'Segmentation');
  await click(page, 'Start evaluation');
  await shows(page, (now) => now.evaluate.going, 'an evaluation that goes on');
  await click(page, 'Stop');
  const ended = await shows(page, (now) => !now.evaluate.going, 'an evaluation that has ended');
  check('one that is stopped leaves the findings alone', ended.evaluate.found.length >= 2, ended.evaluate.found);
  check('no error in the console', errors.length === 0, errors);
}

/** What the command line finds. */
function outcome(root, word) {
  const weights = path.join(root, 'assets/weights/starter.safetensors');
  const words = (out) => ['eval', word, '--weights', weights, '--data', 'scenes', '--limit', String(MOST),
    '--limit-test', String(MOST / 2), '--device', 'cpu', '--no-cache', '--out', out];
  return native(root, words, async (out) => JSON.parse(await fs.readFile(path.join(out, `${word}.json`), 'utf8')));
}
