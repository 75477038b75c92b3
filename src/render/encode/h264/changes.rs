//! Pictures as changes to the picture before: macroblocks that stay are skipped, the others are
//! predicted from their own place and corrected (P slices, 16 x 16, vector zero, CAVLC, no
//! deblocking).
//!
//! In a film of which most stands still this needs neither a search for motion nor a look at what
//! stays: time and bytes go with the changed part. The key frame that everything starts from is
//! openh264's; what a decoder makes of it, deblocked, is the first reference.

use super::bits::{BitReader, BitWriter, put_nal};
use super::cavlc::{Kind, put_block};
use super::transform::{Block, Quantiser, ZIGZAG, forward, inverse};
use crate::error::{Error, Result};
use crate::render::encode::yuv::Yuv;

/// `coded_block_pattern` of inter macroblocks to its code number (table 9-4): luma's four bits, then
/// 16 times chroma's 0 to 2.
const PATTERNS: [u8; 48] = [
    0, 2, 3, 7, 4, 8, 17, 13, 5, 18, 9, 14, 10, 15, 16, 11, 1, 32, 33, 36, 34, 37, 44, 40, 35, 45,
    38, 41, 39, 42, 43, 19, 6, 24, 25, 20, 26, 21, 46, 28, 27, 47, 22, 29, 23, 30, 31, 12,
];

/// The id of the picture parameter set that our slices refer to; openh264's own is 0.
const PPS_ID: u32 = 1;

/// What of the sequence parameter set a slice header depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sequence {
    id: u32,
    frame_num_bits: u32,
    /// `None` where output order is decoding order.
    order_bits: Option<u32>,
}

impl Sequence {
    fn of(sps: &[u8]) -> Result<Self> {
        let mut bits = BitReader::of_nal(sps);
        let profile = bits.take(8);
        bits.take(16);
        let id = bits.ue();
        if matches!(profile, 100 | 110 | 122 | 244) {
            // Chroma format, bit depths, bypass, scaling matrices: 4:2:0 of 8 bits, flat.
            let plain = [bits.ue(), bits.ue(), bits.ue(), bits.take(1), bits.take(1)];
            if plain != [1, 0, 0, 0, 0] {
                return Err(foreign());
            }
        }
        let frame_num_bits = bits.ue() + 4;
        let order_bits = match bits.ue() {
            0 => Some(bits.ue() + 4),
            2 => None,
            _ => return Err(foreign()),
        };
        Ok(Self { id, frame_num_bits, order_bits })
    }
}

fn foreign() -> Error {
    Error::Render {
        what: "the H.264 encoder describes its pictures in an unknown way".into(),
        remedy: "report this with the command that was run".into(),
    }
}

/// One plane of the picture that a decoder has, padded to whole macroblocks.
#[derive(Debug, Clone)]
struct Plane {
    samples: Vec<u8>,
    stride: usize,
    /// Coefficients of each 4 x 4 block in the picture being written.
    counts: Vec<u8>,
}

impl Plane {
    /// From `width` x `height` samples, `blocks` 4 x 4 blocks of it a macroblock's side.
    fn new(
        source: &[u8],
        stride: usize,
        [width, height]: [usize; 2],
        mbs: [usize; 2],
        blocks: usize,
    ) -> Self {
        let (across, down) = (4 * blocks * mbs[0], 4 * blocks * mbs[1]);
        let mut samples = vec![128; across * down];
        for (to, from) in samples.chunks_exact_mut(across).zip(source.chunks(stride)).take(height) {
            to[..width].copy_from_slice(&from[..width]);
        }
        Self { samples, stride: across, counts: vec![0; across * down / 16] }
    }

    /// The mean number of coefficients to the left of and above the block at `(x, y)`.
    fn around(&self, x: usize, y: usize) -> u8 {
        let across = self.stride / 4;
        let left = (x > 0).then(|| self.counts[y * across + x - 1]);
        let above = (y > 0).then(|| self.counts[(y - 1) * across + x]);
        match (left, above) {
            (Some(a), Some(b)) => (a + b + 1) >> 1,
            (a, b) => a.or(b).unwrap_or(0),
        }
    }

    /// The difference of `source` (`width` x `height`) to the block at `(x, y)`, transformed; beyond
    /// the picture's edge there is none.
    #[inline]
    fn residual(&self, source: &[u8], [width, height]: [usize; 2], x: usize, y: usize) -> Block {
        let mut block = [0; 16];
        let (left, top) = (4 * x, 4 * y);
        for row in 0..4.min(height.saturating_sub(top)) {
            let known = &self.samples[(top + row) * self.stride + left..][..4];
            let from = (top + row) * width;
            let wanted = &source[from + left.min(width)..from + (left + 4).min(width)];
            for (i, (s, k)) in wanted.iter().zip(known).enumerate() {
                block[4 * row + i] = i32::from(*s) - i32::from(*k);
            }
        }
        forward(&block)
    }

    /// Adds to the block at `(x, y)` what a decoder will add.
    #[inline]
    fn correct(&mut self, coefficients: &Block, x: usize, y: usize) {
        let change = inverse(coefficients);
        for row in 0..4 {
            let known = &mut self.samples[(4 * y + row) * self.stride + 4 * x..][..4];
            for (sample, change) in known.iter_mut().zip(&change[4 * row..]) {
                *sample = (i32::from(*sample) + change).clamp(0, 255) as u8;
            }
        }
    }

    fn set_count(&mut self, x: usize, y: usize, count: u8) {
        let across = self.stride / 4;
        self.counts[y * across + x] = count;
    }
}

/// Writes the pictures between two key frames.
pub struct Changes {
    sequence: Sequence,
    mbs: [usize; 2],
    qp: u8,
    luma: Quantiser,
    chroma: Quantiser,
    /// What a decoder shows: Y, Cb, Cr.
    shown: [Plane; 3],
    before: Yuv,
    /// Pictures since the key frame.
    number: u32,
}

impl Changes {
    /// After a key frame of the picture `key`, of which a decoder has made `decoded` (planes with
    /// their strides), in a sequence described by `sps`; corrections are quantised by `qp`.
    ///
    /// Errors: [`Error::Render`] on a sequence that these slices cannot be part of.
    pub fn new(sps: &[u8], key: Yuv, decoded: [(&[u8], usize); 3], qp: u8) -> Result<Self> {
        let mbs = [key.width.div_ceil(16), key.height.div_ceil(16)];
        let size = [key.width, key.height];
        let half = size.map(|n| n / 2);
        let [y, u, v] = decoded;
        Ok(Self {
            sequence: Sequence::of(sps)?,
            mbs,
            qp,
            luma: Quantiser::luma(qp),
            chroma: Quantiser::chroma(qp),
            shown: [
                Plane::new(y.0, y.1, size, mbs, 4),
                Plane::new(u.0, u.1, half, mbs, 2),
                Plane::new(v.0, v.1, half, mbs, 2),
            ],
            before: key,
            number: 0,
        })
    }

    /// The picture parameter set of these slices, as a byte stream: CAVLC, no deblocking unless a
    /// slice says otherwise.
    pub fn parameter_set(sps: &[u8]) -> Result<Vec<u8>> {
        let mut bits = BitWriter::default();
        bits.ue(PPS_ID);
        bits.ue(Sequence::of(sps)?.id);
        bits.put(0, 1); // CAVLC
        bits.put(0, 1); // no order of fields
        bits.ue(0); // one slice group
        bits.ue(0); // one reference
        bits.ue(0);
        bits.put(0, 3); // no weights
        bits.se(0); // quantisers: 26, and chroma as luma
        bits.se(0);
        bits.se(0);
        bits.put(1, 1); // slices say how they are deblocked
        bits.put(0, 1);
        bits.put(0, 1);
        let mut stream = Vec::new();
        put_nal(&mut stream, 0x68, &bits.finish());
        Ok(stream)
    }

    /// Appends the slice that turns the picture before into `picture` to a byte stream.
    pub fn put(&mut self, picture: Yuv, stream: &mut Vec<u8>) {
        self.number += 1;
        let mut bits = BitWriter::default();
        self.put_header(&mut bits);
        for plane in &mut self.shown {
            plane.counts.fill(0);
        }
        let mut skipped = 0;
        let mut changed = vec![false; self.mbs[0]];
        for my in 0..self.mbs[1] {
            mark_changed(&self.before, &picture, my, &mut changed);
            for (mx, changed) in changed.iter().enumerate() {
                if !changed || !self.put_macroblock(&mut bits, &picture, [mx, my], skipped) {
                    skipped += 1;
                } else {
                    skipped = 0;
                }
            }
        }
        if skipped > 0 {
            bits.ue(skipped);
        }
        put_nal(stream, 0x61, &bits.finish());
        self.before = picture;
    }

    fn put_header(&self, bits: &mut BitWriter) {
        let Sequence { frame_num_bits, order_bits, .. } = self.sequence;
        let low = |value: u32, bits: u32| value & ((1u32 << bits) - 1);
        bits.ue(0); // from the first macroblock on
        bits.ue(5); // all slices of the picture are P
        bits.ue(PPS_ID);
        bits.put(low(self.number, frame_num_bits), frame_num_bits);
        if let Some(count) = order_bits {
            bits.put(low(2 * self.number, count), count);
        }
        bits.put(0, 3); // references: as many as usual, in the usual order, marked as usual
        bits.se(i32::from(self.qp) - 26);
        bits.ue(1); // not deblocked
    }

    /// Writes one macroblock, `skipped` ones before it, unless nothing of it is worth writing:
    /// whether it did.
    fn put_macroblock(
        &mut self,
        bits: &mut BitWriter,
        picture: &Yuv,
        [mx, my]: [usize; 2],
        skipped: u32,
    ) -> bool {
        let size = [picture.width, picture.height];
        let half = size.map(|n| n / 2);
        // Luma, in the order of writing: quarter by quarter.
        let place = |k: usize| (4 * mx + k % 2 + k / 4 % 2 * 2, 4 * my + k / 2 % 2 + k / 8 * 2);
        let mut luma = [[0; 16]; 16];
        let mut pattern = 0;
        for (k, block) in luma.iter_mut().enumerate() {
            let (x, y) = place(k);
            *block = self.shown[0].residual(&picture.y, size, x, y);
            if self.luma.quantise(block) {
                pattern |= 1 << (k / 4);
            }
        }
        let mut dc = [[0; 4]; 2];
        let mut chroma = [[[0; 16]; 4]; 2];
        let (mut any_dc, mut any_ac) = (false, false);
        for (c, source) in [&picture.u, &picture.v].into_iter().enumerate() {
            let mut means = [0; 4];
            for (k, block) in chroma[c].iter_mut().enumerate() {
                let (x, y) = (2 * mx + k % 2, 2 * my + k / 2);
                *block = self.shown[1 + c].residual(source, half, x, y);
                means[k] = std::mem::take(&mut block[0]);
                any_ac |= self.chroma.quantise(block);
            }
            dc[c] = self.chroma.quantise_dc(means);
            any_dc |= dc[c] != [0; 4];
        }
        let chroma_pattern = if any_ac { 2 } else { usize::from(any_dc) };
        let pattern = pattern | chroma_pattern << 4;
        if pattern == 0 {
            return false;
        }
        bits.ue(skipped);
        bits.ue(0); // 16 x 16, from the picture before
        bits.ue(0); // vectors as predicted: zero, as all are
        bits.ue(0);
        bits.ue(u32::from(PATTERNS[pattern]));
        bits.ue(0); // the slice's quantiser
        let scan = |block: &Block| -> Block { std::array::from_fn(|i| block[ZIGZAG[i]]) };
        for (k, block) in luma.iter().enumerate().filter(|(k, _)| pattern >> (k / 4) & 1 == 1) {
            let (x, y) = place(k);
            let kind = Kind::Plain(self.shown[0].around(x, y));
            let count = put_block(bits, &scan(block), kind);
            self.shown[0].set_count(x, y, count);
            if count > 0 {
                self.shown[0].correct(&self.luma.scale(block), x, y);
            }
        }
        if chroma_pattern == 0 {
            return true;
        }
        for levels in &dc {
            put_block(bits, levels, Kind::ChromaDc);
        }
        for c in 0..2 {
            let means = self.chroma.scale_dc(dc[c]);
            for (k, block) in chroma[c].iter().enumerate() {
                let (x, y) = (2 * mx + k % 2, 2 * my + k / 2);
                let plane = &mut self.shown[1 + c];
                if chroma_pattern == 2 {
                    let kind = Kind::Plain(plane.around(x, y));
                    let count = put_block(bits, &scan(block)[1..], kind);
                    plane.set_count(x, y, count);
                }
                let mut coefficients = self.chroma.scale(block);
                coefficients[0] = means[k];
                if coefficients != [0; 16] {
                    plane.correct(&coefficients, x, y);
                }
            }
        }
        true
    }
}

/// Sets which macroblocks of row `my` differ.
fn mark_changed(a: &Yuv, b: &Yuv, my: usize, changed: &mut [bool]) {
    changed.fill(false);
    let mut mark = |p: &[u8], q: &[u8], side: usize, width: usize| {
        let rows = side * my * width..(side * (my + 1) * width).min(p.len());
        for (p, q) in p[rows.clone()].chunks_exact(width).zip(q[rows].chunks_exact(width)) {
            // Most rows are the same from end to end.
            if p != q {
                let pairs = p.chunks(side).zip(q.chunks(side));
                pairs.zip(changed.iter_mut()).for_each(|((p, q), changed)| *changed |= p != q);
            }
        }
    };
    mark(&a.y, &b.y, 16, a.width);
    mark(&a.u, &b.u, 8, a.width / 2);
    mark(&a.v, &b.v, 8, a.width / 2);
}
