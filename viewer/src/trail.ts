// A path on a surface: a line that grows with time, a dot for each saved state, a marker at its end. What the
// surface hides is drawn faintly.

import { BufferAttribute, BufferGeometry, Color, GreaterDepth, Group, type InterleavedBufferAttribute, Points, ShaderMaterial } from 'three';
import { Line2 } from 'three/addons/lines/Line2.js';
import { LineGeometry } from 'three/addons/lines/LineGeometry.js';
import { LineMaterial } from 'three/addons/lines/LineMaterial.js';

import type { SurfaceMesh } from './mesh';

/** How far above the surface a path lies, in the box's units. */
const LIFT = 0.006;
/** The longest piece of a line that is drawn straight, and the shortest that is drawn: less than a pixel. */
const PIECE = 0.02;
const LEAST = 0.002;

const DOT_VERTEX = `
uniform float size;
void main() {
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  gl_Position.z -= 0.0006 * gl_Position.w;
  gl_PointSize = size;
}`;

const DOT_FRAGMENT = `
uniform vec3 colour;
uniform vec3 casing;
uniform float size;
uniform float rim;
void main() {
  float r = length(gl_PointCoord - 0.5) * size;
  float edge = 0.5 * size;
  float alpha = 1.0 - smoothstep(edge - 1.0, edge, r);
  if (alpha <= 0.0) discard;
  float inner = 1.0 - smoothstep(edge - rim - 1.0, edge - rim, r);
  gl_FragColor = vec4(mix(casing, colour, inner), alpha);
}`;

function dots(rim: number, depthTest: boolean): ShaderMaterial {
  return new ShaderMaterial({
    vertexShader: DOT_VERTEX,
    fragmentShader: DOT_FRAGMENT,
    transparent: true,
    depthTest,
    depthWrite: false,
    uniforms: { colour: { value: new Color() }, casing: { value: new Color() }, size: { value: 6 }, rim: { value: rim } },
  });
}

/** sRGB as it is, for shaders that write it as it is. */
function plain(hex: string): Color {
  const c = new Color(hex);
  return c.convertLinearToSRGB();
}

export class Trail {
  readonly group = new Group();
  private readonly lines: { line: Line2; tip: Line2; width: number; material: LineMaterial; main: boolean }[] = [];
  private readonly points: Points;
  private readonly marker: Points;
  private vertexOf: number[] = [];
  private count = 0;
  private flat: number[] = [];

  constructor(
    /** Coordinates on the plane; the first that is not finite ends the path. */
    private readonly xs: ArrayLike<number>,
    private readonly ys: ArrayLike<number>,
    width: number,
    private readonly withDots: boolean,
  ) {
    const add = (extra: number, order: number, hidden: boolean) => {
      const material = new LineMaterial({ linewidth: width + extra, transparent: hidden, depthWrite: false });
      // A little towards the eye: on a steep slope what lies above it is hardly in front of it.
      material.vertexShader = material.vertexShader.replace('gl_Position = clip;', 'clip.z -= 0.0008 * clip.w; gl_Position = clip;');
      if (hidden) {
        material.depthFunc = GreaterDepth;
        material.opacity = 0.28;
      }
      const make = () => {
        const line = new Line2(new LineGeometry(), material);
        line.renderOrder = order;
        line.frustumCulled = false;
        this.group.add(line);
        return line;
      };
      this.lines.push({ line: make(), tip: make(), width: width + extra, material, main: extra === 0 && !hidden });
    };
    add(2.4, 1, false);
    add(0, 2, false);
    add(0, 3, true);
    this.points = new Points(new BufferGeometry(), dots(1, true));
    this.marker = new Points(new BufferGeometry(), dots(2, false));
    this.points.renderOrder = 4;
    this.marker.renderOrder = 6;
    this.points.frustumCulled = this.marker.frustumCulled = false;
    this.marker.geometry.setAttribute('position', new BufferAttribute(new Float32Array(3), 3));
    this.group.add(this.points, this.marker);
  }

  get length(): number {
    return this.count;
  }

  /** Lays the path onto the sheet. */
  lay(mesh: SurfaceMesh): void {
    this.flat = [];
    this.vertexOf = [];
    const stops: number[] = [];
    this.count = 0;
    for (let k = 0; k < this.xs.length; k++) {
      const [x, y] = [this.xs[k]!, this.ys[k]!];
      if (!Number.isFinite(x) || !Number.isFinite(y)) break;
      const [bx, by] = mesh.box(x, y);
      if (k > 0) {
        const n = this.flat.length;
        const [ax, ay] = [this.flat[n - 3]!, this.flat[n - 2]!];
        const length = Math.hypot(bx - ax, by - ay);
        // The last stop is always drawn.
        const skipped = length < LEAST && k < this.xs.length - 1;
        const pieces = skipped ? 0 : Math.min(60, Math.max(1, Math.ceil(length / PIECE)));
        for (let i = 1; i <= pieces; i++) {
          const [px, py] = [ax + ((bx - ax) * i) / pieces, ay + ((by - ay) * i) / pieces];
          this.flat.push(px, py, this.on(mesh, px, py));
        }
      } else {
        this.flat.push(bx, by, this.on(mesh, bx, by));
      }
      this.vertexOf.push(this.flat.length / 3 - 1);
      stops.push(bx, by, this.on(mesh, bx, by));
      this.count++;
    }
    for (const { line, tip } of this.lines) {
      const whole = this.flat.length >= 6 ? this.flat : [0, 0, -9, 0, 0, -9];
      line.geometry.dispose();
      line.geometry = new LineGeometry();
      line.geometry.setPositions(whole);
      tip.geometry.dispose();
      tip.geometry = new LineGeometry();
      tip.geometry.setPositions([0, 0, -9, 0, 0, -9]);
    }
    this.points.geometry.dispose();
    this.points.geometry = new BufferGeometry();
    this.points.geometry.setAttribute('position', new BufferAttribute(Float32Array.from(stops), 3));
  }

  private on(mesh: SurfaceMesh, bx: number, by: number): number {
    return mesh.height(bx, by) + LIFT;
  }

  /** Shows the path up to the stop `at`, a fraction between two stops. */
  reach(at: number): void {
    const last = this.count - 1;
    const shown = this.count > 0;
    this.group.visible = shown;
    if (!shown) return;
    const clamped = Math.min(last, Math.max(0, at));
    const whole = Math.floor(clamped);
    const from = this.vertexOf[whole]!;
    const to = this.vertexOf[Math.min(last, whole + 1)]!;
    const vertex = from + (to - from) * (clamped - whole);
    const i = Math.floor(vertex);
    const t = vertex - i;
    const j = Math.min(this.flat.length / 3 - 1, i + 1);
    const tip = [0, 1, 2].map((c) => this.flat[3 * i + c]! + t * (this.flat[3 * j + c]! - this.flat[3 * i + c]!));
    for (const { line, tip: end } of this.lines) {
      line.geometry.instanceCount = i;
      line.visible = i > 0;
      end.visible = t > 0;
      if (t > 0) {
        // Start and end of the one piece are interleaved.
        const piece = (end.geometry.getAttribute('instanceStart') as InterleavedBufferAttribute).data;
        (piece.array as Float32Array).set([...this.flat.slice(3 * i, 3 * i + 3), ...tip]);
        piece.needsUpdate = true;
      }
    }
    this.points.visible = this.withDots;
    this.points.geometry.setDrawRange(0, whole + 1);
    const position = this.marker.geometry.getAttribute('position');
    position.setXYZ(0, tip[0]!, tip[1]!, tip[2]!);
    position.needsUpdate = true;
  }

  /** Leaves out what is drawn around and behind the line, for machines that are slow while it moves. */
  quick(on: boolean): void {
    for (const { line, tip, main } of this.lines) {
      if (main) continue;
      line.layers.set(on ? 1 : 0);
      tip.layers.set(on ? 1 : 0);
    }
  }

  /** Where the marker is, in the box. */
  tip(): [number, number, number] {
    const p = this.marker.geometry.getAttribute('position');
    return [p.getX(0), p.getY(0), p.getZ(0)];
  }

  paint(colour: string, casing: string, ratio: number, scale: number): void {
    const [c, k] = [plain(colour), plain(casing)];
    this.lines.forEach(({ material, width }, i) => {
      material.color.set(i === 0 ? casing : colour);
      material.linewidth = width * scale;
    });
    for (const [points, size] of [
      [this.points, 6.5],
      [this.marker, 17],
    ] as const) {
      const u = (points.material as ShaderMaterial).uniforms;
      (u.colour!.value as Color).copy(c);
      (u.casing!.value as Color).copy(k);
      u.size!.value = size * ratio * scale;
      u.rim!.value = (points === this.marker ? 2.4 : 1.2) * ratio * scale;
    }
  }

  dispose(): void {
    for (const { line, tip, material } of this.lines) {
      line.geometry.dispose();
      tip.geometry.dispose();
      material.dispose();
    }
    for (const points of [this.points, this.marker]) {
      points.geometry.dispose();
      (points.material as ShaderMaterial).dispose();
    }
  }
}
