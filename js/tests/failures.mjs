// What the package says when something goes wrong: every promise is settled, with a reason and a way out.

/**
 * Makes mistakes in a page without WebGPU.
 * @param {import('playwright-core').Page} page
 * @param {(name: string, good: boolean, found: unknown) => void} check
 */
export async function mistakes(page, check) {
  const found = await page.evaluate(async () => {
    const { Dinoscope, settled } = window.project;
    const text = new Blob(['no weights at all, only words']);
    const model = await Dinoscope.starter();
    const small = new ImageData(32, 32);
    const stop = new AbortController();
    stop.abort();
    const results = {
      webgpu: await settled(Dinoscope.starter({ device: 'webgpu' })),
      device: await settled(Dinoscope.starter({ device: 'cuda' })),
      weights: await settled(Dinoscope.load(new File([text], 'words.pth'))),
      named: await settled(Dinoscope.load(await text.arrayBuffer(), { name: 'my weights' })),
      missing: await settled(Dinoscope.load('no-such-file.pth')),
      nothing: await settled(Dinoscope.load(undefined)),
      aborted: await settled(Dinoscope.load('starter.safetensors', { signal: stop.signal })),
      program: await settled(Dinoscope.starter({ wasm: 'fish.jpg' })),
      image: await settled(model.features(new File([text], 'words.png'))),
      kind: await settled(model.features(5)),
      broken: await settled(model.features(Object.assign(new Image(), { src: 'no-such-picture.png' }))),
      video: await settled(model.features(document.createElement('video'))),
      page: await settled(model.features('home.jpg')),
      unknown: await settled(model.features(small, { resolutions: 64 })),
      unheard: await settled(model.pca(small, { colour: 'red' })),
      misspelt: await settled(Dinoscope.starter({ onprogress: () => {} })),
      none_at_all: await settled(model.attention(small, null)),
      resolution: await settled(model.features(small, { resolution: 7 })),
      block: await settled(model.attention(small, { block: 4 })),
      query: await settled(model.attention(small, { query: 'register' })),
      place: await settled(model.attention(small, { query: { x: 32, y: 0 } })),
      size: await settled(model.pca(small, { size: { width: 0, height: 4 } })),
      none: await settled(model.pca([])),
    };
    // After all that, it still works.
    results.after = await settled(model.features(small, { resolution: 32 }));
    const pending = settled(model.features(small, { resolution: 256 }));
    model.dispose();
    model.dispose();
    results.pending = await pending;
    results.disposed = await settled(model.features(small));
    return { results, device: model.device };
  });
  const expected = {
    webgpu: ['device', /WebGPU.*'cpu'/], device: ['argument', /cuda.*'webgpu'/],
    weights: ['weights', /^words\.pth.*(safetensors|torch)/], named: ['weights', /^my weights/],
    missing: ['network', /no-such-file\.pth: 404/], nothing: ['argument', /weights.*URL.*undefined/],
    program: ['program', /WebAssembly did not load.*wasm-unsafe-eval/s], image: ['image', /^words\.png.*JPEG, PNG/],
    kind: ['argument', /Number is no image/], broken: ['image', /no-such-picture\.png did not load/],
    video: ['image', /loadeddata/], page: ['network', /home\.jpg: the answer is a web page, not a file/],
    unknown: ['argument', /^features has no option resolutions \(did you mean resolution\?\).*resolution, signal/],
    unheard: ['argument', /^pca has no option colour: .*foreground/], misspelt: ['argument', /did you mean onProgress/],
    none_at_all: ['argument', /attention: expected an object of options, not null/], resolution: ['argument', /resolution is 7.*8 to 2048/],
    block: ['argument', /block is 4.*0 to 3/], query: ['argument', /'cls'/], place: ['argument', /query\.x is 32/],
    size: ['argument', /0 × 4/], none: ['features', /no pictures/], pending: ['disposed', /starter weights/],
    disposed: ['disposed', /starter weights/],
  };
  for (const [what, [code, message]] of Object.entries(expected)) {
    const { error } = found.results[what];
    const good = error?.ours === true && error.code === code && message.test(error.message);
    check(`mistakes: ${what}`, good, error ?? found.results[what]);
  }
  check('mistakes: aborted', found.results.aborted.error?.name === 'AbortError', found.results.aborted);
  check('mistakes: goes on afterwards', found.results.after.rows === 4, found.results.after.error);
  check('no WebGPU: the CPU, and why', found.device.type === 'cpu' && /WebGPU/.test(found.device.reason), found.device);
}

/** Code that runs before the package, in the page or its worker, and breaks the GPU when told to. */
export const SABOTAGE = `
  globalThis.sabotage ??= { devices: [] };
  if (globalThis.GPUAdapter && !GPUAdapter.prototype.dinoscopeTest) {
    GPUAdapter.prototype.dinoscopeTest = true;
    const request = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...given) {
      const device = await request.apply(this, given);
      globalThis.sabotage.devices.push(device);
      return device;
    };
    const shader = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function (...given) {
      if (globalThis.sabotage.refuse) {
        throw new Error('this GPU refuses every program');
      }
      return shader.apply(this, given);
    };
  }
  globalThis.addEventListener('message', (event) => {
    const { sabotage } = event.data ?? {};
    if (sabotage) {
      event.stopImmediatePropagation();
      globalThis.sabotage.refuse = sabotage === 'refuse';
      if (sabotage === 'destroy') {
        globalThis.sabotage.devices.forEach((device) => device.destroy());
      }
    }
  });
`;

/**
 * Takes the GPU away, and lets the program break, in a page with WebGPU: pending promises are rejected.
 * @param {import('playwright-core').Page} page With [`SABOTAGE`] in the page and in workers.
 * @param {(name: string, good: boolean, found: unknown) => void} check
 */
export async function disasters(page, check) {
  for (const [kind, codes] of [['destroy', ['lost']], ['refuse', ['crash', 'device']]]) {
    const found = await page.evaluate(async (kind) => {
      const { Dinoscope, settled } = window.project;
      // Messages reach the package's worker through the one way in that a page has.
      const workers = [];
      const Original = window.Worker;
      window.Worker = class extends Original {
        constructor(...given) {
          super(...given);
          workers.push(this);
        }
      };
      const model = await Dinoscope.starter({ device: 'webgpu' });
      window.Worker = Original;
      const small = new ImageData(32, 32);
      const before = kind === 'destroy' ? await settled(model.features(small, { resolution: 32 })) : null;
      workers[0].postMessage({ sabotage: kind });
      const pending = await settled(model.features(small, { resolution: 32 }));
      const after = await settled(model.features(small, { resolution: 32 }));
      const again = await settled(Dinoscope.starter({ device: 'webgpu' }).then(async (fresh) => {
        const features = await fresh.features(small, { resolution: 32 });
        fresh.dispose();
        return features;
      }));
      return { before, pending, after, again, worker: model.device.worker };
    }, kind);
    const name = `${kind === 'destroy' ? 'lost device' : 'broken program'}`;
    if (kind === 'destroy') {
      check(`${name}: works before`, found.before.rows === 4, found.before.error);
    }
    for (const when of ['pending', 'after']) {
      const { error } = found[when];
      check(`${name}: ${when} is rejected`, error?.ours && codes.includes(error.code), error ?? found[when]);
    }
    check(`${name}: a fresh model works`, found.again.rows === 4, found.again.error);
  }
}
