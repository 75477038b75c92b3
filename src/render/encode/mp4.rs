//! MP4: H.264 (openh264, yuv420p, BT.709 limited range) in the container of [`super::mux`].
//!
//! Quality first: by default the quantiser is held between 16 and 20, where thin lines and small
//! type stay crisp; films of this kind are mostly still, so the file stays small all the same. (The buffer
//! mode of openh264, with no buffer reported full, settles at the least quantiser allowed; its
//! other modes print warnings unless they may skip frames.) A key frame
//! every two seconds makes the film easy to scrub through.

use std::io::{Seek, Write};

use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, IntraFramePeriod, Profile, QpRange,
    RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::YUVSource;

use super::mux::{Muxer, Track};
use super::yuv::Yuv;
use crate::error::{Error, Result};

/// An MP4 that grows frame by frame.
pub struct Mp4Writer<W: Write + Seek> {
    encoder: Encoder,
    muxer: Muxer<W>,
    bits: Vec<u8>,
}

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

impl<W: Write + Seek> Mp4Writer<W> {
    /// Begins a film of `track` at a quality of 1 to 100. Errors: [`Error::Render`] if the encoder
    /// cannot be had.
    pub fn new(out: W, track: Track, quality: u8) -> Result<Self> {
        let coarsest = (44.0 - 0.3 * f64::from(quality)).round() as u8;
        let pixels = u32::from(track.width) * u32::from(track.height);
        // A ceiling that real films of this kind stay far below; the quantiser decides.
        let bitrate = (f64::from(pixels) * f64::from(track.fps) * 0.6).clamp(2e6, 200e6) as u32;
        let config = EncoderConfig::new()
            .usage_type(UsageType::CameraVideoRealTime)
            .rate_control_mode(RateControlMode::Bufferbased)
            .bitrate(BitRate::from_bps(bitrate))
            .max_frame_rate(FrameRate::from_hz(track.fps as f32))
            .qp(QpRange::new(coarsest - 4, coarsest))
            .profile(Profile::High)
            .complexity(Complexity::Low) // same size and likeness on films like ours, in less time
            .skip_frames(false)
            .scene_change_detect(false)
            .background_detection(false)
            .adaptive_quantization(false)
            .num_threads(1) // the same bytes on any machine
            .intra_frame_period(IntraFramePeriod::from_num_frames(track.fps * 2))
            .vui(VuiConfig::bt709());
        let encoder =
            Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)?;
        Ok(Self { encoder, muxer: Muxer::new(out, track)?, bits: Vec::new() })
    }

    /// Adds a frame.
    pub fn add(&mut self, frame: &Yuv) -> Result<()> {
        self.bits.clear();
        self.encoder.encode(frame).map_err(failed)?.write_vec(&mut self.bits);
        self.muxer.add(&self.bits)
    }

    /// Bytes of pictures so far.
    pub fn bytes(&self) -> u64 {
        self.muxer.bytes()
    }

    /// Ends the file.
    pub fn finish(self) -> Result<W> {
        self.muxer.finish()
    }
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

    /// The boxes of `bytes`: name, where the content starts, where it ends.
    fn boxes(bytes: &[u8], from: usize, to: usize) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        let mut at = from;
        while at < to {
            let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            assert!(size >= 8 && at + size <= to, "a box of {size} bytes at {at}");
            let name = String::from_utf8(bytes[at + 4..at + 8].to_vec()).unwrap();
            found.push((name, at + 8, at + size));
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
    fn the_file_plays_moov_comes_first_and_the_decoder_sees_the_pictures() {
        let (w, h, fps, frames) = (128usize, 64usize, 30u32, 70usize);
        let track = Track { width: w as u16, height: h as u16, fps, frames };
        let mut writer = Mp4Writer::new(Cursor::new(Vec::new()), track, 80).unwrap();
        (0..frames).for_each(|n| writer.add(&picture(n % 20, w, h)).unwrap());
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
        let pps_at = 8 + sps_len + 3;
        let pps_len = u16::from_be_bytes([avcc[pps_at - 2], avcc[pps_at - 1]]) as usize;
        let pps = &avcc[pps_at..pps_at + pps_len];
        let mut decoder = Decoder::new().unwrap();
        let mut at = 0;
        for (n, &size) in sizes.iter().enumerate() {
            let mut packet = Vec::new();
            if sync.contains(&(n as u32 + 1)) {
                packet = [&[0, 0, 0, 1], sps, &[0, 0, 0, 1], pps].concat();
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
            let want = picture(n % 20, w, h);
            let stride = decoded.strides().0;
            let mut squares = 0.0;
            for y in 0..h {
                for x in 0..w {
                    let d = f64::from(decoded.y()[y * stride + x]) - f64::from(want.y[y * w + x]);
                    squares += d * d;
                }
            }
            let psnr = 10.0 * (255.0 * 255.0 * (w * h) as f64 / squares.max(1.0)).log10();
            // At a quantiser of 20 or below, x264's and openh264's luma is above 40 dB.
            assert!(psnr > 40.0, "frame {n}: {psnr:.1} dB");
        }
    }
}
