//! Architectures: short functions from a [`ModelSpec`] to a [`Network`].
//!
//! The CIFAR nets follow the code of Li et al. 2018 layer by layer, in names, order and parameter
//! counts (the tests check this), so that its checkpoints and direction files fit.

mod arch;
mod densenet;
mod gpt;
mod layers;
mod lenet;
mod mlp;
mod mobilenet;
mod own;
mod resnet;
mod vgg;
mod vit;

pub use arch::{Arch, Block, FourStages};
pub use own::{ArchFile, LayerOp, LayerSpec, PaddingOf, Width};

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::names::named_enum;
use crate::network::{Activation, Network};
use crate::{Error, Result};

named_enum! {
    /// How a residual block carries its input past its convolutions.
    pub enum Shortcut("shortcut") {
        /// Identity; a 1x1 convolution and batch norm where the shape changes (Li et al. 2018).
        Projection = "projection",
        /// Identity; every second pixel and zero channels where the shape changes (He et al. 2016).
        OptionA = "option_a",
        /// No shortcut at all.
        None = "none",
    }
}

named_enum! {
    /// What follows a convolution.
    pub enum Norm("normalisation") {
        /// Batch normalisation (Ioffe & Szegedy 2015).
        Batch = "batch",
        /// Nothing; the convolutions get a bias instead.
        None = "none",
    }
}

named_enum! {
    /// How weights are drawn before training.
    pub enum InitRule("initialisation") {
        /// N(0, 2 / fan_in) (He et al. 2015); linear layers of convolutional nets N(0, 1e-3^2), as
        /// in the code of Li et al. 2018.
        KaimingNormal = "kaiming_normal",
        /// U(-b, b), b = sqrt(6 / fan_in).
        KaimingUniform = "kaiming_uniform",
        /// N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010).
        XavierNormal = "xavier_normal",
        /// U(-b, b), b = sqrt(6 / (fan_in + fan_out)).
        XavierUniform = "xavier_uniform",
        /// Random orthogonal matrices, gain sqrt(2) (Saxe et al. 2014).
        Orthogonal = "orthogonal",
        /// N(0, init_scale^2) in every layer whatever its size: deliberately bad.
        ConstantScale = "constant_scale",
        /// N(0, init_scale^2) without what lies beyond two standard deviations, as TensorFlow has it.
        TruncatedNormal = "truncated_normal",
    }
}

named_enum! {
    /// Which convolutions of `lenet5` are padded, so that they keep the size of the feature map.
    pub enum Padding("padding") {
        /// Both.
        Same = "same",
        /// The first only: LeCun's 32 x 32 input for images of 28 x 28.
        First = "first",
        /// None, as in most tutorials.
        Valid = "valid",
    }
}

named_enum! {
    /// What a ResNet of four stages (`resnet18` and deeper) begins with.
    pub enum Stem("stem") {
        /// A 3x3 convolution, for small images.
        Cifar = "cifar",
        /// A 3x3 convolution and the 3x3 max pooling of stride 2 behind it. Nothing in a file of weights
        /// tells it from `cifar`.
        CifarPooled = "cifar_pooled",
        /// ImageNet's: a 7x7 convolution of stride 2 and the pooling (He et al. 2016, torchvision).
        Imagenet = "imagenet",
    }
}

named_enum! {
    /// What a VGG has between its feature maps and the logits.
    pub enum Head("head") {
        /// One hidden layer, as in the code of Li et al. 2018.
        Hidden = "hidden",
        /// Nothing.
        Linear = "linear",
    }
}

/// The `[model]` table of a spec: an architecture and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelSpec {
    /// `mlp`, `lenet5`, `2c2d`, `vgg9` .. `vgg19`, `resnet8` .. `resnet110` (6n + 2), `resnet18`,
    /// `resnet34`, `resnet50`, `resnet101`, `resnet152`, `preact_resnet18`, `wrn-D-K`, `densenet121`,
    /// `densenet-D-K` (6n + 4, growth K), `mobilenet_v2`, `vit`, `gpt` (of texts); or a file of layers, `net.toml` (see [`ArchFile`]).
    pub arch: String,
    /// Residual nets: the shortcut.
    pub shortcut: Shortcut,
    /// What follows a convolution.
    pub norm: Norm,
    /// The nonlinearity; `default` is GELU for `vit` and `gpt` and ReLU elsewhere.
    pub activation: ActivationChoice,
    /// Probability of dropout, 0 for none.
    pub dropout: f64,
    /// How weights are drawn.
    pub init: InitRule,
    /// Standard deviation of `constant_scale` and `truncated_normal`.
    pub init_scale: f64,
    /// What biases of convolutions and linear layers start at.
    pub init_bias: f64,
    /// Multiplies every width (channels, hidden units), rounded.
    pub width: f64,
    /// `mlp`: units of each hidden layer.
    pub hidden: Vec<usize>,
    /// `lenet5`: which convolutions are padded.
    pub padding: Padding,
    /// `resnet18` and deeper ones of four stages: what they begin with.
    pub stem: Stem,
    /// `vgg9` .. `vgg19`: what comes before the logits.
    pub head: Head,
    /// Where training begins, in the place of drawn weights: a file of weights (`FILE`, `FILE:KEY`), or a run
    /// folder (its last state, or `RUN:SNAPSHOT`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How far the beginning is moved along a random filter-normalised direction: 0.1 changes each filter by
    /// a tenth of its length. Its draw is by `train.seed`.
    pub perturb: f64,
    /// `vit`: side of a patch in pixels.
    pub patch: usize,
    /// `vit`, `gpt`: dimension of a token.
    pub dim: usize,
    /// `vit`, `gpt`: number of blocks.
    pub depth: usize,
    /// `vit`, `gpt`: attention heads.
    pub heads: usize,
    /// The layers of an architecture of one's own, which `arch` names; read from its file where `arch` is
    /// one (`net.toml`). A run's spec carries them, so that it needs the file no longer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerSpec>,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            arch: "resnet20".into(),
            shortcut: Shortcut::Projection,
            norm: Norm::Batch,
            activation: ActivationChoice(None),
            dropout: 0.0,
            init: InitRule::KaimingNormal,
            init_scale: 0.1,
            init_bias: 0.0,
            width: 1.0,
            hidden: vec![128, 128],
            padding: Padding::Same,
            stem: Stem::Cifar,
            head: Head::Hidden,
            from: None,
            perturb: 0.0,
            patch: 4,
            dim: 96,
            depth: 6,
            heads: 3,
            layers: Vec::new(),
        }
    }
}

/// An activation, or the architecture's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActivationChoice(pub Option<Activation>);

impl From<ActivationChoice> for String {
    fn from(choice: ActivationChoice) -> String {
        choice.0.map_or("default", Activation::as_str).into()
    }
}

impl TryFrom<String> for ActivationChoice {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        if name == "default" { Ok(Self(None)) } else { name.parse().map(|a| Self(Some(a))) }
    }
}

/// Units that a layer has at most: products of three such numbers still fit 64 bits.
const WIDEST: usize = 1 << 20;

/// Blocks that a network has at most, and layers of `model.hidden`.
const DEEPEST: usize = 2000;

impl ModelSpec {
    /// A spec of the architecture `arch` with every option at its default.
    pub fn of(arch: &str) -> Self {
        Self { arch: arch.into(), ..Self::default() }
    }

    /// Builds the network for images of shape `input` (c, h, w) and `classes` classes.
    ///
    /// # Errors
    /// An unknown architecture, an option out of range, or shapes that do not fit (images too
    /// small for the poolings, heads that do not divide the dimension).
    pub fn build(&self, input: [usize; 3], classes: usize) -> Result<Network> {
        self.check()?;
        if classes > WIDEST {
            return Err(Error::bad_value(
                "classes",
                classes,
                "more than a layer can have units",
                format!("use at most {WIDEST}"),
            ));
        }
        if classes == 0 {
            return Err(Error::bad_value(
                "classes",
                classes,
                "a network without an output",
                "use at least 1",
            ));
        }
        if !self.layers.is_empty() {
            return own::own(self, input, classes);
        }
        match self.arch.parse::<Arch>()? {
            Arch::MobileNetV2 => mobilenet::mobilenet_v2(self, input, classes),
            Arch::Mlp => mlp::mlp(self, input, classes),
            Arch::LeNet5 => lenet::lenet5(self, input, classes),
            Arch::TwoConvTwoDense => lenet::two_conv_two_dense(self, input, classes),
            Arch::Vgg { depth } => vgg::vgg(self, depth, input, classes),
            Arch::ResNet { depth, widen } => {
                resnet::resnet_cifar(self, depth, widen, input, classes)
            }
            Arch::ResNetOfFour(kind) => resnet::resnet_of_four(self, kind, input, classes),
            Arch::DenseNet121 => densenet::densenet121(self, input, classes),
            Arch::DenseNetBc { depth, growth } => {
                densenet::densenet_bc(self, [depth, growth], input, classes)
            }
            Arch::Vit => vit::vit(self, input, classes),
            Arch::Gpt => gpt::gpt(self, input, classes),
        }
    }

    /// Other forms of the architecture, which the shapes of a file tell from this one, each with the key
    /// that asks for it.
    pub fn other_forms(&self) -> Vec<(Self, String)> {
        let mut forms = Vec::new();
        match self.arch.parse() {
            Ok(Arch::LeNet5) => {
                for &padding in Padding::ALL.iter().filter(|p| **p != self.padding) {
                    forms.push((Self { padding, ..self.clone() }, format!("padding={padding}")));
                }
            }
            Ok(Arch::ResNetOfFour(_)) if self.stem != Stem::Imagenet => {
                let stem = Stem::Imagenet;
                forms.push((Self { stem, ..self.clone() }, format!("stem={stem}")));
            }
            Ok(Arch::Vgg { .. }) => {
                let head = if self.head == Head::Hidden { Head::Linear } else { Head::Hidden };
                forms.push((Self { head, ..self.clone() }, format!("head={head}")));
            }
            _ => {}
        }
        forms
    }

    /// Reads the layers where `arch` names a file of them: `beside` a spec's file, if it is there, or else
    /// from the working directory.
    ///
    /// # Errors
    /// Those of [`ArchFile::read`]; layers beside a built-in architecture.
    pub fn resolve(mut self, beside: Option<&Path>) -> Result<Self> {
        if self.arch.ends_with(".toml") {
            if !self.layers.is_empty() {
                return Err(Error::bad_value(
                    "model.layers",
                    "given",
                    format!("but model.arch = {} has them", self.arch),
                    "leave one of the two out",
                ));
            }
            let path = Path::new(&self.arch);
            let near = beside.map(|dir| dir.join(path)).filter(|near| near.is_file());
            (self.arch, self.layers) = ArchFile::read(near.as_deref().unwrap_or(path))?;
        }
        if !self.layers.is_empty() && self.arch.parse::<Arch>().is_ok() {
            return Err(Error::bad_value(
                "model.arch",
                self.arch,
                "is built in, but model.layers are given",
                "leave the layers out, or give them a name of their own",
            ));
        }
        Ok(self)
    }

    fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::bad_value(
                "model.dropout",
                self.dropout,
                "not a probability below 1",
                "use a value from 0 up to but not including 1",
            ));
        }
        if !(self.width.is_finite() && self.width > 0.0 && self.width <= 64.0) {
            return Err(Error::bad_value(
                "model.width",
                self.width,
                "not a factor from 0 to 64",
                "1 is the published width",
            ));
        }
        if !(self.init_scale.is_finite() && self.init_scale >= 0.0) {
            return Err(Error::bad_value(
                "model.init_scale",
                self.init_scale,
                "not a standard deviation",
                "use a value of 0 or more",
            ));
        }
        if !(self.perturb.is_finite() && self.perturb >= 0.0) {
            return Err(Error::bad_value(
                "model.perturb",
                self.perturb,
                "not a length",
                "use 0 for none, or 0.1 to change each filter by a tenth",
            ));
        }
        if !self.init_bias.is_finite() {
            return Err(Error::bad_value(
                "model.init_bias",
                self.init_bias,
                "not a number",
                "use a value such as 0 or 0.05",
            ));
        }
        if self.hidden.iter().any(|units| *units > WIDEST) {
            return Err(Error::bad_value(
                "model.hidden",
                format!("{:?}", self.hidden),
                "wider than any layer can be",
                format!("use at most {WIDEST} units a layer"),
            ));
        }
        if self.hidden.len() > DEEPEST {
            return Err(Error::bad_value(
                "model.hidden",
                format!("a list of {}", self.hidden.len()),
                "deeper than can be built",
                format!("use at most {DEEPEST} layers"),
            ));
        }
        if self.hidden.contains(&0) {
            return Err(Error::bad_value(
                "model.hidden",
                format!("{:?}", self.hidden),
                "has an empty layer",
                "give every layer at least one unit",
            ));
        }
        for (key, value) in
            [("patch", self.patch), ("dim", self.dim), ("depth", self.depth), ("heads", self.heads)]
        {
            if value == 0 {
                return Err(Error::bad_value(
                    format!("model.{key}"),
                    value,
                    "nothing to build",
                    "use at least 1",
                ));
            }
            let most = if key == "depth" { DEEPEST } else { WIDEST };
            if value > most {
                return Err(Error::bad_value(
                    format!("model.{key}"),
                    value,
                    "more than can be built",
                    format!("use at most {most}"),
                ));
            }
        }
        Ok(())
    }

    /// The architecture's name with every option that differs from its default.
    fn describe(&self) -> String {
        let default = Self::default();
        let mut options = Vec::new();
        let mut note = |differs: bool, text: String| {
            if differs {
                options.push(text);
            }
        };
        note(self.shortcut != default.shortcut, format!("shortcut {}", self.shortcut));
        note(self.norm != default.norm, format!("norm {}", self.norm));
        note(self.activation != default.activation, String::from(self.activation));
        note(self.dropout != default.dropout, format!("dropout {}", self.dropout));
        note(self.init != default.init, format!("init {}", self.init));
        note(self.width != default.width, format!("width {}", self.width));
        note(self.padding != default.padding, format!("padding {}", self.padding));
        note(self.stem != default.stem, format!("stem {}", self.stem));
        note(self.head != default.head, format!("head {}", self.head));
        if options.is_empty() {
            self.arch.clone()
        } else {
            format!("{} ({})", self.arch, options.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(arch: &str, shortcut: Shortcut) -> (usize, usize) {
        let net = ModelSpec { shortcut, ..ModelSpec::of(arch) }.build([3, 32, 32], 10).unwrap();
        (net.layout.dim(), net.layout.params.len())
    }

    #[test]
    fn parameter_counts_are_those_of_the_papers_code() {
        for (arch, with, without) in [
            ("resnet20", 272_474, 269_722),
            ("resnet56", 855_770, 853_018),
            ("resnet110", 1_730_714, 1_727_962),
            ("wrn-56-2", 3_412_394, 3_401_770),
            ("wrn-56-4", 13_628_234, 13_586_506),
            ("wrn-56-8", 54_470_282, 54_304_906),
        ] {
            assert_eq!(counts(arch, Shortcut::Projection).0, with, "{arch}");
            assert_eq!(counts(arch, Shortcut::None).0, without, "{arch} without shortcuts");
        }
        assert_eq!(counts("resnet56", Shortcut::Projection).1, 173);
        assert_eq!(counts("resnet56", Shortcut::None).1, 167);
        assert_eq!(counts("vgg9", Shortcut::Projection), (2_789_706, 34));
        assert_eq!(counts("densenet121", Shortcut::Projection).0, 6_956_298);
        // Huang et al. 2017, Table 2: 0.8M.
        assert_eq!(counts("densenet-100-12", Shortcut::Projection).0, 769_162);
        // kuangliu/pytorch-cifar's.
        assert_eq!(counts("resnet18", Shortcut::Projection).0, 11_173_962);
        assert_eq!(counts("resnet34", Shortcut::Projection).0, 21_282_122);
        assert_eq!(counts("resnet50", Shortcut::Projection).0, 23_520_842);
        assert_eq!(counts("resnet101", Shortcut::Projection).0, 42_512_970);
        assert_eq!(counts("resnet152", Shortcut::Projection).0, 58_156_618);
        assert_eq!(counts("preact_resnet18", Shortcut::Projection).0, 11_171_146);
        assert_eq!(counts("mobilenet_v2", Shortcut::Projection).0, 2_296_922);
        // torchvision's resnet18 and resnet50 with 1,000 classes.
        for (arch, parameters) in [("resnet18", 11_689_512), ("resnet50", 25_557_032)] {
            let spec = ModelSpec { stem: Stem::Imagenet, ..ModelSpec::of(arch) };
            let net = spec.build([3, 224, 224], 1000).unwrap();
            assert_eq!(net.layout.dim(), parameters, "{arch}");
        }
        let vgg = ModelSpec { head: Head::Linear, ..ModelSpec::of("vgg16") };
        assert_eq!(vgg.build([3, 32, 32], 10).unwrap().layout.dim(), 14_728_266);
        // 832 + 51,264 + 3,212,288 + 10,250: DeepOBS's fmnist_2c2d.
        let spec = ModelSpec { norm: Norm::None, ..ModelSpec::of("2c2d") };
        let net = spec.build([1, 28, 28], 10).unwrap();
        assert_eq!(net.layout.dim(), 3_274_634);
        // Option A has no parameters of its own.
        assert_eq!(counts("resnet20", Shortcut::OptionA).0, 269_722);
    }

    #[test]
    fn every_architecture_builds_with_every_trick() {
        for arch in [
            "mlp",
            "lenet5",
            "2c2d",
            "vgg9",
            "vgg11",
            "vgg13",
            "vgg16",
            "vgg19",
            "resnet20",
            "wrn-16-2",
            "resnet18",
            "resnet50",
            "preact_resnet18",
            "densenet121",
            "densenet-16-12",
            "mobilenet_v2",
            "vit",
        ] {
            for norm in [Norm::Batch, Norm::None] {
                let spec =
                    ModelSpec { norm, dropout: 0.2, width: 0.5, dim: 96, ..ModelSpec::of(arch) };
                // VGG-11 and deeper halve the picture five times: 32 pixels are just enough.
                let net = spec.build([3, 32, 32], 10).unwrap();
                assert_eq!(net.classes, 10);
                let has_dropout =
                    net.nodes.iter().any(|n| matches!(n.op, crate::network::Op::Dropout { .. }));
                assert!(has_dropout, "{arch} ignores dropout");
                let has_norm =
                    net.nodes.iter().any(|n| matches!(n.op, crate::network::Op::BatchNorm { .. }));
                assert!(norm == Norm::Batch || !has_norm, "{arch} ignores norm = none");
            }
        }
    }

    #[test]
    fn impossible_shapes_are_errors_that_name_the_layer() {
        let err = ModelSpec::of("vgg16").build([1, 8, 8], 10).unwrap_err().to_string();
        assert!(err.contains("features."), "{err}");
        let err =
            ModelSpec { heads: 5, ..ModelSpec::of("vit") }.build([3, 32, 32], 10).unwrap_err();
        assert!(err.to_string().contains("model.heads"), "{err}");
        let err = ModelSpec::of("resnet21").build([3, 32, 32], 10).unwrap_err().to_string();
        assert!(err.contains("6n + 2"), "{err}");
        let err = ModelSpec::of("densenet-41-12").build([3, 32, 32], 10).unwrap_err().to_string();
        assert!(err.contains("6n + 4"), "{err}");
        let err = ModelSpec::of("densenet-40-0").build([3, 32, 32], 10).unwrap_err().to_string();
        assert!(err.contains("growth"), "{err}");
        let err = ModelSpec::of("densenet-40-l2").build([3, 32, 32], 10).unwrap_err().to_string();
        assert!(err.contains("did you mean `densenet-40-12`"), "{err}");
        let err = ModelSpec::of("resnte20").build([3, 32, 32], 10).unwrap_err().to_string();
        assert!(err.contains("did you mean `resnet20`"), "{err}");
        let err =
            ModelSpec { dropout: 1.0, ..ModelSpec::default() }.build([3, 32, 32], 10).unwrap_err();
        assert!(err.to_string().contains("model.dropout"), "{err}");
    }

    #[test]
    fn the_layout_digest_tells_networks_apart() {
        let digest =
            |arch: &str| ModelSpec::of(arch).build([3, 32, 32], 10).unwrap().layout.digest();
        assert_eq!(digest("resnet20"), digest("resnet20"));
        assert_ne!(digest("resnet20"), digest("resnet32"));
    }
}
