//! Evaluates an objective over the cells of a grid.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::moments::Moments;
use super::{Cell, Grid, InterpolationError, SurfaceStore};
use crate::objective::Objective;
use crate::parallel;
use crate::{Error, Result};

/// Cells between two writes, for each thread: some seconds of work at most are lost in a crash.
const CELLS_PER_THREAD: usize = 4;

/// A surface in numbers, with the keys scripts read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SurfaceReport {
    /// Columns.
    pub nx: usize,
    /// Rows.
    pub ny: usize,
    /// Cells whose value was computed (now or before).
    pub evaluated: usize,
    /// Cells whose value was interpolated.
    pub interpolated: usize,
    /// Evaluated cells whose loss is NaN.
    pub nan: usize,
    /// Cells whose loss is infinite.
    pub infinite: usize,
    /// Smallest finite loss.
    pub loss_min: Option<f64>,
    /// Largest finite loss.
    pub loss_max: Option<f64>,
    /// Largest standard error of a cell relative to its loss.
    pub relative_se_max: Option<f64>,
    /// Largest standard error of the difference between a cell and the plane's origin, sample by sample.
    pub difference_se_max: Option<f64>,
    /// How large the errors of interpolated cells are, by estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<InterpolationError>,
    /// Images each cell is evaluated on.
    pub samples: usize,
    /// Seconds this call took.
    pub seconds: f64,
}

/// `origin + a x + b y`, all (P,), computed in f64.
pub fn theta_at(origin: &[f32], x: &[f32], y: &[f32], [a, b]: [f64; 2]) -> Vec<f32> {
    origin
        .iter()
        .zip(x)
        .zip(y)
        .map(|((o, x), y)| (f64::from(*o) + a * f64::from(*x) + b * f64::from(*y)) as f32)
        .collect()
}

/// Cells of a grid on the plane of `vectors`, each with the error of its difference to the plane's origin.
pub(super) struct AtCells<'a> {
    grid: Grid,
    vectors: [&'a [f32]; 3],
    objective: &'a dyn Objective,
    /// The loss of each sample at the plane's origin, where they are known.
    at_origin: Option<Vec<f64>>,
}

impl<'a> AtCells<'a> {
    /// # Errors
    /// Those of the objective.
    pub(super) fn new(
        grid: Grid,
        vectors: [&'a [f32]; 3],
        objective: &'a dyn Objective,
    ) -> Result<Self> {
        let at_origin = match objective.by_sample() {
            Some(by_sample) => Some(by_sample.loss_by_sample(vectors[0])?.1),
            None => None,
        };
        Ok(Self { grid, vectors, objective, at_origin })
    }

    /// Evaluates cell `k`.
    ///
    /// # Errors
    /// Those of the objective.
    pub(super) fn cell(&self, k: usize) -> Result<Cell> {
        let [origin, x, y] = self.vectors;
        let theta = theta_at(origin, x, y, self.grid.point(k));
        match (self.objective.by_sample(), &self.at_origin) {
            (Some(by_sample), Some(at_origin)) => {
                let (value, losses) = by_sample.loss_by_sample(&theta)?;
                Ok(Cell::new(k, value, Moments::of_differences(&losses, at_origin).se()))
            }
            _ => Ok(Cell::new(k, self.objective.loss(&theta)?, f64::NAN)),
        }
    }
}

/// Computes the cells that `store` lacks, several at once, and appends them in order. `progress` is
/// called with (done, total) from any thread. What is done stays done whatever happens.
///
/// # Errors
/// [`Error::Interrupted`] when `interrupt` was set; those of the objective and of the disk.
pub fn evaluate(
    store: &mut SurfaceStore,
    vectors: [&[f32]; 3],
    objective: &dyn Objective,
    interrupt: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<SurfaceReport> {
    let started = Instant::now();
    let total = store.cells.len();
    let missing = store.not_evaluated();
    progress(total - missing.len(), total);
    if missing.is_empty() {
        store.put_in_order()?;
        if store.interpolation.is_some() {
            store.take_for_good()?;
            store.drop_interpolation()?;
        }
        return Ok(store.report(started.elapsed().as_secs_f64()));
    }
    let at = AtCells::new(store.header.grid, vectors, objective)?;
    let count = (total - missing.len(), total);
    fill(store, &missing, count, &|k| at.cell(k), interrupt, progress, &|| false)?;
    store.put_in_order()?;
    store.drop_interpolation()?;
    Ok(store.report(started.elapsed().as_secs_f64()))
}

/// Computes `cells` by `cell`, several at once, and appends them in that order until `enough` says so;
/// `(done, total)` of them, with others, are there before and in the end. Returns how many of `cells` were
/// computed.
///
/// # Errors
/// As [`evaluate`].
pub(super) fn fill(
    store: &mut SurfaceStore,
    cells: &[usize],
    (done, total): (usize, usize),
    cell: &(dyn Fn(usize) -> Result<Cell> + Sync),
    interrupt: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
    enough: &dyn Fn() -> bool,
) -> Result<usize> {
    let Some(&first) = cells.first() else { return Ok(0) };
    let ascending = cells.windows(2).all(|pair| pair[0] < pair[1]);
    if !(ascending && store.cells[first..].iter().all(Option::is_none)) {
        // Of several ranks that were cut short, or where not all are evaluated, any cells are there.
        store.written_in_any_order();
    }
    let done = AtomicUsize::new(done);
    let mut log = store.log()?;
    let mut computed = 0;
    for chunk in cells.chunks(CELLS_PER_THREAD * parallel::threads()) {
        if enough() {
            break;
        }
        if interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted {
                remedy: format!(
                    "{} of {total} cells are kept: the same command goes on from there",
                    done.load(Ordering::Relaxed)
                ),
            });
        }
        let found = parallel::map(chunk, |&k| {
            let found = cell(k)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Ok(found)
        })?;
        for cell in found {
            log.push(&cell)?;
            store.cells[cell.k] = Some(cell);
        }
        log.flush()?;
        computed += chunk.len();
    }
    Ok(computed)
}

impl SurfaceStore {
    /// The cells done, in numbers; computing them took `seconds`.
    pub fn report(&self, seconds: f64) -> SurfaceReport {
        report(self, seconds)
    }
}

fn report(store: &SurfaceStore, seconds: f64) -> SurfaceReport {
    let cells = || store.cells.iter().flatten();
    let finite = || cells().filter(|c| c.loss.is_finite());
    let [evaluated, interpolated] = store.counts();
    let relative_se = finite().map(|c| c.loss_se / c.loss).filter(|v| v.is_finite());
    SurfaceReport {
        nx: store.header.grid.x.n,
        ny: store.header.grid.y.n,
        evaluated,
        interpolated,
        nan: cells().filter(|c| c.loss.is_nan()).count(),
        infinite: cells().filter(|c| c.loss.is_infinite()).count(),
        loss_min: finite().map(|c| c.loss).reduce(f64::min),
        loss_max: finite().map(|c| c.loss).reduce(f64::max),
        relative_se_max: relative_se.reduce(f64::max),
        difference_se_max: (finite().map(|c| c.difference_se))
            .filter(|se| se.is_finite())
            .reduce(f64::max),
        interpolation: store.interpolation.as_ref().map(|found| found.error),
        samples: store.header.on.samples,
        seconds,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::backend::Precision;
    use crate::dataset::SplitName;
    use crate::landscape::{Axis, Grid, Header};
    use crate::objective::{BatchNormPolicy, Evaluation, TestFunction};
    use crate::record::{EvaluatedOn, SampleSource};

    pub(in super::super) fn header(n: usize) -> Header {
        let axis = |min, max| Axis { min, max, n };
        Header {
            through: None,
            until: None,
            format_version: 1,
            grid: Grid { x: axis(-5.0, 5.0), y: axis(-4.0, 6.0) },
            plane_digest: "p".into(),
            plane: "x and y".into(),
            on: EvaluatedOn {
                dataset: "none".into(),
                data_digest: String::new(),
                split: SplitName::Train,
                samples: 0,
                sample_order: SampleSource::File,
                sample_seed: 0,
                batch_norm: BatchNormPolicy::None,
                backend: "analytic".into(),
                precision: Precision::F32,
                precision_error: None,
                answers: 1,
                norm_stats: None,
            },
        }
    }

    pub(in super::super) const PLANE: [&[f32]; 3] = [&[0.0, 0.0], &[1.0, 0.0], &[0.0, 1.0]];

    fn run(store: &mut SurfaceStore, objective: &dyn Objective) -> Result<SurfaceReport> {
        evaluate(store, PLANE, objective, &AtomicBool::new(false), &|_, _| ())
    }

    #[test]
    fn a_surface_holds_the_function_at_its_cells() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SurfaceStore::begin(folder.path(), header(11), false).unwrap();
        let report = run(&mut store, &TestFunction::Himmelblau).unwrap();
        assert_eq!((report.evaluated, report.nan, report.nx, report.ny), (121, 0, 11, 11));
        for (k, loss) in store.losses().into_iter().enumerate() {
            let [a, b] = store.header.grid.point(k);
            let want = (a * a + b - 11.0).powi(2) + (a + b * b - 7.0).powi(2);
            assert!((loss - want).abs() < 1e-6 * want.max(1.0), "{a} {b}: {loss} {want}");
        }
    }

    #[test]
    fn an_interrupted_surface_goes_on_where_it_was_left_and_ends_in_the_same_bytes() {
        let (whole, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut store = SurfaceStore::begin(whole.path(), header(9), false).unwrap();
        run(&mut store, &TestFunction::Himmelblau).unwrap();

        let mut store = SurfaceStore::begin(halved.path(), header(9), false).unwrap();
        let interrupt = AtomicBool::new(false);
        let stop = |done: usize, _: usize| interrupt.store(done > 20, Ordering::Relaxed);
        let err =
            evaluate(&mut store, PLANE, &TestFunction::Himmelblau, &interrupt, &stop).unwrap_err();
        assert!(matches!(err, Error::Interrupted { .. }), "{err}");
        // A crash in the middle of a line on top of it; the lock goes with the process.
        drop(store);
        let cells = halved.path().join("cells.jsonl");
        let mut text = std::fs::read(&cells).unwrap();
        text.extend(b"{\"k\":40,\"lo");
        std::fs::write(&cells, text).unwrap();

        let mut store = SurfaceStore::begin(halved.path(), header(9), false).unwrap();
        let before = 81 - store.missing().len();
        assert!(before > 20 && before < 81, "{before} cells kept");
        run(&mut store, &TestFunction::Himmelblau).unwrap();
        assert_eq!(
            std::fs::read(&cells).unwrap(),
            std::fs::read(whole.path().join("cells.jsonl")).unwrap()
        );
    }

    #[test]
    fn nan_and_infinity_are_kept_as_such() {
        struct Holes;
        impl Objective for Holes {
            fn dim(&self) -> usize {
                2
            }
            fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
                let loss = if theta[0] < -2.0 {
                    f64::NAN
                } else if theta[1] > 2.0 {
                    f64::INFINITY
                } else {
                    1.0
                };
                Ok(Evaluation { loss, loss_se: f64::NAN, correct: 0, total: 1 })
            }
            fn loss_and_grad(&self, _: &[f32], _: &mut [f32]) -> Result<f64> {
                unreachable!("a surface needs no gradient")
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let mut store = SurfaceStore::begin(folder.path(), header(5), false).unwrap();
        let report = run(&mut store, &Holes).unwrap();
        assert!(report.nan == 10 && report.infinite > 0, "{report:?}");
        let again = SurfaceStore::open(folder.path()).unwrap();
        for (a, b) in store.losses().iter().zip(again.losses()) {
            assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
        }
        assert!(again.missing().is_empty(), "a NaN is done, not missing");
    }

    #[test]
    fn another_surface_in_the_folder_is_refused_unless_replaced() {
        let folder = tempfile::tempdir().unwrap();
        SurfaceStore::begin(folder.path(), header(5), false).unwrap();
        let err = SurfaceStore::begin(folder.path(), header(7), false).unwrap_err().to_string();
        assert!(err.contains("holds a surface of") && err.contains("5x5"), "{err}");
        assert_eq!(SurfaceStore::begin(folder.path(), header(7), true).unwrap().cells.len(), 49);
    }
}
