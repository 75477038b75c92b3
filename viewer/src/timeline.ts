// The timeline below the surfaces: play, scrub, step, and the charts with their playhead.

import type { App } from './app';
import { Charts } from './charts';
import { between, stopAt, timesOf } from './clock';
import type { PathInfo, RunInfo } from './content';
import { button, el, range, select } from './dom';
import { significant, thousands } from './numbers';
import type { Clock } from './state';

/** A playing of the whole training at speed 1 takes so many seconds. */
const FILM_SECS = 12;

export class Timeline {
  readonly element = el('footer', { class: 'timeline' });
  playing = false;
  private readonly charts = new Charts((f) => this.setTime(f));
  private readonly scrub = range(0, 1, 0.0001, 1, (v) => this.setTime(v));
  private readonly moment = el('output', { class: 'moment' });
  private readonly playButton = button('Play', () => this.togglePlay(), { class: 'play' });

  constructor(private readonly app: App) {
    const speed = select(
      [
        ['0.25', '¼ ×'],
        ['0.5', '½ ×'],
        ['1', '1 ×'],
        ['2', '2 ×'],
        ['4', '4 ×'],
      ],
      String(this.app.view.speed),
      (v) => {
        this.app.view.speed = Number(v);
        this.app.link();
      },
    );
    speed.setAttribute('aria-label', 'Speed');
    this.scrub.setAttribute('aria-label', 'Moment of training');
    this.element.append(
      el(
        'div',
        { class: 'controls' },
        this.playButton,
        button('‹', () => this.stepBy(-1), { 'aria-label': 'Previous saved state', class: 'step' }),
        button('›', () => this.stepBy(1), { 'aria-label': 'Next saved state', class: 'step' }),
        this.scrub,
        this.moment,
        el('span', { class: 'clock-slot' }),
        speed,
      ),
      this.charts.element,
    );
  }

  /** The times of a path, on the clock of the view. */
  times(path: PathInfo): ArrayLike<number> {
    return timesOf(this.app.content, path, this.app.view.clock) ?? timesOf(this.app.content, path, 'step')!;
  }

  /** The last time of all that is shown. */
  end(): number {
    const lasts = this.app.pathsOf(this.app.view.panes).map((p) => {
      const times = this.times(p);
      return times[times.length - 1] ?? 0;
    });
    const series = this.charted().flatMap((c) => c.series);
    const axis = this.app.view.clock === 'step' ? 'step' : this.app.view.clock === 'time' ? 'secs' : 'epoch';
    if (!lasts.length || Math.max(...lasts) === 0) {
      for (const s of series) {
        const packed = s[axis];
        const numbers = packed ? this.app.content.numbers(packed) : [];
        lasts.push(numbers[numbers.length - 1] ?? 0);
      }
    }
    return Math.max(0, ...lasts);
  }

  now(): number {
    return this.app.view.time * this.end();
  }

  /** Where time is on a path, a fraction between two stops. */
  stopOf(path: PathInfo): number {
    return stopAt(this.times(path), this.now());
  }

  /** Takes another clock where not all runs know the one that is set. */
  checkClock(): void {
    if (!this.clocks().some(([c]) => c === this.app.view.clock)) this.app.view.clock = 'epoch';
  }

  /** Goes on by so many seconds, where it plays. */
  advance(elapsed: number): void {
    if (!this.playing) return;
    const { view } = this.app;
    view.time = Math.min(1, view.time + (view.speed * elapsed) / FILM_SECS);
    if (view.time >= 1) {
      this.pause();
      this.app.link();
    }
  }

  private clocks(): [Clock, string][] {
    const paths = this.app.pathsOf(this.app.view.panes);
    const all: [Clock, string][] = [
      ['epoch', 'by epoch'],
      ['step', 'by step'],
      ['snapshot', 'by saved state'],
    ];
    if (paths.length && paths.every((p) => p.secs)) all.push(['time', 'by seconds']);
    return all;
  }

  private moves(): boolean {
    return this.end() > 0 || this.app.panes.some((p) => p.surface?.layers);
  }

  draw(): void {
    this.element.hidden = !this.moves();
    const chooser = select(this.clocks(), this.app.view.clock, (v) => {
      this.app.view.clock = v as Clock;
      this.drawCharts();
      this.app.redraw();
      this.app.link();
    });
    chooser.setAttribute('aria-label', 'What runs are synchronised by');
    this.element.querySelector('.clock-slot')!.replaceChildren(chooser);
  }

  private charted(): { title: string; color: number; series: RunInfo['series'] }[] {
    const seen = new Set<string>();
    return this.app.view.panes.flatMap(([s]) =>
      (this.app.content.header.subjects[s]?.runs ?? []).flatMap((run, r) => {
        const key = `${s}.${r}`;
        if (seen.has(key)) return [];
        seen.add(key);
        return [{ title: run.title, color: this.app.colorOf(s, r), series: run.series }];
      }),
    );
  }

  drawCharts(): void {
    const end = this.app.view.clock === 'snapshot' ? this.endEpoch() : this.end();
    this.charts.draw(this.app.content, this.charted(), this.app.view.clock, end, this.app.theme);
  }

  private endEpoch(): number {
    return Math.max(0, ...this.app.pathsOf(this.app.view.panes).map((p) => this.app.content.numbers(p.epoch).at(-1) ?? 0));
  }

  setTime(fraction: number): void {
    this.app.moved = performance.now();
    this.app.view.time = Math.min(1, Math.max(0, fraction));
    this.app.redraw();
    this.app.link();
  }

  /** To the next or the last saved state of the first path. */
  stepBy(direction: number): void {
    this.pause();
    const path = this.app.panes.find((p) => p.paths.length)?.paths[0]?.info;
    const end = this.end();
    if (!path || !(end > 0)) return this.setTime(this.app.view.time + 0.02 * direction);
    const times = this.times(path);
    const at = stopAt(times, this.now());
    const next = direction > 0 ? Math.floor(at + 1e-6) + 1 : Math.ceil(at - 1e-6) - 1;
    this.setTime(times[Math.min(times.length - 1, Math.max(0, next))]! / end);
  }

  togglePlay(): void {
    if (this.playing) return this.pause();
    if (this.app.view.time >= 1) this.app.view.time = 0;
    this.playing = true;
    this.playButton.textContent = 'Pause';
    this.app.redraw();
  }

  private pause(): void {
    this.playing = false;
    this.playButton.textContent = 'Play';
  }

  private momentText(): string {
    const path = this.app.panes.find((p) => p.paths.length);
    const info = path?.paths[0]?.info;
    const layers = this.app.panes[this.app.active]?.surface?.layers ?? this.app.panes.find((p) => p.surface?.layers)?.surface?.layers;
    const parts: string[] = [];
    if (info) {
      const at = stopAt(this.times(info), this.now());
      const epoch = between(this.app.content.numbers(info.epoch), at);
      parts.push(`epoch ${significant(epoch, epoch < 10 ? 3 : 4)}`, `step ${thousands(String(Math.round(between(this.app.content.numbers(info.step), at))))}`);
      if (this.app.view.clock === 'time') parts.push(`${significant(this.now(), 3)} s`);
    }
    if (layers && layers.kind !== 'snapshots') {
      parts.length = 0;
      parts.push(layers.labels[Math.round(this.app.view.time * (layers.labels.length - 1))] ?? '');
    }
    return parts.join(', ');
  }

  /** Says what the moment is. */
  tell(): void {
    this.scrub.value = String(this.app.view.time);
    const text = this.momentText();
    if (this.moment.textContent !== text) this.moment.textContent = text;
    this.scrub.setAttribute('aria-valuetext', text);
    if (this.app.view.clock === 'snapshot') {
      const path = this.app.panes.find((p) => p.paths.length)?.paths[0]?.info;
      if (path) this.charts.head(between(this.app.content.numbers(path.epoch), stopAt(this.times(path), this.now())));
    } else this.charts.head(this.now());
  }
}
