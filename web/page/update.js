// A newer version of the page: kept beside this one, and offered. It changes nothing here until somebody asks for it.

/**
 * How long the page is left alone before a new version takes over, in milliseconds: while the old one still answers the
 * page, browsers put that off, some for minutes.
 */
const CALM = 2000;

/** Waits until the page has all that it consists of: until then the old version answers it. */
async function loaded() {
  while (!['ready', 'failed'].includes(document.body.dataset.state)) {
    await new Promise((later) => setTimeout(later, 200));
  }
}

/** Whether `worker` keeps the version that `script` is of. */
function keeps(worker, script) {
  return new Promise((answered) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => answered(data);
    worker.postMessage({ script }, [port2]);
  });
}

/**
 * Watches for a version that waits. One that this page is of already takes over; another one is offered: loaded again,
 * the page is of that version.
 * @param {ServiceWorkerRegistration} registration
 * @param {string} script the page's own, whose name changes with anything in it
 * @param {() => void} offer
 */
export function watch(registration, script, offer) {
  const ready = async (worker) => {
    if (await keeps(worker, script)) {
      await loaded();
      setTimeout(() => worker.postMessage('take over'), CALM);
    } else {
      offer();
    }
  };
  // The very first version has no other one to take the place of.
  const follow = (worker) => worker?.addEventListener('statechange', () => {
    if (worker.state === 'installed' && registration.active) {
      ready(worker);
    }
  });
  registration.addEventListener('updatefound', () => follow(registration.installing));
  follow(registration.installing);
  if (registration.waiting) {
    ready(registration.waiting);
  }
  // Browsers put that off, some longer than a visit lasts; without a network there is nothing to hear.
  registration.update().catch(() => {});
}
