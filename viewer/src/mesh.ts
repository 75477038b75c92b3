// A surface in space: a lit sheet over a floor, in a box whose longer side is 2. Colours and heights follow one
// scale; what was not computed is a hole with the floor hatched below it, what lies above the range is a
// hatched cap, what was interpolated is paler.

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  DataTexture,
  DoubleSide,
  DynamicDrawUsage,
  FloatType,
  Group,
  LinearFilter,
  Mesh,
  NearestFilter,
  RGBAFormat,
  RGFormat,
  ShaderMaterial,
  Vector2,
  Vector3,
} from 'three';

import type { Field } from './field';
import { ends, place, type Scale } from './scale';
import { Walls } from './walls';

const SHEET_VERTEX = `
attribute float level;
attribute float band;
attribute float sky;
varying float vLevel;
varying float vBand;
varying float vSky;
varying vec3 vNormal;
varying vec3 vPlace;
varying vec2 vCell;
uniform vec2 cells;
uniform vec2 halves;
void main() {
  vLevel = level;
  vBand = band;
  vSky = sky;
  vNormal = normal;
  vPlace = position;
  vec2 uv = 0.5 * (position.xy / halves + 1.0);
  vCell = (uv * (cells - 1.0) + 0.5) / cells;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

const COMMON = `
vec3 linear(vec3 c) { return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), step(0.04045, c)); }
vec3 srgb(vec3 c) {
  c = clamp(c, 0.0, 1.0);
  return mix(12.92 * c, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c));
}
float stripes(vec2 p) {
  float s = fract((p.x + p.y) * 14.0);
  float w = max(fwidth((p.x + p.y) * 14.0), 1e-4);
  return smoothstep(0.32 - w, 0.32, s) * (1.0 - smoothstep(0.68, 0.68 + w, s));
}`;

const SHEET_FRAGMENT = `
varying float vLevel;
varying float vBand;
varying float vSky;
varying vec3 vNormal;
varying vec3 vPlace;
varying vec2 vCell;
uniform sampler2D shades;
uniform sampler2D marks;
uniform vec3 key;
uniform vec3 contour;
uniform vec3 hatch;
uniform vec3 paper;
uniform float lines;
uniform float pixel;
uniform float cut;
uniform float dark;
${COMMON}
void main() {
  vec4 mark = texture2D(marks, vCell);
  if (mark.r > 0.5) discard;
  vec3 colour = linear(texture2D(shades, vec2(clamp(vLevel, 0.0, 1.0) * 255.0 / 256.0 + 0.5 / 256.0, 0.5)).rgb);
  bool capped = vLevel > cut + 1e-4 || mark.b > 0.5;
  float wide = fwidth(vBand);
  if (lines > 0.5 && !capped) {
    float off = abs(fract(vBand + 0.5) - 0.5) / max(wide, 1e-5);
    float line = (1.0 - smoothstep(0.35 * pixel, 1.15 * pixel, off)) * (1.0 - smoothstep(0.25, 0.6, wide));
    colour = mix(colour, contour, 0.5 * line);
  }
  colour = mix(colour, paper, 0.42 * mark.g);
  if (capped) colour = mix(colour, hatch, 0.6 * stripes(vPlace.xy));
  vec3 n = normalize(vNormal);
  vec3 eye = normalize(cameraPosition - vPlace);
  float below = gl_FrontFacing ? 0.0 : 1.0;
  n = gl_FrontFacing ? n : -n;
  float lit = max(dot(n, key), 0.0);
  float fill = max(dot(n, eye), 0.0);
  float above = 0.5 + 0.5 * n.z;
  vec3 h = normalize(key + eye);
  float sky = mix(0.3, 1.0, vSky);
  float shine = 0.05 * pow(max(dot(n, h), 0.0), 32.0) * (1.0 - below);
  float light = 0.76 * lit * mix(1.0, sky, 0.45) + 0.24 * fill + 0.5 * above * sky;
  light *= mix(1.0, 0.75, below);
  gl_FragColor = vec4(srgb(colour * light * mix(1.0, 1.1, dark) + shine * sky), 1.0);
}`;

const FLOOR_VERTEX = `
varying vec2 vPlace;
varying vec2 vUv;
uniform vec2 halves;
void main() {
  vPlace = position.xy;
  vUv = 0.5 * (position.xy / halves + 1.0);
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

// The floor has the map of the surface, half as strong. Level and band are interpolated here: a linear filter is not
// to be had for 32 bits everywhere.
const FLOOR_FRAGMENT = `
varying vec2 vPlace;
varying vec2 vUv;
uniform sampler2D shades;
uniform sampler2D levels;
uniform sampler2D marks;
uniform vec2 lattice;
uniform vec2 cells;
uniform vec3 contour;
uniform vec3 hatch;
uniform vec3 paper;
uniform float lines;
uniform float pixel;
uniform float cut;
${COMMON}
vec2 at(vec2 uv) {
  vec2 p = clamp(uv, 0.0, 1.0) * (lattice - 1.0);
  ivec2 i = ivec2(min(floor(p), lattice - 2.0));
  vec2 t = p - vec2(i);
  vec2 a = mix(texelFetch(levels, i, 0).rg, texelFetch(levels, i + ivec2(1, 0), 0).rg, t.x);
  vec2 b = mix(texelFetch(levels, i + ivec2(0, 1), 0).rg, texelFetch(levels, i + ivec2(1, 1), 0).rg, t.x);
  return mix(a, b, t.y);
}
void main() {
  vec4 mark = texture2D(marks, (vUv * (cells - 1.0) + 0.5) / cells);
  vec2 here = at(vUv);
  vec3 colour = linear(texture2D(shades, vec2(clamp(here.x, 0.0, 1.0) * 255.0 / 256.0 + 0.5 / 256.0, 0.5)).rgb);
  float wide = fwidth(here.y);
  bool capped = here.x > cut + 1e-4 || mark.b > 0.5;
  if (lines > 0.5 && !capped) {
    float off = abs(fract(here.y + 0.5) - 0.5) / max(wide, 1e-5);
    float line = (1.0 - smoothstep(0.3 * pixel, 1.0 * pixel, off)) * (1.0 - smoothstep(0.25, 0.6, wide));
    colour = mix(colour, contour, 0.45 * line);
  }
  colour = mix(paper, colour, 0.42);
  if (mark.r > 0.5) colour = mix(paper, hatch, 0.6 * stripes(vPlace));
  else if (capped) colour = mix(colour, hatch, 0.35 * stripes(vPlace));
  gl_FragColor = vec4(srgb(colour), 1.0);
}`;

/** Marks of grid points in a texture: red a hole, green interpolated, blue overflow. */
function marksOf(field: Field): DataTexture {
  const texels = new Uint8Array(field.nx * field.ny * 4);
  const values = field.values;
  for (let k = 0; k < field.nx * field.ny; k++) {
    const v = values[k]!;
    texels[4 * k] = Number.isNaN(v) ? 255 : 0;
    texels[4 * k + 1] = field.status[k] === 2 ? 255 : 0;
    texels[4 * k + 2] = v === Infinity || v === -Infinity ? 255 : 0;
    texels[4 * k + 3] = 255;
  }
  const texture = new DataTexture(texels, field.nx, field.ny, RGBAFormat);
  texture.magFilter = texture.minFilter = NearestFilter;
  texture.needsUpdate = true;
  return texture;
}

/** How a surface looks, apart from its shape. */
export interface Look {
  shades: Uint8Array;
  lines: boolean;
  contour: string;
  hatch: string;
  paper: string;
  floor: string;
  /** Lines on the walls. */
  rule: string;
  dark: boolean;
}

function linearColor(hex: string): Vector3 {
  const c = new Color(hex);
  return new Vector3(c.r, c.g, c.b);
}

export class SurfaceMesh {
  readonly group = new Group();
  readonly halfX: number;
  readonly halfY: number;
  /** Heights on the lattice, row-major (my, mx). */
  heights: Float32Array = new Float32Array();
  /** The box's height. */
  relief = 1;
  private readonly geometry = new BufferGeometry();
  private readonly sheet: ShaderMaterial;
  private readonly floor: ShaderMaterial;
  private readonly marks: DataTexture;
  /** Level and band on the lattice, for the floor. */
  private readonly levels: DataTexture;
  private readonly walls: Walls;
  private shades: DataTexture | null = null;
  private stride = 0;
  private readonly indices = new Map<number, BufferAttribute>();

  constructor(readonly field: Field) {
    const [w, h] = [field.xs[field.nx - 1]! - field.xs[0]!, field.ys[field.ny - 1]! - field.ys[0]!];
    const longer = Math.max(w, h) || 1;
    this.halfX = Math.max(0.35, w / longer);
    this.halfY = Math.max(0.35, h / longer);
    this.marks = marksOf(field);
    this.levels = new DataTexture(new Float32Array(2 * field.mx * field.my), field.mx, field.my, RGFormat, FloatType);
    this.levels.magFilter = this.levels.minFilter = NearestFilter;
    const shared = {
      marks: { value: this.marks },
      hatch: { value: new Vector3() },
      cells: { value: new Vector2(field.nx, field.ny) },
      halves: { value: new Vector2(this.halfX, this.halfY) },
    };
    this.sheet = new ShaderMaterial({
      vertexShader: SHEET_VERTEX,
      fragmentShader: SHEET_FRAGMENT,
      side: DoubleSide,
      polygonOffset: true,
      polygonOffsetFactor: 1,
      polygonOffsetUnits: 1,
      uniforms: {
        ...shared,
        shades: { value: null },
        key: { value: new Vector3(0, 0, 1) },
        contour: { value: new Vector3() },
        paper: { value: new Vector3() },
        lines: { value: 1 },
        pixel: { value: 1 },
        cut: { value: 1 },
        dark: { value: 0 },
      },
    });
    this.floor = new ShaderMaterial({
      vertexShader: FLOOR_VERTEX,
      fragmentShader: FLOOR_FRAGMENT,
      side: DoubleSide,
      depthWrite: false,
      uniforms: {
        ...shared,
        levels: { value: this.levels },
        lattice: { value: new Vector2(field.mx, field.my) },
        shades: { value: null },
        contour: { value: new Vector3() },
        paper: { value: new Vector3() },
        lines: { value: 1 },
        pixel: { value: 1 },
        cut: { value: 1 },
      },
    });
    this.walls = new Walls(field, (x, y) => this.box(x, y), this.halfX, this.halfY);
    this.build();
  }

  private build(): void {
    const { mx, my } = this.field;
    const n = mx * my;
    const position = new Float32Array(3 * n);
    for (let j = 0; j < my; j++) {
      for (let i = 0; i < mx; i++) {
        const k = 3 * (j * mx + i);
        position[k] = this.halfX * ((2 * i) / (mx - 1) - 1);
        position[k + 1] = this.halfY * ((2 * j) / (my - 1) - 1);
      }
    }
    const attribute = (values: Float32Array, size: number) => {
      const found = new BufferAttribute(values, size);
      found.setUsage(DynamicDrawUsage);
      return found;
    };
    this.geometry.setAttribute('position', attribute(position, 3));
    this.geometry.setAttribute('normal', attribute(new Float32Array(3 * n), 3));
    this.geometry.setAttribute('level', attribute(new Float32Array(n), 1));
    this.geometry.setAttribute('band', attribute(new Float32Array(n), 1));
    this.geometry.setAttribute('sky', attribute(new Float32Array(n).fill(1), 1));
    this.detail(1);
    this.heights = new Float32Array(n);
    const sheet = new Mesh(this.geometry, this.sheet);
    sheet.frustumCulled = false;
    const floor = new BufferGeometry();
    const [x, y] = [this.halfX, this.halfY];
    floor.setAttribute('position', new BufferAttribute(Float32Array.of(-x, -y, 0, x, -y, 0, -x, y, 0, x, y, 0), 3));
    floor.setIndex([0, 1, 2, 1, 3, 2]);
    const below = new Mesh(floor, this.floor);
    below.renderOrder = -1;
    this.group.add(this.walls.group);
    this.group.add(below, sheet);
  }

  /** Draws every `stride`-th place of the lattice only, for machines that are slow while it moves. */
  detail(stride: number): void {
    if (stride === this.stride) return;
    this.stride = stride;
    let index = this.indices.get(stride);
    if (!index) {
      const { mx, my } = this.field;
      const some = (n: number) => {
        const found: number[] = [];
        for (let i = 0; i < n - 1; i += stride) found.push(i);
        return [...found, n - 1];
      };
      const [columns, rows] = [some(mx), some(my)];
      const list = new Uint32Array(6 * (columns.length - 1) * (rows.length - 1));
      let at = 0;
      for (let j = 0; j < rows.length - 1; j++) {
        for (let i = 0; i < columns.length - 1; i++) {
          const [a, b] = [rows[j]! * mx + columns[i]!, rows[j]! * mx + columns[i + 1]!];
          const [c, d] = [rows[j + 1]! * mx + columns[i]!, rows[j + 1]! * mx + columns[i + 1]!];
          list.set([a, b, c, b, d, c], at);
          at += 6;
        }
      }
      index = new BufferAttribute(list, 1);
      this.indices.set(stride, index);
    }
    this.geometry.setIndex(index);
  }

  /** Shapes the sheet: `lattice` has the places of `field` at some state, `cut` is a value. */
  shape(lattice: Float32Array, scale: Scale, cut: number, relief: number, soft: boolean): void {
    const [low, high] = ends(scale);
    const span = high - low;
    const top = Math.min(1, Math.max(0.02, (place(scale, cut) - low) / span));
    this.relief = relief;
    const position = this.geometry.getAttribute('position').array as Float32Array;
    const level = this.geometry.getAttribute('level').array as Float32Array;
    const band = this.geometry.getAttribute('band').array as Float32Array;
    const levels = scale.levels.map((v) => place(scale, v));
    const heights = this.heights;
    const flat = this.levels.image.data as Float32Array;
    for (let k = 0; k < heights.length; k++) {
      const p = lattice[k]!;
      const t = (p - low) / span;
      level[k] = flat[2 * k] = t;
      band[k] = flat[2 * k + 1] = bandOf(levels, p, low, high);
      // The cut takes the top off: what is left keeps its height.
      const z = relief * Math.min(top, Math.max(0, t));
      heights[k] = z;
      position[3 * k + 2] = z;
    }
    this.sheet.uniforms.cut!.value = this.floor.uniforms.cut!.value = top;
    this.levels.needsUpdate = true;
    this.walls.build(scale, low, span, top, relief);
    this.normals();
    if (!soft) this.light();
    for (const name of ['position', 'normal', 'level', 'band', 'sky']) {
      this.geometry.getAttribute(name).needsUpdate = true;
    }
  }

  private normals(): void {
    const { mx, my } = this.field;
    const h = this.heights;
    const normal = this.geometry.getAttribute('normal').array as Float32Array;
    const [sx, sy] = [(2 * this.halfX) / (mx - 1), (2 * this.halfY) / (my - 1)];
    for (let j = 0; j < my; j++) {
      const [j0, j1] = [Math.max(0, j - 1), Math.min(my - 1, j + 1)];
      for (let i = 0; i < mx; i++) {
        const [i0, i1] = [Math.max(0, i - 1), Math.min(mx - 1, i + 1)];
        const gx = (h[j * mx + i1]! - h[j * mx + i0]!) / ((i1 - i0) * sx);
        const gy = (h[j1 * mx + i]! - h[j0 * mx + i]!) / ((j1 - j0) * sy);
        const length = Math.sqrt(1 + gx * gx + gy * gy);
        const k = 3 * (j * mx + i);
        normal[k] = -gx / length;
        normal[k + 1] = -gy / length;
        normal[k + 2] = 1 / length;
      }
    }
  }

  /** How much of the sky each place sees: less in valleys. */
  private light(): void {
    const { mx, my } = this.field;
    const h = this.heights;
    const sky = this.geometry.getAttribute('sky').array as Float32Array;
    const [sx, sy] = [(2 * this.halfX) / (mx - 1), (2 * this.halfY) / (my - 1)];
    const directions = Array.from({ length: 8 }, (_, k) => [Math.cos((k * Math.PI) / 4), Math.sin((k * Math.PI) / 4)] as const);
    const reach = [0.02, 0.05, 0.1, 0.18, 0.3, 0.5];
    const steps = directions.map(([dx, dy]) =>
      reach.map((r) => [Math.round((r * dx) / sx), Math.round((r * dy) / sy), r] as const).filter(([a, b]) => a !== 0 || b !== 0),
    );
    for (let j = 0; j < my; j++) {
      for (let i = 0; i < mx; i++) {
        const here = h[j * mx + i]!;
        let open = 0;
        for (const way of steps) {
          let slope = 0;
          for (const [a, b, r] of way) {
            const [x, y] = [i + a, j + b];
            if (x < 0 || y < 0 || x >= mx || y >= my) break;
            const rise = (h[y * mx + x]! - here) / r;
            if (rise > slope) slope = rise;
          }
          open += 1 - slope / Math.sqrt(1 + slope * slope);
        }
        sky[j * mx + i] = open / steps.length;
      }
    }
  }

  dress(look: Look): void {
    this.shades?.dispose();
    this.shades = new DataTexture(look.shades, 256, 1, RGBAFormat);
    this.shades.magFilter = this.shades.minFilter = LinearFilter;
    this.shades.needsUpdate = true;
    for (const u of [this.sheet.uniforms, this.floor.uniforms]) {
      u.shades!.value = this.shades;
      u.lines!.value = look.lines ? 1 : 0;
      (u.contour!.value as Vector3).copy(linearColor(look.contour));
      (u.hatch!.value as Vector3).copy(linearColor(look.hatch));
      (u.paper!.value as Vector3).copy(linearColor(look.paper));
    }
    this.sheet.uniforms.dark!.value = look.dark ? 1 : 0;
    this.walls.paint(look.floor, look.rule);
  }

  /** The key light goes with the camera: from its left, a little behind. */
  illuminate(azimuth: number, pixel: number, eye: Vector3): void {
    this.walls.face(eye);
    const [turn, elevation] = [azimuth - 1.92, 0.64];
    const flat = Math.cos(elevation);
    (this.sheet.uniforms.key!.value as Vector3).set(flat * Math.cos(turn), flat * Math.sin(turn), Math.sin(elevation));
    this.sheet.uniforms.pixel!.value = this.floor.uniforms.pixel!.value = pixel;
  }

  /** A place in the box from coordinates of the plane. */
  box(x: number, y: number): [number, number] {
    const f = this.field;
    const u = (x - f.xs[0]!) / (f.xs[f.nx - 1]! - f.xs[0]!);
    const v = (y - f.ys[0]!) / (f.ys[f.ny - 1]! - f.ys[0]!);
    return [this.halfX * (2 * u - 1), this.halfY * (2 * v - 1)];
  }

  /** Coordinates of the plane from a place in the box. */
  plane(bx: number, by: number): [number, number] {
    const f = this.field;
    const [u, v] = [0.5 * (bx / this.halfX + 1), 0.5 * (by / this.halfY + 1)];
    return [f.xs[0]! + u * (f.xs[f.nx - 1]! - f.xs[0]!), f.ys[0]! + v * (f.ys[f.ny - 1]! - f.ys[0]!)];
  }

  /** The sheet's height at a place in the box. */
  height(bx: number, by: number): number {
    const { mx, my } = this.field;
    const u = Math.min(mx - 1.0001, Math.max(0, 0.5 * (bx / this.halfX + 1) * (mx - 1)));
    const v = Math.min(my - 1.0001, Math.max(0, 0.5 * (by / this.halfY + 1) * (my - 1)));
    const [i, j] = [Math.floor(u), Math.floor(v)];
    const [a, b] = [u - i, v - j];
    const k = j * mx + i;
    const h = this.heights;
    return (1 - b) * ((1 - a) * h[k]! + a * h[k + 1]!) + b * ((1 - a) * h[k + mx]! + a * h[k + mx + 1]!);
  }

  /** Where a ray from `eye` along `way` meets the sheet, as coordinates of the plane. */
  hit(eye: Vector3, way: Vector3): [number, number] | null {
    const inside = (p: Vector3) => Math.abs(p.x) <= this.halfX && Math.abs(p.y) <= this.halfY;
    const at = (t: number) => new Vector3().copy(way).multiplyScalar(t).add(eye);
    // Between the planes above and below the box.
    const [t0, t1] = [(this.relief + 0.01 - eye.z) / way.z, (-0.02 - eye.z) / way.z].sort((a, b) => a - b) as [number, number];
    if (!Number.isFinite(t0) || t1 < 0) return null;
    const steps = 400;
    let before = Math.max(0, t0);
    let above: boolean | null = null;
    for (let k = 0; k <= steps; k++) {
      const t = Math.max(0, t0) + ((t1 - Math.max(0, t0)) * k) / steps;
      const p = at(t);
      if (inside(p)) {
        const over = p.z > this.height(p.x, p.y);
        if (above !== null && over !== above) {
          let [low, high] = [before, t];
          for (let i = 0; i < 24; i++) {
            const middle = 0.5 * (low + high);
            const q = at(middle);
            if (q.z > this.height(q.x, q.y) === above) low = middle;
            else high = middle;
          }
          const q = at(high);
          return this.plane(q.x, q.y);
        }
        above = over;
      } else {
        above = null;
      }
      before = t;
    }
    return null;
  }

  /** Whether nothing of the sheet lies between a place just above it and `eye`. */
  sees(p: Vector3, eye: Vector3): boolean {
    const step = new Vector3().subVectors(eye, p).normalize().multiplyScalar(0.025);
    const at = p.clone();
    for (;;) {
      at.add(step);
      if (Math.abs(at.x) > this.halfX || Math.abs(at.y) > this.halfY || at.z > this.relief) return true;
      if (this.height(at.x, at.y) > at.z) return false;
    }
  }

  dispose(): void {
    this.geometry.dispose();
    this.sheet.dispose();
    this.floor.dispose();
    this.marks.dispose();
    this.levels.dispose();
    this.walls.dispose();
    this.shades?.dispose();
  }
}

/** How many levels lie below a place, with the fraction to the next. */
function bandOf(levels: number[], p: number, low: number, high: number): number {
  const n = levels.length;
  let i = 0;
  while (i < n && levels[i]! <= p) i++;
  const a = i === 0 ? Math.min(low, levels[0]!) - 1e-9 : levels[i - 1]!;
  const b = i === n ? Math.max(high, levels[n - 1]!) + 1e-9 : levels[i]!;
  // Lines are where this is whole; below the first level and above the last there is none.
  const t = Math.min(0.999, Math.max(0, (p - a) / (b - a)));
  return i === 0 ? 0.5 + 0.5 * t : i === n ? n + 0.5 * t : i + t;
}
