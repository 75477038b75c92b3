// A quantity of a surface as numbers: what was computed, the smooth function between, and its lattice.

import type { Content, FieldInfo, Numbers, SurfaceInfo } from './content';
import { filled, Interpolant } from './interpolant';
import { ends, place, type Scale, valueAt } from './scale';

/** The most columns or rows that a surface is drawn with, unless its own grid has more. */
const FINE = 257;

export class Field {
  readonly xs: Numbers;
  readonly ys: Numbers;
  readonly nx: number;
  readonly ny: number;
  readonly values: Numbers;
  readonly status: Uint8Array;
  readonly label: string;
  readonly caption: string;
  /** Whether it has points of its own, other than its surface. */
  readonly ownGrid: boolean;
  /** Columns and rows of the lattice that is drawn. */
  readonly mx: number;
  readonly my: number;
  private readonly layers: Numbers[];
  private readonly lattices = new Map<string, Float32Array | null>();
  private readonly smooth = new Map<string, Interpolant | null>();

  constructor(
    content: Content,
    readonly surface: SurfaceInfo,
    readonly key: string,
  ) {
    const field = surface.fields.find((f) => f.key === key);
    if (!field) throw new Error(`no ${key}`);
    this.label = field.label;
    this.ownGrid = field.grid !== undefined;
    this.caption = field.grid?.caption ?? surface.caption;
    const grid = field.grid ?? surface;
    this.xs = content.numbers(grid.xs);
    this.ys = content.numbers(grid.ys);
    [this.nx, this.ny] = [this.xs.length, this.ys.length];
    this.values = content.numbers(field.values);
    this.status = content.marks(grid.status);
    this.layers = key === 'loss' && surface.layers ? surface.layers.values.map((v) => content.numbers(v)) : [];
    const fine = (n: number) => (n - 1) * Math.max(1, Math.min(8, Math.floor((FINE - 1) / Math.max(1, n - 1)))) + 1;
    this.mx = Math.max(2, fine(this.nx));
    this.my = Math.max(2, fine(this.ny));
  }

  /** The quantities that are known at the same points. */
  beside(): FieldInfo[] {
    return this.surface.fields.filter((f) => (this.ownGrid ? f.key === this.key : f.grid === undefined));
  }

  /** The values of all states, for a scale. */
  all(): Numbers[] {
    return this.layers.length ? this.layers : [this.values];
  }

  get states(): number {
    return Math.max(1, this.layers.length);
  }

  private state(i: number): Numbers {
    return this.layers[i] ?? this.values;
  }

  private places(scale: Scale, state: number): Float64Array | null {
    const values = this.state(state);
    const [low, high] = ends(scale);
    const z = new Float64Array(values.length);
    for (let k = 0; k < z.length; k++) {
      const p = place(scale, values[k]!);
      // What overflows is capped just above the range, where it is hatched.
      z[k] = p === Infinity ? high + 0.05 * (high - low) : p;
    }
    return filled(z, this.nx, this.ny);
  }

  /** The smooth function through the places; null where nothing was computed. */
  interpolant(scale: Scale, state = 0): Interpolant | null {
    const key = `${scale.log} ${scale.low} ${state}`;
    let found = this.smooth.get(key);
    if (found === undefined) {
      const z = this.places(scale, state);
      found = z && this.nx > 1 && this.ny > 1 ? new Interpolant(this.xs, this.ys, z) : null;
      if (this.smooth.size > 4) this.smooth.clear();
      this.smooth.set(key, found);
    }
    return found;
  }

  /** Places on the lattice at a state, a fraction between two states. */
  lattice(scale: Scale, state = 0): Float32Array | null {
    const whole = Math.min(this.states - 1, Math.max(0, Math.floor(state)));
    const a = this.latticeOf(scale, whole);
    const t = state - whole;
    if (!a || t <= 0 || whole + 1 >= this.states) return a;
    const b = this.latticeOf(scale, whole + 1);
    return b ? a.map((v, k) => v + t * (b[k]! - v)) : a;
  }

  private latticeOf(scale: Scale, state: number): Float32Array | null {
    const key = `${scale.log} ${scale.low} ${scale.high} ${state}`;
    let found = this.lattices.get(key);
    if (found === undefined) {
      found = this.interpolant(scale, state)?.lattice(this.mx, this.my) ?? null;
      if (this.lattices.size > 64) this.lattices.clear();
      this.lattices.set(key, found);
    }
    return found;
  }

  /** The value of the smooth function and its gradient; null off the grid and where nothing was computed. */
  slope(scale: Scale, x: number, y: number): [number, [number, number]] | null {
    if (!this.holds(x, y) || this.isHole(x, y)) return null;
    const at = this.interpolant(scale)?.at(x, y);
    if (!at) return null;
    const value = valueAt(scale, at[0]);
    const factor = scale.log ? value * Math.LN10 : 1;
    return [value, [factor * at[1], factor * at[2]]];
  }

  holds(x: number, y: number): boolean {
    return x >= this.xs[0]! && x <= this.xs[this.nx - 1]! && y >= this.ys[0]! && y <= this.ys[this.ny - 1]!;
  }

  /** Whether the grid point nearest to a place has no finite value. */
  isHole(x: number, y: number): boolean {
    return !Number.isFinite(this.values[this.nearest(x, y)]!);
  }

  /** The index of the grid point nearest to a place. */
  nearest(x: number, y: number): number {
    return nearestOf(this.ys, y) * this.nx + nearestOf(this.xs, x);
  }
}

/** The index of the coordinate nearest to `t`. */
export function nearestOf(ts: ArrayLike<number>, t: number): number {
  let [low, high] = [0, ts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (ts[middle]! <= t) low = middle;
    else high = middle;
  }
  return Math.abs(ts[high]! - t) < Math.abs(ts[low]! - t) ? high : low;
}
