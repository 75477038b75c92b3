// Balls that roll on a slice: the rule sees the gradient of the slice as it is drawn (of a function: of the
// function itself), not the network's.

import type { Field } from './field';
import { FUNCTIONS } from './functions';
import { Rule, type RuleName, type RuleSettings } from './optimizers';
import type { Scale } from './scale';

export type Slope = (x: number, y: number) => [value: number, gradient: [number, number]] | null;

/** Steps of a ball at most. */
export const MOST_STEPS = 1500;

/** The slope that balls on a surface follow. */
export function slopeOf(field: Field, scale: Scale): Slope {
  const of = field.surface.function ? FUNCTIONS[field.surface.function] : undefined;
  if (of) return (x, y) => (field.holds(x, y) ? of(x, y) : null);
  return (x, y) => field.slope(scale, x, y);
}

export type End = 'rolling' | 'left' | 'diverged' | 'resting' | 'tired';

export const END_WORDS: Record<End, string> = {
  rolling: 'rolling',
  left: 'left the surface',
  diverged: 'diverged',
  resting: 'at rest',
  tired: `stopped after ${MOST_STEPS} steps`,
};

export class Ball {
  readonly xs: number[];
  readonly ys: number[];
  value: number;
  end: End = 'rolling';
  private readonly rule: Rule;

  constructor(
    readonly name: RuleName,
    start: [number, number],
    private readonly slope: Slope,
    private readonly span: number,
  ) {
    this.rule = new Rule(name);
    this.xs = [start[0]];
    this.ys = [start[1]];
    this.value = slope(...start)?.[0] ?? NaN;
  }

  get steps(): number {
    return this.xs.length - 1;
  }

  /** Makes a step; whether the ball still rolls. */
  step(settings: RuleSettings): boolean {
    if (this.end !== 'rolling') return false;
    const [x, y] = [this.xs.at(-1)!, this.ys.at(-1)!];
    const here = this.slope(x, y);
    if (!here) return this.stop('left');
    const [dx, dy] = this.rule.step(here[1], settings);
    const [nx, ny] = [x + dx, y + dy];
    if (!Number.isFinite(nx) || !Number.isFinite(ny)) return this.stop('diverged');
    const there = this.slope(nx, ny);
    if (!there) {
      // It is drawn no farther than the surface goes.
      return this.stop(Math.hypot(dx, dy) > 2 * this.span ? 'diverged' : 'left');
    }
    this.xs.push(nx);
    this.ys.push(ny);
    this.value = there[0];
    if (Math.hypot(dx, dy) < 1e-7 * this.span && this.steps > 3) return this.stop('resting');
    if (this.steps >= MOST_STEPS) return this.stop('tired');
    return true;
  }

  private stop(end: End): boolean {
    this.end = end;
    return false;
  }
}

/** Learning rates with which the first step is a visible one: 1, 2 or 5 times a power of ten. */
export function ratesFor(slope: Slope, start: [number, number], span: number): { lr: number; adaptiveLr: number } {
  const round = (v: number) => {
    const e = Math.floor(Math.log10(v));
    const m = v / 10 ** e;
    return Number(`${m >= 5 ? 5 : m >= 2 ? 2 : 1}e${e}`);
  };
  const at = slope(...start);
  const length = at ? Math.hypot(...at[1]) : 0;
  return { lr: length > 0 && Number.isFinite(length) ? round((0.02 * span) / length) : 0.01, adaptiveLr: round(0.012 * span) };
}
