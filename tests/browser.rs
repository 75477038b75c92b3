//! What other programs make of our files: Chromium draws the SVG as we draw the PNG and plays the
//! MP4 to its end, xmllint finds the SVG valid, poppler reads the PDF, gifsicle and ffmpeg the GIF,
//! ffprobe the containers. Each is skipped, and says so, where the program is not installed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};

use lossreel::render::film::{self, Output};
use lossreel::render::scene::{
    ContourPanel, Film, Grid, PathPoint, Quantity, Series, Split, Strip,
};
use lossreel::render::scenes::contour;
use lossreel::render::scenes::heatmap::{Heatmap, HeatmapShow};
use lossreel::render::scenes::race::standings::Record;
use lossreel::render::scenes::race::{Race, RaceFilm, Racer};
use lossreel::render::scenes::shadow::{ShadowFilm, ShadowShow, ShadowView};
use lossreel::render::scenes::surface::{SurfaceFilm, SurfaceView};
use lossreel::render::surface3d::flight::CameraPath;

/// A bowl that is longer than wide, and a path into it.
fn bowl() -> Film {
    let along =
        |n: usize| -> Vec<f64> { (0..n).map(|i| 4.0 * i as f64 / n as f64 - 2.0).collect() };
    let (xs, ys) = (along(33), along(25));
    let loss = |x: f64, y: f64| 0.03 + x * x + 3.0 * (y - 0.3 * x) * (y - 0.3 * x);
    let values = ys.iter().flat_map(|&y| xs.iter().map(move |&x| loss(x, y))).collect();
    let path: Vec<PathPoint> = (0..12)
        .map(|i| {
            let t = f64::from(i) / 11.0;
            let (x, y) = (-1.7 * (1.0 - t), 1.4 * (1.0 - t) * (4.0 * t).cos());
            let (step, epoch, lr) = (10 * i as u64, f64::from(i), 0.1);
            PathPoint {
                step,
                epoch,
                time: epoch,
                x,
                y,
                true_loss: loss(x, y),
                plane_loss: None,
                lr,
            }
        })
        .collect();
    let points = path.iter().map(|p| (p.epoch, p.true_loss)).collect();
    let series = Series {
        name: "train".into(),
        panel: 0,
        quantity: Quantity::Loss,
        split: Split::Train,
        points,
    };
    let mut strip = Strip::default();
    strip.series.push(series);
    let panel = ContourPanel {
        title: "A bowl".into(),
        grid: Grid { xs, ys, values, interpolated: None },
        path,
        x_label: "PC1 (63.1 %)".into(),
        y_label: "PC2 (14.8 %)".into(),
        ..ContourPanel::default()
    };
    Film {
        title: "θ → θ − η∇L(θ) & its way <down>".into(),
        caption: "A function of two variables.".into(),
        value_label: "loss".into(),
        panels: vec![panel],
        strip,
        ..Film::default()
    }
}

fn write(path: &Path, frames: usize) {
    let output = Output { width: 960, height: 540, frames, ..Output::new(path) };
    contour::write(&bowl(), &output, &mut |_, _| {}).unwrap();
}

/// The first of these programs that starts.
fn program(names: &[&'static str]) -> Option<&'static str> {
    let starts = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let found = names.iter().find(starts).copied();
    if found.is_none() {
        println!("skipped: there is no {}", names[0]);
    }
    found
}

/// Chromium without a window, with a profile of its own.
fn chromium(folder: &Path, arguments: &[&str]) -> Option<std::process::Output> {
    let name = program(&["chromium", "chromium-browser", "google-chrome"])?;
    let mut command = Command::new(name);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    command.args(["--disable-background-networking", "--no-first-run", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    Some(command.args(arguments).current_dir(folder).output().unwrap())
}

fn read_png(path: &Path) -> (Vec<u8>, usize) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let channels = info.color_type.samples();
    let rgb = bytes.chunks_exact(channels).flat_map(|p| [p[0], p[1], p[2]]).collect();
    (rgb, info.width as usize)
}

/// What writes one scene to a file of any format.
type Write = fn(&Path);

/// The bowl as other scenes, each written in 20 frames or as its poster.
fn scenes() -> Vec<(&'static str, Write)> {
    fn each(path: &Path, write: impl Fn(&Output, [u32; 2])) {
        let output = Output { width: 960, height: 540, frames: 20, ..Output::new(path) };
        let (_, size) = output.check().unwrap();
        write(&output, size);
    }
    vec![
        ("contour", |path| write(path, 20)),
        ("surface", |path| {
            each(path, |output, size| {
                let film = bowl();
                let look = SurfaceView::new(CameraPath::preset("sway").unwrap());
                let (theme, fps) = (&output.theme, output.fps);
                let show = SurfaceFilm::new(&film, &look, theme, size, 20, fps).unwrap();
                film::write_show(&show, output, &mut |_, _| {}).unwrap();
            });
        }),
        ("heatmap", |path| {
            each(path, |output, size| {
                let film = bowl();
                let panel = film.panels[0].clone();
                let map = Heatmap {
                    title: film.title.clone(),
                    caption: film.caption.clone(),
                    heading: panel.title,
                    value_label: "loss".into(),
                    x_label: panel.x_label,
                    y_label: panel.y_label,
                    grid: panel.grid,
                    path: panel.path,
                    strip: film.strip.clone(),
                    ..Heatmap::default()
                };
                let show = HeatmapShow::new(&map, &output.theme, size, 20, output.fps).unwrap();
                film::write_show(&show, output, &mut |_, _| {}).unwrap();
            });
        }),
        ("shadow", |path| {
            each(path, |output, size| {
                let film = bowl();
                let path = film.panels[0].path.clone();
                let view = |title: &str, path| ShadowView {
                    title: title.into(),
                    x_label: "direction 1".into(),
                    y_label: "direction 2".into(),
                    path,
                    ..ShadowView::default()
                };
                let short =
                    path.iter().map(|p| PathPoint { x: 0.02 * p.x, y: 0.02 * p.y, ..*p }).collect();
                let shadow = ShadowFilm {
                    title: film.title.clone(),
                    views: vec![view("random", short), view("principal", path)],
                    strip: film.strip.clone(),
                    ..ShadowFilm::default()
                };
                let show = ShadowShow::new(&shadow, &output.theme, size, 20, output.fps).unwrap();
                film::write_show(&show, output, &mut |_, _| {}).unwrap();
            });
        }),
        ("race", |path| {
            each(path, |output, size| {
                let film = bowl();
                let panel = film.panels[0].clone();
                let racer = |name: &str, bend: f64| Racer {
                    name: name.into(),
                    path: panel.path.iter().map(|p| PathPoint { y: p.y + bend, ..*p }).collect(),
                    record: Record {
                        readings: (1..12).map(|e| (f64::from(e), 0.08 * f64::from(e))).collect(),
                        diverged: None,
                    },
                    ..Racer::default()
                };
                let race = Race {
                    title: film.title.clone(),
                    value_label: "loss".into(),
                    racers: vec![racer("SGD", 0.0), racer("Adam", 0.4)],
                    surface: panel.clone(),
                    ..Race::default()
                };
                let show = RaceFilm::new(&race, &output.theme, size, 20, output.fps).unwrap();
                film::write_show(&show, output, &mut |_, _| {}).unwrap();
            });
        }),
    ]
}

#[test]
fn chromium_draws_the_svg_as_we_draw_the_png() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (scene, write) in scenes() {
        write(&at("a.png"));
        write(&at("a.svg"));
        // In a page, so that the picture stands in the corner and its fonts are loaded before the
        // shot.
        let svg = std::fs::read_to_string(at("a.svg")).unwrap();
        let svg = &svg[svg.find("<svg").unwrap()..];
        let page = format!("<!doctype html><meta charset=utf-8><body style='margin:0'>{svg}");
        std::fs::write(at("a.html"), page).unwrap();
        let shot = ["--screenshot=shot.png", "--window-size=960,640", "a.html"];
        if chromium(folder.path(), &shot).is_none() {
            return;
        }
        alike(scene, &at("a.png"), &at("shot.png"), [0.007, 1.5]);
    }
}

/// Both smooth edges in their own way: type and lines differ there by some levels, nothing else. At
/// most a share of the pixels may be far off, and all of them by so many levels on the average; in
/// Chromium another font alone puts 2 % far off.
fn alike(scene: &str, ours: &Path, theirs: &Path, [most, levels]: [f64; 2]) {
    let ((ours, width), (theirs, _)) = (read_png(ours), read_png(theirs));
    assert_eq!(width, 960);
    let off = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    let pairs = || ours.chunks_exact(3).zip(theirs.chunks_exact(3));
    let far = pairs().filter(|(a, b)| off(a, b) > 64).count() as f64 / (960.0 * 540.0);
    let mean = pairs().map(|(a, b)| f64::from(off(a, b))).sum::<f64>() / (960.0 * 540.0);
    let said = format!("{:.2} % far off, {mean:.2} levels on average", 100.0 * far);
    assert!(far < most && mean < levels, "{scene}: {said}");
}

#[test]
fn poppler_reads_the_pdf_its_words_and_its_fonts_and_draws_it_as_we_draw_the_png() {
    let (Some(pdftoppm), Some(pdftotext), Some(pdffonts)) =
        (program(&["pdftoppm"]), program(&["pdftotext"]), program(&["pdffonts"]))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |program: &str, arguments: &[&str]| {
        let ended =
            Command::new(program).args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(ended.status.success() && ended.stderr.is_empty(), "{program}: {ended:?}");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    for (scene, write) in scenes() {
        write(&at("a.png"));
        write(&at("a.pdf"));
        let words = run(pdftotext, &["a.pdf", "-"]);
        let title = "θ → θ − η∇L(θ) & its way <down>";
        assert!(words.contains(title), "{scene}: {words}");
        // Once, with its halo or without.
        if scene == "race" {
            assert_eq!(words.matches("Adam").count(), 2, "at its head and on the board: {words}");
        }
        let fonts = run(pdffonts, &["a.pdf"]);
        let listed: Vec<&str> = fonts.lines().filter(|l| l.contains("+Inter-")).collect();
        // Embedded, a subset, with its meaning in Unicode.
        let whole = |l: &&&str| l.split_whitespace().filter(|w| *w == "yes").count() == 3;
        assert_eq!(listed.iter().filter(whole).count(), 2, "{scene}: {fonts}");
        run(pdftoppm, &["-png", "-singlefile", "-r", "96", "a.pdf", "theirs"]);
        // Poppler fits type and hairlines to the pixels, which moves their edges by parts of one.
        alike(scene, &at("a.png"), &at("theirs.png"), [0.025, 4.0]);
    }
}

/// Serves `folder` on a port of this machine. `/wait.png` is answered only once `/done` has been
/// asked for: a page that shows it is not loaded, and not dumped, before its script says so.
fn serve(folder: std::path::PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let done = Arc::new((Mutex::new(false), Condvar::new()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, done) = (folder.clone(), done.clone());
            std::thread::spawn(move || answer(stream, &folder, &done));
        }
    });
    port
}

fn answer(mut stream: TcpStream, folder: &Path, (told, signal): &(Mutex<bool>, Condvar)) {
    let mut request = String::new();
    if BufReader::new(&stream).read_line(&mut request).is_err() {
        return;
    }
    let name = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_string();
    match name.as_str() {
        "done" => {
            *told.lock().unwrap() = true;
            signal.notify_all();
        }
        "wait.png" => {
            let patience = std::time::Duration::from_secs(60);
            let open = told.lock().unwrap();
            drop(signal.wait_timeout_while(open, patience, |told| !*told).unwrap());
        }
        _ => {}
    }
    let body = std::fs::read(folder.join(&name)).unwrap_or_default();
    let kind = if name.ends_with("mp4") { "video/mp4" } else { "text/html" };
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    // The browser may have gone: that is its business.
    let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(&body);
}

#[test]
fn chromium_plays_the_mp4_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.mp4"), 20);
    let page = "<!doctype html><body><video src=a.mp4 muted></video><img src=wait.png><script>
        const video = document.querySelector('video');
        video.onended = video.onerror = () => {
          document.body.dataset.told =
            `${video.videoWidth}x${video.videoHeight} ${video.ended} ${video.duration.toFixed(3)}`;
          fetch('done');
        };
        video.play();
        </script>";
    std::fs::write(folder.path().join("a.html"), page).unwrap();
    let url = format!("http://127.0.0.1:{}/a.html", serve(folder.path().to_path_buf()));
    let arguments = ["--autoplay-policy=no-user-gesture-required", "--dump-dom", &url];
    let Some(dump) = chromium(folder.path(), &arguments) else { return };
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    assert!(dump.contains("data-told=\"960x540 true 0.667\""), "{dump}");
}

#[test]
fn the_svg_is_valid() {
    let Some(xmllint) = program(&["xmllint"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("a.svg");
    let run = |arguments: &[&str]| {
        let ended =
            Command::new(xmllint).args(arguments).arg("--noout").arg(&svg).output().unwrap();
        (ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    for (scene, write) in scenes() {
        write(&svg);
        let (well_formed, said) = run(&["--nonet"]);
        assert!(well_formed, "{scene}: {said}");
        // From the catalogue of the machine, where it has the W3C's definitions.
        let dtd = "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd";
        let (valid, said) = run(&["--nonet", "--dtdvalid", dtd]);
        if said.contains("Could not parse DTD") {
            println!("skipped: this machine has no definition of SVG 1.1");
            continue;
        }
        assert!(valid, "{scene}: {said}");
    }
}

/// A second reader takes the GIF apart: as many frames, of the size asked for, and in a flat region
/// no colour ever changes from frame to frame.
#[test]
fn gifsicle_and_ffmpeg_read_the_gif_and_flat_regions_stand_still() {
    let (Some(gifsicle), Some(ffmpeg)) = (program(&["gifsicle"]), program(&["ffmpeg"])) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (scene, write) in scenes() {
        let path = folder.path().join("a.gif");
        write(&path);
        let info = Command::new(gifsicle).arg("--info").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&info.stdout).into_owned();
        assert!(info.status.success() && info.stderr.is_empty(), "{scene}: {info:?}");
        assert!(said.contains("20 images") && said.contains("960x540"), "{scene}: {said}");
        let raw = Command::new(ffmpeg)
            .args(["-v", "error", "-i"])
            .arg(&path)
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .output()
            .unwrap();
        assert!(raw.status.success() && raw.stderr.is_empty(), "{scene}: {raw:?}");
        let frame = 3 * 960 * 540;
        assert_eq!(raw.stdout.len(), 20 * frame, "{scene}");
        // The page's margins and the headline's line never move.
        let rows = 3 * 960 * 40;
        let first = &raw.stdout[..rows];
        let still = raw.stdout.chunks_exact(frame).all(|f| &f[..rows] == first);
        assert!(still, "{scene} flickers where nothing moves");
    }
}

#[test]
fn ffprobe_reads_size_rate_colours_and_frames() {
    let Some(ffprobe) = program(&["ffprobe"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let probe = |name: &str| {
        let path = folder.path().join(name);
        write(&path, 20);
        let ended = Command::new(ffprobe)
            .args(["-v", "error", "-count_frames", "-select_streams", "v:0", "-of", "flat"])
            .args(["-show_entries", "stream=codec_name,width,height,pix_fmt,r_frame_rate"])
            .args(["-show_entries", "stream=color_space,color_transfer,color_primaries"])
            .args(["-show_entries", "stream=color_range,nb_read_frames"])
            .arg(path)
            .output()
            .unwrap();
        assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    let mp4 = probe("a.mp4");
    for said in [
        "codec_name=\"h264\"",
        "width=960",
        "height=540",
        "pix_fmt=\"yuv420p\"",
        "color_range=\"tv\"",
        "color_space=\"bt709\"",
        "color_transfer=\"bt709\"",
        "color_primaries=\"bt709\"",
        "r_frame_rate=\"30/1\"",
        "nb_read_frames=\"20\"",
    ] {
        assert!(mp4.contains(said), "no {said} in\n{mp4}");
    }
    let gif = probe("a.gif");
    for said in
        ["codec_name=\"gif\"", "width=960", "r_frame_rate=\"20/1\"", "nb_read_frames=\"20\""]
    {
        assert!(gif.contains(said), "no {said} in\n{gif}");
    }
    let y4m = probe("a.y4m");
    for said in ["codec_name=\"rawvideo\"", "pix_fmt=\"yuv420p\"", "nb_read_frames=\"20\""] {
        assert!(y4m.contains(said), "no {said} in\n{y4m}");
    }
}
