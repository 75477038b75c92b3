//! Tests of the scenes as pictures: goldens, strange data, and that frames repeat themselves.

use super::boundary::{BoundaryFilm, BoundaryShow, InputSpace};
use super::curve::CurveShow;
use super::heatmap::{Heatmap, HeatmapShow};
use super::histograms::{HistogramFilm, HistogramRun, HistogramShow, LayerHistogram};
use super::instability::{
    Barrier, BarrierPanel, BarrierSeries, InstabilityFigure, InstabilityShow,
};
use super::shadow::{ShadowFilm, ShadowShow, ShadowView};
use super::spectrum::{PathSpectrum, SpectrumFigure, SpectrumShow};
use crate::render::canvas::theme::Theme;
use crate::render::film::show::{self, Show};
use crate::render::film::{Output, write_show};
use crate::render::scene::{
    Arrows, Card, Clock, CurveFigure, CurveStyle, Film, Gradient, Inset, Moment, Pacing, PathPoint,
    Quantity, Relief, Scaling, Series, Split, Strip,
};
use crate::render::scenes::contour::ContourFilm;
use crate::render::tests::golden::{assert_golden_show, film, panel, strip, two_panels};
use crate::render::tests::words::assert_legible;
use crate::trajectory::{Centring, null_explained_variance};

const SIZE: [u32; 2] = [640, 360];

/// Frames of every test film, and their rate.
const FRAMES: usize = 60;
const FPS: u32 = 30;

fn pacing() -> Pacing {
    let moment = Moment { time: 8.0, label: "learning rate drops".into(), pause_secs: 0.2 };
    Pacing { moments: vec![moment], ..Pacing::default() }
}

fn heatmap() -> Heatmap {
    let panel = panel(17, 13, 15);
    let mut grid = panel.grid;
    (grid.values[20], grid.values[21], grid.values[200]) = (f64::NAN, f64::NAN, f64::INFINITY);
    Heatmap {
        title: "Every cell as it was evaluated".into(),
        heading: "Two wells".into(),
        subtitle: "with a hole".into(),
        caption: "A function of two variables.".into(),
        value_label: "loss".into(),
        x_label: panel.x_label,
        y_label: panel.y_label,
        grid,
        range: Some([0.05, 6.0]),
        path: panel.path,
        pacing: pacing(),
        ..Heatmap::default()
    }
}

fn shadow(snapshots: usize) -> ShadowFilm {
    let path = panel(3, 3, snapshots).path;
    let view = |title: &str, shrink: f64| ShadowView {
        title: title.into(),
        subtitle: "holds some of the variance".into(),
        x_label: "direction 1".into(),
        y_label: "direction 2".into(),
        path: path.iter().map(|p| PathPoint { x: shrink * p.x, y: shrink * p.y, ..*p }).collect(),
    };
    ShadowFilm {
        title: "One path, two shadows".into(),
        caption: "A spiral.".into(),
        views: vec![view("In a random plane", 0.02), view("In its own plane", 1.0)],
        strip: strip(&[panel(3, 3, snapshots)]),
        pacing: pacing(),
        hold_secs: 0.2,
    }
}

fn histograms(snapshots: usize) -> HistogramFilm {
    let layers = (0..5).map(|l| {
        let mut layer = LayerHistogram::new(&format!("layer{l}.weight"), 300 * (l + 1), 1.0);
        for i in 0..snapshots {
            // A bell that widens as the snapshots go by.
            let width = 0.1 + 0.05 * l as f64 + 0.3 * i as f64 / snapshots as f64;
            let draw = |k: usize| {
                let u = (k as f64 + 0.5) / 300.0 * 2.0 - 1.0;
                (width * u * u.abs().sqrt()) as f32
            };
            layer.push(&(0..300).map(draw).collect::<Vec<f32>>(), 24);
        }
        layer
    });
    HistogramFilm {
        title: "The weights of a net".into(),
        caption: "Line: before training.".into(),
        runs: vec![HistogramRun {
            name: "a run".into(),
            snapshots: panel(3, 3, snapshots).path,
            layers: layers.collect(),
        }],
        pacing: pacing(),
        ..HistogramFilm::default()
    }
}

/// The same of two runs, the other one with narrower bells, fewer snapshots and another width of a layer.
fn two_histograms() -> HistogramFilm {
    let mut film = histograms(15);
    let mut other = histograms(9).runs.remove(0);
    other.name = "another run".into();
    for layer in &mut other.layers {
        layer.shares.iter_mut().for_each(|row| row.reverse());
        layer.deviation.iter_mut().for_each(|d| *d *= 0.5);
    }
    other.layers[2].len = 77;
    film.runs.push(other);
    film
}

fn boundary(snapshots: usize) -> BoundaryFilm {
    let (n, classes) = (21, 3);
    let probabilities = (0..snapshots).map(|i| {
        let turn = i as f64 / snapshots as f64;
        let mut answers = vec![0.0f32; classes * n * n];
        for k in 0..n * n {
            let x = (k % n) as f64 / 10.0 - 1.0;
            let y = (k / n) as f64 / 10.0 - 1.0;
            let logit = |c: usize| {
                let angle = turn + 2.1 * c as f64;
                (4.0 * turn * (x * angle.cos() + y * angle.sin())).exp()
            };
            let sum: f64 = (0..classes).map(logit).sum();
            for c in 0..classes {
                answers[(c * n + k / n) * n + k % n] = (logit(c) / sum) as f32;
            }
        }
        answers
    });
    let points = (0..90).map(|i| {
        let (r, a) = (0.2 + 0.007 * f64::from(i), 2.4 * f64::from(i));
        (r * a.cos(), r * a.sin(), i as usize % 3)
    });
    let panel = panel(21, 15, snapshots);
    BoundaryFilm {
        title: "A net learns to tell three classes apart".into(),
        caption: "Left: the answer, stronger where surer.".into(),
        value_label: "loss".into(),
        inputs: InputSpace {
            title: "In input space".into(),
            subtitle: "90 points".into(),
            x: [-1.0, 1.0],
            y: [-1.0, 1.0],
            size: [n, n],
            class_names: ["first", "second", "third"].map(String::from).to_vec(),
            probabilities: probabilities.collect(),
            points: points.collect(),
        },
        times: panel.path.iter().map(|p| p.epoch).collect(),
        panel,
        pacing: pacing(),
        ..BoundaryFilm::default()
    }
}

fn spectrum() -> SpectrumFigure {
    let path = |name: &str, ratio: f64| {
        let shares: Vec<f64> = (0..12).map(|i| ratio.powi(i)).collect();
        let sum: f64 = shares.iter().sum();
        PathSpectrum {
            name: name.into(),
            explained: shares.iter().map(|s| s / sum).collect(),
            null: null_explained_variance(13, 12, Centring::Centred),
        }
    };
    SpectrumFigure {
        title: "How flat is the path?".into(),
        caption: "13 snapshots.".into(),
        paths: vec![path("a run", 0.2)],
    }
}

/// Barriers that fall with the epoch of the fork; of the third fork none is known.
fn instability() -> InstabilityFigure {
    let series = |name: &str, height: f64| {
        let barrier = |i: i32| Barrier { value: height * 0.4f64.powi(i), se: 0.05 * height };
        let barriers = (0..6).map(|i| (i != 2).then(|| barrier(i))).collect();
        BarrierSeries { name: name.into(), barriers }
    };
    let panel = |title: &str, y_label: &str, height: f64, threshold| BarrierPanel {
        title: title.into(),
        y_label: y_label.into(),
        series: vec![series("test", height), series("training", 0.8 * height)],
        threshold,
    };
    InstabilityFigure {
        title: "Instability to the noise of SGD".into(),
        caption: "Two children of each fork.".into(),
        x_label: "epoch of the fork".into(),
        forks: ["0", "1", "2", "4", "8", "16"].map(String::from).to_vec(),
        panels: vec![
            panel("Error", "error barrier, %", 40.0, Some(2.0)),
            panel("Loss", "loss barrier", 1.5, None),
        ],
    }
}

fn contour_with_everything() -> Film {
    let mut panel = panel(31, 21, 21);
    (panel.relief, panel.arrows) = (Relief::Hillshade, Arrows::Interpolant);
    let path = panel.path.iter().map(|p| PathPoint { x: 0.05 * p.x, y: 0.05 * p.y, ..*p });
    panel.inset = Some(Inset { title: "in a random plane".into(), path: path.collect() });
    Film {
        title: "With everything".into(),
        caption: "A caption that is so long that a single line cannot hold it at this size of the \
                  picture, which is why it goes on in a second one, \
                  to the end of what there is to say about it."
            .into(),
        value_label: "loss".into(),
        strip: strip(std::slice::from_ref(&panel)),
        panels: vec![panel],
        hold_secs: 0.5,
        pacing: Pacing { clock: Clock::Snapshot, ..pacing() },
        ..Film::default()
    }
}

/// All five charts, with the edge of stability, and arrows that were measured.
fn contour_with_measurements() -> Film {
    let mut panel = panel(31, 21, 21);
    // The wells' own gradient is not at hand: any field of vectors will do.
    let at = |k: usize| {
        let (x, y) = (-2.2 + 0.4 * (k % 12) as f64, -1.1 + 0.45 * (k / 12) as f64);
        Gradient { x, y, value: 1.0, dx: x + 1.0, dy: 3.0 * y }
    };
    let inside = |g: &Gradient| {
        let within = |v: f64, of: &[f64]| v > of[0] && v < of[of.len() - 1];
        within(g.x, &panel.grid.xs) && within(g.y, &panel.grid.ys)
    };
    panel.arrows = Arrows::Measured((0..72).map(at).filter(inside).collect());
    let mut strip = strip(std::slice::from_ref(&panel));
    let mut add = |name: &str, quantity, split, f: &dyn Fn(f64) -> f64| {
        let points = panel.path.iter().map(|p| (p.epoch, f(p.epoch))).collect();
        strip.series.push(Series { name: name.into(), panel: 0, quantity, split, points });
    };
    let rate = |epoch: f64| if epoch < 12.0 { 0.1 } else { 0.01 };
    add("", Quantity::LearningRate, Split::Train, &rate);
    add("", Quantity::GradNorm, Split::Train, &|e| 2.0 + (3.0 * e).sin());
    // Two measurements are missing.
    let measured =
        |e: f64| if (8.0..10.0).contains(&e) { f64::NAN } else { 21.0 - 16.0 / (1.0 + e) };
    add("", Quantity::Sharpness, Split::Train, &measured);
    add("2/lr", Quantity::Sharpness, Split::Bound, &|e| 2.0 / rate(e));
    Film {
        title: "With measurements".into(),
        value_label: "loss".into(),
        strip,
        panels: vec![panel],
        hold_secs: 0.5,
        pacing: Pacing { clock: Clock::Epoch, ..pacing() },
        ..Film::default()
    }
}

fn twin() -> CurveFigure {
    let line = |f: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        (0..41).map(|i| f64::from(i) / 20.0 - 1.0).map(|a| (a, f(a))).collect()
    };
    let mut series = Vec::new();
    for (panel, name, sharp) in [(0, "small batch", 1.0), (1, "large batch", 4.0)] {
        for (split, off) in [(Split::Train, 0.0), (Split::Test, 0.06)] {
            let name = name.to_string();
            let loss = line(&|a| 0.02 + off + sharp * a * a);
            let accuracy = line(&|a| (1.0 - off - 0.2 * sharp * a * a).max(0.1));
            let (l, a) = (Quantity::Loss, Quantity::Accuracy);
            series.push(Series { name: name.clone(), panel, quantity: l, split, points: loss });
            series.push(Series { name, panel, quantity: a, split, points: accuracy });
        }
    }
    CurveFigure {
        title: "Sharp and flat minima".into(),
        x_label: "distance along the direction, α".into(),
        series,
        style: CurveStyle::Twin,
        ..CurveFigure::default()
    }
}

#[test]
fn every_scene_looks_as_it_did() {
    let (light, dark, print) = (Theme::light(), Theme::dark(), Theme::print());
    let map = heatmap();
    let heatmap = HeatmapShow::new(&map, &light, SIZE, FRAMES, FPS).unwrap();
    assert_golden_show("scene-heatmap", &heatmap, 40);
    let film = shadow(15);
    let shadow = ShadowShow::new(&film, &light, SIZE, FRAMES, FPS).unwrap();
    assert_golden_show("scene-shadow", &shadow, 30);
    let film = histograms(15);
    let histograms = HistogramShow::new(&film, &dark, SIZE, FRAMES, FPS).unwrap();
    assert_golden_show("scene-histograms", &histograms, 30);
    let film = two_histograms();
    let histograms = HistogramShow::new(&film, &light, SIZE, FRAMES, FPS).unwrap();
    assert_golden_show("scene-histograms-two", &histograms, 30);
    let film = boundary(15);
    let boundary = BoundaryShow::new(&film, &light, SIZE, FRAMES, FPS).unwrap();
    assert_golden_show("scene-boundary", &boundary, 34);
    let figure = spectrum();
    assert_golden_show("scene-spectrum", &SpectrumShow::new(&figure, &light, SIZE).unwrap(), 0);
    let figure = twin();
    assert_golden_show("scene-curve-twin", &CurveShow::new(&figure, &print, SIZE).unwrap(), 0);
    let film = contour_with_everything();
    let contour = ContourFilm::new(&film, &light, SIZE, FRAMES, FPS).unwrap();
    assert_golden_show("scene-contour-extras", &contour, 20);
    let film = contour_with_measurements();
    let contour = ContourFilm::new(&film, &light, [800, 600], FRAMES, FPS).unwrap();
    assert_golden_show("scene-contour-measured", &contour, 45);
}

#[test]
fn the_card_covers_the_page_and_then_goes() {
    let mut film = contour_with_everything();
    // By the snapshot clock the frames tell their pace, which a card quickens.
    film.pacing.clock = Clock::Epoch;
    film.pacing.card = Some(Card {
        title: "A path on a surface".into(),
        lines: vec!["two wells".into(), "a spiral into the left one".into()],
        secs: 0.4,
    });
    let theme = Theme::dark();
    let show = ContourFilm::new(&film, &theme, SIZE, FRAMES, FPS).unwrap();
    assert_golden_show("scene-card", &show, 0);
    let backdrop = show::backdrop(&show).unwrap();
    let frame = |k| show::frame(&show, &backdrop, k).unwrap();
    let mut bare = film.clone();
    bare.pacing.card = None;
    let without = ContourFilm::new(&bare, &theme, SIZE, FRAMES, FPS).unwrap();
    let first = show::frame(&without, &show::backdrop(&without).unwrap(), 0).unwrap();
    assert!(frame(12).rgba() == first.rgba(), "after the card the film begins");
    assert!(frame(0).rgba() != first.rgba());
}

/// Draws the first, a middle and the last frame at three sizes; each must have ink.
fn survives(name: &str, make: &dyn Fn([u32; 2]) -> Box<dyn Show>) {
    for size in [[320, 180], [640, 480], [360, 640]] {
        let show = make(size);
        let backdrop = show::backdrop(&*show).unwrap();
        for frame in [0, show.frames() / 2, show.frames() - 1] {
            let picture = show::frame(&*show, &backdrop, frame).unwrap();
            let ground = &picture.rgba()[..4];
            let ink = picture.rgba().chunks_exact(4).filter(|p| *p != ground).count();
            assert!(ink > 300, "{name} at {size:?}, frame {frame}: {ink} pixels of ink");
        }
    }
}

/// A path of `n` snapshots that stands still.
fn identical(n: usize) -> Vec<PathPoint> {
    let at = |i: usize| PathPoint {
        epoch: i as f64,
        time: i as f64,
        x: 0.3,
        y: -0.1,
        ..PathPoint::default()
    };
    (0..n).map(at).collect()
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

#[test]
fn heat_maps_survive_strange_data() {
    let theme: &'static Theme = leak(Theme::light());
    let values = |f: &dyn Fn(usize, f64) -> f64| {
        let mut map = heatmap();
        let old = map.grid.values.clone();
        map.grid.values = old.iter().enumerate().map(|(i, &v)| f(i, v)).collect();
        map.range = None;
        map
    };
    let one_cell = Heatmap { grid: panel(1, 1, 0).grid, range: None, ..heatmap() };
    let mut cases = vec![
        ("all NaN", values(&|_, _| f64::NAN)),
        ("all infinite", values(&|_, _| f64::INFINITY)),
        ("constant", values(&|_, _| 0.7)),
        ("zero", values(&|_, _| 0.0)),
        ("tiny range", values(&|i, _| 1.0 + 1e-12 * i as f64)),
        ("tiny", values(&|i, _| 1e-12 * (1 + i) as f64)),
        ("huge", values(&|i, v| v * 10f64.powi(i as i32 % 42 - 12))),
        ("largest", values(&|i, _| if i % 2 == 0 { f64::MAX } else { -f64::MAX })),
        ("one cell", one_cell),
        ("no path", Heatmap { path: Vec::new(), ..heatmap() }),
        ("one snapshot", Heatmap { path: panel(3, 3, 1).path, ..heatmap() }),
        ("two alike", Heatmap { path: identical(2), ..heatmap() }),
        ("ten thousand", Heatmap { path: panel(3, 3, 10_000).path, ..heatmap() }),
        ("bad range", Heatmap { range: Some([3.0, 3.0]), ..heatmap() }),
    ];
    for scaling in [Scaling::Linear, Scaling::Log, Scaling::Diverging] {
        let signed = values(&|i, v| v * (-1f64).powi(i as i32));
        cases.push(("signed", Heatmap { scaling, ..signed }));
    }
    for (name, map) in cases {
        let map: &'static Heatmap = leak(map);
        survives(name, &|size| Box::new(HeatmapShow::new(map, theme, size, FRAMES, FPS).unwrap()));
    }
    assert!(HeatmapShow::new(&Heatmap::default(), theme, SIZE, 5, FPS).is_err());
    let err = Heatmap::check_range([1.0, 0.0]).unwrap_err().to_string();
    assert!(err.contains("lower end first"), "{err}");
}

#[test]
fn films_survive_strange_paths() {
    let theme: &'static Theme = leak(Theme::dark());
    for n in [1, 2, 10_000] {
        let film: &'static ShadowFilm = leak(shadow(n));
        survives("shadow", &|size| {
            Box::new(ShadowShow::new(film, theme, size, FRAMES, FPS).unwrap())
        });
    }
    let mut still = shadow(3);
    still.views.iter_mut().for_each(|v| v.path = identical(2));
    let still: &'static ShadowFilm = leak(still);
    survives("a path that stands still", &|size| {
        Box::new(ShadowShow::new(still, theme, size, FRAMES, FPS).unwrap())
    });
    let mut lost = shadow(3);
    lost.views.iter_mut().flat_map(|v| &mut v.path).for_each(|p| p.x = f64::NAN);
    let err = ShadowShow::new(&lost, theme, SIZE, 5, FPS).err().unwrap().to_string();
    assert!(err.contains("at least one finite snapshot"), "{err}");
    for scale in [1e-12, 1e30] {
        let mut film = shadow(9);
        for p in film.views.iter_mut().flat_map(|v| &mut v.path) {
            (p.x, p.y) = (p.x * scale, p.y * scale);
        }
        let film: &'static ShadowFilm = leak(film);
        survives("a path of an odd size", &|size| {
            Box::new(ShadowShow::new(film, theme, size, FRAMES, FPS).unwrap())
        });
    }
    for n in [1, 2] {
        let film: &'static HistogramFilm = leak(histograms(n));
        survives("histograms", &|size| {
            Box::new(HistogramShow::new(film, theme, size, FRAMES, FPS).unwrap())
        });
    }
    let mut nan = histograms(3);
    for layer in &mut nan.runs[0].layers {
        *layer = LayerHistogram::new("diverged", 4, 0.0);
        (0..3).for_each(|_| layer.push(&[f32::NAN, f32::INFINITY], 10));
    }
    let nan: &'static HistogramFilm = leak(nan);
    survives("weights that are not finite", &|size| {
        Box::new(HistogramShow::new(nan, theme, size, FRAMES, FPS).unwrap())
    });
    let pair: &'static HistogramFilm = leak(two_histograms());
    survives("histograms of two runs", &|size| {
        Box::new(HistogramShow::new(pair, theme, size, FRAMES, FPS).unwrap())
    });
    let refused = |change: &dyn Fn(&mut HistogramFilm), says: &str| {
        let mut film = two_histograms();
        change(&mut film);
        let err = HistogramShow::new(&film, theme, SIZE, 5, FPS).err().unwrap().to_string();
        assert!(err.contains(says), "{err}");
    };
    refused(&|film| film.runs[1].layers.clear(), "0 layers over 9 snapshots");
    refused(&|film| film.runs.clear(), "0 runs");
    refused(&|film| film.runs.push(film.runs[0].clone()), "3 runs");
    refused(&|film| film.runs[1].layers[0].reach = 2.0, "layers or bins differ");
}

#[test]
fn boundaries_survive_strange_answers() {
    let theme: &'static Theme = leak(Theme::print());
    let mut nan = boundary(2);
    nan.inputs.probabilities[1].fill(f32::NAN);
    let mut bare = boundary(4);
    bare.panel.grid = Default::default();
    let mut bare_still = boundary(2);
    (bare_still.panel.grid, bare_still.panel.path) = (Default::default(), identical(2));
    let mut all_nan = boundary(2);
    all_nan.panel.grid.values.fill(f64::NAN);
    let cases = [
        ("one snapshot", boundary(1)),
        ("NaN", nan),
        ("no surface", bare),
        ("no surface, no motion", bare_still),
        ("a surface of NaN", all_nan),
    ];
    for (name, film) in cases {
        let film: &'static BoundaryFilm = leak(film);
        survives(name, &|size| {
            Box::new(BoundaryShow::new(film, theme, size, FRAMES, FPS).unwrap())
        });
    }
    let mut short = boundary(3);
    short.inputs.probabilities.pop();
    let err = BoundaryShow::new(&short, theme, SIZE, 5, FPS).err().unwrap().to_string();
    assert!(err.contains("one probability for each class"), "{err}");
}

#[test]
fn still_figures_refuse_what_they_cannot_draw() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        |name: &str| Output { width: 640, height: 360, ..Output::new(folder.path().join(name)) };
    let theme = Theme::light();
    let write = |show: Result<&dyn Show, String>, name: &str| {
        write_show(show?, &output(name), &mut |_, _| {}).map_err(|e| e.to_string())
    };
    let spectrum_to = |figure: &SpectrumFigure, name: &str| {
        let show = SpectrumShow::new(figure, &theme, SIZE);
        write(show.as_ref().map(|s| s as &dyn Show).map_err(|e| e.to_string()), name)
    };
    let err = spectrum_to(&spectrum(), "s.gif").unwrap_err();
    assert!(err.contains("a spectrum does not move"), "{err}");
    let err = spectrum_to(&SpectrumFigure::default(), "s.png").unwrap_err();
    assert!(err.contains("one to eight paths"), "{err}");
    let mut unusable = spectrum();
    unusable.paths[0].explained[0] = f64::NAN;
    assert!(spectrum_to(&unusable, "s.png").is_err());
    let forks_to = |figure: &InstabilityFigure, name: &str| {
        let show = InstabilityShow::new(figure, &theme, SIZE);
        write(show.as_ref().map(|s| s as &dyn Show).map_err(|e| e.to_string()), name)
    };
    let err = forks_to(&instability(), "i.gif").unwrap_err();
    assert!(err.contains("an instability analysis does not move"), "{err}");
    let mut unknown = instability();
    for series in unknown.panels.iter_mut().flat_map(|panel| &mut panel.series) {
        series.barriers.fill(None);
    }
    assert!(forks_to(&unknown, "i.png").unwrap_err().contains("finite"));
    let nothing = CurveFigure { style: CurveStyle::Twin, ..CurveFigure::default() };
    assert!(CurveShow::new(&nothing, &theme, SIZE).is_err());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "something was left behind");
    // One fork whose barriers are all 0.
    let mut same = instability();
    same.forks.truncate(1);
    for series in same.panels.iter_mut().flat_map(|panel| &mut panel.series) {
        series.barriers = vec![Some(Barrier::default())];
    }
    forks_to(&same, "same.png").unwrap();
    // One component only, and a curve of one point.
    let mut one = spectrum();
    (one.paths[0].explained, one.paths[0].null) = (vec![1.0], vec![1.0]);
    spectrum_to(&one, "one.png").unwrap();
    let mut point = twin();
    point.series.truncate(1);
    point.series[0].points.truncate(1);
    let show = CurveShow::new(&point, &theme, SIZE).unwrap();
    write(Ok(&show), "point.svg").unwrap();
}

#[test]
fn titles_in_other_scripts_are_drawn_and_their_missing_characters_are_told() {
    let theme = Theme::light();
    let folder = tempfile::tempdir().unwrap();
    let mut film = histograms(2);
    film.title = "损失曲面上的路径".into();
    film.runs[0].layers[0].name = "طبقة".into();
    let show = HistogramShow::new(&film, &theme, SIZE, 3, FPS).unwrap();
    let output =
        Output { width: SIZE[0], height: SIZE[1], ..Output::new(folder.path().join("film.png")) };
    let report = write_show(&show, &output, &mut |_, _| {}).unwrap();
    let warning = report.warnings.join(" ");
    assert!(warning.contains("损 (U+635F)") && warning.contains("U+0637"), "{warning}");
}

#[test]
fn frames_repeat_themselves_and_still_parts_stand_still() {
    let theme = Theme::light();
    let film = boundary(12);
    let show = BoundaryShow::new(&film, &theme, SIZE, FRAMES, FPS).unwrap();
    let backdrop = show::backdrop(&show).unwrap();
    let frame = |k| show::frame(&show, &backdrop, k).unwrap();
    assert!(frame(25).rgba() == frame(25).rgba());
    // During the pause nothing moves but the label, which comes before it and stays after it.
    let label = show.texts().contains(&"learning rate drops");
    assert!(label);
    let changed = |a: usize, b: usize| {
        let (a, b) = (frame(a), frame(b));
        a.rgba().chunks_exact(4).zip(b.rgba().chunks_exact(4)).filter(|(x, y)| x != y).count()
    };
    assert!(changed(10, 30) > 500);
    let still: Vec<usize> = (1..FRAMES).filter(|&k| changed(k - 1, k) == 0).collect();
    assert!(still.len() >= 4, "{still:?}");
}

#[test]
fn a_figure_for_a_column_is_as_high_as_its_map_needs() {
    // Wider than high, and neither headline, caption nor charts.
    let mut flat = film(vec![panel(41, 21, 9)]);
    flat.strip = Strip::default();
    let mut theme = Theme { scale: 2.7, ..Theme::light() };
    (theme.words.headline, theme.words.caption) = (false, false);
    let laid = |size| ContourFilm::new(&flat, &theme, size, 1, 1).unwrap();
    let height = laid([990, 1100]).content_height();
    assert!((650..1000).contains(&height), "{height}");
    // At that height the picture is the same, and full.
    assert_eq!(laid([990, height]).content_height(), height);
    // With charts, which take what is left, it is as high as it was asked for.
    let theme = Theme::light();
    let full = film(vec![panel(41, 21, 9)]);
    let show = ContourFilm::new(&full, &theme, [990, 1100], 1, 1).unwrap();
    assert_eq!(show.content_height(), 1100);
}

#[test]
fn words_can_be_read_in_every_scene_at_every_size() {
    let theme = |scale| -> &'static Theme { leak(Theme { scale, ..Theme::light() }) };
    let map: &'static Heatmap = leak(heatmap());
    assert_legible("heat map", &|size, scale| {
        Box::new(HeatmapShow::new(map, theme(scale), size, FRAMES, FPS).unwrap())
    });
    let shadows: &'static ShadowFilm = leak(shadow(15));
    assert_legible("shadow", &|size, scale| {
        Box::new(ShadowShow::new(shadows, theme(scale), size, FRAMES, FPS).unwrap())
    });
    let pair: &'static HistogramFilm = leak(two_histograms());
    assert_legible("histograms of two runs", &|size, scale| {
        Box::new(HistogramShow::new(pair, theme(scale), size, FRAMES, FPS).unwrap())
    });
    let bars: &'static HistogramFilm = leak(histograms(15));
    assert_legible("histograms", &|size, scale| {
        Box::new(HistogramShow::new(bars, theme(scale), size, FRAMES, FPS).unwrap())
    });
    let answers: &'static BoundaryFilm = leak(boundary(15));
    assert_legible("boundary", &|size, scale| {
        Box::new(BoundaryShow::new(answers, theme(scale), size, FRAMES, FPS).unwrap())
    });
    let figure: &'static SpectrumFigure = leak(spectrum());
    assert_legible("spectrum", &|size, scale| {
        Box::new(SpectrumShow::new(figure, theme(scale), size).unwrap())
    });
    let forks: &'static InstabilityFigure = leak(instability());
    assert_legible("instability", &|size, scale| {
        Box::new(InstabilityShow::new(forks, theme(scale), size).unwrap())
    });
    for (name, style) in [("twin", CurveStyle::Twin), ("curve", CurveStyle::Stacked)] {
        let figure: &'static CurveFigure = leak(CurveFigure { style, ..twin() });
        assert_legible(name, &|size, scale| {
            Box::new(CurveShow::new(figure, theme(scale), size).unwrap())
        });
    }
    for (name, film) in [
        ("contour with everything", contour_with_everything()),
        ("contour with measurements", contour_with_measurements()),
        ("two contours", two_panels()),
        ("six contours", film(vec![panel(21, 15, 9); 6])),
        (
            "contour under a long headline",
            Film {
                title: "A headline as long as headlines get when nobody shortens them".into(),
                pacing: pacing(),
                ..film(vec![panel(21, 15, 15)])
            },
        ),
    ] {
        let film: &'static Film = leak(film);
        assert_legible(name, &|size, scale| {
            Box::new(ContourFilm::new(film, theme(scale), size, FRAMES, FPS).unwrap())
        });
    }
}
