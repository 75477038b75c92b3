//! A surface over a grid that contains that of another one, in its place: wider, or finer. Cells whose weights
//! are the old ones bit for bit keep their values; nothing that was computed is lost.

use std::path::Path;

use super::store::difference;
use super::{Axis, Cell, Grid, Header, SurfaceStore, folder};
use crate::parallel;
use crate::{Error, Result};

/// How far apart two coordinates may be and still be the same point, in distances between old points: the
/// rounding of the ends, spread over an axis. Whether the weights are the same is then seen from the weights.
const SAME: f64 = 1e-9;

impl SurfaceStore {
    /// Opens the surface in `folder` to go on with it as that of `header`, which may have another grid that
    /// contains the old one; its images stay those of the old one, of which `header` may have more.
    /// `vectors` are the plane's. Returns how many cells were kept as well.
    ///
    /// # Errors
    /// [`Error::NoSurface`] where there is none; [`Error::Landscape`] where nothing can be reused (another
    /// plane, other data, another engine or precision, fewer images), and where a computed cell would be
    /// lost; [`Error::SurfaceInUse`] when another process writes there.
    pub fn extend(folder: &Path, header: Header, vectors: [&[f32]; 3]) -> Result<(Self, usize)> {
        header.grid.check()?;
        let old = Self::open(folder)?;
        check(&old.header, &header, folder)?;
        let samples = old.header.on.samples;
        let mut wanted = Header { until: old.header.until, ..header };
        wanted.on.samples = samples;
        let kept = |store: &Self| store.cells.iter().flatten().count();
        if old.header.grid == wanted.grid {
            let store = Self::begin(folder, wanted, false)?;
            let kept = kept(&store);
            return Ok((store, kept));
        }
        let lock = folder::lock(folder)?;
        // What was read before the lock was held may have gone on.
        let mut store = Self::open(folder)?;
        let cells = moved(&store, &wanted.grid, vectors)?;
        store.become_another(wanted, cells)?;
        store.hold(lock);
        let kept = kept(&store);
        Ok((store, kept))
    }
}

/// Refuses a surface of which nothing can be reused.
fn check(old: &Header, wanted: &Header, folder: &Path) -> Result<()> {
    let mut same = Header { grid: old.grid, ..wanted.clone() };
    same.on.samples = old.on.samples;
    let refused = |holds: String| Error::Landscape {
        what: format!("nothing of {} can be reused: it is {holds}", folder.display()),
        remedy: "give the new surface another --name, or replace the old one with --force".into(),
    };
    if !old.has_the_values_of(&same) {
        return Err(refused(difference(old, &same)));
    }
    if old.on.samples > wanted.on.samples {
        return Err(Error::bad_value(
            "--samples",
            wanted.on.samples,
            format!("but the surface that is to be extended has {} images a cell", old.on.samples),
            format!("ask for {} or more", old.on.samples),
        ));
    }
    Ok(())
}

/// The cells of `store` where they are on `grid`.
fn moved(store: &SurfaceStore, grid: &Grid, vectors: [&[f32]; 3]) -> Result<Vec<Option<Cell>>> {
    let old = store.header.grid;
    let [columns, rows] =
        [("x", &old.x, &grid.x), ("y", &old.y, &grid.y)].map(|(name, a, b)| places(name, a, b));
    let (columns, rows) = (columns?, rows?);
    let done: Vec<(usize, Cell)> = (store.cells.iter().enumerate())
        .filter_map(|(k, cell)| cell.map(|cell| (k, cell)))
        .collect();
    let found = parallel::map(&done, |&(k, cell)| {
        let new = rows[k / old.x.n] * grid.x.n + columns[k % old.x.n];
        let kept = same_weights(vectors, old.point(k), grid.point(new));
        Ok::<_, Error>(kept.then_some(Cell { k: new, ..cell }))
    })?;
    let mut cells = vec![None; grid.len()];
    for cell in found.into_iter().flatten() {
        cells[cell.k] = Some(cell);
    }
    Ok(cells)
}

/// For each coordinate of `old` its index in `new`.
fn places(name: &str, old: &Axis, new: &Axis) -> Result<Vec<usize>> {
    let values = new.values();
    let step = if old.n > 1 { (old.max - old.min) / (old.n - 1) as f64 } else { 1.0 };
    (0..old.n)
        .map(|i| {
            let at = old.at(i);
            let near = values.iter().position(|v| (v - at).abs() <= SAME * step.abs());
            near.ok_or_else(|| not_on_it(name, old, at))
        })
        .collect()
}

fn not_on_it(name: &str, old: &Axis, at: f64) -> Error {
    let Axis { min, max, n } = *old;
    let step = (max - min) / (n.max(2) - 1) as f64;
    Error::Landscape {
        what: format!(
            "the old point {name} = {at} is not on the new grid, and what was computed there would be lost"
        ),
        remedy: format!(
            "ask for a grid that contains the old one: along {name} it has {n} points from {min} to {max}; \
             twice as fine are {} of them, twice as wide are {} from {} to {}",
            2 * n - 1,
            2 * n - 1,
            min - (n / 2) as f64 * step,
            max + (n - 1 - n / 2) as f64 * step
        ),
    }
}

/// Whether the weights at `a` and `b` are the same, bit for bit.
fn same_weights([origin, x, y]: [&[f32]; 3], a: [f64; 2], b: [f64; 2]) -> bool {
    let at = |[a, b]: [f64; 2], i: usize| {
        (f64::from(origin[i]) + a * f64::from(x[i]) + b * f64::from(y[i])) as f32
    };
    a == b || (0..origin.len()).all(|i| at(a, i).to_bits() == at(b, i).to_bits())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::super::evaluate;
    use super::super::evaluate::tests::{PLANE, header};
    use super::*;
    use crate::objective::{Evaluation, Objective, TestFunction};

    /// Counts how often it is evaluated.
    struct Counted(AtomicUsize);

    impl Objective for Counted {
        fn dim(&self) -> usize {
            2
        }
        fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
            self.0.fetch_add(1, Ordering::Relaxed);
            TestFunction::Himmelblau.loss(theta)
        }
        fn loss_and_grad(&self, _: &[f32], _: &mut [f32]) -> Result<f64> {
            unreachable!("a surface needs no gradient")
        }
    }

    fn on(grid: Grid) -> Header {
        Header { grid, ..header(1) }
    }

    fn fill(store: &mut SurfaceStore) -> usize {
        let counted = Counted(AtomicUsize::new(0));
        evaluate(store, PLANE, &counted, &AtomicBool::new(false), &|_, _| ()).unwrap();
        counted.0.into_inner()
    }

    fn axis(min: f64, max: f64, n: usize) -> Axis {
        Axis { min, max, n }
    }

    #[test]
    fn a_finer_and_then_wider_surface_computes_new_cells_alone_and_has_the_bytes_of_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let small = Grid { x: axis(-1.0, 1.0, 11), y: axis(0.0, 3.0, 7) };
        let mut store = SurfaceStore::begin(folder.path(), on(small), false).unwrap();
        assert_eq!(fill(&mut store), 77);
        drop(store);
        let finer = Grid { x: axis(-1.0, 1.0, 21), y: axis(0.0, 3.0, 13) };
        let wider = Grid { x: axis(-2.0, 2.0, 41), y: axis(-0.75, 3.0, 16) };
        let mut before = 77;
        for grid in [finer, wider] {
            let (mut store, kept) = SurfaceStore::extend(folder.path(), on(grid), PLANE).unwrap();
            assert_eq!(kept, before);
            assert_eq!(fill(&mut store), grid.len() - kept);
            drop(store);
            let whole = tempfile::tempdir().unwrap();
            let mut store = SurfaceStore::begin(whole.path(), on(grid), false).unwrap();
            fill(&mut store);
            let of = |name: &str| {
                [folder.path(), whole.path()].map(|f| std::fs::read(f.join(name)).unwrap())
            };
            for name in ["cells.jsonl", "grid.json"] {
                let [a, b] = of(name);
                assert_eq!(a, b, "{name}");
            }
            before = grid.len();
        }
        // Nothing to do, and nothing is lost.
        let (store, kept) = SurfaceStore::extend(folder.path(), on(wider), PLANE).unwrap();
        assert_eq!((kept, store.missing().len()), (wider.len(), 0));
    }

    #[test]
    fn a_kill_while_a_surface_becomes_another_leaves_one_or_the_other() {
        let of = |folder: &Path| {
            let small = Grid { x: axis(-1.0, 1.0, 5), y: axis(0.0, 3.0, 4) };
            let mut store = SurfaceStore::begin(folder, on(small), false).unwrap();
            fill(&mut store);
        };
        let finer = Grid { x: axis(-1.0, 1.0, 9), y: axis(0.0, 3.0, 7) };
        let written = tempfile::tempdir().unwrap();
        of(written.path());
        let old = std::fs::read(written.path().join("grid.json")).unwrap();
        let old_cells = std::fs::read(written.path().join("cells.jsonl")).unwrap();
        let store = SurfaceStore::open(written.path()).unwrap();
        let cells = moved(&store, &finer, PLANE).unwrap();
        super::super::change::write(written.path(), &on(finer), &cells).unwrap();
        let change = std::fs::read(written.path().join("change.json")).unwrap();
        super::super::change::finish(written.path()).unwrap();
        let new =
            ["grid.json", "cells.jsonl"].map(|f| std::fs::read(written.path().join(f)).unwrap());
        assert!(!written.path().join("change.json").exists());
        // Killed after the change was written, after the cells, after the header.
        for (grid, cells) in [(&old, &old_cells), (&old, &new[1]), (&new[0], &new[1])] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("grid.json"), grid).unwrap();
            std::fs::write(folder.path().join("cells.jsonl"), cells).unwrap();
            std::fs::write(folder.path().join("change.json"), &change).unwrap();
            // A reader sees the new one, and the next writer goes on with it.
            let seen = SurfaceStore::open(folder.path()).unwrap();
            assert_eq!((seen.header.grid, seen.cells.iter().flatten().count()), (finer, 20));
            let mut store = SurfaceStore::begin(folder.path(), on(finer), false).unwrap();
            assert!(!folder.path().join("change.json").exists());
            assert_eq!(fill(&mut store), finer.len() - 20);
        }
    }

    #[test]
    fn what_cannot_be_reused_is_refused_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let small = Grid { x: axis(-1.0, 1.0, 5), y: axis(0.0, 3.0, 4) };
        let refused = |header: Header| {
            SurfaceStore::extend(folder.path(), header, PLANE).unwrap_err().to_string()
        };
        assert!(refused(on(small)).contains("no surface"));
        let mut store = SurfaceStore::begin(folder.path(), on(small), false).unwrap();
        fill(&mut store);
        drop(store);
        let finer = Grid { x: axis(-1.0, 1.0, 9), y: axis(0.0, 3.0, 7) };
        let other = |change: &dyn Fn(&mut Header)| {
            let mut header = on(finer);
            change(&mut header);
            refused(header)
        };
        let plane = other(&|h| h.plane_digest = "q".into());
        assert!(plane.contains("another plane") && plane.contains("--name"), "{plane}");
        assert!(other(&|h| h.on.data_digest = "d".into()).contains("other data"));
        assert!(other(&|h| h.on.backend = "candle".into()).contains("engine"));
        assert!(other(&|h| h.on.precision = crate::backend::Precision::Bf16).contains("bf16"));
        // A grid without the old points would lose them.
        let lost = refused(on(Grid { x: axis(-1.0, 1.0, 8), ..finer }));
        assert!(lost.contains("x = -0.5") && lost.contains("9 of them"), "{lost}");
        let narrow = refused(on(Grid { y: axis(0.0, 2.0, 3), ..finer }));
        assert!(narrow.contains("y = 3"), "{narrow}");
        let left = SurfaceStore::open(folder.path()).unwrap();
        assert_eq!((left.header.grid, left.missing().len()), (small, 0));
    }
}
