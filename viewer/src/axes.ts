// Axes, ticks, labels and the colour bar of a pane, drawn over it on a flat canvas, so that words are as sharp as
// the page's own.

import { type PerspectiveCamera, Vector3 } from 'three';

import { parse } from './colors';
import type { SurfaceMesh } from './mesh';
import { isShare, percent, significant } from './numbers';
import { axisTicks, ends, place, type Scale, ticks, valueAt } from './scale';

export interface Ink {
  text: string;
  muted: string;
  rule: string;
  paper: string;
  font: string;
  /** The size of labels, in CSS pixels. */
  size: number;
}

export interface Area {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** Pixels on the overlay of a place in the box. */
export function projector(camera: PerspectiveCamera, area: Area): (p: [number, number, number]) => [number, number, number] {
  const v = new Vector3();
  return ([x, y, z]) => {
    v.set(x, y, z).project(camera);
    return [area.x + 0.5 * (v.x + 1) * area.w, area.y + 0.5 * (1 - v.y) * area.h, v.z];
  };
}

export function tickText(key: string, value: number): string {
  return isShare(key) ? percent(value, 3) : significant(value, 3);
}

/** Draws the box's edges that do not hide the surface, with their ticks and names. */
export function drawAxes(
  g: CanvasRenderingContext2D,
  area: Area,
  camera: PerspectiveCamera,
  mesh: SurfaceMesh,
  scale: Scale,
  cut: number,
  names: [string, string],
  ink: Ink,
): void {
  const project = projector(camera, area);
  const small = area.w < 300 || area.h < 240;
  const size = small ? ink.size * 0.86 : ink.size;
  const eye = camera.position;
  const [hx, hy] = [mesh.halfX, mesh.halfY];
  // The edges of the floor that face the camera.
  const sy = eye.y < 0 ? -1 : 1;
  const sx = eye.x < 0 ? -1 : 1;
  g.save();
  g.beginPath();
  g.rect(area.x, area.y, area.w, area.h);
  g.clip();
  g.lineCap = 'round';
  g.font = `${size}px ${ink.font}`;
  const line = (a: [number, number, number], b: [number, number, number]) => {
    const [p, q] = [project(a), project(b)];
    g.beginPath();
    g.moveTo(p[0], p[1]);
    g.lineTo(q[0], q[1]);
    g.stroke();
  };
  const taken: Area[] = [];
  const words = (text: string, at: [number, number], away: [number, number], gap: number, color: string) => {
    const length = Math.hypot(away[0], away[1]) || 1;
    const [ux, uy] = [away[0] / length, away[1] / length];
    g.textAlign = Math.abs(ux) < 0.35 ? 'center' : ux > 0 ? 'left' : 'right';
    g.textBaseline = 'middle';
    const width = g.measureText(text).width;
    const left = g.textAlign === 'center' ? 0.5 * width : g.textAlign === 'right' ? width : 0;
    // Not beyond the pane.
    const x = Math.min(area.x + area.w - 4 - width + left, Math.max(area.x + 4 + left, at[0] + gap * ux));
    const y = at[1] + gap * uy * 1.1;
    const box = { x: x - left - 1, y: y - 0.5 * size, w: width + 2, h: size };
    if (taken.some((t) => box.x < t.x + t.w && t.x < box.x + box.w && box.y < t.y + t.h && t.y < box.y + box.h)) return;
    taken.push(box);
    g.lineWidth = 3;
    g.strokeStyle = ink.paper;
    g.lineJoin = 'round';
    g.strokeText(text, x, y);
    g.fillStyle = color;
    g.fillText(text, x, y);
  };
  const middle = project([0, 0, 0]);
  const f = mesh.field;
  const sides: [axis: 0 | 1, from: [number, number, number], to: [number, number, number]][] = [
    [0, [-hx, sy * hy, 0], [hx, sy * hy, 0]],
    [1, [sx * hx, -hy, 0], [sx * hx, hy, 0]],
  ];
  for (const [axis, from, to] of sides) {
    const [a, b] = [project(from), project(to)];
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    g.strokeStyle = ink.rule;
    g.lineWidth = 1.25;
    line(from, to);
    if (length < 36) continue;
    // Away from the floor's middle, at a right angle to the edge on the screen.
    let away: [number, number] = [-(b[1] - a[1]) / length, (b[0] - a[0]) / length];
    const centre: [number, number] = [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])];
    if (away[0] * (centre[0] - middle[0]) + away[1] * (centre[1] - middle[1]) < 0) away = [-away[0], -away[1]];
    if (!small || length > 110) {
      const out = Math.abs(away[0]) > 0.5 ? 42 : small ? 30 : 28;
      words(names[axis], centre, away, out * (size / 13), ink.text);
    }
    const coordinates = axis === 0 ? f.xs : f.ys;
    const [low, high] = [coordinates[0]!, coordinates[coordinates.length - 1]!];
    let count = small ? 3 : 5;
    if (length < 130) count = 2;
    for (const tick of ticks(low, high, count)) {
      const [bx, by] = axis === 0 ? mesh.box(tick, f.ys[0]!) : mesh.box(f.xs[0]!, tick);
      const spot: [number, number, number] = axis === 0 ? [bx, sy * hy, 0] : [sx * hx, by, 0];
      const p = project(spot);
      g.strokeStyle = ink.muted;
      g.lineWidth = 1.25;
      g.beginPath();
      g.moveTo(p[0], p[1]);
      g.lineTo(p[0] + 5 * away[0], p[1] + 5 * away[1]);
      g.stroke();
      words(significant(tick, 4), [p[0], p[1]], away, 9, ink.muted);
    }
  }
  // The upright edge farthest to the left or right of the floor, where it hides nothing.
  if (eye.z < 5.2 * Math.hypot(eye.x, eye.y)) {
    const corners = [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ].map(([cx, cy]) => ({ corner: [cx! * hx, cy! * hy] as const, p: project([cx! * hx, cy! * hy, 0]) }));
    const left = corners.reduce((a, b) => (b.p[0] < a.p[0] ? b : a)).corner;
    const [bottom, top] = ends(scale);
    const shown = Math.min(place(scale, cut), top);
    const z = (value: number) => (mesh.relief * (place(scale, value) - bottom)) / (top - bottom);
    g.strokeStyle = ink.rule;
    g.lineWidth = 1.25;
    line([left[0], left[1], 0], [left[0], left[1], (mesh.relief * (shown - bottom)) / (top - bottom)]);
    const pixels = Math.abs(project([left[0], left[1], 0])[1] - project([left[0], left[1], mesh.relief])[1]);
    const count = Math.max(2, Math.min(6, Math.floor(pixels / 26)));
    if (pixels > 40) {
      for (const value of axisTicks(scale, count, valueAt(scale, shown))) {
        const p = project([left[0], left[1], z(value)]);
        g.strokeStyle = ink.muted;
        g.lineWidth = 1.25;
        g.beginPath();
        g.moveTo(p[0], p[1]);
        g.lineTo(p[0] - 5, p[1]);
        g.stroke();
        words(tickText(f.key, value), [p[0], p[1]], [-1, 0], 9, ink.muted);
      }
      const head = project([left[0], left[1], (mesh.relief * (shown - bottom)) / (top - bottom)]);
      if (!small) words(`${f.label}${scale.log ? ' (log)' : ''}`, [head[0], head[1]], [0, -1], 14, ink.text);
    }
  }
  g.restore();
}

/** A colour bar, upright, with its ticks at its left and its name above it. */
export function drawBar(
  g: CanvasRenderingContext2D,
  at: Area,
  scale: Scale,
  cut: number,
  key: string,
  name: string,
  shades: Uint8Array,
  ink: Ink,
): void {
  const [low, high] = ends(scale);
  const size = Math.max(10.5, ink.size * 0.88);
  g.save();
  g.font = `${size}px ${ink.font}`;
  const rows = Math.round(at.h);
  for (let i = 0; i < rows; i++) {
    const k = 4 * Math.round((1 - (i + 0.5) / rows) * 255);
    g.fillStyle = `rgb(${shades[k]},${shades[k + 1]},${shades[k + 2]})`;
    g.fillRect(at.x, at.y + i, at.w, 1.5);
  }
  const top = Math.min(place(scale, cut), high);
  const yOf = (p: number) => at.y + at.h * (1 - (p - low) / (high - low));
  if (top < high - 1e-9) {
    g.fillStyle = `${ink.paper}cc`;
    g.fillRect(at.x - 1, at.y - 1, at.w + 2, yOf(top) - at.y + 1);
  }
  g.strokeStyle = ink.muted;
  g.lineWidth = 1;
  g.strokeRect(at.x + 0.5, at.y + 0.5, at.w - 1, at.h - 1);
  g.textAlign = 'right';
  g.textBaseline = 'middle';
  for (const value of axisTicks(scale, Math.max(2, Math.floor(at.h / 24)))) {
    const y = yOf(place(scale, value));
    if (y < at.y - 1 || y > at.y + at.h + 1) continue;
    g.strokeStyle = ink.muted;
    g.beginPath();
    g.moveTo(at.x, y);
    g.lineTo(at.x - 4, y);
    g.stroke();
    const text = tickText(key, value);
    g.lineWidth = 3;
    g.strokeStyle = ink.paper;
    g.strokeText(text, at.x - 7, y);
    g.fillStyle = ink.muted;
    g.fillText(text, at.x - 7, y);
    g.lineWidth = 1;
  }
  const title = name;
  g.lineWidth = 3;
  g.strokeStyle = ink.paper;
  g.strokeText(title, at.x + at.w, at.y - 1.1 * size);
  g.fillStyle = ink.text;
  g.fillText(title, at.x + at.w, at.y - 1.1 * size);
  if (scale.clippedHigh) {
    g.fillStyle = ink.muted;
    g.textBaseline = 'top';
    const note = `hatched: above ${tickText(key, valueAt(scale, top))}`;
    g.strokeText(note, at.x + at.w, at.y + at.h + 6);
    g.fillText(note, at.x + at.w, at.y + at.h + 6);
  }
  g.restore();
}

/** Whether words on a colour are better dark. */
export function isPale(hex: string): boolean {
  const [r, g, b] = parse(hex);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140;
}
