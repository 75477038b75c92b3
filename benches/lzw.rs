//! Our LZW against that of the crate gif (weezl), on the frames of a film:
//! `cargo bench --bench lzw [FILM.gif]`.
//!
//! Without a film it makes those of `lossreel demo`, which takes about a minute. Both compress the
//! same frames in turn, in five rounds; time is that of the processor where the system tells it
//! (Linux), so that other programs disturb little.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

#[path = "../src/render/encode/lzw.rs"]
#[allow(dead_code)] // the decoder of its tests
mod lzw;

const ROUNDS: u32 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    // cargo passes --bench.
    let films: Vec<PathBuf> =
        std::env::args().skip(1).filter(|a| !a.starts_with('-')).map(PathBuf::from).collect();
    if !films.is_empty() {
        return films.iter().try_for_each(|film| compare(film));
    }
    let folder = tempfile::tempdir()?;
    let demo = Command::new(env!("CARGO_BIN_EXE_lossreel"))
        .args(["--quiet", "demo", "--out"])
        .arg(folder.path())
        .status()?;
    if !demo.success() {
        return Err("lossreel demo failed".into());
    }
    let mut films: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "gif") {
            films.push(path);
        }
    }
    films.sort();
    films.iter().try_for_each(|film| compare(film))
}

/// Compresses each frame of `film` by both and prints bytes, milliseconds a frame and their ratio.
fn compare(film: &Path) -> Result<(), Box<dyn Error>> {
    let mut decoder = gif::DecodeOptions::new().read_info(File::open(film)?)?;
    let mut frames: Vec<gif::Frame<'static>> = Vec::new();
    while let Some(frame) = decoder.read_next_frame()? {
        frames.push(frame.clone());
    }
    let ours = |frame: &gif::Frame| {
        let pixels = &frame.buffer[..];
        lzw::encode(pixels, frame.transparent.or(pixels.first().copied()).unwrap_or(0)).len()
    };
    let theirs = |frame: &gif::Frame| {
        let mut frame = frame.clone();
        frame.make_lzw_pre_encoded();
        frame.buffer.len()
    };
    let (mut bytes, mut seconds) = ([0; 2], [0.0; 2]);
    for _ in 0..ROUNDS {
        let started = Clock::start();
        bytes[0] = frames.iter().map(ours).sum::<usize>();
        seconds[0] += started.seconds();
        let started = Clock::start();
        bytes[1] = frames.iter().map(theirs).sum::<usize>();
        seconds[1] += started.seconds();
    }
    let frame_ms = seconds.map(|s| 1e3 * s / f64::from(ROUNDS) / frames.len().max(1) as f64);
    println!(
        "{}: {} frames; ours {} bytes, {:.2} ms a frame; weezl {} bytes, {:.2} ms; {:.1} times faster",
        film.file_name().unwrap_or_default().display(),
        frames.len(),
        bytes[0],
        frame_ms[0],
        bytes[1],
        frame_ms[1],
        seconds[1] / seconds[0],
    );
    Ok(())
}

/// Processor time of this thread, else time.
struct Clock(Option<f64>, Instant);

impl Clock {
    fn start() -> Self {
        Self(processor_seconds(), Instant::now())
    }

    fn seconds(&self) -> f64 {
        let processor = self.0.zip(processor_seconds()).map(|(before, now)| now - before);
        processor.unwrap_or_else(|| self.1.elapsed().as_secs_f64())
    }
}

fn processor_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}
