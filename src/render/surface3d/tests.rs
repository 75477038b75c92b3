//! Tests of whole pictures in space.

use super::camera::{Camera, Viewpoint};
use super::flight::CameraPath;
use super::heightfield::HeightField;
use super::horizon::Horizon;
use super::paint::Paint;
use super::picture::{self, Subject};
use super::scale::Heights;
use super::solids::Solids;
use crate::render::canvas::raster::Raster;
use crate::render::canvas::theme::Theme;
use crate::render::film::show::{Show, backdrop, frame};
use crate::render::film::{Output, write_show};
use crate::render::page::scale::LevelScale;
use crate::render::scene::{Card, ContourPanel, Film, Grid, Moment};
use crate::render::scenes::surface::{SurfaceFilm, SurfaceView};
use crate::render::tests::golden::{assert_golden, film, panel, two_panels};
use crate::render::tests::words::assert_legible;

/// A surface on a square from -1 to 1.
fn surface(n: usize, f: impl Fn(f64, f64) -> f64) -> ContourPanel {
    let xs: Vec<f64> = (0..n).map(|i| 2.0 * i as f64 / (n - 1) as f64 - 1.0).collect();
    let values = xs.iter().flat_map(|&y| xs.iter().map(move |&x| (x, y))).map(|(x, y)| f(x, y));
    let grid = Grid { values: values.collect(), ys: xs.clone(), xs, interpolated: None };
    ContourPanel { grid, ..Default::default() }
}

/// Draws a surface with something on it; `lit` makes the light map even.
fn picture(panel: &ContourPanel, solids: &Solids, azimuth: f32, size: [usize; 2]) -> Vec<u8> {
    let scale = LevelScale::new(panel.grid.values.iter().copied());
    let field = HeightField::new(panel, &scale, 1.0);
    let light = Horizon::new(&field).light(0.0, 1.5);
    let paint = Paint::new(&Theme::light(), &scale);
    let materials = [[1.0, 0.0, 0.0]; 20];
    let scene = Subject {
        field: &field,
        light: &light,
        paint: &paint,
        between: 0.0,
        solids,
        materials: &materials,
        px_scale: 0.5,
        quad: 0.01,
        stripes: 0.1,
        glass: None,
        floor: true,
    };
    let view = Viewpoint::around([0.0, 0.0, 0.4], azimuth, 25.0, 1.0);
    let centre = [0.5 * size[0] as f32, 0.5 * size[1] as f32];
    let camera = Camera::new(&view, 1.6 * size[0] as f32, centre);
    picture::draw(&scene, &view, &camera, size, &[[0.0, 0.0]])
}

/// Pixels that are plainly red: nothing on the surface is.
fn red(rgba: &[u8]) -> usize {
    rgba.chunks_exact(4).filter(|p| p[0] > 130 && p[1] < 90 && p[2] < 90 && p[3] > 200).count()
}

#[test]
fn what_lies_behind_a_hill_is_hidden_and_before_it_is_seen() {
    // A ridge along x; the camera looks along y.
    let ridge = surface(41, |_, y| 0.01 + (-(y * y) / 0.02).exp());
    let with_sphere = |y: f32| {
        let mut solids = Solids::default();
        solids.sphere([0.0, y, 0.2], 0.08, 12, 0);
        red(&picture(&ridge, &solids, -90.0, [320, 240]))
    };
    assert_eq!(with_sphere(0.30), 0, "the sphere shines through the ridge");
    assert!(with_sphere(-0.30) > 100, "the sphere before the ridge cannot be seen");
}

#[test]
fn a_symmetric_surface_is_symmetric_in_outline() {
    let bowl = surface(31, |x, y| 0.1 + x * x + y * y);
    // The light comes from the left, so compare what is covered and not the colours.
    let rgba = picture(&bowl, &Solids::default(), -90.0, [240, 160]);
    let covered = |x: usize, y: usize| rgba[4 * (y * 240 + x) + 3];
    let mut off = 0;
    for y in 0..160 {
        for x in 0..120 {
            // The rotated sample pattern has no mirror image: edges may differ by their steps.
            off += usize::from(covered(x, y).abs_diff(covered(239 - x, y)) > 64);
        }
    }
    assert!(off == 0, "{off} pixels are not mirrored");
    assert!(rgba.chunks_exact(4).filter(|p| p[3] > 0).count() > 8000);
}

#[test]
fn there_is_no_crack_in_the_sheet() {
    // Seen from above inside the outline no pixel may show the floor's pale colour through.
    let wavy = surface(33, |x, y| 2.0 + (7.0 * x).sin() * (6.0 * y).cos());
    let rgba = picture(&wavy, &Solids::default(), -70.0, [320, 240]);
    let inside = (100..220).flat_map(|x| (90..130).map(move |y| (x, y)));
    let pale = inside.filter(|(x, y)| {
        let p = &rgba[4 * (y * 320 + x)..][..4];
        p[3] < 255 || (p[0] > 235 && p[1] > 235 && p[2] > 235)
    });
    assert_eq!(pale.count(), 0);
}

fn look(camera: &str) -> SurfaceView {
    SurfaceView::new(CameraPath::preset(camera).unwrap())
}

fn poster(film: &Film, look: &SurfaceView, size: [u32; 2], at: usize) -> Raster {
    let theme = Theme::light();
    let show = SurfaceFilm::new(film, look, &theme, size, 30, 30).unwrap();
    frame(&show, &backdrop(&show).unwrap(), at).unwrap()
}

#[test]
fn golden_surface_with_path() {
    let theme = Theme::light();
    let scene = film(vec![panel(41, 25, 21)]);
    let show = SurfaceFilm::new(&scene, &look("still"), &theme, [480, 320], 30, 30).unwrap();
    assert_golden_show("surface", &show, 14);
}

#[test]
fn golden_surfaces_side_by_side_with_holes() {
    let theme = Theme::dark();
    let scene = two_panels();
    let show = SurfaceFilm::new(&scene, &look("sway"), &theme, [560, 315], 30, 30).unwrap();
    assert_golden_show("surface_pair", &show, 29);
}

fn assert_golden_show(name: &str, show: &dyn Show, at: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frame.png");
    let picture = frame(show, &backdrop(show).unwrap(), at).unwrap();
    let [width, height] = show.size();
    let file = std::fs::File::create(&path).unwrap();
    crate::render::canvas::png::write(file, picture.rgba(), width, height).unwrap();
    assert_golden(name, &path);
}

#[test]
fn films_do_not_depend_on_the_number_of_threads() {
    let scene = film(vec![panel(21, 15, 9)]);
    let folder = tempfile::tempdir().unwrap();
    let bytes = |threads: usize, name: &str| {
        let path = folder.path().join(format!("{threads}-{name}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let output =
                Output { width: 320, height: 180, frames: 5, fps: 10, ..Output::new(&path) };
            let size = output.check().unwrap().1;
            let theme = Theme::light();
            let show = SurfaceFilm::new(&scene, &look("follow"), &theme, size, 5, 10).unwrap();
            write_show(&show, &output, &mut |_, _| {}).unwrap();
        });
        std::fs::read(path).unwrap()
    };
    for name in ["film.gif", "film.mp4"] {
        assert!(bytes(1, name) == bytes(2, name), "{name} depends on the number of threads");
    }
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
    cases.push(("two cells", panel(2, 1, 9)));
    cases.push(("all NaN", with_values(&|_, _| f64::NAN)));
    cases.push(("all infinite", with_values(&|_, _| f64::INFINITY)));
    cases.push(("zero", with_values(&|_, _| 0.0)));
    cases.push(("negative", with_values(&|_, v| v - 3.0)));
    cases.push(("tiny range", with_values(&|_, v| 1.0 + 1e-12 * v)));
    cases.push(("huge range", with_values(&|i, v| v * 10f64.powi(i as i32 % 42 - 12))));
    let extremes = |i: usize, _| if i.is_multiple_of(2) { f64::MAX } else { -f64::MAX };
    cases.push(("largest numbers", with_values(&extremes)));
    let mut same = base();
    let first = same.path[0];
    same.path.truncate(2);
    same.path.iter_mut().for_each(|p| *p = first);
    cases.push(("two identical snapshots", same));
    let mut diverged = base();
    for p in &mut diverged.path[4..] {
        (p.x, p.y, p.true_loss, p.plane_loss) = (f64::NAN, f64::NAN, f64::NAN, Some(f64::NAN));
    }
    cases.push(("diverged", diverged));
    let mut outside = base();
    outside.path.iter_mut().for_each(|p| (p.x, p.y) = (1e9 * p.x, -1e9 * p.y));
    cases.push(("path outside", outside));
    for (name, panel) in cases {
        for camera in ["still", "follow"] {
            let scene = film(vec![panel.clone()]);
            let picture = poster(&scene, &look(camera), [320, 180], 13);
            let background = &picture.rgba()[..4];
            let ink = picture.rgba().chunks_exact(4).filter(|p| *p != background).count();
            assert!(ink > 500, "{name} under {camera} has {ink} pixels of ink");
            assert!(picture.rgba().chunks_exact(4).all(|p| p[3] == 255), "{name} is not opaque");
        }
    }
}

#[test]
fn looks_out_of_range_are_refused_with_a_remedy() {
    let scene = film(vec![panel(21, 15, 9)]);
    let theme = Theme::light();
    let refusal = |look: SurfaceView| {
        let made = SurfaceFilm::new(&scene, &look, &theme, [320, 180], 5, 10);
        made.err().expect("this look is refused").to_string()
    };
    assert!(refusal(SurfaceView { relief: Some(f32::NAN), ..look("still") }).contains("0.1 to 3"));
    assert!(refusal(SurfaceView { passes: 0, ..look("still") }).contains("1 to 16"));
    assert!(refusal(SurfaceView { clip: Some(-1.0), ..look("still") }).contains("clip"));
    let empty = Film::default();
    assert!(SurfaceFilm::new(&empty, &look("still"), &theme, [320, 180], 5, 10).is_err());
    let linear = SurfaceView { heights: Heights::Linear, clip: Some(2.0), ..look("orbit") };
    assert!(SurfaceFilm::new(&scene, &linear, &theme, [320, 180], 5, 10).is_ok());
}

#[test]
fn a_surface_in_space_has_its_card_and_its_moments_as_other_films_have() {
    let scene = film(vec![panel(21, 15, 9)]);
    let theme = Theme::light();
    let bare = SurfaceFilm::new(&scene, &look("still"), &theme, [320, 180], 30, 10).unwrap();
    let label = "learning rate drops".to_string();
    let moment = Moment { time: 4.0, label: label.clone(), pause_secs: 0.4 };
    let card = Card { title: "Two wells".into(), lines: vec!["a spiral".into()], secs: 0.5 };
    let without = frame(&bare, &backdrop(&bare).unwrap(), 0).unwrap();
    let mut paced = scene.clone();
    paced.pacing.moments = vec![moment];
    paced.pacing.card = Some(card);
    let show = SurfaceFilm::new(&paced, &look("still"), &theme, [320, 180], 30, 10).unwrap();
    for text in ["Two wells", "a spiral", &label] {
        assert!(show.texts().contains(&text), "{text}: {:?}", show.texts());
    }
    let back = backdrop(&show).unwrap();
    assert!(frame(&show, &back, 0).unwrap().rgba() != without.rgba(), "the card covers the page");
    assert!(frame(&show, &back, 5).unwrap().rgba() == without.rgba(), "and then it goes");
    let paused = (5..30).filter(|&k| show.page.timeline.epoch(k) == 4.0).count();
    assert!(paused >= 4, "{paused}");
}

#[test]
fn words_can_be_read_at_every_size() {
    for (name, film, camera) in [
        ("a surface", film(vec![panel(41, 25, 21)]), "orbit"),
        ("two surfaces", two_panels(), "sway"),
    ] {
        let film: &'static Film = Box::leak(Box::new(film));
        let look = SurfaceView::new(CameraPath::preset(camera).unwrap());
        assert_legible(name, &|size, scale| {
            let theme: &'static Theme = Box::leak(Box::new(Theme { scale, ..Theme::light() }));
            Box::new(SurfaceFilm::new(film, &look, theme, size, 60, 30).unwrap())
        });
    }
}
