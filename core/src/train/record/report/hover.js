// Values under the pointer. Coordinates run from 0 to 1000; the attributes say what they stand for.
for (const area of document.querySelectorAll('.plot .area')) {
  const [x0, x1] = area.dataset.x.split(' ').map(Number);
  const [y0, y1] = area.dataset.y.split(' ').map(Number);
  const log = area.dataset.log === '1';
  const unit = area.dataset.unit ? ' ' + area.dataset.unit : '';
  const value = y => log ? y0 * Math.pow(y1 / y0, 1 - y / 1000) : y0 + (y1 - y0) * (1 - y / 1000);
  const text = v => Number(v.toPrecision(4)).toLocaleString('en', { maximumSignificantDigits: 4 }).replace(/,/g, '\u202f');
  const tiny = v => v !== 0 && Math.abs(v) < 1e-4 ? v.toExponential(2) : text(v);
  let lines, cross, tip;
  const leave = () => { cross?.remove(); tip?.remove(); cross = tip = null; };
  area.addEventListener('pointerleave', leave);
  area.addEventListener('pointermove', event => {
    lines ??= [...area.querySelectorAll('.line')].reverse().map(path => ({
      name: path.dataset.name,
      points: [...path.getAttribute('d').matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(m => [+m[1], +m[2]]),
    })).filter(line => line.points.length);
    if (!lines.length) return;
    const box = area.getBoundingClientRect();
    const at = 1000 * (event.clientX - box.left) / box.width;
    const near = lines.map(line => line.points.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a));
    const x = near.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a)[0];
    if (!cross) {
      cross = area.appendChild(Object.assign(document.createElement('div'), { className: 'cross' }));
      tip = area.appendChild(Object.assign(document.createElement('div'), { className: 'tip' }));
    }
    const step = Math.round(x0 + (x1 - x0) * x / 1000).toLocaleString('en').replace(/,/g, '\u202f');
    tip.textContent = ['step ' + step, ...near.map((p, i) =>
      (lines.length > 1 ? lines[i].name + ' ' : '') + tiny(value(p[1])) + unit)].join('\n');
    cross.style.left = x / 10 + '%';
    tip.style[x < 500 ? 'left' : 'right'] = (x < 500 ? x / 10 : 100 - x / 10) + '%';
    tip.style[x < 500 ? 'right' : 'left'] = 'auto';
    tip.style.margin = '0 8px';
  });
}
