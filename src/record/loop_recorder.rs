//! Records a training loop that is not lossreel's own: somebody's model, data and optimizer.
//!
//! Such a run has no `spec.toml`, as nothing here could build its network. In its place is
//! `layout.json`, the names, shapes and roles of the parameters, which is all that a path, its plane,
//! spectrum and histograms need. A surface over it is evaluated by the caller's own loss.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::metrics::{EpochRecord, Line, StepRecord};
use super::snapshots::StateFile;
use super::writer::Writer;
use super::{Existing, FORMAT_VERSION, Manifest, Run, SnapshotInfo, Status};
use crate::disk::{JsonFile, JsonlWriter};
use crate::memory;
use crate::network::{ParamLayout, Role};
use crate::train::Verdict;
use crate::weights::StoredAs;
use crate::{Error, Result};

const LAYOUT: JsonFile = JsonFile {
    action: "read the run's layout",
    name: "the layout",
    remedy: "restore it, or record the run again",
};

/// `layout.json`.
#[derive(Serialize, Deserialize)]
struct LayoutFile {
    format_version: u32,
    parameters: Vec<ParameterLine>,
    buffers: Vec<BufferLine>,
}

#[derive(Serialize, Deserialize)]
struct ParameterLine {
    name: String,
    shape: Vec<usize>,
    role: Role,
}

#[derive(Serialize, Deserialize)]
struct BufferLine {
    name: String,
    shape: Vec<usize>,
}

/// More values than the tensors of any network have: products and sums of less do not overflow.
const MOST_VALUES: u64 = 1 << 48;

/// Writes the run folder of a training loop of one's own.
///
/// Snapshots are written behind the loop: [`LoopRecorder::snapshot`] returns when the values are copied,
/// and waits only while 64 MiB or two snapshots, whichever is more, are still to be written.
/// [`LoopRecorder::flush`] returns when all that was recorded so far is on disk, and so does
/// [`LoopRecorder::finish`], which says in the manifest that the run has ended. An error of the writing
/// comes back from the next call. A recorder that is dropped writes what it was given first.
pub struct LoopRecorder {
    run: Run,
    layout: Arc<ParamLayout>,
    stored: StoredAs,
    layout_digest: String,
    steps_per_epoch: u64,
    log: JsonlWriter,
    taken: usize,
    last: Option<StepRecord>,
    started: Instant,
    // Dropped before the lock: while it writes, the folder is ours.
    writer: Writer,
    _lock: File,
}

impl LoopRecorder {
    /// Begins the run folder `root` of a network with the parameters `layout`, called `name` in titles,
    /// whose training makes `steps_per_epoch` optimizer steps an epoch.
    ///
    /// # Errors
    /// [`Error::RunExists`] and [`Error::FolderInUse`] as for [`Run::create`], [`Error::BadValue`] for
    /// no steps in an epoch, [`Error::Io`].
    pub fn create(
        root: impl Into<PathBuf>,
        name: &str,
        layout: &ParamLayout,
        steps_per_epoch: u64,
        existing: Existing,
    ) -> Result<Self> {
        if steps_per_epoch == 0 {
            return Err(Error::bad_value("steps_per_epoch", 0, "no step", "use at least 1"));
        }
        let (run, lock) = Run::create_without_spec(root.into(), &layout_text(layout), existing)?;
        let layout_digest = layout.digest();
        let (cpu, cpu_features) = Manifest::cpu();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        run.write_manifest(&Manifest {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            git_commit: None,
            seed: 0,
            dataset: "own data".into(),
            data_digest: String::new(),
            data_form: None,
            samples: [0, 0],
            arch: name.into(),
            layout_digest: layout_digest.clone(),
            parameters: layout.dim(),
            backend: "own loop".into(),
            cpu,
            cpu_features,
            plan: String::new(),
            threads: rayon::current_num_threads(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            started_unix_secs: since_1970.as_secs(),
            elapsed_secs: 0.0,
            status: Status::Unfinished,
            begun_in: None,
            snapshots_digest: None,
            imported: false,
            spec: String::new(),
        })?;
        let snapshot = size_of::<f32>() * (layout.dim() + layout.buffer_dim());
        Ok(Self {
            log: JsonlWriter::append(&run.metrics_path())?,
            writer: Writer::start(2 * snapshot, run.root())?,
            run,
            layout: Arc::new(layout.clone()),
            stored: StoredAs::F32,
            layout_digest,
            steps_per_epoch,
            taken: 0,
            last: None,
            started: Instant::now(),
            _lock: lock,
        })
    }

    /// The run folder.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Stores theta in snapshots as `stored`, where this is not `f32` rounded.
    pub fn store_as(mut self, stored: StoredAs) -> Self {
        self.stored = stored;
        self
    }

    /// Logs a step that was made: its number from 1, the learning rate, the batch's mean loss before
    /// the update, the share of right answers in it (NaN where nothing is classified) and the L2 norm
    /// of the gradient (NaN where it is not known).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn step(
        &mut self,
        step: u64,
        lr: f64,
        loss: f64,
        accuracy: f64,
        grad_norm: f64,
    ) -> Result<()> {
        self.log_step(StepRecord {
            step,
            epoch: self.epoch_of(step),
            lr,
            loss,
            accuracy,
            grad_norm,
            elapsed_secs: Some(self.started.elapsed().as_secs_f64()),
        })
    }

    /// [`LoopRecorder::step`] for a caller that counts epochs and seconds itself: its epochs may differ
    /// in length.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn log_step(&mut self, record: StepRecord) -> Result<()> {
        self.log.push(&Line::Step(record.clone()))?;
        self.last = Some(record);
        Ok(())
    }

    /// Logs an epoch that has ended after `step` steps: loss and share of right answers on the
    /// training and on the test images, NaN where they were not evaluated.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn epoch(&mut self, step: u64, train: [f64; 2], test: [f64; 2]) -> Result<()> {
        let last = self.last.as_ref();
        self.log_epoch(EpochRecord {
            epoch: step / self.steps_per_epoch,
            step,
            lr: last.map_or(f64::NAN, |s| s.lr),
            running_loss: last.map_or(f64::NAN, |s| s.loss),
            running_accuracy: last.map_or(f64::NAN, |s| s.accuracy),
            train_loss: train[0],
            train_accuracy: train[1],
            test_loss: test[0],
            test_accuracy: test[1],
            elapsed_secs: self.started.elapsed().as_secs_f64(),
        })
    }

    /// [`LoopRecorder::epoch`] for a caller that counts epochs and seconds itself.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn log_epoch(&mut self, record: EpochRecord) -> Result<()> {
        self.log.push(&Line::Epoch(record))?;
        self.log.flush()
    }

    /// Takes a snapshot after `step` steps: `theta`, (P,), and the flat `buffers`, in the order of the
    /// layout. The first one, of the initial weights, has the step 0. Returns when they are copied, or with
    /// the error of an earlier snapshot.
    ///
    /// # Errors
    /// [`Error::BadValue`] for vectors of another length, [`Error::Io`].
    pub fn snapshot(&mut self, step: u64, theta: &[f32], buffers: &[f32]) -> Result<()> {
        self.snapshot_at(step, self.epoch_of(step), theta, buffers)
    }

    /// [`LoopRecorder::snapshot`] for a caller that counts epochs itself: after `epoch` of them, which
    /// need not be whole.
    ///
    /// # Errors
    /// As [`LoopRecorder::snapshot`].
    pub fn snapshot_at(
        &mut self,
        step: u64,
        epoch: f64,
        theta: &[f32],
        buffers: &[f32],
    ) -> Result<()> {
        for (what, got, want) in [
            ("theta", theta.len(), self.layout.dim()),
            ("buffers", buffers.len(), self.layout.buffer_dim()),
        ] {
            if got != want {
                return Err(Error::bad_value(
                    what,
                    got,
                    format!("values for a layout of {want}"),
                    "give the values of every tensor of the layout, in its order",
                ));
            }
        }
        let last = self.last.as_ref();
        let info = SnapshotInfo {
            path: self.run.snapshot_path(self.taken),
            index: self.taken,
            step,
            epoch,
            lr: last.map_or(f64::NAN, |s| s.lr),
            batch_loss: last.map_or(f64::NAN, |s| s.loss),
            diverged: !theta.iter().all(|w| w.is_finite()),
            rounding: 0.0,
            digest: None,
        };
        let bytes = size_of::<f32>() * (theta.len() + buffers.len());
        self.writer.write(bytes, || StateFile {
            metadata: info.metadata(&self.layout_digest),
            path: info.path,
            layout: self.layout.clone(),
            theta: theta.to_vec(),
            buffers: buffers.to_vec(),
            extra: Vec::new(),
            stored: self.stored,
        })?;
        self.log.flush()?;
        self.taken += 1;
        Ok(())
    }

    /// Waits until the log and all snapshots so far are on disk.
    ///
    /// # Errors
    /// [`Error::Io`], also of what was recorded earlier.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.sync_log(&mut self.log)?;
        self.writer.wait()
    }

    /// Ends the run, when all of it is on disk.
    ///
    /// # Errors
    /// [`Error::Io`], also of what was recorded earlier.
    pub fn finish(mut self) -> Result<Run> {
        self.flush()?;
        let mut manifest = self.run.manifest()?;
        manifest.elapsed_secs = self.started.elapsed().as_secs_f64();
        let steps = self.last.as_ref().map_or(0, |s| s.step);
        manifest.status = Status::Ended { verdict: Verdict::Finished, steps };
        manifest.snapshots_digest = self.run.snapshots_digest()?;
        self.run.write_manifest(&manifest)?;
        Ok(self.run.clone())
    }

    fn epoch_of(&self, step: u64) -> f64 {
        step as f64 / self.steps_per_epoch as f64
    }
}

fn layout_text(layout: &ParamLayout) -> String {
    let parameters = layout.params.iter().map(|p| ParameterLine {
        name: p.name.clone(),
        shape: p.shape.clone(),
        role: p.role,
    });
    let buffers =
        layout.buffers.iter().map(|b| BufferLine { name: b.name.clone(), shape: b.shape.clone() });
    let file = LayoutFile {
        format_version: FORMAT_VERSION,
        parameters: parameters.collect(),
        buffers: buffers.collect(),
    };
    LAYOUT.text(&file)
}

impl Run {
    /// The layout of a run that a training loop of its own recorded; `None` for a run of
    /// `lossreel train`, whose spec says what its network is.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BadFile`] when it does not parse.
    pub fn recorded_layout(&self) -> Result<Option<ParamLayout>> {
        let path = self.layout_path();
        let Some(file) = LAYOUT.read_if_there::<LayoutFile>(&path)? else { return Ok(None) };
        let shapes = file.parameters.iter().map(|p| &p.shape);
        let values =
            shapes.chain(file.buffers.iter().map(|b| &b.shape)).try_fold(0, |sum, shape| {
                memory::product(shape).and_then(|values| values.checked_add(sum))
            });
        if values.is_none_or(|values| values > MOST_VALUES) {
            return Err(LAYOUT.bad("its tensors are larger than any memory".into(), &path));
        }
        let parameters = file.parameters.into_iter().map(|p| (p.name, p.shape, p.role));
        let buffers = file.buffers.into_iter().map(|b| (b.name, b.shape));
        Ok(Some(ParamLayout::of_tensors(parameters, buffers)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::record::RunSnapshots;
    use crate::trajectory::Snapshots;

    fn layout() -> ParamLayout {
        let parameters = [
            ("fc.weight".to_string(), vec![3, 2], Role::Weight),
            ("fc.bias".to_string(), vec![3], Role::Bias),
        ];
        ParamLayout::of_tensors(parameters, [("bn.running_mean".to_string(), vec![3])])
    }

    #[test]
    fn a_loop_of_ones_own_leaves_a_run_that_opens_with_its_layout_metrics_and_snapshots() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("own");
        let layout = layout();
        let mut recorder =
            LoopRecorder::create(&root, "my net", &layout, 2, Existing::Refuse).unwrap();
        let theta = |step: u64| (0..9).map(|i| (i + step) as f32).collect::<Vec<_>>();
        recorder.snapshot(0, &theta(0), &[0.0; 3]).unwrap();
        for step in 1..=4 {
            recorder.step(step, 0.1, 1.0 / step as f64, 0.5, 2.0).unwrap();
            recorder.snapshot(step, &theta(step), &[step as f32; 3]).unwrap();
        }
        recorder.epoch(4, [0.3, 0.9], [f64::NAN, f64::NAN]).unwrap();
        recorder.finish().unwrap();

        let run = Run::open(&root).unwrap();
        assert_eq!(run.recorded_layout().unwrap().unwrap(), layout);
        let metrics = run.metrics().unwrap();
        assert_eq!((metrics.steps.len(), metrics.epochs.len()), (4, 1));
        let snapshots = RunSnapshots::new(run.snapshots().unwrap(), layout.clone());
        assert_eq!(snapshots.len(), 5);
        assert_eq!(snapshots.state(3).unwrap(), (theta(3), vec![3.0; 3]));
        let info = &snapshots.infos()[3];
        assert_eq!((info.step, info.epoch, info.lr, info.diverged), (3, 1.5, 0.1, false));
        assert!(matches!(run.manifest().unwrap().status, Status::Ended { steps: 4, .. }));

        let again = LoopRecorder::create(&root, "my net", &layout, 2, Existing::Refuse);
        assert!(matches!(again, Err(Error::RunExists { .. })));
        LoopRecorder::create(&root, "my net", &layout, 2, Existing::Replace).unwrap();
        assert!(Run::open(&root).unwrap().snapshots().is_err(), "the old snapshots are gone");
    }

    #[test]
    fn a_layout_json_of_somebody_else_makes_no_run_that_could_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("site");
        fs::create_dir_all(root.join("snapshots")).unwrap();
        fs::write(root.join("layout.json"), r#"{"columns": 2}"#).unwrap();
        fs::write(root.join("snapshots/mine.txt"), "words").unwrap();
        assert!(matches!(Run::open(&root), Err(Error::NotARun { .. })));
        let refused = [
            Run::create(&root, "", Existing::Replace).err(),
            LoopRecorder::create(&root, "net", &layout(), 1, Existing::Replace).err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(Error::FolderInUse { .. })), "{error:?}");
        }
        assert_eq!(fs::read_to_string(root.join("snapshots/mine.txt")).unwrap(), "words");
        assert!(!root.join(".lock").exists());
    }

    #[test]
    fn vectors_that_are_not_the_layouts_are_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder =
            LoopRecorder::create(folder.path().join("own"), "net", &layout(), 1, Existing::Refuse)
                .unwrap();
        let error = recorder.snapshot(0, &[0.0; 8], &[0.0; 3]).unwrap_err().to_string();
        assert!(error.contains("theta") && error.contains('9'), "{error}");
        assert!(recorder.snapshot(0, &[0.0; 9], &[]).is_err());
        recorder.flush().unwrap();
        assert!(recorder.run().snapshots().is_err());
    }

    #[test]
    fn what_was_handed_over_is_on_disk_after_a_flush_and_after_a_drop() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("own");
        let mut recorder =
            LoopRecorder::create(&root, "net", &layout(), 1, Existing::Refuse).unwrap();
        recorder.snapshot(0, &[0.0; 9], &[0.0; 3]).unwrap();
        recorder.step(1, 0.1, 1.0, 0.5, 2.0).unwrap();
        recorder.flush().unwrap();
        let run = Run::open(&root).unwrap();
        assert_eq!(run.snapshots().unwrap().len(), 1);
        assert_eq!(run.metrics().unwrap().steps.len(), 1);
        for step in 1..=40 {
            recorder.snapshot(step, &[step as f32; 9], &[0.0; 3]).unwrap();
        }
        drop(recorder);
        assert_eq!(run.snapshots().unwrap().len(), 41);
        assert!(run.lock().is_ok(), "and the folder is free");
    }

    #[test]
    fn an_error_of_the_writing_comes_back_and_the_run_does_not_end_well() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("own");
        let mut recorder =
            LoopRecorder::create(&root, "net", &layout(), 1, Existing::Refuse).unwrap();
        fs::remove_dir(root.join("snapshots")).unwrap();
        recorder.snapshot(0, &[0.0; 9], &[0.0; 3]).unwrap();
        let error = recorder.flush().unwrap_err().to_string();
        assert!(error.contains("000000.safetensors"), "{error}");
        assert!(recorder.snapshot(1, &[0.0; 9], &[0.0; 3]).is_err());
        assert!(recorder.finish().is_err());
        assert_eq!(Run::open(&root).unwrap().manifest().unwrap().status, Status::Unfinished);
    }

    #[test]
    fn rounded_snapshots_say_by_how_much_and_other_readers_find_every_tensor_aligned() {
        let theta: Vec<f32> = (0..9).map(|i| 1.0 + i as f32 / 1000.0).collect();
        let means = [0.1f32, 0.2, 0.3];
        for (stored, dtype) in [
            (StoredAs::Bf16, ::safetensors::Dtype::BF16),
            (StoredAs::F16, ::safetensors::Dtype::F16),
            (StoredAs::F32, ::safetensors::Dtype::F32),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("own");
            let recorder = LoopRecorder::create(&root, "net", &layout(), 1, Existing::Refuse);
            let mut recorder = recorder.unwrap().store_as(stored);
            recorder.snapshot(0, &theta, &means).unwrap();
            let run = recorder.finish().unwrap();
            let infos = run.snapshots().unwrap();
            let bytes = fs::read(&infos[0].path).unwrap();
            let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            for (name, view) in file.tensors() {
                let wide = name == "bn.running_mean";
                let wanted = if wide { ::safetensors::Dtype::F32 } else { dtype };
                assert_eq!(view.dtype(), wanted, "{name}");
                let at = view.data().as_ptr() as usize - bytes.as_ptr() as usize - header;
                assert_eq!(at % if wide { 4 } else { stored.size() }, 0, "{name}");
            }
            let want: Vec<f32> = theta.iter().map(|&w| stored.rounded(w)).collect();
            let off = |i: usize| f64::from(want[i]) - f64::from(theta[i]);
            let norm = (0..9).map(|i| off(i) * off(i)).sum::<f64>().sqrt();
            assert_eq!(infos[0].rounding, norm);
            assert_eq!(norm > 0.0, stored != StoredAs::F32);
            let snapshots = RunSnapshots::new(infos, layout());
            assert_eq!(snapshots.state(0).unwrap(), (want.clone(), means.to_vec()));
            let mut part = [0.0; 4];
            snapshots.read_range(0, 4, &mut part).unwrap();
            assert_eq!(part, want[4..8]);
        }
    }
}
