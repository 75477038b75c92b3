//! The cells of a surface by all ranks of a job. Rank 0 writes each when it is there, in whichever order
//! they come; the finished log is put into the order, and so has the bytes, that one process gives it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::evaluate::AtCells;
use super::{Cell, Grid, SurfaceReport, SurfaceStore, evaluate};
use crate::objective::Objective;
use crate::parallel::{self, Job, Place, Slots, Taken, Team, Worker};
use crate::{Error, Result};

/// [`evaluate`] with the ranks of `team`, which `about` tells what the job is: each cell is written when
/// it is done, whoever computed it, and at the end the log has the bytes that one process gives it.
///
/// # Errors
/// As [`evaluate`]; [`Error::Rank`] for a rank that cannot do its part.
pub fn evaluate_among(
    team: &mut Team,
    about: &[u8],
    store: &mut SurfaceStore,
    vectors: [&[f32]; 3],
    objective: &dyn Objective,
    interrupt: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<SurfaceReport> {
    let missing = store.not_evaluated();
    if team.is_alone() || missing.is_empty() {
        return evaluate(store, vectors, objective, interrupt, progress);
    }
    let started = Instant::now();
    let total = store.cells.len();
    let at = AtCells::new(store.header.grid, vectors, objective)?;
    let done = AtomicUsize::new(total - missing.len());
    progress(total - missing.len(), total);
    let log = Mutex::new((store.log()?, &mut store.cells));
    let one = |place: &Place<'_>, &k: &usize| {
        let cell = match place {
            Place::Here => at.cell(k)?,
            Place::There(line) => match line.call(&(k as u64).to_le_bytes(), &mut |_| ()) {
                Some(bytes) => cell_of(k, &bytes, line.rank())?,
                None => return Ok(Taken::Left),
            },
        };
        let mut log = log.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        log.0.push(&cell)?;
        log.0.flush()?;
        log.1[k] = Some(cell);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        Ok(Taken::Done)
    };
    team.hand_out(about, &missing, parallel::threads(), interrupt, &one)?;
    drop(log);
    let done = total - store.not_evaluated().len();
    if done < total {
        return Err(Error::Interrupted {
            remedy: format!(
                "{done} of {total} cells are kept: the same command goes on from there"
            ),
        });
    }
    store.written_in_any_order();
    store.put_in_order()?;
    store.drop_interpolation()?;
    Ok(store.report(started.elapsed().as_secs_f64()))
}

/// The cell that a rank sent back.
fn cell_of(k: usize, bytes: &[u8], rank: usize) -> Result<Cell> {
    let cell: Option<Cell> = serde_json::from_slice(bytes).ok();
    cell.filter(|cell| cell.k == k).ok_or_else(|| Error::Rank {
        rank,
        what: format!("its answer is not cell {k}; start all ranks with the same version"),
    })
}

/// Computes cells of `grid` for rank 0, as [`evaluate_among`] hands them out.
///
/// # Errors
/// [`Error::Io`] when no thread can be made.
pub fn serve_cells(
    worker: &mut Worker,
    job: &Job,
    grid: &Grid,
    vectors: [&[f32]; 3],
    objective: &dyn Objective,
    stop: &AtomicBool,
) -> Result<()> {
    let at = AtCells::new(*grid, vectors, objective)?;
    let threads = parallel::threads();
    // As many again are on their way: no thread waits for the next message.
    let slots = Slots { threads, in_hand: 2 * threads };
    let one = |item: &[u8], _: &dyn Fn(Vec<u8>)| {
        let k = item.try_into().map_or(usize::MAX, |k| u64::from_le_bytes(k) as usize);
        if k >= grid.len() {
            let what = format!("cell {k} is not on the grid");
            return Err(Error::Landscape {
                what,
                remedy: "start all ranks with the same version".into(),
            });
        }
        Ok(serde_json::to_vec(&at.cell(k)?).expect("a cell is plain data"))
    };
    worker.work(job, slots, stop, &one)
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::tests::{PLANE, header};
    use super::*;
    use crate::objective::TestFunction;

    fn run(store: &mut SurfaceStore, objective: &dyn Objective) -> Result<SurfaceReport> {
        evaluate(store, PLANE, objective, &AtomicBool::new(false), &|_, _| ())
    }

    #[test]
    fn ranks_write_each_cell_once_and_leave_the_bytes_of_one_process() {
        let (whole, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut store = SurfaceStore::begin(whole.path(), header(15), false).unwrap();
        run(&mut store, &TestFunction::Himmelblau).unwrap();
        let of =
            |folder: &tempfile::TempDir| std::fs::read(folder.path().join("cells.jsonl")).unwrap();

        /// One call with two other ranks, cut short after so many cells.
        fn among(folder: &std::path::Path, cells: usize) -> Result<SurfaceReport> {
            let mut ends = parallel::channels::connect(3);
            let others = ends.split_off(1);
            let mut team = Team::new(Box::new(ends.remove(0)), 2);
            let mut store = SurfaceStore::begin(folder, header(15), false)?;
            let interrupt = AtomicBool::new(false);
            let stop = |done: usize, _: usize| interrupt.store(done > cells, Ordering::Relaxed);
            std::thread::scope(|scope| {
                for post in others {
                    scope.spawn(move || {
                        let stop = AtomicBool::new(false);
                        let mut worker = Worker::new(Box::new(post));
                        let grid = header(15).grid;
                        while let Some(job) = worker.next_job(&stop) {
                            serve_cells(
                                &mut worker,
                                &job,
                                &grid,
                                PLANE,
                                &TestFunction::Himmelblau,
                                &stop,
                            )
                            .unwrap();
                        }
                    });
                }
                let report = evaluate_among(
                    &mut team,
                    b"",
                    &mut store,
                    PLANE,
                    &TestFunction::Himmelblau,
                    &interrupt,
                    &stop,
                );
                drop(team);
                report
            })
        }
        among(shared.path(), 1000).unwrap();
        assert_eq!(of(&shared), of(&whole));

        // Cut short twice, then ended by ranks or by one process.
        for ends_alone in [false, true] {
            let cut = tempfile::tempdir().unwrap();
            for cells in [40, 150] {
                let error = among(cut.path(), cells).unwrap_err();
                assert!(matches!(error, Error::Interrupted { .. }), "{error}");
                let left = SurfaceStore::open(cut.path()).unwrap();
                let done = 225 - left.missing().len();
                assert!(done > cells && done < 225, "{done} cells are written");
            }
            if ends_alone {
                let mut store = SurfaceStore::begin(cut.path(), header(15), false).unwrap();
                run(&mut store, &TestFunction::Himmelblau).unwrap();
            } else {
                among(cut.path(), 1000).unwrap();
            }
            assert_eq!(of(&cut), of(&whole));
        }

        // A kill between the last cell and the order: the next call puts it right.
        let path = shared.path().join("cells.jsonl");
        let text = String::from_utf8(of(&shared)).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(3, 200);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let mut store = SurfaceStore::begin(shared.path(), header(15), false).unwrap();
        run(&mut store, &TestFunction::Himmelblau).unwrap();
        assert_eq!(of(&shared), of(&whole));
    }
}
