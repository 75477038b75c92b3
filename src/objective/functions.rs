//! Functions of two variables whose minima are known: on them the way of an optimizer can be watched,
//! and what planes, surfaces and curvature find can be checked.
//!
//! Sources: Rosenbrock 1960; Beale 1958; Himmelblau 1972; Rastrigin 1974, here for two variables.

use super::{Evaluation, Objective};
use crate::Result;
use crate::names::named_enum;

named_enum! {
    /// A function of two variables, smooth everywhere, whose smallest value is 0.
    pub enum TestFunction("function") {
        /// The squared error of a line of slope x and height y at five points of a line with slope 1.5 and
        /// height -0.5, at -2, -1, 0, 1 and 2: (2 (x - 1.5)^2 + (y + 0.5)^2) / 2, a bowl.
        LinearRegression = "linear_regression",
        /// The squared error of two weights on two features of variance 1 and correlation 0.98, where both
        /// are 1: (u^2 + 2 * 0.98 u v + v^2) / 2 with u = x - 1 and v = y - 1, a canyon of condition number
        /// 99 along a diagonal.
        CollinearRegression = "collinear_regression",
        /// (1 - x)^2 + 100 (y - x^2)^2: a curved valley with a flat floor.
        Rosenbrock = "rosenbrock",
        /// (1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2: a plateau and steep corners.
        Beale = "beale",
        /// (x^2 + y - 11)^2 + (x + y^2 - 7)^2: four minima of value 0.
        Himmelblau = "himmelblau",
        /// x^2 / 2 + (y^2 - 1)^2 / 4: near the origin a saddle, (x^2 - y^2) / 2 + 1/4, which the
        /// term of fourth order bounds from below; minima at (0, 1) and (0, -1).
        Saddle = "saddle",
        /// (x^2 + 100 y^2) / 2: a quadratic with a condition number of 100 along the axes.
        Ravine = "ravine",
        /// The same quadratic turned by 30 degrees: its axes are not those of the coordinates, which
        /// rules that scale each coordinate depend on.
        RotatedRavine = "rotated_ravine",
        /// 20 + x^2 + y^2 - 10 cos(2 pi x) - 10 cos(2 pi y): a bowl full of local minima.
        Rastrigin = "rastrigin",
    }
}

/// Slope and height of the line of [`TestFunction::LinearRegression`].
const LINE: [f64; 2] = [1.5, -0.5];

/// The correlation of the features of [`TestFunction::CollinearRegression`].
const CORRELATION: f64 = 0.98;

/// The eigenvalues of the Hessian of [`TestFunction::Ravine`].
const RAVINE: [f64; 2] = [1.0, 100.0];

impl TestFunction {
    /// The value at `p`.
    pub fn value(self, [x, y]: [f64; 2]) -> f64 {
        match self {
            Self::LinearRegression => (x - LINE[0]).powi(2) + 0.5 * (y - LINE[1]).powi(2),
            Self::CollinearRegression => {
                let (u, v) = (x - 1.0, y - 1.0);
                0.5 * (u * u + v * v) + CORRELATION * u * v
            }
            Self::Rosenbrock => (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2),
            Self::Beale => beale_terms(x, y).iter().map(|t| t.value * t.value).sum(),
            Self::Himmelblau => (x * x + y - 11.0).powi(2) + (x + y * y - 7.0).powi(2),
            Self::Saddle => 0.5 * x * x + 0.25 * (y * y - 1.0).powi(2),
            Self::Ravine => 0.5 * (RAVINE[0] * x * x + RAVINE[1] * y * y),
            Self::RotatedRavine => {
                let [[a, b], [_, c]] = rotated_ravine();
                0.5 * (a * x * x + 2.0 * b * x * y + c * y * y)
            }
            Self::Rastrigin => {
                let term = |u: f64| 10.0 + u * u - 10.0 * (TAU * u).cos();
                term(x) + term(y)
            }
        }
    }

    /// The gradient at `p`.
    pub fn gradient(self, [x, y]: [f64; 2]) -> [f64; 2] {
        match self {
            Self::LinearRegression => [2.0 * (x - LINE[0]), y - LINE[1]],
            Self::CollinearRegression => {
                let (u, v) = (x - 1.0, y - 1.0);
                [u + CORRELATION * v, v + CORRELATION * u]
            }
            Self::Rosenbrock => {
                let valley = y - x * x;
                [-2.0 * (1.0 - x) - 400.0 * x * valley, 200.0 * valley]
            }
            Self::Beale => {
                let terms = beale_terms(x, y);
                [0, 1].map(|i| terms.iter().map(|t| 2.0 * t.value * t.gradient[i]).sum())
            }
            Self::Himmelblau => {
                let (a, b) = (x * x + y - 11.0, x + y * y - 7.0);
                [4.0 * a * x + 2.0 * b, 2.0 * a + 4.0 * b * y]
            }
            Self::Saddle => [x, y * (y * y - 1.0)],
            Self::Ravine => [RAVINE[0] * x, RAVINE[1] * y],
            Self::RotatedRavine => {
                let [[a, b], [_, c]] = rotated_ravine();
                [a * x + b * y, b * x + c * y]
            }
            Self::Rastrigin => [x, y].map(|u| 2.0 * u + 10.0 * TAU * (TAU * u).sin()),
        }
    }

    /// The Hessian at `p`, row by row.
    pub fn hessian(self, [x, y]: [f64; 2]) -> [[f64; 2]; 2] {
        match self {
            Self::LinearRegression => [[2.0, 0.0], [0.0, 1.0]],
            Self::CollinearRegression => [[1.0, CORRELATION], [CORRELATION, 1.0]],
            Self::Rosenbrock => {
                let mixed = -400.0 * x;
                [[2.0 - 400.0 * (y - 3.0 * x * x), mixed], [mixed, 200.0]]
            }
            Self::Beale => {
                let terms = beale_terms(x, y);
                let entry = |i: usize, j: usize| -> f64 {
                    let of = |t: &Term| t.gradient[i] * t.gradient[j] + t.value * t.hessian[i][j];
                    terms.iter().map(|t| 2.0 * of(t)).sum()
                };
                [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
            }
            Self::Himmelblau => {
                let mixed = 4.0 * (x + y);
                [[12.0 * x * x + 4.0 * y - 42.0, mixed], [mixed, 12.0 * y * y + 4.0 * x - 26.0]]
            }
            Self::Saddle => [[1.0, 0.0], [0.0, 3.0 * y * y - 1.0]],
            Self::Ravine => [[RAVINE[0], 0.0], [0.0, RAVINE[1]]],
            Self::RotatedRavine => rotated_ravine(),
            Self::Rastrigin => {
                let second = |u: f64| 2.0 + 10.0 * TAU * TAU * (TAU * u).cos();
                [[second(x), 0.0], [0.0, second(y)]]
            }
        }
    }

    /// Where the value is 0: all global minima, to double precision.
    pub fn minima(self) -> &'static [[f64; 2]] {
        match self {
            Self::LinearRegression => &[LINE],
            Self::Rosenbrock | Self::CollinearRegression => &[[1.0, 1.0]],
            Self::Beale => &[[3.0, 0.5]],
            Self::Himmelblau => &[
                [3.0, 2.0],
                [-2.805_118_086_952_745, 3.131_312_518_250_573],
                [-3.779_310_253_377_747, -3.283_185_991_286_17],
                [3.584_428_340_330_492, -1.848_126_526_964_404],
            ],
            Self::Saddle => &[[0.0, 1.0], [0.0, -1.0]],
            Self::Ravine | Self::RotatedRavine | Self::Rastrigin => &[[0.0, 0.0]],
        }
    }

    /// The part of the plane that shows it well: the ends along x and along y.
    pub fn window(self) -> [[f64; 2]; 2] {
        match self {
            Self::LinearRegression => [[-3.0, 4.0], [-3.5, 2.5]],
            Self::CollinearRegression => [[-4.0, 4.0], [-2.5, 5.5]],
            Self::Rosenbrock => [[-2.0, 2.0], [-1.0, 3.0]],
            Self::Beale => [[-4.5, 4.5], [-4.5, 4.5]],
            Self::Himmelblau => [[-5.5, 5.5], [-5.5, 5.5]],
            Self::Saddle => [[-1.6, 1.6], [-1.6, 1.6]],
            Self::Ravine => [[-5.0, 3.0], [-2.5, 2.5]],
            Self::RotatedRavine => [[-5.0, 1.5], [-3.5, 1.5]],
            Self::Rastrigin => [[-4.6, 4.6], [-4.6, 4.6]],
        }
    }

    /// A start from which its difficulty shows.
    pub fn start(self) -> [f64; 2] {
        match self {
            Self::LinearRegression => [-2.4, 2.0],
            // Off the floor, so that it is first crossed and then followed.
            Self::CollinearRegression => [-2.6, 3.6],
            Self::Rosenbrock => [-1.5, 2.0],
            Self::Beale => [-3.0, -2.0],
            Self::Himmelblau => [0.0, -4.5],
            // Beside the ridge: exactly on it the gradient leads to the saddle and stays there.
            Self::Saddle => [1.3, 0.01],
            Self::Ravine => [-4.5, 1.0],
            Self::RotatedRavine => [-4.4, -1.4],
            Self::Rastrigin => [3.4, 2.8],
        }
    }

    /// Its formula, as it is written in a caption.
    pub fn formula(self) -> &'static str {
        match self {
            Self::LinearRegression => {
                "(2 (x − 1.5)² + (y + 0.5)²)/2, the squared error of a line through five points"
            }
            Self::CollinearRegression => {
                "(u² + 1.96 uv + v²)/2 with (u, v) = (x − 1, y − 1), the squared error with two features of correlation 0.98"
            }
            Self::Rosenbrock => "(1 − x)² + 100 (y − x²)²",
            Self::Beale => "(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
            Self::Himmelblau => "(x² + y − 11)² + (x + y² − 7)²",
            Self::Saddle => "x²/2 + (y² − 1)²/4",
            Self::Ravine => "(x² + 100 y²)/2",
            Self::RotatedRavine => "(u² + 100 v²)/2 with (u, v) = (x, y) turned by 30°",
            Self::Rastrigin => "20 + x² + y² − 10 cos 2πx − 10 cos 2πy",
        }
    }

    /// What it is called in a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::LinearRegression => "linear regression",
            Self::CollinearRegression => "regression on two collinear features",
            Self::Rosenbrock => "Rosenbrock's function",
            Self::Beale => "Beale's function",
            Self::Himmelblau => "Himmelblau's function",
            Self::Saddle => "a bounded saddle",
            Self::Ravine => "a ravine",
            Self::RotatedRavine => "a rotated ravine",
            Self::Rastrigin => "Rastrigin's function",
        }
    }
}

const TAU: f64 = std::f64::consts::TAU;

/// R^T diag(1, 100) R with R a rotation by 30 degrees: (u, v) = R (x, y).
fn rotated_ravine() -> [[f64; 2]; 2] {
    let (sin, cos) = (std::f64::consts::PI / 6.0).sin_cos();
    let (u, v) = ([cos, sin], [-sin, cos]);
    [0, 1].map(|i| [0, 1].map(|j| RAVINE[0] * u[i] * u[j] + RAVINE[1] * v[i] * v[j]))
}

/// A term under a square of Beale's function, with its derivatives.
struct Term {
    value: f64,
    gradient: [f64; 2],
    hessian: [[f64; 2]; 2],
}

/// c - x + x y^k for k = 1, 2, 3.
fn beale_terms(x: f64, y: f64) -> [Term; 3] {
    [(1.5, 1), (2.25, 2), (2.625, 3)].map(|(c, k)| {
        let n = f64::from(k);
        let (power, slope) = (y.powi(k), n * y.powi(k - 1));
        let bend = if k == 1 { 0.0 } else { n * (n - 1.0) * y.powi(k - 2) };
        Term {
            value: c - x + x * power,
            gradient: [power - 1.0, x * slope],
            hessian: [[0.0, slope], [slope, x * bend]],
        }
    })
}

/// As an objective of two parameters: computed in f64, rounded to f32 at the ends.
impl Objective for TestFunction {
    fn dim(&self) -> usize {
        2
    }

    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        Ok(Evaluation::exact(self.value(point(theta))))
    }

    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        let p = point(theta);
        grad.copy_from_slice(&self.gradient(p).map(|g| g as f32));
        Ok(self.value(p))
    }

    fn hvp(&self, theta: &[f32], v: &[f32], out: &mut [f32]) -> Result<()> {
        let (hessian, v) = (self.hessian(point(theta)), point(v));
        out.copy_from_slice(&hessian.map(|row| (row[0] * v[0] + row[1] * v[1]) as f32));
        Ok(())
    }
}

fn point(theta: &[f32]) -> [f64; 2] {
    [f64::from(theta[0]), f64::from(theta[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a function's window off its symmetries.
    fn points(f: TestFunction) -> impl Iterator<Item = [f64; 2]> {
        let [x, y] = f.window();
        let at = |ends: [f64; 2], share: f64| ends[0] + share * (ends[1] - ends[0]);
        (0..49).map(move |k| {
            let (i, j) = (f64::from(k % 7), f64::from(k / 7));
            [at(x, (i + 0.31) / 7.0), at(y, (j + 0.57) / 7.0)]
        })
    }

    #[test]
    fn gradients_and_hessians_are_those_of_central_differences() {
        for &f in TestFunction::ALL {
            for p in points(f) {
                let (gradient, hessian) = (f.gradient(p), f.hessian(p));
                for i in 0..2 {
                    let h = 1e-5;
                    let moved = |by: f64| {
                        let mut q = p;
                        q[i] += by;
                        q
                    };
                    let slope = (f.value(moved(h)) - f.value(moved(-h))) / (2.0 * h);
                    // Rounding of the values over the step, and its square times a third derivative.
                    let slack = 1e-10 * f.value(p).abs() + 1e-6 * gradient[i].abs() + 1e-6;
                    assert!((slope - gradient[i]).abs() < slack, "{f} {p:?}: {slope} {gradient:?}");
                    let (up, down) = (f.gradient(moved(h)), f.gradient(moved(-h)));
                    for j in 0..2 {
                        let second = (up[j] - down[j]) / (2.0 * h);
                        let size =
                            hessian.as_flattened().iter().fold(1.0f64, |m, v| m.max(v.abs()));
                        let slack = 1e-6 * size + 1e-10 * gradient[j].abs();
                        assert!((second - hessian[j][i]).abs() < slack, "{f} {p:?}: {second}");
                    }
                    assert_eq!(hessian[0][1], hessian[1][0]);
                }
            }
        }
    }

    #[test]
    fn the_minima_are_flat_have_the_value_0_and_curve_upwards() {
        for &f in TestFunction::ALL {
            for &p in f.minima() {
                let [[a, b], [_, c]] = f.hessian(p);
                assert!(f.value(p).abs() < 1e-20, "{f} {p:?}: {}", f.value(p));
                assert!(f.gradient(p).iter().all(|g| g.abs() < 1e-9), "{f} {p:?}");
                assert!(a > 0.0 && a * c - b * b > 0.0, "{f} {p:?}");
                let [x, y] = f.window();
                assert!(x[0] < p[0] && p[0] < x[1] && y[0] < p[1] && p[1] < y[1], "{f} {p:?}");
            }
            assert!(points(f).all(|p| f.value(p) > 0.0), "{f}");
            let ([x, y], start) = (f.window(), f.start());
            assert!(x[0] < start[0] && start[0] < x[1] && y[0] < start[1] && start[1] < y[1]);
        }
    }

    #[test]
    fn known_values_and_eigenvalues() {
        // Rosenbrock's Hessian at its minimum is [[802, -400], [-400, 200]].
        assert_eq!(
            TestFunction::Rosenbrock.hessian([1.0, 1.0]),
            [[802.0, -400.0], [-400.0, 200.0]]
        );
        assert!((TestFunction::Rosenbrock.value([-1.2, 1.0]) - 24.2).abs() < 1e-12);
        assert_eq!(TestFunction::Himmelblau.value([0.0, 0.0]), 170.0);
        assert_eq!(TestFunction::Beale.value([0.0, 0.0]), 14.203_125);
        assert_eq!(TestFunction::Saddle.hessian([0.0, 0.0]), [[1.0, 0.0], [0.0, -1.0]]);
        assert!((TestFunction::Rastrigin.value([1.0, 1.0]) - 2.0).abs() < 1e-12);
        // A rotation keeps trace and determinant.
        let [[a, b], [_, c]] = TestFunction::RotatedRavine.hessian([0.0, 0.0]);
        assert!((a + c - 101.0).abs() < 1e-12 && (a * c - b * b - 100.0).abs() < 1e-10);
    }

    #[test]
    fn as_an_objective_it_gives_the_same_numbers() {
        let (theta, v) = ([0.5f32, -1.25], [2.0f32, 1.0]);
        let p = [0.5, -1.25];
        for &f in TestFunction::ALL {
            let (mut grad, mut product) = ([0.0; 2], [0.0; 2]);
            assert_eq!(f.loss_and_grad(&theta, &mut grad).unwrap(), f.value(p));
            assert_eq!(grad, f.gradient(p).map(|g| g as f32));
            f.hvp(&theta, &v, &mut product).unwrap();
            let want = f.hessian(p).map(|row| (2.0 * row[0] + row[1]) as f32);
            assert_eq!(product, want);
        }
    }
}
