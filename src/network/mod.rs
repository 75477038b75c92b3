//! A network as data: a list of nodes with shapes, and the layout of its parameters.
//!
//! Nothing here computes. A backend interprets or compiles the nodes; `models` build them; the
//! rest of the crate sees a flat `theta` and the [`ParamLayout`] that says what is where.

mod build;
mod init;
mod layout;
mod summary;

pub use build::{Builder, Conv};
pub use layout::{Buffer, Init, Param, ParamLayout, Role};
pub use summary::{LayerRow, Summary};

use crate::memory;
use crate::names::named_enum;

named_enum! {
    /// An elementwise nonlinearity.
    pub enum Activation("activation") {
        /// max(x, 0).
        Relu = "relu",
        /// x for x > 0, 0.01 x otherwise.
        LeakyRelu = "leaky_relu",
        /// x Phi(x), with the exact Gaussian distribution function (Hendrycks & Gimpel 2016).
        Gelu = "gelu",
        /// x sigmoid(x).
        Silu = "silu",
        /// tanh(x).
        Tanh = "tanh",
        /// 1 / (1 + exp(-x)).
        Sigmoid = "sigmoid",
    }
}

/// Slope of [`Activation::LeakyRelu`] below zero, PyTorch's default.
pub const LEAKY_SLOPE: f64 = 0.01;

/// Index of a node in [`Network::nodes`].
pub type NodeId = usize;
/// Index of a parameter in [`ParamLayout::params`].
pub type ParamId = usize;
/// Index of a buffer in [`ParamLayout::buffers`].
pub type BufferId = usize;

/// What a node computes. Shapes leave out the leading batch axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The images, (c, h, w).
    Input,
    /// 2-D cross-correlation, square kernel: (c, h, w) -> (out, h', w').
    Conv2d {
        /// Weight, (out, in, k, k).
        weight: ParamId,
        /// Bias, (out).
        bias: Option<ParamId>,
        /// Step in both axes.
        stride: usize,
        /// Zeros on each side.
        padding: usize,
    },
    /// 2-D cross-correlation of each channel with a kernel of its own: (c, h, w) -> (c, h', w').
    DepthwiseConv2d {
        /// Weight, (c, 1, k, k).
        weight: ParamId,
        /// Bias, (c).
        bias: Option<ParamId>,
        /// Step in both axes.
        stride: usize,
        /// Zeros on each side.
        padding: usize,
    },
    /// Batch normalisation over all axes but the channels: (c, h, w) or (c).
    BatchNorm {
        /// Scale, (c).
        weight: ParamId,
        /// Shift, (c).
        bias: ParamId,
        /// Running mean, (c).
        mean: BufferId,
        /// Running variance (unbiased), (c).
        var: BufferId,
        /// Added to the variance.
        eps: f64,
        /// Weight of the new batch in the running statistics.
        momentum: f64,
    },
    /// Layer normalisation over the last axis.
    LayerNorm {
        /// Scale.
        weight: ParamId,
        /// Shift.
        bias: ParamId,
        /// Added to the variance.
        eps: f64,
    },
    /// An elementwise nonlinearity.
    Activation(Activation),
    /// Sum of two inputs of one shape.
    Add,
    /// Concatenation along the channels: (c1, h, w), (c2, h, w) -> (c1 + c2, h, w).
    Concat,
    /// Maximum over windows; what lies beyond the feature map never is the maximum.
    MaxPool {
        /// Window side.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Pixels that the first window begins before the feature map, at most half of its side.
        padding: usize,
    },
    /// Mean over windows, no padding.
    AvgPool {
        /// Window side.
        kernel: usize,
        /// Step.
        stride: usize,
    },
    /// Mean over the feature map: (c, h, w) -> (c).
    GlobalAvgPool,
    /// (c, h, w) -> (c h w).
    Flatten,
    /// y = W x + b on the last axis.
    Linear {
        /// Weight, (out, in).
        weight: ParamId,
        /// Bias, (out).
        bias: Option<ParamId>,
    },
    /// Zeroes each value with probability `p` while training and scales the rest by 1 / (1 - p).
    Dropout {
        /// Probability of zero.
        p: f64,
    },
    /// The parameterless shortcut of He et al. 2016 ("option A"): every `stride`-th pixel, zero
    /// channels before and after: (c, h, w) -> (before + c + after, h / stride, w / stride).
    PadShortcut {
        /// Step in both axes.
        stride: usize,
        /// Zero channels put before.
        before: usize,
        /// Zero channels put after.
        after: usize,
    },
    /// Pixels as tokens: (d, h, w) -> (h w, d).
    ToTokens,
    /// A learned token put before the others: (t, d) -> (t + 1, d).
    ClassToken {
        /// The token, (1, 1, d).
        token: ParamId,
    },
    /// A learned vector added to each token.
    PositionEmbedding {
        /// The vectors, (1, t, d).
        embedding: ParamId,
    },
    /// Softmax attention of `heads` heads over packed queries, keys and values: (t, 3 d) -> (t, d).
    Attention {
        /// Number of heads; divides d.
        heads: usize,
        /// Whether a token sees itself and those before it only.
        causal: bool,
    },
    /// The first token: (t, d) -> (d).
    FirstToken,
}

impl Op {
    /// The op's name as `inspect` prints it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Conv2d { .. } => "conv2d",
            Op::DepthwiseConv2d { .. } => "depthwise_conv2d",
            Op::BatchNorm { .. } => "batch_norm",
            Op::LayerNorm { .. } => "layer_norm",
            Op::Activation(a) => a.as_str(),
            Op::Add => "add",
            Op::Concat => "concat",
            Op::MaxPool { .. } => "max_pool",
            Op::AvgPool { .. } => "avg_pool",
            Op::GlobalAvgPool => "global_avg_pool",
            Op::Flatten => "flatten",
            Op::Linear { .. } => "linear",
            Op::Dropout { .. } => "dropout",
            Op::PadShortcut { .. } => "pad_shortcut",
            Op::ToTokens => "to_tokens",
            Op::ClassToken { .. } => "class_token",
            Op::PositionEmbedding { .. } => "position_embedding",
            Op::Attention { .. } => "attention",
            Op::FirstToken => "first_token",
        }
    }

    /// The parameters it reads, in layout order.
    pub fn params(&self) -> Vec<ParamId> {
        match *self {
            Op::Conv2d { weight, bias, .. }
            | Op::DepthwiseConv2d { weight, bias, .. }
            | Op::Linear { weight, bias } => std::iter::once(weight).chain(bias).collect(),
            Op::BatchNorm { weight, bias, .. } | Op::LayerNorm { weight, bias, .. } => {
                vec![weight, bias]
            }
            Op::ClassToken { token } => vec![token],
            Op::PositionEmbedding { embedding } => vec![embedding],
            _ => Vec::new(),
        }
    }
}

/// One node: an op on the outputs of earlier nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name in the network, `layer1.0.conv1`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Earlier nodes it reads, in the op's order.
    pub inputs: Vec<NodeId>,
    /// Shape of its output without the batch axis.
    pub shape: Vec<usize>,
}

/// A network: nodes in an order in which each reads earlier ones only; the last gives the logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The architecture's name with its options, `resnet20 (shortcut none)`.
    pub arch: String,
    /// Shape of an image, (c, h, w).
    pub input: [usize; 3],
    /// Number of logits, or of numbers that are predicted; for a sequence, those of each position.
    pub classes: usize,
    /// The nodes; node 0 is [`Op::Input`].
    pub nodes: Vec<Node>,
    /// What is where in `theta` and in the buffers.
    pub layout: ParamLayout,
}

impl Network {
    /// Numbers that come out for one image: the classes, times the positions of a sequence.
    pub fn outputs(&self) -> usize {
        self.nodes.last().map_or(0, |node| node.shape.iter().product())
    }

    /// Rows of `classes` numbers that come out for one image: 1, or the positions of a sequence.
    pub fn positions(&self) -> usize {
        self.outputs() / self.classes.max(1)
    }

    /// For each node, how many later nodes read it.
    pub fn consumers(&self) -> Vec<usize> {
        let mut counts = vec![0; self.nodes.len()];
        for node in &self.nodes {
            for &input in &node.inputs {
                counts[input] += 1;
            }
        }
        counts
    }

    /// Multiply-accumulates of one image's forward pass in convolutions, linear layers and
    /// attention (everything else is small beside them).
    pub fn macs(&self) -> u64 {
        self.nodes.iter().fold(0, |sum: u64, node| sum.saturating_add(self.node_macs(node)))
    }

    /// Values that the outputs of all nodes have together, of one image.
    pub fn activations(&self) -> u64 {
        let len = |node: &Node| memory::product(&node.shape).unwrap_or(u64::MAX);
        self.nodes.iter().map(len).fold(0, u64::saturating_add)
    }

    fn node_macs(&self, node: &Node) -> u64 {
        let product = |sizes: &[usize]| memory::product(sizes).unwrap_or(u64::MAX);
        let per_output = match node.op {
            Op::Conv2d { weight, .. }
            | Op::DepthwiseConv2d { weight, .. }
            | Op::Linear { weight, .. } => product(&self.layout.params[weight].shape[1..]),
            Op::Attention { .. } => 2 * node.shape[0] as u64,
            _ => 0,
        };
        product(&node.shape).saturating_mul(per_output)
    }
}
