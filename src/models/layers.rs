//! What the architectures share: a builder that applies the spec's options.

use super::{InitRule, ModelSpec, Norm};
use crate::Result;
use crate::network::{Activation, Builder, Conv, Init, Network, NodeId};

/// A [`Builder`] with the spec's normalisation, activation, dropout, initialisation and width.
pub(super) struct Layers<'a> {
    spec: &'a ModelSpec,
    activation: Activation,
    /// What `kaiming_normal` means for a linear layer of this architecture.
    linear_init: LinearInit,
    pub(super) net: Builder,
}

/// How linear layers are drawn under `kaiming_normal`.
pub(super) enum LinearInit {
    /// N(0, 1e-3^2), as the paper's code does.
    Paper,
    /// By the rule, as any other weight.
    Rule,
}

impl<'a> Layers<'a> {
    pub(super) fn new(
        spec: &'a ModelSpec,
        input: [usize; 3],
        own: Activation,
        linear_init: LinearInit,
    ) -> Self {
        let activation = spec.activation.0.unwrap_or(own);
        let net = Builder::new(spec.describe(), input).with_bias(spec.init_bias as f32);
        Self { spec, activation, linear_init, net }
    }

    /// A published width times `model.width`, at least 1.
    pub(super) fn width(&self, published: usize) -> usize {
        ((published as f64 * self.spec.width).round() as usize).max(1)
    }

    /// Convolution; its bias is left out where batch norm follows, unless the published net has it.
    pub(super) fn conv(
        &mut self,
        name: &str,
        x: NodeId,
        out: usize,
        [kernel, stride]: [usize; 2],
        bias: bool,
    ) -> Result<NodeId> {
        self.conv_padded(name, x, out, [kernel, stride, kernel / 2], bias)
    }

    /// [`Layers::conv`] with its padding given: kernel, stride, padding.
    pub(super) fn conv_padded(
        &mut self,
        name: &str,
        x: NodeId,
        out: usize,
        [kernel, stride, padding]: [usize; 3],
        bias: bool,
    ) -> Result<NodeId> {
        let bias = bias || self.spec.norm == Norm::None;
        self.conv_of(name, x, Conv { out, kernel, stride, padding, bias })
    }

    /// Convolution as it is given.
    pub(super) fn conv_of(&mut self, name: &str, x: NodeId, conv: Conv) -> Result<NodeId> {
        let spec = self.spec;
        self.net.conv(name, x, conv, |fan_in, fan_out| draw(spec, fan_in, fan_out))
    }

    /// Convolution of each channel by itself: kernel, stride, padding.
    pub(super) fn depthwise(
        &mut self,
        name: &str,
        x: NodeId,
        form: [usize; 3],
        bias: bool,
    ) -> Result<NodeId> {
        let spec = self.spec;
        self.net.depthwise_conv(name, x, form, bias, |fan_in, fan_out| draw(spec, fan_in, fan_out))
    }

    /// Linear layer.
    pub(super) fn linear(&mut self, name: &str, x: NodeId, out: usize) -> Result<NodeId> {
        self.linear_of(name, x, out, true)
    }

    /// Linear layer with or without a bias.
    pub(super) fn linear_of(
        &mut self,
        name: &str,
        x: NodeId,
        out: usize,
        bias: bool,
    ) -> Result<NodeId> {
        let spec = self.spec;
        let paper = matches!(self.linear_init, LinearInit::Paper);
        self.net.linear_of(name, x, out, bias, |fan_in, fan_out| {
            if paper && spec.init == InitRule::KaimingNormal {
                Init::Normal { std: 1e-3 }
            } else {
                draw(spec, fan_in, fan_out)
            }
        })
    }

    /// Whether the spec's normalisation is there, so that a convolution before it needs no bias.
    pub(super) fn normalises(&self) -> bool {
        self.spec.norm != Norm::None
    }

    /// The spec's normalisation, or nothing.
    pub(super) fn norm(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        match self.spec.norm {
            Norm::Batch => self.net.batch_norm(name, x),
            Norm::None => Ok(x),
        }
    }

    /// The spec's nonlinearity.
    pub(super) fn activation(&mut self, name: &str, x: NodeId) -> NodeId {
        self.net.activation(name, x, self.activation)
    }

    /// The spec's dropout, or nothing.
    pub(super) fn dropout(&mut self, name: &str, x: NodeId) -> NodeId {
        self.net.dropout(name, x, self.spec.dropout)
    }

    /// Closes the network at its logits.
    pub(super) fn finish(self, logits: NodeId) -> Result<Network> {
        self.net.finish(logits)
    }
}

/// The distribution of a weight with these fans. `model.init` gives the formulas.
fn draw(spec: &ModelSpec, fan_in: usize, fan_out: usize) -> Init {
    let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
    match spec.init {
        InitRule::KaimingNormal => Init::Normal { std: (2.0 / fan_in).sqrt() },
        InitRule::KaimingUniform => Init::Uniform { bound: (6.0 / fan_in).sqrt() },
        InitRule::XavierNormal => Init::Normal { std: (2.0 / (fan_in + fan_out)).sqrt() },
        InitRule::XavierUniform => Init::Uniform { bound: (6.0 / (fan_in + fan_out)).sqrt() },
        InitRule::Orthogonal => Init::Orthogonal { gain: 2f64.sqrt() },
        InitRule::ConstantScale => Init::Normal { std: spec.init_scale },
        InitRule::TruncatedNormal => Init::TruncatedNormal { std: spec.init_scale },
    }
}
