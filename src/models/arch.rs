//! Names of architectures.

use std::str::FromStr;

use crate::{Error, Result};

/// An architecture, parsed from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// Fully connected.
    Mlp,
    /// LeCun et al. 1998, with max pooling.
    LeNet5,
    /// The `2c2d` of DeepOBS (Schneider, Balles & Hennig 2019): two convolutions, two dense layers.
    TwoConvTwoDense,
    /// Simonyan & Zisserman 2015 for CIFAR: `vgg9`, `vgg11`, `vgg13`, `vgg16`, `vgg19`.
    Vgg {
        /// Weight layers.
        depth: usize,
    },
    /// He et al. 2016 for CIFAR (`resnet20`, `widen` 1) and Zagoruyko & Komodakis 2016 as the
    /// code of Li et al. 2018 builds it (`wrn-56-4`).
    ResNet {
        /// Weight layers, 6n + 2.
        depth: usize,
        /// Factor on all widths, the stem's too.
        widen: usize,
    },
    /// He et al. 2016 with ImageNet's four stages.
    ResNetOfFour(FourStages),
    /// Huang et al. 2017, growth 32.
    DenseNet121,
    /// Huang et al. 2017 for CIFAR, with bottlenecks and compression (`densenet-100-12`).
    DenseNetBc {
        /// Weight layers, 6n + 4.
        depth: usize,
        /// Channels that each bottleneck adds.
        growth: usize,
    },
    /// Sandler et al. 2018 for CIFAR, as in kuangliu/pytorch-cifar.
    MobileNetV2,
    /// Dosovitskiy et al. 2021, small.
    Vit,
    /// Radford et al. 2019, small: a language model of characters.
    Gpt,
}

/// A ResNet of four stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FourStages {
    /// What its stages are made of.
    pub block: Block,
    /// Blocks of each stage.
    pub blocks: [usize; 4],
}

impl FourStages {
    fn basic(blocks: [usize; 4]) -> Self {
        Self { block: Block::Basic, blocks }
    }

    fn bottleneck(blocks: [usize; 4]) -> Self {
        Self { block: Block::Bottleneck, blocks }
    }
}

/// A residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 and 1x1 with four times the channels; the 3x3 has the stride.
    Bottleneck,
    /// Two 3x3 convolutions with normalisation and activation before each (He et al. 2016b), as in
    /// kuangliu/pytorch-cifar: a projection without normalisation, nothing behind the last block.
    PreActivation,
}

/// Names to suggest from; `resnetD` and `wrn-D-K` take any D = 6n + 2 and K, `densenet-D-K` any D = 6n + 4
/// and K.
const KNOWN: &[&str] = &[
    "mlp",
    "lenet5",
    "2c2d",
    "vgg9",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "resnet8",
    "resnet14",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "preact_resnet18",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "wrn-16-4",
    "wrn-28-10",
    "wrn-56-2",
    "wrn-56-4",
    "wrn-56-8",
    "densenet121",
    "densenet-40-12",
    "densenet-100-12",
    "mobilenet_v2",
    "vit",
    "gpt",
];

impl FromStr for Arch {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let unknown = || Error::unknown_name("architecture", name, KNOWN);
        Ok(match name {
            "mlp" => Arch::Mlp,
            "lenet5" => Arch::LeNet5,
            "2c2d" => Arch::TwoConvTwoDense,
            "vgg9" | "vgg11" | "vgg13" | "vgg16" | "vgg19" => {
                Arch::Vgg { depth: name[3..].parse().map_err(|_| unknown())? }
            }
            "resnet18" => Arch::ResNetOfFour(FourStages::basic([2, 2, 2, 2])),
            "resnet34" => Arch::ResNetOfFour(FourStages::basic([3, 4, 6, 3])),
            "resnet50" => Arch::ResNetOfFour(FourStages::bottleneck([3, 4, 6, 3])),
            "resnet101" => Arch::ResNetOfFour(FourStages::bottleneck([3, 4, 23, 3])),
            "resnet152" => Arch::ResNetOfFour(FourStages::bottleneck([3, 8, 36, 3])),
            "preact_resnet18" => {
                Arch::ResNetOfFour(FourStages { block: Block::PreActivation, blocks: [2, 2, 2, 2] })
            }
            "densenet121" => Arch::DenseNet121,
            "mobilenet_v2" => Arch::MobileNetV2,
            "vit" => Arch::Vit,
            "gpt" => Arch::Gpt,
            _ if name.starts_with("densenet-") => {
                let numbers = name["densenet-".len()..].split_once('-').ok_or_else(unknown)?;
                let depth: usize = numbers.0.parse().map_err(|_| unknown())?;
                let growth: usize = numbers.1.parse().map_err(|_| unknown())?;
                Self::check_dense(depth, growth)?
            }
            _ => {
                let (depth, widen) = if let Some(depth) = name.strip_prefix("resnet") {
                    (depth, "1")
                } else {
                    name.strip_prefix("wrn-").and_then(|r| r.split_once('-')).ok_or_else(unknown)?
                };
                let depth: usize = depth.parse().map_err(|_| unknown())?;
                let widen: usize = widen.parse().map_err(|_| unknown())?;
                if name.starts_with("wrn-") && depth % 6 == 4 {
                    // Zagoruyko & Komodakis count the two projections: their 16 and 28 are 6n + 4.
                    return Self::check(depth - 2, widen);
                }
                Self::check(depth, widen)?
            }
        })
    }
}

impl Arch {
    fn check(depth: usize, widen: usize) -> Result<Self> {
        if depth < 8 || depth % 6 != 2 || depth > 2000 {
            let problem = "not 6n + 2 from 8 to 2000";
            return Err(Error::bad_value(
                "model.arch",
                depth,
                problem,
                "use a depth such as 8, 14, 20, 32, 44, 56 or 110",
            ));
        }
        if !(1..=64).contains(&widen) {
            return Err(Error::bad_value(
                "model.arch",
                widen,
                "not a width factor from 1 to 64",
                "use wrn-56-4, say",
            ));
        }
        Ok(Arch::ResNet { depth, widen })
    }

    fn check_dense(depth: usize, growth: usize) -> Result<Self> {
        if depth < 10 || depth % 6 != 4 || depth > 1000 {
            return Err(Error::bad_value(
                "model.arch",
                depth,
                "not 6n + 4 from 10 to 1000",
                "use a depth such as 16, 22, 40 or 100",
            ));
        }
        if !(1..=256).contains(&growth) {
            return Err(Error::bad_value(
                "model.arch",
                growth,
                "not a growth from 1 to 256 channels",
                "use densenet-40-12, say",
            ));
        }
        Ok(Arch::DenseNetBc { depth, growth })
    }
}
