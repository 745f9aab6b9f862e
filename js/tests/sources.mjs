// Everything that an image may come from gives the same numbers.

import { apart } from './npy.mjs';

/**
 * @param {import('playwright-core').Page} page
 * @param {(name: string, good: boolean, found?: unknown) => void} check
 */
export async function sources(page, check) {
  const found = await page.evaluate(async () => {
    const { Dinoscope, plain } = window.project;
    const [width, height] = [80, 48];
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    for (let i = 0; i < width; i += 4) {
      context.fillStyle = `rgb(${3 * i} ${255 - 2 * i} ${(i * 37) % 256})`;
      context.fillRect(i, 0, 4, height - i / 4);
    }
    // Opaque everywhere, so that a canvas, which keeps colours multiplied by opacity, loses nothing.
    context.globalCompositeOperation = 'destination-over';
    context.fillRect(0, 0, width, height);
    const png = await new Promise((done) => canvas.toBlob(done, 'image/png'));
    const buffer = await png.arrayBuffer();
    const offscreen = new OffscreenCanvas(width, height);
    offscreen.getContext('2d').drawImage(canvas, 0, 0);
    const address = URL.createObjectURL(png);
    const video = Object.assign(document.createElement('video'), { muted: true, srcObject: canvas.captureStream() });
    const shown = new Promise((done) => video.addEventListener('loadeddata', done, { once: true }));
    // The stream has a frame whenever the canvas is drawn to; here below what is there, so that nothing changes.
    const drawing = setInterval(() => context.fillRect(0, 0, width, height), 50);
    await Promise.all([video.play(), shown]);
    clearInterval(drawing);
    const all = {
      ImageData: context.getImageData(0, 0, width, height),
      canvas,
      OffscreenCanvas: offscreen,
      ImageBitmap: await createImageBitmap(canvas),
      img: Object.assign(new Image(), { src: address }),
      Blob: png,
      File: new File([png], 'canvas.png'),
      ArrayBuffer: buffer,
      Uint8Array: new Uint8Array(buffer),
      'object URL': address,
      URL: new URL(address),
      'data URL': canvas.toDataURL('image/png'),
      VideoFrame: new VideoFrame(canvas, { timestamp: 0 }),
      video,
    };
    const model = await Dinoscope.starter({ device: 'cpu' });
    const results = {};
    for (const [name, image] of Object.entries(all)) {
      results[name] = await model.features(image, { resolution: 48 }).catch((error) => ({ error: error.message }));
    }
    all.VideoFrame.close();
    results.kept = [all.ImageData.data.length, buffer.byteLength > 0, all.ImageBitmap.width];
    model.dispose();
    return plain(results);
  });
  const { ImageData: expected, kept, video, ...others } = found;
  check('images: ImageData', String(expected.shape) === '6,10,128', expected.error ?? expected.shape);
  for (const [name, features] of Object.entries(others)) {
    // Which colours a VideoFrame has in between is the browser's business.
    const limit = name === 'VideoFrame' ? 0.05 : 0;
    const difference = features.error ?? apart(features.patches, expected.patches);
    check(`images: ${name}`, difference <= limit, difference);
  }
  check('images: video', String(video.shape) === '6,10,128', video.error);
  check('images: what was given stays usable', String(kept) === `${80 * 48 * 4},true,80`, kept);
}
