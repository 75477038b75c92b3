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
    /// He et al. 2016 with ImageNet's four stages and a 3x3 stem.
    ResNet18,
    /// Huang et al. 2017, growth 32.
    DenseNet121,
    /// Dosovitskiy et al. 2021, small.
    Vit,
}

/// Names to suggest from; `resnetD` and `wrn-D-K` take any D = 6n + 2 and K.
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
    "vit",
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
            "resnet18" => Arch::ResNet18,
            "densenet121" => Arch::DenseNet121,
            "vit" => Arch::Vit,
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
}
