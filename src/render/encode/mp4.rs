//! MP4: H.264 (yuv420p, BT.709 limited range) by openh264, in the container of [`super::mux`].
//!
//! A film is cut into segments of at most [`SEGMENT_SECONDS`], so that it is easy to scrub through.
//! Each begins with a key frame and is coded on its own, several at a time; where the cuts are
//! depends on the number of frames alone, and so do the bytes.
//!
//! The quantiser is the same in all pictures, by default 20, where thin lines and small type stay
//! crisp; films of this kind are mostly still, so the file stays small all the same. (The buffer mode
//! of openh264 with one quantiser allowed; its other modes print warnings unless they may skip
//! frames.)
//!
//! Bytes at the same likeness (PSNR over all planes), against x264 at its medium preset and against
//! P slices of our own (zero motion, one reference, no deblocking), which this replaced: films of 300
//! frames of 1280x720 of a run of `lossreel demo`, a flat map and a surface in space around which the
//! camera moves; processor time without openh264's assembler (which a build with nasm has), on an
//! Intel Sapphire Rapids:
//!
//! | film, pictures after the key frame | key frame every | kB | dB | ms a frame |
//! | --- | --- | --- | --- | --- |
//! | map, ours | 2 s | 853 | 50.3 | 0.8 |
//! | map, ours | 10 s | 583 | 50.4 | 0.8 |
//! | map, openh264 | 10 s | 305 | 50.5 | 6.4 |
//! | map, openh264 | 5 s | 376 | 50.7 | 7.0 |
//! | map, x264, `-crf 22` | 8 s | 256 | 50.2 | |
//! | space, ours | 5 s | 4016 | 48.7 | 4.4 |
//! | space, openh264 | 5 s | 2440 | 49.8 | 14 |
//! | space, x264, `-crf 19` | 8 s | 1054 | 49.9 | |
//!
//! With a key frame every five seconds the map is a file of 380 kB at 50.7 dB: 1.4 times x264's at
//! the same PSNR, and 2.3 times in space. What is left are x264's B pictures, its transform of 8 x 8
//! and its arithmetic coder. openh264 has the last, and could quantise the key frame finer than what
//! is copied from it: 4 to 8 % and up to 15 % fewer bytes, by calls that its safe interface lacks.
//! To repeat x264's part: `lossreel render RUN --out film.y4m`, then
//! `ffmpeg -i film.y4m -c:v libx264 -preset medium -crf 22 x.mp4` and ffmpeg's filter `psnr`.

use std::ops::Range;

use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, IntraFramePeriod, Profile, QpRange,
    RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::YUVSource;

use super::mux::Track;
use super::yuv::Yuv;
use crate::error::{Error, Result};

impl YUVSource for Yuv {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        &self.y
    }

    fn u(&self) -> &[u8] {
        &self.u
    }

    fn v(&self) -> &[u8] {
        &self.v
    }
}

/// The longest time between key frames. A decoder that jumps into a film starts at the one before;
/// each costs as much as some 75 frames after it in a film of which most does not change.
pub const SEGMENT_SECONDS: usize = 5;

/// The segments of a film of `frames` frames, at most `longest` long and nearly even.
pub fn cut(frames: usize, longest: usize) -> Vec<Range<usize>> {
    let count = frames.div_ceil(longest.max(1)).max(1);
    // Rounded up: a segment of one frame is the last, as two key frames in a row would need numbers.
    let start = |k: usize| (k * frames).div_ceil(count);
    (0..count).map(|k| start(k)..start(k + 1)).collect()
}

/// Codes the frames of one segment.
pub struct Segment {
    encoder: Encoder,
}

impl Segment {
    /// A segment of `track` at a quality of 1 to 100. Errors: [`Error::Render`] if the encoder
    /// cannot be had.
    pub fn new(track: Track, quality: u8) -> Result<Self> {
        let quantiser = quantiser(quality);
        let pixels = u32::from(track.width) * u32::from(track.height);
        // A ceiling that real films of this kind stay far below; the quantiser decides.
        let bitrate = (f64::from(pixels) * f64::from(track.fps) * 0.6).clamp(2e6, 200e6) as u32;
        let config = EncoderConfig::new()
            .usage_type(UsageType::CameraVideoRealTime)
            .rate_control_mode(RateControlMode::Bufferbased)
            .bitrate(BitRate::from_bps(bitrate))
            .max_frame_rate(FrameRate::from_hz(track.fps as f32))
            .qp(QpRange::new(quantiser, quantiser))
            .profile(Profile::High)
            .complexity(Complexity::Low) // 4 % more bytes than the next, in three quarters of the time
            .skip_frames(false)
            .scene_change_detect(false)
            .background_detection(false)
            .adaptive_quantization(false)
            .num_threads(1) // segments go side by side
            .intra_frame_period(IntraFramePeriod::from_num_frames(0)) // the first and no other
            .vui(VuiConfig::bt709());
        let encoder =
            Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)?;
        Ok(Self { encoder })
    }

    /// The next frame as a byte stream.
    pub fn add(&mut self, frame: Yuv) -> Result<Vec<u8>> {
        Ok(self.encoder.encode(&frame).map_err(failed)?.to_vec())
    }
}

/// The quantiser at a quality of 1 to 100.
fn quantiser(quality: u8) -> u8 {
    (44.0 - 0.3 * f64::from(quality)).round() as u8
}

fn failed(error: openh264::Error) -> Error {
    Error::Render {
        what: format!("the H.264 encoder failed: {error}"),
        remedy: "an MP4 may have at most 3840x2160 pixels; try a smaller size, or GIF".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use openh264::decoder::Decoder;

    use super::*;
    use crate::render::encode::mux::Muxer;

    /// The boxes of `bytes`: name, where the content starts, where it ends.
    fn boxes(bytes: &[u8], from: usize, to: usize) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        let mut at = from;
        while at < to {
            let mut size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            let mut header = 8;
            if size == 1 {
                // A size of 64 bits follows the name.
                size = u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize;
                header = 16;
            }
            assert!(size >= header && at + size <= to, "a box of {size} bytes at {at}");
            let name = String::from_utf8(bytes[at + 4..at + 8].to_vec()).unwrap();
            found.push((name, at + header, at + size));
            at += size;
        }
        found
    }

    /// The content of the box at a path of names.
    fn content<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
        let (mut from, mut to) = (0, bytes.len());
        for name in path {
            let found = boxes(bytes, from, to).into_iter().find(|b| b.0 == *name);
            (_, from, to) = found.unwrap_or_else(|| panic!("no {name} in {path:?}"));
        }
        &bytes[from..to]
    }

    fn u32s(bytes: &[u8]) -> Vec<u32> {
        bytes.chunks_exact(4).map(|b| u32::from_be_bytes(b.try_into().unwrap())).collect()
    }

    fn picture(n: usize, w: usize, h: usize) -> Yuv {
        let rgba: Vec<u8> = (0..w * h)
            .flat_map(|i| {
                let (x, y) = (i % w, i / w);
                let on = x.abs_diff(4 * n + 8) < 6 && y.abs_diff(30) < 6;
                if on { [220, 40, 30, 255] } else { [(x * 2) as u8, (y * 3) as u8, 128, 255] }
            })
            .collect();
        Yuv::from_rgba(&rgba, w, w, h)
    }

    #[test]
    fn cuts_are_even_and_depend_on_the_length_alone() {
        assert_eq!(cut(70, 60), [0..35, 35..70]);
        assert!(matches!(&cut(60, 60)[..], [whole] if *whole == (0..60)));
        assert_eq!(cut(3, 2), [0..2, 2..3]);
        let film = cut(1001, 60);
        assert!(film.iter().all(|s| (58..=60).contains(&s.len())));
        assert!(film.windows(2).all(|w| w[0].end == w[1].start));
        assert_eq!((film[0].start, film[film.len() - 1].end), (0, 1001));
    }

    #[test]
    fn the_file_plays_moov_comes_first_and_the_decoder_sees_the_pictures() {
        // Not whole macroblocks in either direction; the second half of the film stands still.
        for (w, h) in [(130, 74), (128, 64)] {
            plays(w, h);
        }
    }

    fn plays(w: usize, h: usize) {
        let (fps, frames) = (30u32, 70usize);
        let shown = |n: usize| picture(if n < 50 { n % 20 } else { 7 }, w, h);
        let track = Track { width: w as u16, height: h as u16, fps, frames };
        let mut writer = Muxer::new(Cursor::new(Vec::new()), track).unwrap();
        for range in cut(frames, 2 * fps as usize) {
            let mut segment = Segment::new(track, 80).unwrap();
            range.for_each(|n| writer.add(&segment.add(shown(n)).unwrap()).unwrap());
        }
        let bytes = writer.finish().unwrap().into_inner();

        let top: Vec<String> = boxes(&bytes, 0, bytes.len()).into_iter().map(|b| b.0).collect();
        assert_eq!(top, ["ftyp", "moov", "free", "mdat"]);
        let mvhd = u32s(content(&bytes, &["moov", "mvhd"]));
        let (timescale, duration) = (mvhd[3], mvhd[4]);
        assert_eq!(u64::from(duration) * u64::from(fps), frames as u64 * u64::from(timescale));
        let stbl = ["moov", "trak", "mdia", "minf", "stbl"];
        let table = |name| u32s(content(&bytes, &[&stbl[..], &[name]].concat()));
        assert_eq!(table("stts")[1..], [1, frames as u32, timescale / fps]);
        let sync = &table("stss")[2..];
        assert_eq!(sync[0], 1);
        assert!(sync.len() >= 2 && sync.windows(2).all(|w| w[1] - w[0] <= 2 * fps), "{sync:?}");
        let sizes = &table("stsz")[3..];
        assert_eq!(sizes.len(), frames);
        let mdat = content(&bytes, &["mdat"]);
        assert_eq!(sizes.iter().sum::<u32>() as usize, mdat.len());
        let offset = table("stco")[2] as usize;
        assert_eq!(bytes[offset..].as_ptr(), mdat.as_ptr());
        let avc1 = content(&bytes, &[&stbl[..], &["stsd"]].concat());
        let avc1 = &avc1[8 + 8 + 78..];
        let avcc = content(avc1, &["avcC"]);
        assert_eq!(&content(avc1, &["colr"]), &[b'n', b'c', b'l', b'x', 0, 1, 0, 1, 0, 1, 0]);

        // Decode: parameter sets from avcC, then each sample with its lengths made start codes.
        let sps_len = u16::from_be_bytes([avcc[6], avcc[7]]) as usize;
        let sps = &avcc[8..8 + sps_len];
        let mut sets = [&[0, 0, 0, 1], sps].concat();
        let mut at = 8 + sps_len;
        let count = avcc[at];
        at += 1;
        for _ in 0..count {
            let len = u16::from_be_bytes([avcc[at], avcc[at + 1]]) as usize;
            sets.extend([&[0, 0, 0, 1], &avcc[at + 2..at + 2 + len]].concat());
            at += 2 + len;
        }
        assert_eq!(count, 1);
        let mut decoder = Decoder::new().unwrap();
        let mut at = 0;
        for (n, &size) in sizes.iter().enumerate() {
            let mut packet = Vec::new();
            if sync.contains(&(n as u32 + 1)) {
                packet = sets.clone();
            }
            let mut sample = &mdat[at..at + size as usize];
            at += size as usize;
            while !sample.is_empty() {
                let len = u32::from_be_bytes(sample[..4].try_into().unwrap()) as usize;
                packet.extend([0, 0, 0, 1]);
                packet.extend(&sample[4..4 + len]);
                sample = &sample[4 + len..];
            }
            let decoded = decoder.decode(&packet).unwrap().expect("a picture for each sample");
            let want = shown(n);
            let stride = decoded.strides().0;
            let mut squares = 0.0;
            for y in 0..h {
                for x in 0..w {
                    let d = f64::from(decoded.y()[y * stride + x]) - f64::from(want.y[y * w + x]);
                    squares += d * d;
                }
            }
            let psnr = 10.0 * (255.0 * 255.0 * (w * h) as f64 / squares.max(1.0)).log10();
            // At a quantiser of 20 or below, openh264's luma is above 40 dB.
            assert!(psnr > 40.0, "frame {n}: {psnr:.1} dB");
        }
    }
}
