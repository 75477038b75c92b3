//! A surface of which not all cells are evaluated: a coarse grid first, then, round after round, the cells at
//! which interpolation between the evaluated ones has the largest estimated error ([`super::local`]), until a
//! budget is used. The rest is interpolated, and kept apart.
//!
//! Which cells are evaluated depends on the values of others alone: the rounds are gone through again from the
//! beginning whenever such a surface is gone on with, with the cells that are known, so that an interrupted one
//! ends in the bytes of one that was not, and a larger budget goes on where a smaller one ended.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::evaluate::{AtCells, fill};
use super::interpolation::{Interpolated, Interpolation, Scale};
use super::local::{Field, Guess, Known};
use super::{Axis, Grid, SurfaceReport, SurfaceStore};
use crate::disk::JsonFile;
use crate::objective::Objective;
use crate::parallel;
use crate::record::FORMAT_VERSION;
use crate::{Error, Result};

/// How much of a surface is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// So many cells, those that are known already among them.
    Cells(usize),
    /// As many as can be in this time, from the call on; what a call before has computed is not counted.
    Time(Duration),
}

/// The share of all cells that the coarse grid has at most: of 101 x 101 it is every fourth row and column.
const COARSE: usize = 15;

/// The share of the evaluated cells that a round adds, and how many it adds at least.
const ROUND: (usize, usize) = (20, 16);

/// The share of the range of values below which estimated errors count as equal.
const SMALL: f64 = 1e-4;

const FILE: JsonFile = JsonFile {
    action: "read how cells are chosen",
    name: "the choice of cells",
    remedy: "remove that file and run the same command again",
};

/// `adaptive.json`: where the rounds begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Start {
    format_version: u32,
    /// Every which row and column the coarse grid has.
    spacing: usize,
    /// Cells that were evaluated before.
    before: Vec<usize>,
}

impl Start {
    fn of(store: &SurfaceStore, budget: Budget) -> Result<Self> {
        let path = store.folder().join("adaptive.json");
        if let Some(found) = FILE.read_if_there::<Self>(&path)? {
            let grid = store.header.grid;
            if found.spacing == 0 || found.before.iter().any(|&k| k >= grid.len()) {
                return Err(FILE.bad("it is not of this grid".into(), &path));
            }
            return Ok(found);
        }
        let before =
            (0..store.cells.len()).filter(|&k| store.cells[k].is_some()).collect::<Vec<usize>>();
        let spacing = spacing(&store.header.grid, budget);
        let start = Self { format_version: FORMAT_VERSION, spacing, before };
        FILE.write(&path, &start)?;
        Ok(start)
    }
}

/// The smallest distance of a coarse grid's rows and columns that leaves enough of the budget.
fn spacing(grid: &Grid, budget: Budget) -> usize {
    let most = match budget {
        Budget::Cells(cells) => (grid.len() / COARSE).min(cells / 2),
        Budget::Time(_) => grid.len() / COARSE,
    };
    let longest = grid.x.n.max(grid.y.n);
    let fits =
        |spacing: &usize| places(&grid.x, *spacing).len() * places(&grid.y, *spacing).len() <= most;
    (1..longest).find(fits).unwrap_or(longest)
}

/// Every `spacing`-th index of an axis and its last.
fn places(axis: &Axis, spacing: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..axis.n).step_by(spacing).collect();
    if places.last() != Some(&(axis.n - 1)) {
        places.push(axis.n - 1);
    }
    places
}

/// The fewest cells, and the shortest side, of a surface of which a part is evaluated.
const LEAST: (usize, usize) = (16, 5);

/// Evaluates cells of `store` until `budget` is used, coarse first, then where interpolation errs most, and
/// interpolates the others. With a budget for all cells this is [`super::evaluate`].
///
/// # Errors
/// Those of [`Budget::check`]; [`Error::Interrupted`] when `interrupt` was set, or the time was not enough for the coarse grid; those
/// of the objective and of the disk.
pub fn refine(
    store: &mut SurfaceStore,
    vectors: [&[f32]; 3],
    objective: &dyn Objective,
    budget: Budget,
    interrupt: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<SurfaceReport> {
    let started = Instant::now();
    let (grid, all) = (store.header.grid, store.cells.len());
    let total = match budget {
        Budget::Cells(cells) if cells >= all => {
            return super::evaluate(store, vectors, objective, interrupt, progress);
        }
        Budget::Cells(cells) => cells,
        Budget::Time(_) => all,
    };
    budget.check(&grid)?;
    let start = Start::of(store, budget)?;
    let is_over = || matches!(budget, Budget::Time(time) if started.elapsed() >= time);
    let mut rounds = Rounds::new(grid, &start);
    let mut at: Option<AtCells<'_>> = None;
    let evaluated = |store: &SurfaceStore| store.cells.iter().flatten().count();
    progress(evaluated(store).min(total), total);
    let mut is_coarse = true;
    loop {
        let chosen = rounds.next(store)?;
        let done = evaluated(store);
        let new = chosen.iter().copied().filter(|&k| store.cells[k].is_none());
        let new: Vec<usize> = new.take(total.saturating_sub(done)).collect();
        if !new.is_empty() {
            let at = match &mut at {
                Some(at) => &*at,
                none => &*none.insert(AtCells::new(grid, vectors, objective)?),
            };
            let count = (done, total);
            fill(store, &new, count, &|k| at.cell(k), interrupt, progress, &is_over)?;
        }
        let is_cut = chosen.iter().any(|&k| store.cells[k].is_none());
        if is_cut && is_coarse && start.before.len() * COARSE < all {
            return Err(Error::Interrupted {
                remedy: format!(
                    "the budget was not enough for the coarse grid that all else rests on; {} cells are \
                     kept: with a larger budget the same command goes on from there",
                    evaluated(store)
                ),
            });
        }
        if is_cut || chosen.is_empty() || evaluated(store) >= total || is_over() {
            break;
        }
        is_coarse = false;
    }
    store.put_in_order()?;
    interpolate(store)?;
    Ok(store.report(started.elapsed().as_secs_f64()))
}

/// Interpolates what is not evaluated of `store` and writes it beside the cells.
///
/// # Errors
/// [`Error::Io`].
pub fn interpolate(store: &mut SurfaceStore) -> Result<()> {
    if store.not_evaluated().is_empty() {
        return store.drop_interpolation();
    }
    let found = interpolated(store)?;
    if store.interpolation.as_ref() != Some(&found) {
        found.write(store.folder())?;
        store.interpolation = Some(found);
    }
    Ok(())
}

impl Budget {
    /// Refuses to leave out cells of `grid` where there would be too few.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a budget of fewer than 16 cells, [`Error::Landscape`] for a grid with a side of
    /// fewer than 5.
    pub fn check(self, grid: &Grid) -> Result<()> {
        if let Self::Cells(cells) = self {
            if cells >= grid.len() {
                return Ok(());
            }
            if cells < LEAST.0 {
                return Err(Error::bad_value(
                    "--budget",
                    cells,
                    "too few cells to interpolate between",
                    format!("give {} or more", LEAST.0),
                ));
            }
        }
        if grid.x.n.min(grid.y.n) < LEAST.1 {
            return Err(Error::Landscape {
                what: format!("{} x {} cells are too few to leave some out", grid.x.n, grid.y.n),
                remedy: format!("leave out --budget, or give a --grid of {0}x{0} or more", LEAST.1),
            });
        }
        Ok(())
    }
}

/// The rounds in which cells are chosen.
struct Rounds {
    field: Field,
    scale: Scale,
    /// The range of the known values on that scale.
    range: f64,
    /// Of each cell that is not in the field; `None` for the others.
    guesses: Vec<Option<Guess>>,
    /// Whether the first round was given out.
    begun: bool,
    /// Cells of the round that was given out last.
    chosen: Vec<usize>,
    in_field: Vec<usize>,
}

impl Rounds {
    /// The first round is the coarse grid, with what was there before.
    fn new(grid: Grid, start: &Start) -> Self {
        let mut chosen = start.before.clone();
        for y in places(&grid.y, start.spacing) {
            chosen.extend(places(&grid.x, start.spacing).iter().map(|x| y * grid.x.n + x));
        }
        chosen.sort_unstable();
        chosen.dedup();
        Self {
            field: Field::new(grid.x.n, grid.y.n),
            scale: Scale::Log,
            range: 0.0,
            guesses: vec![None; grid.len()],
            begun: false,
            chosen,
            in_field: Vec::new(),
        }
    }

    /// The cells of the next round, in the order in which they count most; none when all are known. Those of
    /// the rounds before have to be evaluated in `store`.
    fn next(&mut self, store: &SurfaceStore) -> Result<Vec<usize>> {
        if self.begun {
            self.take_in(store)?;
            self.choose();
        }
        self.begun = true;
        Ok(self.chosen.clone())
    }

    /// Takes what was chosen, and is evaluated now, into the field.
    fn take_in(&mut self, store: &SurfaceStore) -> Result<()> {
        let loss = |k: usize| store.cells[k].map_or(f64::NAN, |cell| cell.loss);
        let new = std::mem::take(&mut self.chosen);
        self.in_field.extend(&new);
        let losses = || self.in_field.iter().map(|&k| loss(k));
        let scale = Scale::of(losses());
        let rescaled = scale != self.scale;
        (self.scale, self.range) = (scale, scale.range(losses()));
        for &k in if rescaled { &self.in_field } else { &new } {
            self.field.set(k, known(scale, loss(k)));
            self.guesses[k] = None;
        }
        let is_stale = |k: usize, guess: &Guess| {
            rescaled || new.iter().any(|&n| self.field.distance(k, n) <= guess.reach)
        };
        let stale: Vec<usize> = (0..self.guesses.len())
            .filter(|&k| !self.field.is_known(k))
            .filter(|&k| self.guesses[k].as_ref().is_none_or(|guess| is_stale(k, guess)))
            .collect();
        for (k, guess) in guesses(&self.field, &stale)? {
            self.guesses[k] = Some(guess);
        }
        Ok(())
    }

    /// Chooses the cells with the largest errors, none of them nearer to one chosen before than that is to what
    /// is known: what is beside it is seen when it is known. Errors below [`SMALL`] count as equal, and of equal
    /// ones the cell that is farthest from what is known is the first. Up to a half are from the edge of where
    /// losses are finite.
    fn choose(&mut self) {
        let size = (self.in_field.len() / ROUND.0).max(ROUND.1);
        let small = SMALL * self.range;
        let mut order: Vec<(usize, Guess)> = (self.guesses.iter().enumerate())
            .filter_map(|(k, guess)| guess.map(|guess| (k, guess)))
            .collect();
        order.sort_by(|(a, left), (b, right)| {
            let [left_error, right_error] = [left, right].map(|guess| guess.error.max(small));
            (right_error.total_cmp(&left_error))
                .then(right.nearest.cmp(&left.nearest))
                .then(a.cmp(b))
        });
        let mut chosen: Vec<(usize, usize)> = Vec::with_capacity(size);
        let mut take = |of: &dyn Fn(&Guess) -> bool, most: usize| {
            for (k, guess) in order.iter().filter(|(_, guess)| of(guess)) {
                if chosen.len() >= most {
                    break;
                }
                let is_near =
                    |(c, own): &(usize, usize)| c == k || self.field.distance(*c, *k) < *own;
                if !chosen.iter().any(is_near) {
                    chosen.push((*k, guess.nearest));
                }
            }
        };
        take(&|guess| guess.at_edge, size / 2);
        take(&|_| true, size);
        self.chosen = chosen.into_iter().map(|(k, _)| k).collect();
    }
}

fn known(scale: Scale, loss: f64) -> Known {
    if loss.is_finite() { Known::Value(scale.of_loss(loss)) } else { Known::Loss(loss) }
}

/// Cells guessed at once by one thread.
const TOGETHER: usize = 64;

fn guesses(field: &Field, cells: &[usize]) -> Result<Vec<(usize, Guess)>> {
    let chunks: Vec<&[usize]> = cells.chunks(TOGETHER).collect();
    let found = parallel::map(&chunks, |chunk| {
        Ok(chunk.iter().map(|&k| (k, field.guess(k))).collect::<Vec<_>>())
    })?;
    Ok(found.concat())
}

/// All cells of `store` that are not evaluated, between those that are.
fn interpolated(store: &SurfaceStore) -> Result<Interpolation> {
    let grid = store.header.grid;
    let evaluated = || store.cells.iter().flatten().map(|cell| cell.loss);
    let scale = Scale::of(evaluated());
    let mut field = Field::new(grid.x.n, grid.y.n);
    for cell in store.cells.iter().flatten() {
        field.set(cell.k, known(scale, cell.loss));
    }
    let cells = guesses(&field, &store.not_evaluated())?.into_iter().map(|(k, guess)| {
        let loss = match guess.value {
            Known::Value(value) => scale.to_loss(value),
            Known::Loss(loss) => loss,
            Known::Not => f64::NAN,
        };
        let error = if guess.at_edge { f64::NAN } else { guess.error };
        Interpolated { k, loss, error }
    });
    Ok(Interpolation::new(cells.collect(), scale, scale.range(evaluated())))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::Header;
    use super::super::evaluate::tests::{PLANE, header};
    use super::*;
    use crate::objective::Evaluation;

    /// A bowl with a sharp bottom at (0.3, -0.2) on the scale of the logarithm, as that of a trained network
    /// is, and a ridge beside it; infinite where x > `edge`. Counts its evaluations.
    struct Sharp {
        edge: f64,
        evaluated: AtomicUsize,
    }

    impl Sharp {
        fn new(edge: f64) -> Self {
            Self { edge, evaluated: AtomicUsize::new(0) }
        }

        fn at([x, y]: [f64; 2]) -> f64 {
            let bowl = 1e-3 + 0.3 * (x - 0.3).powi(2) + 0.8 * (y + 0.2).powi(2);
            bowl * (1.0 + 0.5 * (-8.0 * (x + y - 1.0).powi(2)).exp())
        }
    }

    impl Objective for Sharp {
        fn dim(&self) -> usize {
            2
        }
        fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
            self.evaluated.fetch_add(1, Ordering::Relaxed);
            let [x, y] = [theta[0], theta[1]].map(f64::from);
            let loss = if x > self.edge { f64::INFINITY } else { Self::at([x, y]) };
            Ok(Evaluation::exact(loss))
        }
        fn loss_and_grad(&self, _: &[f32], _: &mut [f32]) -> Result<f64> {
            unreachable!("a surface needs no gradient")
        }
    }

    fn of(n: usize) -> Header {
        let axis = Axis { min: -2.0, max: 2.0, n };
        Header { grid: Grid { x: axis, y: axis }, ..header(1) }
    }

    fn run(folder: &Path, n: usize, cells: usize, edge: f64) -> (SurfaceStore, usize) {
        let mut store = SurfaceStore::begin(folder, of(n), false).unwrap();
        let sharp = Sharp::new(edge);
        let never = AtomicBool::new(false);
        refine(&mut store, PLANE, &sharp, Budget::Cells(cells), &never, &|_, _| ()).unwrap();
        (store, sharp.evaluated.into_inner())
    }

    /// The largest and the mean error of all cells, as shares of the range of the log loss.
    fn errors(store: &SurfaceStore, losses: &[f64]) -> [f64; 2] {
        let logs: Vec<f64> = losses.iter().map(|loss| loss.ln()).collect();
        let range = Scale::Log.range(losses.iter().copied());
        let truth = (0..store.cells.len()).map(|k| Sharp::at(store.header.grid.point(k)).ln());
        let errors: Vec<f64> = truth.zip(logs).map(|(a, b)| (a - b).abs() / range).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        [errors.iter().copied().fold(0.0, f64::max), mean]
    }

    #[test]
    fn a_fifth_of_the_cells_tells_the_rest_and_the_estimate_is_not_too_good() {
        let folder = tempfile::tempdir().unwrap();
        let (store, evaluated) = run(folder.path(), 61, 744, f64::INFINITY);
        assert_eq!(evaluated, 744);
        assert_eq!(store.counts(), [744, 61 * 61 - 744]);
        assert!(store.missing().is_empty());
        let [max, mean] = errors(&store, &store.losses());
        let estimated = store.interpolation.as_ref().unwrap().error;
        // 0.09 % of the range of the log loss at most and 0.005 % in the mean when this was written, by
        // estimate 0.13 % and 0.08 %.
        assert!(max < 0.002 && mean < 1e-4, "{max} {mean}");
        assert!(estimated.mean > mean && estimated.max > 0.5 * max, "{estimated:?}");
        assert!(estimated.max < 0.003, "{estimated:?}");
        // Evaluated values are those of the loss, and no interpolated one is kept beside them.
        for cell in store.cells.iter().flatten() {
            let at = store.header.grid.point(cell.k).map(|v| f64::from(v as f32));
            assert!((cell.loss - Sharp::at(at)).abs() < 1e-12);
            assert!(store.interpolated(cell.k).is_none());
        }
        // A regular grid of as many cells (27 x 27) misses the sharp bottom.
        let mut regular = Field::new(61, 61);
        let chosen: Vec<usize> = (0..27).map(|i| i * 60 / 26).collect();
        let log = |k: usize| Sharp::at(store.header.grid.point(k)).ln();
        for k in chosen.iter().flat_map(|y| chosen.iter().map(move |x| y * 61 + x)) {
            regular.set(k, Known::Value(log(k)));
        }
        let losses: Vec<f64> = (0..61 * 61)
            .map(|k| match (regular.is_known(k), regular.guess(k).value) {
                (false, Known::Value(value)) => value.exp(),
                _ => log(k).exp(),
            })
            .collect();
        let [regular_max, _] = errors(&store, &losses);
        assert!(regular_max > 10.0 * max, "{regular_max} {max}");
    }

    #[test]
    fn an_interrupted_budget_a_larger_one_and_a_read_one_end_in_the_same_bytes() {
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (store, _) = run(whole.path(), 41, 400, f64::INFINITY);
        for (most, cells) in [(60, 400), (170, 400), (400, 250), (400, 400)] {
            let mut store = SurfaceStore::begin(parts.path(), of(41), false).unwrap();
            let interrupt = AtomicBool::new(false);
            let stop = |done: usize, _: usize| interrupt.store(done > most, Ordering::Relaxed);
            let sharp = Sharp::new(f64::INFINITY);
            let budget = Budget::Cells(cells);
            let ended = refine(&mut store, PLANE, &sharp, budget, &interrupt, &stop);
            assert_eq!(ended.is_err(), most < cells, "{most}");
            assert!(sharp.evaluated.into_inner() < 400);
        }
        for name in ["grid.json", "cells.jsonl", "interpolated.json", "adaptive.json"] {
            let [a, b] = [&whole, &parts].map(|f| std::fs::read(f.path().join(name)).unwrap());
            assert_eq!(a, b, "{name}");
        }
        let read = SurfaceStore::open(whole.path()).unwrap();
        assert_eq!((read.losses(), read.counts()), (store.losses(), store.counts()));
        // Without a budget the rest is evaluated, and nothing is interpolated any more.
        drop(store);
        let (store, evaluated) = run(whole.path(), 41, 41 * 41, f64::INFINITY);
        assert_eq!((evaluated, store.counts()), (41 * 41 - 400, [41 * 41, 0]));
        assert!(!whole.path().join("interpolated.json").exists());
        assert!(!whole.path().join("adaptive.json").exists());
    }

    #[test]
    fn where_the_loss_overflows_it_is_no_number_between_others_either() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = run(folder.path(), 41, 400, 1.24);
        let losses = store.losses();
        let mut wrong = 0;
        for (k, loss) in losses.iter().enumerate() {
            let [x, _] = store.header.grid.point(k);
            wrong += usize::from(loss.is_finite() == (x > 1.24));
        }
        // Half of each round goes to the edge until every cell beside it is evaluated.
        assert_eq!(wrong, 0);
        assert_eq!(store.interpolation.as_ref().unwrap().error.at_edge, 0);
        // With the coarse grid alone it is not known where the edge is.
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = run(folder.path(), 41, 82, 1.24);
        let found = store.interpolation.as_ref().unwrap();
        assert!(found.error.at_edge > 0, "{:?}", found.error);
        let of_edge = |k: &usize| store.interpolated(*k).is_some_and(|found| found.error.is_nan());
        assert_eq!((0..41 * 41).filter(of_edge).count(), found.error.at_edge);
    }

    #[test]
    fn cells_that_were_there_before_count_and_are_built_on() {
        let folder = tempfile::tempdir().unwrap();
        let never = AtomicBool::new(false);
        let sharp = Sharp::new(f64::INFINITY);
        let mut store = SurfaceStore::begin(folder.path(), of(21), false).unwrap();
        super::super::evaluate(&mut store, PLANE, &sharp, &never, &|_, _| ()).unwrap();
        drop(store);
        let (mut store, kept) = SurfaceStore::extend(folder.path(), of(41), PLANE).unwrap();
        assert_eq!(kept, 441);
        let sharp = Sharp::new(f64::INFINITY);
        refine(&mut store, PLANE, &sharp, Budget::Cells(500), &never, &|_, _| ()).unwrap();
        assert_eq!((sharp.evaluated.into_inner(), store.counts()[0]), (59, 500));
    }

    #[test]
    fn too_small_a_budget_and_too_small_a_grid_are_refused_and_too_little_time_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (sharp, never) = (Sharp::new(f64::INFINITY), AtomicBool::new(false));
        let mut store = SurfaceStore::begin(folder.path(), of(21), false).unwrap();
        let mut with = |budget| refine(&mut store, PLANE, &sharp, budget, &never, &|_, _| ());
        let error = with(Budget::Cells(7)).unwrap_err().to_string();
        assert!(error.contains("--budget") && error.contains("16"), "{error}");
        let error = with(Budget::Time(Duration::from_nanos(1))).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        let report = with(Budget::Time(Duration::from_secs(600))).unwrap();
        assert_eq!((report.evaluated, report.interpolated), (441, 0));
        let folder = tempfile::tempdir().unwrap();
        let mut store = SurfaceStore::begin(folder.path(), of(4), false).unwrap();
        let error = refine(&mut store, PLANE, &sharp, Budget::Cells(16), &never, &|_, _| ());
        assert!(error.is_ok(), "all of it");
        let mut store = SurfaceStore::begin(
            tempfile::tempdir().unwrap().path(),
            Header { grid: Grid { y: Axis { min: 0.0, max: 1.0, n: 2 }, ..of(21).grid }, ..of(21) },
            false,
        )
        .unwrap();
        let error = refine(&mut store, PLANE, &sharp, Budget::Cells(20), &never, &|_, _| ());
        assert!(error.unwrap_err().to_string().contains("too few"));
    }
}
