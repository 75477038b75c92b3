// Elements. Names of runs and files are text everywhere, never markup.

type Children = (Node | string | null | undefined)[];

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number | boolean | ((event: never) => void)> = {},
  ...children: Children
): HTMLElementTagNameMap[K] {
  const found = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') found.addEventListener(key, value as EventListener);
    else if (key === 'text') found.textContent = String(value);
    else if (typeof value === 'boolean') found.toggleAttribute(key, value);
    else found.setAttribute(key, String(value));
  }
  found.append(...children.filter((c): c is Node | string => c !== null && c !== undefined));
  return found;
}

export function svg(tag: string, attributes: Record<string, string | number> = {}, ...children: Children): SVGElement {
  const found = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, String(value));
  found.append(...children.filter((c): c is Node | string => c !== null && c !== undefined));
  return found;
}

let ids = 0;

/** A control with its label before it. */
export function field(label: string, control: HTMLElement, value?: HTMLElement): HTMLElement {
  control.id ||= `c${++ids}`;
  return el('div', { class: 'field' }, el('label', { for: control.id, text: label }), value ?? null, control);
}

export function checkbox(label: string, checked: boolean, on: (checked: boolean) => void): HTMLElement {
  const box = el('input', { type: 'checkbox', id: `c${++ids}` });
  box.checked = checked;
  box.addEventListener('change', () => on(box.checked));
  return el('div', { class: 'check' }, box, el('label', { for: box.id, text: label }));
}

export function select(options: [value: string, text: string][], value: string, on: (value: string) => void): HTMLSelectElement {
  const found = el('select', {}, ...options.map(([v, text]) => el('option', { value: v, text })));
  found.value = value;
  found.addEventListener('change', () => on(found.value));
  return found;
}

export function button(text: string, on: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  return el('button', { type: 'button', text, click: on, ...attributes });
}

export function range(
  low: number,
  high: number,
  step: number,
  value: number,
  on: (value: number) => void,
): HTMLInputElement {
  const found = el('input', { type: 'range', min: low, max: high, step });
  found.value = String(value);
  found.addEventListener('input', () => on(Number(found.value)));
  return found;
}

/** Offers bytes as a file. */
export function download(name: string, data: Blob): void {
  const url = URL.createObjectURL(data);
  const link = el('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
