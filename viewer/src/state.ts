// What a view of the page is, apart from the data: kept in the address, so that a link restores it.

import type { Heights } from './scale';
import type { RuleName, RuleSettings } from './optimizers';

export type Clock = 'snapshot' | 'epoch' | 'step' | 'time';

export interface CameraState {
  /** Degrees; -90 has x to the right and y into the picture. */
  azimuth: number;
  /** Degrees; 90 is straight above. */
  elevation: number;
  /** 1 shows the whole box. */
  distance: number;
  /** What is in the middle, from the box's own middle. */
  pan: [number, number, number];
}

export interface View {
  /** Subject and surface of each pane. */
  panes: [number, number][];
  field: string;
  heights: Heights;
  lines: boolean;
  map: string;
  /** Where heights are cut, 0 to 1 of the range. */
  cut: number;
  /** The box's height, its longer side being 2; 0 for what there is room for. */
  relief: number;
  /** Whether all panes have one scale. */
  shared: boolean;
  /** Whether all panes have one camera, the first. */
  linked: boolean;
  cameras: CameraState[];
  clock: Clock;
  /** 0 to 1 of the training. */
  time: number;
  speed: number;
  rules: RuleName[];
  settings: RuleSettings | null;
  /** Where a ball was dropped. */
  ball: [number, number] | null;
}

export interface NamedView {
  name: string;
  panes: [number, number][];
  /** Of one saved by hand: its link's text. */
  saved?: string;
}

export const HOME: CameraState = { azimuth: -112, elevation: 30, distance: 1, pan: [0, 0, 0] };

/** A view as the text of a link; the theme is with it. */
export function toFragment(view: View, theme: string, saved: NamedView[]): string {
  const q = new URLSearchParams();
  const short = (v: number) => String(Number(v.toFixed(4)));
  q.set('panes', view.panes.map(([s, t]) => `${s}.${t}`).join('_'));
  q.set('q', view.field);
  q.set('h', view.heights);
  q.set('lines', view.lines ? '1' : '0');
  q.set('map', view.map);
  q.set('theme', theme);
  q.set('cut', short(view.cut));
  q.set('relief', short(view.relief));
  q.set('shared', view.shared ? '1' : '0');
  q.set('linked', view.linked ? '1' : '0');
  q.set(
    'cam',
    view.cameras
      .slice(0, view.linked ? 1 : view.panes.length)
      .map((c) => [c.azimuth, c.elevation, c.distance, ...c.pan].map(short).join('_'))
      .join('__'),
  );
  q.set('clock', view.clock);
  q.set('time', short(view.time));
  q.set('speed', short(view.speed));
  if (view.rules.length) q.set('rules', view.rules.join('_'));
  if (view.settings) {
    const s = view.settings;
    q.set('set', [s.lr, s.adaptiveLr, s.momentum, s.decay].map((v) => String(Number(v.toPrecision(6)))).join('_'));
  }
  if (view.ball) q.set('ball', view.ball.map((v) => String(Number(v.toPrecision(8)))).join('_'));
  for (const { name, saved: text } of saved) if (text) q.append('view', `${name}\n${text}`);
  return q.toString();
}

const CLOCKS: readonly string[] = ['snapshot', 'epoch', 'step', 'time'];
const RULE_NAMES: readonly string[] = ['gd', 'momentum', 'rmsprop', 'adam'];

/** What a link's text says of a view; what it does not say or says wrongly is left as it is in `view`. */
export function fromFragment(text: string, view: View): { view: View; theme: string | null; saved: NamedView[] } {
  const q = new URLSearchParams(text.replace(/^#/, ''));
  const out: View = structuredClone(view);
  const numbers = (t: string, n: number): number[] | null => {
    const found = t.split('_').map(Number);
    return found.length === n && found.every(Number.isFinite) ? found : null;
  };
  const number = (key: string, low: number, high: number, set: (v: number) => void) => {
    const v = Number(q.get(key) ?? NaN);
    if (Number.isFinite(v)) set(Math.min(high, Math.max(low, v)));
  };
  const flag = (key: string, set: (v: boolean) => void) => {
    if (q.has(key)) set(q.get(key) === '1');
  };
  const panes = (q.get('panes') ?? '')
    .split('_')
    .map((p) => /^(\d+)\.(\d+)$/.exec(p))
    .filter((m) => m !== null)
    .map((m): [number, number] => [Number(m[1]), Number(m[2])]);
  if (panes.length) out.panes = panes.slice(0, 4);
  if (q.get('q')) out.field = q.get('q')!;
  const heights = q.get('h');
  if (heights === 'auto' || heights === 'log' || heights === 'linear') out.heights = heights;
  flag('lines', (v) => (out.lines = v));
  if (q.get('map')) out.map = q.get('map')!;
  number('cut', 0, 1, (v) => (out.cut = v));
  number('relief', 0, 2, (v) => (out.relief = v));
  flag('shared', (v) => (out.shared = v));
  flag('linked', (v) => (out.linked = v));
  const cameras = (q.get('cam') ?? '')
    .split('__')
    .map((c) => numbers(c, 6))
    .filter((c) => c !== null)
    .map(([azimuth, elevation, distance, x, y, z]) => ({
      azimuth: azimuth!,
      elevation: Math.min(90, Math.max(-20, elevation!)),
      distance: Math.min(4, Math.max(0.15, distance!)),
      pan: [x!, y!, z!] as [number, number, number],
    }));
  if (cameras.length) out.cameras = [0, 1, 2, 3].map((i) => structuredClone(cameras[Math.min(i, cameras.length - 1)]!));
  const clock = q.get('clock');
  if (clock && CLOCKS.includes(clock)) out.clock = clock as Clock;
  number('time', 0, 1, (v) => (out.time = v));
  number('speed', 0.1, 16, (v) => (out.speed = v));
  if (q.has('rules')) out.rules = q.get('rules')!.split('_').filter((r) => RULE_NAMES.includes(r)) as RuleName[];
  const set = numbers(q.get('set') ?? '', 4);
  if (set) out.settings = { lr: set[0]!, adaptiveLr: set[1]!, momentum: set[2]!, decay: set[3]! };
  const ball = numbers(q.get('ball') ?? '', 2);
  out.ball = ball ? [ball[0]!, ball[1]!] : q.has('panes') ? null : out.ball;
  const saved = q.getAll('view').flatMap((v) => {
    const cut = v.indexOf('\n');
    return cut > 0 ? [{ name: v.slice(0, cut), panes: out.panes, saved: v.slice(cut + 1) }] : [];
  });
  const theme = q.get('theme');
  return { view: out, theme: theme === 'light' || theme === 'dark' ? theme : null, saved };
}
