//! From RGB to the planes that H.264 stores: BT.709, limited range, 4:2:0.
//!
//! With `R' G' B'` in `0..=255` (ITU-R BT.709-6, 8 bits):
//! `Y = 16 + 219 (0.2126 R' + 0.7152 G' + 0.0722 B') / 255`,
//! `Cb = 128 + 224 (B' - L) / (1.8556 * 255)`, `Cr = 128 + 224 (R' - L) / (1.5748 * 255)`, where
//! `L` is the bracket of the first. A chroma sample sits on the left of its two columns and between
//! its two rows, where H.264 puts it by default, so columns are weighted 1-2-1.

use std::ops::Range;

use crate::render::canvas::raster::Raster;

/// A picture in three planes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yuv {
    /// Pixels across, even.
    pub width: usize,
    /// Pixels down, even.
    pub height: usize,
    /// `width * height` samples.
    pub y: Vec<u8>,
    /// `width / 2 * height / 2` samples.
    pub u: Vec<u8>,
    /// As many.
    pub v: Vec<u8>,
}

/// Fixed-point bits of the coefficients below.
const SHIFT: i32 = 16;
const HALF: i32 = 1 << (SHIFT - 1);

/// Coefficient rows for R, G, B, scaled by `2^SHIFT`; the chroma rows add up to zero.
const Y_ROW: [i32; 3] = [11_966, 40_254, 4_064];
const U_ROW: [i32; 3] = [-6_596, -22_189, 28_785];
const V_ROW: [i32; 3] = [28_784, -26_145, -2_639];

fn dot(row: [i32; 3], rgb: [i32; 3]) -> i32 {
    row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]
}

impl Yuv {
    /// Converts the top left `width * height` pixels (both even) of an RGBA picture `stride` pixels
    /// wide.
    pub fn from_rgba(rgba: &[u8], stride: usize, width: usize, height: usize) -> Self {
        debug_assert!(width.is_multiple_of(2) && height.is_multiple_of(2) && stride >= width);
        let mut yuv = Self {
            width,
            height,
            y: vec![0; width * height],
            u: vec![0; width * height / 4],
            v: vec![0; width * height / 4],
        };
        for y in (0..height).step_by(2) {
            let row = |y: usize| &rgba[4 * y * stride..4 * (y * stride + width)];
            yuv.convert(y, 0..width, row(y), row(y + 1));
        }
        yuv
    }

    /// This picture, which the backdrop of `picture` was converted to, changed into `picture`:
    /// only where it has been drawn on. Both are as large as this one.
    pub fn with_changes(&self, picture: &Raster) -> Self {
        let mut yuv = self.clone();
        let row = |y: usize| &picture.rgba()[4 * y * self.width..4 * (y + 1) * self.width];
        for y in (0..self.height).step_by(2) {
            for (from, to) in picture.dirty().stretches(y..y + 2) {
                // A chroma sample looks one pixel to its left and right.
                let (from, to) = (from.saturating_sub(2) & !1, (to + 3).min(self.width) & !1);
                yuv.convert(y, from..to, row(y), row(y + 1));
            }
        }
        yuv
    }

    /// Converts `columns`, from an even one to an even one, of rows `y` and `y + 1`.
    fn convert(&mut self, y: usize, columns: Range<usize>, top: &[u8], bottom: &[u8]) {
        let width = self.width;
        let rgb = |pixel: &[u8]| [i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2])];
        for (row, y) in [(top, y), (bottom, y + 1)] {
            let luma = self.y[y * width + columns.start..y * width + columns.end].iter_mut();
            for (luma, p) in luma.zip(row[4 * columns.start..].chunks_exact(4)) {
                *luma = (16 + ((dot(Y_ROW, rgb(p)) + HALF) >> SHIFT)) as u8;
            }
        }
        let column = |x: usize| {
            let (a, b) = (rgb(&top[4 * x..]), rgb(&bottom[4 * x..]));
            [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
        };
        let mut left = column(columns.start.saturating_sub(1));
        let place = y / 2 * width / 2;
        for x in columns.step_by(2) {
            let (here, right) = (column(x), column(x + 1));
            let sum: [i32; 3] = std::array::from_fn(|i| left[i] + 2 * here[i] + right[i]);
            // Eight pixels' weight: three more bits to shift out.
            let chroma = |row| (128 + ((dot(row, sum) + (HALF << 3)) >> (SHIFT + 3))) as u8;
            self.u[place + x / 2] = chroma(U_ROW);
            self.v[place + x / 2] = chroma(V_ROW);
            left = right;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::canvas::color::Color;
    use crate::render::canvas::{Canvas as _, Rect};

    #[test]
    fn primaries_have_the_codes_of_bt709() {
        // Worked out from the formulas in the header, rounded.
        let cases = [
            ([255, 255, 255], [235, 128, 128]),
            ([0, 0, 0], [16, 128, 128]),
            ([255, 0, 0], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([0, 0, 255], [32, 240, 118]),
            ([128, 128, 128], [126, 128, 128]),
        ];
        for (rgb, [y, u, v]) in cases {
            let rgba: Vec<u8> = [rgb[0], rgb[1], rgb[2], 255].repeat(4 * 2);
            let yuv = Yuv::from_rgba(&rgba, 4, 4, 2);
            assert_eq!((yuv.y[5], yuv.u[1], yuv.v[1]), (y, u, v), "{rgb:?}");
            assert_eq!((yuv.y.len(), yuv.u.len(), yuv.v.len()), (8, 2, 2));
        }
    }

    #[test]
    fn converting_what_changed_gives_what_converting_all_gives() {
        let (w, h) = (70usize, 10usize);
        let mut backdrop = Raster::new(w as u32, h as u32, Color::hex(0x345678)).unwrap();
        backdrop.rect(Rect::new(3.0, 2.0, 60.0, 5.0), Color::hex(0xc04080));
        let still = Yuv::from_rgba(backdrop.rgba(), w, w, h);
        backdrop.begin();
        for x in [0.0, 15.0, 31.5, 64.0, 69.0] {
            let mut picture = backdrop.clone();
            picture.rect(Rect::new(x, 3.0, 1.0, 1.0), Color::hex(0xffffff));
            let changed = still.with_changes(&picture);
            assert_eq!(changed, Yuv::from_rgba(picture.rgba(), w, w, h), "at {x}");
            assert_ne!(changed, still);
        }
    }
}
