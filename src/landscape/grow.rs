//! A surface over more images, without evaluating the old ones again: each cell is evaluated on the images that
//! come to the sample, the same ones at each cell, and the means and errors of both parts are put together.
//!
//! While that goes on, the cells that are done are in the folder `next`, a surface over all images; when it is
//! whole it takes the old one's place at once.

use std::sync::atomic::AtomicBool;

use super::evaluate::{AtCells, fill};
use super::header::{Cell, Header};
use super::moments::Moments;
use super::{SurfaceStore, theta_at};
use crate::objective::{BySample, Objective};
use crate::{Error, Result};

/// How many images each cell of the unfinished surface beside that in `store` has; `None` where there is none.
///
/// # Errors
/// [`Error::BadFile`] for one that is damaged.
pub fn begun(store: &SurfaceStore) -> Result<Option<usize>> {
    match SurfaceStore::open(&store.folder().join("next")) {
        Ok(next) => {
            let samples = next.header.on.samples;
            let same = next.header.has_the_values_of(&with_samples(&store.header, samples));
            Ok(same.then_some(samples))
        }
        Err(Error::NoSurface { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_samples(header: &Header, samples: usize) -> Header {
    let mut header = header.clone();
    header.on.samples = samples;
    header
}

/// Evaluates all evaluated cells of `store`, whose sample is that of `before`, on the images of `added` as well. What is
/// done is kept; an interrupted call goes on where it was left, if it is called with the same images.
///
/// # Errors
/// [`Error::Landscape`] for losses that are not known sample by sample; [`Error::Interrupted`]; those of the
/// objectives and of the disk.
pub fn grow(
    store: &mut SurfaceStore,
    vectors: [&[f32]; 3],
    (before, added, samples): (&dyn Objective, &dyn Objective, usize),
    interrupt: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<()> {
    let (Some(old), Some(new)) = (before.by_sample(), added.by_sample()) else {
        return Err(Error::Landscape {
            what: "the loss of each image alone is not known, so that none can be added".into(),
            remedy: "evaluate a new surface on more images".into(),
        });
    };
    let header = with_samples(&store.header, samples);
    let folder = store.folder().join("next");
    let replace = begun(store)? != Some(samples);
    let mut next = SurfaceStore::begin(&folder, header.clone(), replace)?;
    let parts = Parts::new(store, vectors, old, new)?;
    // What is not evaluated on the old images is not on the new ones.
    let known = |k: &usize| store.cells[*k].is_some();
    let total = store.cells.iter().flatten().count();
    let missing: Vec<usize> = next.not_evaluated().into_iter().filter(known).collect();
    let count = (total - missing.len(), total);
    progress(count.0, total);
    fill(&mut next, &missing, count, &|k| parts.cell(k), interrupt, progress, &|| false)?;
    let cells = std::mem::take(&mut next.cells);
    // The folder goes with its lock.
    drop(next);
    drop(parts);
    store.become_another(header, cells)
}

/// The old part of a sample and the new one.
struct Parts<'a> {
    cells: Vec<Option<Cell>>,
    samples: usize,
    /// To evaluate cells of the old sample that have no paired error.
    before: AtCells<'a>,
    added: &'a dyn BySample,
    vectors: [&'a [f32]; 3],
    grid: super::Grid,
    /// The mean loss of the old sample at the plane's origin, and the losses of the new one there.
    at_origin: (f64, Vec<f64>),
}

impl<'a> Parts<'a> {
    fn new(
        store: &SurfaceStore,
        vectors: [&'a [f32]; 3],
        before: &'a dyn BySample,
        added: &'a dyn BySample,
    ) -> Result<Self> {
        let at_origin = (before.loss(vectors[0])?.loss, added.loss_by_sample(vectors[0])?.1);
        Ok(Self {
            cells: store.cells.clone(),
            samples: store.header.on.samples,
            before: AtCells::new(store.header.grid, vectors, before)?,
            added,
            vectors,
            grid: store.header.grid,
            at_origin,
        })
    }

    fn cell(&self, k: usize) -> Result<Cell> {
        // A surface of an earlier version has no paired errors: there they are made up for.
        let old = match self.cells[k] {
            Some(cell) if !(cell.loss.is_finite() && cell.difference_se.is_nan()) => cell,
            _ => self.before.cell(k)?,
        };
        let [origin, x, y] = self.vectors;
        let theta = theta_at(origin, x, y, self.grid.point(k));
        let (value, losses) = self.added.loss_by_sample(&theta)?;
        let n = self.samples;
        let loss =
            Moments::with_se(n, old.loss, old.loss_se).and(Moments::of(losses.iter().copied()));
        let (mean, at_origin) = &self.at_origin;
        let difference = Moments::with_se(n, old.loss - mean, old.difference_se)
            .and(Moments::of_differences(&losses, at_origin));
        Ok(Cell {
            k,
            loss: loss.mean(),
            loss_se: if loss.mean().is_finite() { loss.se() } else { f64::NAN },
            difference_se: difference.se(),
            correct: old.correct + value.correct,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::UntilSe;
    use super::super::evaluate;
    use super::super::evaluate::tests::{PLANE, header};
    use super::*;
    use crate::objective::Evaluation;

    /// Sample i of a loss: (1 + i mod 5) x² + y² + c_i, some samples of it; how often they are evaluated.
    struct Bowls(std::ops::Range<usize>, AtomicUsize);

    impl Bowls {
        fn of(samples: std::ops::Range<usize>) -> Self {
            Self(samples, AtomicUsize::new(0))
        }
    }

    impl Objective for Bowls {
        fn dim(&self) -> usize {
            2
        }
        fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
            self.loss_by_sample(theta).map(|found| found.0)
        }
        fn loss_and_grad(&self, _: &[f32], _: &mut [f32]) -> Result<f64> {
            unreachable!("a surface needs no gradient")
        }
        fn by_sample(&self) -> Option<&dyn BySample> {
            Some(self)
        }
    }

    impl BySample for Bowls {
        fn loss_by_sample(&self, theta: &[f32]) -> Result<(Evaluation, Vec<f64>)> {
            let [x, y] = [theta[0], theta[1]].map(f64::from);
            let of = |i: usize| (1 + i % 5) as f64 * x * x + y * y + (i * i % 13) as f64;
            let losses: Vec<f64> = self.0.clone().map(of).collect();
            self.1.fetch_add(losses.len(), Ordering::Relaxed);
            let all = Moments::of(losses.iter().copied());
            let correct = losses.iter().filter(|loss| **loss < 10.0).count();
            let (loss, total) = (all.mean(), losses.len());
            Ok((Evaluation { loss, loss_se: all.se(), correct, total }, losses))
        }
    }

    fn of(samples: usize) -> Header {
        with_samples(&header(7), samples)
    }

    fn evaluated(folder: &std::path::Path, samples: usize) -> SurfaceStore {
        let mut store = SurfaceStore::begin(folder, of(samples), false).unwrap();
        let never = AtomicBool::new(false);
        evaluate(&mut store, PLANE, &Bowls::of(0..samples), &never, &|_, _| ()).unwrap();
        store
    }

    fn close(a: &SurfaceStore, b: &SurfaceStore) {
        assert_eq!(a.header, b.header);
        for (a, b) in a.cells.iter().zip(&b.cells) {
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!((a.k, a.correct), (b.k, b.correct));
            let pairs =
                [(a.loss, b.loss), (a.loss_se, b.loss_se), (a.difference_se, b.difference_se)];
            // Sums in f64 in another order.
            assert!(
                pairs.iter().all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0)),
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn a_surface_with_more_images_is_that_of_all_of_them_and_evaluates_the_new_ones_alone() {
        let (grown, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut store = evaluated(grown.path(), 40);
        let (before, added) = (Bowls::of(0..40), Bowls::of(40..100));
        let never = AtomicBool::new(false);
        grow(&mut store, PLANE, (&before, &added, 100), &never, &|_, _| ()).unwrap();
        close(&store, &evaluated(whole.path(), 100));
        close(&SurfaceStore::open(grown.path()).unwrap(), &store);
        // The old images at the origin alone, the new ones there and at each cell.
        assert_eq!(before.1.into_inner(), 2 * 40);
        assert_eq!(added.1.into_inner(), (1 + 49) * 60);
        assert!(!grown.path().join("next").exists());
    }

    #[test]
    fn an_interrupted_growth_goes_on_and_ends_in_the_same_bytes() {
        let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let grow_in = |folder: &std::path::Path, most: usize| {
            let mut store = SurfaceStore::begin(folder, of(40), false).unwrap();
            let interrupt = AtomicBool::new(false);
            let stop = |done: usize, _: usize| interrupt.store(done > most, Ordering::Relaxed);
            let of =
                (&Bowls::of(0..40) as &dyn Objective, &Bowls::of(40..64) as &dyn Objective, 64);
            grow(&mut store, PLANE, of, &interrupt, &stop)
        };
        for folder in [whole.path(), cut.path()] {
            evaluated(folder, 40);
        }
        grow_in(whole.path(), 1000).unwrap();
        let error = grow_in(cut.path(), 20).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        // What there was is whole until the new one is.
        let old = SurfaceStore::open(cut.path()).unwrap();
        assert_eq!((old.header.on.samples, old.missing().len()), (40, 0));
        assert_eq!(begun(&old).unwrap(), Some(64));
        let kept = std::fs::read_to_string(cut.path().join("next/cells.jsonl")).unwrap();
        assert!(kept.lines().count() > 20 && kept.lines().count() < 49);
        grow_in(cut.path(), 1000).unwrap();
        for name in ["grid.json", "cells.jsonl"] {
            let [a, b] = [whole.path(), cut.path()].map(|f| std::fs::read(f.join(name)).unwrap());
            assert_eq!(a, b, "{name}");
        }
    }

    #[test]
    fn the_error_that_is_held_to_the_bound_is_a_quantile_and_promises_how_many_images_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        let store = evaluated(folder.path(), 50);
        let largest = UntilSe { bound: 0.1, relative: false, quantile: 1.0 };
        let errors: Vec<f64> = store.cells.iter().flatten().map(|c| c.difference_se).collect();
        let most = errors.iter().copied().fold(0.0, f64::max);
        assert_eq!(largest.of(&store.cells), Some(most));
        // At the largest |x| = 5 the differences are (1 + i mod 5) 25, with the variance 2 50/49 of 1 to 5.
        assert!((most - 25.0 * (2.0f64 * 50.0 / 49.0 / 50.0).sqrt()).abs() < 1e-9, "{most}");
        let median = UntilSe { quantile: 0.5, ..largest }.of(&store.cells).unwrap();
        // Of the 5 cells at x = 0, 10 at each of 1, 2 and 3; they are alike but for rounding.
        assert_eq!(errors.iter().filter(|e| **e <= median * (1.0 + 1e-9)).count(), 35);
        let relative = UntilSe { relative: true, ..largest }.of(&store.cells).unwrap();
        assert!(relative < 0.1 && relative > 0.0);
        // Twice the error that is asked for takes four times the images, and never more at once.
        assert_eq!(largest.next(100, 0.11, 10_000, 64), 128);
        assert_eq!(largest.next(100, 0.15, 10_000, 64), 256);
        assert_eq!(largest.next(100, 3.0, 10_000, 64), 448);
        assert_eq!(largest.next(100, 3.0, 300, 64), 300);
        assert_eq!(largest.next(128, 0.1, 10_000, 64), 192);
    }
}
