// The keyboard's way through the page: onto the canvas, through what is drawn there, and on.

const element = (id) => document.getElementById(id);

/** How long after a key a canvas has the keyboard because of it, in milliseconds. */
const SOON = 300;

/** Says to the studio when the keyboard comes onto the canvas, and from where. */
export function listen(enter) {
  let tab = { at: -Infinity, forward: true };
  addEventListener('keydown', (event) => {
    if (event.key === 'Tab') {
      tab = { at: performance.now(), forward: !event.shiftKey };
    }
  }, true);
  const stage = element('stage');
  stage.addEventListener('focusin', (event) => {
    const fromElsewhere = event.target === element('studio') && !stage.contains(event.relatedTarget);
    if (fromElsewhere && performance.now() - tab.at < SOON) {
      tab.at = -Infinity;
      enter(tab.forward);
    }
  });
}

/** The keyboard leaves the canvas: for a notice that is there, else for the page's end, from where the browser goes on. */
export function leave(forward) {
  const notices = [...document.querySelectorAll('#notices button, #notices summary, #notices a')];
  const next = forward && notices.find((one) => one.checkVisibility());
  // After the frame: it would be told while it is being drawn.
  setTimeout(() => (next || element(forward ? 'behind' : 'before')).focus({ preventScroll: true }));
}

/**
 * Says whether fingers work the page, now and when that changes. Where they enlarge the page, a browser says afterwards
 * that a mouse had moved, which hovers over nothing.
 */
export function fingers(touch) {
  let touched = -Infinity;
  addEventListener('touchend', () => { touched = performance.now(); }, { capture: true, passive: true });
  addEventListener('mousemove', (event) => {
    if (performance.now() - touched < 1000) {
      event.stopImmediatePropagation();
    }
  }, true);
  const coarse = matchMedia('(pointer: coarse)');
  coarse.addEventListener('change', () => touch(coarse.matches));
  return coarse.matches;
}
