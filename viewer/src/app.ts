// The page: panes on one canvas, the timeline below, the controls beside them.

import { WebGLRenderer } from 'three';

import { type Area, type Ink } from './axes';
import { MOST_STEPS } from './balls';
import { between, clockFor, stopAt } from './clock';
import { colormap, texels } from './colors';
import type { Content, PathInfo, ThemeColors } from './content';
import { button, el, select } from './dom';
import { capital } from './numbers';
import type { RuleSettings } from './optimizers';
import { Pane, type PaneHost, type PanePath } from './pane';
import { Panel } from './panel';
import { type Scale, scaleOf } from './scale';
import { type CameraState, fromFragment, HOME, type NamedView, toFragment, type View } from './state';
import { Timeline } from './timeline';

/** Steps of a ball a second. */
const BALL_STEPS = 40;

/** From how many milliseconds a picture on, every how many-th place and what share of the pixels is drawn. */
const PACES: [cost: number, stride: number, share: number][] = [
  [400, 5, 0.5],
  [120, 3, 0.5],
  [45, 2, 0.7],
];
/** How long after a movement a picture is drawn in full. */
const REST_MS = 160;

const reduced = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

export class App implements PaneHost {
  content: Content;
  view: View;
  theme: ThemeColors;
  shades: Uint8Array = new Uint8Array();
  ink: Ink = { text: '', muted: '', rule: '', paper: '', font: '', size: 13 };
  floor = '#ffffff';
  grid = '#cccccc';
  paper = '#ffffff';
  panes: Pane[] = [];
  readonly renderer: WebGLRenderer | null;
  readonly stage = el('div', { class: 'stage' });
  readonly panesElement = el('div', { class: 'panes' });
  readonly overlay = el('canvas', { class: 'overlay', 'aria-hidden': 'true' });
  readonly named: NamedView[] = [];
  active = 0;
  readonly panel: Panel;
  private readonly viewsNav = el('nav', { class: 'views', 'aria-label': 'Views' });
  readonly timeline: Timeline;
  private readonly heading = el('h1', {});
  private readonly noteList = el('div', { class: 'notes', role: 'status' });
  private readonly caption = el('p', { class: 'caption' });
  private dropping = false;
  private rolling = false;
  private queued = false;
  private last = 0;
  private owed = 0;
  private linkTimer = 0;
  private restTimer = 0;
  /** When a camera was moved or the time set last. */
  moved = -Infinity;
  /** Milliseconds that a whole picture takes. */
  cost = 0;
  private measured = '';
  private warm = '';
  /** Whether the surfaces are to be drawn again. */
  private stale = true;
  /** Where the whole surface is seen from. */
  home: CameraState = structuredClone(HOME);
  /** Whether nobody has turned the surfaces yet. */
  private choosesSide: boolean;
  /** Milliseconds of the last frames, for measurements. */
  readonly frames: number[] = [];

  constructor(content: Content, renderer: WebGLRenderer | null) {
    this.content = content;
    this.renderer = renderer;
    this.view = this.initialView();
    const link = fromFragment(location.hash, this.view);
    this.view = link.view;
    this.choosesSide = !/[#&]cam=/.test(location.hash);
    this.named.push(...link.saved);
    const dark = link.theme ? link.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    this.theme = this.themeOf(dark);
    this.panel = new Panel(this);
    this.timeline = new Timeline(this);
    this.build();
    this.applyTheme();
    this.rebuild();
    addEventListener('hashchange', () => this.restore());
    new ResizeObserver(() => this.resize()).observe(this.stage);
    document.addEventListener('keydown', (e) => this.key(e));
    document.addEventListener('fullscreenchange', () => {
      if (!document.fullscreenElement && document.body.classList.contains('present')) this.present(false);
    });
  }

  // ---- views ---------------------------------------------------------------------------------

  private initialView(): View {
    const panes = this.defaultViews()[0]?.panes ?? [[0, 0]];
    const shown = panes.map(([s, t]) => this.content.header.subjects[s]?.surfaces[t]);
    return {
      panes,
      field: shown[0]?.fields[0]?.key ?? 'loss',
      heights: 'auto',
      lines: true,
      map: 'theme',
      cut: 1,
      relief: 0,
      shared: true,
      linked: true,
      cameras: [0, 1, 2, 3].map(() => structuredClone(HOME)),
      clock: clockFor(this.content, this.pathsOf(panes)),
      time: 1,
      speed: 1,
      rules: ['gd', 'momentum', 'adam'],
      settings: null,
      ball: null,
    };
  }

  /** The views that a page has by itself: all side by side, then each alone. */
  private defaultViews(): NamedView[] {
    const { subjects } = this.content.header;
    const views: NamedView[] = [];
    const first = subjects.map((s, i): [number, number] | null => (s.surfaces.length ? [i, 0] : null)).filter((p) => p !== null);
    if (first.length > 1) views.push({ name: 'Side by side', panes: first.slice(0, 4) });
    subjects.forEach((subject, s) => {
      if (!subject.surfaces.length) return void views.push({ name: subject.title, panes: [[s, 0]] });
      subject.surfaces.forEach((surface, t) => {
        const name = subject.surfaces.length > 1 ? `${subject.title}: ${surface.name}` : subject.title;
        views.push({ name, panes: [[s, t]] });
      });
    });
    return views;
  }

  views(): NamedView[] {
    return [...this.defaultViews(), ...this.named];
  }

  pathsOf(panes: [number, number][]): PathInfo[] {
    return panes.flatMap(([s, t]) => {
      const subject = this.content.header.subjects[s];
      const plane = subject?.surfaces[t]?.plane;
      return plane === null || plane === undefined ? [] : (subject!.planes[plane]?.paths ?? []);
    });
  }

  showView(index: number): void {
    const view = this.views()[index];
    if (!view) return;
    if (view.saved) {
      const { view: found, theme } = fromFragment(view.saved, this.view);
      this.view = found;
      this.choosesSide = false;
      if (theme) this.theme = this.themeOf(theme === 'dark');
    } else {
      this.view.panes = structuredClone(view.panes);
    }
    this.active = 0;
    this.applyTheme();
    this.rebuild();
  }

  currentView(): number {
    const same = (a: [number, number][], b: [number, number][]) => JSON.stringify(a) === JSON.stringify(b);
    const link = this.fragment([]);
    const saved = this.views().findIndex((v) => v.saved === link);
    return saved >= 0 ? saved : this.views().findIndex((v) => !v.saved && same(v.panes, this.view.panes));
  }

  saveView(name: string): void {
    const text = this.fragment([]);
    this.named.push({ name: name || `View ${this.named.length + 1}`, panes: structuredClone(this.view.panes), saved: text });
    this.drawViews();
    this.link();
  }

  fragment(saved: NamedView[] = this.named): string {
    return toFragment(this.view, this.theme.name, saved);
  }

  private restore(): void {
    if (location.hash.slice(1) === this.fragment()) return;
    const { view, theme, saved } = fromFragment(location.hash, this.view);
    this.view = view;
    this.choosesSide &&= !/[#&]cam=/.test(location.hash);
    this.named.splice(0, this.named.length, ...saved);
    if (theme) this.theme = this.themeOf(theme === 'dark');
    this.applyTheme();
    this.rebuild();
  }

  /** Writes the view into the address, a little later. */
  link(): void {
    clearTimeout(this.linkTimer);
    this.linkTimer = window.setTimeout(() => {
      try {
        history.replaceState(null, '', `#${this.fragment()}`);
      } catch {
        // Where an address may not be changed, the link can still be copied.
      }
    }, 300);
  }

  // ---- page ----------------------------------------------------------------------------------

  private build(): void {
    const panelButton = button('Settings', () => this.togglePanel(), { class: 'panel-toggle', 'aria-expanded': 'true' });
    const head = el(
      'header',
      { class: 'top' },
      this.heading,
      this.viewsNav,
      el(
        'div',
        { class: 'actions' },
        button('Theme', () => this.setTheme(this.theme.name === 'light'), { class: 'theme-toggle' }),
        button('Present', () => this.present(true)),
        panelButton,
      ),
    );
    if (this.renderer) {
      this.renderer.domElement.setAttribute('aria-hidden', 'true');
      this.renderer.domElement.classList.add('gl');
      this.stage.append(this.renderer.domElement);
    }
    this.stage.append(this.overlay, this.panesElement);
    if (!this.renderer) {
      this.stage.prepend(
        el('p', {
          class: 'no-webgl',
          role: 'alert',
          text: 'This browser has no WebGL 2, which surfaces in space are drawn with. The charts, the facts and the data below are complete; another browser, or hardware acceleration switched on in the settings of this one, shows the surfaces.',
        }),
      );
    }
    const main = el('main', {}, this.noteList, this.stage, this.caption, this.timeline.element);
    document.body.append(el('div', { class: 'page' }, head, main, this.panel.element));
    if (innerWidth < 900) this.togglePanel(false);
  }

  togglePanel(open?: boolean): void {
    const closed = open === undefined ? !document.body.classList.contains('closed') : !open;
    document.body.classList.toggle('closed', closed);
    const toggle = document.querySelector('.panel-toggle');
    toggle?.setAttribute('aria-expanded', String(!closed));
    if (!closed && innerWidth < 900) this.panel.element.focus();
  }

  private themeOf(dark: boolean): ThemeColors {
    const wanted = dark ? 'dark' : 'light';
    return this.content.header.themes.find((t) => t.name === wanted) ?? this.content.header.themes[0]!;
  }

  setTheme(dark: boolean): void {
    this.theme = this.themeOf(dark);
    this.applyTheme();
    this.refresh();
    this.link();
  }

  private applyTheme(): void {
    document.documentElement.dataset.theme = this.theme.name;
    const toggle = document.querySelector('.theme-toggle');
    if (toggle) toggle.textContent = this.theme.name === 'dark' ? 'Light' : 'Dark';
    const style = getComputedStyle(document.body);
    const read = (name: string) => style.getPropertyValue(name).trim();
    this.ink = {
      text: read('--text'),
      muted: read('--muted'),
      rule: read('--axis'),
      paper: read('--stage'),
      font: style.fontFamily,
      size: document.body.classList.contains('present') ? 17 : 13,
    };
    this.floor = read('--floor');
    this.grid = read('--rule');
    this.paper = read('--stage');
  }

  /** Makes panes, controls and charts for the view. */
  rebuild(withPanel = true): void {
    const { subjects, notes, title } = this.content.header;
    const exists = ([s, t]: [number, number]) => subjects[s] !== undefined && (t === 0 || subjects[s]!.surfaces[t] !== undefined);
    this.view.panes = this.view.panes.filter(exists).slice(0, 4);
    if (!this.view.panes.length) this.view.panes = subjects.length ? [[0, 0]] : [];
    const shown = this.view.panes.map(([s, t]) => subjects[s]?.surfaces[t]);
    if (!shown.some((s) => s?.fields.some((f) => f.key === this.view.field))) {
      this.view.field = shown.find((s) => s)?.fields[0]?.key ?? 'loss';
    }
    this.heading.textContent = title;
    document.title = title;
    this.noteList.replaceChildren(...notes.map((text) => el('p', { text: capital(text) })));
    for (const pane of this.panes.slice(this.view.panes.length)) pane.dispose();
    this.panes = this.view.panes.map((_, i) => this.panes[i] ?? new Pane(i, this));
    this.panesElement.replaceChildren(...this.panes.map((p) => p.section));
    this.panesElement.dataset.count = String(this.panes.length);
    this.active = Math.min(this.active, Math.max(0, this.panes.length - 1));
    this.view.panes.forEach(([s, t], i) => this.panes[i]!.show(s, t));
    this.timeline.checkClock();
    this.drawViews();
    this.timeline.draw();
    this.refresh();
    if (withPanel) this.panel.draw();
    if (this.view.ball) this.drop(this.view.ball, false);
    this.link();
  }

  private drawViews(): void {
    const views = this.views();
    const current = this.currentView();
    if (views.length < 2) return this.viewsNav.replaceChildren();
    if (views.length > 7 || innerWidth < 900) {
      const chooser = select(
        [...(current < 0 ? [['-1', 'Own view'] as [string, string]] : []), ...views.map((v, i): [string, string] => [String(i), v.name])],
        String(current),
        (v) => this.showView(Number(v)),
      );
      chooser.setAttribute('aria-label', 'View');
      return this.viewsNav.replaceChildren(chooser);
    }
    this.viewsNav.replaceChildren(
      ...views.map((v, i) => button(v.name, () => this.showView(i), { 'aria-pressed': String(i === current), title: v.name })),
    );
  }

  /** Scales, shapes and colours anew. */
  refresh(): void {
    this.shades = texels(colormap(this.content.header, this.theme, this.view.map));
    const shaped = this.panes.filter((p) => p.field);
    let common: Scale | null = null;
    if (this.view.shared && shaped.length) {
      common = scaleOf(
        shaped.flatMap((p) => p.field!.all()),
        this.view.heights,
        this.view.field,
      );
    }
    for (const pane of shaped) pane.shape(common ?? pane.ownScale()!);
    for (const pane of this.panes) pane.dress(this.ratio());
    if (this.choosesSide) this.chooseSide();
    this.timeline.drawCharts();
    this.drawCaption();
    this.redraw();
  }

  /** Looks from the side from which most of the paths is seen, as `src/render/surface3d/viewpoint.rs` does. */
  private chooseSide(): void {
    const choose = (panes: Pane[]): Partial<CameraState> => {
      let best = { share: -Infinity, azimuth: HOME.azimuth, elevation: HOME.elevation };
      for (const elevation of [30, 36, 44]) {
        for (const azimuth of [-112, -68, 68, 112, -158, -22, 22, 158]) {
          const found = panes.map((p) => p.seen(azimuth, elevation));
          const share = found.reduce((n, [seen]) => n + seen, 0) / Math.max(1, found.reduce((n, [, all]) => n + all, 0));
          if (share > best.share + 0.06) best = { share, azimuth, elevation };
        }
      }
      return { azimuth: best.azimuth, elevation: best.elevation };
    };
    Object.assign(this.home, choose(this.panes));
    if (this.view.linked) Object.assign(this.view.cameras[0]!, this.home);
    else this.panes.forEach((p, i) => Object.assign(this.view.cameras[i]!, choose([p])));
  }

  private drawCaption(): void {
    const captions = [...new Set(this.panes.map((p) => p.field?.caption ?? p.surface?.caption ?? ''))].filter(Boolean);
    const clipped = this.panes.some((p) => p.scale?.clippedHigh || this.view.cut < 1) ? ' Hatched: above the range.' : '';
    this.caption.textContent = captions.length ? `${captions.join(' | ')} A smooth function between the points.${clipped}` : '';
  }

  // ---- panes' host ---------------------------------------------------------------------------

  colorOf(subject: number, run: number): number {
    const before = this.content.header.subjects.slice(0, subject).reduce((n, s) => n + Math.max(1, s.runs.length), 0);
    return before + run;
  }

  options(): [value: string, text: string][] {
    return this.content.header.subjects.flatMap((subject, s) =>
      (subject.surfaces.length ? subject.surfaces : [null]).map((surface, t): [string, string] => {
        const more = subject.surfaces.length > 1 && surface ? `: ${surface.name}` : '';
        return [`${s}.${t}`, `${subject.title}${more}`];
      }),
    );
  }

  choose(pane: number, value: string): void {
    const [s, t] = value.split('.').map(Number) as [number, number];
    this.view.panes[pane] = [s, t];
    this.rebuild();
  }

  setPanes(count: number): void {
    const all = this.options().map(([v]) => v.split('.').map(Number) as [number, number]);
    const panes = this.view.panes.slice(0, count);
    while (panes.length < count && all.length) {
      const unused = all.find((p) => !panes.some((q) => q[0] === p[0] && q[1] === p[1]));
      panes.push(unused ?? [...panes[0]!]);
    }
    this.view.panes = panes;
    this.rebuild();
  }

  moveCamera(pane: number, change: Partial<CameraState>): void {
    this.choosesSide = false;
    this.moved = performance.now();
    const index = this.view.linked ? 0 : pane;
    this.view.cameras[index] = { ...this.view.cameras[index]!, ...change };
    this.redraw();
    this.link();
  }

  activate(pane: number): void {
    if (this.active === pane) return;
    this.active = pane;
    this.panel.draw();
  }

  isDropping(): boolean {
    return this.dropping;
  }

  stopOf(_: Pane, path: PanePath): number {
    return this.timeline.stopOf(path.info);
  }

  stateOf(pane: Pane): number {
    const layers = pane.surface?.layers;
    if (!layers) return 0;
    const last = layers.values.length - 1;
    const path = pane.paths[0];
    if (layers.kind !== 'snapshots' || !path) return this.view.time * last;
    const epoch = between(this.content.numbers(path.info.epoch), this.stopOf(pane, path));
    return stopAt(this.content.numbers(layers.epoch), epoch);
  }

  // ---- drawing -------------------------------------------------------------------------------

  ratio(): number {
    return Math.min(2, devicePixelRatio || 1);
  }

  private resize(): void {
    this.renderer?.setPixelRatio(this.ratio());
    this.renderer?.setSize(this.stage.clientWidth, this.stage.clientHeight, false);
    this.refresh();
  }

  redraw(): void {
    this.stale = true;
    this.redrawWords();
  }

  /** Draws words and marks again, over the surfaces as they are. */
  redrawWords(): void {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame((t) => this.frame(t));
  }

  private frame(t: number): void {
    this.queued = false;
    const begun = performance.now();
    const elapsed = this.last ? Math.min(0.1, (t - this.last) / 1000) : 1 / 60;
    this.last = this.timeline.playing || this.rolling ? t : 0;
    this.timeline.advance(elapsed);
    if (this.rolling) {
      this.owed += BALL_STEPS * this.view.speed * elapsed;
      const steps = reduced() ? MOST_STEPS : Math.floor(this.owed);
      this.owed -= Math.floor(this.owed);
      this.rolling = steps > 0 ? this.panes.map((p) => p.roll(this.settings(), steps)).some(Boolean) : true;
      this.panel.tellBalls();
    }
    this.draw();
    this.timeline.tell();
    this.panel.tellFacts();
    this.frames.push(performance.now() - begun);
    if (this.frames.length > 600) this.frames.shift();
    if (this.timeline.playing || this.rolling) this.redraw();
  }

  areas(): Area[] {
    const box = this.stage.getBoundingClientRect();
    return this.panes.map((p) => {
      const a = p.area.getBoundingClientRect();
      return { x: a.left - box.left, y: a.top - box.top, w: a.width, h: a.height };
    });
  }

  private draw(): void {
    const [w, h] = [this.stage.clientWidth, this.stage.clientHeight];
    if (!w || !h) return;
    const ratio = this.ratio();
    const areas = this.areas();
    if (this.renderer && this.stale) this.drawAtPace(this.renderer, areas, h);
    this.stale = false;
    const [cw, ch] = [Math.round(w * ratio), Math.round(h * ratio)];
    if (this.overlay.width !== cw || this.overlay.height !== ch) [this.overlay.width, this.overlay.height] = [cw, ch];
    const g = this.overlay.getContext('2d')!;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    if (this.renderer) this.drawWords(g, areas);
  }

  /** Draws as finely as there is time for: while something moves on a machine without a graphics processor, with
   * fewer places and pixels, and in full as soon as it rests. */
  private drawAtPace(renderer: WebGLRenderer, areas: Area[], height: number): void {
    const moving = this.timeline.playing || this.rolling || performance.now() - this.moved < REST_MS;
    const pace = moving ? PACES.find(([cost]) => this.cost > cost) : undefined;
    const [, stride, share] = pace ?? [0, 1, 1];
    const ratio = this.ratio() * share;
    if (renderer.getPixelRatio() !== ratio) {
      renderer.setPixelRatio(ratio);
      for (const pane of this.panes) pane.dress(ratio);
    }
    const begun = performance.now();
    this.drawSurfaces(renderer, areas, height, ratio, stride);
    if (pace) {
      clearTimeout(this.restTimer);
      if (!this.timeline.playing && !this.rolling) this.restTimer = window.setTimeout(() => this.redraw(), REST_MS + 20);
      return;
    }
    // What a whole picture takes, once for each arrangement: reading a pixel waits for it.
    const arrangement = `${this.panes.map((p) => p.field?.mx)} ${height} ${areas[0]?.w}`;
    if (moving || arrangement === this.measured) return;
    if (arrangement !== this.warm) {
      // The first one compiles the shaders.
      this.warm = arrangement;
      setTimeout(() => this.redraw(), REST_MS);
      return;
    }
    this.measured = arrangement;
    const gl = renderer.getContext();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    this.cost = performance.now() - begun;
  }

  drawSurfaces(renderer: WebGLRenderer, areas: Area[], height: number, ratio: number, stride = 1): void {
    renderer.setScissorTest(false);
    renderer.clear();
    renderer.setScissorTest(true);
    this.panes.forEach((pane, i) => areas[i]!.w > 0 && areas[i]!.h > 0 && pane.draw(renderer, areas[i]!, height, ratio, stride));
  }

  drawWords(g: CanvasRenderingContext2D, areas: Area[]): void {
    const shared = this.view.shared;
    // One scale has one bar, in the last pane of the first row.
    const columns = areas.length ? areas.filter((a) => Math.abs(a.y - areas[0]!.y) < 2).length : 1;
    this.panes.forEach((pane, i) => pane.overlay(g, areas[i]!, !shared || i === columns - 1));
  }

  // ---- balls ---------------------------------------------------------------------------------

  settings(): RuleSettings {
    return this.view.settings ?? { lr: 0.01, adaptiveLr: 0.01, momentum: 0.9, decay: 0.999 };
  }

  drop(at: [number, number], remember = true): void {
    this.view.ball = at;
    const rates = this.panes.map((p) => p.rates(at)).find((r) => r !== null);
    if (!this.view.settings && rates) this.view.settings = { ...rates, momentum: 0.9, decay: 0.999 };
    const lies = this.panes.map((p) => p.dropBalls(at, this.view.rules)).some(Boolean);
    for (const pane of this.panes) pane.dress(this.ratio());
    this.rolling = lies;
    this.owed = 0;
    if (remember) {
      this.panel.unfold('ball');
      this.setDropping(false);
      this.panel.draw();
    }
    this.panel.tellBalls();
    this.redraw();
    this.link();
  }

  /** Takes all balls away. */
  lift(): void {
    this.view.ball = null;
    this.rolling = false;
    for (const pane of this.panes) pane.liftBalls();
    this.panel.draw();
    this.redraw();
    this.link();
  }

  setDropping(on: boolean): void {
    this.dropping = on;
    document.body.classList.toggle('dropping', on);
  }

  // ---- presenting ----------------------------------------------------------------------------

  present(on: boolean): void {
    document.body.classList.toggle('present', on);
    if (on) document.documentElement.requestFullscreen?.().catch(() => undefined);
    else if (document.fullscreenElement) document.exitFullscreen().catch(() => undefined);
    this.applyTheme();
    this.refresh();
    requestAnimationFrame(() => this.resize());
    if (on) this.panes[0]?.area.focus();
  }

  private key(e: KeyboardEvent): void {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const target = e.target as HTMLElement;
    const typing = /^(INPUT|SELECT|TEXTAREA|SUMMARY|BUTTON)$/.test(target.tagName);
    const presenting = document.body.classList.contains('present');
    if (e.key === 'Escape') {
      if (this.dropping) this.setDropping(false);
      else if (presenting) this.present(false);
      return;
    }
    if (typing && !(presenting && target.tagName === 'BUTTON' && /^Arrow|^Page/.test(e.key))) return;
    if (e.key === ' ') this.timeline.togglePlay();
    else if (e.key === ',') this.timeline.stepBy(-1);
    else if (e.key === '.') this.timeline.stepBy(1);
    else if (e.key === 'f' || e.key === 'F') this.present(!presenting);
    else if (presenting && /^(ArrowRight|ArrowLeft|PageDown|PageUp)$/.test(e.key)) {
      const views = this.views().length;
      const step = e.key === 'ArrowRight' || e.key === 'PageDown' ? 1 : -1;
      this.showView((Math.max(0, this.currentView()) + step + views) % views);
      this.panes[0]?.area.focus();
    } else return;
    e.preventDefault();
  }

  // ---- live ----------------------------------------------------------------------------------

  /** Shows new data in the view that is there. */
  replace(content: Content): void {
    const [atEnd, now] = [this.view.time >= 1, this.timeline.now()];
    this.content = content;
    this.theme = this.themeOf(this.theme.name === 'dark');
    // The same moment of a longer training; its end goes on to the new end.
    const end = this.timeline.end();
    if (!atEnd && end > 0) this.view.time = Math.min(1, now / end);
    // A control that is being used is left alone.
    this.rebuild(!this.panel.element.contains(document.activeElement));
  }
}
