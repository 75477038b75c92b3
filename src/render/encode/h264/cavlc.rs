//! Coefficients to bits: context-adaptive variable-length codes (clause 9.2).

use super::bits::BitWriter;

/// Bits, right-aligned, and how many they are.
type Code = (u8, u8);

/// `coeff_token` (table 9-5) as bits and their number, by total and trailing ones, for nC from 0, from
/// 2 and from 4 on; from 8 on it is a number of six bits.
const TOKENS: [[[Code; 4]; 17]; 3] = [
    [
        [(1, 1), (0, 0), (0, 0), (0, 0)],
        [(5, 6), (1, 2), (0, 0), (0, 0)],
        [(7, 8), (4, 6), (1, 3), (0, 0)],
        [(7, 9), (6, 8), (5, 7), (3, 5)],
        [(7, 10), (6, 9), (5, 8), (3, 6)],
        [(7, 11), (6, 10), (5, 9), (4, 7)],
        [(15, 13), (6, 11), (5, 10), (4, 8)],
        [(11, 13), (14, 13), (5, 11), (4, 9)],
        [(8, 13), (10, 13), (13, 13), (4, 10)],
        [(15, 14), (14, 14), (9, 13), (4, 11)],
        [(11, 14), (10, 14), (13, 14), (12, 13)],
        [(15, 15), (14, 15), (9, 14), (12, 14)],
        [(11, 15), (10, 15), (13, 15), (8, 14)],
        [(15, 16), (1, 15), (9, 15), (12, 15)],
        [(11, 16), (14, 16), (13, 16), (8, 15)],
        [(7, 16), (10, 16), (9, 16), (12, 16)],
        [(4, 16), (6, 16), (5, 16), (8, 16)],
    ],
    [
        [(3, 2), (0, 0), (0, 0), (0, 0)],
        [(11, 6), (2, 2), (0, 0), (0, 0)],
        [(7, 6), (7, 5), (3, 3), (0, 0)],
        [(7, 7), (10, 6), (9, 6), (5, 4)],
        [(7, 8), (6, 6), (5, 6), (4, 4)],
        [(4, 8), (6, 7), (5, 7), (6, 5)],
        [(7, 9), (6, 8), (5, 8), (8, 6)],
        [(15, 11), (6, 9), (5, 9), (4, 6)],
        [(11, 11), (14, 11), (13, 11), (4, 7)],
        [(15, 12), (10, 11), (9, 11), (4, 9)],
        [(11, 12), (14, 12), (13, 12), (12, 11)],
        [(8, 12), (10, 12), (9, 12), (8, 11)],
        [(15, 13), (14, 13), (13, 13), (12, 12)],
        [(11, 13), (10, 13), (9, 13), (12, 13)],
        [(7, 13), (11, 14), (6, 13), (8, 13)],
        [(9, 14), (8, 14), (10, 14), (1, 13)],
        [(7, 14), (6, 14), (5, 14), (4, 14)],
    ],
    [
        [(15, 4), (0, 0), (0, 0), (0, 0)],
        [(15, 6), (14, 4), (0, 0), (0, 0)],
        [(11, 6), (15, 5), (13, 4), (0, 0)],
        [(8, 6), (12, 5), (14, 5), (12, 4)],
        [(15, 7), (10, 5), (11, 5), (11, 4)],
        [(11, 7), (8, 5), (9, 5), (10, 4)],
        [(9, 7), (14, 6), (13, 6), (9, 4)],
        [(8, 7), (10, 6), (9, 6), (8, 4)],
        [(15, 8), (14, 7), (13, 7), (13, 5)],
        [(11, 8), (14, 8), (10, 7), (12, 6)],
        [(15, 9), (10, 8), (13, 8), (12, 7)],
        [(11, 9), (14, 9), (9, 8), (12, 8)],
        [(8, 9), (10, 9), (13, 9), (8, 8)],
        [(13, 10), (7, 9), (9, 9), (12, 9)],
        [(9, 10), (12, 10), (11, 10), (10, 10)],
        [(5, 10), (8, 10), (7, 10), (6, 10)],
        [(1, 10), (4, 10), (3, 10), (2, 10)],
    ],
];

/// `coeff_token` of chroma's DC.
const TOKENS_DC: [[Code; 4]; 5] = [
    [(1, 2), (0, 0), (0, 0), (0, 0)],
    [(7, 6), (1, 1), (0, 0), (0, 0)],
    [(4, 6), (6, 6), (1, 3), (0, 0)],
    [(3, 6), (3, 7), (2, 7), (5, 6)],
    [(2, 6), (3, 8), (2, 8), (0, 7)],
];

/// `total_zeros` by the number of coefficients, from 1 (tables 9-7 and 9-8).
const ZEROS: [&[Code]; 15] = [
    &[
        (1, 1),
        (3, 3),
        (2, 3),
        (3, 4),
        (2, 4),
        (3, 5),
        (2, 5),
        (3, 6),
        (2, 6),
        (3, 7),
        (2, 7),
        (3, 8),
        (2, 8),
        (3, 9),
        (2, 9),
        (1, 9),
    ],
    &[
        (7, 3),
        (6, 3),
        (5, 3),
        (4, 3),
        (3, 3),
        (5, 4),
        (4, 4),
        (3, 4),
        (2, 4),
        (3, 5),
        (2, 5),
        (3, 6),
        (2, 6),
        (1, 6),
        (0, 6),
    ],
    &[
        (5, 4),
        (7, 3),
        (6, 3),
        (5, 3),
        (4, 4),
        (3, 4),
        (4, 3),
        (3, 3),
        (2, 4),
        (3, 5),
        (2, 5),
        (1, 6),
        (1, 5),
        (0, 6),
    ],
    &[
        (3, 5),
        (7, 3),
        (5, 4),
        (4, 4),
        (6, 3),
        (5, 3),
        (4, 3),
        (3, 4),
        (3, 3),
        (2, 4),
        (2, 5),
        (1, 5),
        (0, 5),
    ],
    &[
        (5, 4),
        (4, 4),
        (3, 4),
        (7, 3),
        (6, 3),
        (5, 3),
        (4, 3),
        (3, 3),
        (2, 4),
        (1, 5),
        (1, 4),
        (0, 5),
    ],
    &[(1, 6), (1, 5), (7, 3), (6, 3), (5, 3), (4, 3), (3, 3), (2, 3), (1, 4), (1, 3), (0, 6)],
    &[(1, 6), (1, 5), (5, 3), (4, 3), (3, 3), (3, 2), (2, 3), (1, 4), (1, 3), (0, 6)],
    &[(1, 6), (1, 4), (1, 5), (3, 3), (3, 2), (2, 2), (2, 3), (1, 3), (0, 6)],
    &[(1, 6), (0, 6), (1, 4), (3, 2), (2, 2), (1, 3), (1, 2), (1, 5)],
    &[(1, 5), (0, 5), (1, 3), (3, 2), (2, 2), (1, 2), (1, 4)],
    &[(0, 4), (1, 4), (1, 3), (2, 3), (1, 1), (3, 3)],
    &[(0, 4), (1, 4), (1, 2), (1, 1), (1, 3)],
    &[(0, 3), (1, 3), (1, 1), (1, 2)],
    &[(0, 2), (1, 2), (1, 1)],
    &[(0, 1), (1, 1)],
];

/// `total_zeros` of chroma's DC (table 9-9a).
const ZEROS_DC: [&[Code]; 3] =
    [&[(1, 1), (1, 2), (1, 3), (0, 3)], &[(1, 1), (1, 2), (0, 2)], &[(1, 1), (0, 1)]];

/// `run_before` by the zeros left, from 1; 7 stands for more, too (table 9-10).
const RUNS: [&[Code]; 7] = [
    &[(1, 1), (0, 1)],
    &[(1, 1), (1, 2), (0, 2)],
    &[(3, 2), (2, 2), (1, 2), (0, 2)],
    &[(3, 2), (2, 2), (1, 2), (1, 3), (0, 3)],
    &[(3, 2), (2, 2), (3, 3), (2, 3), (1, 3), (0, 3)],
    &[(3, 2), (0, 3), (1, 3), (3, 3), (2, 3), (5, 3), (4, 3)],
    &[
        (7, 3),
        (6, 3),
        (5, 3),
        (4, 3),
        (3, 3),
        (2, 3),
        (1, 3),
        (1, 4),
        (1, 5),
        (1, 6),
        (1, 7),
        (1, 8),
        (1, 9),
        (1, 10),
        (1, 11),
    ],
];

/// What a block of levels is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Luma, or chroma without its DC, with the mean number of coefficients of the blocks to the
    /// left and above (`nC`).
    Plain(u8),
    /// The four DC coefficients of a chroma plane.
    ChromaDc,
}

/// Writes `levels` (lowest frequency first; as many as the block has places) and returns how many
/// are not zero.
pub fn put_block(bits: &mut BitWriter, levels: &[i32], kind: Kind) -> u8 {
    // Highest frequency first: each level with the zeros before it.
    let mut found = [(0i32, 0usize); 16];
    let (mut total, mut zeros, mut run) = (0, 0, 0);
    for &level in levels {
        if level == 0 {
            run += 1;
        } else {
            found[total] = (level, run);
            (total, zeros, run) = (total + 1, zeros + run, 0);
        }
    }
    let found = &mut found[..total];
    found.reverse();
    let ones = found.iter().take(3).take_while(|(level, _)| level.abs() == 1).count();
    let (code, length) = match kind {
        Kind::ChromaDc => TOKENS_DC[total][ones],
        Kind::Plain(8..) if total == 0 => (3, 6),
        Kind::Plain(8..) => (((total - 1) << 2 | ones) as u8, 6),
        Kind::Plain(around) => TOKENS[[0, 0, 1, 1, 2, 2, 2, 2][usize::from(around)]][total][ones],
    };
    bits.put(u32::from(code), u32::from(length));
    if total == 0 {
        return 0;
    }
    for (level, _) in &found[..ones] {
        bits.put(u32::from(*level < 0), 1);
    }
    put_levels(bits, &found[ones..], total, ones);
    if total < levels.len() {
        let table = if kind == Kind::ChromaDc { ZEROS_DC[total - 1] } else { ZEROS[total - 1] };
        let (code, length) = table[zeros];
        bits.put(u32::from(code), u32::from(length));
    }
    for (_, run) in &found[..total - 1] {
        if zeros == 0 {
            break;
        }
        let (code, length) = RUNS[zeros.min(7) - 1][*run];
        bits.put(u32::from(code), u32::from(length));
        zeros -= run;
    }
    total as u8
}

/// The levels after the trailing ones (clause 9.2.2.1 the other way round).
fn put_levels(bits: &mut BitWriter, levels: &[(i32, usize)], total: usize, ones: usize) {
    let mut suffix = u32::from(total > 10 && ones < 3);
    for (i, &(level, _)) in levels.iter().enumerate() {
        let mut code = 2 * level.unsigned_abs() - if level > 0 { 2 } else { 1 };
        // After fewer than three trailing ones the first of them cannot be a one.
        code -= if i == 0 && ones < 3 { 2 } else { 0 };
        let prefix = code >> suffix;
        if suffix == 0 && (14..30).contains(&code) {
            bits.put(1, 15);
            bits.put(code - 14, 4);
        } else if prefix < 15 - u32::from(suffix == 0) {
            bits.put(1, prefix + 1);
            bits.put(code & ((1 << suffix) - 1), suffix);
        } else {
            // An escape. Levels of 8-bit video fit its twelve bits at any quantiser from 4 on.
            let above = code - (15 << suffix) - if suffix == 0 { 15 } else { 0 };
            debug_assert!(above < 4096, "level {level}");
            bits.put(1, 16);
            bits.put(above.min(4095), 12);
        }
        suffix = suffix.max(1);
        if level.abs() > 3 << (suffix - 1) && suffix < 6 {
            suffix += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_each_table_are_a_prefix_code() {
        let check = |codes: Vec<Code>| {
            let known: Vec<Code> = codes.into_iter().filter(|c| c.1 > 0).collect();
            for (i, a) in known.iter().enumerate() {
                for b in &known[i + 1..] {
                    let length = a.1.min(b.1);
                    let start = |c: &Code| u32::from(c.0) >> (c.1 - length);
                    assert_ne!(start(a), start(b), "{a:?} and {b:?}");
                }
            }
        };
        TOKENS.iter().for_each(|t| check(t.concat()));
        check(TOKENS_DC.concat());
        ZEROS.iter().chain(&ZEROS_DC).chain(&RUNS).for_each(|t| check(t.to_vec()));
        for (i, zeros) in ZEROS.iter().enumerate() {
            assert_eq!(zeros.len(), 16 - i, "zeros beside {} coefficients", i + 1);
        }
    }

    #[test]
    fn the_standards_example_comes_out_bit_by_bit() {
        // Richardson, "The H.264 Advanced Video Compression Standard", 7.4.2, example 1: the block
        // 0 3 -1 0 / 0 -1 1 0 / 1 0 0 0 / 0 0 0 0 in zigzag order, nC = 0.
        let levels = [0, 3, 0, 1, -1, -1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut bits = BitWriter::default();
        assert_eq!(put_block(&mut bits, &levels, Kind::Plain(0)), 5);
        let mut want = BitWriter::default();
        for bit in "000010001110010111101101".chars() {
            want.put(u32::from(bit == '1'), 1);
        }
        assert_eq!(bits.finish(), want.finish());
    }
}
