// A worker: the same program as the page's, which does what takes long. app/src/tab/worker.rs is what it runs.

import init, { start_worker } from './pkg/dinoscope_web.js';

/** @type {Map<string, File>} */
const files = new Map();
const waiting = [];
let hear = (message) => waiting.push(message);

const page = {
  post: (message) => postMessage({ message }, [message.buffer]),
  panicked: (reason) => postMessage({ panic: reason }),
  read(path) {
    const file = files.get(path);
    if (!file) {
      throw new Error(`${path} is not there any more`);
    }
    try {
      return new Uint8Array(new FileReaderSync().readAsArrayBuffer(file));
    } catch (error) {
      throw new Error(`the browser can't read it any more (${error.message})`);
    }
  },
};

async function begin(module) {
  await init({ module_or_path: module });
  const worker = start_worker(page);
  hear = (message) => worker.on_message(message);
  waiting.splice(0).forEach(hear);
}

self.onmessage = ({ data }) => {
  if (data.module) {
    begin(data.module).catch((error) => page.panicked(`the program does not start in a worker: ${error.message ?? error}`));
    return;
  }
  data.files?.forEach(([path, file]) => files.set(path, file));
  hear(data.message);
};
