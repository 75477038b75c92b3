//! Builds a [`Network`] node by node, working out shapes and refusing those that do not fit.

use super::{
    Activation, Buffer, BufferId, Init, Network, Node, NodeId, Op, Param, ParamId, ParamLayout,
    Role,
};
use crate::{Error, Result};

/// The parameters of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Output channels.
    pub out: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

/// Collects nodes and parameters. Parameters enter the layout in the order of the calls, so a
/// model's function calls in the order of its PyTorch counterpart's `__init__`.
#[derive(Debug)]
pub struct Builder {
    arch: String,
    input: [usize; 3],
    nodes: Vec<Node>,
    layout: ParamLayout,
    /// What biases of convolutions and linear layers start at.
    bias: Init,
}

impl Builder {
    /// A network that has its input of shape (c, h, w), node 0, and nothing else.
    pub fn new(arch: impl Into<String>, input: [usize; 3]) -> Self {
        let node =
            Node { name: "input".into(), op: Op::Input, inputs: vec![], shape: input.to_vec() };
        Self {
            arch: arch.into(),
            input,
            nodes: vec![node],
            layout: ParamLayout::default(),
            bias: Init::Constant(0.0),
        }
    }

    /// The same with biases of convolutions and linear layers that start at `value` instead of 0.
    pub fn with_bias(mut self, value: f32) -> Self {
        self.bias = Init::Constant(value);
        self
    }

    /// The input node.
    pub fn input(&self) -> NodeId {
        0
    }

    /// Shape of a node's output.
    pub fn shape(&self, node: NodeId) -> &[usize] {
        &self.nodes[node].shape
    }

    /// The finished network; `logits` is its last node and must be a vector.
    pub fn finish(self, logits: NodeId) -> Result<Network> {
        let last = &self.nodes[logits];
        if logits + 1 != self.nodes.len() || !matches!(last.shape.len(), 1 | 2) {
            return Err(misfit(
                &last.name,
                "is not the network's last layer, or puts out a feature map",
                "end in a linear layer",
            ));
        }
        // A vector, or one for each token.
        let classes = last.shape[last.shape.len() - 1];
        let Self { arch, input, nodes, layout, .. } = self;
        Ok(Network { arch, input, classes, nodes, layout })
    }

    /// Adds a parameter. Where the network stops being one that any machine could hold, that is said
    /// before the next layer is thought of: counts never wrap.
    fn param(
        &mut self,
        name: String,
        shape: Vec<usize>,
        role: Role,
        init: Init,
    ) -> Result<ParamId> {
        let offset = self.layout.dim();
        check_len(&name, offset, &shape)?;
        self.layout.params.push(Param { name, shape, role, init, offset });
        Ok(self.layout.params.len() - 1)
    }

    fn buffer(&mut self, name: String, shape: Vec<usize>, initial: f32) -> Result<BufferId> {
        let offset = self.layout.buffer_dim();
        check_len(&name, offset, &shape)?;
        self.layout.buffers.push(Buffer { name, shape, initial, offset });
        Ok(self.layout.buffers.len() - 1)
    }

    fn node(&mut self, name: &str, op: Op, inputs: Vec<NodeId>, shape: Vec<usize>) -> NodeId {
        self.nodes.push(Node { name: name.into(), op, inputs, shape });
        self.nodes.len() - 1
    }

    fn feature_map(&self, name: &str, x: NodeId) -> Result<[usize; 3]> {
        self.shape(x).try_into().map_err(|_| {
            misfit(
                name,
                format!("needs a feature map (c, h, w) and gets {:?}", self.shape(x)),
                "move it before the flattening",
            )
        })
    }

    fn tokens(&self, name: &str, x: NodeId) -> Result<[usize; 2]> {
        self.shape(x).try_into().map_err(|_| {
            misfit(
                name,
                format!("needs tokens (t, d) and gets {:?}", self.shape(x)),
                "make tokens of a feature map first: to_tokens",
            )
        })
    }

    /// Side of a window's output, or an error when the window does not fit once.
    fn windows(
        &self,
        name: &str,
        side: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Result<usize> {
        if kernel == 0 || stride == 0 {
            return Err(misfit(
                name,
                format!("has kernel {kernel} and stride {stride}"),
                "both must be at least 1",
            ));
        }
        let padded = side.saturating_add(padding.saturating_mul(2));
        if padded < kernel {
            return Err(misfit(
                name,
                format!("has a {kernel}x{kernel} window on a feature map of side {side}"),
                "use larger images, or an architecture with fewer poolings and strides",
            ));
        }
        Ok((padded - kernel) / stride + 1)
    }

    /// Adds a convolution; `init` draws its weight, the bias starts at 0.
    pub fn conv(
        &mut self,
        name: &str,
        x: NodeId,
        conv: Conv,
        init: impl FnOnce(usize, usize) -> Init,
    ) -> Result<NodeId> {
        let Conv { out, kernel, stride, padding, bias } = conv;
        let [c, h, w] = self.feature_map(name, x)?;
        if out == 0 {
            return Err(misfit(name, "has no output channels", "raise model.width"));
        }
        let h_out = self.windows(name, h, kernel, stride, padding)?;
        let w_out = self.windows(name, w, kernel, stride, padding)?;
        let area = kernel.saturating_mul(kernel);
        let init = init(c.saturating_mul(area), out.saturating_mul(area));
        let weight =
            self.param(format!("{name}.weight"), vec![out, c, kernel, kernel], Role::Weight, init)?;
        let start = self.bias;
        let bias = bias
            .then(|| self.param(format!("{name}.bias"), vec![out], Role::Bias, start))
            .transpose()?;
        let op = Op::Conv2d { weight, bias, stride, padding };
        Ok(self.node(name, op, vec![x], vec![out, h_out, w_out]))
    }

    /// Adds a convolution of each channel by itself: kernel, stride, padding; `init` draws its weight.
    pub fn depthwise_conv(
        &mut self,
        name: &str,
        x: NodeId,
        [kernel, stride, padding]: [usize; 3],
        bias: bool,
        init: impl FnOnce(usize, usize) -> Init,
    ) -> Result<NodeId> {
        let [c, h, w] = self.feature_map(name, x)?;
        let h_out = self.windows(name, h, kernel, stride, padding)?;
        let w_out = self.windows(name, w, kernel, stride, padding)?;
        let area = kernel.saturating_mul(kernel);
        let shape = vec![c, 1, kernel, kernel];
        let weight = self.param(format!("{name}.weight"), shape, Role::Weight, init(area, area))?;
        let start = self.bias;
        let bias = bias
            .then(|| self.param(format!("{name}.bias"), vec![c], Role::Bias, start))
            .transpose()?;
        let op = Op::DepthwiseConv2d { weight, bias, stride, padding };
        Ok(self.node(name, op, vec![x], vec![c, h_out, w_out]))
    }

    /// Adds a linear layer on the last axis; `init` draws its weight, the bias starts at 0.
    pub fn linear(
        &mut self,
        name: &str,
        x: NodeId,
        out: usize,
        init: impl FnOnce(usize, usize) -> Init,
    ) -> Result<NodeId> {
        self.linear_of(name, x, out, true, init)
    }

    /// [`Builder::linear`] with or without a bias.
    pub fn linear_of(
        &mut self,
        name: &str,
        x: NodeId,
        out: usize,
        bias: bool,
        init: impl FnOnce(usize, usize) -> Init,
    ) -> Result<NodeId> {
        let mut shape = self.shape(x).to_vec();
        if shape.len() > 2 {
            return Err(misfit(
                name,
                format!("gets a feature map {shape:?}"),
                "flatten or pool it first",
            ));
        }
        if out == 0 {
            return Err(misfit(name, "has no outputs", "give every layer at least one unit"));
        }
        let inputs = shape[shape.len() - 1];
        let last = shape.len() - 1;
        shape[last] = out;
        let weight = self.param(
            format!("{name}.weight"),
            vec![out, inputs],
            Role::Weight,
            init(inputs, out),
        )?;
        let start = self.bias;
        let bias = bias
            .then(|| self.param(format!("{name}.bias"), vec![out], Role::Bias, start))
            .transpose()?;
        Ok(self.node(name, Op::Linear { weight, bias }, vec![x], shape))
    }

    /// Adds batch normalisation with PyTorch's eps 1e-5 and momentum 0.1.
    pub fn batch_norm(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        self.batch_norm_of(name, x, 1e-5, 0.1)
    }

    /// Adds batch normalisation; `momentum` is the weight of a new batch in the running statistics.
    pub fn batch_norm_of(
        &mut self,
        name: &str,
        x: NodeId,
        eps: f64,
        momentum: f64,
    ) -> Result<NodeId> {
        let shape = self.shape(x).to_vec();
        if shape.len() == 2 {
            return Err(misfit(name, "normalises tokens over the batch", "use layer_norm"));
        }
        let c = shape[0];
        let weight =
            self.param(format!("{name}.weight"), vec![c], Role::Norm, Init::Constant(1.0))?;
        let bias = self.param(format!("{name}.bias"), vec![c], Role::Norm, Init::Constant(0.0))?;
        let mean = self.buffer(format!("{name}.running_mean"), vec![c], 0.0)?;
        let var = self.buffer(format!("{name}.running_var"), vec![c], 1.0)?;
        let op = Op::BatchNorm { weight, bias, mean, var, eps, momentum };
        Ok(self.node(name, op, vec![x], shape))
    }

    /// Adds layer normalisation over the last axis, eps 1e-6 as in vision transformers.
    pub fn layer_norm(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        self.layer_norm_of(name, x, 1e-6)
    }

    /// Adds layer normalisation over the last axis.
    pub fn layer_norm_of(&mut self, name: &str, x: NodeId, eps: f64) -> Result<NodeId> {
        let shape = self.shape(x).to_vec();
        let d = shape[shape.len() - 1];
        let weight =
            self.param(format!("{name}.weight"), vec![d], Role::Norm, Init::Constant(1.0))?;
        let bias = self.param(format!("{name}.bias"), vec![d], Role::Norm, Init::Constant(0.0))?;
        Ok(self.node(name, Op::LayerNorm { weight, bias, eps }, vec![x], shape))
    }

    /// Adds a nonlinearity.
    pub fn activation(&mut self, name: &str, x: NodeId, activation: Activation) -> NodeId {
        let shape = self.shape(x).to_vec();
        self.node(name, Op::Activation(activation), vec![x], shape)
    }

    /// Adds dropout, or nothing for p = 0.
    pub fn dropout(&mut self, name: &str, x: NodeId, p: f64) -> NodeId {
        if p == 0.0 {
            return x;
        }
        let shape = self.shape(x).to_vec();
        self.node(name, Op::Dropout { p }, vec![x], shape)
    }

    /// Adds the sum of two nodes of one shape.
    pub fn add(&mut self, name: &str, a: NodeId, b: NodeId) -> Result<NodeId> {
        if self.shape(a) != self.shape(b) {
            let problem = format!("adds {:?} and {:?}", self.shape(a), self.shape(b));
            return Err(misfit(name, problem, "use a projection or option_a shortcut"));
        }
        let shape = self.shape(a).to_vec();
        Ok(self.node(name, Op::Add, vec![a, b], shape))
    }

    /// Adds the concatenation of two feature maps along the channels.
    pub fn concat(&mut self, name: &str, a: NodeId, b: NodeId) -> Result<NodeId> {
        let ([ca, ha, wa], [cb, hb, wb]) = (self.feature_map(name, a)?, self.feature_map(name, b)?);
        if (ha, wa) != (hb, wb) {
            return Err(misfit(name, format!("joins {ha}x{wa} and {hb}x{wb}"), "sides must agree"));
        }
        Ok(self.node(name, Op::Concat, vec![a, b], vec![ca + cb, ha, wa]))
    }

    /// Adds max pooling with windows side by side.
    pub fn max_pool(&mut self, name: &str, x: NodeId, kernel: usize) -> Result<NodeId> {
        self.max_pool_over(name, x, [kernel, kernel, 0])
    }

    /// Adds max pooling with windows of side `kernel` every `stride` pixels, of which the first begins
    /// `padding` pixels before the feature map.
    pub fn max_pool_over(
        &mut self,
        name: &str,
        x: NodeId,
        [kernel, stride, padding]: [usize; 3],
    ) -> Result<NodeId> {
        if padding > kernel / 2 {
            return Err(misfit(
                name,
                format!("pads a window of side {kernel} by {padding}"),
                "pad by half of the window's side at most",
            ));
        }
        let [c, h, w] = self.feature_map(name, x)?;
        let h_out = self.windows(name, h, kernel, stride, padding)?;
        let w_out = self.windows(name, w, kernel, stride, padding)?;
        let op = Op::MaxPool { kernel, stride, padding };
        Ok(self.node(name, op, vec![x], vec![c, h_out, w_out]))
    }

    /// Adds average pooling with windows side by side.
    pub fn avg_pool(&mut self, name: &str, x: NodeId, kernel: usize) -> Result<NodeId> {
        let [c, h, w] = self.feature_map(name, x)?;
        let h_out = self.windows(name, h, kernel, kernel, 0)?;
        let w_out = self.windows(name, w, kernel, kernel, 0)?;
        let op = Op::AvgPool { kernel, stride: kernel };
        Ok(self.node(name, op, vec![x], vec![c, h_out, w_out]))
    }

    /// Adds the mean over the feature map.
    pub fn global_avg_pool(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let [c, _, _] = self.feature_map(name, x)?;
        Ok(self.node(name, Op::GlobalAvgPool, vec![x], vec![c]))
    }

    /// Adds flattening.
    pub fn flatten(&mut self, name: &str, x: NodeId) -> NodeId {
        let len = self.shape(x).iter().fold(1, |len: usize, n| len.saturating_mul(*n));
        self.node(name, Op::Flatten, vec![x], vec![len])
    }

    /// Adds the parameterless shortcut to `out` channels.
    pub fn pad_shortcut(
        &mut self,
        name: &str,
        x: NodeId,
        out: usize,
        stride: usize,
    ) -> Result<NodeId> {
        let [c, h, w] = self.feature_map(name, x)?;
        if stride == 0 {
            return Err(misfit(name, "has stride 0", "use at least 1"));
        }
        if out < c {
            return Err(misfit(
                name,
                format!("cannot take {c} channels to {out}"),
                "use the projection shortcut",
            ));
        }
        let before = (out - c) / 2;
        let op = Op::PadShortcut { stride, before, after: out - c - before };
        Ok(self.node(name, op, vec![x], vec![out, h.div_ceil(stride), w.div_ceil(stride)]))
    }

    /// Adds the view of a feature map as tokens.
    pub fn to_tokens(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let [d, h, w] = self.feature_map(name, x)?;
        Ok(self.node(name, Op::ToTokens, vec![x], vec![h * w, d]))
    }

    /// Adds a learned first token, drawn from N(0, 0.02^2).
    pub fn class_token(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let [t, d] = self.tokens(name, x)?;
        let token =
            self.param(name.into(), vec![1, 1, d], Role::Weight, Init::Normal { std: 0.02 })?;
        Ok(self.node(name, Op::ClassToken { token }, vec![x], vec![t + 1, d]))
    }

    /// Adds learned positions, drawn from N(0, 0.02^2).
    pub fn position_embedding(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let [t, d] = self.tokens(name, x)?;
        let embedding =
            self.param(name.into(), vec![1, t, d], Role::Weight, Init::Normal { std: 0.02 })?;
        Ok(self.node(name, Op::PositionEmbedding { embedding }, vec![x], vec![t, d]))
    }

    /// Adds softmax attention over packed queries, keys and values; where it is `causal` a token sees itself
    /// and those before it only.
    pub fn attention(
        &mut self,
        name: &str,
        x: NodeId,
        heads: usize,
        causal: bool,
    ) -> Result<NodeId> {
        let [t, packed] = self.tokens(name, x)?;
        if packed % 3 != 0 {
            let problem = format!("gets {packed} values a token, which are no three of a size");
            return Err(misfit(
                name,
                problem,
                "let a linear layer before it make queries, keys and values",
            ));
        }
        let d = packed / 3;
        if heads == 0 || d % heads != 0 {
            return Err(misfit(
                name,
                format!("cannot cut dimension {d} into {heads} heads"),
                "let model.heads divide model.dim",
            ));
        }
        Ok(self.node(name, Op::Attention { heads, causal }, vec![x], vec![t, d]))
    }

    /// Adds the choice of the first token.
    pub fn first_token(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let [_, d] = self.tokens(name, x)?;
        Ok(self.node(name, Op::FirstToken, vec![x], vec![d]))
    }
}

/// Values that a network has at most: as many bytes as address space, and every count of bytes,
/// multiply-accumulates and the like still fits 64 bits.
const MOST_VALUES: usize = 1 << 44;

/// Refuses a tensor of `shape` that would bring the `before` values of a network beyond what can be.
fn check_len(name: &str, before: usize, shape: &[usize]) -> Result<()> {
    let len = shape.iter().try_fold(1usize, |len, n| len.checked_mul(*n));
    match len.and_then(|len| len.checked_add(before)) {
        Some(values) if values <= MOST_VALUES => Ok(()),
        _ => Err(misfit(
            name,
            format!("of shape {shape:?} makes the network larger than any memory"),
            "make it narrower or shallower",
        )),
    }
}

fn misfit(node: &str, problem: impl Into<String>, remedy: &str) -> Error {
    Error::Shape { node: node.into(), problem: problem.into(), remedy: remedy.into() }
}
