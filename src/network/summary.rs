//! The table of layers that `inspect` prints.

use serde::Serialize;

use super::Network;

/// One layer of the table.
#[derive(Debug, Clone, Serialize)]
pub struct LayerRow {
    /// The node's name.
    pub name: String,
    /// What it computes.
    pub op: String,
    /// Shape of its output without the batch axis.
    pub shape: Vec<usize>,
    /// Trained values it owns.
    pub parameters: usize,
    /// Multiply-accumulates of one image.
    pub macs: u64,
}

/// A network in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The architecture with its options.
    pub arch: String,
    /// Shape of an image.
    pub input: [usize; 3],
    /// Number of logits.
    pub classes: usize,
    /// Trained values.
    pub parameters: usize,
    /// Trained tensors.
    pub tensors: usize,
    /// Values in buffers.
    pub buffers: usize,
    /// Multiply-accumulates of one image's forward pass.
    pub macs: u64,
    /// SHA-256 of names, shapes and roles.
    pub layout_digest: String,
    /// The layers, in order.
    pub layers: Vec<LayerRow>,
}

impl Network {
    /// The table of layers with shapes and counts.
    pub fn summary(&self) -> Summary {
        let layers = self.nodes.iter().map(|node| LayerRow {
            name: node.name.clone(),
            op: node.op.name().into(),
            shape: node.shape.clone(),
            parameters: node.op.params().iter().map(|&p| self.layout.params[p].len()).sum(),
            macs: self.node_macs(node),
        });
        Summary {
            arch: self.arch.clone(),
            input: self.input,
            classes: self.classes,
            parameters: self.layout.dim(),
            tensors: self.layout.params.len(),
            buffers: self.layout.buffer_dim(),
            macs: self.macs(),
            layout_digest: self.layout.digest(),
            layers: layers.collect(),
        }
    }
}
