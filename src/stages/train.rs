//! Spec to run folder: starts a run, or goes on with one.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use super::opened::OpenRun;
use super::{begin, data};
use crate::dataset::Dataset;
use crate::parallel;
use crate::record::{Existing, FORMAT_VERSION, Manifest, Recorder, Run, Status};
use crate::spec::Spec;
use crate::train::{self, Event, Setup, TrainState, Verdict};
use crate::trajectory::{MEMORY_BYTES, Snapshots, is_by_displacements};
use crate::{Error, Result};

/// A run ready to be trained.
pub struct Prepared {
    /// Its folder.
    pub run: Run,
    /// Everything training needs.
    pub setup: Setup,
    /// Where it starts.
    pub state: TrainState,
    /// What the user should know of that, in sentences.
    pub notes: Vec<String>,
    spec: Spec,
    /// The folder is ours from the first look on; handed to the recorder.
    lock: Option<File>,
}

/// Makes the folder of a new run of `spec`. Everything that can be refused (the spec, the data, the
/// shapes) is refused before the folder is touched.
///
/// # Errors
/// Those of the spec, the data and the folder.
pub fn create(spec: &Spec, out: &Path, existing: Existing) -> Result<Prepared> {
    let whole = spec.load_data()?;
    let setup = spec.setup(&whole)?;
    let mut state = setup.begin()?;
    let notes = begin::at(&spec.model, &setup, &mut state)?;
    let (run, lock) = Run::create(out, &spec.to_toml(), existing)?;
    run.write_manifest(&manifest(spec, &setup, &whole))?;
    Ok(Prepared { run, setup, state, notes, spec: spec.clone(), lock: Some(lock) })
}

/// Opens a run to go on from its checkpoint.
///
/// # Errors
/// Those of opening it, its data and its checkpoint; [`Error::SpecChanged`] where a key of the spec
/// changed that is not one of [`crate::spec::MAY_CHANGE`], [`Error::DataChanged`] for other images.
pub fn resume(out: &Path) -> Result<Prepared> {
    resume_with_data(out, None)
}

/// [`resume`] with the data in the folder `data_dir`, where they are no longer where the spec says.
///
/// # Errors
/// As [`resume`].
pub fn resume_with_data(out: &Path, data_dir: Option<&Path>) -> Result<Prepared> {
    let opened = OpenRun::open(out)?;
    let (run, spec) = (opened.run().clone(), opened.spec()?.clone());
    if run.manifest()?.imported {
        return Err(Error::Run {
            what: "the run was imported: nothing says how it was trained".into(),
            remedy: "begin a new run at its weights: lossreel train SPEC.toml --from RUN".into(),
            path: run.root().to_path_buf(),
        });
    }
    let lock = run.lock()?;
    let whole = data::of_run(&opened, data_dir)?;
    // A log that lost its end would have a gap, and so would a path that lost a snapshot.
    run.metrics()?;
    run.check_snapshots(&run.manifest()?)?;
    let setup = spec.setup(&whole)?;
    let state = run.read_checkpoint(&setup)?;
    Ok(Prepared { run, setup, state, notes: Vec::new(), spec, lock: Some(lock) })
}

impl Prepared {
    /// Trains to the end, recording; `on_event` is called with each event after
    /// it was recorded.
    ///
    /// # Errors
    /// Those of training and recording.
    pub fn train(
        &mut self,
        interrupt: &AtomicBool,
        on_event: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Verdict> {
        let lock = self.lock.take().map_or_else(|| self.run.lock(), Ok)?;
        let mut recorder = Recorder::new(&self.run, lock, &self.spec.record, &self.state)?;
        let mut manifest = self.run.manifest()?;
        manifest.status = Status::Unfinished;
        self.run.write_manifest(&manifest)?;
        let setup = &self.setup;
        let verdict = train::train(setup, &mut self.state, interrupt, &mut |event| {
            recorder.on(setup, &event)?;
            on_event(&event);
            Ok(())
        })?;
        if verdict != Verdict::Interrupted {
            self.keep_products()?;
        }
        Ok(verdict)
    }

    /// Computes the inner products of the snapshots, so that `plane` finds them, where that is nothing
    /// beside the training. It is decided by operations and not by time: a resumed run leaves the same
    /// files.
    fn keep_products(&self) -> Result<()> {
        let network = self.setup.backend.network();
        let snapshots = OpenRun::new(self.run.clone()).snapshots(|s| !s.diverged)?;
        let (count, dim) = (snapshots.len() as u64, snapshots.dim() as u64);
        let images = self.state.step.saturating_mul(self.setup.train.batch_size as u64);
        let training = images.saturating_mul(TRAIN_PASSES * network.macs());
        let products = count.saturating_mul(dim).saturating_mul(count / 2 + READING);
        if products > training / PRODUCTS_SHARE
            || is_by_displacements(snapshots.len(), snapshots.dim())
        {
            return Ok(());
        }
        self.run.inner_products(&snapshots, MEMORY_BYTES).map(drop)
    }
}

/// Forward passes that a training step on an image is worth.
const TRAIN_PASSES: u64 = 3;

/// Multiply-accumulates that reading a weight of a snapshot is worth.
const READING: u64 = 50;

/// The part of a training's multiply-accumulates that its snapshots' inner products may cost at its end.
const PRODUCTS_SHARE: u64 = 1000;

pub(super) fn manifest(spec: &Spec, setup: &Setup, whole: &Dataset) -> Manifest {
    let network = setup.backend.network();
    let (cpu, cpu_features) = Manifest::cpu();
    Manifest {
        format_version: FORMAT_VERSION,
        version: env!("CARGO_PKG_VERSION").into(),
        git_commit: option_env!("LOSSREEL_GIT_COMMIT").map(str::to_string),
        seed: spec.train.seed,
        dataset: whole.name.clone(),
        data_digest: whole.digest.clone(),
        data_form: spec.data.set.form().is_none().then(|| (whole.shape(), whole.classes)),
        samples: [setup.data.train.len(), setup.data.test.len()],
        arch: network.arch.clone(),
        layout_digest: network.layout.digest(),
        parameters: network.layout.dim(),
        backend: spec.train.backend.to_string(),
        cpu,
        cpu_features,
        plan: setup.backend.plan(),
        threads: parallel::threads(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        started_unix_secs: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        elapsed_secs: 0.0,
        status: Status::Unfinished,
        begun_in: data::begun_in(&spec.data),
        snapshots_digest: None,
        imported: false,
        spec: spec.to_toml(),
    }
}
