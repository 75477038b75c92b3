//! Evaluates an objective over the cells of a grid.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::{Cell, SurfaceStore};
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
    /// Cells whose value was interpolated: none, this evaluation does not.
    pub interpolated: usize,
    /// Cells whose loss is NaN.
    pub nan: usize,
    /// Cells whose loss is infinite.
    pub infinite: usize,
    /// Smallest finite loss.
    pub loss_min: Option<f64>,
    /// Largest finite loss.
    pub loss_max: Option<f64>,
    /// Largest standard error of a cell relative to its loss.
    pub relative_se_max: Option<f64>,
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

/// Computes the cells that `store` lacks, several at once, and appends them in order. `progress` is
/// called with (done, total) from any thread. What is done stays done whatever happens.
///
/// # Errors
/// [`Error::Interrupted`] when `interrupt` was set; those of the objective and of the disk.
pub fn evaluate(
    store: &mut SurfaceStore,
    [origin, x, y]: [&[f32]; 3],
    objective: &dyn Objective,
    interrupt: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<SurfaceReport> {
    let started = Instant::now();
    let total = store.cells.len();
    let missing = store.missing();
    let done = AtomicUsize::new(total - missing.len());
    progress(total - missing.len(), total);
    if missing.is_empty() {
        store.put_in_order()?;
        return Ok(store.report(started.elapsed().as_secs_f64()));
    }
    // Of several ranks that were cut short, any cells are there.
    let in_order = store.is_in_order() && missing[0] + missing.len() == total;
    let mut log = store.log()?;
    let grid = store.header.grid;
    for chunk in missing.chunks(CELLS_PER_THREAD * parallel::threads()) {
        if interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted {
                remedy: format!(
                    "{} of {total} cells are kept: the same command goes on from there",
                    done.load(Ordering::Relaxed)
                ),
            });
        }
        let cells = parallel::map(chunk, |&k| {
            let theta = theta_at(origin, x, y, grid.point(k));
            let cell = Cell::new(k, objective.loss(&theta)?);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Ok(cell)
        })?;
        for cell in cells {
            log.push(&cell)?;
            store.cells[cell.k] = Some(cell);
        }
        log.flush()?;
    }
    if !in_order {
        store.written_in_any_order();
        store.put_in_order()?;
    }
    Ok(store.report(started.elapsed().as_secs_f64()))
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
    let relative_se = finite().map(|c| c.loss_se / c.loss).filter(|v| v.is_finite());
    SurfaceReport {
        nx: store.header.grid.x.n,
        ny: store.header.grid.y.n,
        evaluated: cells().count(),
        interpolated: 0,
        nan: cells().filter(|c| c.loss.is_nan()).count(),
        infinite: cells().filter(|c| c.loss.is_infinite()).count(),
        loss_min: finite().map(|c| c.loss).reduce(f64::min),
        loss_max: finite().map(|c| c.loss).reduce(f64::max),
        relative_se_max: relative_se.reduce(f64::max),
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
