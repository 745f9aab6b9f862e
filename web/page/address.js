// The page's address holds where one is in the studio (`StudioUrlState` in app/src/studio/url_state.rs), so that it can be shared, and
// so that Back goes back.

const FOLDER = new URL('.', document.baseURI).href;

/** An address as seen from this page; names of released models stay names, also with `facebook/` before them. */
export function absolute(address) {
  const isAddress = address && /[./]/.test(address) && !/^facebook\/[\w-]+$/.test(address);
  return isAddress ? new URL(address, document.baseURI).href : address;
}

/** What the page's address asks for; see `Wishes` in app/src/tab/window.rs. */
export function wishes() {
  const asked = new URLSearchParams(location.search);
  return {
    image: asked.getAll('image').map(absolute),
    weights: absolute(asked.get('weights')),
    against: absolute(asked.get('against')),
    view: asked.get('view'),
    workspace: asked.get('workspace'),
    device: asked.get('device'),
  };
}

/** The address of a place: what else the page was asked for stays. */
function addressOf({ workspace, view, weights, against }) {
  const address = new URL(location.href);
  const asked = address.searchParams;
  const set = (name, value) => (value ? asked.set(name, value) : asked.delete(name));
  set('view', view);
  set('workspace', workspace === 'explore' ? '' : workspace);
  const shortened = (model) => (model?.startsWith(FOLDER) ? model.slice(FOLDER.length) : model);
  set('weights', shortened(weights));
  set('against', shortened(against));
  // Both may stand in a query as they are, and are easier to read so.
  address.search = asked.toString().replaceAll('%2F', '/').replaceAll('%3A', ':');
  return address;
}

let first;

/** The studio is somewhere else; `again` in the place of where it was last. Where it begins is the address as it is. */
export function moved(place, again) {
  if (!first) {
    first = place;
    history.replaceState({ place }, '');
    return;
  }
  const how = again ? 'replaceState' : 'pushState';
  history[how]({ place }, '', addressOf(place));
}

/** Goes with the browser's history. */
export function listen(go) {
  addEventListener('popstate', ({ state }) => {
    const { view, workspace, weights, against } = wishes();
    const asked = { ...(view && { view }), workspace: workspace ?? 'explore', weights, against };
    const place = state?.place ?? { ...first, ...asked };
    if (place) {
      go(JSON.stringify(place));
    }
  });
}
