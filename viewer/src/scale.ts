// From values to heights and colours: round contour levels, a logarithmic or linear range, as
// `src/render/page/scale.rs` and `src/render/surface3d/scale.rs` have them, so that the page and the films show
// a value in the same place.

export type Heights = 'auto' | 'log' | 'linear';

export interface Scale {
  log: boolean;
  /** The ends of the range, as values. */
  low: number;
  high: number;
  /** Whether values lie beyond the ends. */
  clippedLow: boolean;
  clippedHigh: boolean;
  /** Contour levels, as values, rising. */
  levels: number[];
}

const MAX_LEVELS = 18;
const MANTISSAS = [
  [1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9],
  [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8],
  [1, 1.5, 2, 3, 5, 7],
  [1, 2, 5],
  [1, 3],
  [1],
];

/** Whether equal steps of height are equal factors where that is left open: for losses, not for shares. */
export function isLog(heights: Heights, key: string, hasNegative: boolean): boolean {
  if (hasNegative) return false;
  if (heights !== 'auto') return heights === 'log';
  return !/accuracy|error|convexity|eig/.test(key);
}

/** The scale over all of `fields`. */
export function scaleOf(fields: ArrayLike<number>[], heights: Heights, key: string): Scale {
  let total = 0;
  let [minusInf, plusInf, negative] = [false, false, false];
  for (const field of fields) total += field.length;
  const all = new Float64Array(total);
  let n = 0;
  for (const field of fields) {
    for (let i = 0; i < field.length; i++) {
      const v = field[i]!;
      if (Number.isFinite(v)) {
        all[n++] = v;
        negative ||= v < 0;
      } else if (v === Infinity) plusInf = true;
      else if (v === -Infinity) minusInf = true;
    }
  }
  const log = isLog(heights, key, negative || minusInf);
  let finite = all.subarray(0, n).sort();
  const smallest = finite.length ? finite[0]! : 1;
  if (log) finite = finite.subarray(firstPositive(finite));
  let low = finite.length ? finite[0]! : 1;
  let largest = finite.length ? finite[finite.length - 1]! : low;
  if (largest - low <= 1e-9 * Math.max(Math.abs(largest), Math.abs(low))) largest = low;
  const at = (share: number) => (finite.length ? finite[Math.min(finite.length - 1, Math.floor(finite.length * share))]! : largest);
  const [p98, median] = [at(0.98), at(0.5)];
  let high = largest;
  if (log) {
    if (largest > 10 * p98) high = p98;
    high = Math.min(high, 1e4 * median);
  } else if (largest - low > 4 * (p98 - low) && p98 > low) {
    high = p98;
  }
  if (high <= low) high = largest;
  if (key === 'convexity') [low, high] = [0, 0.5];
  const levels = log && high > low * 1.3 ? logLevels(low, high) : ticks(low, high, 12);
  const inside = levels.filter((v) => v > low && v < high);
  return {
    log,
    low,
    high,
    clippedLow: minusInf || smallest < low,
    clippedHigh: plusInf || largest > high,
    levels: inside.length ? inside : [low],
  };
}

function firstPositive(sorted: Float64Array): number {
  let i = 0;
  while (i < sorted.length && sorted[i]! <= 0) i++;
  return i;
}

/** A value's place on the scale, in `log10` or plain units, not clipped above; NaN stays NaN. */
export function place(scale: Scale, value: number): number {
  if (Number.isNaN(value)) return NaN;
  return scale.log ? Math.log10(Math.max(value, scale.low)) : Math.max(value, scale.low);
}

/** The value at a place. */
export function valueAt(scale: Scale, at: number): number {
  return scale.log ? 10 ** at : at;
}

/** The ends of the range as places; apart, so that what lies on one value has a height. */
export function ends(scale: Scale): [number, number] {
  const [a, b] = [place(scale, scale.low), place(scale, scale.high)];
  return b > a ? [a, b] : [a, a + Math.max(1e-9, Math.abs(a) * 1e-6, scale.log ? 0.1 : 0)];
}

function logLevels(low: number, high: number): number[] {
  const [first, last] = [Math.floor(Math.log10(low)), Math.floor(Math.log10(high))];
  for (const mantissas of MANTISSAS) {
    if ((last - first) * mantissas.length > 4 * MAX_LEVELS) continue;
    const levels: number[] = [];
    for (let e = first; e <= last; e++) {
      for (const m of mantissas) {
        const v = Number(`${m}e${e}`);
        if (v > low && v < high) levels.push(v);
      }
    }
    if (levels.length && levels.length <= MAX_LEVELS) return levels;
  }
  const stride = Math.max(1, Math.ceil((last - first) / MAX_LEVELS));
  const levels: number[] = [];
  for (let e = first; e <= last; e++) if (((e % stride) + stride) % stride === 0) levels.push(Number(`1e${e}`));
  return levels.filter((v) => v > low && v < high);
}

/** Round numbers (steps of 1, 2 or 5 times a power of ten) in `low..high`, at most about `count`. */
export function ticks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span) || span < 1e-12 * Math.max(Math.abs(low), Math.abs(high))) return [low];
  const raw = span / Math.max(1, count);
  const exponent = Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10, 20].map((m) => Number(`${m}e${exponent}`)).find((s) => s >= raw * 0.999) ?? raw;
  const found: number[] = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * span; k++) {
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}

/** A few round values for an axis with labels. */
export function axisTicks(scale: Scale, count: number, cut = scale.high): number[] {
  if (!scale.log || scale.high <= scale.low * 1.3) return ticks(scale.low, cut, count);
  const levels = logLevels(scale.low, cut);
  for (const mantissas of [[1, 2, 5], [1, 3], [1]]) {
    const kept = levels.filter((v) => mantissas.some((m) => Math.abs(Number(v.toExponential(3).split('e')[0]) - m) < 1e-6));
    if (kept.length > 1 && kept.length <= count + 1) return kept;
  }
  const stride = Math.ceil(levels.length / Math.max(1, count));
  return levels.filter((_, i) => i % stride === 0);
}
