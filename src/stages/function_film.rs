//! The paths of optimizers on a function to a picture: the function's contours, the traces with their
//! states, the texts.

use super::function::{FunctionRequest, OptimizerPath, PathStep, learning_rates};
use super::provenance::capital;
use crate::optim::RuleName;
use crate::render::numbers::{number, thousands};
use crate::render::scene::{ContourPanel, Grid, Quantity, Series, Split, Strip};
use crate::render::scenes::optimizers::{Group, OptimizerFilm, Trace, TracePoint};
use crate::{Error, Result};

/// Seconds for which the last frame stays.
const HOLD_SECS: f64 = 2.5;

/// Points of the function along each side of the window.
const GRID: usize = 241;

/// State vectors that hold a running mean or sum of gradients, and of squared gradients, the first that
/// a rule has being shown.
const FIRST_MOMENTS: [&str; 3] = ["exp_avg", "momentum_buffer", "grad_avg"];
const SECOND_MOMENTS: [&str; 4] = ["exp_avg_sq", "square_avg", "max_exp_avg_sq", "sum"];

/// What the picture is like.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FunctionLook {
    /// Headline.
    pub title: Option<String>,
    /// The ends of the window along x and y; the function's own by default.
    pub window: Option<[[f64; 2]; 2]>,
    /// Whether it moves: a still shows no states, and its caption explains none.
    pub moves: bool,
}

/// The film of `paths`, which `request` gave.
///
/// # Errors
/// [`Error::BadValue`] for a window that has no extent.
pub fn gather(
    request: &FunctionRequest,
    paths: &[OptimizerPath],
    look: &FunctionLook,
) -> Result<OptimizerFilm> {
    let f = request.function;
    let window = look.window.unwrap_or(f.window());
    let spans = |[low, high]: [f64; 2]| low.is_finite() && high.is_finite() && low < high;
    if !window.iter().copied().all(spans) {
        let given = window.as_flattened().iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let remedy = "write the lower and the upper end along x, then along y: -2,2,-1,3";
        return Err(Error::bad_value("window", given, "not two intervals", remedy));
    }
    let along = |[low, high]: [f64; 2]| -> Vec<f64> {
        (0..GRID).map(|i| low + (high - low) * i as f64 / (GRID - 1) as f64).collect()
    };
    let (xs, ys) = (along(window[0]), along(window[1]));
    let values = ys.iter().flat_map(|&y| xs.iter().map(move |&x| f.value([x, y]))).collect();
    let mut traces: Vec<Trace> =
        paths.iter().enumerate().map(|(k, path)| Trace { color: k, ..trace(path) }).collect();
    let groups = if request.starts.len() > 1 { by_minimum(request, &mut traces) } else { vec![] };
    let (strip, chart_titles) = (strip(&traces), vec![(Quantity::Loss, "Value".into())]);
    Ok(OptimizerFilm {
        strip,
        chart_titles,
        title: look.title.clone().unwrap_or_else(|| headline(request, paths)),
        caption: caption(request, paths, &traces, look.moves),
        value_label: "value".into(),
        surface: ContourPanel {
            grid: Grid { xs, ys, values, interpolated: None },
            x_label: "x".into(),
            y_label: "y".into(),
            ..ContourPanel::default()
        },
        minima: f.minima().to_vec(),
        traces,
        groups,
        hold_secs: HOLD_SECS,
    })
}

fn trace(path: &OptimizerPath) -> Trace {
    // Elsewhere 1 / sqrt(v) is not what scales a step along x and y: SOAP's v is in a basis of its own,
    // Adadelta divides by it the steps made so far.
    let by_coordinate = !matches!(path.optim.rule, RuleName::Soap | RuleName::Adadelta);
    let point = |p: &PathStep| {
        let state = |names: &[&str]| {
            let of = |name: &&str| p.state.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
            names.iter().find_map(of)
        };
        TracePoint {
            x: p.theta[0],
            y: p.theta[1],
            value: p.value,
            first_moment: state(&FIRST_MOMENTS),
            second_moment: state(&SECOND_MOMENTS).filter(|_| by_coordinate),
        }
    };
    Trace {
        name: capital(&path.name),
        color: 0,
        detail: path.hyperparameters.clone(),
        points: path.points.iter().map(point).collect(),
        diverged_at: path.diverged_at,
    }
}

/// Gives paths from several starts the colour of the minimum that they end nearest to, and no names; the
/// groups that they make, of all minima, and of those that diverged.
fn by_minimum(request: &FunctionRequest, traces: &mut [Trace]) -> Vec<Group> {
    let minima = request.function.minima();
    let away = |p: &TracePoint, m: &[f64; 2]| (p.x - m[0]).hypot(p.y - m[1]);
    let side = request.function.window().iter().map(|[low, high]| high - low).fold(0.0, f64::max);
    for trace in traces.iter_mut() {
        (trace.name, trace.detail) = Default::default();
        let nearest = trace.points.last().and_then(|end| {
            let by =
                |a: &usize, b: &usize| away(end, &minima[*a]).total_cmp(&away(end, &minima[*b]));
            (0..minima.len()).min_by(by)
        });
        trace.color = match (trace.diverged_at, nearest) {
            (None, Some(nearest)) => nearest,
            _ => minima.len(),
        };
    }
    let in_group = |color: usize| traces.iter().filter(move |t| t.color == color).count();
    let mut groups: Vec<Group> = minima
        .iter()
        .enumerate()
        .map(|(color, at)| {
            let coordinate = |v: f64| number((100.0 * v).round() / 100.0);
            let name = format!("({}, {})", coordinate(at[0]), coordinate(at[1]));
            Group { name: format!("Minimum at {name}"), color, goal: Some((*at, 0.02 * side)) }
        })
        .collect();
    if in_group(minima.len()) > 0 {
        groups.push(Group { name: "Diverged".into(), color: minima.len(), goal: None });
    }
    groups
}

/// The values against the steps, a curve for each path.
fn strip(traces: &[Trace]) -> Strip {
    let names: Vec<&str> = traces.iter().map(|t| t.name.as_str()).collect();
    // Values of one hyperparameter, without its name: there is little room at the ends of curves.
    let (_, names) = in_common(&names);
    let curve = |(k, trace): (usize, &Trace)| Series {
        name: names[k].to_string(),
        panel: trace.color,
        quantity: Quantity::Loss,
        split: Split::Train,
        points: trace.points.iter().enumerate().map(|(k, p)| (k as f64, p.value)).collect(),
    };
    Strip { series: traces.iter().enumerate().map(curve).collect() }
}

/// What names have in common before their last word, and the last words: `momentum` and `0`, `0.5`. Nothing
/// in common: the names.
fn in_common<'a>(names: &[&'a str]) -> (Option<&'a str>, Vec<&'a str>) {
    let split = names.iter().map(|name| name.rsplit_once(' ')).collect::<Option<Vec<_>>>();
    match split.as_deref() {
        Some([(first, _), rest @ ..]) if !rest.is_empty() && rest.iter().all(|r| r.0 == *first) => {
            (Some(first), split.iter().flatten().map(|(_, last)| *last).collect())
        }
        _ => (None, names.to_vec()),
    }
}

fn headline(request: &FunctionRequest, paths: &[OptimizerPath]) -> String {
    if request.starts.len() > 1 {
        let (rule, on) = (&request.contenders[0].name, request.function.title());
        return format!("{} from {} starting points on {on}", capital(rule), request.starts.len());
    }
    let names: Vec<&str> = paths.iter().map(|p| p.name.as_str()).collect();
    let (of, names) = in_common(&names);
    let on = request.function.title();
    match (names.split_last(), of) {
        (Some((last, [])), _) => format!("{} on {on}", capital(last)),
        (Some((last, rest)), None) if rest.len() < 4 => {
            format!("{} and {last} on {on}", capital(&rest.join(", ")))
        }
        (Some((last, rest)), Some(of)) if rest.len() < 7 => {
            format!("{} {} and {last} on {on}", capital(of), rest.join(", "))
        }
        (_, Some(of)) => format!("{} values of {of} on {on}", names.len()),
        _ => format!("{} optimizers on {on}", names.len()),
    }
}

fn caption(
    request: &FunctionRequest,
    paths: &[OptimizerPath],
    traces: &[Trace],
    moves: bool,
) -> String {
    let ([x, y], steps) = (request.starts[0], thousands(&request.steps.to_string()));
    let plural = if request.steps == 1 { "" } else { "s" };
    let from = match request.starts.len() {
        1 => format!("from ({}, {})", number(x), number(y)),
        starts => {
            let one = &paths[0].hyperparameters;
            format!("from {starts} points, {}, {one}", request.contenders[0].name)
        }
    };
    let formula = request.function.formula();
    let mut text = format!("f(x, y) = {formula}. {steps} step{plural} {from}.");
    let chosen = paths.iter().filter(|p| p.lr_chosen).count();
    if request.starts.len() > 1 {
        let near = "Arrived: within 2 % of the window's side.";
        text += &format!(" A path has the colour of the minimum that it ends nearest to. {near}");
        if chosen > 0 {
            text += " The learning rate is the one that ends lowest from the first point.";
        }
    } else if chosen > 0 {
        let rates = learning_rates();
        let whose =
            if chosen == paths.len() { "Learning rates" } else { "Where none was set, rates" };
        text += &format!(
            " {whose}: of {} between {} and {} the ones that end lowest.",
            rates.len(),
            number(rates[0]),
            number(rates[rates.len() - 1])
        );
    }
    text +=
        if request.function.minima().len() == 1 { " Cross: minimum." } else { " Crosses: minima." };
    let any = |of: fn(&TracePoint) -> bool| traces.iter().any(|t| t.points.iter().any(of));
    if moves && request.starts.len() == 1 {
        text += " Thin arrow: the step.";
        if any(|p| p.first_moment.is_some()) {
            text += " Thick arrow: minus the first moment, its length by the cube root.";
        }
        if any(|p| p.second_moment.is_some()) {
            text += " Ellipse: ratio of the step sizes along x and y, from the second moment.";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::TestFunction;
    use crate::stages::function::{contenders, run};

    fn made(rules: &str, moves: bool) -> OptimizerFilm {
        let function = TestFunction::Himmelblau;
        let contenders = contenders(rules, &[], None).unwrap();
        let request =
            FunctionRequest { function, starts: vec![function.start()], steps: 20, contenders };
        let paths = run(&request).unwrap();
        gather(&request, &paths, &FunctionLook { moves, ..FunctionLook::default() }).unwrap()
    }

    #[test]
    fn a_film_has_the_states_of_each_rule_and_says_what_its_signs_mean() {
        let film = made("sgd,momentum,adam,rmsprop", true);
        let has = |k: usize| {
            let p = film.traces[k].points[3];
            (p.first_moment.is_some(), p.second_moment.is_some())
        };
        assert_eq!(
            [0, 1, 2, 3].map(has),
            [(false, false), (true, false), (true, true), (false, true)]
        );
        let title = "SGD, Momentum, Adam and RMSprop on Himmelblau's function";
        assert_eq!(film.title, title);
        for words in ["20 steps from (0, −4.5)", "Crosses: minima", "Thick arrow", "Ellipse"] {
            assert!(film.caption.contains(words), "{}", film.caption);
        }
        let still = made("sgd", false);
        assert!(!still.caption.contains("arrow") && still.title.starts_with("SGD on"));
        assert_eq!((film.minima.len(), film.surface.grid.values.len()), (4, GRID * GRID));
    }

    #[test]
    fn values_of_one_hyperparameter_share_its_name_in_the_title() {
        let (of, values) = in_common(&["learning rate 0.1", "learning rate 0.2"]);
        assert_eq!((of, values), (Some("learning rate"), vec!["0.1", "0.2"]));
        assert_eq!(in_common(&["SGD", "Adam"]), (None, vec!["SGD", "Adam"]));
        assert_eq!(in_common(&["momentum 0"]).0, None);
        let function = TestFunction::Ravine;
        let vary = Some("optim.momentum=0,0.5,0.9");
        let contenders = contenders("sgd", &[], vary).unwrap();
        let request = FunctionRequest { function, starts: vec![[1.0, 1.0]], steps: 4, contenders };
        let film = gather(&request, &run(&request).unwrap(), &FunctionLook::default()).unwrap();
        assert_eq!(film.title, "Momentum 0, 0.5 and 0.9 on a ravine");
        let names: Vec<&str> = film.strip.series.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["0", "0.5", "0.9"]);
    }

    #[test]
    fn a_window_without_extent_is_refused() {
        let function = TestFunction::Beale;
        let contenders = contenders("sgd", &[], None).unwrap();
        let request = FunctionRequest { function, starts: vec![[1.0, 1.0]], steps: 2, contenders };
        let paths = run(&request).unwrap();
        let window = Some([[1.0, 1.0], [0.0, 2.0]]);
        let look = FunctionLook { window, ..FunctionLook::default() };
        let err = gather(&request, &paths, &look).unwrap_err().to_string();
        assert!(err.contains("-2,2,-1,3"), "{err}");
    }
}
