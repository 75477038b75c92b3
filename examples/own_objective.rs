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
        Ok(Evaluation::exact(self.loss_and_grad(theta, &mut vec![0.0; self.0])?))
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
    let found = pca(&path, &Default::default())?;
    let axes = found.directions(&path)?;
    let seen = project(&path, &theta, &axes[0], &axes[1])?;
    let loss_at = |at: [f64; 2]| objective.loss(&theta_at(&theta, &axes[0], &axes[1], at));
    let grid = Grid::around(&seen.coords, [61, 61], 1.0);
    let values =
        (0..grid.len()).map(|k| Ok(loss_at(grid.point(k))?.loss)).collect::<Result<_>>()?;
    let point = |(i, &[x, y]): (usize, &[f64; 2])| {
        let (true_loss, plane_loss) = (objective.loss(&path[i])?.loss, Some(loss_at([x, y])?.loss));
        let (step, time) = (i as u64, i as f64);
        Ok(PathPoint { step, epoch: time, time, x, y, true_loss, plane_loss, lr: 5e-3 })
    };
    let panel = ContourPanel {
        grid: scene::Grid { xs: grid.x.values(), ys: grid.y.values(), values, interpolated: None },
        path: seen.coords.iter().enumerate().map(point).collect::<Result<_>>()?,
        ..ContourPanel::default()
    };
    let title = "Down a curved valley".into();
    let film = Film { title, panels: vec![panel], ..Film::default() };
    contour::write(&film, &Output::new("outputs/own_objective.gif"), &mut |_, _| {})?;
    Ok(())
}
