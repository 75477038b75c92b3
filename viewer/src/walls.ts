// The two sides of the box behind the surface, with lines at the ticks of its axes.

import { BufferAttribute, BufferGeometry, Color, DoubleSide, Group, LineBasicMaterial, LineSegments, Mesh, MeshBasicMaterial, type Vector3 } from 'three';

import type { Field } from './field';
import { axisTicks, place, type Scale, ticks, valueAt } from './scale';

/** How many lines along an axis. */
const LINES = 5;

export class Walls {
  readonly group = new Group();
  private readonly fill = new MeshBasicMaterial({ side: DoubleSide, depthWrite: false });
  private readonly rule = new LineBasicMaterial({ depthWrite: false });
  /** At x = -, x = +, y = - and y = +. */
  private readonly sides: { side: Group; axis: 0 | 1; sign: number }[] = [];

  constructor(
    private readonly field: Field,
    private readonly box: (x: number, y: number) => [number, number],
    private readonly halfX: number,
    private readonly halfY: number,
  ) {
    for (const axis of [0, 1] as const) {
      for (const sign of [-1, 1]) {
        const side = new Group();
        this.sides.push({ side, axis, sign });
        this.group.add(side);
      }
    }
  }

  build(scale: Scale, low: number, span: number, top: number, relief: number): void {
    const { field, halfX, halfY } = this;
    const h = relief * top;
    const heights = axisTicks(scale, LINES, valueAt(scale, low + top * span)).map((v) => (relief * (place(scale, v) - low)) / span);
    const along = (axis: 0 | 1) => {
      const t = axis === 0 ? field.xs : field.ys;
      return ticks(t[0]!, t[t.length - 1]!, LINES).map((v) => this.box(axis === 0 ? v : field.xs[0]!, axis === 1 ? v : field.ys[0]!)[axis]);
    };
    for (const { side, axis, sign } of this.sides) {
      this.empty(side);
      const other = axis === 0 ? 1 : 0;
      const reach = other === 0 ? halfX : halfY;
      const at = sign * (axis === 0 ? halfX : halfY);
      const point = (u: number, z: number): number[] => (axis === 0 ? [at, u, z] : [u, at, z]);
      const wall = new BufferGeometry();
      wall.setAttribute('position', new BufferAttribute(Float32Array.from([...point(-reach, 0), ...point(reach, 0), ...point(-reach, h), ...point(reach, h)]), 3));
      wall.setIndex([0, 1, 2, 1, 3, 2]);
      const ends: number[] = [];
      for (const z of [...heights, h]) ends.push(...point(-reach, z), ...point(reach, z));
      for (const u of [...along(other), -reach, reach]) ends.push(...point(u, 0), ...point(u, h));
      const lines = new BufferGeometry();
      lines.setAttribute('position', new BufferAttribute(Float32Array.from(ends), 3));
      const [fill, rule] = [new Mesh(wall, this.fill), new LineSegments(lines, this.rule)];
      fill.renderOrder = -3;
      rule.renderOrder = -2;
      side.add(fill, rule);
    }
  }

  /** Shows the two sides that lie behind what `eye` sees. */
  face(eye: Vector3): void {
    const away = [eye.x < 0 ? 1 : -1, eye.y < 0 ? 1 : -1];
    for (const { side, axis, sign } of this.sides) side.visible = sign === away[axis];
  }

  paint(fill: string, rule: string): void {
    this.fill.color = new Color(fill);
    this.rule.color = new Color(rule);
  }

  private empty(side: Group): void {
    for (const child of [...side.children]) {
      (child as Mesh).geometry.dispose();
      side.remove(child);
    }
  }

  dispose(): void {
    for (const { side } of this.sides) this.empty(side);
    this.fill.dispose();
    this.rule.dispose();
  }
}
