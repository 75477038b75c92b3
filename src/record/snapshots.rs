//! Snapshots: theta and buffers by name, in files that `safetensors.torch.load_file` reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::digest::sha256;
use crate::network::ParamLayout;
use crate::train::Verdict;
use crate::trajectory::Snapshots;
use crate::weights::{SafetensorsFile, StoredAs, write_safetensors_as};
use crate::{Error, Result};

use super::{Manifest, Run, Status};

/// What a snapshot's metadata say.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotInfo {
    /// The file.
    pub path: PathBuf,
    /// Its number, from 0.
    pub index: usize,
    /// Optimizer steps made.
    pub step: u64,
    /// Position in epochs.
    pub epoch: f64,
    /// Learning rate of the last step; that of the first for the initial state.
    pub lr: f64,
    /// Loss of the last batch trained on, before its update; NaN for the initial state.
    pub batch_loss: f64,
    /// Whether training ended here because the loss was no longer finite.
    pub diverged: bool,
    /// ||stored theta - theta|| where the element type rounds, 0 where it does not; NaN where theta is not
    /// finite.
    pub rounding: f64,
    /// SHA-256 of the tensors, where the file states it.
    pub digest: Option<String>,
}

impl SnapshotInfo {
    pub(super) fn metadata(&self, layout_digest: &str) -> Vec<(String, String)> {
        [
            ("format_version", super::FORMAT_VERSION.to_string()),
            ("version", env!("CARGO_PKG_VERSION").to_string()),
            ("layout_digest", layout_digest.to_string()),
            ("step", self.step.to_string()),
            ("epoch", self.epoch.to_string()),
            ("lr", self.lr.to_string()),
            ("batch_loss", self.batch_loss.to_string()),
            ("diverged", self.diverged.to_string()),
        ]
        .map(|(k, v)| (k.to_string(), v))
        .into()
    }

    pub(crate) fn read(path: PathBuf, index: usize) -> Result<Self> {
        let file = SafetensorsFile::open(&path)?;
        let field = |key: &str| {
            file.meta(key).ok_or_else(|| Error::BadFile {
                what: format!("the snapshot's metadata lack `{key}`"),
                remedy: "remove the file, or train the run again".into(),
                path: path.clone(),
            })
        };
        let bad = |key: &str| Error::BadFile {
            what: format!("the snapshot's `{key}` is not a number"),
            remedy: "remove the file, or train the run again".into(),
            path: path.clone(),
        };
        let number = |key: &str| field(key)?.parse::<f64>().map_err(|_| bad(key));
        let step = field("step")?.parse().map_err(|_| bad("step"))?;
        let diverged = field("diverged")? == "true";
        let (epoch, lr, batch_loss) = (number("epoch")?, number("lr")?, number("batch_loss")?);
        let rounding = if file.meta(ROUNDING).is_some() { number(ROUNDING)? } else { 0.0 };
        let digest = file.digest().map(str::to_string);
        Ok(Self { path, index, step, epoch, lr, batch_loss, diverged, rounding, digest })
    }
}

/// A state about to be written by name: copied, so that the training goes on meanwhile.
pub(super) struct StateFile {
    pub path: PathBuf,
    pub layout: Arc<ParamLayout>,
    /// (P,).
    pub theta: Vec<f32>,
    pub buffers: Vec<f32>,
    /// More vectors, by name.
    pub extra: Vec<(String, Vec<f32>)>,
    pub metadata: Vec<(String, String)>,
    /// What theta is stored in; the others are `f32`.
    pub stored: StoredAs,
}

impl StateFile {
    /// Writes the file. Where theta is rounded, the metadata say by how much in all.
    pub fn write(mut self) -> Result<()> {
        let (theta, buffers) = (&self.theta, &self.buffers);
        let lens: Vec<[usize; 1]> = self.extra.iter().map(|(_, v)| [v.len()]).collect();
        let rounded = self.stored != StoredAs::F32;
        if rounded {
            let norm = rounding_norm(theta, self.stored);
            self.metadata.push((ROUNDING.into(), norm.to_string()));
        }
        let params = self.layout.params.iter();
        let params = params.map(|p| (p.name.as_str(), p.shape.as_slice(), &theta[p.range()]));
        let wide = self.layout.buffers.iter();
        let wide = wide.map(|b| (b.name.as_str(), b.shape.as_slice(), &buffers[b.range()]));
        let extra = self.extra.iter().zip(&lens);
        let extra = extra.map(|((n, v), len)| (n.as_str(), len.as_slice(), v.as_slice()));
        let wide = wide.chain(extra);
        let narrow_from = if rounded { wide.clone().count() } else { 0 };
        // Wide elements go first, so that each begins at a multiple of its size.
        let tensors: Vec<_> =
            if rounded { wide.chain(params).collect() } else { params.chain(wide).collect() };
        let stored = |i: usize| if i < narrow_from { StoredAs::F32 } else { self.stored };
        write_safetensors_as(&self.path, &tensors, stored, &self.metadata)
    }
}

/// Metadata key of ||stored theta - theta||, in snapshots that are rounded.
const ROUNDING: &str = "rounding";

/// ||round(theta) - theta||.
fn rounding_norm(theta: &[f32], stored: StoredAs) -> f64 {
    let square = |&w: &f32| {
        let off = f64::from(stored.rounded(w)) - f64::from(w);
        off * off
    };
    theta.iter().map(square).sum::<f64>().sqrt()
}

/// Reads `theta`, (P,), and the flat buffers of a snapshot or a checkpoint.
///
/// # Errors
/// [`Error::BadFile`] when a tensor of the layout is missing or of another size.
pub fn read_state(
    file: &mut SafetensorsFile,
    layout: &ParamLayout,
) -> Result<(Vec<f32>, Vec<f32>)> {
    // Before anything is allocated for a layout that the file cannot fill.
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "restore it, or train the run again".into(),
        path: file.path().to_path_buf(),
    };
    let (held, wanted) = (file.values(), layout.dim() + layout.buffer_dim());
    if held < wanted {
        return Err(bad(format!("it holds {held} values, and its network has {wanted}")));
    }
    let parameters = layout.params.iter().map(|p| (&p.name, p.len()));
    for (name, wanted) in parameters.chain(layout.buffers.iter().map(|b| (&b.name, b.len()))) {
        // One that is missing is named as it is read.
        let held = file.shape(name).map(|shape| shape.iter().product::<usize>());
        if held.is_some_and(|held| held != wanted) {
            return Err(bad(format!("its {name} is not of the size that its network has")));
        }
    }
    let (mut theta, mut buffers) = (vec![0.0; layout.dim()], vec![0.0; layout.buffer_dim()]);
    for p in &layout.params {
        file.read_into(&p.name, &mut theta[p.range()])?;
    }
    for b in &layout.buffers {
        file.read_into(&b.name, &mut buffers[b.range()])?;
    }
    Ok((theta, buffers))
}

impl Run {
    /// The snapshots in the order they were taken.
    ///
    /// # Errors
    /// [`Error::Run`] when there is none, [`Error::BadFile`] for a damaged one.
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        let files = self.snapshot_files()?.into_iter();
        let found: Vec<SnapshotInfo> =
            files.map(|(index, path)| SnapshotInfo::read(path, index)).collect::<Result<_>>()?;
        if found.is_empty() {
            return Err(self.error("the run has no snapshots", "train it first"));
        }
        Ok(found)
    }

    /// SHA-256 over numbers, steps and digests of the run's snapshots; `None` where it has none.
    ///
    /// # Errors
    /// Those of [`Run::snapshots`].
    pub fn snapshots_digest(&self) -> Result<Option<String>> {
        if self.snapshot_files()?.is_empty() {
            return Ok(None);
        }
        let line = |s: &SnapshotInfo| {
            format!("{} {} {}\n", s.index, s.step, s.digest.as_deref().unwrap_or("-"))
        };
        let lines: String = self.snapshots()?.iter().map(line).collect();
        Ok(Some(sha256(lines)))
    }

    /// Compares the snapshots with those that the run had when it ended. A run that is not at an end, or
    /// whose end is taken back when it goes on (it diverged), says nothing of them.
    ///
    /// # Errors
    /// [`Error::BadFile`] where they are others; those of [`Run::snapshots`].
    pub(crate) fn check_snapshots(&self, manifest: &Manifest) -> Result<()> {
        let ended = match manifest.status {
            Status::Ended { verdict, .. } => !matches!(verdict, Verdict::Diverged { .. }),
            Status::Unfinished => false,
        };
        match &manifest.snapshots_digest {
            Some(digest) if ended && self.snapshots_digest()?.as_ref() != Some(digest) => {
                Err(Error::BadFile {
                    what: "the snapshots are not those that the run ended with: one is missing, or of \
                           another run"
                        .into(),
                    remedy: "restore them, or train the run again".into(),
                    path: self.snapshots_dir(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The files of the snapshots with their numbers, in order.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn snapshot_files(&self) -> Result<Vec<(usize, PathBuf)>> {
        let folder = self.snapshots_dir();
        let entries = fs::read_dir(&folder).map_err(Error::io("list the snapshots", &folder))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io("list the snapshots", &folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Temporary files of an interrupted write begin with a dot and do not parse.
            if let Some(index) = name.strip_suffix(".safetensors").and_then(|n| n.parse().ok()) {
                found.push((index, path));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Reads a snapshot whole and compares it with its digest, which it may lack, and with the digest
    /// of the network's layout where that is known. What its metadata say, and whether it has a digest.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a damaged one, [`Error::WrongNetwork`] for one of another network.
    pub(crate) fn check_snapshot(
        &self,
        index: usize,
        path: &Path,
        layout_digest: Option<&str>,
    ) -> Result<(SnapshotInfo, bool)> {
        let info = SnapshotInfo::read(path.to_path_buf(), index)?;
        let mut file = SafetensorsFile::open(path)?;
        if layout_digest.is_some_and(|digest| file.meta("layout_digest") != Some(digest)) {
            return Err(Error::WrongNetwork);
        }
        Ok((info, file.verify()?))
    }

    pub(crate) fn snapshot_path(&self, index: usize) -> PathBuf {
        self.snapshots_dir().join(format!("{index:06}.safetensors"))
    }
}

/// A run's snapshots as vectors of parameters, read from disk one at a time.
#[derive(Debug, Clone)]
pub struct RunSnapshots {
    infos: Vec<SnapshotInfo>,
    layout: ParamLayout,
    /// Which files were compared with their digests already.
    verified: Arc<[AtomicBool]>,
}

impl RunSnapshots {
    /// The snapshots `infos` of a network with `layout`.
    pub fn new(infos: Vec<SnapshotInfo>, layout: ParamLayout) -> Self {
        let verified = infos.iter().map(|_| AtomicBool::new(false)).collect();
        Self { infos, layout, verified }
    }

    /// What their metadata say.
    pub fn infos(&self) -> &[SnapshotInfo] {
        &self.infos
    }

    /// What their parameters mean.
    pub fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// Parameters and buffers of the `i`-th.
    pub fn state(&self, i: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        read_state(&mut self.open(i)?, &self.layout)
    }

    /// Opens the `i`-th; the first time its data are compared with their digest.
    fn open(&self, i: usize) -> Result<SafetensorsFile> {
        let mut file = SafetensorsFile::open(&self.infos[i].path)?;
        if !self.verified[i].load(Ordering::Relaxed) {
            file.verify()?;
            self.verified[i].store(true, Ordering::Relaxed);
        }
        Ok(file)
    }
}

impl Snapshots for RunSnapshots {
    fn len(&self) -> usize {
        self.infos.len()
    }

    fn dim(&self) -> usize {
        self.layout.dim()
    }

    fn read(&self, i: usize, out: &mut [f32]) -> Result<()> {
        let mut file = self.open(i)?;
        for p in &self.layout.params {
            file.read_into(&p.name, &mut out[p.range()])?;
        }
        Ok(())
    }

    fn read_range(&self, i: usize, start: usize, out: &mut [f32]) -> Result<()> {
        let mut file = self.open(i)?;
        let end = start + out.len();
        for p in &self.layout.params {
            let (from, to) = (start.max(p.offset), end.min(p.offset + p.len()));
            if from < to {
                file.read_part(&p.name, from - p.offset, &mut out[from - start..to - start])?;
            }
        }
        Ok(())
    }
}
