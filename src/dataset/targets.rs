//! What a network's outputs are held against, and by which loss.
//!
//! An example has a label ([`Targets::Labels`], the usual case), numbers ([`Targets::Values`], regression)
//! or a class for each of its positions ([`Targets::Sequences`], the next character of a text). Everything
//! that scores outputs takes the targets of its batch as [`BatchTargets`].

use crate::names::named_enum;

named_enum! {
    /// What a network is trained to make small.
    #[derive(Default)]
    pub enum Loss("loss") {
        /// `log sum_j exp(z_j) - z_label`, in nats.
        #[default]
        CrossEntropy = "cross_entropy",
        /// The mean over the outputs of `(z_j - y_j)^2`, PyTorch's `MSELoss`; for classes `y` is 1 at the
        /// label and 0 elsewhere.
        Squared = "squared",
    }
}

/// How the outputs for the examples of a split are scored.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Targets {
    /// Each example's label, by cross-entropy.
    #[default]
    Labels,
    /// The vector that is 1 at the example's label and 0 elsewhere, by squared error.
    OneHot,
    /// Numbers, (n, outputs), by squared error. The labels are all 0.
    Values {
        /// The numbers, (n, outputs).
        values: Vec<f32>,
        /// Numbers of an example.
        outputs: usize,
    },
    /// A class for each position of an example, (n, positions), by cross-entropy, the mean over the
    /// positions. The labels are all 0.
    Sequences {
        /// The classes, (n, positions).
        classes: Vec<u8>,
        /// Positions of an example.
        positions: usize,
    },
}

impl Targets {
    /// The loss by which they score.
    pub fn loss(&self) -> Loss {
        match self {
            Targets::Labels | Targets::Sequences { .. } => Loss::CrossEntropy,
            Targets::OneHot | Targets::Values { .. } => Loss::Squared,
        }
    }

    /// Answers that are right or wrong in one example: 1, the number of positions, or 0 for numbers.
    pub fn answers(&self) -> usize {
        match self {
            Targets::Labels | Targets::OneHot => 1,
            Targets::Values { .. } => 0,
            Targets::Sequences { positions, .. } => *positions,
        }
    }

    /// Whether each example has one class.
    pub fn are_labels(&self) -> bool {
        matches!(self, Targets::Labels | Targets::OneHot)
    }

    /// Those of the examples at `indices`.
    pub(super) fn select(&self, indices: &[usize]) -> Targets {
        fn rows<T: Copy>(all: &[T], width: usize, indices: &[usize]) -> Vec<T> {
            indices.iter().flat_map(|&i| &all[i * width..(i + 1) * width]).copied().collect()
        }
        match self {
            Targets::Labels => Targets::Labels,
            Targets::OneHot => Targets::OneHot,
            Targets::Values { values, outputs } => {
                Targets::Values { values: rows(values, *outputs, indices), outputs: *outputs }
            }
            Targets::Sequences { classes, positions } => {
                let classes = rows(classes, *positions, indices);
                Targets::Sequences { classes, positions: *positions }
            }
        }
    }
}

/// The targets of a batch, copied out of a split; kept and filled again from batch to batch.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetBuffer {
    /// As [`BatchTargets::Classes`].
    Classes(Vec<u8>),
    /// As [`BatchTargets::OneHot`].
    OneHot(Vec<u8>),
    /// As [`BatchTargets::Values`].
    Values(Vec<f32>),
}

impl Default for TargetBuffer {
    fn default() -> Self {
        TargetBuffer::Classes(Vec::new())
    }
}

impl TargetBuffer {
    /// Makes this the targets of the examples at `indices`, whose labels are in `labels`, (n,).
    pub(super) fn fill(&mut self, targets: &Targets, labels: &[u8], indices: &[usize]) {
        fn rows<T: Copy>(mut to: Vec<T>, all: &[T], width: usize, indices: &[usize]) -> Vec<T> {
            to.clear();
            for &i in indices {
                to.extend_from_slice(&all[i * width..(i + 1) * width]);
            }
            to
        }
        let (bytes, numbers) = match std::mem::take(self) {
            TargetBuffer::Classes(bytes) | TargetBuffer::OneHot(bytes) => (bytes, Vec::new()),
            TargetBuffer::Values(numbers) => (Vec::new(), numbers),
        };
        *self = match targets {
            Targets::Labels => TargetBuffer::Classes(rows(bytes, labels, 1, indices)),
            Targets::OneHot => TargetBuffer::OneHot(rows(bytes, labels, 1, indices)),
            Targets::Values { values, outputs } => {
                TargetBuffer::Values(rows(numbers, values, *outputs, indices))
            }
            Targets::Sequences { classes, positions } => {
                TargetBuffer::Classes(rows(bytes, classes, *positions, indices))
            }
        };
    }

    /// A view of them.
    pub fn view(&self) -> BatchTargets<'_> {
        match self {
            TargetBuffer::Classes(classes) => BatchTargets::Classes(classes),
            TargetBuffer::OneHot(classes) => BatchTargets::OneHot(classes),
            TargetBuffer::Values(values) => BatchTargets::Values(values),
        }
    }
}

/// The targets of a batch whose outputs are (n, classes), or (n, positions, classes) for sequences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BatchTargets<'a> {
    /// The class of each row of outputs, (n) or (n, positions), by cross-entropy.
    Classes(&'a [u8]),
    /// The class of each row of outputs, (n), by squared error to the vector that is 1 there.
    OneHot(&'a [u8]),
    /// The numbers themselves, (n, classes), by squared error.
    Values(&'a [f32]),
}

impl<'a> BatchTargets<'a> {
    /// Those of example `index` of the batch's `examples`.
    pub fn example(self, index: usize, examples: usize) -> BatchTargets<'a> {
        fn part<T>(all: &[T], index: usize, examples: usize) -> &[T] {
            let width = all.len() / examples;
            &all[index * width..(index + 1) * width]
        }
        match self {
            BatchTargets::Classes(all) => BatchTargets::Classes(part(all, index, examples)),
            BatchTargets::OneHot(all) => BatchTargets::OneHot(part(all, index, examples)),
            BatchTargets::Values(all) => BatchTargets::Values(part(all, index, examples)),
        }
    }

    /// Answers that are right or wrong: one for each row of outputs, none for numbers.
    pub fn answers(self) -> usize {
        match self {
            BatchTargets::Classes(classes) | BatchTargets::OneHot(classes) => classes.len(),
            BatchTargets::Values(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_takes_the_targets_of_the_examples_asked_for_whatever_it_held() {
        let labels = [3, 1, 2];
        let sequences = Targets::Sequences { classes: vec![0, 1, 2, 3, 4, 5], positions: 2 };
        let values = Targets::Values { values: vec![0.5, -1.0, 2.0], outputs: 1 };
        let mut buffer = TargetBuffer::default();
        let mut filled = |targets: &Targets| {
            buffer.fill(targets, &labels, &[2, 0]);
            buffer.clone()
        };
        assert_eq!(filled(&Targets::Labels), TargetBuffer::Classes(vec![2, 3]));
        assert_eq!(filled(&values), TargetBuffer::Values(vec![2.0, 0.5]));
        assert_eq!(filled(&sequences), TargetBuffer::Classes(vec![4, 5, 0, 1]));
        assert_eq!(filled(&Targets::OneHot), TargetBuffer::OneHot(vec![2, 3]));
        let chosen = sequences.select(&[2, 0]);
        assert_eq!(chosen, Targets::Sequences { classes: vec![4, 5, 0, 1], positions: 2 });
        let batch = BatchTargets::Classes(&[4, 5, 0, 1]);
        assert_eq!(batch.example(1, 2), BatchTargets::Classes(&[0, 1]));
        assert_eq!((batch.answers(), BatchTargets::Values(&[1.0]).answers()), (4, 0));
    }
}
