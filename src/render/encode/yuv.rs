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
            y: Vec::with_capacity(width * height),
            u: Vec::with_capacity(width * height / 4),
            v: Vec::with_capacity(width * height / 4),
        };
        let row = |y: usize| &rgba[4 * y * stride..4 * (y * stride + width)];
        let rgb = |pixel: &[u8]| [i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2])];
        for y in 0..height {
            yuv.y.extend(
                row(y).chunks_exact(4).map(|p| (16 + ((dot(Y_ROW, rgb(p)) + HALF) >> SHIFT)) as u8),
            );
        }
        for y in (0..height).step_by(2) {
            let (top, bottom) = (row(y), row(y + 1));
            let column = |x: usize| {
                let (a, b) = (rgb(&top[4 * x..]), rgb(&bottom[4 * x..]));
                [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
            };
            let mut left = column(0);
            for x in (0..width).step_by(2) {
                let (here, right) = (column(x), column(x + 1));
                let sum: [i32; 3] = std::array::from_fn(|i| left[i] + 2 * here[i] + right[i]);
                // Eight pixels' weight: three more bits to shift out.
                let chroma = |row| (128 + ((dot(row, sum) + (HALF << 3)) >> (SHIFT + 3))) as u8;
                yuv.u.push(chroma(U_ROW));
                yuv.v.push(chroma(V_ROW));
                left = right;
            }
        }
        yuv
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
}
