//! Networks as data: an architecture in a TOML file, one table a layer.
//!
//! ```toml
//! name = "small_cnn"
//!
//! [[layers]]
//! op = "conv2d"
//! name = "conv1"          # the parameters are conv1.weight and conv1.bias
//! out = 32
//! kernel = 3
//! padding = "same"
//!
//! [[layers]]
//! op = "relu"             # reads the layer before; `from = ["conv1"]` names another
//!
//! [[layers]]
//! op = "global_avg_pool"
//!
//! [[layers]]
//! op = "linear"
//! out = "classes"
//! ```
//!
//! A layer without a name has its place as its name, 0 for the first, as in PyTorch's `Sequential`. A
//! `block` holds layers of its own, once or several times; its name leads theirs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layers::{Layers, LinearInit};
use super::{Arch, DEEPEST, ModelSpec};
use crate::names::named_enum;
use crate::network::{Activation, Conv, Network, NodeId, Op};
use crate::{Error, Result, disk};

named_enum! {
    /// What a layer of an architecture's file does.
    pub enum LayerOp("operation of a layer") {
        /// Layers of its own, `repeat` times.
        Block = "block",
        /// A convolution: `out`, `kernel`, `stride` 1, `padding` 0 or "same", `bias` true.
        Conv2d = "conv2d",
        /// A convolution of each channel by itself, as many channels out as in: `kernel`, `stride` 1,
        /// `padding` 0 or "same", `bias` true.
        DepthwiseConv2d = "depthwise_conv2d",
        /// A linear layer on the last axis: `out`, `bias` true.
        Linear = "linear",
        /// Batch normalisation: `eps` 1e-5, `momentum` 0.1.
        BatchNorm = "batch_norm",
        /// Layer normalisation over the last axis: `eps` 1e-5.
        LayerNorm = "layer_norm",
        /// What `model.norm` says: batch normalisation or nothing.
        Norm = "norm",
        /// What `model.activation` says, ReLU by default.
        Activation = "activation",
        /// max(x, 0).
        Relu = "relu",
        /// x for x > 0, 0.01 x otherwise.
        LeakyRelu = "leaky_relu",
        /// x Phi(x).
        Gelu = "gelu",
        /// x sigmoid(x).
        Silu = "silu",
        /// tanh(x).
        Tanh = "tanh",
        /// 1 / (1 + exp(-x)).
        Sigmoid = "sigmoid",
        /// The sum of the two layers in `from`.
        Add = "add",
        /// The two layers in `from` one behind the other, along the channels.
        Concat = "concat",
        /// Maximum over windows: `kernel`, `stride` as the kernel, `padding` 0.
        MaxPool = "max_pool",
        /// Mean over windows side by side: `kernel`.
        AvgPool = "avg_pool",
        /// Mean over the feature map.
        GlobalAvgPool = "global_avg_pool",
        /// A feature map as a vector.
        Flatten = "flatten",
        /// Dropout with probability `p`, by default `model.dropout`.
        Dropout = "dropout",
        /// Every `stride`-th pixel and zero channels up to `out` (He et al. 2016, option A).
        PadShortcut = "pad_shortcut",
        /// The pixels of a feature map as tokens.
        ToTokens = "to_tokens",
        /// A learned token before the others.
        ClassToken = "class_token",
        /// A learned vector added to each token.
        PositionEmbedding = "position_embedding",
        /// Softmax attention of `heads` heads over packed queries, keys and values.
        Attention = "attention",
        /// The first token.
        FirstToken = "first_token",
    }
}

/// A number of outputs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "toml::Value")]
pub enum Width {
    /// That many; `model.width` multiplies them.
    Units(usize),
    /// As many as the data have classes, written `"classes"`.
    #[serde(serialize_with = "classes_word")]
    Classes,
}

fn classes_word<S: serde::Serializer>(out: S) -> std::result::Result<S::Ok, S::Error> {
    out.serialize_str("classes")
}

impl TryFrom<toml::Value> for Width {
    type Error = String;

    fn try_from(value: toml::Value) -> std::result::Result<Self, String> {
        match value {
            toml::Value::Integer(n) if n > 0 => Ok(Self::Units(n as usize)),
            toml::Value::String(word) if word == "classes" => Ok(Self::Classes),
            other => Err(format!("out = {other}: write a number of 1 or more, or \"classes\"")),
        }
    }
}

/// Zeros on each side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "toml::Value")]
pub enum PaddingOf {
    /// That many.
    Pixels(usize),
    /// Half the kernel's side, written `"same"`: the size is kept where the stride is 1 and the kernel odd.
    #[serde(serialize_with = "same_word")]
    Same,
}

fn same_word<S: serde::Serializer>(out: S) -> std::result::Result<S::Ok, S::Error> {
    out.serialize_str("same")
}

impl TryFrom<toml::Value> for PaddingOf {
    type Error = String;

    fn try_from(value: toml::Value) -> std::result::Result<Self, String> {
        match value {
            toml::Value::Integer(n) if n >= 0 => Ok(Self::Pixels(n as usize)),
            toml::Value::String(word) if word == "same" => Ok(Self::Same),
            other => Err(format!("padding = {other}: write a number of 0 or more, or \"same\"")),
        }
    }
}

/// A layer of an architecture's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    /// What it does.
    pub op: LayerOp,
    /// Its name, which leads those of its parameters; its place without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The layers that it reads, by name; the one before without them. `input` is what the network, or
    /// the block, gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<String>>,
    /// Channels or units that it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<Width>,
    /// Side of its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<usize>,
    /// Step of its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Zeros on each side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<PaddingOf>,
    /// Whether it adds a bias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<bool>,
    /// Added to the variance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// Weight of a new batch in the running statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Probability of dropout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// Attention heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Whether a token attends to itself and those before it only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causal: Option<bool>,
    /// How often a block stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<usize>,
    /// A block's layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<LayerSpec>>,
}

impl LayerSpec {
    /// A layer that does `op`, with nothing else said.
    pub fn of(op: LayerOp) -> Self {
        Self {
            op,
            name: None,
            from: None,
            out: None,
            kernel: None,
            stride: None,
            padding: None,
            bias: None,
            eps: None,
            momentum: None,
            p: None,
            heads: None,
            causal: None,
            repeat: None,
            layers: None,
        }
    }

    /// Refuses keys that the operation has no use for: whoever wrote one meant something.
    fn check_keys(&self, name: &str) -> Result<()> {
        use LayerOp as O;
        let has: [(&str, bool); 11] = [
            ("out", self.out.is_some()),
            ("kernel", self.kernel.is_some()),
            ("stride", self.stride.is_some()),
            ("padding", self.padding.is_some()),
            ("bias", self.bias.is_some()),
            ("eps", self.eps.is_some()),
            ("momentum", self.momentum.is_some()),
            ("p", self.p.is_some()),
            ("heads", self.heads.is_some()),
            ("causal", self.causal.is_some()),
            ("repeat", self.repeat.is_some()),
        ];
        let takes: &[&str] = match self.op {
            O::Block => &["repeat"],
            O::Conv2d => &["out", "kernel", "stride", "padding", "bias"],
            O::DepthwiseConv2d => &["kernel", "stride", "padding", "bias"],
            O::Linear => &["out", "bias"],
            O::BatchNorm => &["eps", "momentum"],
            O::LayerNorm => &["eps"],
            O::MaxPool => &["kernel", "stride", "padding"],
            O::AvgPool => &["kernel"],
            O::Dropout => &["p"],
            O::PadShortcut => &["out", "stride"],
            O::Attention => &["heads", "causal"],
            _ => &[],
        };
        for (key, is_given) in has {
            if is_given && !takes.contains(&key) {
                let takes = if takes.is_empty() { "none".into() } else { takes.join(", ") };
                return Err(misfit(
                    name,
                    format!("has the key {key}, which {} does not take", self.op),
                    format!("leave it out; its own keys: {takes}"),
                ));
            }
        }
        if self.layers.is_some() != (self.op == O::Block) {
            return Err(misfit(
                name,
                "is a block without layers, or has layers",
                "give a block, and no other operation, its layers",
            ));
        }
        Ok(())
    }

    fn need<T: Copy>(&self, name: &str, key: &str, value: Option<T>, say: &str) -> Result<T> {
        value.ok_or_else(|| misfit(name, format!("({}) does not say its {key}", self.op), say))
    }

    fn padding(&self, kernel: usize) -> usize {
        match self.padding {
            None => 0,
            Some(PaddingOf::Pixels(n)) => n,
            Some(PaddingOf::Same) => kernel / 2,
        }
    }
}

/// An architecture's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchFile {
    /// The architecture's name; that of the file without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its layers, each behind those that it reads; the last gives the logits.
    pub layers: Vec<LayerSpec>,
}

impl ArchFile {
    /// Reads `path`; an architecture without a name gets the file's.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::SpecSyntax`] for what is no such file, [`Error::BadValue`] where it has no
    /// layers or the name of a built-in architecture.
    pub fn read(path: &Path) -> Result<(String, Vec<LayerSpec>)> {
        let text = disk::read_named_text(path, "read the architecture")?;
        let syntax = |message: String| Error::SpecSyntax {
            message: format!("{}: {message}", path.display()),
        };
        let file: Self = toml::from_str(&text)
            .map_err(|e: toml::de::Error| syntax(e.to_string().trim_end().into()))?;
        let stem = || path.file_stem().map_or("own".into(), |s| s.to_string_lossy().into_owned());
        let name = file.name.unwrap_or_else(stem);
        if name.parse::<Arch>().is_ok() {
            return Err(Error::bad_value(
                "name",
                name,
                "is the name of a built-in architecture",
                format!("give the one in {} a name of its own", path.display()),
            ));
        }
        if file.layers.is_empty() {
            return Err(Error::bad_value(
                path.display().to_string(),
                name,
                "has no layers",
                "write a [[layers]] table for each",
            ));
        }
        Ok((name, file.layers))
    }

    /// The file that describes `network`, layer by layer: every number written out, nothing left to the
    /// `[model]` table.
    pub fn of(network: &Network) -> Self {
        let layers = network.nodes.iter().enumerate().skip(1);
        Self {
            name: Some(format!("{}_copy", network.arch.split(' ').next().unwrap_or("own"))),
            layers: layers.map(|(id, _)| layer_of(network, id)).collect(),
        }
    }

    /// As TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("an architecture is plain data")
    }

    /// Writes the file, where none is.
    ///
    /// # Errors
    /// [`Error::BadValue`] where `path` is there or has another ending than `.toml`, by which such a file is
    /// known; [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let refuse = |problem: &str, remedy: &str| {
            Err(Error::bad_value("architecture", path.display(), problem, remedy))
        };
        if path.extension().is_none_or(|end| end != "toml") {
            return refuse("is no .toml file", "name it net.toml, say");
        }
        if disk::is_there(path)? {
            return refuse("is there already", "give the new file another name");
        }
        disk::write_bytes(path, self.to_toml().as_bytes()).map(|_| ())
    }
}

/// A node as a layer that reads by name whatever is not right before it.
fn layer_of(network: &Network, id: NodeId) -> LayerSpec {
    let node = &network.nodes[id];
    let side = |weight: usize| network.layout.params[weight].shape[2];
    let mut layer = LayerSpec::of(LayerOp::Flatten);
    layer.name = Some(node.name.clone());
    if node.inputs != [id - 1] {
        layer.from = Some(node.inputs.iter().map(|&i| network.nodes[i].name.clone()).collect());
    }
    let width = |n: usize, is_last: bool| if is_last { Width::Classes } else { Width::Units(n) };
    let is_last = id + 1 == network.nodes.len();
    layer.op = match node.op {
        Op::Conv2d { weight, bias, stride, padding } => {
            layer.out = Some(Width::Units(node.shape[0]));
            layer.kernel = Some(side(weight));
            (layer.stride, layer.bias) = (Some(stride), Some(bias.is_some()));
            layer.padding = Some(PaddingOf::Pixels(padding));
            LayerOp::Conv2d
        }
        Op::DepthwiseConv2d { weight, bias, stride, padding } => {
            layer.kernel = Some(side(weight));
            (layer.stride, layer.bias) = (Some(stride), Some(bias.is_some()));
            layer.padding = Some(PaddingOf::Pixels(padding));
            LayerOp::DepthwiseConv2d
        }
        Op::Linear { bias, .. } => {
            layer.out = Some(width(node.shape[node.shape.len() - 1], is_last));
            layer.bias = Some(bias.is_some());
            LayerOp::Linear
        }
        Op::BatchNorm { eps, momentum, .. } => {
            (layer.eps, layer.momentum) = (Some(eps), Some(momentum));
            LayerOp::BatchNorm
        }
        Op::LayerNorm { eps, .. } => {
            layer.eps = Some(eps);
            LayerOp::LayerNorm
        }
        Op::Activation(kind) => match kind {
            Activation::Relu => LayerOp::Relu,
            Activation::LeakyRelu => LayerOp::LeakyRelu,
            Activation::Gelu => LayerOp::Gelu,
            Activation::Silu => LayerOp::Silu,
            Activation::Tanh => LayerOp::Tanh,
            Activation::Sigmoid => LayerOp::Sigmoid,
        },
        Op::MaxPool { kernel, stride, padding } => {
            (layer.kernel, layer.stride) = (Some(kernel), Some(stride));
            layer.padding = Some(PaddingOf::Pixels(padding));
            LayerOp::MaxPool
        }
        Op::AvgPool { kernel, .. } => {
            layer.kernel = Some(kernel);
            LayerOp::AvgPool
        }
        Op::Dropout { p } => {
            layer.p = Some(p);
            LayerOp::Dropout
        }
        Op::PadShortcut { stride, .. } => {
            (layer.out, layer.stride) = (Some(Width::Units(node.shape[0])), Some(stride));
            LayerOp::PadShortcut
        }
        Op::Attention { heads, causal } => {
            layer.heads = Some(heads);
            layer.causal = causal.then_some(true);
            LayerOp::Attention
        }
        Op::Add => LayerOp::Add,
        Op::Concat => LayerOp::Concat,
        Op::GlobalAvgPool => LayerOp::GlobalAvgPool,
        Op::Flatten | Op::Input => LayerOp::Flatten,
        Op::ToTokens => LayerOp::ToTokens,
        Op::ClassToken { .. } => LayerOp::ClassToken,
        Op::PositionEmbedding { .. } => LayerOp::PositionEmbedding,
        Op::FirstToken => LayerOp::FirstToken,
    };
    layer
}

/// Builds the network of `spec.layers`.
///
/// # Errors
/// [`Error::Shape`] that names the layer: shapes that do not fit, keys that are missing or have no use,
/// names that are unknown or taken, a layer that nothing reads.
pub(super) fn own(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    let b = Layers::new(spec, input, Activation::Relu, LinearInit::Rule);
    let mut build = Build { spec, classes, layers: 0, b };
    let start = build.b.net.input();
    let logits = build.stack(&spec.layers, "", start)?;
    let network = build.b.finish(logits)?;
    let unread = network.consumers();
    if let Some(id) = (1..network.nodes.len() - 1).find(|&id| unread[id] == 0) {
        return Err(misfit(
            &network.nodes[id].name,
            "is read by no other layer",
            "name it in another layer's `from`, or leave it out",
        ));
    }
    if network.classes != classes {
        return Err(misfit(
            &network.nodes[logits].name,
            format!("gives {} logits, but the data have {classes} classes", network.classes),
            "write out = \"classes\" in the last layer",
        ));
    }
    Ok(network)
}

struct Build<'a> {
    spec: &'a ModelSpec,
    classes: usize,
    /// Layers so far.
    layers: usize,
    b: Layers<'a>,
}

impl Build<'_> {
    /// Layers one after another, of which the first gets `input`; what the last makes.
    fn stack(&mut self, layers: &[LayerSpec], prefix: &str, input: NodeId) -> Result<NodeId> {
        let mut named: BTreeMap<String, NodeId> = BTreeMap::from([("input".to_string(), input)]);
        let mut last = input;
        if layers.is_empty() {
            let name = if prefix.is_empty() { "model.layers" } else { prefix };
            return Err(misfit(name, "has no layers", "give it at least one"));
        }
        for (place, layer) in layers.iter().enumerate() {
            let own = layer.name.clone().unwrap_or_else(|| place.to_string());
            let name = if prefix.is_empty() { own.clone() } else { format!("{prefix}.{own}") };
            if own.is_empty() || own == "input" || named.contains_key(&own) {
                return Err(misfit(
                    &name,
                    "has a name that is taken",
                    "give each layer its own name",
                ));
            }
            self.layers += 1;
            if self.layers > 100 * DEEPEST {
                return Err(misfit(
                    &name,
                    "is one layer too many",
                    "use fewer layers or repetitions",
                ));
            }
            layer.check_keys(&name)?;
            let from = match &layer.from {
                None => vec![last],
                Some(names) => names
                    .iter()
                    .map(|wanted| {
                        named.get(wanted).copied().ok_or_else(|| {
                            let known = named.keys().map(String::as_str);
                            let near = crate::error::nearest(wanted, known);
                            let remedy = match near {
                                Some(near) => format!("did you mean `{near}`?"),
                                None => {
                                    "name a layer that stands before it in the same list".into()
                                }
                            };
                            misfit(&name, format!("reads `{wanted}`, which is not there"), remedy)
                        })
                    })
                    .collect::<Result<_>>()?,
            };
            let wanted = if matches!(layer.op, LayerOp::Add | LayerOp::Concat) { 2 } else { 1 };
            if from.len() != wanted {
                return Err(misfit(
                    &name,
                    format!("({}) reads {} layers", layer.op, from.len()),
                    format!("name {wanted} in `from`"),
                ));
            }
            last = self.layer(layer, &name, &from)?;
            named.insert(own, last);
        }
        Ok(last)
    }

    fn width(&self, layer: &LayerSpec, name: &str) -> Result<usize> {
        let out = layer.need(name, "out", layer.out, "write out = 64, or out = \"classes\"")?;
        Ok(match out {
            Width::Units(n) => self.b.width(n),
            Width::Classes => self.classes,
        })
    }

    fn layer(&mut self, layer: &LayerSpec, name: &str, from: &[NodeId]) -> Result<NodeId> {
        use LayerOp as O;
        let x = from[0];
        let kernel = || layer.need(name, "kernel", layer.kernel, "write kernel = 3");
        let stride = layer.stride.unwrap_or(1);
        match layer.op {
            O::Block => {
                let layers = layer.layers.as_deref().unwrap_or_default();
                let times = layer.repeat.unwrap_or(1);
                if times == 0 {
                    return Err(misfit(name, "stands there 0 times", "leave the block out"));
                }
                let mut last = x;
                for i in 0..times {
                    let inner = if times == 1 { name.into() } else { format!("{name}.{i}") };
                    last = self.stack(layers, &inner, last)?;
                }
                Ok(last)
            }
            O::Conv2d => {
                let (out, kernel) = (self.width(layer, name)?, kernel()?);
                let conv = Conv {
                    out,
                    kernel,
                    stride,
                    padding: layer.padding(kernel),
                    bias: layer.bias.unwrap_or(true),
                };
                self.b.conv_of(name, x, conv)
            }
            O::DepthwiseConv2d => {
                let kernel = kernel()?;
                let form = [kernel, stride, layer.padding(kernel)];
                self.b.depthwise(name, x, form, layer.bias.unwrap_or(true))
            }
            O::Linear => {
                let out = self.width(layer, name)?;
                self.b.linear_of(name, x, out, layer.bias.unwrap_or(true))
            }
            O::BatchNorm => {
                let (eps, momentum) = (layer.eps.unwrap_or(1e-5), layer.momentum.unwrap_or(0.1));
                positive(name, "eps", eps)?;
                if !(0.0..=1.0).contains(&momentum) {
                    return Err(misfit(
                        name,
                        format!("has momentum {momentum}"),
                        "use a value from 0 to 1",
                    ));
                }
                self.b.net.batch_norm_of(name, x, eps, momentum)
            }
            O::LayerNorm => {
                let eps = layer.eps.unwrap_or(1e-5);
                positive(name, "eps", eps)?;
                self.b.net.layer_norm_of(name, x, eps)
            }
            O::Norm => self.b.norm(name, x),
            O::Activation => Ok(self.b.activation(name, x)),
            O::Relu => Ok(self.b.net.activation(name, x, Activation::Relu)),
            O::LeakyRelu => Ok(self.b.net.activation(name, x, Activation::LeakyRelu)),
            O::Gelu => Ok(self.b.net.activation(name, x, Activation::Gelu)),
            O::Silu => Ok(self.b.net.activation(name, x, Activation::Silu)),
            O::Tanh => Ok(self.b.net.activation(name, x, Activation::Tanh)),
            O::Sigmoid => Ok(self.b.net.activation(name, x, Activation::Sigmoid)),
            O::Add => self.b.net.add(name, x, from[1]),
            O::Concat => self.b.net.concat(name, x, from[1]),
            O::MaxPool => {
                let kernel = kernel()?;
                let stride = layer.stride.unwrap_or(kernel);
                self.b.net.max_pool_over(name, x, [kernel, stride, layer.padding(kernel)])
            }
            O::AvgPool => self.b.net.avg_pool(name, x, kernel()?),
            O::GlobalAvgPool => self.b.net.global_avg_pool(name, x),
            O::Flatten => Ok(self.b.net.flatten(name, x)),
            O::Dropout => {
                let p = layer.p.unwrap_or(self.spec.dropout);
                if !(0.0..1.0).contains(&p) {
                    return Err(misfit(
                        name,
                        format!("has p = {p}"),
                        "use a value from 0 up to but not including 1",
                    ));
                }
                Ok(self.b.net.dropout(name, x, p))
            }
            O::PadShortcut => {
                let out = self.width(layer, name)?;
                self.b.net.pad_shortcut(name, x, out, stride)
            }
            O::ToTokens => self.b.net.to_tokens(name, x),
            O::ClassToken => self.b.net.class_token(name, x),
            O::PositionEmbedding => self.b.net.position_embedding(name, x),
            O::Attention => {
                let heads = layer.need(name, "heads", layer.heads, "write heads = 3")?;
                self.b.net.attention(name, x, heads, layer.causal.unwrap_or(false))
            }
            O::FirstToken => self.b.net.first_token(name, x),
        }
    }
}

fn positive(name: &str, key: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(misfit(name, format!("has {key} = {value}"), "use a small number above 0"))
}

fn misfit(node: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::Shape { node: node.into(), problem: problem.into(), remedy: remedy.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Norm, Shortcut};

    const INPUT: [usize; 3] = [3, 32, 32];

    fn parse(text: &str) -> ModelSpec {
        let file: ArchFile = toml::from_str(text).unwrap();
        ModelSpec { arch: "own".into(), layers: file.layers, ..ModelSpec::default() }
    }

    fn problem(text: &str) -> String {
        parse(text).build(INPUT, 10).unwrap_err().to_string()
    }

    /// A node without what a copy may draw otherwise: how a parameter begins.
    fn form(network: &Network) -> (Vec<crate::network::Node>, String) {
        (network.nodes.clone(), network.layout.digest())
    }

    #[test]
    fn every_built_in_network_survives_its_file() {
        for arch in [
            "mlp",
            "lenet5",
            "2c2d",
            "vgg9",
            "vgg16",
            "resnet20",
            "wrn-16-2",
            "resnet18",
            "resnet50",
            "preact_resnet18",
            "densenet121",
            "densenet-16-12",
            "mobilenet_v2",
            "vit",
            "gpt",
        ] {
            for shortcut in [Shortcut::Projection, Shortcut::OptionA, Shortcut::None] {
                for norm in [Norm::Batch, Norm::None] {
                    let spec = ModelSpec { shortcut, norm, dropout: 0.1, ..ModelSpec::of(arch) };
                    // A text has a channel for each class.
                    let input = if arch == "gpt" { [10, 1, 12] } else { INPUT };
                    let network = spec.build(input, 10).unwrap();
                    let file = ArchFile::of(&network);
                    let back: ArchFile = toml::from_str(&file.to_toml()).unwrap();
                    assert_eq!(back, file, "{arch}");
                    let copy = ModelSpec {
                        arch: file.name.clone().unwrap(),
                        layers: back.layers,
                        ..ModelSpec::default()
                    };
                    let copy = copy.build(input, 10).unwrap();
                    assert_eq!(form(&copy), form(&network), "{arch}, shortcut {shortcut}");
                    assert_eq!(copy.layout.buffers, network.layout.buffers, "{arch}");
                }
            }
        }
    }

    #[test]
    fn blocks_repeat_their_layers_under_their_names() {
        let network = parse(
            r#"
            [[layers]]
            op = "conv2d"
            name = "stem"
            out = 8
            kernel = 3
            padding = "same"

            [[layers]]
            op = "block"
            name = "stage"
            repeat = 2
            [[layers.layers]]
            op = "conv2d"
            name = "conv"
            out = 8
            kernel = 3
            padding = "same"
            bias = false
            [[layers.layers]]
            op = "norm"
            name = "bn"
            [[layers.layers]]
            op = "add"
            from = ["bn", "input"]
            [[layers.layers]]
            op = "activation"

            [[layers]]
            op = "global_avg_pool"
            [[layers]]
            op = "linear"
            out = "classes"
            "#,
        )
        .build(INPUT, 10)
        .unwrap();
        let names: Vec<&str> = network.layout.params.iter().map(|p| p.name.as_str()).collect();
        let want = [
            "stem.weight",
            "stem.bias",
            "stage.0.conv.weight",
            "stage.0.bn.weight",
            "stage.0.bn.bias",
            "stage.1.conv.weight",
            "stage.1.bn.weight",
            "stage.1.bn.bias",
            "3.weight",
            "3.bias",
        ];
        assert_eq!(names, want);
        // The second block adds what the first made, not what the stem made.
        let place = |name: &str| network.nodes.iter().position(|n| n.name == name).unwrap();
        assert_eq!(
            network.nodes[place("stage.1.2")].inputs,
            [place("stage.1.bn"), place("stage.0.3")]
        );
    }

    #[test]
    fn what_cannot_be_built_names_the_layer_and_the_remedy() {
        let last = "[[layers]]\nop = 'flatten'\n[[layers]]\nop = 'linear'\nout = 'classes'\n";
        let with = |layer: &str| problem(&format!("[[layers]]\n{layer}\n{last}"));
        let err = with("op = 'conv2d'\nkernel = 3");
        assert!(err.contains("0:") && err.contains("out = 64"), "{err}");
        let err = with("op = 'relu'\nkernel = 3");
        assert!(err.contains("relu does not take"), "{err}");
        let err = with("op = 'relu'\nname = 'a'\nfrom = ['imput']");
        assert!(err.contains("did you mean `input`"), "{err}");
        let err = with("op = 'add'");
        assert!(err.contains("name 2 in `from`"), "{err}");
        let err = with("op = 'attention'\nheads = 2");
        assert!(err.contains("needs tokens"), "{err}");
        let err = with("op = 'pad_shortcut'\nout = 8\nstride = 0");
        assert!(err.contains("stride 0"), "{err}");
        let err = with("op = 'dropout'\np = 1.5");
        assert!(err.contains("p = 1.5"), "{err}");
        let err = with("op = 'block'");
        assert!(err.contains("block"), "{err}");
        let err = with("op = 'block'\nlayers = []");
        assert!(err.contains("has no layers"), "{err}");
        let err = problem("[[layers]]\nop = 'flatten'\n[[layers]]\nop = 'linear'\nout = 7\n");
        assert!(err.contains("7 logits") && err.contains("out = \"classes\""), "{err}");
        let err = problem(&format!(
            "[[layers]]\nop='relu'\nname='a'\n[[layers]]\nop='relu'\nfrom=['input']\n{last}"
        ));
        assert!(err.contains("a: is read by no other layer"), "{err}");
        let err = toml::from_str::<ArchFile>("[[layers]]\nop = 'conv'").unwrap_err().to_string();
        assert!(err.contains("did you mean `conv2d`"), "{err}");
        let err = toml::from_str::<ArchFile>("[[layers]]\nop = 'linear'\nout = 0").unwrap_err();
        assert!(err.to_string().contains("1 or more"), "{err}");
    }
}
