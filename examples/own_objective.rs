//! A loss of one's own, which need not be a network's: gradient descent in a curved valley of 50
//! dimensions, the plane of its path, the loss over that plane, a film.
//!
//!     cargo run --release --example own_objective
use lossreel::landscape::theta_at;
use lossreel::objective::Evaluation;
use lossreel::render::scene::{self, ContourPanel, PathPoint};
use lossreel::render::scenes::contour;
use lossreel::trajectory::{pca, project};
use lossreel::{Film, Grid, Objective, Output, Result};

/// The chained Rosenbrock function: sum_i 10 (x_i+1 - x_i^2)^2 + (1 - x_i)^2, its minimum at 1.
struct Rosenbrock(usize);

impl Objective for Rosenbrock {
    fn dim(&self) -> usize {
        self.0
    }
    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        self.loss_and_grad(theta, &mut vec![0.0; self.0]).map(Evaluation::exact)
    }
    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        grad.fill(0.0);
        let mut sum = 0.0;
        for (i, pair) in theta.windows(2).enumerate() {
            let (rise, rest) = (pair[1] - pair[0] * pair[0], 1.0 - pair[0]);
            sum += f64::from(10.0 * rise * rise + rest * rest);
            grad[i] -= 40.0 * rise * pair[0] + 2.0 * rest;
            grad[i + 1] += 20.0 * rise;
        }
        Ok(sum)
    }
}

fn main() -> Result<()> {
    let objective = Rosenbrock(50);
    let mut theta: Vec<f32> = (0..50).map(|i| (i as f32).sin()).collect();
    let (mut path, mut grad) = (vec![theta.clone()], vec![0.0; 50]);
    for _ in 0..300 {
        objective.loss_and_grad(&theta, &mut grad)?;
        theta.iter_mut().zip(&grad).for_each(|(w, g)| *w -= 5e-3 * g);
        path.push(theta.clone());
    }
    let axes = pca(&path, &Default::default())?.directions(&path)?;
    let coords = project(&path, &theta, &axes[0], &axes[1])?.coords;
    let grid = Grid::around(&coords, [61, 61], 1.0);
    let at = |k: usize| objective.loss(&theta_at(&theta, &axes[0], &axes[1], grid.point(k)));
    let values = (0..grid.len()).map(|k| Ok(at(k)?.loss)).collect::<Result<_>>()?;
    let point = |(i, &[x, y]): (usize, &[f64; 2])| {
        let (time, true_loss) = (i as f64, objective.loss(&path[i])?.loss);
        Ok(PathPoint { step: i as u64, epoch: time, time, x, y, true_loss, ..Default::default() })
    };
    let path = coords.iter().enumerate().map(point).collect::<Result<_>>()?;
    let (xs, ys) = (grid.x.values(), grid.y.values());
    let grid = scene::Grid { xs, ys, values, interpolated: None };
    let panel = ContourPanel { grid, path, ..ContourPanel::default() };
    let film = Film { title: "Down a valley".into(), panels: vec![panel], ..Film::default() };
    contour::write(&film, &Output::new("outputs/own_objective.gif"), &mut |_, _| {}).map(drop)
}
