//! What stages work on: a run opened once, a set of runs that share planes, and a plane with a surface
//! and the paths over it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::disk;
use crate::landscape::{Cell, PathCoord, Plane, SurfaceStore};
use crate::models::Shortcut;
use crate::network::{Network, ParamLayout};
use crate::record::{self, Joint, Metrics, Run, RunSnapshots, SnapshotInfo};
use crate::render::numbers::number;
use crate::render::scene::{ContourPanel, Grid, PathPoint};
use crate::spec::{Spec, changed_keys};
use crate::{Error, Result};

/// A run whose files are read when they are first asked for, and then kept.
#[derive(Debug, Clone)]
pub struct OpenRun {
    run: Run,
    spec: OnceLock<Spec>,
    network: OnceLock<Network>,
    layout: OnceLock<ParamLayout>,
    metrics: OnceLock<Metrics>,
}

/// What `cell` holds, made by `make` at the first call.
fn cached<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(found) = cell.get() {
        return Ok(found);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

impl OpenRun {
    /// `run`, of which nothing is read yet.
    pub fn new(run: Run) -> Self {
        Self {
            run,
            spec: OnceLock::new(),
            network: OnceLock::new(),
            layout: OnceLock::new(),
            metrics: OnceLock::new(),
        }
    }

    /// Opens the run in `root`.
    ///
    /// # Errors
    /// Those of [`Run::open`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Run::open(root).map(Self::new)
    }

    /// The run's folder.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The folder's own name.
    pub fn name(&self) -> String {
        self.run.name()
    }

    /// The resolved spec.
    ///
    /// # Errors
    /// [`Error::NoSpec`] for a run that a training loop of its own recorded; [`Error::SpecChanged`]
    /// where it is no longer what the run was trained by; those of reading and parsing it.
    pub fn spec(&self) -> Result<&Spec> {
        if self.run.is_without_spec() {
            return Err(Error::NoSpec { run: self.name() });
        }
        cached(&self.spec, || {
            let path = || self.run.root().join("spec.toml");
            // It was whole when the run began: what does not parse is damage, and the file is named.
            let spec = Spec::parse(&self.run.spec_toml()?, &[]).map_err(|e| Error::BadFile {
                what: e.to_string(),
                remedy: "restore it: the manifest holds its text as `spec`".into(),
                path: path(),
            })?;
            let begun_by = self.run.manifest()?.spec;
            let keys = changed_keys(&begun_by, &spec.to_toml());
            if !begun_by.is_empty() && !keys.is_empty() {
                return Err(Error::SpecChanged { keys, path: path() });
            }
            Ok(spec)
        })
    }

    /// What training logged.
    ///
    /// # Errors
    /// Those of [`Run::metrics`].
    pub fn metrics(&self) -> Result<&Metrics> {
        cached(&self.metrics, || self.run.metrics())
    }

    /// The network, built without loading an image.
    ///
    /// # Errors
    /// Those of the spec and of building the network.
    pub fn network(&self) -> Result<&Network> {
        cached(&self.network, || {
            let spec = self.spec()?;
            let form = match spec.data.set.form() {
                Some(form) => Some(form),
                // Of data of one's own, what was written down when it was trained on them.
                None => self.run.manifest()?.data_form,
            };
            let (shape, classes) = form.ok_or_else(|| Error::Run {
                what: "the manifest does not say what images the run was trained on".into(),
                remedy: "restore it, or train the run again".into(),
                path: self.run.root().to_path_buf(),
            })?;
            spec.model.build(shape, classes)
        })
    }

    /// What the parameters in the snapshots are. All that paths, planes, spectra and histograms need of
    /// a network, so that they do not ask for the network itself.
    ///
    /// # Errors
    /// Those of [`OpenRun::network`], or of reading the layout that another training loop recorded.
    pub fn layout(&self) -> Result<&ParamLayout> {
        cached(&self.layout, || match self.run.recorded_layout()? {
            Some(layout) => Ok(layout),
            None => Ok(self.network()?.layout.clone()),
        })
    }

    /// The network in words: `ResNet-20 without shortcuts`, or the name that another training loop
    /// gave it.
    ///
    /// # Errors
    /// Those of the spec, or of the manifest.
    pub fn description(&self) -> Result<String> {
        if self.run.is_without_spec() {
            return Ok(self.run.manifest()?.arch);
        }
        let model = &self.spec()?.model;
        let shortcut = match model.shortcut {
            Shortcut::None => " without shortcuts",
            Shortcut::OptionA => " with option A shortcuts",
            Shortcut::Projection => "",
        };
        let residual = model.layers.is_empty()
            && (model.arch.starts_with("resnet") || model.arch.starts_with("wrn"));
        let name = architecture_words(&model.arch);
        Ok(format!("{name}{}", if residual { shortcut } else { "" }))
    }

    /// The optimizer in words: `SGD, learning rate 0.1`.
    ///
    /// # Errors
    /// Those of the spec.
    pub fn optimizer_words(&self) -> Result<String> {
        let optim = &self.spec()?.optim;
        let rule = optim.rule.words();
        Ok(format!("{rule}, learning rate {}", number(optim.lr())))
    }

    /// The snapshots that `keep` keeps, in order.
    ///
    /// # Errors
    /// Those of listing them and of the layout.
    pub fn snapshots(&self, keep: impl Fn(&SnapshotInfo) -> bool) -> Result<RunSnapshots> {
        let mut infos = self.run.snapshots()?;
        infos.retain(keep);
        Ok(RunSnapshots::new(infos, self.layout()?.clone()))
    }

    /// At most `most` of the snapshots that `keep` keeps, spread evenly with both ends among them, and
    /// how many `keep` keeps.
    ///
    /// # Errors
    /// Those of listing them and of the layout.
    pub(super) fn some_snapshots(
        &self,
        most: usize,
        keep: impl Fn(&SnapshotInfo) -> bool,
    ) -> Result<(RunSnapshots, usize)> {
        let mut infos = self.run.snapshots()?;
        infos.retain(keep);
        let total = infos.len();
        let some = spread(total, most).into_iter().map(|i| infos[i].clone()).collect();
        Ok((RunSnapshots::new(some, self.layout()?.clone()), total))
    }

    /// The snapshots of `path`, in its order.
    ///
    /// # Errors
    /// [`Error::StalePath`] where the run has not all of them.
    pub fn snapshots_of(&self, path: &[PathCoord]) -> Result<RunSnapshots> {
        let found = self.snapshots(|info| path.iter().any(|p| p.snapshot == info.index))?;
        if found.infos().len() != path.len() {
            return Err(Error::StalePath { run: self.name() });
        }
        Ok(found)
    }
}

/// An architecture as people write it: `ResNet-56`.
pub(super) fn architecture_words(arch: &str) -> String {
    for (prefix, name) in [
        ("resnet", "ResNet-"),
        ("vgg", "VGG-"),
        ("densenet-", "DenseNet-BC-"),
        ("densenet", "DenseNet-"),
        ("lenet", "LeNet-"),
        ("wrn-", "WRN-"),
    ] {
        if let Some(rest) = arch.strip_prefix(prefix) {
            return format!("{name}{rest}");
        }
    }
    arch.to_uppercase()
}

/// The runs whose paths are on one plane, and the folder with planes and surfaces: a run alone, or a
/// joint folder with several.
#[derive(Debug, Clone)]
pub struct RunSet {
    root: PathBuf,
    name: String,
    runs: Vec<OpenRun>,
    joint: Option<Joint>,
    /// Whether a run of a joint folder is no longer what it was when its planes were made.
    changed: bool,
}

impl RunSet {
    /// Opens a run, or a joint folder.
    ///
    /// # Errors
    /// Those of [`Run::open`] or [`Joint::open`].
    pub fn open(root: &Path) -> Result<Self> {
        if Joint::is_at(root) {
            Self::of_joint(Joint::open(root)?)
        } else {
            Ok(Run::open(root)?.into())
        }
    }

    /// [`RunSet::open`] for a stage that makes the plane again where a run went on.
    ///
    /// # Errors
    /// As [`RunSet::open`], without [`Error::RunChanged`].
    pub fn open_changed(root: &Path) -> Result<Self> {
        match Self::open(root) {
            Err(Error::RunChanged { .. }) => {
                Ok(Self { changed: true, ..Self::of_joint(Joint::open_changed(root)?)? })
            }
            opened => opened,
        }
    }

    /// Whether a run of this joint folder is no longer what it was when its planes were made.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// The runs of a joint folder.
    ///
    /// # Errors
    /// Those of opening them.
    pub fn of_joint(joint: Joint) -> Result<Self> {
        let runs = joint.runs()?.into_iter().map(OpenRun::new).collect();
        Ok(Self {
            root: joint.root().into(),
            name: joint.name(),
            runs,
            joint: Some(joint),
            changed: false,
        })
    }

    /// The folder's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The runs, in the order of the plane's paths.
    pub fn runs(&self) -> &[OpenRun] {
        &self.runs
    }

    /// Whether this is a joint folder.
    pub fn is_joint(&self) -> bool {
        self.joint.is_some()
    }

    /// Which run `name` means, by its name or its folder; the first where none is named.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the known ones.
    pub fn index_of(&self, name: Option<&str>) -> Result<usize> {
        match (name, &self.joint) {
            (None, _) => Ok(0),
            (Some(name), Some(joint)) => joint.index_of(name),
            (Some(name), None) if name == self.name => Ok(0),
            (Some(name), None) => Err(Error::unknown_name("run", name, &[&self.name])),
        }
    }

    /// The name of a run in this set.
    pub fn run_name(&self, index: usize) -> String {
        match &self.joint {
            Some(joint) => joint.names()[index].to_string(),
            None => self.name.clone(),
        }
    }

    /// The plane called `name`.
    ///
    /// # Errors
    /// Those of [`Plane::read`]; [`Error::StalePath`] for one of another number of runs.
    pub fn plane(&self, name: &str) -> Result<Plane> {
        let plane = Plane::read(&self.plane_path(name)?)?;
        if plane.about.paths.len() != self.runs.len() {
            return Err(Error::StalePath { run: self.name.clone() });
        }
        Ok(plane)
    }

    /// Writes `plane` as the plane called `name`; the one that is there already is left as it is, so
    /// that a complete run on a medium that cannot be written can be looked at again.
    ///
    /// # Errors
    /// Those of [`Plane::write`] and, of a joint folder, [`Joint::renew`].
    pub fn write_plane(&self, name: &str, plane: &Plane) -> Result<()> {
        let path = self.plane_path(name)?;
        if !Plane::read(&path).is_ok_and(|old| old == *plane) {
            disk::remove_temporaries(&self.root.join("planes"))?;
            plane.write(&path)?;
        }
        self.joint.clone().map_or(Ok(()), |mut joint| joint.renew())
    }

    /// The file of the plane called `name`.
    pub fn plane_path(&self, name: &str) -> Result<PathBuf> {
        record::plane_path(&self.root, name)
    }

    /// The folder of the surface called `name`.
    pub fn surface_dir(&self, name: &str) -> Result<PathBuf> {
        record::surface_dir(&self.root, name)
    }
}

impl From<Run> for RunSet {
    fn from(run: Run) -> Self {
        OpenRun::new(run).into()
    }
}

impl From<OpenRun> for RunSet {
    fn from(run: OpenRun) -> Self {
        Self {
            root: run.run.root().into(),
            name: run.name(),
            runs: vec![run],
            joint: None,
            changed: false,
        }
    }
}

/// A panel over a surface's grid with `values`, its axes labelled, without a path.
pub(super) fn panel(plane: &Plane, store: &SurfaceStore, values: Vec<f64>) -> ContourPanel {
    let grid = store.header.grid;
    // Levels part cells from each other: what counts is how well differences on the same images are known.
    let error = |cell: &Option<Cell>| cell.as_ref().map_or(f64::NAN, Cell::paired_se);
    ContourPanel {
        errors: store.cells.iter().map(error).collect(),
        // What is interpolated between evaluated cells is as smooth as they are: the caption says how many
        // were, and a heat map which.
        grid: Grid { xs: grid.x.values(), ys: grid.y.values(), values, interpolated: None },
        x_label: plane.axis_label(0),
        y_label: plane.axis_label(1),
        ..ContourPanel::default()
    }
}

/// A snapshot on a plane as a picture has it, its losses unknown.
pub(super) fn point_of(p: &PathCoord) -> PathPoint {
    PathPoint {
        step: p.step,
        epoch: p.epoch,
        time: p.epoch,
        x: p.x,
        y: p.y,
        true_loss: f64::NAN,
        plane_loss: None,
        lr: p.lr,
    }
}

/// A snapshot as a picture has it that shows no plane.
pub(super) fn moment_of(s: &SnapshotInfo) -> PathPoint {
    PathPoint { step: s.step, epoch: s.epoch, time: s.epoch, lr: s.lr, ..PathPoint::default() }
}

/// At most `most` of `0..n`, evenly spread, both ends among them.
pub(super) fn spread(n: usize, most: usize) -> Vec<usize> {
    if n <= most || most < 2 {
        return (0..n).collect();
    }
    (0..most).map(|i| i * (n - 1) / (most - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_both_ends_and_no_repetition() {
        assert_eq!(spread(3, 5), [0, 1, 2]);
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        let many = spread(10_000, 240);
        assert_eq!((many.len(), many[0], many[239]), (240, 0, 9999));
        assert!(many.windows(2).all(|w| w[0] < w[1]));
        assert!(spread(0, 5).is_empty());
    }

    #[test]
    fn architectures_are_written_as_people_write_them() {
        assert_eq!(
            ["resnet20", "wrn-56-4", "mlp"].map(architecture_words),
            ["ResNet-20", "WRN-56-4", "MLP"]
        );
    }
}
