//! The 4 x 4 transform of residuals and its quantiser (clause 8.5): integer, exactly invertible by
//! every decoder.

/// Sixteen samples or coefficients, row by row.
pub type Block = [i32; 16];

/// Coefficients from low to high frequency: where each stands in a [`Block`] (figure 8-8).
pub const ZIGZAG: [usize; 16] = [0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15];

/// Scales by `qp % 6` for places of even row and column, of odd ones, and the rest: what the decoder
/// multiplies by (table of clause 8.5.9), and what 2^15 divided by it and by the transform's own
/// gain comes to.
const DECODE: [[i32; 3]; 6] =
    [[10, 16, 13], [11, 18, 14], [13, 20, 16], [14, 23, 18], [16, 25, 20], [18, 29, 23]];
const ENCODE: [[i32; 3]; 6] = [
    [13_107, 5_243, 8_066],
    [11_916, 4_660, 7_490],
    [10_082, 4_194, 6_554],
    [9_362, 3_647, 5_825],
    [8_192, 3_355, 5_243],
    [7_282, 2_893, 4_559],
];

/// The chroma quantiser for a luma quantiser from 30 on (table 8-15).
const CHROMA: [u8; 22] =
    [29, 30, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 37, 37, 37, 38, 38, 38, 39, 39, 39, 39];

/// A quantiser made ready.
#[derive(Debug, Clone)]
pub struct Quantiser {
    encode: Block,
    decode: Block,
    shift: u32,
}

/// The scales spread over a block.
fn spread(scales: [i32; 3]) -> Block {
    std::array::from_fn(|i| match (i / 4 % 2, i % 2) {
        (0, 0) => scales[0],
        (1, 1) => scales[1],
        _ => scales[2],
    })
}

impl Quantiser {
    /// For luma at `qp` (0 to 51).
    pub fn luma(qp: u8) -> Self {
        let qp = usize::from(qp.min(51));
        let (encode, decode) = (spread(ENCODE[qp % 6]), spread(DECODE[qp % 6]));
        Self { encode, decode: decode.map(|v| v << (qp / 6)), shift: 15 + qp as u32 / 6 }
    }

    /// For chroma where luma is at `qp`.
    pub fn chroma(qp: u8) -> Self {
        let qp = qp.min(51);
        Self::luma(if qp < 30 { qp } else { CHROMA[usize::from(qp) - 30] })
    }

    /// Coefficients to levels, rounded down from five sixths: zeros are cheap. Whether any is not
    /// zero.
    #[inline]
    pub fn quantise(&self, block: &mut Block) -> bool {
        let round = (1 << self.shift) / 6;
        let mut any = 0;
        for (c, scale) in block.iter_mut().zip(&self.encode) {
            let level = (c.abs() * scale + round) >> self.shift;
            any |= level;
            *c = if *c < 0 { -level } else { level };
        }
        any != 0
    }

    /// Levels to coefficients.
    #[inline]
    pub fn scale(&self, levels: &Block) -> Block {
        std::array::from_fn(|i| levels[i] * self.decode[i])
    }

    /// The four DC coefficients of a chroma plane to levels.
    #[inline]
    pub fn quantise_dc(&self, dc: [i32; 4]) -> [i32; 4] {
        let round = (2 << self.shift) / 6;
        hadamard(dc).map(|c| {
            let level = (c.abs() * self.encode[0] + round) >> (self.shift + 1);
            if c < 0 { -level } else { level }
        })
    }

    /// And back.
    #[inline]
    pub fn scale_dc(&self, levels: [i32; 4]) -> [i32; 4] {
        hadamard(levels).map(|c| (c * self.decode[0]) >> 1)
    }
}

/// The 2 x 2 transform; its own inverse up to a factor.
fn hadamard([a, b, c, d]: [i32; 4]) -> [i32; 4] {
    [a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d]
}

/// The forward transform.
#[inline]
pub fn forward(x: &Block) -> Block {
    let pass = |a: &Block, along: usize, across: usize| {
        let mut out = [0; 16];
        for i in 0..4 {
            let at = |k: usize| a[i * across + k * along];
            let (s, t) = (at(0) + at(3), at(1) + at(2));
            let (u, v) = (at(0) - at(3), at(1) - at(2));
            for (k, value) in [s + t, 2 * u + v, s - t, u - 2 * v].into_iter().enumerate() {
                out[i * across + k * along] = value;
            }
        }
        out
    };
    pass(&pass(x, 1, 4), 4, 1)
}

/// The inverse transform of scaled coefficients: residuals (clause 8.5.12.2).
#[inline]
pub fn inverse(x: &Block) -> Block {
    let pass = |a: &Block, along: usize, across: usize| {
        let mut out = [0; 16];
        for i in 0..4 {
            let at = |k: usize| a[i * across + k * along];
            let (s, t) = (at(0) + at(2), at(0) - at(2));
            let (u, v) = ((at(1) >> 1) - at(3), at(1) + (at(3) >> 1));
            for (k, value) in [s + v, t + u, t - u, s - v].into_iter().enumerate() {
                out[i * across + k * along] = value;
            }
        }
        out
    };
    pass(&pass(x, 1, 4), 4, 1).map(|v| (v + 32) >> 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_come_back_as_near_as_the_quantiser_is_fine() {
        let mut seed = 7u32;
        for qp in [0u8, 12, 18, 29, 36] {
            // The quantiser's step doubles every six (0.625 at 0); errors of a block of sixteen
            // stay below two steps.
            let step = 0.625 * 2f64.powf(f64::from(qp) / 6.0);
            for _ in 0..200 {
                let residual: Block = std::array::from_fn(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 23) as i32 - 256
                });
                let quantiser = Quantiser::luma(qp);
                let mut levels = forward(&residual);
                quantiser.quantise(&mut levels);
                let back = inverse(&quantiser.scale(&levels));
                let worst = (0..16).map(|i| (back[i] - residual[i]).abs()).max().unwrap();
                assert!(f64::from(worst) <= 2.0 * step + 1.0, "qp {qp}: {worst}");
            }
        }
    }

    #[test]
    fn chroma_means_survive_on_their_own() {
        let quantiser = Quantiser::chroma(18);
        // A flat 4 x 4 block of v has the DC coefficient 16 v, and 64 v is what inverse() divides
        // by 64.
        for v in [-200, -31, 0, 5, 77] {
            let levels = quantiser.quantise_dc([16 * v; 4]);
            let back = quantiser.scale_dc(levels);
            assert!(back.iter().all(|b| ((b + 32) / 64 - v).abs() <= 2), "{v}: {back:?}");
        }
    }
}
