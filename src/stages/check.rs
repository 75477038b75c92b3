//! Whether what a run or a joint folder holds is what was written there: every artifact is read and
//! compared with its digest.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::opened::OpenRun;
use super::opened::RunSet;
use super::repair::{Flaw, flaws};
use super::snapshot_map;
use crate::disk;
use crate::landscape::{
    ConvexityCell, GradientCell, Plane, PointCell, PointStore, Stack, SurfaceStore,
};
use crate::record::{Joint, Manifest, Run, Status};
use crate::train::Verdict;
use crate::{Error, Result};

/// What kind of thing an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// `spec.toml`, or `layout.json` of a run that another loop recorded.
    Spec,
    /// `manifest.json`
    Manifest,
    /// `metrics.jsonl`
    Metrics,
    /// `snapshots/NNNNNN.safetensors`
    Snapshot,
    /// `checkpoint.safetensors`
    Checkpoint,
    /// `joint.json`
    Joint,
    /// `planes/NAME.safetensors`
    Plane,
    /// `surfaces/NAME/`, and the layers of a stack.
    Surface,
    /// `curves/NAME/`
    Curve,
    /// `curvature/NNNNNN.json`
    Curvature,
    /// `maps/NAME.json`
    Map,
    /// What a killed process left.
    LeftOver,
}

/// How an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactState {
    /// What was written.
    Whole,
    /// Readable, and without a digest that could tell: of an earlier version or another program.
    WithoutDigest,
    /// Not computed to its end; the same command goes on with it.
    Unfinished,
    /// Nothing that anybody needs.
    LeftOver,
    /// Not what was written, or not there.
    Damaged,
}

/// One artifact and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// Where, from the folder that was checked.
    pub path: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// How it is.
    pub state: ArtifactState,
    /// What is wrong, or how far it is, in words; empty for what is whole.
    pub what: String,
}

/// Reads everything in `root`, a run or a joint folder, and says of each artifact how it is. The runs of
/// a joint folder are only compared with what they were.
///
/// # Errors
/// [`Error::NoRun`] and [`Error::NotARun`] for a folder that is neither.
pub fn check(root: &Path) -> Result<Vec<Artifact>> {
    let mut found = Found { root: root.to_path_buf(), artifacts: Vec::new() };
    if !root.is_dir() {
        return Err(Error::NoRun { path: root.to_path_buf() });
    }
    if Joint::is_at(root) {
        found.joint()?;
    } else if Run::is_left_at(root) {
        found.run(&Run::unchecked(root))?;
    } else {
        return Err(Error::NotARun { path: root.to_path_buf() });
    }
    for (path, flaw) in flaws(root)? {
        let what = match flaw {
            Flaw::Temporary => "a file that a killed process did not finish",
            Flaw::TornLine => "its last line was not finished",
            Flaw::NoHeader => "values without the header that says what they are",
        };
        found.add(&path, ArtifactKind::LeftOver, ArtifactState::LeftOver, what);
    }
    Ok(found.artifacts)
}

struct Found {
    root: PathBuf,
    artifacts: Vec<Artifact>,
}

impl Found {
    fn add(&mut self, path: &Path, kind: ArtifactKind, state: ArtifactState, what: &str) {
        let path = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        self.artifacts.push(Artifact { path, kind, state, what: what.into() });
    }

    /// Adds what reading an artifact gave: how it is, or an error.
    fn read(&mut self, path: &Path, kind: ArtifactKind, read: Result<(ArtifactState, String)>) {
        match read {
            Ok((state, what)) => self.add(path, kind, state, &what),
            Err(error) => self.add(path, kind, ArtifactState::Damaged, &in_short(&error)),
        }
    }

    fn run(&mut self, run: &Run) -> Result<()> {
        let manifest = run.manifest();
        let path = run.root().join("manifest.json");
        let sealed = manifest.as_ref().map(|_| ()).map_err(in_short);
        match sealed {
            Ok(()) => self.read(&path, ArtifactKind::Manifest, json_state(&path)),
            Err(what) => self.add(&path, ArtifactKind::Manifest, ArtifactState::Damaged, &what),
        }
        let manifest = manifest.ok();
        self.spec(run);
        let path = run.root().join("metrics.jsonl");
        let metrics = run.metrics().map(|_| (ArtifactState::Whole, String::new()));
        self.read(&path, ArtifactKind::Metrics, metrics);
        self.snapshots(run, manifest.as_ref())?;
        self.checkpoint(run, manifest.as_ref());
        self.planes(manifest.as_ref().map(|m| m.layout_digest.as_str()))?;
        self.surfaces("surfaces", ArtifactKind::Surface)?;
        self.surfaces("curves", ArtifactKind::Curve)?;
        for path in entries(&run.root().join("curvature"))? {
            let number =
                path.file_stem().is_some_and(|s| s.to_string_lossy().parse::<u64>().is_ok());
            if number && path.extension().is_some_and(|e| e == "json") {
                let read = run.read_curvature(&path).and_then(|_| json_state(&path));
                self.read(&path, ArtifactKind::Curvature, read);
            }
        }
        Ok(())
    }

    fn spec(&mut self, run: &Run) {
        if run.is_without_spec() {
            let path = run.root().join("layout.json");
            let read = run.recorded_layout().and_then(|_| json_state(&path));
            return self.read(&path, ArtifactKind::Spec, read);
        }
        // Read with the manifest, whose copy of the spec is what it is compared with.
        let read = OpenRun::new(run.clone()).spec().map(|_| (ArtifactState::Whole, String::new()));
        self.read(&run.root().join("spec.toml"), ArtifactKind::Spec, read);
    }

    fn snapshots(&mut self, run: &Run, manifest: Option<&Manifest>) -> Result<()> {
        let mut last = None;
        let files = run.snapshot_files()?;
        // Numbers go up by one, unless the run was told to keep some of its snapshots only.
        let keeps_all = match OpenRun::new(run.clone()).spec() {
            Ok(spec) => spec.record.keep.is_all(),
            Err(Error::NoSpec { .. }) => true,
            Err(_) => false,
        };
        let before = self.artifacts.len();
        let mut expected = 0;
        for (index, _) in files.iter().filter(|_| keeps_all) {
            for missing in expected..*index {
                let path = run.snapshot_path(missing);
                self.add(&path, ArtifactKind::Snapshot, ArtifactState::Damaged, "it is missing");
            }
            expected = index + 1;
        }
        for (index, path) in files {
            let read = run.check_snapshot(index, &path, manifest.map(|m| m.layout_digest.as_str()));
            if let Ok((info, _)) = &read {
                last = last.max(Some(info.step));
            }
            let read = read.map(|(_, sealed)| (of_digest(sealed), String::new()));
            self.read(&path, ArtifactKind::Snapshot, read);
        }
        // A run that came to its end has the state at its end.
        let ended = manifest.and_then(|m| match m.status {
            Status::Ended { verdict, steps } if verdict != Verdict::Interrupted => Some(steps),
            _ => None,
        });
        if let Some(steps) = ended
            && last < Some(steps)
            && !run.is_without_spec()
        {
            let what = format!("the snapshot after step {steps}, the run's last, is missing");
            let path = run.root().join("snapshots");
            self.add(&path, ArtifactKind::Snapshot, ArtifactState::Damaged, &what);
        }
        // Where each is whole they may still be others.
        let is_whole = |a: &Artifact| a.state != ArtifactState::Damaged;
        if self.artifacts[before..].iter().all(is_whole)
            && let Some(manifest) = manifest
            && let Err(error) = run.check_snapshots(manifest)
        {
            let path = run.root().join("snapshots");
            self.read(&path, ArtifactKind::Snapshot, Err(error));
        }
        Ok(())
    }

    fn checkpoint(&mut self, run: &Run, manifest: Option<&Manifest>) {
        let path = run.root().join("checkpoint.safetensors");
        if run.is_without_spec() || manifest.is_none() && !path.exists() {
            return;
        }
        let read = run.check_checkpoint(manifest.map(|m| m.layout_digest.as_str()));
        let read = read.map(|sealed| (of_digest(sealed), String::new()));
        self.read(&path, ArtifactKind::Checkpoint, read);
    }

    fn planes(&mut self, layout_digest: Option<&str>) -> Result<()> {
        for path in entries(&self.root.join("planes"))? {
            if path.extension().is_none_or(|e| e != "safetensors") {
                continue;
            }
            let read =
                Plane::read_with_digest(&path).and_then(|(plane, sealed)| match layout_digest {
                    Some(digest) if plane.about.layout_digest != digest => Err(Error::WrongNetwork),
                    _ => Ok((of_digest(sealed), String::new())),
                });
            self.read(&path, ArtifactKind::Plane, read);
        }
        Ok(())
    }

    /// The surfaces, stacks or curves in the folder `name`.
    fn surfaces(&mut self, name: &str, kind: ArtifactKind) -> Result<()> {
        for path in entries(&self.root.join(name))? {
            if path.join("stack.json").exists() {
                self.stack(&path, kind);
            } else if path.join("grid.json").exists() {
                self.surface(&path, kind);
            }
        }
        Ok(())
    }

    fn stack(&mut self, path: &Path, kind: ArtifactKind) {
        let header = path.join("stack.json");
        let stack = match Stack::open(path) {
            Ok(stack) => stack,
            Err(error) => return self.read(&header, kind, Err(error)),
        };
        self.read(&header, kind, json_state(&header));
        for index in 0..stack.about.layers.len() {
            let layer = stack.layer_dir(index);
            if layer.join("grid.json").exists() {
                self.surface(&layer, kind);
            } else {
                let what = "this layer is not computed";
                self.add(&layer, kind, ArtifactState::Unfinished, what);
            }
        }
    }

    fn surface(&mut self, path: &Path, kind: ArtifactKind) {
        let read = SurfaceStore::open(path).and_then(|store| {
            store.path_losses()?;
            let (state, _) = json_state(&path.join("grid.json"))?;
            Ok(progress(store.missing().len(), store.cells.len(), state, "cells"))
        });
        self.read(path, kind, read);
        self.points::<GradientCell>(path, kind);
        self.points::<ConvexityCell>(path, kind);
    }

    /// What was measured at points of the surface in the folder `path`.
    fn points<C: PointCell>(&mut self, path: &Path, kind: ArtifactKind) {
        match PointStore::<C>::open(path) {
            Ok(None) => {}
            found => {
                let read = found.map(|store| {
                    let counts = store.map(|s| (s.missing().len(), s.cells.len()));
                    let (missing, all) = counts.unwrap_or_default();
                    progress(missing, all, ArtifactState::Whole, C::FOLDER)
                });
                self.read(&path.join(C::FOLDER), kind, read);
            }
        }
    }

    fn joint(&mut self) -> Result<()> {
        let root = self.root.clone();
        let path = root.join("joint.json");
        let read = Joint::open(&root).and_then(|_| json_state(&path));
        self.read(&path, ArtifactKind::Joint, read);
        self.planes(None)?;
        self.surfaces("surfaces", ArtifactKind::Surface)?;
        let Ok(set) = RunSet::open(&root) else { return Ok(()) };
        for path in entries(&root.join("maps"))? {
            if path.extension().is_some_and(|e| e == "json") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let read = snapshot_map::open(&set, &name).and_then(|_| json_state(&path));
                self.read(&path, ArtifactKind::Map, read);
            }
        }
        Ok(())
    }
}

/// How far something is that is computed value by value.
fn progress(
    missing: usize,
    all: usize,
    whole: ArtifactState,
    values: &str,
) -> (ArtifactState, String) {
    match missing {
        0 => (whole, String::new()),
        _ => (ArtifactState::Unfinished, format!("{} of {all} {values} are done", all - missing)),
    }
}

fn of_digest(sealed: bool) -> ArtifactState {
    if sealed { ArtifactState::Whole } else { ArtifactState::WithoutDigest }
}

/// How a JSON file is that was read already.
fn json_state(path: &Path) -> Result<(ArtifactState, String)> {
    let text = disk::read_text(path, "read it again")?;
    let sealed = disk::is_sealed(&text).ok().flatten();
    Ok((of_digest(sealed == Some(true)), String::new()))
}

/// What is wrong, without the path, which the artifact has.
fn in_short(error: &Error) -> String {
    match error {
        Error::BadFile { what, .. } => what.clone(),
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// What a folder holds, sorted; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list the folder", folder)(e)),
    };
    let mut paths = Vec::new();
    for entry in read {
        let path = entry.map_err(Error::io("list the folder", folder))?.path();
        if !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
