//! Which part of the flat parameter vector is which tensor.

use std::ops::Range;

use crate::network::{ParamLayout, Role};

/// One tensor of the flat parameter vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamRange {
    /// The indices into `theta`.
    pub range: Range<usize>,
    /// Its shape, as PyTorch's: (out, in, kh, kw) for convolutions, (out, in) for linear layers.
    pub shape: Vec<usize>,
    /// True for weights (tensors with more than one dimension), false for biases and norms. Under
    /// [`DecayOn::Weights`](super::DecayOn::Weights) only weights decay.
    pub weight: bool,
    /// True for the weight of a layer inside the network: neither the first nor the last weight, nor
    /// an embedding. These are the matrices that Muon orthogonalises.
    pub hidden: bool,
}

impl ParamRange {
    /// The tensors of a network, in the order of its layout.
    pub fn of_layout(layout: &ParamLayout) -> Vec<Self> {
        // A layer's weight, not a table of embeddings beside the layers.
        let is_layer = |name: &str| name == "weight" || name.ends_with(".weight");
        let weights = || layout.params.iter().filter(|p| p.role == Role::Weight);
        let ends = [weights().next(), weights().next_back()].map(|p| p.map(|p| p.offset));
        let tensor = |p: &crate::network::Param| Self {
            range: p.range(),
            shape: p.shape.clone(),
            weight: p.role == Role::Weight,
            hidden: p.role == Role::Weight && is_layer(&p.name) && !ends.contains(&Some(p.offset)),
        };
        layout.params.iter().map(tensor).collect()
    }
}

/// The tensors that make up all of `theta`, in order.
#[derive(Debug, Clone)]
pub(super) struct Tensors(pub Vec<ParamRange>);

impl Tensors {
    /// The tensors `ranges` of `params` parameters; what none of them covers counts as a vector.
    ///
    /// # Panics
    /// If two of them overlap, one reaches beyond `params`, or one's shape is of another size.
    pub fn new(params: usize, ranges: &[ParamRange]) -> Self {
        let mut sorted = ranges.to_vec();
        sorted.sort_by_key(|t| t.range.start);
        let vector = |range: Range<usize>| ParamRange {
            shape: vec![range.len()],
            range,
            weight: false,
            hidden: false,
        };
        let (mut all, mut end) = (Vec::new(), 0);
        for tensor in sorted {
            assert!(tensor.range.end <= params, "a range ends beyond the parameters");
            assert!(tensor.range.start >= end, "two tensors overlap");
            let size: usize = tensor.shape.iter().product();
            assert_eq!(tensor.range.len(), size, "a shape is not of its range's size");
            if tensor.range.start > end {
                all.push(vector(end..tensor.range.start));
            }
            end = tensor.range.end;
            all.push(tensor);
        }
        if end < params || params == 0 {
            all.push(vector(end..params));
        }
        Self(all)
    }

    /// `values`, (P,), cut into the tensors.
    pub fn cut<'a, F>(&self, values: &'a mut [F]) -> Vec<&'a mut [F]> {
        cut(values, self.0.iter().map(|t| t.range.len()))
    }
}

/// `values` cut into pieces of `lens`, one after another.
pub(super) fn cut<F>(mut values: &mut [F], lens: impl Iterator<Item = usize>) -> Vec<&mut [F]> {
    let mut pieces = Vec::new();
    for len in lens {
        let (piece, rest) = values.split_at_mut(len);
        pieces.push(piece);
        values = rest;
    }
    pieces
}
