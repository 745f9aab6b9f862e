// For whom a canvas is nothing: screen readers, the keyboard alone, enlarged pages, fingers.

import { shows, until } from '../lib/browser.mjs';
import { click, looked, visit } from '../lib/studio.mjs';

export async function run(stage) {
  const server = await stage.serve(stage.dist);
  await read(stage, server.url);
  await keys(stage, server.url);
  await enlarged(stage, server.url);
  await touched(stage, server.url);
}

/** Where the keyboard is: an id, or the name of an element. */
const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.tagName.toLowerCase());

/** What a screen reader is told: roles and names of everything. */
async function tree(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const told = nodes.filter((node) => !node.ignored);
  return told.map((node) => ({ role: node.role?.value, name: node.name?.value ?? '', properties: node.properties ?? [] }));
}

const CONTROLS = ['button', 'radio', 'switch', 'slider', 'spinbutton', 'textbox', 'searchbox', 'combobox', 'checkbox', 'link'];

async function read(stage, url) {
  const { check } = stage;
  const { page, errors } = await visit(stage, `${url}?device=cpu`, 'WEBGPU');
  await shows(page, (now) => now.model !== null && !now.busy, 'the first screen');
  await page.getByRole('button', { name: 'Open pictures' }).first().waitFor({ state: 'attached' });
  // It is made once nothing else is to be done.
  await page.getByRole('img', { name: /^A sample/ }).waitFor({ state: 'attached' });
  for (const [role, name] of [['radio', 'Explore'], ['radio', 'PCA'], ['slider', 'Opacity'], ['spinbutton', 'Opacity'],
    ['switch', 'Lock colours'], ['textbox', 'Address to open'], ['combobox', /^Model: /], ['button', 'About Dinoscope'],
    ['radiogroup', 'What is shown'], ['img', /^A sample/]]) {
    const found = await page.getByRole(role, { name, exact: true }).count();
    check(`${role} ${name} is there`, found === 1, found);
  }
  const told = await tree(page);
  const nameless = told.filter(({ role, name }) => CONTROLS.includes(role) && name.trim() === '');
  check('every control has a name', nameless.length === 0, nameless);
  const canvas = told.filter(({ name }) => name === "Dinoscope's studio");
  check('the canvas is told once, as an application', canvas.length === 1 && canvas[0].role === 'application', canvas);
  const place = await page.getByRole('slider', { name: 'Opacity' }).boundingBox();
  const drawn = await page.evaluate(() => window.dinoscope.widgets().find((one) => one.role === 'Slider').place);
  check('elements lie where they are drawn', Math.abs(place.x - drawn[0]) < 2 && Math.abs(place.y - drawn[1]) < 2, [place, drawn]);

  // What is done with an element is done in the studio, and comes back from there.
  await page.getByRole('radio', { name: 'Attention' }).dispatchEvent('click');
  const attention = page.locator('[role=radio][aria-label=Attention][aria-checked=true]');
  await attention.waitFor({ state: 'attached' });
  await page.getByRole('radio', { name: 'PCA' }).dispatchEvent('click');
  const slider = page.getByRole('slider', { name: 'Opacity' });
  await slider.evaluate((one) => { one.value = 40; one.dispatchEvent(new Event('input')); });
  const forty = await until(() => slider.getAttribute('aria-valuetext'), (text) => /^40/.test(text ?? ''), 'an opacity of 40');
  check('a slider is set', /^40/.test(forty), forty);
  await slider.dispatchEvent('keydown', { key: 'ArrowRight' });
  const more = await until(() => slider.getAttribute('aria-valuetext'), (text) => /^41/.test(text ?? ''), 'one more');
  check('and moved', /^41/.test(more), more);
  const lock = page.getByRole('switch', { name: 'Lock colours' });
  await lock.dispatchEvent('click');
  const on = await until(() => lock.getAttribute('aria-checked'), (state) => state === 'true', 'a switch that is on');
  check('a switch is turned', on === 'true');
  const field = page.getByRole('textbox', { name: 'Address to open' });
  await field.evaluate((one) => { one.value = 'nowhere.jpg'; one.dispatchEvent(new Event('input')); });
  const written = await until(() => page.evaluate(() => window.dinoscope.widgets().find((one) => one.label === 'Address to open')?.value),
    (value) => value === 'nowhere.jpg', 'what was written');
  check('a field is written into', written === 'nowhere.jpg', written);

  // What has the keyboard is told, and what is focused gets it.
  await page.getByRole('button', { name: 'Built-in scenes', exact: true }).first().focus();
  const active = () => page.evaluate(() => {
    const id = document.getElementById('studio').getAttribute('aria-activedescendant');
    return (id && document.getElementById(id)?.getAttribute('aria-label')) ?? '';
  });
  const now = await until(active, (name) => name === 'Built-in scenes', 'the focus on the canvas');
  check('the canvas says what has the keyboard', now === 'Built-in scenes', now);
  await page.keyboard.press('Enter');
  const open = await looked(page, 12);
  check('and Enter uses it', open.explore.pictures === 12);
  const pictures = await page.getByRole('button', { name: 'scene 0' }).count();
  check('what is new is told', pictures === 1, pictures);
  await click(page, 'Train');
  await page.getByRole('button', { name: 'Start' }).first().waitFor({ state: 'attached' });
  const gone = await page.getByRole('button', { name: 'scene 0' }).count();
  check('what is gone is not', gone === 0, gone);
  const later = (await tree(page)).filter(({ role, name }) => CONTROLS.includes(role) && name.trim() === '');
  check('every control of Train has a name', later.length === 0, later);

  // Nothing happens: nothing is told.
  await page.mouse.move(5, 5);
  await shows(page, (state) => !state.busy, 'rest');
  await page.waitForTimeout(1500);
  const changes = await page.evaluate(async () => {
    let count = 0;
    const watch = new MutationObserver((list) => { count += list.length; });
    watch.observe(document.getElementById('mirror'), { subtree: true, childList: true, attributes: true });
    await new Promise((later) => setTimeout(later, 2000));
    return count;
  });
  check('an idle page changes nothing', changes === 0, changes);
  check('no error in the console', errors.length === 0, errors);
}

async function keys(stage, url) {
  const { check } = stage;
  // A notice lies behind the studio.
  const { page, errors } = await visit(stage, `${url}`, 'NO_WEBGPU_BUT_WEBGL');
  await shows(page, (now) => now.model !== null && !now.busy, 'the first screen');
  const place = () => page.evaluate(() => {
    const id = document.getElementById('studio').getAttribute('aria-activedescendant');
    return `${document.activeElement?.tagName} ${document.activeElement?.id} ${id}`;
  });
  const through = async (key, most) => {
    const stops = [];
    for (let at = 0; at < most; at += 1) {
      const before = await place();
      await page.keyboard.press(key);
      // A frame may take long: another key before it would go to whatever the first one leads to.
      for (let look = 0; look < 50 && await place() === before; look += 1) {
        await page.waitForTimeout(40);
      }
      stops.push(await focused(page));
      if (!['studio', 'input'].includes(stops.at(-1))) {
        return stops;
      }
    }
    return stops;
  };
  const forward = await through('Tab', 600);
  check('Tab goes through the studio and on to the notice', forward.at(-1) === 'summary' && forward.length > 10, forward);
  await page.keyboard.press('Enter');
  const unfolded = await page.evaluate(() => document.querySelector('#note details').open);
  check('the notice is used with the keyboard', unfolded);
  const back = await through('Shift+Tab', 1);
  const control = () => page.evaluate(() => {
    const id = document.getElementById('studio').getAttribute('aria-activedescendant');
    return (id && document.getElementById(id)?.getAttribute('aria-label')) ?? '';
  });
  const last = await until(control, Boolean, 'a control that has the keyboard');
  check('Shift+Tab comes back onto a control', back.at(-1) === 'studio' && last !== '', [back, last]);
  check('no error in the console', errors.length === 0, errors);
}

/** Nothing lies over anything, however small the page is. */
async function enlarged(stage, url) {
  const { check } = stage;
  for (const [width, height] of [[1280, 800], [640, 400], [390, 844]]) {
    const context = { viewport: { width, height } };
    const { page } = await visit(stage, url, 'NO_WEBGPU_BUT_WEBGL', { context });
    const size = `${width} × ${height}`;
    await shows(page, (now) => now.model !== null && !now.busy, 'the first screen');
    await page.waitForTimeout(500);
    const { studio, note } = await page.evaluate(() => {
      const box = (id) => { const { left, top, right, bottom } = document.getElementById(id).getBoundingClientRect(); return { left, top, right, bottom }; };
      return { studio: box('studio'), note: box('note') };
    });
    check(`${size}: the notice is below the studio`, note.top >= studio.bottom && note.bottom <= height + 1, [studio, note]);
    const widgets = await page.evaluate(() => window.dinoscope.widgets());
    const named = (label) => widgets.find((one) => one.label.startsWith(label)).place;
    check(`${size}: the device leaves the workspaces in sight`, named('Evaluate')[2] <= named('Device: ')[0], named('Device: '));
    check(`${size}: the bar ends in the window`, named('About Dinoscope')[2] <= width, named('About Dinoscope'));
    await stage.shoot(page, `access-${width}`);
  }
  const { page } = await visit(stage, `${url}?device=cpu`, 'WEBGPU', { context: { viewport: { width: 3840, height: 1000 } } });
  const wide = await page.evaluate(() => window.dinoscope.widgets());
  const view = wide.find((one) => one.label === 'What is shown') ?? wide.find((one) => one.label === 'PCA');
  check('3840 wide: the panel for the view is no wider than it needs', view.place[0] > 3840 - 445, view.place);
  const zoom = await page.evaluate(() => document.querySelector('meta[name=viewport]').content);
  check('the page can be enlarged', !/maximum-scale|user-scalable/.test(zoom), zoom);
}

async function touched(stage, url) {
  const { check } = stage;
  const context = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
  const { page, errors } = await visit(stage, `${url}?device=cpu`, 'WEBGPU', { context });
  await shows(page, (now) => now.model !== null && !now.busy, 'the first screen');
  await page.waitForTimeout(500);
  const widgets = () => page.evaluate(() => window.dinoscope.widgets());
  const small = async () => (await widgets()).filter(({ role, place }) => ['Button', 'RadioButton', 'Switch', 'ComboBox', 'TextInput', 'Slider'].includes(role)
    && (place[3] - place[1] < 43.5 || place[2] - place[0] < 43.5));
  const found = await small();
  check('a finger finds everything', found.length === 0, found);
  const words = (await widgets()).map(({ label, value }) => `${label} ${value}`).join('\n');
  check('no word speaks of keys', !/Ctrl|Esc|Drop pictures|Shift/.test(words), words);
  await click(page, 'View');
  await page.waitForTimeout(300);
  const others = await small();
  check('nor in the view', others.length === 0, others);
  await stage.shoot(page, 'access-phone');
  // Two fingers beside the picture enlarge the page.
  const session = await page.context().newCDPSession(page);
  const fingers = (type, apart) => session.send('Input.dispatchTouchEvent', {
    type,
    touchPoints: apart.map((x, id) => ({ x: 195 + x, y: 600, id })),
  });
  await fingers('touchStart', [-40]);
  await fingers('touchStart', [-40, 40]);
  for (let step = 1; step <= 12; step += 1) {
    await fingers('touchMove', [-40 - 8 * step, 40 + 8 * step]);
    await page.waitForTimeout(16);
  }
  await fingers('touchEnd', []);
  await page.waitForTimeout(500);
  const scale = await page.evaluate(() => visualViewport.scale);
  check('two fingers enlarge the page', scale > 1.3, scale);
  check('no error in the console', errors.length === 0, errors);
}
