//! The run of a training loop in another process, which sends it as a stream.
//!
//! The stream is lines of JSON. The first is the header: the version, a name, the policy and the tensors in
//! their order. Every line after it has a `kind`; a `snapshot` is followed by its raw values, the
//! parameters and then the buffers as little-endian f32. A stream that ends without `end` (its process
//! was killed), or with `abandon` (its loop raised), leaves the run as it was recorded up to there, marked as unfinished.

use std::io::{BufRead, ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{EpochRecord, Existing, LoopRecorder, Policy, Run, StepRecord};
use crate::memory;
use crate::network::{ParamLayout, Role};
use crate::weights::StoredAs;
use crate::{Error, Result};

/// The version of the stream that this library reads.
pub const STREAM_VERSION: u32 = 1;

/// The longest line: a header with a million tensors.
const LONGEST_LINE: u64 = 256 << 20;

/// More values than any process can send a snapshot of.
const MOST_VALUES: u64 = 1 << 40;

#[derive(Deserialize)]
struct Header {
    lossreel_stream: u32,
    name: String,
    #[serde(default)]
    every: Option<String>,
    parameters: Vec<ParameterLine>,
    #[serde(default)]
    buffers: Vec<BufferLine>,
}

#[derive(Deserialize)]
struct ParameterLine {
    name: String,
    shape: Vec<usize>,
    #[serde(default)]
    role: Option<Role>,
}

#[derive(Deserialize)]
struct BufferLine {
    name: String,
    shape: Vec<usize>,
}

fn nan() -> f64 {
    f64::NAN
}

/// A line after the header. A number that is left out is not known.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Event {
    Step(Step),
    Epoch(Epoch),
    Snapshot {
        step: u64,
        epoch: f64,
    },
    Flush,
    /// The loop broke off: what was recorded is kept, and the run is unfinished.
    Abandon,
    End,
}

#[derive(Deserialize)]
struct Step {
    step: u64,
    /// Position in epochs; left out in a first epoch whose length nobody knows yet.
    #[serde(default)]
    epoch: Option<f64>,
    #[serde(default = "nan", with = "crate::disk::float")]
    lr: f64,
    #[serde(default = "nan", with = "crate::disk::float")]
    loss: f64,
    #[serde(default = "nan", with = "crate::disk::float")]
    accuracy: f64,
    #[serde(default = "nan", with = "crate::disk::float")]
    grad_norm: f64,
    #[serde(default)]
    elapsed_secs: Option<f64>,
}

#[derive(Deserialize)]
struct Epoch {
    epoch: u64,
    step: u64,
    #[serde(default = "nan", with = "crate::disk::float")]
    train_loss: f64,
    #[serde(default = "nan", with = "crate::disk::float")]
    train_accuracy: f64,
    #[serde(default = "nan", with = "crate::disk::float")]
    test_loss: f64,
    #[serde(default = "nan", with = "crate::disk::float")]
    test_accuracy: f64,
    elapsed_secs: f64,
}

/// What a sender is told meanwhile, a line of JSON each.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StreamReply {
    /// The folder is there and the recording has begun.
    Begun {
        /// The version of the stream that is read.
        lossreel_stream: u32,
        /// The policy, as a spec has it.
        every: Policy,
        /// The same in parts: `epochs`, `steps` or `geometric`.
        unit: &'static str,
        /// So many of the unit, or the ratio.
        count: f64,
    },
    /// All that came before a `flush` is on disk.
    Flushed,
}

/// What a stream left.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The run.
    pub run: Run,
    /// Snapshots written.
    pub snapshots: usize,
    /// Optimizer steps logged.
    pub steps: u64,
    /// Whether the stream had its `end`; a run without it is unfinished.
    pub ended: bool,
}

/// Writes the run that comes from `input` into the new folder `root`, weights as `stored`, and tells the
/// sender through `reply`.
///
/// # Errors
/// [`Error::Data`] for what is no such stream, or another version of it; those of
/// [`LoopRecorder::create`]; [`Error::Io`].
pub fn record_stream(
    input: &mut dyn BufRead,
    root: &Path,
    existing: Existing,
    stored: StoredAs,
    reply: &mut dyn FnMut(&StreamReply),
) -> Result<Recorded> {
    let header: Header = line(input)?.ok_or_else(|| bad("the stream is empty"))?;
    if header.lossreel_stream != STREAM_VERSION {
        return Err(Error::Data {
            what: format!(
                "the stream has version {}, this lossreel reads {STREAM_VERSION}",
                header.lossreel_stream
            ),
            remedy: "use the Python package and the program of one release".into(),
        });
    }
    let every = header.every.as_deref().unwrap_or("epoch");
    let every = Policy::parse("every", every)?;
    let layout = layout_of(&header)?;
    let recorder = LoopRecorder::create(root, &header.name, &layout, 1, existing)?.store_as(stored);
    let (unit, count) = match every {
        Policy::Epochs(n) => ("epochs", n as f64),
        Policy::Steps(n) => ("steps", n as f64),
        Policy::Geometric(ratio) => ("geometric", ratio),
    };
    reply(&StreamReply::Begun { lossreel_stream: STREAM_VERSION, every, unit, count });
    let mut stream = Stream { recorder, held: Vec::new(), losses: Means::default() };
    let (mut snapshots, mut steps) = (0, 0);
    let (mut theta, mut buffers) = (vec![0f32; layout.dim()], vec![0f32; layout.buffer_dim()]);
    let ended = loop {
        match line(input)? {
            None | Some(Event::Abandon) => break false,
            Some(Event::End) => break true,
            Some(Event::Step(step)) => {
                steps = step.step;
                stream.step(step)?;
            }
            Some(Event::Epoch(epoch)) => stream.epoch(&epoch)?,
            Some(Event::Snapshot { step, epoch }) => {
                if !(values(input, &mut theta)? && values(input, &mut buffers)?) {
                    break false;
                }
                stream.recorder.snapshot_at(step, epoch, &theta, &buffers)?;
                snapshots += 1;
            }
            Some(Event::Flush) => {
                stream.recorder.flush()?;
                reply(&StreamReply::Flushed);
            }
        }
    };
    stream.release(steps, 0.0)?;
    let mut recorder = stream.recorder;
    let run = if ended {
        recorder.finish()?
    } else {
        recorder.flush()?;
        recorder.run().clone()
    };
    Ok(Recorded { run, snapshots, steps, ended })
}

/// The means over the steps of an epoch.
#[derive(Default)]
struct Means {
    n: f64,
    loss: f64,
    accuracy: f64,
    lr: f64,
}

struct Stream {
    recorder: LoopRecorder,
    /// Steps of a first epoch of unknown length: where they are in it is known when it has ended.
    held: Vec<Step>,
    losses: Means,
}

impl Stream {
    fn step(&mut self, step: Step) -> Result<()> {
        self.losses.n += 1.0;
        self.losses.loss += step.loss;
        self.losses.accuracy += step.accuracy;
        self.losses.lr = step.lr;
        match step.epoch {
            Some(epoch) => self.log(step, epoch),
            None => {
                self.held.push(step);
                Ok(())
            }
        }
    }

    fn log(&mut self, step: Step, epoch: f64) -> Result<()> {
        let Step { step, lr, loss, accuracy, grad_norm, elapsed_secs, .. } = step;
        self.recorder.log_step(StepRecord {
            step,
            epoch,
            lr,
            loss,
            accuracy,
            grad_norm,
            elapsed_secs,
        })
    }

    /// Logs the steps that were held back: those of an epoch that began at `before` and ended, or was
    /// cut short, after `steps` steps.
    fn release(&mut self, steps: u64, before: f64) -> Result<()> {
        for step in std::mem::take(&mut self.held) {
            let epoch = before + step.step as f64 / steps.max(1) as f64;
            self.log(step, epoch)?;
        }
        Ok(())
    }

    fn epoch(&mut self, epoch: &Epoch) -> Result<()> {
        self.release(epoch.step, epoch.epoch.saturating_sub(1) as f64)?;
        let Means { n, loss, accuracy, lr } = std::mem::take(&mut self.losses);
        self.recorder.log_epoch(EpochRecord {
            epoch: epoch.epoch,
            step: epoch.step,
            lr: if n > 0.0 { lr } else { f64::NAN },
            running_loss: loss / n,
            running_accuracy: accuracy / n,
            train_loss: epoch.train_loss,
            train_accuracy: epoch.train_accuracy,
            test_loss: epoch.test_loss,
            test_accuracy: epoch.test_accuracy,
            elapsed_secs: epoch.elapsed_secs,
        })
    }
}

/// What a header's tensors are.
fn layout_of(header: &Header) -> Result<ParamLayout> {
    let names = header.parameters.iter().map(|p| &p.name);
    let mut names: Vec<&String> = names.chain(header.buffers.iter().map(|b| &b.name)).collect();
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(bad(&format!("the tensor `{}` is there twice", twice[0])));
    }
    let shapes = header.parameters.iter().map(|p| &p.shape);
    let mut shapes = shapes.chain(header.buffers.iter().map(|b| &b.shape));
    let total = shapes
        .try_fold(0u64, |sum: u64, shape| memory::product(shape).and_then(|n| n.checked_add(sum)));
    if total.is_none_or(|total| total > MOST_VALUES) {
        return Err(bad("its tensors are larger than any memory"));
    }
    let layout = ParamLayout::of_tensors(
        header.parameters.iter().map(|p| {
            let role = p.role.unwrap_or_else(|| Role::of_tensor(&p.name, &p.shape));
            (p.name.clone(), p.shape.clone(), role)
        }),
        header.buffers.iter().map(|b| (b.name.clone(), b.shape.clone())),
    );
    if layout.dim() == 0 {
        return Err(bad("the model has no parameter"));
    }
    Ok(layout)
}

fn bad(what: &str) -> Error {
    Error::Data {
        what: format!("this is not a stream of a recorder: {what}"),
        remedy: "send what lossreel's documentation on Python has under \"The stream\"".into(),
    }
}

fn broken(source: std::io::Error) -> Error {
    Error::Io { action: "read the stream", path: "-".into(), source }
}

/// The next line; `None` at the end of the stream, also one in the middle of a line.
fn line<T: serde::de::DeserializeOwned>(input: &mut dyn BufRead) -> Result<Option<T>> {
    let mut bytes = Vec::new();
    Read::take(&mut *input, LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(broken)?;
    if bytes.last() != Some(&b'\n') {
        let is_long = bytes.len() as u64 == LONGEST_LINE;
        return if is_long { Err(bad("a line of it has no end")) } else { Ok(None) };
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|e| bad(&e.to_string()))
}

/// Reads raw values; false where the stream ends before they do.
fn values(input: &mut dyn BufRead, into: &mut [f32]) -> Result<bool> {
    match input.read_exact(bytemuck::cast_slice_mut(into)) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(false),
        read => read.map_err(broken)?,
    }
    if cfg!(target_endian = "big") {
        into.iter_mut().for_each(|v| *v = f32::from_bits(v.to_bits().swap_bytes()));
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
