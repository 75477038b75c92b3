//! Where each parameter and each buffer of a network sits in its flat vector.

use serde::{Deserialize, Serialize};

/// What a parameter is to its layer. Weight decay and direction normalisation ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A convolution's or a linear layer's weight, or an embedding: more than one dimension.
    Weight,
    /// An additive bias.
    Bias,
    /// A normalisation layer's scale or shift.
    Norm,
}

impl Role {
    /// What a tensor of this name and shape is in PyTorch's and candle's naming: more than one
    /// dimension, a weight; `bias`, a bias; anything else, a normalisation layer's.
    pub fn of_tensor(name: &str, shape: &[usize]) -> Self {
        match name.rsplit('.').next() {
            _ if shape.len() > 1 => Self::Weight,
            Some("bias") => Self::Bias,
            _ => Self::Norm,
        }
    }
}

/// How a parameter is drawn before training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every value the same.
    Constant(f32),
    /// N(0, std^2).
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// N(0, std^2) without what lies beyond 2 std, which is drawn again.
    TruncatedNormal {
        /// Standard deviation before the cut.
        std: f64,
    },
    /// U(-bound, bound).
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// A (semi-)orthogonal matrix of shape (`shape[0]`, rest), times `gain` (Saxe et al. 2014).
    Orthogonal {
        /// Scale of the singular values.
        gain: f64,
    },
}

/// One parameter tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Name as PyTorch would print it, `layer1.0.conv1.weight`.
    pub name: String,
    /// Shape in PyTorch's order: (out, in, kh, kw) for convolutions, (out, in) for linear layers.
    pub shape: Vec<usize>,
    /// What it is to its layer.
    pub role: Role,
    /// How it is drawn.
    pub init: Init,
    /// Index of its first value in `theta`.
    pub offset: usize,
}

impl Param {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True for a tensor without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its place in `theta`.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// One buffer: a tensor that is part of a network's state but is not trained (BatchNorm's running
/// statistics). Buffers are never part of a direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Buffer {
    /// Name as PyTorch would print it, `bn1.running_mean`.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Value before training.
    pub initial: f32,
    /// Index of its first value in the flat buffer vector.
    pub offset: usize,
}

impl Buffer {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True for a buffer without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its place in the flat buffer vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// Names, shapes, roles and order of all parameters and buffers, fixed once. `theta` is the flat
/// vector of parameters in this order, which is that of PyTorch's `net.parameters()` for the same
/// architecture; the buffers have a flat vector of their own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParamLayout {
    /// Parameters, in order.
    pub params: Vec<Param>,
    /// Buffers, in order.
    pub buffers: Vec<Buffer>,
}

impl ParamLayout {
    /// The layout of tensors in their order: parameters with name, shape and role, buffers with name
    /// and shape. They were not drawn here: `init` is 0.
    pub fn of_tensors(
        parameters: impl IntoIterator<Item = (String, Vec<usize>, Role)>,
        buffers: impl IntoIterator<Item = (String, Vec<usize>)>,
    ) -> Self {
        let mut layout = Self::default();
        for (name, shape, role) in parameters {
            let (init, offset) = (Init::Constant(0.0), layout.dim());
            layout.params.push(Param { name, shape, role, init, offset });
        }
        for (name, shape) in buffers {
            let (initial, offset) = (0.0, layout.buffer_dim());
            layout.buffers.push(Buffer { name, shape, initial, offset });
        }
        layout
    }

    /// Length of `theta`.
    pub fn dim(&self) -> usize {
        self.params.last().map_or(0, |p| p.offset + p.len())
    }

    /// The tensors of `theta` and `buffers` that hold a NaN or an infinity, and how many each.
    pub fn not_finite(&self, theta: &[f32], buffers: &[f32]) -> Vec<(&str, usize)> {
        let count = |values: &[f32]| values.iter().filter(|v| !v.is_finite()).count();
        let parameters = self.params.iter().map(|p| (p.name.as_str(), count(&theta[p.range()])));
        let rest = self.buffers.iter().map(|b| (b.name.as_str(), count(&buffers[b.range()])));
        parameters.chain(rest).filter(|(_, n)| *n > 0).collect()
    }

    /// Length of the flat buffer vector.
    pub fn buffer_dim(&self) -> usize {
        self.buffers.last().map_or(0, |b| b.offset + b.len())
    }

    /// SHA-256 over names, shapes and roles: equal for two networks exactly when their flat
    /// vectors mean the same.
    pub fn digest(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        for p in &self.params {
            hash.update(format!("p {} {:?} {:?}\n", p.name, p.shape, p.role));
        }
        for b in &self.buffers {
            hash.update(format!("b {} {:?}\n", b.name, b.shape));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
