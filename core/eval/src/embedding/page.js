// The map on a canvas. Places run from 0 to `steps`, up and across; `view` says which part is seen.
const data = JSON.parse(document.getElementById('data').textContent);
const { x, y, of: classOf, names, classes, steps, sprites } = data;
const one = selector => document.querySelector(selector);
const canvas = one('canvas'), tip = one('.tip'), hint = one('.hint'), pen = canvas.getContext('2d');
document.title = data.title + ' · Dinoscope';
one('h1').textContent = data.title;
one('.facts').textContent = data.facts;

// What a class looks like, around the origin, with the area of a disc of radius 1.
const corners = {
  square: [[-.886, -.886], [.886, -.886], [.886, .886], [-.886, .886]],
  triangle: [[0, -1.555], [1.347, .778], [-1.347, .778]],
  diamond: [[0, -1.253], [1.253, 0], [0, 1.253], [-1.253, 0]],
};
const shapes = classes.map(({ shape }) => {
  const path = new Path2D();
  if (corners[shape]) {
    corners[shape].forEach(([a, b], i) => i ? path.lineTo(a, b) : path.moveTo(a, b));
    path.closePath();
  } else {
    path.arc(0, 0, 1, 0, 7);
  }
  return path;
});

const shown = classes.map(() => true);
// Always the same order, in which no class lies over the others.
const order = x.map((_, i) => i);
for (let i = order.length - 1, seed = 1; i > 0; i--) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  const j = seed % (i + 1);
  [order[i], order[j]] = [order[j], order[i]];
}
// Sides of pictures on the screen; closer ones are points.
const SMALLEST = 28, LARGEST = 112, MARGIN = 28;
const sheet = new Image();
let view = { scale: 1, left: 0, top: 0 }, size = { width: 0, height: 0 };
let lit = null, over = null, waiting = false;

const fit = () => Math.min(size.width, size.height) - 2 * MARGIN;
const base = () => ({ left: (size.width - fit()) / 2, top: (size.height - fit()) / 2 });
// Where point i is on the screen.
const at = i => [
  (base().left + x[i] / steps * fit()) * view.scale + view.left,
  (base().top + (1 - y[i] / steps) * fit()) * view.scale + view.top,
];
// The room that a point has where it is crowded, as a share of the map.
const spacing = (() => {
  const cells = new Map(), grid = Math.max(4, Math.round(Math.sqrt(x.length)));
  x.forEach((_, i) => {
    const key = Math.floor(x[i] / steps * (grid - 1)) * grid + Math.floor(y[i] / steps * (grid - 1));
    cells.set(key, (cells.get(key) || 0) + 1);
  });
  const counts = [...cells.values()].sort((a, b) => b - a);
  return 1 / grid / Math.sqrt(counts[Math.floor(counts.length / 10)] || 1);
})();
const copySide = () => Math.min(LARGEST, spacing * fit() * view.scale * 1.1);
const pictures = () => sheet.complete && sheet.naturalWidth > 0 && copySide() >= SMALLEST;
const radius = () => Math.min(9, Math.max(2.5, fit() / 5 / Math.sqrt(x.length)) * Math.sqrt(view.scale));
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function draw() {
  waiting = false;
  const dots = devicePixelRatio || 1;
  const { width, height } = size;
  if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(height * dots);
  }
  pen.setTransform(dots, 0, 0, dots, 0, 0);
  pen.clearRect(0, 0, width, height);
  const side = copySide(), asPictures = pictures(), r = asPictures ? side / 2 : radius(), card = colour('--card');
  for (const i of order) {
    const [cx, cy] = at(i);
    if (!shown[classOf[i]] || cx < -side || cy < -side || cx > width + side || cy > height + side) continue;
    pen.globalAlpha = lit === null || lit === classOf[i] ? 1 : .12;
    asPictures ? drawCopy(i, cx, cy, side) : drawPoint(classOf[i], cx, cy, r, card, dots);
  }
  pen.globalAlpha = 1;
  if (over !== null && shown[classOf[over]]) {
    const [cx, cy] = at(over);
    asPictures ? drawCopy(over, cx, cy, side * 1.1) : drawPoint(classOf[over], cx, cy, r * 1.6, colour('--text'), dots);
  }
}

function drawPoint(k, cx, cy, r, edge, dots) {
  for (const [scale, fill] of [[r + 1, edge], [r, classes[k].colour]]) {
    pen.setTransform(scale * dots, 0, 0, scale * dots, cx * dots, cy * dots);
    pen.fillStyle = fill;
    pen.fill(shapes[k]);
  }
  pen.setTransform(dots, 0, 0, dots, 0, 0);
}

function drawCopy(i, cx, cy, side) {
  const from = sprites.side, edge = Math.max(1.5, side / 24);
  pen.fillStyle = classes[classOf[i]].colour;
  pen.fillRect(cx - side / 2 - edge, cy - side / 2 - edge, side + 2 * edge, side + 2 * edge);
  const column = i % sprites.columns, row = Math.floor(i / sprites.columns);
  pen.drawImage(sheet, column * from, row * from, from, from, cx - side / 2, cy - side / 2, side, side);
}

function redraw() {
  if (!waiting) {
    waiting = true;
    requestAnimationFrame(draw);
  }
}

function zoom(factor, cx, cy) {
  const scale = Math.min(400, Math.max(.5, view.scale * factor));
  const real = scale / view.scale;
  view = { scale, left: cx - (cx - view.left) * real, top: cy - (cy - view.top) * real };
  hint.classList.add('gone');
  redraw();
}

// The point under the pointer, the nearest of those that are near enough.
function find(px, py) {
  let best = null, least = Math.max(pictures() ? copySide() / 2 : radius() + 6, 8) ** 2;
  for (const i of order) {
    if (!shown[classOf[i]]) continue;
    const [cx, cy] = at(i);
    const apart = (cx - px) ** 2 + (cy - py) ** 2;
    if (apart <= least) [best, least] = [i, apart];
  }
  return best;
}

function hover(point) {
  if (point === over) return;
  over = point;
  canvas.classList.toggle('over', point !== null);
  tip.hidden = point === null;
  if (point !== null) {
    const [cx, cy] = at(point), scale = 96 / sprites.side;
    const column = point % sprites.columns, row = Math.floor(point / sprites.columns);
    Object.assign(one('.copy').style, {
      backgroundImage: `url(${sprites.src})`,
      backgroundSize: `${sheet.naturalWidth * scale}px ${sheet.naturalHeight * scale}px`,
      backgroundPosition: `${-column * 96}px ${-row * 96}px`,
    });
    one('.words b').textContent = classes[classOf[point]].name;
    one('.words span').textContent = names[point];
    // Beside the point, on the side that has room.
    const gap = (pictures() ? copySide() / 2 : radius()) + 12;
    const left = cx + gap + tip.offsetWidth < size.width ? cx + gap : cx - gap - tip.offsetWidth;
    const top = Math.min(Math.max(8, cy - tip.offsetHeight / 2), size.height - tip.offsetHeight - 8);
    Object.assign(tip.style, { left: Math.max(8, left) + 'px', top: top + 'px' });
  }
  redraw();
}

// One pointer moves, two zoom; where a finger taps is looked at.
const held = new Map();
let tapped = false;
const place = event => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
canvas.addEventListener('pointerdown', event => {
  canvas.setPointerCapture(event.pointerId);
  held.set(event.pointerId, place(event));
  tapped = held.size === 1;
});
canvas.addEventListener('pointermove', event => {
  const now = place(event), before = held.get(event.pointerId);
  if (!before) return hover(find(...now));
  if (Math.hypot(now[0] - before[0], now[1] - before[1]) < 3 && tapped) return;
  tapped = false;
  if (held.size === 1) {
    view.left += now[0] - before[0];
    view.top += now[1] - before[1];
  } else if (held.size === 2) {
    const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, spot]) => spot);
    const wide = spot => Math.hypot(spot[0] - other[0], spot[1] - other[1]) || 1;
    zoom(wide(now) / wide(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }
  held.set(event.pointerId, now);
  canvas.classList.add('moving');
  hover(null);
  redraw();
});
const release = event => {
  held.delete(event.pointerId);
  canvas.classList.remove('moving');
  if (tapped) hover(find(...place(event)));
};
canvas.addEventListener('pointerup', release);
canvas.addEventListener('pointercancel', release);
canvas.addEventListener('pointerleave', event => event.pointerType === 'mouse' && hover(null));
canvas.addEventListener('wheel', event => {
  event.preventDefault();
  hover(null);
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoom(Math.exp(-event.deltaY * lines * .0015), ...place(event));
}, { passive: false });
const whole = () => {
  view = { scale: 1, left: 0, top: 0 };
  redraw();
};
one('.whole').addEventListener('click', whole);
canvas.addEventListener('dblclick', whole);

// The legend: point at a class to see it alone, click to hide it.
classes.forEach(({ name, count, colour, shape }, k) => {
  if (!count) return;
  const line = one('ul').appendChild(document.createElement('li'));
  const form = corners[shape] ? `<polygon points="${corners[shape].join(' ')}"/>` : '<circle r="1"/>';
  // Colours and shapes are the program's own; names are only ever text.
  line.innerHTML = `<svg viewBox="-1.2 -1.2 2.4 2.4" fill="${colour}" aria-hidden="true">${form}</svg>`;
  for (const [part, text] of [['name', name], ['count', count]]) {
    line.appendChild(Object.assign(document.createElement('span'), { className: part, textContent: text }));
  }
  line.title = name;
  const light = value => () => {
    lit = shown[k] ? value : null;
    redraw();
  };
  line.addEventListener('pointerenter', light(k));
  line.addEventListener('pointerleave', light(null));
  line.addEventListener('click', () => {
    shown[k] = !shown[k];
    line.classList.toggle('off', !shown[k]);
    lit = shown[k] ? k : null;
    redraw();
  });
});
one('aside').classList.toggle('none', classes.filter(({ count }) => count).length < 2);

new ResizeObserver(() => {
  size = { width: canvas.clientWidth, height: canvas.clientHeight };
  redraw();
}).observe(canvas);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
sheet.addEventListener('load', redraw);
sheet.src = sprites.src;
