//! The newest state from which training goes on as if it had never stopped.

use std::path::Path;
use std::sync::Arc;

use super::snapshots::{StateFile, read_state};
use super::{FORMAT_VERSION, Run};
use crate::network::ParamLayout;
use crate::train::{Setup, TrainState};
use crate::weights::{SafetensorsFile, StoredAs};
use crate::{Error, Result};

/// Prefix of the optimizer's vectors among the tensors.
const OPTIMIZER: &str = "optimizer.";

/// Prefix of the bits of the optimizer's scalars among the metadata.
const SCALAR_BITS: &str = "optimizer_bits.";

fn bad_checkpoint(what: String, path: &Path) -> Error {
    let remedy = "start the run again from the beginning".into();
    Error::BadFile { what, remedy, path: path.to_path_buf() }
}

impl Run {
    /// The file that replaces the checkpoint.
    pub(super) fn checkpoint(&self, layout: &Arc<ParamLayout>, state: &TrainState) -> StateFile {
        let slots = state.optimizer.slots();
        let extra = slots.map(|(name, v)| (format!("{OPTIMIZER}{name}"), v.to_vec())).collect();
        // Floats as their bits: a resumed sum must be the same sum.
        let metadata = [
            ("format_version", FORMAT_VERSION.to_string()),
            ("layout_digest", layout.digest()),
            ("step", state.step.to_string()),
            ("optimizer", state.optimizer.rule().to_string()),
            ("optimizer_t", state.optimizer.t().to_string()),
            ("epoch_loss_bits", state.epoch_loss.to_bits().to_string()),
            ("epoch_correct", state.epoch_correct.to_string()),
            ("epoch_images", state.epoch_images.to_string()),
            ("best_test_loss_bits", state.best_test_loss.to_bits().to_string()),
            ("epochs_since_best", state.epochs_since_best.to_string()),
        ]
        .map(|(k, v)| (k.to_string(), v));
        let scalars = state.optimizer.scalars();
        let scalars = scalars.map(|(k, v)| (format!("{SCALAR_BITS}{k}"), v.to_bits().to_string()));
        StateFile {
            path: self.checkpoint_path(),
            layout: layout.clone(),
            theta: state.theta.clone(),
            buffers: state.buffers.clone(),
            extra,
            metadata: metadata.into_iter().chain(scalars).collect(),
            stored: StoredAs::F32,
        }
    }

    /// Reads the checkpoint and compares it with its digest, which it may lack, and with the digest of
    /// the network's layout where that is known. Says whether it has a digest.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`] when there is none, [`Error::BadFile`] when it is damaged or of another
    /// network.
    pub fn check_checkpoint(&self, layout_digest: Option<&str>) -> Result<bool> {
        let mut file = self.open_checkpoint(layout_digest)?;
        file.verify()
    }

    fn open_checkpoint(&self, layout_digest: Option<&str>) -> Result<SafetensorsFile> {
        let path = self.checkpoint_path();
        let file = SafetensorsFile::open(&path).map_err(|error| match error {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Error::NoCheckpoint { path: self.root.clone() }
            }
            error => error,
        })?;
        match (file.meta("layout_digest"), layout_digest) {
            (of, Some(wanted)) if of != Some(wanted) => {
                Err(bad_checkpoint("the checkpoint is of another network".into(), &path))
            }
            _ => Ok(file),
        }
    }

    /// Reads the checkpoint into a state of `setup`.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`] when there is none, [`Error::BadFile`] when it is damaged or of another
    /// network.
    pub fn read_checkpoint(&self, setup: &Setup) -> Result<TrainState> {
        let layout = &setup.backend.network().layout;
        let mut file = self.open_checkpoint(Some(&layout.digest()))?;
        file.verify()?;
        let bad = |what: String| bad_checkpoint(what, &self.checkpoint_path());
        let number = |key: &str| {
            file.meta(key)
                .and_then(|v| v.parse::<u64>().ok())
                .ok_or_else(|| bad(format!("the checkpoint's `{key}` is missing or no number")))
        };
        let mut state = setup.begin()?;
        state.step = number("step")?;
        state.epoch_loss = f64::from_bits(number("epoch_loss_bits")?);
        state.epoch_correct = number("epoch_correct")?;
        state.epoch_images = number("epoch_images")?;
        state.best_test_loss = f64::from_bits(number("best_test_loss_bits")?);
        state.epochs_since_best = number("epochs_since_best")?;
        let t = number("optimizer_t")?;
        let mut scalars = Vec::new();
        for (name, _) in state.optimizer.scalars() {
            let value = f64::from_bits(number(&format!("{SCALAR_BITS}{name}"))?);
            scalars.push((name.to_string(), value));
        }
        (state.theta, state.buffers) = read_state(&mut file, layout)?;
        let names: Vec<String> =
            file.names().filter(|n| n.starts_with(OPTIMIZER)).map(str::to_string).collect();
        let mut slots = Vec::new();
        for name in names {
            let values = file.read(&name)?.data;
            slots.push((name[OPTIMIZER.len()..].to_string(), values));
        }
        state.optimizer.restore(t, scalars, slots)?;
        Ok(state)
    }
}
