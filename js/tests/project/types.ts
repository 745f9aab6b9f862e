// What TypeScript says of programs that use the package, right and wrong ones.

import { Dinoscope, DinoscopeError } from 'dinoscope';
import type { Attention, ErrorCode, Features } from 'dinoscope';

export async function right(canvas: HTMLCanvasElement, file: File): Promise<void> {
  const model: Dinoscope = await Dinoscope.load(new URL('https://example.org/dinov2_vits14.pth'), {
    device: 'auto',
    onProgress: ({ stage, loaded, total }) => console.log(stage, total === undefined ? loaded : loaded / total),
    warmUp: true,
    signal: AbortSignal.timeout(1000),
  });
  const features: Features = await model.features(file, { resolution: 448 });
  const several: Features[] = await model.features([file, canvas], { signal: AbortSignal.timeout(1000) });
  const looks: Attention[] = await model.attention([file, canvas], { block: 1 });
  const shape: readonly [number, number, number] = features.shape;
  const one: ImageData = await model.pca(canvas, { foreground: true });
  const many: ImageData[] = await model.pca([canvas, features], { size: 'patches' });
  const attention: Attention = await model.attention(canvas, { query: { x: 1, y: 2 }, block: 3 });
  const alike: Float32Array = model.similarity(features, { patch: 0 }, features);
  const name: string = model.info.name + model.device.type;
  console.log(several, looks, shape, one, many, attention.heads[0]?.length, alike, name);
  model.dispose();
}

export function caught(error: unknown): ErrorCode | undefined {
  return error instanceof DinoscopeError ? error.code : undefined;
}

export async function wrong(model: Dinoscope): Promise<void> {
  // @ts-expect-error there is no such device
  await Dinoscope.load('weights.pth', { device: 'cuda' });
  // @ts-expect-error a number is no image
  await model.features(5);
  // @ts-expect-error no such option
  await model.features('image.png', { resolutions: 448 });
  // @ts-expect-error one image gives one ImageData
  const many: ImageData[] = await model.pca('image.png');
  // @ts-expect-error no such query
  await model.attention('image.png', { query: 'register' });
  // @ts-expect-error models are loaded, not made
  new Dinoscope();
  // @ts-expect-error what the model is can not be changed
  model.info.patch = 16;
  console.log(many);
}
