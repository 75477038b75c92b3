//! Tests of whole files: what is promised of a GIF, of streams, of numbered frames, of limits.

use std::io::Write;
use std::path::Path;

use crate::render::canvas::theme::Theme;
use crate::render::encode::palette::Dither;
use crate::render::film::show::{self, Show};
use crate::render::film::{Format, Output, stream_show, write_show};
use crate::render::scene::Film;
use crate::render::scenes::contour;
use crate::render::scenes::contour::ContourFilm;
use crate::render::tests::golden::{film, output, panel, read_png, render, two_panels};

/// The pictures of a GIF as a viewer builds them up, RGB.
fn decode_gif(path: &Path) -> Vec<Vec<[u8; 3]>> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(std::fs::File::open(path).unwrap()).unwrap();
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let mut screen = vec![[0; 3]; width * height];
    let mut frames = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        for (i, pixel) in frame.buffer.chunks_exact(4).enumerate().filter(|(_, p)| p[3] > 0) {
            let (x, y) = (i % usize::from(frame.width), i / usize::from(frame.width));
            let at = (y + usize::from(frame.top)) * width + x + usize::from(frame.left);
            screen[at] = [pixel[0], pixel[1], pixel[2]];
        }
        frames.push(screen.clone());
    }
    frames
}

/// What `film` looks like before any encoder, RGBA.
fn pictures(film: &Film, output: &Output) -> Vec<Vec<u8>> {
    let (_, size) = output.check().unwrap();
    let show = ContourFilm::new(film, &output.theme, size, output.frames, output.fps).unwrap();
    let backdrop = show::backdrop(&show).unwrap();
    let frame = |i: usize| show::frame(&show, &backdrop, i).unwrap().rgba().to_vec();
    (0..output.frames).map(frame).collect()
}

#[test]
fn a_pixel_that_does_not_change_does_not_flicker_in_a_gif() {
    let film = two_panels();
    let folder = tempfile::tempdir().unwrap();
    for dither in [Dither::None, Dither::Ordered] {
        let path = folder.path().join("film.gif");
        let out = Output { dither, ..output(&path, (480, 270), 24, 20) };
        render(&film, &out);
        let (drawn, shown) = (pictures(&film, &out), decode_gif(&path));
        assert_eq!(drawn.len(), shown.len());
        let (mut still, mut worst, mut sum) = (0u64, 0, 0u64);
        for n in 1..drawn.len() {
            for (i, pixel) in shown[n].iter().enumerate() {
                let at = 4 * i..4 * i + 4;
                if drawn[n][at.clone()] == drawn[n - 1][at.clone()] {
                    still += 1;
                    assert_eq!(*pixel, shown[n - 1][i], "pixel {i} flickers in frame {n}");
                }
                let off = drawn[n][at].iter().zip(pixel).map(|(a, b)| a.abs_diff(*b)).max();
                worst = worst.max(off.unwrap());
                sum += u64::from(off.unwrap());
            }
        }
        assert!(still > 2_000_000, "{still} pixels stood still");
        // 255 colours for bands, type and their soft edges: what is off is off by little, and the
        // large areas, which are in the palette, are right.
        let mean = sum as f64 / (23.0 * 480.0 * 270.0);
        assert!(worst < 80 && mean < 1.0, "{dither:?}: {worst} at most, {mean} on the average");
    }
}

#[test]
fn a_limit_is_kept_and_what_it_cost_is_said() {
    let film = two_panels();
    let folder = tempfile::tempdir().unwrap();
    for name in ["film.gif", "film.mp4"] {
        let path = folder.path().join(name);
        let full = output(&path, (640, 360), 30, 30);
        let all = render(&film, &full);
        assert_eq!((all.frames, all.warnings.len()), (30, 0));
        let limit = all.bytes * 2 / 3;
        let less = render(&film, &Output { max_bytes: Some(limit), ..full.clone() });
        assert!(less.bytes <= limit, "{name}: {} of {limit}", less.bytes);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), less.bytes);
        assert!((less.seconds - all.seconds).abs() < 1e-9, "{name} lasts as long");
        let said = less.warnings.last().unwrap();
        let what = if name == "film.gif" { "frames a second" } else { "quality" };
        assert!(said.contains(&limit.to_string()) && said.contains(what), "{said}");
        if name == "film.gif" {
            assert_eq!(decode_gif(&path).len(), less.frames);
        }
        let roomy = render(&film, &Output { max_bytes: Some(all.bytes), ..full.clone() });
        assert_eq!((roomy.bytes, roomy.warnings.len()), (all.bytes, 0));
        // Nothing fits in a hundred bytes: the file that was there stays.
        let out = Output { max_bytes: Some(100), ..full };
        let refusal = contour::write(&film, &out, &mut |_, _| {}).unwrap_err().to_string();
        assert!(refusal.contains("below 100 bytes"), "{refusal}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), all.bytes);
    }
    // The GIF, the MP4, and its cues and captions.
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4, "something was left behind");
}

/// A reader that goes away after some bytes.
struct Leaving(usize);

impl Write for Leaving {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn streams_hold_the_pictures_and_a_reader_that_leaves_ends_them() {
    let film = film(vec![panel(21, 15, 9)]);
    let raw = Output { format: Some(Format::Raw), ..output(Path::new("-"), (401, 227), 5, 25) };
    let (_, size) = raw.check().unwrap();
    let show = ContourFilm::new(&film, &raw.theme, size, 5, 25).unwrap();
    let mut bytes = Vec::new();
    let report = stream_show(&show, &raw, &mut bytes, &mut |_, _| {}).unwrap();
    assert_eq!((report.bytes, report.frames), (401 * 227 * 4 * 5, 5));
    assert!(bytes == pictures(&film, &raw).concat());

    let y4m = Output { format: Some(Format::Y4m), ..raw.clone() };
    let (_, size) = y4m.check().unwrap();
    assert_eq!(size, [400, 226], "4:2:0 has even sides");
    let even = ContourFilm::new(&film, &y4m.theme, size, 5, 25).unwrap();
    bytes.clear();
    stream_show(&even, &y4m, &mut bytes, &mut |_, _| {}).unwrap();
    let header = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    assert_eq!(bytes.len(), header + 5 * (6 + 400 * 226 * 3 / 2));
    assert!(bytes.starts_with(b"YUV4MPEG2 W400 H226 F25:1 "));

    let error = stream_show(&show, &raw, &mut Leaving(400_000), &mut |_, _| {}).unwrap_err();
    let broken = |e: &crate::Error| matches!(e, crate::Error::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe);
    assert!(broken(&error), "{error}");
    let gif = Output { format: Some(Format::Gif), ..raw.clone() };
    let error = stream_show(&show, &gif, &mut Leaving(9_000), &mut |_, _| {}).unwrap_err();
    assert!(broken(&error), "{error}");
    let mp4 = Output { format: Some(Format::Mp4), ..y4m.clone() };
    let refusal = stream_show(&even, &mp4, &mut Vec::new(), &mut |_, _| {}).unwrap_err();
    assert!(refusal.to_string().contains("y4m or raw"), "{refusal}");
}

#[test]
fn numbered_files_are_the_frames_and_a_sheet_has_nine_of_them() {
    let film = film(vec![panel(21, 15, 9)]);
    let folder = tempfile::tempdir().unwrap();
    let out = output(&folder.path().join("new/%03d.png"), (400, 226), 7, 25);
    let report = render(&film, &out);
    assert_eq!((report.frames, report.fps, report.warnings.len()), (7, 25, 0));
    let files = (1..=7).map(|n| folder.path().join(format!("new/{n:03}.png")));
    for (n, (file, drawn)) in files.zip(pictures(&film, &out)).enumerate() {
        let rgb: Vec<u8> = drawn.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        assert!(read_png(&file) == (rgb, 400, 226), "frame {n}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 7);
    let films = output(&folder.path().join("%03d.gif"), (400, 226), 7, 25);
    assert!(
        contour::write(&film, &films, &mut |_, _| {}).unwrap_err().to_string().contains("%05d")
    );

    let [poster, page] = ["poster.png", "page.png"].map(|name| folder.path().join(name));
    let out = Output {
        path: folder.path().join("film.gif"),
        poster: Some(poster.clone()),
        contact_sheet: Some(page.clone()),
        ..out
    };
    render(&film, &out);
    assert!(read_png(&poster).0 == read_png(&folder.path().join("new/007.png")).0);
    let (_, w, h) = read_png(&page);
    assert!(w > 600 && w < 700 && h > 339 && h < 460, "{w}x{h}");
    let refusal =
        |out: Output| contour::write(&film, &out, &mut |_, _| {}).unwrap_err().to_string();
    assert!(refusal(Output { poster: Some("a.mp4".into()), ..out.clone() }).contains("move"));
    assert!(refusal(Output { contact_sheet: Some("a.svg".into()), ..out }).contains(".png"));
}

#[test]
fn a_scaled_picture_has_the_size_asked_for_and_larger_type() {
    let film = film(vec![panel(21, 15, 9)]);
    let folder = tempfile::tempdir().unwrap();
    let width_of_title = |scale: f32| {
        let path = folder.path().join("poster.png");
        let theme = Theme { scale, ..Theme::light() };
        let out = Output { theme, ..output(&path, (960, 540), 3, 30) };
        let report = render(&film, &out);
        assert_eq!((report.width, report.height), (960, 540));
        let (rgb, w, h) = read_png(&path);
        assert_eq!((w, h), (960, 540));
        // The headline stands alone in the top rows.
        let dark = |x: usize| (0..32).any(|y| rgb[3 * (y * 960 + x)] < 90);
        (0..960).filter(|&x| dark(x)).max().unwrap() as f64
    };
    let ratio = width_of_title(1.5) / width_of_title(1.0);
    assert!((ratio - 1.5).abs() < 0.06, "the headline is {ratio} times as wide");
}

#[test]
fn a_show_of_another_size_is_refused() {
    let film = film(vec![panel(21, 15, 9)]);
    let out = output(Path::new("poster.png"), (400, 226), 3, 30);
    let show = ContourFilm::new(&film, &out.theme, [640, 360], 3, 30).unwrap();
    assert_eq!(show.size(), [640, 360]);
    let refusal = write_show(&show, &out, &mut |_, _| {}).unwrap_err().to_string();
    assert!(refusal.contains("a scene of 640x360 for a picture of 400x226"), "{refusal}");
}
