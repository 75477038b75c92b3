//! What is done with a trained member: its measures and its film, as `[measure]` and `[film]` ask for.

use super::file::{Film, Measure};
use super::steps::{Step, measure_steps};

/// The file of a member's film in its run folder.
pub const FILM: &str = "figures/film.mp4";

/// What is done with the trained run in `run`, whose seed is the `seed`-th: its measures, its film.
pub(super) fn steps_after(
    measure: &Measure,
    film: Option<&Film>,
    run: &str,
    seed: usize,
) -> Vec<Step> {
    let film = film.into_iter().filter(|film| seed < film.seeds);
    let film = film.flat_map(|film| film_steps(film, run));
    measure_steps(measure, run, seed).into_iter().chain(film).collect()
}

/// The steps that make the film of the run in `run`: its plane, the surface over it, the film.
fn film_steps(film: &Film, run: &str) -> Vec<Step> {
    let step = |name: &str, args: &[&str]| Step {
        name: name.into(),
        args: args.iter().map(|arg| arg.to_string()).collect(),
    };
    let samples = film.samples.to_string();
    let mut surface = vec!["surface", run, "--plane", "pca", "--grid", &film.grid];
    if film.samples > 0 {
        surface.extend(["--samples", &samples]);
    }
    let out = format!("{run}/{FILM}");
    vec![
        step("film plane", &["plane", run]),
        step("film surface", &surface),
        step("film", &["render", run, "--out", &out, "--size", &film.size, "--poster"]),
    ]
}

/// The steps that make the film of the runs of `titles` on their joint plane in `joint`, and a picture
/// with a panel for each.
pub fn race_steps(film: &Film, joint: &str, runs: &[(String, String)], target: f64) -> Vec<Step> {
    let step = |name: &str, args: &[&str]| Step {
        name: name.into(),
        args: args.iter().map(|arg| arg.to_string()).collect(),
    };
    let mut plane: Vec<&str> = vec!["plane"];
    plane.extend(runs.iter().map(|(_, run)| run.as_str()));
    plane.extend(["--out", joint, "--force"]);
    let samples = film.samples.to_string();
    let mut surface = vec!["surface", joint, "--grid", &film.grid];
    if film.samples > 0 {
        surface.extend(["--samples", &samples]);
    }
    let titles = runs.iter().flat_map(|(title, _)| ["--panel-title", title.as_str()]);
    let titles: Vec<&str> = titles.collect();
    let goal = format!("test_accuracy={target:.4}");
    let render = |name: &str, rest: &[&str]| {
        let all = [&["render", joint, "--as", "race", "--size", &film.size][..], &titles, rest];
        step(name, &all.concat())
    };
    let (one, many) = (format!("{joint}/race.mp4"), format!("{joint}/paths.png"));
    vec![
        step("joint plane", &plane),
        step("joint surface", &surface),
        render("race film", &["--goal", &goal, "--poster", "--out", &one]),
        render("paths", &["--layout", "multiples", "--out", &many]),
    ]
}
