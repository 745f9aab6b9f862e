// A host that packs nothing by itself, as most small ones: the program comes from its packed copy.

import { settled } from '../lib/browser.mjs';

export async function run({ dist, check, serve, open }) {
  const server = await serve(dist, { plain: true });
  const { page, context, errors } = await open('NO_WEBGPU_BUT_WEBGL');
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  // A host beside the browser is quicker than any that a visitor has.
  await session.send('Network.emulateNetworkConditions', { offline: false, latency: 20, downloadThroughput: 4e6, uploadThroughput: 4e6 });
  let received = 0;
  session.on('Network.dataReceived', ({ encodedDataLength }) => {
    received += encodedDataLength;
  });
  await page.goto(`${server.url}?device=cpu`);
  check('ready', (await settled(page)) === 'ready', await page.locator('#stopped-reason').innerText());
  const asked = server.requests.map(({ path }) => path).filter((name) => /\.wasm/.test(name));
  check('the packed copy is asked for', asked.some((name) => name.endsWith('.wasm.gz')), asked);
  console.log(`       plain: ${(received / 1e6).toFixed(1)} MB travelled`);
  check('it travels in less than half', received < 20e6, received);
  await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    if (active.state !== 'activated') {
      await new Promise((done) => active.addEventListener('statechange', done, { once: true }));
    }
  });
  await server.close();
  await (await context.newCDPSession(page)).send('Network.clearBrowserCache');
  await page.reload();
  check('and is kept, unpacked, for a visit without a server', (await settled(page)) === 'ready');
  const wrong = errors.filter((text) => !/ERR_CONNECTION_REFUSED/.test(text));
  check('no error in the console', wrong.length === 0, wrong);
}
