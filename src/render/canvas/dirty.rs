//! Which pixels of a picture have been drawn on, in runs of sixteen: what an encoder has to look
//! at, and what has to be put back before the next frame. Never too few, often a few too many.

use crate::render::canvas::Rect;

/// Pixels that a mark covers.
const RUN: usize = 16;

/// Marks on a picture, a bit for each run of a row.
#[derive(Clone)]
pub struct Dirty {
    width: usize,
    height: usize,
    words: usize,
    bits: Vec<u64>,
}

impl Dirty {
    /// No marks on a picture of `width` x `height` pixels.
    pub fn new(width: usize, height: usize) -> Self {
        let words = width.div_ceil(64 * RUN);
        Self { width, height, words, bits: vec![0; words * height] }
    }

    /// Marks what lies in `rect` or touches it.
    pub fn mark(&mut self, rect: Rect) {
        // Not a number ends at zero and marks the first run: rather too much.
        let clamp = |v: f32, most: usize| (v.max(0.0) as usize).min(most);
        let (top, bottom) = (clamp(rect.y, self.height), clamp(rect.bottom() + 1.0, self.height));
        let (left, right) = (clamp(rect.x, self.width), clamp(rect.right() + 1.0, self.width));
        if left >= right {
            return;
        }
        for run in left / RUN..=(right - 1) / RUN {
            let bit = 1u64 << (run % 64);
            (top..bottom).for_each(|y| self.bits[y * self.words + run / 64] |= bit);
        }
    }

    /// Marks everything.
    pub fn mark_all(&mut self) {
        self.mark(Rect::new(0.0, 0.0, self.width as f32, self.height as f32));
    }

    /// Takes all marks away.
    pub fn clear(&mut self) {
        self.bits.fill(0);
    }

    /// The marked stretches of `rows`, where any of these rows has them: first pixel and end.
    pub fn stretches(&self, rows: std::ops::Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        let marked = move |run: usize| {
            rows.clone().any(|y| self.bits[y * self.words + run / 64] >> (run % 64) & 1 == 1)
        };
        let runs = self.width.div_ceil(RUN);
        let mut run = 0;
        std::iter::from_fn(move || {
            while run < runs && !marked(run) {
                run += 1;
            }
            let first = run;
            while run < runs && marked(run) {
                run += 1;
            }
            (first < run).then(|| (first * RUN, (run * RUN).min(self.width)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_covers_its_rectangle_and_little_more() {
        let mut dirty = Dirty::new(1300, 20);
        dirty.mark(Rect::new(1020.5, 3.0, 40.0, 2.0));
        dirty.mark(Rect::new(-50.0, 4.5, 51.0, 0.1));
        dirty.mark(Rect::new(1295.0, 4.0, 900.0, 900.0));
        dirty.mark(Rect::new(5.0, 100.0, 9.0, 9.0));
        let row = |y: usize| dirty.stretches(y..y + 1).collect::<Vec<_>>();
        assert_eq!(row(2), []);
        assert_eq!(row(3), [(1008, 1072)]);
        assert_eq!(row(4), [(0, 16), (1008, 1072), (1280, 1300)]);
        assert_eq!(row(19), [(1280, 1300)]);
        assert_eq!(dirty.stretches(2..5).count(), 3);
        dirty.clear();
        assert_eq!(dirty.stretches(0..20).count(), 0);
        dirty.mark_all();
        assert_eq!(dirty.stretches(7..8).collect::<Vec<_>>(), [(0, 1300)]);
    }
}
