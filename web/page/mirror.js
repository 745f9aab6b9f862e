// What is drawn on the canvas, as elements that screen readers find. The studio says what has changed
// (app/src/studio/access/aria_tree.rs); what is done with an element goes back to it as a request. Elements lie over what they
// stand for, can't be seen, and let the pointer through.

const TAGS = { button: 'button', slider: 'input', textbox: 'input', searchbox: 'input', textarea: 'textarea', text: 'span' };
const TYPES = { slider: 'range', textbox: 'text', searchbox: 'search' };
/** Roles that the element has of itself. */
const OWN = new Set(['button', 'slider', 'textbox', 'searchbox', 'textarea', 'text']);
/** What can have the keyboard. */
const CONTROLS = new Set(['button', 'slider', 'textbox', 'searchbox', 'textarea', 'radio', 'switch', 'checkbox', 'spinbutton',
  'combobox', 'option', 'link', 'separator']);
/** Keys by which assistive technology moves what has a number. */
const STEPS = { ArrowUp: 'more', ArrowRight: 'more', ArrowDown: 'less', ArrowLeft: 'less' };

export class Mirror {
  #root;
  #act;
  #parts = new Map();
  #elements = new Map();
  #focus;

  /**
   * @param {HTMLElement} root where the elements go
   * @param {(id: string, act: string, value?: string) => void} act asks the studio
   */
  constructor(root, act) {
    this.#root = root;
    this.#act = act;
    // The studio hands the keyboard to what is written into, and back.
    root.parentElement.addEventListener('focusin', () => this.#tell());
  }

  /** Takes in what has changed. */
  change({ parts, order, focus }) {
    for (const part of parts) {
      this.#parts.set(part.id, part);
      this.#write(part);
    }
    if (order) {
      this.#arrange(order);
    }
    // What lies in another is placed by it, which may have moved.
    this.#place();
    this.#focus = focus;
    this.#tell();
  }

  /** Says on what has the keyboard in the page which widget that is in the studio. */
  #tell() {
    const canvas = document.getElementById('studio');
    const part = this.#parts.get(this.#focus);
    const set = (element, name, value) => (value ? element.setAttribute(name, value) : element.removeAttribute(name));
    set(canvas, 'aria-activedescendant', part ? `part-${part.id}` : '');
    // Where the browser writes for the studio. It is there for everyone only while it is written into.
    for (const agent of canvas.parentElement.querySelectorAll(':scope > input')) {
      const writes = document.activeElement === agent && part;
      agent.tabIndex = -1;
      set(agent, 'aria-hidden', writes ? '' : 'true');
      set(agent, 'aria-label', writes ? part.name : '');
      set(agent, 'aria-description', writes ? part.value : '');
    }
  }

  #make(part) {
    const element = document.createElement(TAGS[part.role] ?? 'div');
    element.id = `part-${part.id}`;
    if (TYPES[part.role]) {
      element.type = TYPES[part.role];
    } else if (part.role === 'button') {
      element.type = 'button';
    }
    if (!OWN.has(part.role)) {
      element.setAttribute('role', part.role);
    }
    if (!CONTROLS.has(part.role)) {
      return element;
    }
    element.tabIndex = -1;
    const { id } = part;
    element.addEventListener('click', (event) => {
      event.stopPropagation();
      this.#act(id, element.matches('input, textarea') ? 'focus' : 'click');
    });
    element.addEventListener('focus', () => {
      // The keyboard belongs to the studio, which knows now what it is for.
      this.#act(id, 'focus');
      document.getElementById('studio').focus({ preventScroll: true });
    });
    element.addEventListener('input', () => this.#act(id, 'set', element.value));
    element.addEventListener('keydown', (event) => {
      const step = STEPS[event.key];
      if (step && this.#parts.get(id)?.range) {
        event.preventDefault();
        this.#act(id, step);
      }
    });
    return element;
  }

  #write(part) {
    let element = this.#elements.get(part.id);
    if (element && element.dataset.role !== part.role) {
      element.remove();
      element = undefined;
    }
    if (!element) {
      element = this.#make(part);
      element.dataset.role = part.role;
      this.#elements.set(part.id, element);
      this.#root.append(element);
    }
    const set = (name, value) => {
      if (value === null || value === undefined || value === '') {
        element.removeAttribute(name);
      } else if (element.getAttribute(name) !== String(value)) {
        element.setAttribute(name, value);
      }
    };
    const { role, name, value, range } = part;
    if (role === 'text') {
      element.textContent = name;
      return;
    }
    set('aria-label', name);
    set('aria-disabled', part.disabled ? 'true' : null);
    if ('disabled' in element) {
      element.disabled = part.disabled;
    }
    const state = { button: 'aria-pressed', option: 'aria-selected' }[role] ?? 'aria-checked';
    set(state, part.on);
    set('aria-expanded', part.open ?? (role === 'combobox' ? false : null));
    if (role === 'combobox') {
      element.textContent = value;
    } else if (role === 'slider') {
      Object.assign(element, { min: range?.min ?? 0, max: range?.max ?? 1, step: range?.step ?? 'any' });
      element.value = range?.now ?? 0;
      set('aria-valuetext', value);
    } else if (range) {
      set('aria-valuenow', range.now);
      set('aria-valuemin', range.min);
      set('aria-valuemax', range.max);
      set('aria-valuetext', value);
    } else if ('value' in element && role !== 'button' && element.value !== value) {
      element.value = value;
    }
  }

  #arrange(order) {
    const here = new Set(order.map(([id]) => id));
    for (const [id, element] of this.#elements) {
      if (!here.has(id)) {
        element.remove();
        this.#elements.delete(id);
        this.#parts.delete(id);
      }
    }
    const last = new Map();
    for (const [id, above] of order) {
      const element = this.#elements.get(id);
      const parent = this.#elements.get(above) ?? this.#root;
      const before = last.get(parent);
      const next = before ? before.nextSibling : parent.firstChild;
      if (next !== element) {
        parent.insertBefore(element, next);
      }
      last.set(parent, element);
    }
  }

  #place() {
    for (const [id, element] of this.#elements) {
      const [left, top, right, bottom] = this.#parts.get(id).place;
      const above = this.#parts.get(element.parentElement?.id.replace('part-', ''))?.place ?? [0, 0];
      const where = [left - above[0], top - above[1], right - left, bottom - top].join();
      if (element.dataset.where !== where) {
        element.dataset.where = where;
        const [x, y, width, height] = where.split(',');
        Object.assign(element.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
      }
    }
  }
}
