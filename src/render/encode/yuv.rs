//! From RGB to the planes that H.264 stores: BT.709, limited range, 4:2:0.
//!
//! With `R' G' B'` in `0..=255` (ITU-R BT.709-6, 8 bits):
//! `Y = 16 + 219 (0.2126 R' + 0.7152 G' + 0.0722 B') / 255`,
//! `Cb = 128 + 224 (B' - L) / (1.8556 * 255)`, `Cr = 128 + 224 (R' - L) / (1.5748 * 255)`, where
//! `L` is the bracket of the first. A chroma sample sits on the left of its two columns and between
//! its two rows, where H.264 puts it by default, so columns are weighted 1-2-1.

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
            yuv.convert(y, row(y), row(y + 1));
        }
        yuv
    }

    /// This picture, which `old` was converted to, changed into that of `new`: pairs of rows that
    /// do not differ are not converted again. Both are as large as this one.
    pub fn with_changes(&self, old: &[u8], new: &[u8]) -> Self {
        let mut yuv = self.clone();
        let pair = 8 * self.width;
        let pairs = old.chunks_exact(pair).zip(new.chunks_exact(pair)).enumerate();
        for (i, (_, rows)) in pairs.filter(|(_, (old, new))| old != new) {
            let (top, bottom) = rows.split_at(pair / 2);
            yuv.convert(2 * i, top, bottom);
        }
        yuv
    }

    /// Converts rows `y` and `y + 1`.
    fn convert(&mut self, y: usize, top: &[u8], bottom: &[u8]) {
        let width = self.width;
        let rgb = |pixel: &[u8]| [i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2])];
        for (row, y) in [(top, y), (bottom, y + 1)] {
            let luma = self.y[y * width..(y + 1) * width].iter_mut();
            for (luma, p) in luma.zip(row.chunks_exact(4)) {
                *luma = (16 + ((dot(Y_ROW, rgb(p)) + HALF) >> SHIFT)) as u8;
            }
        }
        let column = |x: usize| {
            let (a, b) = (rgb(&top[4 * x..]), rgb(&bottom[4 * x..]));
            [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
        };
        let mut left = column(0);
        let place = y / 2 * width / 2;
        for (i, x) in (0..width).step_by(2).enumerate() {
            let (here, right) = (column(x), column(x + 1));
            let sum: [i32; 3] = std::array::from_fn(|i| left[i] + 2 * here[i] + right[i]);
            // Eight pixels' weight: three more bits to shift out.
            let chroma = |row| (128 + ((dot(row, sum) + (HALF << 3)) >> (SHIFT + 3))) as u8;
            self.u[place + i] = chroma(U_ROW);
            self.v[place + i] = chroma(V_ROW);
            left = right;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let old: Vec<u8> = (0..16 * 10 * 4).map(|i| (i * 7 % 251) as u8).collect();
        let mut new = old.clone();
        new[4 * (16 * 3 + 5)] ^= 0x55; // the lower row of a pair
        new[4 * (16 * 8)] ^= 0x55;
        let changed = Yuv::from_rgba(&old, 16, 16, 10).with_changes(&old, &new);
        assert_eq!(changed, Yuv::from_rgba(&new, 16, 16, 10));
        assert_ne!(changed, Yuv::from_rgba(&old, 16, 16, 10));
    }
}
