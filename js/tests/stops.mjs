// What is stopped by a signal: waiting, fetching and computing; and weights of twice the size, and a warm start.

/**
 * @param {import('playwright-core').Page} page
 * @param {(name: string, good: boolean, found?: unknown) => void} check
 */
export async function stops(page, check) {
  const found = await page.evaluate(async () => {
    const { Dinoscope, settled } = window.project;
    const large = new ImageData(512, 512);
    const results = {};
    for (const worker of [true, false]) {
      const model = await Dinoscope.starter({ device: 'cpu', worker });
      const begun = performance.now();
      await model.features(large, { resolution: 768 });
      const whole = performance.now() - begun;

      // Twelve images that take that long each, stopped while the first is computed.
      const stop = new AbortController();
      const computing = settled(model.features(Array(12).fill(large), { resolution: 768, signal: stop.signal }));
      const behind = settled(model.pca(large, { resolution: 768, signal: stop.signal }));
      await new Promise((later) => setTimeout(later, Math.min(50, whole / 4)));
      const stopped = performance.now();
      stop.abort();
      const [first, second] = await Promise.all([computing, behind]);
      const after = await settled(model.features(new ImageData(32, 32), { resolution: 32 }));
      const took = performance.now() - stopped;

      const own = new AbortController();
      const reason = settled(model.attention(large, { resolution: 768, signal: own.signal }));
      own.abort(new Error('my own reason'));
      const before = settled(model.features(large, { signal: AbortSignal.abort() }));
      const fetching = settled(model.features('fish.jpg', { signal: AbortSignal.abort() }));
      results[worker] = { whole, took, first, second, after, reason: await reason, before: await before, fetching: await fetching };
      model.dispose();
    }
    const heard = [];
    const warm = await Dinoscope.load('whole.safetensors', { device: 'cpu', warmUp: true, onProgress: (one) => heard.push(one) });
    const whole = await warm.features('fish.jpg', { resolution: 96 });
    const model = await Dinoscope.starter({ device: 'cpu' });
    const full = await model.features('fish.jpg', { resolution: 96 });
    const sum = (values) => Math.sqrt(values.reduce((all, value) => all + value * value, 0));
    const apart = sum(whole.patches.map((value, i) => value - full.patches[i])) / sum(full.patches);
    const bytes = heard.filter((one) => one.stage === 'weights').at(-1).loaded;
    warm.dispose();
    model.dispose();
    return { results, numbers: { apart, bytes }, stages: [...new Set(heard.map((one) => one.stage))], last: heard.at(-1) };
  });
  for (const [worker, { whole, took, first, second, after, reason, before, fetching }] of Object.entries(found.results)) {
    const name = `signal, ${worker === 'true' ? 'in a worker' : 'in the page'}`;
    const aborted = ({ error }) => error?.name === 'AbortError';
    check(`${name}: what computes is rejected with AbortError`, aborted(first), first);
    check(`${name}: and what waits behind it`, aborted(second), second);
    check(`${name}: computing stops: what follows does not wait for twelve images`, after.rows === 4 && took < 6 * whole, { took, whole });
    check(`${name}: a reason of one's own is given`, reason.error?.message === 'my own reason', reason);
    check(`${name}: nothing begins behind a signal that was given`, aborted(before) && aborted(fetching), { before, fetching });
  }
  check('weights of 32 bits have twice the size', found.numbers.bytes > 1.98 * 1661032, found.numbers);
  check('and the same features', found.numbers.apart < 1e-6, found.numbers);
  const stages = ['program', 'weights', 'model', 'warm-up'];
  check('progress has its stages', stages.every((stage) => found.stages.includes(stage)), found.stages);
  check('the warm-up is the last', found.last.stage === 'warm-up' && found.last.loaded === 1, found.last);
}
