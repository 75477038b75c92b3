//! One palette for a whole film.
//!
//! Colours are counted in a sample of frames spread over the film. The theme's own colours and the
//! commonest colours of the frames (flat bands, type) are kept exactly; the rest, mostly mixtures
//! at anti-aliased edges, is clustered by median cut and k-means in OKLab, where distance is what
//! the eye sees. No dithering: flat areas stay flat and nothing crawls from frame to frame.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use crate::render::color::Color;

/// Index 0 is transparent ("as in the frame before"); colours start at 1.
pub const TRANSPARENT: u8 = 0;

/// Bits a channel of the table for colours that are not exact.
const BITS: u32 = 5;

/// At most 255 colours, and the nearest of them to any colour.
pub struct Palette {
    colors: Vec<Color>,
    exact: HashMap<[u8; 3], u8>,
    nearest: Vec<u8>,
}

/// How often each colour occurs.
#[derive(Default)]
pub struct Histogram {
    counts: BTreeMap<[u8; 3], u64>,
}

impl Histogram {
    /// Counts the pixels of an RGBA picture.
    pub fn add(&mut self, rgba: &[u8]) {
        // Runs of one colour are long: one tree access a run.
        let mut run: Option<([u8; 3], u64)> = None;
        for pixel in rgba.chunks_exact(4) {
            let rgb = [pixel[0], pixel[1], pixel[2]];
            match &mut run {
                Some((color, count)) if *color == rgb => *count += 1,
                _ => {
                    if let Some((color, count)) = run.replace((rgb, 1)) {
                        *self.counts.entry(color).or_default() += count;
                    }
                }
            }
        }
        if let Some((color, count)) = run {
            *self.counts.entry(color).or_default() += count;
        }
    }
}

impl Palette {
    /// The palette for what `histogram` counted, with `keep` in it exactly.
    pub fn new(histogram: &Histogram, keep: impl IntoIterator<Item = Color>) -> Self {
        let mut colors: Vec<Color> = Vec::new();
        let add = |colors: &mut Vec<Color>, [r, g, b]: [u8; 3]| {
            let color = Color { r, g, b, a: 255 };
            if !colors.contains(&color) {
                colors.push(color);
            }
        };
        for color in keep {
            if colors.len() < 64 {
                add(&mut colors, [color.r, color.g, color.b]);
            }
        }
        let total: u64 = histogram.counts.values().sum();
        let mut common: Vec<([u8; 3], u64)> =
            histogram.counts.iter().map(|(c, n)| (*c, *n)).collect();
        // Commonest first; equal counts in the order of the colours, so that this is repeatable.
        common.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        for (color, count) in &common {
            if colors.len() < 120 && *count * 4000 > total {
                add(&mut colors, *color);
            }
        }
        let room = 255 - colors.len();
        let rest: Vec<([f32; 3], f32)> = common
            .iter()
            .filter(|([r, g, b], _)| !colors.contains(&Color { r: *r, g: *g, b: *b, a: 255 }))
            .take(40_000)
            // The square root: a rare colour counts for less than a common one, but it counts.
            .map(|&([r, g, b], n)| (Color { r, g, b, a: 255 }.oklab(), (n as f32).sqrt()))
            .collect();
        if rest.len() <= room {
            common.iter().for_each(|(c, _)| {
                if colors.len() < 255 {
                    add(&mut colors, *c);
                }
            });
        } else {
            let found = clusters(&rest, room, &colors);
            colors.extend(found);
        }
        let exact = colors.iter().enumerate().rev().map(|(i, c)| ([c.r, c.g, c.b], i as u8 + 1));
        let exact = exact.collect();
        let labs: Vec<[f32; 3]> = colors.iter().map(|c| c.oklab()).collect();
        let side = 1u32 << BITS;
        let nearest = (0..side * side * side)
            .into_par_iter()
            .map(|key| {
                // The middle of the cell.
                let channel =
                    |shift: u32| (((key >> shift) % side) << (8 - BITS)) as u8 + (1 << (7 - BITS));
                let cell = Color { r: channel(2 * BITS), g: channel(BITS), b: channel(0), a: 255 };
                closest(&labs, cell.oklab()) as u8 + 1
            })
            .collect();
        Self { colors, exact, nearest }
    }

    /// 256 RGB triples, as a GIF wants them.
    pub fn rgb(&self) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0];
        bytes.extend(self.colors.iter().flat_map(|c| [c.r, c.g, c.b]));
        bytes.resize(3 * 256, 0);
        bytes
    }

    /// The index for a colour: its own where it is in the palette, else a near one's.
    pub fn index(&self, rgb: [u8; 3]) -> u8 {
        if let Some(&index) = self.exact.get(&rgb) {
            return index;
        }
        let [r, g, b] = rgb.map(|c| u32::from(c) >> (8 - BITS));
        self.nearest[((r << (2 * BITS)) | (g << BITS) | b) as usize]
    }

    /// The indices of an RGBA picture.
    pub fn indices(&self, rgba: &[u8]) -> Vec<u8> {
        let mut last = ([0; 3], self.index([0; 3]));
        let index = |pixel: &[u8]| {
            let rgb = [pixel[0], pixel[1], pixel[2]];
            if last.0 != rgb {
                last = (rgb, self.index(rgb));
            }
            last.1
        };
        rgba.chunks_exact(4).map(index).collect()
    }
}

fn distance_sq(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|i| (a[i] - b[i]) * (a[i] - b[i])).sum()
}

fn closest(labs: &[[f32; 3]], lab: [f32; 3]) -> usize {
    let mut best = (f32::INFINITY, 0);
    for (i, &candidate) in labs.iter().enumerate() {
        let distance = distance_sq(candidate, lab);
        if distance < best.0 {
            best = (distance, i);
        }
    }
    best.1
}

/// `k` centres of weighted points: median cut, then some rounds of k-means in which the `fixed`
/// colours take their share but do not move.
fn clusters(points: &[([f32; 3], f32)], k: usize, fixed: &[Color]) -> Vec<Color> {
    let mut boxes: Vec<Vec<([f32; 3], f32)>> = vec![points.to_vec()];
    let spread = |points: &[([f32; 3], f32)], axis: usize| {
        let (low, high) = points.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), p| {
            (a.min(p.0[axis]), b.max(p.0[axis]))
        });
        high - low
    };
    let worth = |points: &[([f32; 3], f32)]| {
        let weight: f32 = points.iter().map(|p| p.1).sum();
        let widest = (0..3).map(|axis| spread(points, axis)).fold(0.0, f32::max);
        if points.len() < 2 { -1.0 } else { widest * widest * weight.sqrt() }
    };
    let mut worths = vec![worth(&boxes[0])];
    while boxes.len() < k {
        let Some(largest) = (0..boxes.len()).max_by(|&a, &b| worths[a].total_cmp(&worths[b]))
        else {
            break;
        };
        if worths[largest] <= 0.0 {
            break;
        }
        let mut points = std::mem::take(&mut boxes[largest]);
        let axis =
            (0..3).max_by(|&a, &b| spread(&points, a).total_cmp(&spread(&points, b))).unwrap_or(0);
        points.sort_by(|a, b| a.0[axis].total_cmp(&b.0[axis]));
        let half: f32 = 0.5 * points.iter().map(|p| p.1).sum::<f32>();
        let mut sum = 0.0;
        let mut cut = points.iter().position(|p| {
            sum += p.1;
            sum >= half
        });
        cut = cut.map(|c| c.clamp(1, points.len() - 1));
        let upper = points.split_off(cut.unwrap_or(points.len() / 2));
        worths[largest] = worth(&points);
        worths.push(worth(&upper));
        boxes[largest] = points;
        boxes.push(upper);
    }
    let mean = |points: &[([f32; 3], f32)]| {
        let weight: f32 = points.iter().map(|p| p.1).sum();
        let sum = |i: usize| points.iter().map(|p| p.0[i] * p.1).sum::<f32>();
        std::array::from_fn(|i| sum(i) / weight.max(f32::MIN_POSITIVE))
    };
    let mut centres: Vec<[f32; 3]> = fixed.iter().map(|c| c.oklab()).collect();
    centres.extend(boxes.iter().filter(|b| !b.is_empty()).map(|b| mean(b)));
    for _ in 0..4 {
        let owners: Vec<usize> = points.par_iter().map(|p| closest(&centres, p.0)).collect();
        let mut groups: Vec<Vec<([f32; 3], f32)>> = vec![Vec::new(); centres.len()];
        points.iter().zip(&owners).for_each(|(p, &owner)| groups[owner].push(*p));
        for (centre, group) in centres.iter_mut().zip(&groups).skip(fixed.len()) {
            if !group.is_empty() {
                *centre = mean(group);
            }
        }
    }
    centres[fixed.len()..].iter().map(|&lab| Color::from_oklab(lab)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_and_common_colours_are_exact_and_the_rest_is_near() {
        let mut rgba = Vec::new();
        for i in 0..60_000u32 {
            // Half of the picture one colour, the rest a wash of thousands.
            let rgb =
                if i % 2 == 0 { [200, 30, 40] } else { [(i % 251) as u8, (i / 239) as u8, 90] };
            rgba.extend([rgb[0], rgb[1], rgb[2], 255]);
        }
        let mut histogram = Histogram::default();
        histogram.add(&rgba);
        let kept = Color::hex(0x123456);
        let palette = Palette::new(&histogram, [kept]);
        let rgb = palette.rgb();
        let back = |c: [u8; 3]| {
            let i = 3 * usize::from(palette.index(c));
            [rgb[i], rgb[i + 1], rgb[i + 2]]
        };
        assert_eq!(back([0x12, 0x34, 0x56]), [0x12, 0x34, 0x56]);
        assert_eq!(back([200, 30, 40]), [200, 30, 40]);
        // 250 colours for a plane of 250 x 250 values: cells of about 16 levels; twice that is the
        // bound, for the corners of cells and the coarse table.
        for probe in [[17, 200, 90], [250, 3, 90], [120, 120, 90]] {
            let error = back(probe).iter().zip(probe).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            assert!(error <= 32, "{probe:?} became {:?}", back(probe));
        }
        assert!(palette.indices(&rgba).iter().all(|&i| i != TRANSPARENT));
    }

    #[test]
    fn few_colours_are_all_exact() {
        let rgba: Vec<u8> = (0..200u8).flat_map(|i| [i, 255 - i, 7, 255]).collect();
        let mut histogram = Histogram::default();
        histogram.add(&rgba);
        let palette = Palette::new(&histogram, []);
        let rgb = palette.rgb();
        for pixel in rgba.chunks_exact(4) {
            let i = 3 * usize::from(palette.index([pixel[0], pixel[1], pixel[2]]));
            assert_eq!(rgb[i..i + 3], pixel[..3]);
        }
    }
}
