// A grid of places as a smooth function: bicubic Hermite pieces whose slopes along both axes are those of
// monotone cubics (Fritsch and Butland 1984), so that no well is drawn that was not computed. The surface is
// drawn by it, and balls roll on it.

/** Values on a grid, row-major, with what a smooth function through them needs. */
export class Interpolant {
  private readonly dx: Float64Array;
  private readonly dy: Float64Array;

  constructor(
    readonly xs: ArrayLike<number>,
    readonly ys: ArrayLike<number>,
    /** Finite values; see `filled`. */
    readonly z: Float64Array,
  ) {
    const [nx, ny] = [xs.length, ys.length];
    this.dx = new Float64Array(nx * ny);
    this.dy = new Float64Array(nx * ny);
    for (let iy = 0; iy < ny; iy++) slopes(xs, z, iy * nx, 1, this.dx);
    for (let ix = 0; ix < nx; ix++) slopes(ys, z, ix, nx, this.dy);
  }

  /** Value and gradient at a point; beyond the grid those at its border. */
  at(x: number, y: number): [value: number, dx: number, dy: number] {
    const nx = this.xs.length;
    const [i, s, hx] = piece(this.xs, x);
    const [j, t, hy] = piece(this.ys, y);
    const [a, da] = hermite(s);
    const [b, db] = hermite(t);
    let [v, vx, vy] = [0, 0, 0];
    for (let q = 0; q < 2; q++) {
      for (let p = 0; p < 2; p++) {
        const k = (j + q) * nx + i + p;
        const [z, zx, zy] = [this.z[k]!, this.dx[k]! * hx, this.dy[k]! * hy];
        const [f, g] = [z * a[p]! + zx * a[2 + p]!, z * da[p]! + zx * da[2 + p]!];
        v += f * b[q]! + zy * a[p]! * b[2 + q]!;
        vx += g * b[q]! + zy * da[p]! * b[2 + q]!;
        vy += f * db[q]! + zy * a[p]! * db[2 + q]!;
      }
    }
    return [v, vx / hx, vy / hy];
  }

  /** Values on an even lattice of `mx` columns and `my` rows over the grid. */
  lattice(mx: number, my: number): Float32Array {
    const [nx, ny] = [this.xs.length, this.ys.length];
    const out = new Float32Array(mx * my);
    const columns = along(this.xs, mx);
    const rows = along(this.ys, my);
    for (let my_ = 0; my_ < my; my_++) {
      const [j, b] = rows[my_]!;
      const hy = (this.ys[j + 1] ?? 0) - this.ys[j]!;
      for (let mx_ = 0; mx_ < mx; mx_++) {
        const [i, a] = columns[mx_]!;
        const hx = (this.xs[i + 1] ?? 0) - this.xs[i]!;
        let v = 0;
        for (let q = 0; q < 2 && j + q < ny; q++) {
          for (let p = 0; p < 2 && i + p < nx; p++) {
            const k = (j + q) * nx + i + p;
            v += (this.z[k]! * a[p]! + this.dx[k]! * hx * a[2 + p]!) * b[q]! + this.dy[k]! * hy * a[p]! * b[2 + q]!;
          }
        }
        out[my_ * mx + mx_] = v;
      }
    }
    return out;
  }
}

function along(ts: ArrayLike<number>, m: number): [number, Float64Array][] {
  const [first, last] = [ts[0]!, ts[ts.length - 1]!];
  return Array.from({ length: m }, (_, k) => {
    const [i, s] = piece(ts, m > 1 ? first + ((last - first) * k) / (m - 1) : first);
    return [i, hermite(s)[0]];
  });
}

/** The piece that `t` is in, where in it (0 to 1), and its length. */
function piece(ts: ArrayLike<number>, t: number): [number, number, number] {
  let [low, high] = [0, ts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (ts[middle]! <= t) low = middle;
    else high = middle;
  }
  const h = ts[low + 1]! - ts[low]!;
  return [low, Math.min(1, Math.max(0, (t - ts[low]!) / h)), h];
}

/** The Hermite basis (value left, value right, slope left, slope right) and its derivatives. */
function hermite(s: number): [Float64Array, Float64Array] {
  const [s2, s3] = [s * s, s * s * s];
  return [
    Float64Array.of(2 * s3 - 3 * s2 + 1, 3 * s2 - 2 * s3, s3 - 2 * s2 + s, s3 - s2),
    Float64Array.of(6 * s2 - 6 * s, 6 * s - 6 * s2, 3 * s2 - 4 * s + 1, 3 * s2 - 2 * s),
  ];
}

function slopes(ts: ArrayLike<number>, z: Float64Array, start: number, stride: number, out: Float64Array): void {
  const n = ts.length;
  const d = (i: number) => (z[start + (i + 1) * stride]! - z[start + i * stride]!) / h(i);
  const h = (i: number) => ts[i + 1]! - ts[i]!;
  for (let i = 1; i < n - 1; i++) {
    const [before, after] = [d(i - 1), d(i)];
    if (before * after > 0) {
      const [w1, w2] = [2 * h(i) + h(i - 1), h(i) + 2 * h(i - 1)];
      out[start + i * stride] = (w1 + w2) / (w1 / before + w2 / after);
    }
  }
  const end = (near: number, far: number) => {
    if (n === 2) return d(near);
    const [dn, df] = [d(near), d(far)];
    const slope = ((2 * h(near) + h(far)) * dn - h(near) * df) / (h(near) + h(far));
    if (slope * dn <= 0) return 0;
    return dn * df < 0 && Math.abs(slope) > 3 * Math.abs(dn) ? 3 * dn : slope;
  };
  out[start] = end(0, 1);
  out[start + (n - 1) * stride] = end(n - 2, n - 3);
}

/** `z` with each NaN replaced by the mean of its known neighbours, ring after ring; null if all are NaN. */
export function filled(z: Float64Array, nx: number, ny: number): Float64Array | null {
  let open: number[] = [];
  for (let k = 0; k < z.length; k++) if (Number.isNaN(z[k]!)) open.push(k);
  if (open.length === z.length) return null;
  const out = Float64Array.from(z);
  while (open.length) {
    const found: [number, number][] = [];
    const left: number[] = [];
    for (const k of open) {
      const [ix, iy] = [k % nx, Math.floor(k / nx)];
      let [sum, count] = [0, 0];
      for (let y = Math.max(0, iy - 1); y <= Math.min(ny - 1, iy + 1); y++) {
        for (let x = Math.max(0, ix - 1); x <= Math.min(nx - 1, ix + 1); x++) {
          const v = out[y * nx + x]!;
          if (!Number.isNaN(v)) [sum, count] = [sum + v, count + 1];
        }
      }
      if (count) found.push([k, sum / count]);
      else left.push(k);
    }
    for (const [k, v] of found) out[k] = v;
    open = left;
  }
  return out;
}
