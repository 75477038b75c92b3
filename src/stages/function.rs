//! Optimizers on a function of two variables: each rule, or each value of a hyperparameter, goes its
//! way from one start; the paths with the optimizers' states as data.
//!
//! A rule for which no learning rate is given gets the one of [`learning_rates`] with which its values in
//! the last quarter of the steps stay lowest: rules are then compared at their best on this function and
//! number of steps. There
//! is no weight decay unless it is asked for, as it would move the minimum.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::disk;
use crate::objective::TestFunction;
use crate::optim::{BatchLoss, OptimConfig, Optimizer, ParamRange, RuleName};
use crate::render::numbers::significant;
use crate::rng::Streams;
use crate::spec::Spec;
use crate::{Error, Result};

/// A rule under a short name, with what is set for it before anything else.
struct Preset {
    name: &'static str,
    title: &'static str,
    table: &'static str,
}

/// Names beside those of the rules. `sgd` is gradient descent without momentum here, unlike in a run's
/// spec, where its default is the momentum of the recipe.
const PRESETS: [Preset; 3] = [
    Preset {
        name: "sgd",
        title: "SGD",
        table: "rule = \"sgd\"\nmomentum = 0.0\nnesterov = false\n",
    },
    Preset {
        name: "momentum",
        title: "Momentum",
        table: "rule = \"sgd\"\nmomentum = 0.9\nnesterov = false\n",
    },
    Preset {
        name: "nesterov",
        title: "Nesterov",
        table: "rule = \"sgd\"\nmomentum = 0.9\nnesterov = true\n",
    },
];

/// A path stops as diverged where it is farther from the start than this many times the larger side of
/// the function's window.
const FAR: f64 = 1e6;

/// What is run: optimizers on one function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionRequest {
    /// The function.
    pub function: TestFunction,
    /// Where all paths begin: one point, or several for one optimizer, which then makes a path from each.
    pub starts: Vec<[f64; 2]>,
    /// How many steps each makes.
    pub steps: usize,
    /// The optimizers.
    pub contenders: Vec<Contender>,
}

/// Starts that one picture has at most.
pub const MOST_STARTS: usize = 200;

/// `n` starts spread evenly over the window of `function`, the same ones every time: the additive recurrence
/// of the plastic number (Roberts 2018), which leaves no gaps and no clusters.
pub fn spread_starts(function: TestFunction, n: usize) -> Vec<[f64; 2]> {
    let [x, y] = function.window();
    let at = |[low, high]: [f64; 2], share: f64| low + (high - low) * (0.04 + 0.92 * share);
    let share = |k: usize, step: f64| (0.5 + (k + 1) as f64 * step).fract();
    (0..n)
        .map(|k| {
            [at(x, share(k, 0.754_877_666_246_692_7)), at(y, share(k, 0.569_840_290_998_053_2))]
        })
        .collect()
}

/// One optimizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Contender {
    /// What it is called: its rule, or the value that it differs in.
    pub name: String,
    /// Its hyperparameters, resolved.
    pub config: OptimConfig,
    /// Whether no learning rate was given.
    pub choose_lr: bool,
}

/// The path of one optimizer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OptimizerPath {
    /// The contender's name.
    pub name: String,
    /// Its hyperparameters in words: learning rate first.
    pub hyperparameters: String,
    /// Its hyperparameters, the learning rate that was chosen among them.
    pub optim: OptimConfig,
    /// Whether the learning rate was chosen from [`learning_rates`].
    pub lr_chosen: bool,
    /// The step with which the path diverged: it ends before it.
    pub diverged_at: Option<usize>,
    /// The points, the start first; one a step unless it diverged.
    pub points: Vec<PathStep>,
}

/// One point of a path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PathStep {
    /// Steps made so far.
    pub step: usize,
    /// The point.
    pub theta: [f64; 2],
    /// The function's value there.
    pub value: f64,
    /// Its gradient there.
    pub gradient: [f64; 2],
    /// The optimizer's state vectors after the step that led here, by name; all zero at the start.
    pub state: Vec<(&'static str, [f64; 2])>,
}

/// The learning rates that are tried where none is given: 1, 2 and 5 times the powers of ten from
/// 10^-5, up to 10.
pub fn learning_rates() -> Vec<f64> {
    let decades = (-5..=0).flat_map(|e| [1.0, 2.0, 5.0].map(|m: f64| m * 10f64.powi(e)));
    decades.chain([10.0]).collect()
}

/// The optimizers named in `rules` (with commas: rules, or `sgd`, `momentum`, `nesterov`), changed by
/// `set` (`optim.KEY=VALUE` for all of them, `NAME.KEY=VALUE` for one); with `vary` (`optim.KEY=A,B,..`)
/// the one rule once with each value.
///
/// # Errors
/// [`Error::UnknownName`] for a rule, [`Error::UnknownKey`] and [`Error::BadValue`] for what is set.
pub fn contenders(rules: &str, set: &[String], vary: Option<&str>) -> Result<Vec<Contender>> {
    let names: Vec<&str> = rules.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
    if names.is_empty() {
        return Err(Error::bad_value("rules", rules, "no rule", "write sgd,momentum,adam"));
    }
    for (i, name) in names.iter().enumerate() {
        preset(name)?;
        if names[..i].contains(name) {
            let remedy = "name each once; --vary compares one rule with itself";
            return Err(Error::bad_value("rules", name, "named twice", remedy));
        }
    }
    for change in set {
        let (table, _) = change.split_once('.').unwrap_or(("", change));
        if table.trim() != "optim" && !names.contains(&table.trim()) {
            let remedy = format!("write optim.lr=0.05 for all rules, or {}.lr=0.05", names[0]);
            return Err(Error::bad_value("set", change, "of no rule that is named", remedy));
        }
    }
    let found: Vec<Given> = match vary {
        None => names.iter().map(|name| contender(name, set, None)).collect::<Result<_>>()?,
        Some(vary) => {
            let [name] = names[..] else {
                let remedy = "name one rule";
                return Err(Error::bad_value("vary", vary, "for more than one rule", remedy));
            };
            let (key, values) = varied(vary)?;
            values
                .iter()
                .map(|value| contender(name, set, Some((key, value))))
                .collect::<Result<_>>()?
        }
    };
    refuse_unread(&found, set, vary)?;
    Ok(found.into_iter().map(|(contender, _)| contender).collect())
}

/// The title and the table of a rule's name.
fn preset(name: &str) -> Result<(String, String)> {
    if let Some(preset) = PRESETS.iter().find(|p| p.name == name) {
        return Ok((preset.title.into(), preset.table.into()));
    }
    let rule = name.parse::<RuleName>().map_err(|_| {
        let mut known: Vec<&str> = PRESETS.iter().map(|p| p.name).collect();
        known.extend(RuleName::NAMES.iter().filter(|n| **n != "sgd"));
        Error::unknown_name("rule", name, &known)
    })?;
    Ok((rule.words().into(), format!("rule = \"{rule}\"\n")))
}

/// The key and the values of `optim.KEY=A,B,C`.
fn varied(vary: &str) -> Result<(&str, Vec<&str>)> {
    let parts = vary.split_once('=').and_then(|(key, values)| {
        let key = key.trim().strip_prefix("optim.")?;
        let values: Vec<&str> =
            values.split(',').map(str::trim).filter(|v| !v.is_empty()).collect();
        (!key.is_empty() && values.len() > 1).then_some((key, values))
    });
    parts.ok_or_else(|| {
        let remedy = "write optim.momentum=0,0.5,0.9";
        Error::bad_value("vary", vary, "not a key of [optim] with several values", remedy)
    })
}

/// A contender and the keys that were given for it.
type Given = (Contender, Vec<String>);

fn contender(name: &str, set: &[String], vary: Option<(&str, &str)>) -> Result<Given> {
    let (title, table) = preset(name)?;
    let text = format!("[optim]\nweight_decay = 0.0\n{table}");
    let of =
        |table: &'static str| move |c: &&String| c.split('.').next().map(str::trim) == Some(table);
    let for_all = set.iter().filter(of("optim")).cloned();
    let own = |change: &String| {
        let (table, rest) = change.split_once('.')?;
        (table.trim() == name).then(|| format!("optim.{rest}"))
    };
    let mut changes: Vec<String> = for_all.chain(set.iter().filter_map(own)).collect();
    changes.extend(vary.map(|(key, value)| format!("optim.{key}={value}")));
    let given: Vec<String> = changes.iter().map(|change| key_of(change).to_string()).collect();
    if given.iter().any(|key| key == "rule") {
        let remedy = "name the rules with --rules";
        return Err(Error::bad_value("optim.rule", "given", "not a hyperparameter", remedy));
    }
    let config = Spec::parse(&text, &changes)?.optim;
    let name = vary.map_or(title, |(key, value)| format!("{} {value}", words_of(key)));
    let choose_lr = !given.iter().any(|key| key == "lr");
    Ok((Contender { name, config, choose_lr }, given))
}

/// `lr` of `optim.lr=0.1`.
fn key_of(change: &str) -> &str {
    let key = change.split('=').next().unwrap_or_default().trim();
    key.split_once('.').map_or(key, |(_, key)| key).trim()
}

/// Refuses a key that no rule reads for which it was given: it would change nothing.
fn refuse_unread(found: &[Given], set: &[String], vary: Option<&str>) -> Result<()> {
    let reads = |contender: &Contender, key: &str| keys(&contender.config).contains_key(key);
    for change in set.iter().map(String::as_str).chain(vary) {
        let key = key_of(change);
        let mut readers = found.iter().filter(|(_, given)| given.iter().any(|k| k == key));
        if !readers.any(|(contender, _)| reads(contender, key)) {
            let problem = "which no rule reads that it is set for";
            return Err(Error::bad_value("set", change, problem, "leave it out"));
        }
    }
    Ok(())
}

/// A resolved config as a table: what the rule reads.
fn keys(config: &OptimConfig) -> toml::Table {
    toml::Table::try_from(config).expect("a config is plain data")
}

fn words_of(key: &str) -> String {
    if key == "lr" { "learning rate".into() } else { key.replace('_', " ") }
}

/// Hyperparameters that are always shown where a rule has them.
const SHOWN: [&str; 3] = ["momentum", "beta1", "beta2"];

/// `learning rate 0.02, momentum 0.9`: what a reader needs of a resolved config. Of the others those are
/// told that are not the rule's defaults.
fn hyperparameters(config: &OptimConfig) -> String {
    let mut text = format!("learning rate {}", significant(config.lr(), 3));
    let plain = OptimConfig { rule: config.rule, ..OptimConfig::default() };
    let defaults = plain.resolve().map(|config| keys(&config)).unwrap_or_default();
    for (key, value) in &keys(config) {
        let number = value.as_float().or_else(|| value.as_integer().map(|v| v as f64));
        let changed = key != "lr" && defaults.get(key) != Some(value);
        if let Some(number) = number.filter(|number| *number != 0.0)
            && (changed || SHOWN.contains(&key.as_str()))
        {
            let _ = write!(text, ", {} {}", words_of(key), significant(number, 4));
        }
    }
    text
}

/// Runs all contenders.
///
/// # Errors
/// [`Error::BadValue`] for a start that is not finite or no step, and what an optimizer refuses.
pub fn run(request: &FunctionRequest) -> Result<Vec<OptimizerPath>> {
    for [x, y] in &request.starts {
        if !(x.is_finite() && y.is_finite()) {
            let given = format!("{x},{y}");
            let remedy = "write two numbers: -1.5,2";
            return Err(Error::bad_value("start", given, "not a point", remedy));
        }
    }
    let starts = request.starts.len();
    if !(1..=MOST_STARTS).contains(&starts) {
        let remedy = format!("use 1 to {MOST_STARTS}");
        return Err(Error::bad_value("starts", starts, "out of range", remedy));
    }
    if starts > 1 && request.contenders.len() != 1 {
        let problem = "but several optimizers are compared from one";
        return Err(Error::bad_value("starts", starts, problem, "name one rule with --rules"));
    }
    if !(1..=MOST_STEPS).contains(&request.steps) {
        let remedy = format!("use 1 to {MOST_STEPS}");
        return Err(Error::bad_value("steps", request.steps, "out of range", remedy));
    }
    let of = |contender: &Contender| -> Result<Vec<OptimizerPath>> {
        // All starts share the learning rate: the one that suits the first.
        let first = path_of(request, contender)?;
        let lr = first.optim.lr();
        let mut paths = vec![first];
        for &start in &request.starts[1..] {
            let (points, diverged_at) = walk(request, start, &contender.config, lr)?;
            paths.push(OptimizerPath { points, diverged_at, ..paths[0].clone() });
        }
        if starts > 1 {
            let named = paths.iter_mut().enumerate();
            named.for_each(|(k, path)| path.name = format!("start {}", k + 1));
        }
        Ok(paths)
    };
    let paths: Vec<_> = request.contenders.iter().map(of).collect::<Result<_>>()?;
    Ok(paths.into_iter().flatten().collect())
}

/// More steps would make files and films that nobody can use.
const MOST_STEPS: usize = 100_000;

fn path_of(request: &FunctionRequest, contender: &Contender) -> Result<OptimizerPath> {
    let with = |lr: f64| walk(request, request.starts[0], &contender.config, lr);
    let mut lr = contender.config.lr();
    if contender.choose_lr {
        let mut best = f64::INFINITY;
        for tried in learning_rates() {
            let (points, diverged_at) = with(tried)?;
            // Of equals the smallest; one that diverges only if none is left.
            let late = late_maximum(&points);
            if diverged_at.is_none() && late < best {
                (best, lr) = (late, tried);
            }
        }
    }
    let (points, diverged_at) = with(lr)?;
    let optim = OptimConfig { lr: Some(lr), ..contender.config.clone() };
    Ok(OptimizerPath {
        name: contender.name.clone(),
        hyperparameters: hyperparameters(&optim),
        optim,
        lr_chosen: contender.choose_lr,
        diverged_at,
        points,
    })
}

/// The largest value in the last quarter of a path: the last value alone would favour a path that jumps
/// about and happens to end low.
fn late_maximum(points: &[PathStep]) -> f64 {
    let steps = points.len() - 1;
    points[steps - steps / 4..].iter().map(|p| p.value).fold(0.0, f64::max)
}

/// A function as a rule sees it that evaluates its batch more than once.
struct Batch(TestFunction);

impl BatchLoss<f64> for Batch {
    fn loss_and_grad(&mut self, theta: &[f64], grad: &mut [f64]) -> Result<f64> {
        let p = [theta[0], theta[1]];
        grad.copy_from_slice(&self.0.gradient(p));
        Ok(self.0.value(p))
    }

    fn probe(&mut self, t: u64, out: &mut [f64]) {
        let mut rng = Streams::new(0).stream("probe", t);
        out.iter_mut().for_each(|v| *v = if rng.normal() < 0.0 { -1.0 } else { 1.0 });
    }
}

/// The points of one path, and the step at which it diverged if it did. All arithmetic is in f64.
fn walk(
    request: &FunctionRequest,
    start: [f64; 2],
    config: &OptimConfig,
    lr: f64,
) -> Result<(Vec<PathStep>, Option<usize>)> {
    let f = request.function;
    let side = f.window().iter().map(|[low, high]| high - low).fold(0.0, f64::max);
    let config = OptimConfig { lr: Some(lr), ..config.clone() };
    // For rules on matrices the point is a weight of one row.
    let tensor = ParamRange { range: 0..2, shape: vec![1, 2], weight: true, hidden: true };
    let mut optimizer = Optimizer::<f64>::new(&config, 2, &[tensor])?;
    let (mut theta, mut room) = (start.to_vec(), Vec::new());
    let mut points = Vec::with_capacity(request.steps + 1);
    for step in 0..=request.steps {
        let p = [theta[0], theta[1]];
        let (value, gradient) = (f.value(p), f.gradient(p));
        let away = (p[0] - start[0]).hypot(p[1] - start[1]);
        if !(value.is_finite() && away <= FAR * side) {
            return Ok((points, Some(step)));
        }
        let vector = |(name, v): (&'static str, &[f64])| match *v {
            [x, y] => Some((name, [x, y])),
            // A matrix: no vector in the plane.
            _ => None,
        };
        let state = optimizer.slots().filter_map(vector).collect();
        points.push(PathStep { step, theta: p, value, gradient, state });
        if step < request.steps {
            let at = optimizer.gradient_point(&theta, &mut room).to_vec();
            let mut gradient = vec![0.0; 2];
            let loss = Batch(f).loss_and_grad(&at, &mut gradient)?;
            optimizer.step_on(&mut theta, &mut gradient, loss, lr, &mut Batch(f))?;
        }
    }
    Ok((points, None))
}

/// What a program reads.
#[derive(Serialize)]
struct Report<'a> {
    function: TestFunction,
    formula: &'static str,
    start: [f64; 2],
    steps: usize,
    minima: &'static [[f64; 2]],
    paths: &'a [OptimizerPath],
}

/// Writes the points of `paths`, which `request` gave, to `path`: as [`csv()`] where its name ends so, else
/// as a JSON document.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub fn write(path: &Path, request: &FunctionRequest, paths: &[OptimizerPath]) -> Result<()> {
    let is_csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let text = if is_csv {
        csv(paths)
    } else {
        let report = Report {
            function: request.function,
            formula: request.function.formula(),
            start: request.starts[0],
            steps: request.steps,
            minima: request.function.minima(),
            paths,
        };
        serde_json::to_string(&report).expect("finite numbers and strings") + "\n"
    };
    disk::write_bytes(path, text.as_bytes())
}

/// The paths as a table: a line a point, the columns of states that a rule has not left empty.
pub fn csv(paths: &[OptimizerPath]) -> String {
    let mut states: Vec<&str> = Vec::new();
    for (name, _) in paths.iter().flat_map(|path| &path.points[..1]).flat_map(|p| &p.state) {
        if !states.contains(name) {
            states.push(name);
        }
    }
    let mut text = String::from("optimizer,learning_rate,step,x,y,value,gradient_x,gradient_y");
    states.iter().for_each(|name| text += &format!(",{name}_x,{name}_y"));
    text.push('\n');
    for path in paths {
        for p in &path.points {
            let ([x, y], [gx, gy]) = (p.theta, p.gradient);
            let lr = path.optim.lr();
            let _ = write!(text, "{},{lr},{},{x},{y},{},{gx},{gy}", path.name, p.step, p.value);
            for name in &states {
                match p.state.iter().find(|(known, _)| known == name) {
                    Some((_, [x, y])) => text += &format!(",{x},{y}"),
                    None => text += ",,",
                }
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(function: TestFunction, rules: &str, set: &[&str], steps: usize) -> FunctionRequest {
        let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
        let contenders = contenders(rules, &set, None).unwrap();
        FunctionRequest { function, starts: vec![function.start()], steps, contenders }
    }

    #[test]
    fn from_many_starts_each_path_ends_in_a_minimum_and_all_are_reached() {
        let starts = spread_starts(TestFunction::Himmelblau, 20);
        let request = FunctionRequest {
            starts: starts.clone(),
            ..request(TestFunction::Himmelblau, "sgd", &["optim.lr=0.005"], 300)
        };
        let paths = run(&request).unwrap();
        assert_eq!(paths.len(), 20);
        let mut reached = [0; 4];
        for (path, start) in paths.iter().zip(&starts) {
            assert_eq!(path.points[0].theta, *start);
            let end = path.points.last().unwrap().theta;
            let minima = TestFunction::Himmelblau.minima();
            let near = |m: &[f64; 2]| (end[0] - m[0]).hypot(end[1] - m[1]) < 1e-3;
            reached[minima.iter().position(near).unwrap()] += 1;
        }
        assert!(reached.iter().all(|n| *n > 0), "{reached:?}");
        // Several rules from several starts would be a picture of neither.
        let two = FunctionRequest {
            contenders: contenders("sgd,adam", &[], None).unwrap(),
            ..request.clone()
        };
        assert!(run(&two).unwrap_err().to_string().contains("name one rule"));
        assert!(run(&FunctionRequest { starts: vec![], ..request }).is_err());
    }

    #[test]
    fn gradient_descent_on_the_ravine_is_its_closed_form() {
        let lr = 0.0125;
        let request = request(TestFunction::Ravine, "sgd", &["optim.lr=0.0125"], 60);
        let path = &run(&request).unwrap()[0];
        assert_eq!((path.points.len(), path.diverged_at, path.lr_chosen), (61, None, false));
        let [x0, y0] = request.starts[0];
        for p in &path.points {
            // Each coordinate of the quadratic shrinks by 1 - lr lambda a step.
            let factor = |lambda: f64| (1.0 - lr * lambda).powi(p.step as i32);
            let want = [x0 * factor(1.0), y0 * factor(100.0)];
            for (got, want) in p.theta.iter().zip(want) {
                // 60 products in f64.
                assert!((got - want).abs() <= 1e-13 * want.abs(), "{}: {got} {want}", p.step);
            }
            assert_eq!(p.value, TestFunction::Ravine.value(p.theta));
        }
    }

    #[test]
    fn momentum_on_the_ravine_follows_its_recurrence_and_shows_its_buffer() {
        let request = request(
            TestFunction::Ravine,
            "momentum",
            &["optim.lr=0.01", "momentum.momentum=0.8"],
            40,
        );
        let path = &run(&request).unwrap()[0];
        let (mut theta, mut buffer) = (request.starts[0], [0.0; 2]);
        for p in &path.points {
            for i in 0..2 {
                assert!(
                    (p.theta[i] - theta[i]).abs() < 1e-5,
                    "{}: {:?} {theta:?}",
                    p.step,
                    p.theta
                );
            }
            let (name, state) = p.state[0];
            assert!(name == "momentum_buffer" && (state[1] - buffer[1]).abs() < 1e-10, "{state:?}");
            for (i, lambda) in [1.0, 100.0].into_iter().enumerate() {
                buffer[i] = 0.8 * buffer[i] + lambda * theta[i];
                theta[i] -= 0.01 * buffer[i];
            }
        }
    }

    #[test]
    fn beyond_the_edge_of_stability_a_path_diverges_and_says_when() {
        // 2 / lambda is 0.02: at 0.0205 the steep coordinate grows by 5 % a step.
        let slow = run(&request(TestFunction::Ravine, "sgd", &["optim.lr=0.0205"], 500)).unwrap();
        // |y| = 1.05^k passes 1e6 times the window's side of 8 after 326 steps.
        assert_eq!(slow[0].diverged_at, Some(326));
        assert_eq!(slow[0].points.len(), 326);
        let below = run(&request(TestFunction::Ravine, "sgd", &["optim.lr=0.0195"], 500)).unwrap();
        assert_eq!(below[0].diverged_at, None);
        assert!(below[0].points[500].value < 0.01);
    }

    #[test]
    fn without_a_learning_rate_the_best_of_the_grid_is_taken() {
        let found =
            run(&request(TestFunction::Ravine, "sgd,adam", &["adam.lr=0.001"], 100)).unwrap();
        // The slow coordinate wants a large rate, the steep one is stable up to 0.02.
        assert!(found[0].lr_chosen && found[0].optim.lr() == 0.02 || found[0].optim.lr() == 0.01);
        assert!(!found[1].lr_chosen && found[1].optim.lr() == 0.001);
        let last = |lr: f64| {
            let set = format!("optim.lr={lr}");
            let path = run(&request(TestFunction::Ravine, "sgd", &[&set], 100)).unwrap().remove(0);
            if path.diverged_at.is_some() { f64::INFINITY } else { late_maximum(&path.points) }
        };
        let best = late_maximum(&found[0].points);
        assert!(learning_rates().into_iter().all(|lr| last(lr) >= best));
    }

    #[test]
    fn contenders_are_named_checked_and_varied() {
        let of = |rules: &str, set: &[&str], vary: Option<&str>| {
            let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
            contenders(rules, &set, vary)
        };
        let found = of("sgd, nesterov,adam", &["optim.lr=0.1", "adam.beta1=0.8"], None).unwrap();
        assert_eq!(found[2].config.beta1, Some(0.8));
        assert_eq!((found[0].config.momentum, found[1].config.nesterov), (Some(0.0), Some(true)));
        assert!(found.iter().all(|c| !c.choose_lr && c.config.weight_decay() == 0.0));
        let varied = of("sgd", &[], Some("optim.momentum=0,0.5,0.9")).unwrap();
        let names: Vec<&str> = varied.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["momentum 0", "momentum 0.5", "momentum 0.9"]);
        assert_eq!(varied[2].config.nesterov, Some(false));
        for (rules, set, vary, words) in [
            ("adma", None, None, "did you mean `adam`?"),
            ("sgd,sgd", None, None, "named twice"),
            ("", None, None, "write sgd,momentum,adam"),
            ("sgd", Some("data.set=digits"), None, "optim.lr=0.05"),
            ("sgd", Some("optim.lrr=1"), None, "did you mean `optim.lr`?"),
            ("sgd", Some("optim.lr=-1"), None, "`optim.lr`"),
            ("adam,sgd", Some("adam.momentum=0.9"), None, "no rule reads"),
            ("adam", Some("optim.rule=sgd"), None, "--rules"),
            ("adam,sgd", None, Some("optim.lr=1,2"), "name one rule"),
            ("sgd", None, Some("optim.lr=1"), "several values"),
            ("sgd", None, Some("optim.beta1=0.1,0.2"), "no rule reads"),
        ] {
            let set: Vec<&str> = set.into_iter().collect();
            let err = of(rules, &set, vary).unwrap_err().to_string();
            assert!(err.contains(words), "{rules} {set:?}: {err}");
        }
        let all = of("adam,sgd", &["optim.momentum=0.9"], None).unwrap();
        assert_eq!((all[0].config.momentum, all[1].config.momentum), (None, Some(0.9)));
    }

    #[test]
    fn every_rule_finds_the_minimum_of_the_ravine_from_its_start() {
        let names: Vec<&str> = RuleName::NAMES.iter().copied().filter(|n| *n != "sgd").collect();
        let rules = format!("{},sgd,momentum,nesterov", names.join(","));
        let request = request(TestFunction::Ravine, &rules, &[], 200);
        let first = TestFunction::Ravine.value(request.starts[0]);
        for path in run(&request).unwrap() {
            let last = path.points.last().unwrap().value;
            assert!(path.diverged_at.is_none(), "{}", path.name);
            assert!(last < 0.2 * first, "{}: from {first} to {last} ({:?})", path.name, path.optim);
        }
    }

    #[test]
    fn sharpness_aware_steps_take_their_gradient_uphill() {
        let set = ["optim.lr=0.01", "optim.sam_rho=0.5"];
        let path = &run(&request(TestFunction::Ravine, "sgd", &set, 1)).unwrap()[0];
        let f = TestFunction::Ravine;
        let start = f.start();
        let [gx, gy] = f.gradient(start);
        let norm = gx.hypot(gy);
        let up = f.gradient([start[0] + 0.5 * gx / norm, start[1] + 0.5 * gy / norm]);
        for (i, up) in up.into_iter().enumerate() {
            assert!((path.points[1].theta[i] - (start[i] - 0.01 * up)).abs() < 1e-9, "{path:?}");
        }
    }

    #[test]
    fn the_table_has_a_line_a_point_and_a_column_a_state() {
        let paths = run(&request(TestFunction::Saddle, "sgd,adam", &["optim.lr=0.1"], 3)).unwrap();
        let text = csv(&paths);
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
        assert_eq!(lines.len(), 1 + 2 * 4);
        assert!(lines.iter().all(|l| l.len() == 12), "{text}");
        assert!(lines[0].ends_with(&["exp_avg_x", "exp_avg_y", "exp_avg_sq_x", "exp_avg_sq_y"]));
        assert_eq!(&lines[1][8..], ["", "", "", ""]);
        assert_eq!(lines[5][..3], ["Adam", "0.1", "0"]);
        assert_eq!(hyperparameters(&paths[1].optim), "learning rate 0.1, beta1 0.9, beta2 0.999");
    }

    #[test]
    fn a_start_or_a_number_of_steps_that_makes_no_sense_is_refused() {
        let good = request(TestFunction::Beale, "sgd", &[], 5);
        let bad = FunctionRequest { starts: vec![[f64::NAN, 0.0]], ..good.clone() };
        assert!(run(&bad).unwrap_err().to_string().contains("-1.5,2"));
        let bad = FunctionRequest { steps: 0, ..good };
        assert!(run(&bad).unwrap_err().to_string().contains("1 to 100000"));
    }
}
