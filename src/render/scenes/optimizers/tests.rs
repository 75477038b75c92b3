//! Pictures of optimizers on a function.

use super::*;
use crate::render::film::show::{self, Show};
use crate::render::scene::{Grid, Series, Split};
use crate::render::tests::golden::assert_golden_show;
use crate::render::tests::words::assert_legible;

/// f = (x^2 + 9 y^2) / 2 with gradient descent, a path with both moments, and one that diverges.
fn film() -> OptimizerFilm {
    let f = |x: f64, y: f64| 0.5 * (x * x + 9.0 * y * y);
    let along =
        |half: f64| -> Vec<f64> { (0..61).map(|i| half * (f64::from(i) / 30.0 - 1.0)).collect() };
    let (xs, ys) = (along(3.0), along(2.0));
    let values = ys.iter().flat_map(|y| xs.iter().map(move |x| f(*x, *y))).collect();
    let descent = |lr: f64| -> Vec<TracePoint> {
        let at = |k: i32| (-2.6 * (1.0 - lr).powi(k), 1.5 * (1.0 - 9.0 * lr).powi(k));
        let point = |(x, y)| TracePoint { x, y, value: f(x, y), ..TracePoint::default() };
        (0..13).map(at).map(point).collect()
    };
    let mut adaptive = descent(0.05);
    let (mut m, mut v) = ([0.0; 2], [0.0; 2]);
    for p in &mut adaptive {
        (p.first_moment, p.second_moment) = (Some(m), Some(v));
        let gradient = [p.x, 9.0 * p.y];
        for i in 0..2 {
            m[i] = 0.9 * m[i] + 0.1 * gradient[i];
            v[i] = 0.9 * v[i] + 0.1 * gradient[i] * gradient[i];
        }
    }
    let trace = |name: &str, detail: &str, points: Vec<TracePoint>| Trace {
        name: name.into(),
        detail: detail.into(),
        points,
        ..Trace::default()
    };
    let diverging = Trace {
        diverged_at: Some(5),
        ..trace("Large steps", "learning rate 0.25", descent(0.25)[..5].to_vec())
    };
    let traces = vec![
        trace("Gradient descent", "learning rate 0.2", descent(0.2)),
        trace("Adaptive", "learning rate 0.05, beta1 0.9, beta2 0.9, and a line more", adaptive),
        diverging,
    ];
    let traces: Vec<Trace> =
        traces.into_iter().enumerate().map(|(color, t)| Trace { color, ..t }).collect();
    let curve = |(panel, trace): (usize, &Trace)| Series {
        name: trace.name.clone(),
        panel,
        quantity: Quantity::Loss,
        split: Split::Train,
        points: trace.points.iter().enumerate().map(|(k, p)| (k as f64, p.value)).collect(),
    };
    OptimizerFilm {
        title: "Three optimizers in a ravine".into(),
        caption: "f(x, y) = (x² + 9 y²)/2. Cross: minimum. Thick arrow: minus the first moment."
            .into(),
        value_label: "value".into(),
        surface: ContourPanel {
            grid: Grid { xs, ys, values, interpolated: None },
            x_label: "x".into(),
            y_label: "y".into(),
            ..ContourPanel::default()
        },
        minima: vec![[0.0, 0.0]],
        strip: Strip { series: traces.iter().enumerate().map(curve).collect() },
        traces,
        groups: vec![],
        chart_titles: vec![(Quantity::Loss, "Value".into())],
        hold_secs: 0.5,
    }
}

#[test]
fn frames_look_as_they_did() {
    let film = film();
    let light = Theme::light();
    let scene = OptimizerShow::new(&film, &light, [800, 450], 60, 30).unwrap();
    assert_golden_show("optimizers-step", &scene, 12);
    let dark = Theme::dark();
    let scene = OptimizerShow::new(&film, &dark, [800, 450], 60, 30).unwrap();
    assert_golden_show("optimizers-end", &scene, 59);
}

#[test]
fn small_strange_and_lonely_films_are_drawn() {
    let mut cases = vec![film()];
    let mut many = film();
    many.traces = (0..9).map(|k| many.traces[k % 3].clone()).collect();
    cases.push(many);
    let mut point = film();
    point.traces.truncate(1);
    point.traces[0].points.truncate(1);
    cases.push(point);
    let mut outside = film();
    for p in outside.traces.iter_mut().flat_map(|t| &mut t.points) {
        (p.x, p.y) = (1e9 * p.x, -1e9 * p.y);
    }
    cases.push(outside);
    let mut long = film();
    long.traces[0].name = "a name that never ends ".repeat(9);
    long.traces[0].detail = "a hyperparameter ".repeat(20);
    cases.push(long);
    for case in cases {
        for size in [[320, 180], [640, 480], [360, 640]] {
            let theme = Theme::print();
            let scene = OptimizerShow::new(&case, &theme, size, 7, 30).unwrap();
            let backdrop = show::backdrop(&scene).unwrap();
            for k in [0, 3, 6] {
                show::frame(&scene, &backdrop, k).unwrap();
            }
        }
    }
    let nobody = OptimizerFilm { traces: vec![], ..film() };
    let err = OptimizerShow::new(&nobody, &Theme::light(), [640, 360], 5, 30).err().unwrap();
    assert!(err.to_string().contains("no optimizer has a path"), "{err}");
}

#[test]
fn a_path_that_ends_outside_says_so_and_the_timeline_reaches_its_end() {
    let film = film();
    let theme = Theme::light();
    let scene = OptimizerShow::new(&film, &theme, [640, 360], 60, 30).unwrap();
    assert_eq!(scene.page.timeline.end, 12.0);
    let names = |scene: &OptimizerShow, time: f64| -> Vec<String> {
        let body = &scene.body;
        let each = body.film.traces.iter().zip(&body.tracks);
        each.map(|(trace, track)| ending(trace, track, time)).collect()
    };
    let at_the_end = ["Gradient descent", "Adaptive", "Large steps diverged at step 5"];
    assert_eq!(names(&scene, 12.0), at_the_end);
    // It is outside before it counts as diverged.
    assert_eq!(names(&scene, 4.0)[2], "Large steps left the window at step 2");
    let mut gone = film.clone();
    gone.traces.truncate(1);
    for (k, p) in gone.traces[0].points.iter_mut().enumerate().skip(4) {
        p.x = 10.0 + k as f64;
    }
    let scene = OptimizerShow::new(&gone, &theme, [640, 360], 60, 30).unwrap();
    assert_eq!(names(&scene, 12.0), ["Gradient descent left the window at step 4"]);
    gone.traces[0].points.truncate(2);
    gone.traces[0].diverged_at = Some(30);
    let scene = OptimizerShow::new(&gone, &theme, [640, 360], 60, 30).unwrap();
    assert_eq!(scene.page.timeline.end, 30.0);
}

#[test]
fn words_can_be_read_at_every_size() {
    let film: &'static OptimizerFilm = Box::leak(Box::new(film()));
    assert_legible("optimizers", &|size, scale| {
        let theme: &'static Theme = Box::leak(Box::new(Theme { scale, ..Theme::light() }));
        let show: Box<dyn Show> = Box::new(OptimizerShow::new(film, theme, size, 60, 30).unwrap());
        show
    });
}
