//! Pictures of surface files of other programs: many in one film, unfinished ones, accuracies, a path
//! over them, and what files are written with.

use std::fs;

use lossreel::weights::hdf5::{Field, Surface, write_path, write_surface};

use crate::Place;

/// A square grid of `n` points a side with one field.
fn surface(n: usize, name: &str, value: impl Fn(f64, f64) -> f64) -> Surface {
    let along: Vec<f64> = (0..n).map(|i| 2.0 * i as f64 / (n - 1) as f64 - 1.0).collect();
    let points = along.iter().flat_map(|&y| along.iter().map(move |&x| (x, y)));
    let values: Vec<f64> = points.map(|(x, y)| value(x, y)).collect();
    let field = Field { name: name.into(), values, unfilled: 0 };
    Surface { dir_file: None, xs: along.clone(), ys: Some(along), fields: vec![field] }
}

fn bowl(x: f64, y: f64) -> f64 {
    0.05 + 2.0 * x * x + 3.0 * (y - 0.3 * x * x).powi(2)
}

/// Draws `file` with `more` options into `out` and returns its text.
fn svg(place: &Place, file: &str, out: &str, more: &[&str]) -> String {
    let sized = more.iter().any(|option| option.starts_with("--size"));
    let size: &[&str] = if sized { &[] } else { &["--size=640x400"] };
    place.ok(&[&["render", "--grid-file", file, "--out", out], size, more].concat());
    fs::read_to_string(place.path(out)).unwrap()
}

/// The texts of an SVG.
fn texts(svg: &str) -> Vec<&str> {
    let inside = |part: &'_ str| -> Option<(usize, usize)> {
        let from = part.find('>')? + 1;
        Some((from, from + part[from..].find('<')?))
    };
    let parts = svg.split("<text").skip(1);
    parts.filter_map(|part| inside(part).map(|(from, to)| &part[from..to])).collect()
}

#[test]
fn a_file_an_epoch_is_a_film_on_one_scale_and_too_many_for_one_page() {
    let place = Place::new();
    let files: Vec<String> = (0..14)
        .map(|k| {
            let name = format!("epoch_{k:02}.h5");
            let t = f64::from(k) / 13.0;
            let one = surface(9, "train_loss", |x, y| 0.1 + (2.0 - t) * bowl(x - t, y));
            write_surface(place.path(&name), &one).unwrap();
            format!("--grid-file={name}")
        })
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    for view in ["flat", "space"] {
        let out = format!("{view}.gif");
        let more = ["--as=moving", "--view", view, "--out", &out, "--size=320x200", "--frames=12"];
        let report = place.json(&[&["render"], &files[..], &more].concat());
        assert_eq!((report["frames"].as_u64(), report["width"].as_u64()), (Some(12), Some(320)));
        assert!(report["wall_seconds"].as_f64().unwrap() > 0.0);
    }
    for scene in ["contour", "surface"] {
        let more = ["--as", scene, "--out=x.gif"];
        let args = [&["render"], &files[..], &more].concat();
        place.refused(&args, &["more surfaces than the 12", "--as moving"]);
    }
    // One of another grid does not belong to the film.
    write_surface(place.path("other.h5"), &surface(7, "train_loss", bowl)).unwrap();
    let args = ["render", files[0], "--grid-file=other.h5", "--as=moving", "--out=x.gif"];
    place.refused(&args, &["epoch_00.h5", "one grid"]);
}

#[test]
fn an_accuracy_has_a_linear_scale_and_its_zeros_are_zeros() {
    let place = Place::new();
    let steps = |x: f64, y: f64| match () {
        _ if x < -0.3 && (y + 0.1).abs() < 0.25 => 0.0,
        _ if x + y < -0.3 => 24.27,
        _ if x > 0.0 && (y + 0.5 * x).abs() < 0.12 => 75.73,
        _ => 50.48,
    };
    write_surface(place.path("acc.h5"), &surface(41, "train_acc", steps)).unwrap();
    let quantity = ["--file-quantity=train_acc"];
    let map = svg(&place, "acc.h5", "map.svg", &quantity);
    let words = texts(&map);
    // Levels between zero and 24.27, evenly spaced; without an arrow head nothing is clipped.
    for level in ["10", "20", "40", "60"] {
        assert!(words.contains(&level), "{level}: {words:?}");
    }
    let heat = svg(&place, "acc.h5", "heat.svg", &[&quantity[..], &["--as=heatmap"]].concat());
    assert!(texts(&heat).contains(&"0") && texts(&heat).contains(&"60"), "{:?}", texts(&heat));
    let space = svg(&place, "acc.h5", "space.svg", &[&quantity[..], &["--as=surface"]].concat());
    assert!(!texts(&space).iter().any(|t| t.contains("(log)")), "{:?}", texts(&space));
}

#[test]
fn what_a_surface_file_lacks_is_refused_or_counted_and_bends_nothing_around() {
    let place = Place::new();
    let write = |name: &str, change: &dyn Fn(&mut [f64])| {
        let mut whole = surface(25, "train_loss", bowl);
        change(&mut whole.fields[0].values);
        write_surface(place.path(name), &whole).unwrap();
    };
    write("not-begun.h5", &|cells| cells.fill(-1.0));
    write("stopped.h5", &|cells| cells[250..].fill(-1.0));
    write("odd.h5", &|cells| {
        (cells[6 * 25 + 6], cells[6 * 25 + 18]) = (f64::INFINITY, f64::NEG_INFINITY);
    });
    for scene in ["contour", "surface", "heatmap"] {
        let args = ["render", "--grid-file=not-begun.h5", "--as", scene, "--out=x.png"];
        place.refused(&args, &["no point of its train_loss is evaluated"]);
        let scene = format!("--as={scene}");
        let stopped = svg(&place, "stopped.h5", "stopped.svg", &[&scene]);
        assert!(stopped.contains("375 of them not evaluated, hatched"), "{:?}", texts(&stopped));
        let odd = svg(&place, "odd.h5", "odd.svg", &[&scene]);
        assert!(odd.contains("2 of them not finite, hatched"), "{:?}", texts(&odd));
    }
}

#[test]
fn levels_of_a_contour_map_are_the_ones_asked_for() {
    let place = Place::new();
    write_surface(place.path("s.h5"), &surface(31, "train_loss", |x, y| 3.0 * bowl(x, y))).unwrap();
    let own = svg(&place, "s.h5", "own.svg", &[]);
    let paper = svg(&place, "s.h5", "paper.svg", &["--values=0.1,10,0.5"]);
    let ends = svg(&place, "s.h5", "ends.svg", &["--values", "1,10"]);
    assert!(
        texts(&paper).contains(&"0.6") && texts(&paper).contains(&"1.1"),
        "{:?}",
        texts(&paper)
    );
    // Of the file's own levels those below the lower end are gone.
    assert!(!texts(&own).contains(&"0.6") && texts(&own).contains(&"0.3"));
    assert!(!texts(&ends).contains(&"0.3") && texts(&ends).contains(&"8"));
    let args = ["render", "--grid-file=s.h5", "--out=x.png", "--values"];
    for (values, words) in [
        ("10,0.1", "not a range"),
        ("1,2,0", "not a step"),
        ("1", "two or three"),
        ("a,b", "numbers"),
    ] {
        place.refused(&[&args[..], &[values]].concat(), &[words]);
    }
    // What a file does not hold is not passed over.
    let args = ["render", "--grid-file=s.h5", "--as=heatmap", "--quantity=loss-se", "--out=x.png"];
    place.refused(&args, &["`--quantity`", "leave it out"]);
}

#[test]
fn a_projection_file_is_a_path_over_a_surface_file() {
    let place = Place::new();
    write_surface(place.path("s.h5"), &surface(21, "train_loss", bowl)).unwrap();
    let way: Vec<[f64; 2]> = (0..9).map(|i| [0.9 - 0.1 * f64::from(i), 0.6]).collect();
    write_path(place.path("p.h5"), &way).unwrap();
    let bare = svg(&place, "s.h5", "bare.svg", &[]);
    for scene in ["contour", "heatmap", "surface"] {
        let scene = format!("--as={scene}");
        let with = svg(&place, "s.h5", "with.svg", &[&scene, "--path-file=p.h5"]);
        assert!(texts(&with).contains(&"9 of 9"), "{scene}: {:?}", texts(&with));
        assert!(!with.contains("diverged") && !with.contains("NaN"), "{scene}");
    }
    assert!(!texts(&bare).contains(&"9 of 9"));
    let args = ["render", "--grid-file=s.h5", "--path-file=s.h5", "--out=x.png"];
    place.refused(&args, &["proj_xcoord", "projection file"]);
}

#[test]
fn titles_in_other_scripts_and_text_as_outlines() {
    let place = Place::new();
    write_surface(place.path("s.h5"), &surface(11, "train_loss", bowl)).unwrap();
    let draw = |out: &str, more: &[&str]| {
        let base = ["render", "--grid-file=s.h5", "--size=640x400", "--out", out];
        place.json(&[&base[..], more].concat())
    };
    let title = ["--title", "残差网络"];
    // An SVG keeps the words, a picture cannot.
    let kept = draw("t.svg", &title)["warnings"].to_string();
    assert!(kept.contains("font of its own") && !kept.contains("drawn as ?"), "{kept}");
    assert!(draw("t.png", &title)["warnings"].to_string().contains("drawn as ?"));
    let words = fs::read_to_string(place.path("t.svg")).unwrap();
    assert!(words.contains("残差网络") && words.contains("textLength"));
    // A second font, here one that has no more than the first.
    let font = concat!("--font=", env!("CARGO_MANIFEST_DIR"), "/assets/fonts/Inter-Regular.ttf");
    assert_eq!(draw("f.png", &[font])["warnings"].to_string(), "[]");
    let args = ["render", "--grid-file=s.h5", "--out=x.png", "--font=s.h5"];
    place.refused(&args, &["not a TrueType or OpenType font"]);
    draw("o.svg", &["--outlines"]);
    let outlines = fs::read_to_string(place.path("o.svg")).unwrap();
    assert!(!outlines.contains("<text") && outlines.contains("aria-label=\"A loss surface\""));
    place.refused(&["render", "--grid-file=s.h5", "--out=x.png", "--outlines"], &["`--outlines`"]);
}

#[test]
fn lines_of_a_caption_leave_room_for_a_wider_font() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    place.ok(&["surface", "r", "--grid=5x5", "--samples=16"]);
    for (scene, size) in
        [("contour", "1280x720"), ("histograms", "1280x720"), ("shadow", "640x360")]
    {
        place.ok(&["render", "r", "--as", scene, "--size", size, "--out=x.svg"]);
        let svg = fs::read_to_string(place.path("x.svg")).unwrap();
        let width: f32 = size.split_once('x').unwrap().0.parse().unwrap();
        // Where each line that begins at the left margin ends in a font 5 % wider, as DejaVu Sans is.
        for part in svg.split("<text ").skip(1).filter(|part| !part.contains("text-anchor")) {
            let number = |name: &str| -> Option<f32> {
                part.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.parse().ok()
            };
            if let (Some(x), Some(length)) = (number("x"), number("textLength")) {
                assert!(x + 1.05 * length <= width, "{scene} {size}: {part:.200}");
            }
        }
    }
}

#[test]
fn a_film_says_the_least_level_that_plays_it() {
    let place = Place::new();
    write_surface(place.path("s.h5"), &surface(9, "train_loss", bowl)).unwrap();
    for (size, fps, level) in [("720p", "60", 32), ("1080p", "30", 40), ("480p", "60", 31)] {
        let args = ["render", "--grid-file=s.h5", "--out=f.mp4", "--frames=2"];
        place.ok(&[&args[..], &["--size", size, "--fps", fps]].concat());
        let film = fs::read(place.path("f.mp4")).unwrap();
        let at = film.windows(4).position(|w| w == b"avcC").unwrap();
        assert_eq!(film[at + 7], level, "{size} at {fps}");
    }
}

#[test]
fn a_column_figure_is_as_wide_as_a_column_and_words_are_the_ones_asked_for() {
    let place = Place::new();
    write_surface(place.path("s.h5"), &surface(11, "train_loss", bowl)).unwrap();
    let base = ["render", "--grid-file=s.h5"];
    place.ok(&[&base[..], &["--size=column", "--out=c.pdf"]].concat());
    let pdf = String::from_utf8_lossy(&fs::read(place.path("c.pdf")).unwrap()).into_owned();
    let page = pdf.split_once("/MediaBox [").unwrap().1.split_once(']').unwrap().0;
    let width: f32 = page.split_whitespace().nth(2).unwrap().parse().unwrap();
    // 3.3 inches of 72 points.
    assert!((width - 237.6).abs() < 0.1, "{page}");
    let column = svg(&place, "s.h5", "c.svg", &["--size=column"]);
    assert!(!texts(&column).contains(&"A loss surface"), "{:?}", texts(&column));
    assert!(texts(&column).contains(&"direction δ"), "axis titles are kept");
    let more = ["--no-caption", "--subtitle=Below it", "--credit=Data: Li et al."];
    let words = svg(&place, "s.h5", "w.svg", &more);
    let found = texts(&words);
    assert!(found.contains(&"Below it") && found.contains(&"Data: Li et al."), "{found:?}");
    assert!(!words.contains("sample and error unknown"));
}
