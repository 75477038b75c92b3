//! The steps of a member's work: commands with their arguments.

use serde::{Deserialize, Serialize};

use super::file::Measure;

/// One command of a member's work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it does: `train`, `curvature`, `width 0`, ...
    pub name: String,
    /// The arguments of the command.
    pub args: Vec<String>,
}

/// The name under which a sweep keeps its surfaces and planes in a run: the directions are the same for
/// all members of one seed.
pub const MATCHED: &str = "matched";

/// The steps that measure the run in `run`, whose seed is the `seed`-th.
pub(super) fn measure_steps(measure: &Measure, run: &str, seed: usize) -> Vec<Step> {
    let step = |name: String, args: &[&str]| Step {
        name,
        args: args.iter().map(|arg| arg.to_string()).collect(),
    };
    let mut steps = Vec::new();
    if let Some(curvature) = &measure.curvature {
        let samples = samples_flag(curvature.samples);
        let args = [&["curvature", run, "--snapshots", "1"][..], &flags(&samples)].concat();
        steps.push(step("curvature".into(), &args));
    }
    if measure.predictions {
        let file = format!("{run}/{PREDICTIONS}");
        let args = ["evaluate", run, "--split", "test", "--predictions", &file];
        steps.push(step("predictions".into(), &args));
    }
    if let Some(width) = &measure.width {
        let samples = samples_flag(width.samples);
        for direction in 0..width.directions {
            // Other members of this seed look along the same draws.
            let draw = (1000 * seed + direction).to_string();
            let (range, points) = (symmetric(width.range), width.points.to_string());
            let name = width_name(direction);
            let args = ["curve", run, "--name", &name, "--seed", &draw, "--range", &range];
            let args = [&args[..], &["--points", &points], &flags(&samples)].concat();
            steps.push(step(format!("width {direction}"), &args));
        }
    }
    if let Some(surface) = &measure.surface {
        let samples = samples_flag(surface.samples);
        let draw = (1000 * seed).to_string();
        let plane = ["plane", run, "--directions", "random", "--seed", &draw, "--name", MATCHED];
        steps.push(step("plane".into(), &plane));
        let range = symmetric(surface.range);
        let range = format!("{range},{range}");
        let args = ["surface", run, "--plane", MATCHED, "--name", MATCHED, "--grid", &surface.grid];
        let args = [&args[..], &["--range", &range], &flags(&samples)].concat();
        steps.push(step("surface".into(), &args));
    }
    steps
}

/// The file of a member's answers on the test images, in its run folder.
pub const PREDICTIONS: &str = "measures/test_predictions.csv";

/// The name of the curve along a direction of `[measure] width`.
pub fn width_name(direction: usize) -> String {
    format!("width-{direction}")
}

fn symmetric(range: f64) -> String {
    format!("{},{range}", -range)
}

fn samples_flag(samples: usize) -> Vec<String> {
    if samples == 0 { Vec::new() } else { vec!["--samples".into(), samples.to_string()] }
}

fn flags(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}
