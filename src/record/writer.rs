//! Writes a run's files behind the training: a thread that takes what it is given in order.
//!
//! The order carries the promises of a run folder. The log is made durable before a checkpoint that
//! implies it, a snapshot before the checkpoint of a later state, and a snapshot is removed only after a
//! checkpoint that does not need it. What waits is bounded in bytes: whoever gives more waits until there
//! is room. The first error ends the writing, nothing that came after it is carried out, and it comes back
//! from the next call.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::snapshots::StateFile;
use crate::disk::JsonlWriter;
use crate::{Error, Result};

/// What may wait to be written at least, in bytes.
pub(super) const LEAST_BYTES: usize = 64 << 20;

/// A thing to do.
enum Job {
    /// Write a snapshot or a checkpoint.
    Write(StateFile),
    /// Make what the log holds outlive a power cut.
    SyncLog(File, PathBuf),
    /// Remove a file that is there, or was until a crash.
    Remove(PathBuf),
    #[cfg(test)]
    Call(Box<dyn FnOnce() -> Result<()> + Send>),
}

impl Job {
    fn run(self) -> Result<()> {
        match self {
            Job::Write(file) => file.write(),
            Job::SyncLog(log, path) => log.sync_data().map_err(Error::io("write the log", path)),
            Job::Remove(path) => match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(Error::io("remove a snapshot", path)(e))
                }
                _ => Ok(()),
            },
            #[cfg(test)]
            Job::Call(call) => call(),
        }
    }
}

/// What the two threads share.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<(Job, usize)>,
    /// Jobs that are waiting or being done.
    open: usize,
    /// Bytes that they hold, or for which there is a promise.
    bytes: usize,
    closed: bool,
    /// Whether a job has failed.
    failed: bool,
    /// Its error, until it is handed out.
    error: Option<Error>,
}

impl Queue {
    /// The error of a job that failed.
    fn check(&mut self, folder: &Path) -> Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None if self.failed => {
                let source =
                    io::Error::other("an earlier write failed, and nothing was written since");
                Err(Error::io("record the run", folder)(source))
            }
            None => Ok(()),
        }
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }

    /// Does jobs until the queue is closed and empty.
    fn work(&self) {
        loop {
            let mut queue = self.lock();
            let (job, bytes) = loop {
                match queue.jobs.pop_front() {
                    Some(job) => break job,
                    None if queue.closed => return,
                    None => queue = self.wait(queue),
                }
            };
            let skip = queue.failed;
            drop(queue);
            let result = if skip {
                drop(job);
                Ok(())
            } else {
                // A panic must not leave the training waiting for ever.
                catch_unwind(AssertUnwindSafe(|| job.run())).unwrap_or_else(|_| {
                    Err(Error::io("record the run", "")(io::Error::other("the writer panicked")))
                })
            };
            let mut queue = self.lock();
            queue.open -= 1;
            queue.bytes -= bytes;
            if let Err(error) = result {
                queue.failed = true;
                queue.error = Some(error);
            }
            self.changed.notify_all();
        }
    }
}

/// The thread and its queue. Dropped, it first finishes what it was given.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Bytes that may wait. A job larger than that waits alone.
    capacity: usize,
    folder: PathBuf,
}

impl Writer {
    /// Starts the thread. At most `capacity` bytes wait, or [`LEAST_BYTES`] where that is more. `folder`
    /// is for messages.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses a thread.
    pub fn start(capacity: usize, folder: &Path) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let works = shared.clone();
        let thread = Builder::new().name("lossreel writer".into()).spawn(move || works.work());
        let thread = Some(thread.map_err(Error::io("start a thread that writes", folder))?);
        let capacity = capacity.max(LEAST_BYTES);
        Ok(Self { shared, thread, capacity, folder: folder.to_path_buf() })
    }

    /// The error of something given earlier.
    ///
    /// # Errors
    /// That one.
    pub fn check(&self) -> Result<()> {
        self.shared.lock().check(&self.folder)
    }

    /// Has a file written that holds `bytes` bytes. Waits until there is room for them, then copies them
    /// with `copy`.
    ///
    /// # Errors
    /// That of something given earlier.
    pub fn write(&self, bytes: usize, copy: impl FnOnce() -> StateFile) -> Result<()> {
        self.give(bytes, || Job::Write(copy()))
    }

    /// Has what `log` holds by now made durable.
    ///
    /// # Errors
    /// That of handing the log's lines to the system, or of something given earlier.
    pub fn sync_log(&self, log: &mut JsonlWriter) -> Result<()> {
        let (file, path) = log.flushed()?;
        self.give(0, || Job::SyncLog(file, path))
    }

    /// Has a file removed.
    ///
    /// # Errors
    /// That of something given earlier.
    pub fn remove(&self, path: PathBuf) -> Result<()> {
        self.give(0, || Job::Remove(path))
    }

    /// Waits until all that was given is done.
    ///
    /// # Errors
    /// That of something given earlier.
    pub fn wait(&self) -> Result<()> {
        let mut queue = self.shared.lock();
        while queue.open > 0 {
            queue = self.shared.wait(queue);
        }
        queue.check(&self.folder)
    }

    fn give(&self, bytes: usize, make: impl FnOnce() -> Job) -> Result<()> {
        let mut queue = self.shared.lock();
        loop {
            queue.check(&self.folder)?;
            if queue.bytes == 0 || queue.bytes + bytes <= self.capacity {
                break;
            }
            queue = self.shared.wait(queue);
        }
        queue.bytes += bytes;
        drop(queue);
        let job = make();
        let mut queue = self.shared.lock();
        queue.jobs.push_back((job, bytes));
        queue.open += 1;
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // Its panics are caught where they happen.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn call(f: impl FnOnce() -> Result<()> + Send + 'static) -> Job {
        Job::Call(Box::new(f))
    }

    #[test]
    fn whoever_gives_more_than_there_is_room_for_waits_and_nothing_is_copied_meanwhile() {
        let writer = Arc::new(Writer::start(0, Path::new("run")).unwrap());
        let (open, gate) = mpsc::channel::<()>();
        let half = LEAST_BYTES / 2;
        let blocked = move || {
            gate.recv().unwrap();
            Ok(())
        };
        writer.give(half, || call(blocked)).unwrap();
        writer.give(half, || call(|| Ok(()))).unwrap();
        // Nothing at all always fits: a log is synced, a file removed.
        writer.give(0, || call(|| Ok(()))).unwrap();
        let copied = Arc::new(AtomicUsize::new(0));
        let (giver, copies) = (writer.clone(), copied.clone());
        let third = std::thread::spawn(move || {
            giver.give(1, || {
                copies.fetch_add(1, Ordering::SeqCst);
                call(|| Ok(()))
            })
        });
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(copied.load(Ordering::SeqCst), 0, "it is copied before there is room");
        open.send(()).unwrap();
        third.join().unwrap().unwrap();
        // More than the queue ever holds goes through alone.
        writer.give(10 * LEAST_BYTES, || call(|| Ok(()))).unwrap();
        writer.wait().unwrap();
        assert_eq!(writer.shared.lock().bytes, 0);
    }

    #[test]
    fn the_first_error_comes_back_and_nothing_after_it_is_done() {
        let writer = Writer::start(0, Path::new("run")).unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        let count = |done: &Arc<AtomicUsize>| {
            let done = done.clone();
            call(move || {
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        };
        let (open, gate) = mpsc::channel::<()>();
        writer.give(0, || count(&done)).unwrap();
        let full = || Error::io("write", "snapshot")(io::Error::other("no space left"));
        writer.give(0, || call(move || gate.recv().map_err(|_| full()).and(Err(full())))).unwrap();
        writer.give(0, || count(&done)).unwrap();
        open.send(()).unwrap();
        let error = writer.wait().unwrap_err().to_string();
        assert!(error.contains("no space left") && error.contains("snapshot"), "{error}");
        assert_eq!(done.load(Ordering::SeqCst), 1);
        // Nobody is told that all is well afterwards.
        for result in [writer.check(), writer.wait(), writer.give(0, || count(&done))] {
            assert!(result.unwrap_err().to_string().contains("an earlier write failed"));
        }
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_panic_is_an_error_and_a_dropped_writer_finishes_first() {
        let writer = Writer::start(0, Path::new("run")).unwrap();
        writer.give(0, || call(|| panic!("a bug"))).unwrap();
        assert!(writer.wait().unwrap_err().to_string().contains("panicked"));

        let done = Arc::new(AtomicUsize::new(0));
        let writer = Writer::start(0, Path::new("run")).unwrap();
        for _ in 0..20 {
            let done = done.clone();
            let slow = move || {
                std::thread::sleep(Duration::from_millis(1));
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            writer.give(0, || call(slow)).unwrap();
        }
        drop(writer);
        assert_eq!(done.load(Ordering::SeqCst), 20);
    }
}
