//! The network as the engine sees it: fewer, larger units.
//!
//! Batch normalisation, the residual sum and ReLU become one [`UnitOp::Join`]; a linear layer is a
//! 1x1 convolution; tensors of one axis are feature maps of one pixel, tokens (t, d) are feature
//! maps of d channels with one row of t pixels.

use super::kernels::attention::Heads;
use super::kernels::{ConvForm, Window};
use super::shape::Order;
use crate::network::{Activation, BufferId, Network, Node, NodeId, Op, ParamId};

/// Index into [`Graph::values`].
pub(super) type ValueId = usize;
/// Index into [`Graph::norms`].
pub(super) type NormId = usize;

/// What a unit computes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum UnitOp {
    Conv {
        weight: ParamId,
        bias: Option<ParamId>,
        form: ConvForm,
    },
    /// Each channel by itself.
    Depthwise {
        weight: ParamId,
        bias: Option<ParamId>,
        window: Window,
    },
    /// Sum of its one or two inputs, each through its batch normalisation if it has one.
    Join {
        norms: Vec<Option<NormId>>,
        relu: bool,
    },
    Activation(Activation),
    MaxPool(Window),
    AvgPool(Window),
    GlobalAvgPool,
    Concat,
    Flatten,
    PadShortcut {
        stride: usize,
        before: usize,
    },
    Dropout {
        node: NodeId,
        p: f64,
        order: Order,
    },
    /// The pixels in one row.
    Tokens,
    ClassToken {
        token: ParamId,
    },
    PositionEmbedding {
        embedding: ParamId,
    },
    /// Over the channels of each pixel.
    TokenNorm {
        weight: ParamId,
        bias: ParamId,
        eps: f64,
    },
    Attention(Heads),
    FirstToken,
}

impl UnitOp {
    /// The parameters that it reads as rows of channels.
    pub fn rows(&self) -> Vec<ParamId> {
        match *self {
            UnitOp::ClassToken { token } => vec![token],
            UnitOp::PositionEmbedding { embedding } => vec![embedding],
            UnitOp::TokenNorm { weight, bias, .. } => vec![weight, bias],
            UnitOp::Depthwise { weight, bias, .. } => std::iter::once(weight).chain(bias).collect(),
            _ => Vec::new(),
        }
    }
}

/// A layer, what it reads and what it makes.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub op: UnitOp,
    pub inputs: Vec<ValueId>,
    pub output: ValueId,
}

/// A batch normalisation: its parameters, buffers and constants.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchNorm {
    pub weight: ParamId,
    pub bias: ParamId,
    pub mean: BufferId,
    pub var: BufferId,
    pub eps: f64,
    pub momentum: f64,
    /// What it normalises.
    pub input: ValueId,
}

/// Units in an order in which each reads earlier values only.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    /// (c, h, w) of each value; value 0 is the images, the last unit's output the logits.
    pub values: Vec<[usize; 3]>,
    pub units: Vec<Unit>,
    pub norms: Vec<BatchNorm>,
}

/// Whether dropout acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Train,
    Eval,
}

/// The first operation of `network` that the engine has no kernel for: what is normal on feature
/// maps but strange on tokens, and the other way round. No architecture of this crate has one.
pub(super) fn unsupported(network: &Network) -> Option<&'static str> {
    let lacks = |node: &&Node| {
        let tokens = |id: NodeId| network.nodes[id].shape.len() == 2;
        match node.op {
            Op::BatchNorm { .. } | Op::Flatten => tokens(node.inputs[0]),
            Op::LayerNorm { .. } => node.shape.len() == 3,
            _ => false,
        }
    };
    network.nodes.iter().find(lacks).map(|n| n.op.name())
}

impl Graph {
    /// The graph of a network that has no [`unsupported`] operation.
    pub fn new(network: &Network, purpose: Purpose) -> Self {
        let consumers = network.consumers();
        let mut graph = Self { values: Vec::new(), units: Vec::new(), norms: Vec::new() };
        // What holds a node's output; nothing for nodes that their only reader absorbs.
        let mut value: Vec<Option<ValueId>> = vec![None; network.nodes.len()];
        let last = network.nodes.len() - 1;
        let relu = |op: &Op| matches!(op, Op::Activation(Activation::Relu));
        let reader = |id: NodeId| {
            let sole = consumers[id] == 1 && id != last;
            sole.then(|| network.nodes.iter().find(|n| n.inputs.contains(&id))).flatten()
        };
        let absorbed = |id: NodeId| match (&network.nodes[id].op, reader(id)) {
            (Op::BatchNorm { .. }, Some(by)) => matches!(by.op, Op::Add) || relu(&by.op),
            (Op::Add, Some(by)) => relu(&by.op),
            _ => false,
        };
        for (id, node) in network.nodes.iter().enumerate() {
            if absorbed(id) {
                continue;
            }
            let alias = match node.op {
                Op::Dropout { .. } => purpose == Purpose::Eval,
                Op::Flatten => {
                    let [.., h, w] = feature_map(&network.nodes[node.inputs[0]].shape);
                    h * w == 1
                }
                _ => false,
            };
            if alias {
                value[id] = value[node.inputs[0]];
                continue;
            }
            let joined = match node.op {
                Op::BatchNorm { .. } | Op::Add => Some((id, false)),
                Op::Activation(Activation::Relu) => Some((node.inputs[0], true)),
                _ => None,
            };
            let (op, inputs) = match joined {
                Some((from, relu)) => {
                    // ReLU of a value that is kept is a join of that value alone.
                    let own = from == id || absorbed(from);
                    let terms = match (&network.nodes[from].op, own) {
                        (Op::Add, true) => network.nodes[from].inputs.clone(),
                        _ => vec![from],
                    };
                    let (norms, inputs) = terms
                        .into_iter()
                        .map(|t| {
                            let normalises = own && (t == id || absorbed(t));
                            graph.term(network, &value, t, normalises)
                        })
                        .unzip();
                    (Some(UnitOp::Join { norms, relu }), inputs)
                }
                None => {
                    let inputs = node
                        .inputs
                        .iter()
                        .map(|&i| value[i].expect("nodes read earlier nodes that are kept"))
                        .collect();
                    (plain(network, id), inputs)
                }
            };
            let output = graph.values.len();
            graph.values.push(feature_map(&node.shape));
            value[id] = Some(output);
            if let Some(op) = op {
                graph.units.push(Unit { op, inputs, output });
            }
        }
        graph
    }

    /// A join's term: node `t` itself, or its input with its normalisation.
    fn term(
        &mut self,
        network: &Network,
        value: &[Option<ValueId>],
        t: NodeId,
        normalises: bool,
    ) -> (Option<NormId>, ValueId) {
        let held = |id: NodeId| value[id].expect("nodes read earlier nodes that are kept");
        match network.nodes[t].op {
            Op::BatchNorm { weight, bias, mean, var, eps, momentum } if normalises => {
                let input = held(network.nodes[t].inputs[0]);
                self.norms.push(BatchNorm { weight, bias, mean, var, eps, momentum, input });
                (Some(self.norms.len() - 1), input)
            }
            _ => (None, held(t)),
        }
    }

    /// The unit that makes `value`; none makes the images.
    pub fn maker(&self, value: ValueId) -> Option<usize> {
        self.units.iter().position(|u| u.output == value)
    }

    /// The logits.
    pub fn logits(&self) -> ValueId {
        self.units.last().map_or(0, |u| u.output)
    }

    /// For each value, the zero border that the convolutions reading it need.
    pub fn halos(&self) -> Vec<usize> {
        let mut halos = vec![0; self.values.len()];
        for unit in &self.units {
            if let UnitOp::Conv { form, .. } = unit.op {
                let halo = &mut halos[unit.inputs[0]];
                *halo = form.padding.max(*halo);
            }
        }
        halos
    }
}

/// A shape without the batch axis as a feature map.
fn feature_map(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [c] => [c, 1, 1],
        [t, d] => [d, 1, t],
        [c, h, w] => [c, h, w],
        _ => unreachable!("tensors have one to three axes"),
    }
}

/// The layer of a node that is no join; none for the input.
fn plain(network: &Network, id: NodeId) -> Option<UnitOp> {
    Some(match network.nodes[id].op {
        Op::Input => return None,
        Op::Conv2d { weight, bias, stride, padding } => {
            let form = ConvForm { kernel: network.layout.params[weight].shape[2], stride, padding };
            UnitOp::Conv { weight, bias, form }
        }
        Op::DepthwiseConv2d { weight, bias, stride, padding } => {
            let kernel = network.layout.params[weight].shape[2];
            UnitOp::Depthwise { weight, bias, window: Window { kernel, stride, padding } }
        }
        Op::Linear { weight, bias } => {
            UnitOp::Conv { weight, bias, form: ConvForm { kernel: 1, stride: 1, padding: 0 } }
        }
        Op::Activation(kind) => UnitOp::Activation(kind),
        Op::MaxPool { kernel, stride, padding } => {
            UnitOp::MaxPool(Window { kernel, stride, padding })
        }
        Op::AvgPool { kernel, stride } => UnitOp::AvgPool(Window { kernel, stride, padding: 0 }),
        Op::GlobalAvgPool => UnitOp::GlobalAvgPool,
        Op::Concat => UnitOp::Concat,
        Op::Flatten => UnitOp::Flatten,
        Op::Dropout { p } => {
            let tokens = network.nodes[id].shape.len() == 2;
            let order = if tokens { Order::Tokens } else { Order::FeatureMap };
            UnitOp::Dropout { node: id, p, order }
        }
        Op::PadShortcut { stride, before, .. } => UnitOp::PadShortcut { stride, before },
        Op::ToTokens => UnitOp::Tokens,
        Op::ClassToken { token } => UnitOp::ClassToken { token },
        Op::PositionEmbedding { embedding } => UnitOp::PositionEmbedding { embedding },
        Op::LayerNorm { weight, bias, eps } => UnitOp::TokenNorm { weight, bias, eps },
        Op::Attention { heads, causal } => UnitOp::Attention(Heads { heads, causal }),
        Op::FirstToken => UnitOp::FirstToken,
        Op::BatchNorm { .. } | Op::Add => unreachable!("joins are made elsewhere"),
    })
}
