// A pane: one surface with its paths, its camera, and what can be read off it.

import { PerspectiveCamera, Raycaster, Scene, Vector2, Vector3, type WebGLRenderer } from 'three';

import { type Area, drawAxes, drawBar, type Ink, projector } from './axes';
import { Ball, ratesFor, type Slope, slopeOf } from './balls';
import { byKey, listen, place as placeCamera } from './camera';
import type { Content, PathInfo, Subject, SurfaceInfo, ThemeColors } from './content';
import { el, select } from './dom';
import { Field } from './field';
import { SurfaceMesh } from './mesh';
import { valueText, significant } from './numbers';
import type { RuleName, RuleSettings } from './optimizers';
import { scaleOf, type Scale, valueAt, ends } from './scale';
import type { CameraState, View } from './state';
import { Trail } from './trail';

/** A path of a pane, with what is known at its stops. */
export interface PanePath {
  run: number;
  name: string;
  info: PathInfo;
  trail: Trail;
  /** An index for colours, one for each run of the page. */
  color: number;
}

export interface PaneHost {
  content: Content;
  view: View;
  theme: ThemeColors;
  /** Where the whole surface is seen from. */
  home: CameraState;
  shades: Uint8Array;
  ink: Ink;
  floor: string;
  grid: string;
  paper: string;
  colorOf(subject: number, run: number): number;
  options(): [value: string, text: string][];
  choose(pane: number, value: string): void;
  moveCamera(pane: number, change: Partial<CameraState>): void;
  activate(pane: number): void;
  drop(at: [number, number]): void;
  isDropping(): boolean;
  redraw(): void;
  redrawWords(): void;
  /** Where time is on a path, a fraction between two stops. */
  stopOf(pane: Pane, path: PanePath): number;
  /** Where time is among the states of a surface that changes. */
  stateOf(pane: Pane): number;
}

export class Pane {
  readonly section: HTMLElement;
  readonly area: HTMLElement;
  private readonly chooser: HTMLSelectElement;
  private readonly detail: HTMLElement;
  private readonly keys: HTMLElement;
  private readonly readout: HTMLOutputElement;
  private readonly message: HTMLElement;
  readonly camera = new PerspectiveCamera();
  private readonly scene = new Scene();
  mesh: SurfaceMesh | null = null;
  field: Field | null = null;
  scale: Scale | null = null;
  paths: PanePath[] = [];
  balls: { ball: Ball; trail: Trail }[] = [];
  private cursor: number | null = null;
  private shownState = NaN;
  private shapedFor = '';
  subjectIndex = 0;
  surfaceIndex = 0;

  constructor(
    readonly index: number,
    private readonly host: PaneHost,
  ) {
    this.chooser = select([], '', (value) => host.choose(index, value));
    this.chooser.setAttribute('aria-label', `Surface in pane ${index + 1}`);
    this.detail = el('p', { class: 'detail' });
    this.keys = el('span', { class: 'swatches', 'aria-hidden': 'true' });
    this.area = el('div', {
      class: 'area',
      tabindex: 0,
      role: 'application',
      'aria-roledescription': 'surface in space',
    });
    this.readout = el('output', { class: 'readout', 'aria-live': 'polite' });
    this.message = el('p', { class: 'message', hidden: true });
    this.section = el(
      'section',
      { class: 'pane' },
      el('header', {}, this.keys, this.chooser, this.detail),
      el('div', { class: 'frame' }, this.area, this.message, this.readout),
    );
    listen(this.area, {
      camera: () => this.cameraState(),
      move: (change) => host.moveCamera(index, change),
      tap: (x, y) => this.tap(x, y),
      hover: (x, y) => this.point(this.pick(x, y)),
      leave: () => this.point(null),
    });
    this.area.addEventListener('focus', () => host.activate(index));
    this.area.addEventListener('dblclick', (e) => {
      const box = this.area.getBoundingClientRect();
      const k = this.pickPlane(e.clientX - box.left, e.clientY - box.top);
      if (k) host.drop(k);
    });
    this.area.addEventListener('keydown', (e) => this.key(e));
  }

  get subject(): Subject {
    return this.host.content.header.subjects[this.subjectIndex]!;
  }

  get surface(): SurfaceInfo | undefined {
    return this.subject?.surfaces[this.surfaceIndex];
  }

  cameraState(): CameraState {
    const { cameras, linked } = this.host.view;
    return cameras[linked ? 0 : this.index]!;
  }

  private key(e: KeyboardEvent): void {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const moves: Record<string, [number, number]> = { j: [-1, 0], l: [1, 0], i: [0, 1], k: [0, -1] };
    const move = moves[e.key.toLowerCase()];
    if (move && this.field) {
      const { nx, ny } = this.field;
      const at = this.cursor ?? Math.floor(ny / 2) * nx + Math.floor(nx / 2);
      const step = e.shiftKey ? 10 : 1;
      const x = Math.min(nx - 1, Math.max(0, (at % nx) + step * move[0]));
      const y = Math.min(ny - 1, Math.max(0, Math.floor(at / nx) + step * move[1]));
      this.point(y * nx + x);
    } else if (e.key.toLowerCase() === 'b' && this.field) {
      const at = this.cursorPlace();
      if (at) this.host.drop(at);
    } else {
      if (document.body.classList.contains('present') && (e.key === 'ArrowLeft' || e.key === 'ArrowRight') && !e.shiftKey) return;
      const change = byKey(e.key, e.shiftKey, this.cameraState(), this.host.home);
      if (!change) return;
      this.host.moveCamera(this.index, change);
    }
    e.preventDefault();
    e.stopPropagation();
  }

  private tap(x: number, y: number): void {
    this.host.activate(this.index);
    if (this.host.isDropping()) {
      const at = this.pickPlane(x, y);
      if (at) this.host.drop(at);
      return;
    }
    this.point(this.pick(x, y));
  }

  /** Coordinates of the plane below a pixel of the area. */
  pickPlane(x: number, y: number): [number, number] | null {
    if (!this.mesh) return null;
    const [w, h] = [this.area.clientWidth, this.area.clientHeight];
    const ray = new Raycaster();
    ray.setFromCamera(new Vector2((2 * x) / w - 1, 1 - (2 * y) / h), this.camera);
    return this.mesh.hit(ray.ray.origin, ray.ray.direction);
  }

  /** The grid point nearest to what is below a pixel. */
  private pick(x: number, y: number): number | null {
    const at = this.pickPlane(x, y);
    return at && this.field ? this.field.nearest(...at) : null;
  }

  cursorPlace(): [number, number] | null {
    const f = this.field;
    if (!f || this.cursor === null) return null;
    return [f.xs[this.cursor % f.nx]!, f.ys[Math.floor(this.cursor / f.nx)]!];
  }

  /** Reads off a grid point. */
  point(k: number | null): void {
    if (this.cursor === k) return;
    this.cursor = k;
    this.read();
    this.host.redrawWords();
  }

  private read(): void {
    const [f, k, surface] = [this.field, this.cursor, this.surface];
    if (!f || k === null || !surface) {
      this.readout.textContent = '';
      this.readout.dataset.k = '';
      return;
    }
    const [x, y] = [f.xs[k % f.nx]!, f.ys[Math.floor(k / f.nx)]!];
    const parts: string[] = [];
    for (const field of f.beside()) {
      const state = surface.layers ? Math.round(this.host.stateOf(this)) : 0;
      const packed = surface.layers && field.key === 'loss' ? surface.layers.values[state]! : field.values;
      parts.push(`${field.label} ${valueText(field.key, this.host.content.numbers(packed)[k]!)}`);
    }
    const status = f.status[k];
    const how = status === 0 ? 'not computed' : status === 2 ? 'interpolated' : 'computed';
    this.readout.replaceChildren(
      el('b', { text: `(${significant(x, 4)}, ${significant(y, 4)})` }),
      ` ${parts.slice(0, 4).join(' · ')} · ${how}`,
    );
    this.readout.dataset.k = String(k);
  }

  /** Shows another surface, or the same with new numbers. */
  show(subject: number, surface: number): void {
    this.clear();
    [this.subjectIndex, this.surfaceIndex] = [subject, surface];
    const { content, view } = this.host;
    const info = this.surface;
    const options = this.host.options();
    this.chooser.replaceChildren(...options.map(([value, text]) => el('option', { value, text })));
    this.chooser.value = `${subject}.${surface}`;
    this.detail.textContent = this.subject?.subtitle ?? '';
    this.say('');
    const label = info ? `${this.subject.title}. ${info.caption}` : (this.subject?.title ?? 'Nothing to show');
    this.area.setAttribute(
      'aria-label',
      `${label} Arrow keys turn, shift with arrows moves, plus and minus zoom, T looks from above, I J K L move the reading, B drops a ball there.`,
    );
    if (!info) {
      this.say(this.subject ? 'Waiting for a surface: lossreel surface RUN' : 'Nothing to show yet');
      return;
    }
    if (!info.fields.some((f) => f.key === view.field)) {
      this.say(`This surface has no ${view.field.replace(/_/g, ' ')}.`);
      return;
    }
    this.field = new Field(content, info, view.field);
    if (this.field.nx < 2 || this.field.ny < 2) {
      this.say('This surface is a line: it has one row or one column.');
      this.field = null;
      return;
    }
    this.mesh = new SurfaceMesh(this.field);
    this.scene.add(this.mesh.group);
    const plane = info.plane === null ? undefined : this.subject.planes[info.plane];
    plane?.paths.forEach((path, run) => {
      const [xs, ys] = [content.numbers(path.x), content.numbers(path.y)];
      const trail = new Trail(xs, ys, 3.2, xs.length <= 1500);
      this.scene.add(trail.group);
      const name = this.subject.runs[run]?.name ?? `run ${run + 1}`;
      this.paths.push({ run, name, info: path, trail, color: this.host.colorOf(subject, run) });
    });
  }

  say(text: string): void {
    this.message.textContent = text;
    this.message.hidden = text === '';
  }

  private clear(): void {
    this.mesh?.dispose();
    if (this.mesh) this.scene.remove(this.mesh.group);
    for (const { trail } of [...this.paths, ...this.balls]) {
      this.scene.remove(trail.group);
      trail.dispose();
    }
    this.mesh = this.field = this.scale = null;
    [this.paths, this.balls] = [[], []];
    this.cursor = null;
    this.readout.textContent = '';
    this.shownState = NaN;
    this.shapedFor = '';
  }

  /** The scale of this pane alone. */
  ownScale(): Scale | null {
    return this.field ? scaleOf(this.field.all(), this.host.view.heights, this.field.key) : null;
  }

  /** The value at which heights are cut. */
  cutValue(): number {
    if (!this.scale) return NaN;
    const [low, high] = ends(this.scale);
    return valueAt(this.scale, low + this.host.view.cut * (high - low));
  }

  /** The box's height: what is asked for, or what the pane has room for. */
  private relief(): number {
    const { relief } = this.host.view;
    if (relief > 0) return relief;
    const shape = this.area.clientHeight / Math.max(1, this.area.clientWidth);
    return Number(Math.min(1.6, Math.max(0.9, 1.25 * shape)).toFixed(2));
  }

  /** Gives the surface its shape on `scale`. */
  shape(scale: Scale): void {
    this.scale = scale;
    const { view } = this.host;
    const wanted = `${JSON.stringify(scale)} ${view.cut} ${this.relief()}`;
    if (this.shapedFor !== wanted) {
      this.shapedFor = wanted;
      this.shownState = NaN;
    }
    this.state(this.host.stateOf(this));
  }

  /** Shows the surface at a state, where it changes. */
  private state(at: number): void {
    if (!this.mesh || !this.field || !this.scale || at === this.shownState) return;
    const first = Number.isNaN(this.shownState);
    this.shownState = at;
    const lattice = this.field.lattice(this.scale, at);
    if (!lattice) {
      this.say('No point of this surface has a finite value.');
      this.mesh.group.visible = false;
      return;
    }
    this.mesh.shape(lattice, this.scale, this.cutValue(), this.relief(), !first && this.field.states > 1);
    for (const { trail } of this.paths) trail.lay(this.mesh);
    for (const { trail } of this.balls) trail.lay(this.mesh);
    this.read();
  }

  dress(ratio: number): void {
    const { theme, view, ink, floor, grid, paper, shades } = this.host;
    this.mesh?.dress({
      shades,
      lines: view.lines,
      contour: theme.contour,
      hatch: theme.hatch,
      paper,
      floor,
      rule: grid,
      dark: theme.name === 'dark',
    });
    const room = Math.min(this.area.clientWidth, this.area.clientHeight) / 420;
    const size = (ink.size / 13) * Math.min(1.15, Math.max(0.7, room));
    this.keys.replaceChildren(
      ...this.paths.map((path) => {
        const key = el('i', { class: 'swatch', title: path.name });
        key.style.background = theme.series[path.color % theme.series.length]!;
        return this.paths.length > 1 ? el('span', {}, key, path.name) : key;
      }),
    );
    for (const path of this.paths) path.trail.paint(theme.series[path.color % theme.series.length]!, theme.casing, ratio, size);
    this.balls.forEach(({ trail }, k) => trail.paint(ballColor(theme, k), theme.casing, ratio, size));
  }

  /** How much of the paths, their ends above all, is seen from a side; without a path, of the surface. */
  seen(azimuth: number, elevation: number): [seen: number, all: number] {
    const mesh = this.mesh;
    if (!mesh) return [0, 0];
    const [a, e] = [(azimuth * Math.PI) / 180, (elevation * Math.PI) / 180];
    const eye = new Vector3(Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)).multiplyScalar(6.2);
    eye.z += 0.4;
    const places: [number, number, number][] = [];
    for (const { info } of this.paths) {
      const [xs, ys] = [this.host.content.numbers(info.x), this.host.content.numbers(info.y)];
      const n = Math.min(40, xs.length);
      for (let i = 0; i < n; i++) {
        const k = n > 1 ? Math.round((i * (xs.length - 1)) / (n - 1)) : 0;
        if (Number.isFinite(xs[k]!) && Number.isFinite(ys[k]!)) places.push([...mesh.box(xs[k]!, ys[k]!), i === n - 1 ? 17 : 1]);
      }
    }
    for (let k = 0; k < 576 && !this.paths.length; k++) {
      const at = (i: number, half: number) => half * ((2 * i + 1) / 24 - 1);
      places.push([at(k % 24, mesh.halfX), at(Math.floor(k / 24), mesh.halfY), 1]);
    }
    let [seen, all] = [0, 0];
    for (const [x, y, weight] of places) {
      all += weight;
      if (mesh.sees(new Vector3(x, y, mesh.height(x, y) + 0.03), eye)) seen += weight;
    }
    return [seen, all];
  }

  /** The slope that balls follow here. */
  slope(): Slope | null {
    return this.field && this.scale && /^(test_)?loss$/.test(this.field.key) ? slopeOf(this.field, this.scale) : null;
  }

  /** The longer side of the window. */
  span(): number {
    const f = this.field;
    return f ? Math.max(f.xs[f.nx - 1]! - f.xs[0]!, f.ys[f.ny - 1]! - f.ys[0]!) : 1;
  }

  rates(at: [number, number]): { lr: number; adaptiveLr: number } | null {
    const slope = this.slope();
    return slope && this.field?.holds(...at) ? ratesFor(slope, at, this.span()) : null;
  }

  /** Puts a ball for each rule at a place; whether it lies on this surface. */
  dropBalls(at: [number, number], rules: RuleName[]): boolean {
    this.liftBalls();
    const slope = this.slope();
    if (!slope || !this.mesh || !this.field?.holds(...at) || !slope(...at)) return false;
    for (const name of rules) {
      const ball = new Ball(name, at, slope, this.span());
      const trail = new Trail(ball.xs, ball.ys, 2.6, false);
      trail.lay(this.mesh);
      trail.reach(0);
      this.scene.add(trail.group);
      this.balls.push({ ball, trail });
    }
    return true;
  }

  liftBalls(): void {
    for (const { trail } of this.balls) {
      this.scene.remove(trail.group);
      trail.dispose();
    }
    this.balls = [];
  }

  /** Makes `count` steps of all balls; whether one still rolls. */
  roll(settings: RuleSettings, count: number): boolean {
    let rolling = false;
    for (const { ball, trail } of this.balls) {
      let moved = false;
      for (let i = 0; i < count; i++) moved = ball.step(settings) || moved;
      if (this.mesh && (moved || trail.length !== ball.xs.length)) {
        trail.lay(this.mesh);
        trail.reach(ball.xs.length);
      }
      rolling ||= ball.end === 'rolling';
    }
    return rolling;
  }

  /** Draws the surface into its part of the renderer's picture. */
  draw(renderer: WebGLRenderer, area: Area, height: number, ratio: number, stride: number): void {
    if (!this.mesh || !this.mesh.group.visible) return;
    this.state(this.host.stateOf(this));
    for (const path of this.paths) path.trail.reach(this.host.stopOf(this, path));
    for (const { trail } of [...this.paths, ...this.balls]) trail.quick(stride > 1);
    const state = this.cameraState();
    placeCamera(this.camera, state, [area.w, area.h], [this.mesh.halfX, this.mesh.halfY, this.mesh.relief]);
    this.mesh.detail(stride);
    this.mesh.illuminate((state.azimuth * Math.PI) / 180, ratio, this.camera.position);
    renderer.setViewport(area.x, height - area.y - area.h, area.w, area.h);
    renderer.setScissor(area.x, height - area.y - area.h, area.w, area.h);
    renderer.render(this.scene, this.camera);
  }

  /** Draws words and marks over it. */
  overlay(g: CanvasRenderingContext2D, area: Area, withBar: boolean): void {
    const [mesh, scale, surface, field] = [this.mesh, this.scale, this.surface, this.field];
    if (!mesh || !scale || !surface || !field || !mesh.group.visible) return;
    const { ink, shades } = this.host;
    drawAxes(g, area, this.camera, mesh, scale, this.cutValue(), surface.axes, ink);
    const project = projector(this.camera, area);
    for (const [x, y] of this.subject.minima) {
      if (!field.holds(x, y)) continue;
      const [bx, by] = mesh.box(x, y);
      const at = new Vector3(bx, by, mesh.height(bx, by));
      const p = project([at.x, at.y, at.z]);
      at.z += 0.03;
      // What the surface hides is faint.
      g.globalAlpha = mesh.sees(at, this.camera.position) ? 1 : 0.3;
      cross(g, p[0], p[1], 5, ink);
      g.globalAlpha = 1;
    }
    if (this.cursor !== null) {
      const [x, y] = this.cursorPlace()!;
      const [bx, by] = mesh.box(x, y);
      const hole = !Number.isFinite(field.values[this.cursor]!) && !field.surface.layers;
      const p = project([bx, by, hole ? 0 : mesh.height(bx, by)]);
      const q = project([bx, by, 0]);
      g.save();
      g.lineWidth = 3;
      g.strokeStyle = ink.paper;
      ring(g, p[0], p[1]);
      g.lineWidth = 1.6;
      g.strokeStyle = ink.text;
      ring(g, p[0], p[1]);
      g.setLineDash([3, 3]);
      g.lineWidth = 1;
      g.strokeStyle = ink.muted;
      g.beginPath();
      g.moveTo(p[0], p[1] + 6);
      g.lineTo(q[0], q[1]);
      g.stroke();
      g.restore();
    }
    if (withBar && area.w > 220 && area.h > 190) {
      const h = Math.min(170, 0.38 * area.h);
      const at = { x: area.x + area.w - 26, y: area.y + 26, w: 11, h };
      drawBar(g, at, scale, this.cutValue(), field.key, field.label, shades, ink);
    }
  }

  dispose(): void {
    this.clear();
  }
}

/** Colours of balls: those of paths, without the first. */
export function ballColor(theme: ThemeColors, k: number): string {
  return theme.series[(k + 1) % theme.series.length]!;
}

function ring(g: CanvasRenderingContext2D, x: number, y: number): void {
  g.beginPath();
  g.arc(x, y, 6, 0, 2 * Math.PI);
  g.stroke();
}

function cross(g: CanvasRenderingContext2D, x: number, y: number, r: number, ink: Ink): void {
  g.save();
  g.lineCap = 'round';
  for (const [width, color] of [
    [4.5, ink.paper],
    [2, ink.text],
  ] as const) {
    g.lineWidth = width;
    g.strokeStyle = color;
    g.beginPath();
    g.moveTo(x - r, y - r);
    g.lineTo(x + r, y + r);
    g.moveTo(x + r, y - r);
    g.lineTo(x - r, y + r);
    g.stroke();
  }
  g.restore();
}

