//! GIF: one global palette, only what changed in each frame, delays that add up.
//!
//! A frame is the smallest rectangle around the pixels whose index changed; inside it, unchanged
//! pixels are transparent, so they stay exactly as they were and cost next to nothing.

use std::borrow::Cow;
use std::io::{BufWriter, Write};

use gif::{DisposalMethod, Encoder, Frame, Repeat};

use super::palette::{Palette, TRANSPARENT};
use crate::error::{Error, Result};

/// A GIF that grows frame by frame.
pub struct GifWriter<W: Write> {
    encoder: Encoder<BufWriter<W>>,
    width: u16,
    height: u16,
    fps: u32,
    frames: u64,
    shown: Vec<u8>,
}

impl<W: Write> GifWriter<W> {
    /// Begins a film that loops for ever. Errors: [`Error::Render`] if it cannot be written.
    pub fn new(out: W, width: u16, height: u16, fps: u32, palette: &Palette) -> Result<Self> {
        let attempt = (|| {
            let mut encoder = Encoder::new(BufWriter::new(out), width, height, &palette.rgb())?;
            encoder.set_repeat(Repeat::Infinite)?;
            Ok(encoder)
        })();
        let encoder = attempt.map_err(unwritable)?;
        Ok(Self { encoder, width, height, fps, frames: 0, shown: Vec::new() })
    }

    /// Adds a frame of `width * height` palette indices.
    pub fn add(&mut self, indices: Vec<u8>) -> Result<()> {
        let (width, height) = (usize::from(self.width), usize::from(self.height));
        let mut frame = Frame {
            // Rounded times, not rounded steps: the film is as long as it says.
            delay: (centisecs(self.frames + 1, self.fps) - centisecs(self.frames, self.fps)) as u16,
            dispose: DisposalMethod::Keep,
            ..Frame::default()
        };
        if self.shown.is_empty() {
            (frame.width, frame.height) = (self.width, self.height);
            frame.buffer = Cow::Borrowed(&indices);
            self.encoder.write_frame(&frame).map_err(unwritable)?;
        } else {
            let [left, top, right, bottom] = changed(&self.shown, &indices, width);
            let mut patch = Vec::with_capacity((right - left) * (bottom - top));
            for y in top..bottom {
                let row = y * width + left..y * width + right;
                let pairs = indices[row.clone()].iter().zip(&self.shown[row]);
                patch.extend(pairs.map(|(new, old)| if new == old { TRANSPARENT } else { *new }));
            }
            (frame.left, frame.top) = (left as u16, top as u16);
            (frame.width, frame.height) = ((right - left) as u16, (bottom - top) as u16);
            frame.transparent = Some(TRANSPARENT);
            frame.buffer = Cow::Owned(patch);
            self.encoder.write_frame(&frame).map_err(unwritable)?;
        }
        debug_assert_eq!(indices.len(), width * height);
        self.shown = indices;
        self.frames += 1;
        Ok(())
    }

    /// Ends the file. Errors: whatever was left in buffers and cannot be written.
    pub fn finish(self) -> Result<()> {
        // Dropping the encoder would swallow its last error.
        let mut buffered = self.encoder.into_inner().map_err(unwritable)?;
        buffered.flush().map_err(|e| unwritable(e.into()))
    }
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
    use crate::render::color::Color;
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
        let palette = Palette::new(&histogram, [Color::hex(0xffffff)]);
        let mut bytes = Vec::new();
        let mut writer = GifWriter::new(&mut bytes, w as u16, h as u16, fps, &palette).unwrap();
        for n in (0..20).chain([19]) {
            writer.add(palette.indices(&picture(n))).unwrap();
        }
        writer.finish().unwrap();
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
        let palette = Palette::new(&histogram, []);
        let result = GifWriter::new(Full, 1, 1, 20, &palette).and_then(|mut writer| {
            writer.add(vec![1])?;
            writer.finish()
        });
        assert!(result.unwrap_err().to_string().contains("no space left"));
    }
}
