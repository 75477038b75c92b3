//! A loss that another process evaluates, asked for over a pair of pipes.
//!
//! A request is a line of JSON with its `kind` and, as `raw`, how many bytes follow: little-endian f32.
//! The answer is a line of JSON, with `raw` where values follow. `hello` and `buffers` have no answer.

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::{BufferedObjective, Evaluation, Objective};
use crate::network::ParamLayout;
use crate::{Error, Result};

/// The version of the questions and answers.
const VERSION: u32 = 1;

/// The longest answer without its values.
const LONGEST_LINE: u64 = 1 << 20;

/// Where questions go and answers come from.
struct Channel {
    answers: Box<dyn BufRead + Send>,
    questions: Box<dyn Write + Send>,
    /// The buffers that the other side has.
    loaded: Option<Arc<Vec<f32>>>,
}

/// The loss of a model in another process, with fixed buffers.
///
/// One point is asked for at a time, whatever the number of threads.
#[derive(Clone)]
pub struct AskedObjective {
    channel: Arc<Mutex<Channel>>,
    dim: usize,
    buffer_dim: usize,
    buffers: Arc<Vec<f32>>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    shape: &'a [usize],
}

/// A line to the other side.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Question<'a> {
    Hello { version: u32, parameters: Vec<Tensor<'a>>, buffers: Vec<Tensor<'a>> },
    Buffers { raw: usize },
    Loss { raw: usize },
    Gradient { raw: usize },
    Hvp { raw: usize },
}

/// A line from the other side.
#[derive(Deserialize, Default)]
struct Answer {
    #[serde(default, with = "optional")]
    loss: Option<f64>,
    #[serde(default, with = "optional")]
    loss_se: Option<f64>,
    #[serde(default)]
    correct: usize,
    #[serde(default)]
    total: usize,
    #[serde(default)]
    raw: usize,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    interrupted: bool,
}

mod optional {
    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        input: D,
    ) -> Result<Option<f64>, D::Error> {
        crate::disk::float::deserialize(input).map(Some)
    }
}

fn gone(source: std::io::Error) -> Error {
    failed(&format!("the program that evaluates it went away ({source})"))
}

fn failed(what: &str) -> Error {
    Error::Landscape {
        what: format!("the loss could not be evaluated: {what}"),
        remedy: "what is done is kept: the same call goes on from there".into(),
    }
}

impl Channel {
    fn ask(&mut self, question: &Question<'_>, vectors: &[&[f32]]) -> Result<()> {
        let line = serde_json::to_string(question).expect("questions are plain data");
        let mut send = || -> std::io::Result<()> {
            writeln!(self.questions, "{line}")?;
            for vector in vectors {
                if cfg!(target_endian = "little") {
                    self.questions.write_all(bytemuck::cast_slice(vector))?;
                } else {
                    vector.iter().try_for_each(|v| self.questions.write_all(&v.to_le_bytes()))?;
                }
            }
            self.questions.flush()
        };
        send().map_err(gone)
    }

    /// The answer, its values written over `into`.
    fn answer(&mut self, into: &mut [f32]) -> Result<Answer> {
        let mut line = Vec::new();
        let mut limited = std::io::Read::take(&mut self.answers, LONGEST_LINE);
        limited.read_until(b'\n', &mut line).map_err(gone)?;
        if line.last() != Some(&b'\n') {
            return Err(failed("the program that evaluates it went away"));
        }
        let answer: Answer = serde_json::from_slice(&line)
            .map_err(|e| failed(&format!("its answer is not one ({e})")))?;
        if answer.interrupted {
            let remedy = "what is done is kept: the same call goes on from there".into();
            return Err(Error::Interrupted { remedy });
        }
        if let Some(error) = answer.error {
            return Err(failed(&error));
        }
        if answer.raw != size_of_val(into) {
            return Err(failed(&format!(
                "{} bytes came where {} were asked for",
                answer.raw,
                size_of_val(into)
            )));
        }
        self.answers.read_exact(bytemuck::cast_slice_mut(into)).map_err(gone)?;
        if cfg!(target_endian = "big") {
            into.iter_mut().for_each(|v| *v = f32::from_bits(v.to_bits().swap_bytes()));
        }
        Ok(answer)
    }
}

impl AskedObjective {
    /// Greets the process that reads `questions` and writes `answers`, whose model has the parameters
    /// and buffers of `layout`; its buffers are to be `buffers`.
    ///
    /// # Errors
    /// [`Error::BadValue`] for buffers of another length, [`Error::Landscape`] where nobody listens.
    pub fn begin(
        answers: Box<dyn BufRead + Send>,
        questions: Box<dyn Write + Send>,
        layout: &ParamLayout,
        buffers: Vec<f32>,
    ) -> Result<Self> {
        let mut channel = Channel { answers, questions, loaded: None };
        let parameters = layout.params.iter().map(|p| Tensor { name: &p.name, shape: &p.shape });
        let others = layout.buffers.iter().map(|b| Tensor { name: &b.name, shape: &b.shape });
        let (parameters, others) = (parameters.collect(), others.collect());
        channel.ask(&Question::Hello { version: VERSION, parameters, buffers: others }, &[])?;
        let begun = Self {
            channel: Arc::new(Mutex::new(channel)),
            dim: layout.dim(),
            buffer_dim: layout.buffer_dim(),
            buffers: Arc::new(Vec::new()),
        };
        begun.with_buffers(buffers)
    }

    /// Asks one question at `vectors` with this objective's buffers loaded, and writes the values of
    /// the answer over `into`.
    fn ask(&self, question: &Question<'_>, vectors: &[&[f32]], into: &mut [f32]) -> Result<Answer> {
        let mut channel = self.channel.lock().unwrap_or_else(|e| e.into_inner());
        let is_loaded = |loaded: &Arc<Vec<f32>>| Arc::ptr_eq(loaded, &self.buffers);
        if !self.buffers.is_empty() && !channel.loaded.as_ref().is_some_and(is_loaded) {
            let raw = size_of_val(self.buffers.as_slice());
            channel.ask(&Question::Buffers { raw }, &[&self.buffers])?;
            channel.loaded = Some(self.buffers.clone());
        }
        channel.ask(question, vectors)?;
        channel.answer(into)
    }
}

impl BufferedObjective for AskedObjective {
    fn with_buffers(&self, buffers: Vec<f32>) -> Result<Self> {
        if buffers.len() != self.buffer_dim {
            return Err(Error::bad_value(
                "buffers",
                buffers.len(),
                format!("but the model has {}", self.buffer_dim),
                "use buffers of the same model",
            ));
        }
        Ok(Self { buffers: Arc::new(buffers), ..self.clone() })
    }
}

impl Objective for AskedObjective {
    fn dim(&self) -> usize {
        self.dim
    }

    /// No standard error is known where the answer does not say it.
    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        let answer = self.ask(&Question::Loss { raw: size_of_val(theta) }, &[theta], &mut [])?;
        let loss = answer.loss.ok_or_else(|| failed("its answer has no `loss`"))?;
        Ok(Evaluation {
            loss,
            loss_se: answer.loss_se.unwrap_or(f64::NAN),
            correct: answer.correct,
            total: answer.total,
        })
    }

    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        let answer = self.ask(&Question::Gradient { raw: size_of_val(theta) }, &[theta], grad)?;
        answer.loss.ok_or_else(|| failed("its answer has no `loss`"))
    }

    fn hvp(&self, theta: &[f32], v: &[f32], out: &mut [f32]) -> Result<()> {
        let raw = size_of_val(theta) + size_of_val(v);
        self.ask(&Question::Hvp { raw }, &[theta, v], out).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::network::Role;

    /// Questions that can be read afterwards.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn layout() -> ParamLayout {
        ParamLayout::of_tensors(
            [("w".to_string(), vec![2], Role::Weight)],
            [("mean".to_string(), vec![1])],
        )
    }

    fn asked(answers: &[u8]) -> (AskedObjective, Kept) {
        let kept = Kept::default();
        let answers = Box::new(Cursor::new(answers.to_vec()));
        let asked =
            AskedObjective::begin(answers, Box::new(kept.clone()), &layout(), vec![7.0]).unwrap();
        (asked, kept)
    }

    #[test]
    fn buffers_go_out_once_and_again_when_others_are_wanted() {
        let line = b"{\"loss\": 0.5, \"correct\": 3, \"total\": 4}\n".repeat(3);
        let (asked, kept) = asked(&line);
        let found = asked.loss(&[1.0, 2.0]).unwrap();
        assert_eq!((found.loss, found.correct, found.total), (0.5, 3, 4));
        assert!(found.loss_se.is_nan());
        asked.loss(&[3.0, 4.0]).unwrap();
        asked.with_buffers(vec![9.0]).unwrap().loss(&[3.0, 4.0]).unwrap();
        let sent = String::from_utf8_lossy(&kept.0.lock().unwrap()).into_owned();
        assert_eq!(sent.matches("\"kind\":\"buffers\"").count(), 2, "{sent}");
        assert_eq!(sent.matches("\"kind\":\"loss\",\"raw\":8").count(), 3);
        assert!(
            sent.starts_with("{\"kind\":\"hello\",\"version\":1,\"parameters\":[{\"name\":\"w\"")
        );
        assert!(asked.with_buffers(vec![]).is_err());
    }

    #[test]
    fn gradients_and_products_come_as_raw_values() {
        let mut answers = b"{\"loss\": \"NaN\", \"raw\": 8}\n".to_vec();
        answers.extend([1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()));
        answers.extend(b"{\"raw\": 8}\n");
        answers.extend([3.0f32, 4.0].iter().flat_map(|v| v.to_le_bytes()));
        let (asked, _) = asked(&answers);
        let mut out = [0.0; 2];
        assert!(asked.loss_and_grad(&[0.0; 2], &mut out).unwrap().is_nan());
        assert_eq!(out, [1.5, -2.0]);
        asked.hvp(&[0.0; 2], &[1.0, 0.0], &mut out).unwrap();
        assert_eq!(out, [3.0, 4.0]);
    }

    #[test]
    fn what_goes_wrong_there_is_said_here() {
        for (answer, expected) in [
            ("", "went away"),
            ("{\"error\": \"no such batch\"}\n", "no such batch"),
            ("{\"total\": 3}\n", "no `loss`"),
            ("{\"loss\": 1.0, \"raw\": 4}\nabcd", "4 bytes came where 0"),
            ("nonsense\n", "not one"),
            ("{\"interrupted\": true}\n", "interrupted"),
        ] {
            let error = asked(answer.as_bytes()).0.loss(&[0.0; 2]).unwrap_err().to_string();
            assert!(error.contains(expected), "{answer}: {error}");
        }
    }
}
