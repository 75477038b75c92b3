//! Run to batch order: which images each step of a run trained on, how each was cropped and mirrored, and
//! with which learning rate. With the run's first snapshot that is all that another program needs to
//! repeat the run step by step.
//!
//! A safetensors file: `steps`, (S + 1,) i64, `lr`, (S,) f64, and for the N images drawn over all steps
//! `images`, (N,) i32, `crop`, (N, 2) i8, `flip`, (N,) bool. Step k, from 0, trains on the draws
//! `steps[k]..steps[k + 1]`.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::data;
use super::opened::OpenRun;
use crate::dataset::{Augmentation, SampleOrder, batches, choose};
use crate::disk;
use crate::rng::Streams;
use crate::{Error, Result};

/// What the steps of a run train on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BatchOrder {
    /// Where the draws of each step begin, and where those of the last end, (S + 1,).
    pub steps: Vec<i64>,
    /// The learning rate of each step, (S,).
    pub lr: Vec<f64>,
    /// The index of each image drawn, in the order of the whole training set's files, (N,).
    pub images: Vec<i32>,
    /// Row and column of the source image that land in row 0 and column 0, before the mirror: -4 to 4,
    /// where what is outside of the image is black, (N,).
    pub crop: Vec<[i8; 2]>,
    /// Whether the crop is then mirrored left to right, (N,).
    pub flip: Vec<bool>,
}

impl BatchOrder {
    /// The first `steps` steps of `run`, or all that its spec means; its data may lie in `data_dir`.
    ///
    /// # Errors
    /// [`Error::BadValue`] for more steps than the spec has; those of the data.
    pub fn of_run(run: &OpenRun, steps: Option<u64>, data_dir: Option<&Path>) -> Result<Self> {
        let spec = run.spec()?;
        let whole = data::of_run(run, data_dir)?;
        let setup = spec.setup(&whole)?;
        let (train, count) = (&spec.train, setup.data.train.len());
        let streams = Streams::new(train.seed);
        let per_epoch = setup.steps_per_epoch()?;
        let draws = train.draws(per_epoch);
        let total = per_epoch.saturating_mul(train.epochs);
        let steps = steps.unwrap_or(total);
        if steps == 0 || steps > total {
            let remedy = format!("use 1 to {total}");
            return Err(Error::bad_value(
                "--steps",
                steps,
                format!("but the run has {total}"),
                remedy,
            ));
        }
        // As the run's own sample was drawn.
        let chosen = if count == whole.train.len() {
            (0..count).collect()
        } else {
            choose(&whole.train.labels, count, SampleOrder::Balanced, &streams)?
        };
        let mut order = Self { steps: vec![0], ..Self::default() };
        for epoch in 0..steps.div_ceil(per_epoch) {
            let visits = draws.epoch_order(epoch, count);
            let left = steps - epoch * per_epoch;
            let chunks = batches(&visits, train.batch_size, train.last_batch)?;
            for (k, chunk) in chunks.take(left.try_into().unwrap_or(usize::MAX)).enumerate() {
                let step = epoch * per_epoch + k as u64;
                let streams = draws.at(step);
                let augmentation = Augmentation { augment: setup.augment, streams, epoch };
                order.lr.push(setup.schedule.lr_at(setup.optim.lr(), step, per_epoch, total));
                for &index in chunk {
                    let by = augmentation.draw(index);
                    order.images.push(chosen[index] as i32);
                    order.crop.push([by.dy as i8, by.dx as i8]);
                    order.flip.push(by.mirrored);
                }
                order.steps.push(order.images.len() as i64);
            }
        }
        Ok(order)
    }

    /// Writes the file; `made` says in its metadata what it is of.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path, made: &str) -> Result<()> {
        let bytes = [
            ("steps", Dtype::I64, vec![self.steps.len()], le(&self.steps, |v| v.to_le_bytes())),
            ("lr", Dtype::F64, vec![self.lr.len()], le(&self.lr, |v| v.to_le_bytes())),
            ("images", Dtype::I32, vec![self.images.len()], le(&self.images, |v| v.to_le_bytes())),
            ("crop", Dtype::I8, vec![self.crop.len(), 2], le(&self.crop, |v| v.map(|v| v as u8))),
            ("flip", Dtype::BOOL, vec![self.flip.len()], le(&self.flip, |v| [u8::from(v)])),
        ];
        let tensors = bytes.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (*name, view.expect("as many bytes as the shape has"))
        });
        // One entry: its table has no order that repeats.
        let about = HashMap::from([("lossreel".to_string(), made.to_string())]);
        let file = safetensors::serialize(tensors, Some(about)).expect("the tensors are sound");
        disk::write_bytes(path, &file)
    }
}

fn le<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|v| bytes(*v)).collect()
}
