//! The paper's augmentation: pad with black, crop at random, flip left to right at random.
//!
//! In the paper's code (torchvision's `RandomCrop(32, padding=4)` before `ToTensor`) the padding is
//! raw 0, normalised afterwards like any other pixel; so it is here. Each image's draw is
//! addressed by (epoch, index in the split).

use crate::names::named_enum;
use crate::rng::Streams;

named_enum! {
    /// How training images are augmented.
    pub enum Augment("augmentation") {
        /// Not at all.
        None = "none",
        /// Pad by 4 pixels, crop at random: for digits, which a flip would spoil.
        Crop = "crop",
        /// Pad by 4 pixels, crop at random, flip half of them: the paper's, for CIFAR.
        CropFlip = "crop_flip",
    }
}

/// Black pixels added on each side before the crop.
const PAD: usize = 4;

/// An epoch's augmentation: what is done, and the address its randomness comes from.
#[derive(Debug, Clone, Copy)]
pub struct Augmentation {
    /// What is done.
    pub augment: Augment,
    /// The run's streams.
    pub streams: Streams,
    /// The epoch, from 0, below 2^32.
    pub epoch: u64,
}

/// What one image undergoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Row of the source image that lands in row 0.
    pub dy: isize,
    /// Column of the source image that lands in column 0 (before the flip).
    pub dx: isize,
    /// Whether the crop is then mirrored left to right.
    pub mirrored: bool,
}

impl Move {
    /// Leaves the image as it is.
    pub const STAY: Move = Move { dy: 0, dx: 0, mirrored: false };
}

impl Augmentation {
    /// The draw for image `index` of the split.
    pub fn draw(&self, index: usize) -> Move {
        if self.augment == Augment::None {
            return Move::STAY;
        }
        let mut rng = self.streams.stream("augment", (self.epoch << 32) | index as u64);
        let mut offset = || rng.below(2 * PAD + 1) as isize - PAD as isize;
        let (dy, dx) = (offset(), offset());
        Move { dy, dx, mirrored: self.augment == Augment::CropFlip && rng.bernoulli(0.5) }
    }
}

/// Writes one channel, moved and looked up in its normalisation table.
///
/// `pixels` and `out` are (h, w) row-major with `w = width`.
pub(super) fn move_channel(
    pixels: &[u8],
    width: usize,
    table: &[f32; 256],
    by: Move,
    out: &mut [f32],
) {
    if by == Move::STAY {
        for (to, &from) in out.iter_mut().zip(pixels) {
            *to = table[usize::from(from)];
        }
        return;
    }
    let black = table[0];
    let height = pixels.len() / width;
    // Columns of the crop that have a source column: x + dx in 0..width.
    let first = (-by.dx).clamp(0, width as isize) as usize;
    let last = (width as isize - by.dx).clamp(first as isize, width as isize) as usize;
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        row.fill(black);
        let source_y = y as isize + by.dy;
        if first < last && (0..height as isize).contains(&source_y) {
            let start = (source_y * width as isize + first as isize + by.dx) as usize;
            let source = &pixels[start..start + (last - first)];
            for (to, &from) in row[first..last].iter_mut().zip(source) {
                *to = table[usize::from(from)];
            }
        }
        if by.mirrored {
            row.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> [f32; 256] {
        std::array::from_fn(|x| x as f32)
    }

    /// Padding and cropping as torchvision describes them, step by step.
    fn naive(pixels: &[u8], height: usize, width: usize, by: Move) -> Vec<f32> {
        let mut padded = vec![0u8; (height + 2 * PAD) * (width + 2 * PAD)];
        for y in 0..height {
            for x in 0..width {
                padded[(y + PAD) * (width + 2 * PAD) + x + PAD] = pixels[y * width + x];
            }
        }
        let (top, left) = ((by.dy + PAD as isize) as usize, (by.dx + PAD as isize) as usize);
        let mut out = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let x = if by.mirrored { width - 1 - x } else { x };
                out.push(f32::from(padded[(y + top) * (width + 2 * PAD) + x + left]));
            }
        }
        out
    }

    #[test]
    fn every_crop_and_flip_equals_pad_then_crop_then_flip() {
        for (height, width) in [(5, 7), (3, 2), (8, 8)] {
            let pixels: Vec<u8> = (0..height * width).map(|i| 100 + i as u8).collect();
            for dy in -4..=4 {
                for dx in -4..=4 {
                    for mirrored in [false, true] {
                        let by = Move { dy, dx, mirrored };
                        let mut out = vec![f32::NAN; pixels.len()];
                        move_channel(&pixels, width, &identity(), by, &mut out);
                        assert_eq!(out, naive(&pixels, height, width, by), "{by:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn padding_is_normalised_black() {
        let mut table = identity();
        table[0] = -1.5;
        let mut out = vec![0.0; 4];
        move_channel(&[1, 2, 3, 4], 2, &table, Move { dy: 1, dx: 0, mirrored: false }, &mut out);
        assert_eq!(out, [3.0, 4.0, -1.5, -1.5]);
    }

    #[test]
    fn draws_follow_epoch_and_index_and_cover_every_offset_evenly() {
        let of = |augment, epoch| Augmentation { augment, streams: Streams::new(5), epoch };
        let all = |epoch| -> Vec<Move> {
            (0..8_100).map(|i| of(Augment::CropFlip, epoch).draw(i)).collect()
        };
        assert_eq!(all(0), all(0));
        assert_ne!(all(0), all(1));
        let (mut cells, mut mirrored) = ([[0usize; 9]; 9], 0);
        for by in all(0) {
            cells[(by.dy + 4) as usize][(by.dx + 4) as usize] += 1;
            mirrored += usize::from(by.mirrored);
        }
        // 100 expected in a cell, standard deviation 10; 4,050 flips, deviation 45: five of them.
        assert!(cells.iter().flatten().all(|&c| c.abs_diff(100) < 50), "{cells:?}");
        assert!(mirrored.abs_diff(4_050) < 225, "{mirrored}");
        assert!((0..200).all(|i| !of(Augment::Crop, 0).draw(i).mirrored));
        assert_eq!(of(Augment::None, 0).draw(3), Move::STAY);
    }
}
