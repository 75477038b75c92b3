// The charts below the surfaces: loss, accuracy, learning rate, sharpness, the noise of the gradient and the
// overshoot of steps over training, with one playhead.

import type { Content, Series, ThemeColors } from './content';
import { el, svg } from './dom';
import { percent, significant } from './numbers';
import { ticks } from './scale';
import type { Clock } from './state';

/** A run that charts show. */
export interface Charted {
  title: string;
  color: number;
  series: Series[];
}

const TITLES = {
  loss: 'Loss',
  accuracy: 'Accuracy',
  lr: 'Learning rate',
  sharpness: 'Sharpness',
  preconditioned_sharpness: 'Preconditioned sharpness',
  noise_scale: 'Noise scale (images)',
  signal_to_noise: 'Signal to noise of a batch',
  overshoot: 'Overshoot of a step',
} as const;
const HEIGHT = 92;
const PAD = { left: 48, right: 10, top: 20, bottom: 18 };

export class Charts {
  readonly element = el('div', { class: 'charts' });
  private heads: { line: HTMLElement; x: (t: number) => number }[] = [];

  constructor(private readonly onScrub: (fraction: number) => void) {}

  /** Draws the curves of `runs` on a clock that ends at `end`. */
  draw(content: Content, runs: Charted[], clock: Clock, end: number, theme: ThemeColors): void {
    this.heads = [];
    const found: [keyof typeof TITLES, Curve[]][] = [];
    const axis: Exclude<Clock, 'snapshot'> = clock === 'snapshot' ? 'epoch' : clock;
    for (const quantity of Object.keys(TITLES) as (keyof typeof TITLES)[]) {
      const curves = runs.flatMap((run) =>
        run.series
          .filter((s) => s.quantity === quantity)
          .map((s) => ({ run, s, x: timesOf(content, s, axis), y: content.numbers(s.value) }))
          .filter((c) => c.x !== null && c.y.length > 0),
      );
      if (curves.length) found.push([quantity, curves as Curve[]]);
    }
    // As many side by side as have room, each drawn at its own size.
    const room = this.element.clientWidth || 900;
    const columns = Math.max(1, Math.min(found.length, Math.floor(room / 230)));
    const width = Math.floor((room - 14 * (columns - 1)) / columns);
    this.element.replaceChildren(...found.map(([quantity, curves]) => this.chart(quantity, curves, width, end, theme)));
  }

  private chart(quantity: keyof typeof TITLES, curves: Curve[], width: number, end: number, theme: ThemeColors): Element {
    let [low, high] = [Infinity, -Infinity];
    for (const { y, s } of curves) {
      if (s.split === 'bound') continue;
      for (const v of y) if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
    }
    if (!Number.isFinite(low)) [low, high] = [0, 1];
    const log = quantity !== 'accuracy' && low > 0 && high / low > 5;
    const unit = (v: number) => (log ? Math.log10(v) : v);
    let [a, b] = [unit(low), unit(high)];
    if (b - a < 1e-9 * Math.max(1, Math.abs(a))) [a, b] = [a - 0.5 * Math.abs(a || 1), b + 0.5 * Math.abs(b || 1)];
    [a, b] = [a - 0.06 * (b - a), b + 0.06 * (b - a)];
    const x = (t: number) => PAD.left + ((width - PAD.left - PAD.right) * t) / (end || 1);
    const y = (v: number) => PAD.top + (HEIGHT - PAD.top - PAD.bottom) * (1 - (Math.min(b, Math.max(a, unit(v))) - a) / (b - a));
    const text = (v: number) => (quantity === 'accuracy' ? percent(v, 3) : significant(v, 2));
    const parts: Element[] = [];
    const marks = log ? decades(10 ** a, 10 ** b) : ticks(a, b, 3);
    for (const v of marks) {
      const at = y(v);
      if (at < PAD.top - 1 || at > HEIGHT - PAD.bottom + 1) continue;
      parts.push(svg('line', { class: 'grid', x1: PAD.left, x2: width - PAD.right, y1: at, y2: at }));
      parts.push(svg('text', { class: 'tick', x: PAD.left - 5, y: at + 3.5, 'text-anchor': 'end' }, text(v)));
    }
    for (const t of ticks(0, end, 4)) {
      parts.push(svg('text', { class: 'tick', x: x(t), y: HEIGHT - 4, 'text-anchor': 'middle' }, significant(t, 4)));
    }
    // A bound does not stretch the scale, and is not drawn where it lies beyond it.
    const beyond = (curve: Curve, v: number) => curve.s.split === 'bound' && (unit(v) > b || unit(v) < a);
    for (const curve of curves) {
      const color = theme.series[curve.run.color % theme.series.length]!;
      let d = '';
      let pen = false;
      for (let i = 0; i < curve.y.length; i++) {
        const [t, v] = [curve.x[i]!, curve.y[i]!];
        if (!Number.isFinite(v) || !Number.isFinite(t) || (log && v <= 0) || beyond(curve, v)) {
          pen = false;
          continue;
        }
        d += `${pen ? 'L' : 'M'}${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
        pen = true;
      }
      parts.push(svg('path', { class: `curve ${curve.s.split}`, d, stroke: color }));
    }
    const title = svg('text', { class: 'title', x: PAD.left, y: 12 }, TITLES[quantity]);
    const note = svg('text', { class: 'tick', x: width - PAD.right, y: 12, 'text-anchor': 'end' }, legend(curves, TITLES[quantity], width));
    // Not part of the picture: moving it does not draw the curves again.
    const head = el('div', { class: 'head', 'aria-hidden': 'true' });
    head.style.top = `${PAD.top - 4}px`;
    head.style.height = `${HEIGHT - PAD.bottom - PAD.top + 4}px`;
    this.heads.push({ line: head, x });
    const ends = (c: Curve) => {
      const known = [...c.y].filter(Number.isFinite);
      return known.length ? `from ${text(known[0]!)} to ${text(known[known.length - 1]!)}` : 'not finite';
    };
    const label = `${TITLES[quantity]} over training: ${curves.map((c) => `${c.run.title}, ${c.s.name}, ${ends(c)}`).join('; ')}`;
    const picture = svg(
      'svg',
      { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: 'img', 'aria-label': label },
      ...parts,
      title,
      note,
    );
    const scrub = (e: PointerEvent) => {
      const box = picture.getBoundingClientRect();
      const at = (((e.clientX - box.left) / box.width) * width - PAD.left) / (width - PAD.left - PAD.right);
      this.onScrub(Math.min(1, Math.max(0, at)));
    };
    picture.addEventListener('pointerdown', (e) => {
      picture.setPointerCapture((e as PointerEvent).pointerId);
      scrub(e as PointerEvent);
    });
    picture.addEventListener('pointermove', (e) => {
      if (picture.hasPointerCapture((e as PointerEvent).pointerId)) scrub(e as PointerEvent);
    });
    return el('div', { class: 'chart' }, picture, head);
  }

  /** Moves the playheads to a time on the charts' clock. */
  head(t: number): void {
    for (const { line, x } of this.heads) line.style.transform = `translateX(${x(t).toFixed(2)}px)`;
  }
}

interface Curve {
  run: Charted;
  s: Series;
  x: ArrayLike<number>;
  y: ArrayLike<number> & Iterable<number>;
}

/** What the lines of a chart are beside its title, where there is room for it: a letter takes some 5 pixels, of a title 6.6. */
function legend(curves: Curve[], title: string, width: number): string {
  const has = (split: Series['split']) => curves.some((c) => c.s.split === split);
  // A curve that the title names needs no name, unless something was left out of it.
  const named = curves.filter((c) => c.s.split !== 'train' || c.s.name.includes('medians'));
  const names = new Set(named.map((c) => (c.s.split === 'bound' ? `dotted: ${c.s.name}` : c.s.name)));
  const text = has('train') && has('test') ? 'training solid, test dashed' : [...names].join(', ');
  const room = width - PAD.left - PAD.right - 6.6 * title.length - 10;
  return 5 * text.length <= room ? text : '';
}

function timesOf(content: Content, s: Series, axis: 'epoch' | 'step' | 'time'): ArrayLike<number> | null {
  const packed = axis === 'epoch' ? s.epoch : axis === 'step' ? s.step : s.secs;
  return packed ? content.numbers(packed) : null;
}

function decades(low: number, high: number): number[] {
  const found: number[] = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) found.push(Number(`1e${e}`));
  const inside = found.filter((v) => v >= low && v <= high);
  if (inside.length >= 2) return inside.length > 4 ? inside.filter((_, i) => i % Math.ceil(inside.length / 4) === 0) : inside;
  return ticks(low, high, 3);
}
