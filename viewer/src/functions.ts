// The functions of `src/objective/functions.rs`, for balls that roll on the function itself and not on the
// drawing between its grid points. A test compares them with the values on the page's grid.

type Point = [x: number, y: number];
type Of = (x: number, y: number) => [value: number, gradient: Point];

const TAU = 2 * Math.PI;

const linearRegression: Of = (x, y) => {
  const [u, v] = [x - 1.5, y + 0.5];
  return [u * u + 0.5 * v * v, [2 * u, v]];
};

const collinearRegression: Of = (x, y) => {
  const [u, v, r] = [x - 1, y - 1, 0.98];
  return [0.5 * (u * u + v * v) + r * u * v, [u + r * v, v + r * u]];
};

const rosenbrock: Of = (x, y) => {
  const v = y - x * x;
  return [(1 - x) ** 2 + 100 * v * v, [-2 * (1 - x) - 400 * x * v, 200 * v]];
};

const beale: Of = (x, y) => {
  let [value, gx, gy] = [0, 0, 0];
  for (const [k, c] of [1.5, 2.25, 2.625].entries()) {
    const n = k + 1;
    const t = c - x + x * y ** n;
    value += t * t;
    gx += 2 * t * (y ** n - 1);
    gy += 2 * t * n * x * y ** (n - 1);
  }
  return [value, [gx, gy]];
};

const himmelblau: Of = (x, y) => {
  const [a, b] = [x * x + y - 11, x + y * y - 7];
  return [a * a + b * b, [4 * a * x + 2 * b, 2 * a + 4 * b * y]];
};

const saddle: Of = (x, y) => [0.5 * x * x + 0.25 * (y * y - 1) ** 2, [x, y * (y * y - 1)]];

const ravine: Of = (x, y) => [0.5 * (x * x + 100 * y * y), [x, 100 * y]];

const rotated: Of = (x, y) => {
  const [s, c] = [Math.sin(Math.PI / 6), Math.cos(Math.PI / 6)];
  const [value, [gu, gv]] = ravine(c * x + s * y, c * y - s * x);
  return [value, [c * gu - s * gv, s * gu + c * gv]];
};

const rastrigin: Of = (x, y) => {
  const term = (u: number) => 10 + u * u - 10 * Math.cos(TAU * u);
  const slope = (u: number) => 2 * u + 10 * TAU * Math.sin(TAU * u);
  return [term(x) + term(y), [slope(x), slope(y)]];
};

export const FUNCTIONS: Record<string, Of> = {
  linear_regression: linearRegression,
  collinear_regression: collinearRegression,
  rosenbrock,
  beale,
  himmelblau,
  saddle,
  ravine,
  rotated_ravine: rotated,
  rastrigin,
};
