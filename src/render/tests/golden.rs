//! Tests of whole pictures: goldens of decoded pixels, robustness, determinism.
//!
//! `BLESS=1 cargo test --lib render::golden` writes the goldens anew; then look at them.

use std::path::{Path, PathBuf};

use crate::render::canvas::raster::Raster;
use crate::render::canvas::theme::Theme;
use crate::render::film::show;
use crate::render::film::{Format, Output, RenderReport, write_show};
use crate::render::scene::{
    ContourPanel, CurveFigure, CurveStyle, Film, Grid, PathPoint, Quantity, Series, Split, Strip,
};
use crate::render::scenes::contour::ContourFilm;
use crate::render::scenes::contour::write;
use crate::render::scenes::curve::CurveShow;

/// Two wells, and a path that spirals into the left one.
pub(in crate::render) fn panel(nx: usize, ny: usize, snapshots: usize) -> ContourPanel {
    let along = |n: usize, reach: f64| -> Vec<f64> {
        (0..n).map(|i| reach * (2.0 * i as f64 / (n - 1).max(1) as f64 - 1.0)).collect()
    };
    let (xs, ys) = (along(nx, 2.0), along(ny, 1.4));
    let loss = |x: f64, y: f64| {
        0.02 + 0.6 * (x * x - 1.0).powi(2) + 1.1 * (y - 0.2 * x).powi(2) + 0.08 * x
    };
    let values = ys.iter().flat_map(|&y| xs.iter().map(move |&x| loss(x, y))).collect();
    let path = (0..snapshots)
        .map(|i| {
            let t = i as f64 / (snapshots - 1).max(1) as f64;
            let (radius, angle) = (0.95 * (-3.0 * t).exp() * (1.0 - t), 9.0 * t + 1.9);
            let (x, y) = (-1.0 + radius * angle.cos(), -0.2 + radius * angle.sin());
            PathPoint {
                step: 100 * i as u64,
                epoch: i as f64,
                time: i as f64,
                x,
                y,
                true_loss: 1.05 * loss(x, y),
                plane_loss: Some(loss(x, y)),
                lr: if t < 0.6 { 0.1 } else { 0.01 },
            }
        })
        .collect();
    ContourPanel {
        title: "Two wells".into(),
        subtitle: "a spiral into the left one".into(),
        grid: Grid { xs, ys, values, interpolated: None },
        path,
        x_label: "PC1 (63.1 %)".into(),
        y_label: "PC2 (14.8 %)".into(),
        ..ContourPanel::default()
    }
}

pub(in crate::render) fn strip(panels: &[ContourPanel]) -> Strip {
    let mut series = Vec::new();
    for (k, panel) in panels.iter().enumerate() {
        for (name, split, factor) in [("train", Split::Train, 1.0), ("test", Split::Test, 1.3)] {
            let loss = panel.path.iter().map(|p| (p.epoch, factor * p.true_loss));
            let accuracy = panel.path.iter().map(|p| (p.epoch, 1.0 / (1.0 + factor * p.true_loss)));
            for (quantity, points) in
                [(Quantity::Loss, loss.collect()), (Quantity::Accuracy, accuracy.collect())]
            {
                series.push(Series { name: name.into(), panel: k, quantity, split, points });
            }
        }
    }
    Strip { series }
}

pub(in crate::render) fn film(panels: Vec<ContourPanel>) -> Film {
    Film {
        title: "The path finds a well".into(),
        caption: "A function of two variables; cells evaluated 1,025 of 1,025.".into(),
        value_label: "loss".into(),
        strip: strip(&panels),
        panels,
        hold_secs: 0.5,
        ..Film::default()
    }
}

pub(in crate::render) fn two_panels() -> Film {
    let mut second = panel(41, 25, 13);
    second.title = "Two wells, with holes".into();
    for (i, value) in second.grid.values.iter_mut().enumerate() {
        if (i % 41).abs_diff(33) < 3 && (i / 41).abs_diff(5) < 3 {
            *value = f64::NAN;
        }
        if i % 41 > 38 {
            *value = f64::INFINITY;
        }
    }
    second.grid.interpolated = Some((0..41 * 25).map(|i| i / 41 > 20).collect());
    film(vec![panel(41, 25, 21), second])
}

pub(in crate::render) fn output(path: &Path, size: (u32, u32), frames: usize, fps: u32) -> Output {
    Output { width: size.0, height: size.1, frames, fps, ..Output::new(path) }
}

pub(in crate::render) fn render(film: &Film, output: &Output) -> RenderReport {
    write(film, output, &mut |_, _| {}).unwrap()
}

pub(in crate::render) fn read_png(path: &Path) -> (Vec<u8>, u32, u32) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    (bytes, info.width, info.height)
}

/// Compares a picture with `tests/golden/NAME.png`. Rounding differs between machines at the edges
/// of shapes, so single pixels may be off by a little: at most one in five hundred by more than
/// 24 levels, and half a level on the average.
pub(in crate::render) fn assert_golden(name: &str, picture: &Path) {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.png"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::copy(picture, &golden).unwrap();
        return;
    }
    assert!(golden.exists(), "no golden {name}: make it with BLESS=1, then look at it");
    let ((new, w, h), (old, ow, oh)) = (read_png(picture), read_png(&golden));
    assert_eq!((w, h), (ow, oh), "{name} has another size; BLESS=1 renews it");
    let off = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    let pixels = new.chunks_exact(3).zip(old.chunks_exact(3));
    let far = pixels.filter(|(a, b)| off(a, b) > 24).count();
    let sum: u64 = new.iter().zip(&old).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = sum as f64 / new.len() as f64;
    assert!(
        far * 500 <= (w * h) as usize && mean < 0.5,
        "{name}: {far} pixels are off, {mean:.3} levels on the average; if that is meant, BLESS=1 \
         renews the golden, then look at it"
    );
}

fn golden_frame(name: &str, film: &Film, theme: Theme, size: [u32; 2], frame: usize) {
    let scene = ContourFilm::new(film, &theme, size, 60, 30).unwrap();
    assert_golden_frame(name, &scene, frame);
}

/// Compares one frame of a scene with its golden.
pub(in crate::render) fn assert_golden_frame(name: &str, scene: &dyn show::Show, frame: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frame.png");
    let size = scene.size();
    let picture = show::frame(scene, &show::backdrop(scene).unwrap(), frame).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    crate::render::canvas::png::write(file, picture.rgba(), size[0], size[1]).unwrap();
    assert_golden(name, &path);
}

/// Compares frame `frame` of any show with `tests/golden/NAME.png`.
pub(in crate::render) fn assert_golden_show(name: &str, show: &dyn show::Show, frame: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frame.png");
    let picture = show::frame(show, &show::backdrop(show).unwrap(), frame).unwrap();
    let [width, height] = show.size();
    let file = std::fs::File::create(&path).unwrap();
    crate::render::canvas::png::write(file, picture.rgba(), width, height).unwrap();
    assert_golden(name, &path);
}

#[test]
fn frames_look_as_they_did() {
    let two = two_panels();
    golden_frame("film-two-panels-middle", &two, Theme::light(), [960, 540], 18);
    golden_frame("film-two-panels-end", &two, Theme::dark(), [960, 540], 59);
    golden_frame("film-one-panel", &film(vec![panel(41, 29, 21)]), Theme::light(), [640, 360], 30);
    golden_frame("film-small", &film(vec![panel(21, 15, 9)]), Theme::print(), [320, 180], 10);
}

#[test]
fn a_curve_figure_looks_as_it_did() {
    let points = |f: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        (0..51).map(|i| f64::from(i) / 25.0 - 1.0).map(|a| (a, f(a))).collect()
    };
    let series = |name: &str, panel, quantity, split, points| Series {
        name: name.into(),
        panel,
        quantity,
        split,
        points,
    };
    let figure = CurveFigure {
        title: "Sharp and flat minima".into(),
        subtitle: "one filter-normalised direction for each net".into(),
        caption: "All 50,000 training images.".into(),
        x_label: "distance along the direction, α".into(),
        style: CurveStyle::Stacked,
        series: vec![
            series("small batch", 0, Quantity::Loss, Split::Train, points(&|a| 0.01 + a * a)),
            series("large batch", 1, Quantity::Loss, Split::Train, points(&|a| 0.01 + 4.0 * a * a)),
            series(
                "small batch",
                0,
                Quantity::Accuracy,
                Split::Train,
                points(&|a| 1.0 - 0.5 * a * a),
            ),
            series(
                "large batch",
                1,
                Quantity::Accuracy,
                Split::Test,
                points(&|a| 0.9 - 0.8 * a * a),
            ),
        ],
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("curve.png");
    let theme = Theme::light();
    let show = CurveShow::new(&figure, &theme, [800, 500]).unwrap();
    let write = |path: &Path| write_show(&show, &output(path, (800, 500), 1, 30), &mut |_, _| {});
    write(&path).unwrap();
    assert_golden("curve", &path);
    let svg = folder.path().join("curve.svg");
    write(&svg).unwrap();
    assert!(std::fs::read_to_string(svg).unwrap().contains(">Sharp and flat minima</text>"));
    let gif = write(&folder.path().join("c.gif"));
    assert!(gif.unwrap_err().to_string().contains("does not move"));
}

#[test]
fn the_same_bytes_come_out_of_any_number_of_threads() {
    let film = two_panels();
    let folder = tempfile::tempdir().unwrap();
    let bytes = |threads: usize, name: &str| {
        let path = folder.path().join(format!("{threads}-{name}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| render(&film, &output(&path, (400, 226), 9, 10)));
        std::fs::read(path).unwrap()
    };
    for name in ["film.gif", "film.mp4", "poster.svg", "poster.png"] {
        assert!(bytes(1, name) == bytes(3, name), "{name} depends on the number of threads");
    }
}

#[test]
fn reports_tell_what_was_written_and_nothing_is_left_beside_it() {
    let film = film(vec![panel(21, 15, 9)]);
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let path = folder.path().join("new/folder/film.mp4");
    let out = output(&path, (401, 227), 12, 25);
    let report = write(&film, &out, &mut |done, all| seen.push((done, all))).unwrap();
    assert_eq!((report.width, report.height, report.frames, report.fps), (400, 226, 12, 25));
    assert!((report.seconds - 0.48).abs() < 1e-12 && report.warnings.is_empty());
    assert_eq!(report.bytes, std::fs::metadata(&path).unwrap().len());
    assert_eq!(seen, (1..=12).map(|n| (n, 12)).collect::<Vec<_>>());
    let beside = ["film.cues.json", "film.vtt"].map(|name| path.with_file_name(name));
    assert!(beside.iter().all(|file| file.is_file()));
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 3);
    let poster = render(&film, &output(&folder.path().join("p.png"), (400, 226), 12, 25));
    assert_eq!((poster.frames, poster.seconds, poster.fps), (1, 0.0, 0));
}

#[test]
fn what_is_asked_wrongly_is_refused_with_a_remedy() {
    let film = film(vec![panel(21, 15, 9)]);
    let folder = tempfile::tempdir().unwrap();
    let refusal = |name: &str, size, frames, fps| {
        let out = output(&folder.path().join(name), size, frames, fps);
        write(&film, &out, &mut |_, _| {}).unwrap_err().to_string()
    };
    assert!(refusal("film.mp5", (400, 300), 5, 30).contains("did you mean `mp4`?"));
    assert!(refusal("film", (400, 300), 5, 30).contains("png, svg, pdf, gif, mp4, y4m, raw"));
    assert!(refusal("film.gif", (100, 50), 5, 20).contains("320x180"));
    assert!(refusal("film.mp4", (4096, 2160), 5, 30).contains("3840x2160"));
    assert!(refusal("film.gif", (400, 300), 5, 60).contains("hundredths"));
    assert!(refusal("film.gif", (400, 300), 0, 20).contains("frames"));
    let empty = Film::default();
    let out = output(&folder.path().join("film.gif"), (400, 300), 5, 20);
    assert!(write(&empty, &out, &mut |_, _| {}).is_err());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "something was left behind");
    assert_eq!(Format::of(Path::new("A.MP4")).unwrap(), Format::Mp4);
}

#[test]
fn characters_that_the_font_lacks_are_named() {
    let mut film = film(vec![panel(21, 15, 9)]);
    film.panels[0].title = "損失 surface".into();
    let folder = tempfile::tempdir().unwrap();
    let report = render(&film, &output(&folder.path().join("p.png"), (400, 300), 1, 30));
    assert!(report.warnings[0].contains("損 (U+640D)"), "{:?}", report.warnings);
}

/// All pixels of a poster, to see that it has ink and no panic.
fn poster(film: &Film, size: [u32; 2]) -> Raster {
    let theme = Theme::light();
    let scene = ContourFilm::new(film, &theme, size, 30, 30).unwrap();
    let backdrop = show::backdrop(&scene).unwrap();
    [0, 11, 29]
        .map(|frame| show::frame(&scene, &backdrop, frame).unwrap())
        .into_iter()
        .next_back()
        .unwrap()
}

#[test]
fn strange_data_are_drawn_and_nothing_panics() {
    let mut cases: Vec<(&str, ContourPanel)> = Vec::new();
    let base = || panel(21, 15, 9);
    let with_values = |f: &dyn Fn(usize, f64) -> f64| {
        let mut p = base();
        let values = p.grid.values.iter().enumerate();
        p.grid.values = values.map(|(i, &v)| f(i, v)).collect();
        p
    };
    cases.push(("one snapshot", panel(21, 15, 1)));
    cases.push(("no snapshot", panel(21, 15, 0)));
    cases.push(("ten thousand snapshots", panel(21, 15, 10_000)));
    cases.push(("one cell", panel(1, 1, 9)));
    cases.push(("one row", panel(21, 1, 9)));
    cases.push(("all NaN", with_values(&|_, _| f64::NAN)));
    cases.push(("all infinite", with_values(&|_, _| f64::INFINITY)));
    cases.push(("constant", with_values(&|_, _| 0.7)));
    cases.push(("zero", with_values(&|_, _| 0.0)));
    cases.push(("negative", with_values(&|_, v| v - 3.0)));
    cases.push(("tiny range", with_values(&|_, v| 1.0 + 1e-12 * v)));
    cases.push(("tiny", with_values(&|_, v| 1e-12 * v)));
    cases.push(("huge range", with_values(&|i, v| v * 10f64.powi(i as i32 % 42 - 12))));
    cases.push((
        "largest numbers",
        with_values(&|i, _| if i % 2 == 0 { f64::MAX } else { -f64::MAX }),
    ));
    let mut identical = base();
    let first = identical.path[0];
    identical.path.iter_mut().for_each(|p| *p = first);
    cases.push(("identical snapshots", identical));
    let mut diverged = base();
    for p in &mut diverged.path[4..] {
        (p.x, p.y, p.true_loss, p.plane_loss) = (f64::NAN, f64::NAN, f64::NAN, Some(f64::NAN));
    }
    cases.push(("diverged", diverged));
    let mut outside = base();
    outside.path.iter_mut().for_each(|p| (p.x, p.y) = (1e9 * p.x, -1e9 * p.y));
    cases.push(("path outside", outside));
    let mut long = base();
    long.title = "a title that never ends ".repeat(40);
    long.x_label = "a label that never ends ".repeat(40);
    long.y_label = long.x_label.clone();
    cases.push(("long texts", long));
    for (name, panel) in cases {
        for size in [[320, 180], [640, 480], [360, 640]] {
            let film = film(vec![panel.clone()]);
            let picture = poster(&film, size);
            let background = &picture.rgba()[..4];
            let ink = picture.rgba().chunks_exact(4).filter(|p| *p != background).count();
            assert!(ink > 500, "{name} at {size:?} has {ink} pixels of ink");
            assert!(picture.rgba().chunks_exact(4).all(|p| p[3] == 255), "{name} is not opaque");
        }
    }
}

#[test]
fn the_static_layer_and_the_unmoved_pixels_do_not_change() {
    let film = two_panels();
    let theme = Theme::light();
    let scene = ContourFilm::new(&film, &theme, [640, 360], 60, 30).unwrap();
    let backdrop = show::backdrop(&scene).unwrap();
    let (a, b) =
        (show::frame(&scene, &backdrop, 50).unwrap(), show::frame(&scene, &backdrop, 59).unwrap());
    assert!(a.rgba() == b.rgba(), "the last frames stand still");
    let c = show::frame(&scene, &backdrop, 20).unwrap();
    let changed = a.rgba().chunks_exact(4).zip(c.rgba().chunks_exact(4)).filter(|(x, y)| x != y);
    let share = changed.count() as f64 / (640.0 * 360.0);
    assert!(share > 0.002 && share < 0.25, "{share} of the pixels changed");
}
