// Following: an animation's frames and the camera, with the CPU in a worker.

import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { shows } from '../lib/browser.mjs';
import { native } from '../lib/native.mjs';
import { click, visit, widget } from '../lib/studio.mjs';

const SAMPLES = ['scene-19-teapot', 'scene-20-fish', 'scene-26-rocket'];
/** So few pixels that a busy machine looks at them in seconds. */
const SETTINGS = { version: 1, values: { view: { resolution: 128 } } };
const CAMERA = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

export async function run(stage) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-'));
  const server = await stage.serve(stage.dist);
  try {
    await animation(stage, server, folder);
    await video(stage, server, folder);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
  await camera(stage, server);
}

/** The film that the command line writes is an animation. */
async function film(root, to) {
  const samples = SAMPLES.map((name) => path.join(root, `assets/samples/${name}.jpg`));
  const words = (out) => ['follow', ...samples, '--at', '20,20', '--resolution', '64', '--device', 'cpu', '--out', out,
    '--weights', path.join(root, 'assets/weights/starter.safetensors')];
  await native(root, words, (out) => fs.copyFile(path.join(out, 'follow.gif'), to));
}

async function animation(stage, server, folder) {
  const { check, root } = stage;
  const file = path.join(folder, 'moving.gif');
  await film(root, file);
  const { page, errors } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU', { settings: SETTINGS });
  await click(page, 'Follow');
  const choosing = page.waitForEvent('filechooser');
  await click(page, 'Open frames');
  await (await choosing).setFiles(file);
  const looked = await shows(page, (now) => now.follow.looked_at === SAMPLES.length && !now.busy, 'the frames');
  check('the frames of an animation are looked at', looked.follow.frames === SAMPLES.length, looked.follow);
  await click(page, /^large frame/);
  const found = await shows(page, (now) => now.follow.places.length === SAMPLES.length, 'the place in each frame');
  check('a place is followed through them', found.follow.places[0][2], found.follow.places);
  await stage.shoot(page, 'follow');
  const downloads = page.waitForEvent('download');
  await click(page, 'Save what was followed');
  await click(page, /^Track as a table/);
  const table = await fs.readFile(await (await downloads).path(), 'utf8');
  check('its track is saved', table.trim().split('\n').length === SAMPLES.length + 1, table);
  await click(page, 'Mask');
  await click(page, /^large frame/);
  const masks = await shows(page, (now) => now.follow.masks.length === SAMPLES.length && !now.busy, 'the masks');
  check('a mask is carried on', masks.follow.masks[0][1] > 0, masks.follow.masks);
  check('no error in the console', errors.length === 0, errors);
}

/**
 * A second of a bright square that goes from the middle into a corner, as the browser itself records it: once more where a busy
 * browser has recorded a canvas that was not drawn yet.
 */
function recorded(page) {
  return page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
    const context = canvas.getContext('2d');
    const record = async () => {
      const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: 'video/webm' });
      const parts = [];
      recorder.ondataavailable = (event) => parts.push(event.data);
      const over = new Promise((done) => {
        recorder.onstop = done;
      });
      recorder.start();
      for (let at = 0; at < 30; at += 1) {
        context.fillStyle = '#203040';
        context.fillRect(0, 0, 320, 240);
        context.fillStyle = '#ffe060';
        context.fillRect(128 - 4 * at, 88 - 2 * at, 64, 64);
        await new Promise((done) => {
          setTimeout(done, 33);
        });
      }
      recorder.stop();
      await over;
      return new Blob(parts);
    };
    const isDrawn = async (film) => {
      const video = Object.assign(document.createElement('video'), { muted: true, src: URL.createObjectURL(film) });
      const shown = new Promise((done) => {
        video.requestVideoFrameCallback(done);
      });
      await video.play();
      await shown;
      const small = new OffscreenCanvas(32, 24).getContext('2d');
      small.drawImage(video, 0, 0, 32, 24);
      return small.getImageData(16, 12, 1, 1).data[0] > 100;
    };
    let film = await record();
    for (let tries = 0; tries < 4 && !await isDrawn(film); tries += 1) {
      film = await record();
    }
    return [...new Uint8Array(await film.arrayBuffer())];
  });
}

async function video(stage, server, folder) {
  const { check } = stage;
  const { page, errors } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU', { settings: SETTINGS });
  await click(page, 'Follow');
  const [file, broken] = ['moving.webm', 'broken.mp4'].map((name) => path.join(folder, name));
  await fs.writeFile(file, Uint8Array.from(await recorded(page)));
  await fs.writeFile(broken, 'no video');
  const open = async (name) => {
    const choosing = page.waitForEvent('filechooser');
    await click(page, 'Open frames');
    await (await choosing).setFiles(name);
  };
  await open(broken);
  const refused = await widget(page, /broken\.mp4/);
  check('what the browser can\'t play is named', Boolean(refused), refused);
  await open(file);
  const looked = await shows(page, (now) => now.follow.frames > 0 && now.follow.looked_at === now.follow.frames && !now.busy, 'the frames of a video');
  check('the frames of a video are looked at', looked.follow.frames >= 15, looked.follow);
  await click(page, /^large frame/);
  const found = await shows(page, (now) => now.follow.places.length === looked.follow.frames, 'the place in each of them');
  const [first, last] = [found.follow.places[0], found.follow.places.at(-1)];
  check('a place is followed through a video', first[1][0] - last[1][0] > 0.15 && last[2], [first, last]);
  await stage.shoot(page, 'follow-video');
  check('no error in the console of a video', errors.length === 0, errors);
}

async function camera(stage, server) {
  const { check } = stage;
  const context = { permissions: ['camera'] };
  const { page, errors } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU', { settings: SETTINGS, context, flags: CAMERA });
  await click(page, 'Follow');
  await click(page, 'Follow in the camera');
  await shows(page, (now) => now.explore.grid, 'the camera\'s first picture');
  await click(page, /^large picture of the camera/);
  const said = await widget(page, /^(Seen|Lost), /);
  check('a place is followed in the camera', Boolean(said), said);
  await click(page, 'Close the frames');
  await widget(page, 'Open frames');
  check('the camera was given back', errors.length === 0, errors);
}
