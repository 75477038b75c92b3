// Time: where each path is at a moment of the clock that all runs share.

import type { Content, PathInfo } from './content';
import type { Clock } from './state';

/** Times of a path's stops on a clock; null where the run did not log them. */
export function timesOf(content: Content, path: PathInfo, clock: Clock): ArrayLike<number> | null {
  switch (clock) {
    case 'snapshot':
      return Array.from({ length: path.snapshot[1] }, (_, i) => i);
    case 'epoch':
      return content.numbers(path.epoch);
    case 'step':
      return content.numbers(path.step);
    case 'time':
      return path.secs && content.numbers(path.secs);
  }
}

/** Where `t` is among rising `times`, a fraction between two of them. */
export function stopAt(times: ArrayLike<number>, t: number): number {
  const n = times.length;
  if (n === 0 || t <= times[0]!) return 0;
  if (t >= times[n - 1]!) return n - 1;
  let [low, high] = [0, n - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= t) low = middle;
    else high = middle;
  }
  const span = times[high]! - times[low]!;
  return low + (span > 0 ? (t - times[low]!) / span : 0);
}

/** A number between two stops. */
export function between(values: ArrayLike<number>, at: number): number {
  const i = Math.min(values.length - 1, Math.max(0, Math.floor(at)));
  const j = Math.min(values.length - 1, i + 1);
  return values[i]! + (at - i) * (values[j]! - values[i]!);
}

/** Epochs, unless snapshots are so crowded at the beginning that they would all pass at once. */
export function clockFor(content: Content, paths: PathInfo[]): Clock {
  const crowded = (path: PathInfo) => {
    const epochs = content.numbers(path.epoch);
    const gaps = Array.from({ length: Math.max(0, epochs.length - 1) }, (_, i) => epochs[i + 1]! - epochs[i]!).sort((a, b) => a - b);
    const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
    return gaps.length >= 8 && gaps[gaps.length >> 1]! < 0.2 * mean;
  };
  return paths.some(crowded) ? 'snapshot' : 'epoch';
}
