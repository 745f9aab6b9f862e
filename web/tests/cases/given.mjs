// What comes in by other ways, and what should not: addresses, folders, files that are none, a GPU that goes away.

import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { shows } from '../lib/browser.mjs';
import { click, drop, looked, visit, widget } from '../lib/studio.mjs';

export async function run(stage) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dinoscope-'));
  try {
    await addresses(stage);
    await folders(stage, folder);
    await archives(stage, folder);
    await wrong(stage, folder);
    await lost(stage);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

const sample = (root) => fs.readFile(path.join(root, 'assets/samples/scene-20-fish.jpg'));

/** `?image=…&weights=…&view=attention`. */
async function addresses(stage) {
  const { check, root } = stage;
  const extra = {
    'fish.jpg': await sample(root),
    'mine.safetensors': await fs.readFile(path.join(root, 'assets/weights/starter.safetensors')),
  };
  const server = await stage.serve(stage.dist, { extra });
  const asked = `${server.url}?image=fish.jpg&weights=mine.safetensors&view=attention&device=cpu`;
  const { page, errors } = await visit(stage, asked, 'WEBGPU');
  const seen = await looked(page, 1);
  check('the address names picture and weights', seen.model === 'mine.safetensors', seen.model);
  const head = await widget(page, 'Mean');
  check('and what is shown: attention', head.place[2] > head.place[0], head);
  check('no error in the console', errors.length === 0, errors);
  const { page: other } = await visit(stage, `${server.url}?image=nowhere.jpg&device=cpu`, 'WEBGPU');
  const said = await shows(other, (now) => now.toasts.length > 0, 'a reason');
  check('an address without a picture: the reason', /nowhere\.jpg/.test(said.toasts[0]) && /404/.test(said.toasts[0]), said.toasts);
}

/** A folder with folders. */
async function folders(stage, folder) {
  const { check, root } = stage;
  const top = path.join(folder, 'holiday');
  await fs.mkdir(path.join(top, 'sea'), { recursive: true });
  for (const [to, from] of [['a.jpg', 'scene-20-fish'], ['sea/b.jpg', 'scene-19-teapot'], ['sea/c.jpg', 'scene-26-rocket']]) {
    await fs.copyFile(path.join(root, `assets/samples/${from}.jpg`), path.join(top, to));
  }
  await fs.writeFile(path.join(top, 'notes.txt'), 'no picture');
  const server = await stage.serve(stage.dist);
  const { page, errors } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU');
  await drop(page, [top]);
  const seen = await looked(page, 3);
  check('a dropped folder\'s pictures are open', seen.explore.pictures === 3, seen.explore.pictures);
  await click(page, 'Add built-in scenes');
  const more = await shows(page, (now) => now.explore.pictures === 15, 'the built-in scenes');
  check('built-in scenes join them', more.explore.pictures === 15);
  check('no error in the console', errors.length === 0, errors);
}

/** A tar of files. */
function tar(members) {
  const parts = members.flatMap(([name, bytes]) => {
    const header = Buffer.alloc(512);
    const put = (text, at) => header.write(text, at, 'latin1');
    put(name, 0);
    put('0000644', 100);
    put(bytes.length.toString(8).padStart(11, '0'), 124);
    put('0', 156);
    put('ustar\x0000', 257);
    put(' '.repeat(8), 148);
    put(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0`, 148);
    return [header, bytes, Buffer.alloc((512 - bytes.length % 512) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Pictures in an archive. */
async function archives(stage, folder) {
  const { check, root } = stage;
  const file = path.join(folder, 'holiday.tar');
  const names = ['scene-20-fish', 'scene-19-teapot'];
  const members = await Promise.all(names.map(async (name) => [`sea/${name}.jpg`, await fs.readFile(path.join(root, `assets/samples/${name}.jpg`))]));
  await fs.writeFile(file, tar([...members, ['sea/notes.txt', Buffer.from('no picture')]]));
  const server = await stage.serve(stage.dist);
  const { page, errors } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU');
  await drop(page, [file]);
  const seen = await looked(page, 2);
  check('a dropped archive\'s pictures are open', seen.explore.pictures === 2, seen.explore.pictures);
  check('no error in the console', errors.length === 0, errors);
}

/** Files that are none: the reason, and everything else goes on. */
async function wrong(stage, folder) {
  const { check, root } = stage;
  const files = { 'torn.jpg': (await sample(root)).subarray(0, 900), 'empty.png': '', 'notes.safetensors': 'no weights',
    'run.zip': 'no run' };
  for (const [file, content] of Object.entries(files)) {
    await fs.writeFile(path.join(folder, file), content);
  }
  const server = await stage.serve(stage.dist);
  const { page, errors } = await visit(stage, `${server.url}?device=cpu`, 'WEBGPU');
  for (const file of Object.keys(files)) {
    await drop(page, [path.join(folder, file)]);
    const about = new RegExp(file.replace('.', '\\.'));
    const said = await shows(page, (now) => now.toasts.some((text) => about.test(text)), `a word about ${file}`);
    check(`${file}: the reason`, said.toasts.some((text) => about.test(text) && text.length > file.length + 10), said.toasts);
  }
  await drop(page, [path.join(root, 'assets/samples/scene-20-fish.jpg')]);
  const seen = await looked(page, 1);
  check('after all that, a picture is looked at', seen.explore.pictures === 1, seen.explore);
  check('no error in the console', errors.length === 0, errors);
}

/** The GPU goes away while one looks: the CPU goes on with the same picture. */
async function lost(stage) {
  const { check, root } = stage;
  const server = await stage.serve(stage.dist);
  const { page } = await stage.open('WEBGPU', { viewport: { width: 1280, height: 800 } });
  // Devices that the page opens can be taken away from it.
  await page.addInitScript(() => {
    const devices = [];
    const request = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function requestDevice(...how) {
      const device = await request.apply(this, how);
      devices.push(device);
      return device;
    };
    window.loseDevices = () => devices.forEach((device) => device.destroy());
  });
  await page.goto(`${server.url}?device=gpu`);
  await shows(page, (now) => now.model !== null, 'a model');
  await drop(page, [path.join(root, 'assets/samples/scene-20-fish.jpg')]);
  await shows(page, (now) => now.explore.pictures === 1, 'the picture');
  await page.evaluate(() => window.loseDevices());
  const after = await shows(page, (now) => /WebAssembly/.test(now.device) && now.explore.grid, 'the CPU to go on');
  check('the CPU goes on with the same picture', after.explore.pictures === 1, after.explore);
  check('and says why', after.toasts.some((text) => /GPU can't be used/.test(text)), after.toasts);
  check('the page is no grey screen', (await page.evaluate(() => document.body.dataset.state)) === 'ready');
  await stage.shoot(page, 'lost');
}
