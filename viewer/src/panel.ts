// The panel beside the surfaces: what is shown, balls, facts, data, export.

import type { App } from './app';
import { END_WORDS } from './balls';
import type { PathInfo } from './content';
import { button, checkbox, el, field, range, select } from './dom';
import { exportSection } from './export';
import { capital, percent, significant } from './numbers';
import { RULES, type RuleName } from './optimizers';
import { ballColor } from './pane';
import type { Heights } from './scale';
import { tableSection } from './table';

export class Panel {
  readonly element = el('aside', { class: 'panel', 'aria-label': 'Settings and data', tabindex: -1 });
  private facts: HTMLElement | null = null;
  private ballState: HTMLElement | null = null;
  private readonly open = new Set(['show']);

  constructor(private readonly app: App) {}

  /** Opens a section. */
  unfold(key: string): void {
    this.open.add(key);
  }

  private section(key: string, title: string, ...children: (Node | string | null)[]): HTMLElement {
    const found = el('details', { open: this.open.has(key), 'data-key': key }, el('summary', { text: title }), ...children);
    found.addEventListener('toggle', () => (found.open ? this.open.add(key) : this.open.delete(key)));
    return found;
  }

  draw(): void {
    const { app } = this;
    const kept = document.activeElement?.id;
    const top = this.element.scrollTop;
    this.element.replaceChildren(
      this.section('show', 'Show', ...this.showControls()),
      this.section('ball', 'Drop a ball', ...this.ballControls()),
      this.section('facts', 'What it rests on', ...this.factsOf()),
      this.compareSection() ?? '',
      this.section('data', 'Data', ...tableSection(app)),
      this.section('export', 'Export and link', ...exportSection(app)),
      this.section('keys', 'Keys', keysTable()),
      el('p', { class: 'made', text: `Made by lossreel ${app.content.header.version}. One file, no connection to any host.` }),
    );
    this.element.scrollTop = top;
    if (kept) document.getElementById(kept)?.focus({ preventScroll: true });
    this.tellFacts();
    this.tellBalls();
  }

  private showControls(): Node[] {
    const { app } = this;
    const { view } = app;
    const labels = new Map<string, string>();
    for (const pane of app.panes) for (const f of pane.surface?.fields ?? []) if (!labels.has(f.key)) labels.set(f.key, f.label);
    const change = (run: () => void, all = false) => {
      run();
      if (all) app.rebuild();
      else app.refresh();
      app.link();
    };
    const maps: [string, string][] = [['theme', "The theme's own"]];
    for (const [name] of app.content.header.colormaps) maps.push([name, capital(name)], [`${name}-r`, `${capital(name)}, turned over`]);
    const panes = select([1, 2, 3, 4].map((n): [string, string] => [String(n), String(n)]), String(app.panes.length), (v) => app.setPanes(Number(v)));
    panes.id = 'panes';
    const quantity = select([...labels].map(([k, v]): [string, string] => [k, capital(v)]), view.field, (v) => change(() => (view.field = v), true));
    quantity.id = 'quantity';
    const heights = select(
      [
        ['auto', 'Automatic'],
        ['log', 'Logarithmic'],
        ['linear', 'Linear'],
      ],
      view.heights,
      (v) => change(() => (view.heights = v as Heights)),
    );
    heights.id = 'heights';
    const map = select(maps, view.map, (v) => change(() => (view.map = v)));
    map.id = 'map';
    const cutText = el('output', { class: 'value' });
    const tellCut = () => {
      const pane = app.panes.find((p) => p.scale);
      cutText.textContent = pane && view.cut < 1 ? significant(pane.cutValue(), 3) : 'all';
    };
    const cut = range(0.02, 1, 0.01, view.cut, (v) => {
      change(() => (view.cut = v));
      tellCut();
    });
    cut.id = 'cut';
    tellCut();
    const relief = range(0.3, 1.9, 0.05, view.relief || (app.panes.find((p) => p.mesh)?.mesh?.relief ?? 1), (v) => change(() => (view.relief = v)));
    relief.id = 'relief';
    const cameras = el(
      'div',
      { class: 'row' },
      button('From above', () => app.moveCamera(app.active, { azimuth: -90, elevation: 90, pan: [0, 0, 0] })),
      button('Whole surface', () => app.moveCamera(app.active, structuredClone(app.home))),
    );
    return [
      field('Quantity', quantity),
      field('Surfaces side by side', panes),
      field('Heights', heights),
      field('Cut heights above', cut, cutText),
      field('Height of the box', relief),
      field('Colours', map),
      checkbox('Contour lines', view.lines, (v) => change(() => (view.lines = v))),
      checkbox('One scale for all', view.shared, (v) => change(() => (view.shared = v))),
      checkbox('Turn all together', view.linked, (v) => change(() => (view.linked = v))),
      cameras,
    ];
  }

  private ballControls(): Node[] {
    const { app } = this;
    const { view } = app;
    const s = app.settings();
    const pane = app.panes[app.active];
    const onFunction = pane?.surface?.function;
    const what = onFunction
      ? 'Balls follow the gradient of the function.'
      : 'Balls roll on the slice that is drawn, in its two directions only: training moves in all of them.';
    const again = () => {
      if (view.ball) app.drop(view.ball);
      else this.draw();
    };
    const rate = (label: string, key: 'lr' | 'adaptiveLr'): HTMLElement => {
      const value = el('output', { class: 'value', text: significant(s[key], 3) });
      const slider = range(-7, 2, 0.02, Math.log10(s[key]), (v) => {
        view.settings = { ...app.settings(), [key]: Number((10 ** v).toPrecision(3)) };
        value.textContent = significant(view.settings[key], 3);
        app.link();
      });
      slider.id = `ball-${key}`;
      slider.addEventListener('change', again);
      return field(label, slider, value);
    };
    const decay = (label: string, key: 'momentum' | 'decay', high: number): HTMLElement => {
      const value = el('output', { class: 'value', text: String(s[key]) });
      const slider = range(0, high, 0.001, s[key], (v) => {
        view.settings = { ...app.settings(), [key]: v };
        value.textContent = String(v);
        app.link();
      });
      slider.id = `ball-${key}`;
      slider.addEventListener('change', again);
      return field(label, slider, value);
    };
    const rules = RULES.map(({ name, title }) =>
      checkbox(title, view.rules.includes(name), (on) => {
        const kept = new Set<RuleName>(view.rules);
        if (on) kept.add(name);
        else kept.delete(name);
        view.rules = RULES.map((r) => r.name).filter((n) => kept.has(n));
        again();
      }),
    );
    const f = pane?.field;
    const start = view.ball ?? pane?.subject.start ?? (f ? [f.xs[Math.floor(0.2 * f.nx)]!, f.ys[Math.floor(0.7 * f.ny)]!] : [0, 0]);
    const [x, y] = start.map((v, i) => {
      const input = el('input', { type: 'number', step: 'any', id: `ball-${'xy'[i]}` });
      input.value = String(Number(v.toPrecision(5)));
      return input;
    }) as [HTMLInputElement, HTMLInputElement];
    this.ballState = el('ul', { class: 'balls', 'aria-live': 'off' });
    return [
      el('p', { class: 'hint', text: what }),
      el(
        'div',
        { class: 'row' },
        button('Drop with a click', () => app.setDropping(true), { title: 'Then click a place on a surface; a double click drops at once' }),
        button('Take away', () => app.lift()),
      ),
      el(
        'div',
        { class: 'row start' },
        field('x', x),
        field('y', y),
        button('Drop here', () => app.drop([Number(x.value), Number(y.value)]), { class: 'drop-here' }),
      ),
      el('fieldset', {}, el('legend', { text: 'Rules' }), ...rules),
      rate('Learning rate: gradient descent, momentum', 'lr'),
      rate('Learning rate: RMSprop, Adam', 'adaptiveLr'),
      decay('Momentum', 'momentum', 0.999),
      decay('Decay of the mean square', 'decay', 0.9999),
      button('Learning rates that suit the place', () => {
        view.settings = null;
        again();
      }),
      this.ballState,
    ];
  }

  private factsOf(): Node[] {
    const { app } = this;
    const pane = app.panes[app.active];
    const { surface } = pane ?? {};
    if (!pane || !surface) return [el('p', { class: 'hint', text: 'No surface here.' })];
    this.facts = el('dl', { class: 'now' });
    const plane = surface.plane === null ? undefined : pane.subject.planes[surface.plane];
    const list = el('dl', {});
    for (const [name, text] of [...(plane?.facts ?? []), ...surface.facts]) list.append(el('dt', { text: name }), el('dd', { text }));
    return [el('p', { class: 'which', text: pane.subject.title }), this.facts, list];
  }

  /** The true and the in-plane loss at the moment, of the active pane. */
  tellFacts(): void {
    const { app } = this;
    const pane = app.panes[app.active];
    if (!this.facts || !pane) return;
    const rows: Node[] = [];
    for (const path of pane.paths) {
      const at = app.stopOf(pane, path);
      const i = Math.round(at);
      const losses = pane.surface?.path_losses[path.run];
      const loss = (packed: { network: PathInfo['x']; plane: PathInfo['x'] } | undefined, key: 'network' | 'plane') =>
        packed ? significant(app.content.numbers(packed[key])[i], 4).replace('none', 'not computed') : 'not computed';
      const who = pane.paths.length > 1 ? `${pane.subject.runs[path.run]?.name ?? ''}: ` : '';
      const stop = `saved state ${app.content.numbers(path.info.snapshot)[i]}`;
      rows.push(
        el('dt', { text: `${who}${stop}` }),
        el('dd', {
          text: `loss of the network ${loss(losses, 'network')}, on the surface ${loss(losses, 'plane')}, ${percent(app.content.numbers(path.info.residual)[i], 3)} off the plane`,
        }),
      );
    }
    this.facts.replaceChildren(...rows);
  }

  private compareSection(): HTMLElement | null {
    const { app } = this;
    const rows = app.content.header.subjects.flatMap((s, i) => s.runs.map((run, r) => ({ run, name: s.runs.length > 1 ? run.name : s.title, color: app.colorOf(i, r) })));
    if (rows.length < 2) return null;
    const names = [...new Set(rows.flatMap(({ run }) => run.measures.map(([name]) => name)))];
    const table = el(
      'table',
      {},
      el('thead', {}, el('tr', {}, el('th', { scope: 'col', text: 'Run' }), ...names.map((n) => el('th', { scope: 'col', text: n })))),
      el(
        'tbody',
        {},
        ...rows.map(({ run, name }) =>
          el('tr', {}, el('th', { scope: 'row', text: name }), ...names.map((n) => el('td', { text: run.measures.find(([m]) => m === n)?.[1] ?? '' }))),
        ),
      ),
    );
    return this.section('compare', 'Runs compared', el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Runs compared' }, table));
  }

  tellBalls(): void {
    const { app } = this;
    if (!this.ballState) return;
    const rows = app.panes.flatMap((pane) =>
      pane.balls.map(({ ball }, k) => {
        const title = RULES.find((r) => r.name === ball.name)!.title;
        const where = app.panes.length > 1 ? `${pane.subject.title}: ` : '';
        const key = el('i', { class: 'swatch', 'aria-hidden': 'true' });
        key.style.background = ballColor(app.theme, k);
        return el('li', {}, key, `${where}${title}: ${significant(ball.value, 4)} after ${ball.steps} steps, ${END_WORDS[ball.end]}`);
      }),
    );
    this.ballState.replaceChildren(...rows);
  }
}

function keysTable(): HTMLElement {
  const keys: [string, string][] = [
    ['Arrows', 'turn the surface'],
    ['Shift + arrows', 'move it'],
    ['+ and −', 'zoom'],
    ['0', 'the whole surface'],
    ['T', 'from above'],
    ['I J K L', 'move the reading from point to point'],
    ['B', 'drop a ball at the reading'],
    ['Space', 'play and pause'],
    [', and .', 'to the saved state before or after'],
    ['F', 'present; then arrows go through the views'],
  ];
  return el('dl', { class: 'keys' }, ...keys.flatMap(([key, text]) => [el('dt', { text: key }), el('dd', { text })]));
}
