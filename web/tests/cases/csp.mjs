// The page keeps to a strict policy, whether it stands in the page alone or the server sends it too.

import fs from 'node:fs/promises';
import path from 'node:path';
import { settled, until } from '../lib/browser.mjs';
import { policy } from '../lib/dist.mjs';

export async function run({ root, dist, check, serve, open }) {
  const rule = await policy(dist);
  const allowed = /'unsafe-inline'|'unsafe-eval'|\*|\bhttp:/.exec(rule);
  check('nothing inline, no eval, no other origin for scripts', allowed === null, allowed?.[0]);
  const manual = (await fs.readFile(path.join(root, 'docs/web.md'), 'utf8')).replace(/\s+/g, ' ');
  check('docs/web.md has the same policy', manual.includes(rule), rule);

  for (const strict of [false, true]) {
    const how = strict ? 'as a header' : 'in the page';
    const server = await serve(dist, { strict });
    const { page, context } = await open('WEBGPU');
    const said = [];
    context.on('console', (message) => /Content Security Policy/.test(message.text()) && said.push(message.text()));
    await page.addInitScript(() => {
      window.violations = [];
      const note = (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
      document.addEventListener('securitypolicyviolation', note);
    });
    const violations = () => page.evaluate(() => window.violations);
    await page.goto(server.url);
    const state = await settled(page);
    check(`${how}: the page works`, state === 'ready', state);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    const before = await violations();
    const found = [...before, ...said];
    check(`${how}: nothing is refused`, found.length === 0, found);
    // That the browser would have told.
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'window.intruded = true';
      document.body.append(script);
    });
    const told = await until(violations, (list) => list.length > before.length, 'the refusal of a foreign script');
    const intruded = await page.evaluate(() => window.intruded === true);
    check(`${how}: a foreign script is refused`, !intruded && /script-src/.test(told.at(-1)), told);
  }
}
