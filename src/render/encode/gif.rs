//! GIF: one global palette, only what changed in each frame, delays that add up.
//!
//! A frame is the smallest rectangle around the pixels whose index changed; inside it, unchanged
//! pixels are transparent, so they stay exactly as they were and cost next to nothing.

use std::borrow::Cow;
use std::io::{BufWriter, Write};

use gif::{DisposalMethod, Encoder, Frame, Repeat};
use rayon::prelude::*;

use super::lzw;
use super::palette::{Palette, TRANSPARENT};
use crate::error::{Error, Result};

/// A GIF that grows frame by frame.
pub struct GifWriter<W: Write> {
    encoder: Encoder<Counted<W>>,
    width: usize,
    /// Frames of the scene in a second, and how many of them a frame of the file lasts.
    clock: (u32, usize),
    frames: u64,
    shown: Vec<u8>,
}

/// A buffered writer that knows how much went through it.
struct Counted<W: Write>(BufWriter<W>, u64);

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1 += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> GifWriter<W> {
    /// Begins a film that plays `loops` times (for ever without a number), a frame of which lasts `stride`
    /// times `1 / fps` seconds. One that plays once has no block that says so: browsers would play it twice.
    /// Errors: [`Error::Render`] if it cannot be written.
    pub fn new(
        out: W,
        [width, height]: [u32; 2],
        fps: u32,
        stride: usize,
        palette: &Palette,
        loops: Option<u16>,
    ) -> Result<Self> {
        let attempt = (|| {
            let out = Counted(BufWriter::new(out), 0);
            let mut encoder = Encoder::new(out, width as u16, height as u16, &palette.rgb())?;
            match loops {
                None => encoder.set_repeat(Repeat::Infinite)?,
                Some(0 | 1) => {}
                // The block counts the repetitions after the first time.
                Some(times) => encoder.set_repeat(Repeat::Finite(times - 1))?,
            }
            Ok(encoder)
        })();
        let encoder = attempt.map_err(unwritable)?;
        let width = width as usize;
        Ok(Self { encoder, width, clock: (fps, stride), frames: 0, shown: Vec::new() })
    }

    /// Adds frames of `width * height` palette indices. They are compressed on all cores.
    pub fn add(&mut self, pictures: Vec<Vec<u8>>) -> Result<()> {
        let width = self.width;
        let mut frames: Vec<Frame> = (0..pictures.len())
            .into_par_iter()
            .map(|i| {
                let before = if i > 0 { &pictures[i - 1] } else { &self.shown };
                patch(before, &pictures[i], width)
            })
            .collect();
        let (fps, stride) = self.clock;
        let starts = |n: u64| centisecs(n * stride as u64, fps);
        for frame in &mut frames {
            // Rounded times, not rounded steps: the film is as long as it says.
            frame.delay = (starts(self.frames + 1) - starts(self.frames)) as u16;
            self.encoder.write_lzw_pre_encoded_frame(frame).map_err(unwritable)?;
            self.frames += 1;
        }
        if let Some(last) = pictures.into_iter().next_back() {
            self.shown = last;
        }
        Ok(())
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.encoder.get_ref().1
    }

    /// Ends the file. Errors: whatever was left in buffers and cannot be written.
    pub fn finish(self) -> Result<()> {
        // Dropping the encoder would swallow its last error.
        let Counted(mut buffered, _) = self.encoder.into_inner().map_err(unwritable)?;
        buffered.flush().map_err(|e| unwritable(e.into()))
    }
}

/// The compressed frame that makes `new` out of `old`: its smallest rectangle, in which unchanged
/// pixels are transparent, unless the rectangle is smaller without that. All of `new` where there
/// is no `old`.
fn patch(old: &[u8], new: &[u8], width: usize) -> Frame<'static> {
    let compress = |[left, top, right, bottom]: [usize; 4], pixels: &[u8], transparent| Frame {
        left: left as u16,
        top: top as u16,
        width: (right - left) as u16,
        height: (bottom - top) as u16,
        dispose: DisposalMethod::Keep,
        transparent,
        buffer: Cow::Owned(lzw::encode(pixels, transparent.unwrap_or(pixels[0]))),
        ..Frame::default()
    };
    if old.is_empty() {
        return compress([0, 0, width, new.len() / width], new, None);
    }
    let rect = changed(old, new, width);
    let [left, top, right, bottom] = rect;
    let rows = || (top..bottom).map(|y| y * width + left..y * width + right);
    let mut sparse = Vec::with_capacity((right - left) * (bottom - top));
    for row in rows() {
        let pairs = new[row.clone()].iter().zip(&old[row]);
        sparse.extend(pairs.map(|(new, old)| if new == old { TRANSPARENT } else { *new }));
    }
    let differ = sparse.iter().filter(|p| **p != TRANSPARENT).count();
    let patch = compress(rect, &sparse, Some(TRANSPARENT));
    // Where little stays, what stays may compress better as it is.
    if 3 * differ > sparse.len() {
        let all: Vec<u8> = rows().flat_map(|row| &new[row]).copied().collect();
        let whole = compress(rect, &all, None);
        if whole.buffer.len() < patch.buffer.len() {
            return whole;
        }
    }
    patch
}

/// When frame `n` starts, in hundredths of a second.
pub fn centisecs(n: u64, fps: u32) -> u64 {
    let fps = u64::from(fps);
    (100 * n + fps / 2) / fps
}

/// Left, top, right, bottom (exclusive) of what differs; one pixel when nothing does, because a
/// frame must have some size.
fn changed(old: &[u8], new: &[u8], width: usize) -> [usize; 4] {
    let rows = old.chunks_exact(width).zip(new.chunks_exact(width)).enumerate();
    let mut found: Option<[usize; 4]> = None;
    for (y, (a, b)) in rows.filter(|(_, (a, b))| a != b) {
        let differs = |&x: &usize| a[x] != b[x];
        let left = (0..width).find(differs).unwrap_or(0);
        let right = (0..width).rev().find(differs).unwrap_or(0) + 1;
        found = Some(match found {
            None => [left, y, right, y + 1],
            Some([l, t, r, _]) => [l.min(left), t, r.max(right), y + 1],
        });
    }
    found.unwrap_or([0, 0, 1, 1])
}

fn unwritable(error: gif::EncodingError) -> Error {
    Error::Render {
        what: format!("the GIF cannot be written: {error}"),
        remedy: "check the space left on the disk".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::canvas::color::Color;
    use crate::render::encode::palette::Dither;
    use crate::render::encode::palette::Histogram;

    /// Decodes to full frames of RGBA with their delays.
    fn decode(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u16>) {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes).unwrap();
        let width = usize::from(decoder.width());
        let mut screen = vec![0; width * usize::from(decoder.height()) * 4];
        let (mut frames, mut delays) = (Vec::new(), Vec::new());
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            assert!(frame.palette.is_none(), "a local palette");
            for (i, pixel) in frame.buffer.chunks_exact(4).enumerate() {
                let (x, y) = (i % usize::from(frame.width), i / usize::from(frame.width));
                let at = 4 * ((y + usize::from(frame.top)) * width + x + usize::from(frame.left));
                if pixel[3] > 0 {
                    screen[at..at + 4].copy_from_slice(pixel);
                }
            }
            frames.push(screen.clone());
            delays.push(frame.delay);
        }
        (frames, delays)
    }

    #[test]
    fn it_decodes_to_the_frames_that_went_in_and_lasts_as_long_as_it_should() {
        let (w, h, fps) = (40usize, 30usize, 30);
        let picture = |n: usize| -> Vec<u8> {
            (0..w * h)
                .flat_map(|i| {
                    let on = i % w == n || (n > 5 && i / w == 7);
                    if on { [250, 10, 20, 255] } else { [(i % w) as u8, 90, 100, 255] }
                })
                .collect()
        };
        let mut histogram = Histogram::default();
        (0..20).for_each(|n| histogram.add(&picture(n)));
        let palette = Palette::new(&histogram, [Color::hex(0xffffff)], 256, Dither::None);
        let mut bytes = Vec::new();
        let mut writer =
            GifWriter::new(&mut bytes, [w as u32, h as u32], fps, 1, &palette, None).unwrap();
        let numbers: Vec<usize> = (0..20).chain([19]).collect();
        for batch in numbers.chunks(4) {
            let pictures = batch.iter().map(|&n| palette.indices(&picture(n), w));
            writer.add(pictures.collect()).unwrap();
        }
        let counted = writer.bytes();
        writer.finish().unwrap();
        assert_eq!(counted + 1, bytes.len() as u64, "all but the trailer was counted");
        let (frames, delays) = decode(&bytes);
        assert_eq!(frames.len(), 21);
        for (n, frame) in frames.iter().enumerate() {
            assert!(*frame == picture(n.min(19)), "frame {n} differs");
        }
        assert_eq!(delays.iter().map(|&d| u64::from(d)).sum::<u64>(), 70); // 21 / 30 s
        assert!(delays.iter().all(|d| (3..=4).contains(d)));
        assert!(bytes.windows(11).any(|w| w == b"NETSCAPE2.0"));
    }

    #[test]
    fn a_write_error_is_seen() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("no space left"))
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut histogram = Histogram::default();
        histogram.add(&[1, 2, 3, 255]);
        let palette = Palette::new(&histogram, [], 256, Dither::None);
        let result = GifWriter::new(Full, [1, 1], 20, 1, &palette, None).and_then(|mut writer| {
            writer.add(vec![vec![1]])?;
            writer.finish()
        });
        assert!(result.unwrap_err().to_string().contains("no space left"));
    }
}
