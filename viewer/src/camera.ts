// The camera of a pane, and how mouse, touch and keys move it.

import { PerspectiveCamera, Vector3 } from 'three';

import type { CameraState } from './state';

const FOV = 24;

/** Pixels beside and below the box that its labels take. */
const LABELS = [56, 24] as const;

/** Puts `camera` where `state` says, for a picture of this width and height in pixels and a box of these measures:
 * half its sides and its height. At distance 1 the box and its labels fit, from whichever side. */
export function place(camera: PerspectiveCamera, state: CameraState, [w, h]: [number, number], box: [number, number, number]): void {
  const [hx, hy, relief] = box;
  const aspect = w / h;
  const room = LABELS.map((pixels, i) => Math.max(0.5, 1 - (2 * pixels) / [w, h][i]!));
  camera.fov = FOV;
  camera.aspect = aspect;
  const vertical = (0.5 * FOV * Math.PI) / 180;
  const horizontal = Math.atan(Math.tan(vertical) * aspect);
  const [a, e] = [(state.azimuth * Math.PI) / 180, (Math.min(89.99, state.elevation) * Math.PI) / 180];
  const diagonal = Math.hypot(hx, hy);
  // Half of what is seen of the box, with room for labels; the near corner is larger than the middle.
  const wide = 0.96 * diagonal;
  const tall = 0.5 * (2 * diagonal * Math.abs(Math.sin(e)) + relief * Math.cos(e)) + 0.08;
  const base = Math.max(wide / Math.tan(horizontal) / room[0]!, tall / Math.tan(vertical) / room[1]!) + 0.5 * diagonal * Math.cos(e);
  const distance = base * state.distance;
  const target = new Vector3(state.pan[0], state.pan[1], 0.42 * relief + state.pan[2]);
  camera.position.set(Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)).multiplyScalar(distance).add(target);
  camera.up.set(0, 0, 1);
  camera.near = Math.max(0.01, distance - 4);
  camera.far = distance + 6;
  camera.lookAt(target);
  camera.updateProjectionMatrix();
  camera.updateMatrixWorld();
}

export interface CameraHost {
  camera(): CameraState;
  move(change: Partial<CameraState>): void;
  /** A press without a move. */
  tap(x: number, y: number): void;
  hover(x: number, y: number): void;
  leave(): void;
}

const clamp = (v: number, low: number, high: number) => Math.min(high, Math.max(low, v));

function turned(c: CameraState, dx: number, dy: number): Partial<CameraState> {
  const azimuth = ((((c.azimuth + dx + 180) % 360) + 360) % 360) - 180;
  return { azimuth, elevation: clamp(c.elevation + dy, -10, 90) };
}

function panned(c: CameraState, dx: number, dy: number): Partial<CameraState> {
  const a = (c.azimuth * Math.PI) / 180;
  const e = (c.elevation * Math.PI) / 180;
  // To the right of the picture, and to its top.
  const right = [-Math.sin(a), Math.cos(a), 0];
  const up = [-Math.cos(a) * Math.sin(e), -Math.sin(a) * Math.sin(e), Math.cos(e)];
  const pan = c.pan.map((p, i) => clamp(p - dx * right[i]! * c.distance - dy * up[i]! * c.distance, -1.5, 1.5));
  return { pan: pan as [number, number, number] };
}

function zoomed(c: CameraState, factor: number): Partial<CameraState> {
  return { distance: clamp(c.distance * factor, 0.15, 4) };
}

/** Lets the camera of `host` be moved on `element`. */
export function listen(element: HTMLElement, host: CameraHost): void {
  const pointers = new Map<number, { x: number; y: number }>();
  let moved = 0;
  let pan = false;
  element.addEventListener('pointerdown', (e) => {
    if (pointers.size === 0) [moved, pan] = [0, e.button === 2 || e.button === 1 || e.shiftKey];
    pointers.set(e.pointerId, { x: e.clientX, y: e.clientY });
    element.setPointerCapture(e.pointerId);
    element.focus({ preventScroll: true });
  });
  element.addEventListener('pointermove', (e) => {
    const last = pointers.get(e.pointerId);
    if (!last) {
      const box = element.getBoundingClientRect();
      host.hover(e.clientX - box.left, e.clientY - box.top);
      return;
    }
    const [dx, dy] = [e.clientX - last.x, e.clientY - last.y];
    const size = Math.min(element.clientWidth, element.clientHeight) || 1;
    moved += Math.abs(dx) + Math.abs(dy);
    if (pointers.size === 1) {
      if (moved < 4) return;
      if (pan) host.move(panned(host.camera(), (1.6 * dx) / size, (-1.6 * dy) / size));
      else host.move(turned(host.camera(), (-220 * dx) / size, (160 * dy) / size));
    } else if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== e.pointerId)![1];
      const before = Math.hypot(last.x - other.x, last.y - other.y);
      const now = Math.hypot(e.clientX - other.x, e.clientY - other.y);
      const c = host.camera();
      const zoom = before > 0 && now > 0 ? zoomed(c, before / now) : {};
      // Each of the two fingers moves the middle by half.
      host.move({ ...panned({ ...c, ...zoom }, (0.8 * dx) / size, (-0.8 * dy) / size), ...zoom });
    }
    pointers.set(e.pointerId, { x: e.clientX, y: e.clientY });
  });
  const up = (e: PointerEvent) => {
    if (!pointers.delete(e.pointerId)) return;
    if (moved < 4 && e.type === 'pointerup' && e.button === 0) {
      const box = element.getBoundingClientRect();
      host.tap(e.clientX - box.left, e.clientY - box.top);
    }
  };
  element.addEventListener('pointerup', up);
  element.addEventListener('pointercancel', up);
  element.addEventListener('pointerleave', () => host.leave());
  element.addEventListener('contextmenu', (e) => e.preventDefault());
  element.addEventListener(
    'wheel',
    (e) => {
      e.preventDefault();
      const lines = e.deltaMode === 1 ? 30 : 1;
      host.move(zoomed(host.camera(), Math.exp(clamp(e.deltaY * lines, -120, 120) * 0.0015)));
    },
    { passive: false },
  );
}

/** What a key does to a camera; null where it does nothing. */
export function byKey(key: string, shift: boolean, c: CameraState, home: CameraState): Partial<CameraState> | null {
  const arrows: Record<string, [number, number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
  };
  const arrow = arrows[key];
  if (arrow) {
    const [x, y] = arrow;
    return shift ? panned(c, -0.08 * x, -0.08 * y) : turned(c, 6 * x, 5 * y);
  }
  if (key === '+' || key === '=') return zoomed(c, 1 / 1.12);
  if (key === '-' || key === '_') return zoomed(c, 1.12);
  if (key === 'Home' || key === '0') return structuredClone(home);
  if (key === 't' || key === 'T') return { azimuth: -90, elevation: 90, pan: [0, 0, 0] };
  return null;
}
