//! From the objects of a torch pickle to named tensors.

use std::collections::{BTreeSet, HashMap};

use super::find::find;
use super::problem::Problem;
use super::{Checkpoint, CheckpointFormat, NamedTensor};
use crate::element::ByteOrder;
use crate::pickle::{Id, Node, Parsed, Pickle, TensorRef};

/// Scalars kept as metadata, and their length in bytes.
const MAX_METADATA: usize = 256;
const MAX_TEXT: usize = 4096;

/// The raw bytes of the storages that a pickle's tensors are windows on, by key.
pub(super) struct Storages<'a> {
    pub(super) order: ByteOrder,
    pub(super) by_key: HashMap<String, &'a [u8]>,
}

/// The state dict in `pickle` (that under `key`, where one is given), its tensors gathered from
/// `storages`, and the scalars around it. `file_len` bounds what may be allocated: a file holds no more
/// elements than bytes.
pub(super) fn extract(
    pickle: &Pickle,
    storages: &Storages,
    file_len: usize,
    format: CheckpointFormat,
    key: Option<&str>,
) -> Result<Checkpoint, Problem> {
    let found = find(pickle, key)?;
    let Node::Dict(pairs) = pickle.node(found.dict) else {
        return Err("it holds no dict of tensors".into());
    };

    let (mut tensors, mut unreadable) = (Vec::new(), Vec::new());
    let mut left = file_len;
    for (name, value) in pickle.items(pairs) {
        match pickle.node(value) {
            Node::Tensor(tensor) if !tensor.storage.element.is_real() => {
                let class = &tensor.storage.class;
                unreadable.push((name.to_string(), format!("is stored in a {class}")));
            }
            Node::Tensor(tensor) => {
                let data = gather(tensor, storages, &mut left)
                    .map_err(|problem| format!("its tensor {name} {problem}"))?;
                tensors.push(NamedTensor {
                    name: name.to_string(),
                    shape: tensor.shape.clone(),
                    data,
                });
            }
            Node::Opaque(class) if class.contains("_rebuild_") => {
                unreadable.push((name.to_string(), rebuilt(class)));
            }
            _ => {}
        }
    }

    let mut metadata = Vec::new();
    let mut seen = BTreeSet::from([found.dict]);
    collect_scalars(pickle, pickle.root, "", 2, storages, &mut seen, &mut metadata);
    Ok(Checkpoint {
        tensors,
        metadata,
        ignored: pickle.ignored.iter().cloned().collect(),
        format,
        key: found.key,
        others: found.others,
        unreadable,
        recombined: Vec::new(),
    })
}

/// Of which kind a tensor is that `class` would make.
fn rebuilt(class: &str) -> String {
    match class.rsplit('.').next().unwrap_or(class) {
        "_rebuild_qtensor" => {
            "is quantised: save the weights as they were before the conversion".into()
        }
        name if name.contains("sparse") => "is sparse: save its `to_dense()`".into(),
        _ => format!("is made by {class}"),
    }
}

/// Scalars of the dict `at` and, `depth` levels down, of the dicts in it, as (`outer.inner`,
/// value). Each dict is visited once.
fn collect_scalars(
    pickle: &Pickle,
    at: Id,
    prefix: &str,
    depth: usize,
    storages: &Storages,
    seen: &mut BTreeSet<Id>,
    out: &mut Vec<(String, String)>,
) {
    let Node::Dict(pairs) = pickle.node(at) else { return };
    if !seen.insert(at) {
        return;
    }
    for (key, value) in pickle.items(pairs) {
        if out.len() >= MAX_METADATA {
            return;
        }
        if key.len() > MAX_TEXT {
            continue;
        }
        let name = format!("{prefix}{key}");
        let text = match pickle.node(value) {
            Node::Bool(value) => value.to_string(),
            Node::Int(value) => value.to_string(),
            Node::Float(value) => value.to_string(),
            Node::Str(value) if value.len() <= MAX_TEXT => value.to_string(),
            // `best_prec1` is often a tensor of one element.
            Node::Tensor(tensor) if tensor.shape.iter().all(|&d| d == 1) => {
                match gather(tensor, storages, &mut 1) {
                    Ok(data) => data[0].to_string(),
                    Err(_) => continue,
                }
            }
            Node::Dict(_) if depth > 0 => {
                let prefix = format!("{name}.");
                collect_scalars(pickle, value, &prefix, depth - 1, storages, seen, out);
                continue;
            }
            _ => continue,
        };
        out.push((name, text));
    }
}

/// The elements of a strided window in row-major order. `left` is how many more elements may be
/// gathered; errors read on from "its tensor NAME".
fn gather(tensor: &TensorRef, storages: &Storages, left: &mut usize) -> Parsed<Vec<f32>> {
    let TensorRef { storage, offset, shape, strides } = tensor;
    if !storage.element.is_real() {
        return Err(format!("is stored in a {}", storage.class));
    }
    let bytes = storages
        .by_key
        .get(&*storage.key)
        .ok_or_else(|| format!("has no data (storage {} is missing)", storage.key))?;
    let size = storage.element.size();
    let (view_start, view_len) = storage.view;

    let numel = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    let numel = numel.filter(|n| n <= left).ok_or("has more elements than its file has bytes")?;
    *left -= numel;
    if numel == 0 {
        return Ok(Vec::new());
    }
    // The farthest element: offset + sum of (dim - 1) * stride.
    let last = shape
        .iter()
        .zip(strides)
        .try_fold(*offset, |at, (dim, stride)| at.checked_add((dim - 1).checked_mul(*stride)?));
    // Both against what the view claims and against the bytes that are there.
    if !last.is_some_and(|last| last < view_len && view_start + last < bytes.len() / size) {
        return Err("reaches beyond its storage".to_string());
    }

    let mut data = Vec::with_capacity(numel);
    let mut index = vec![0usize; shape.len()];
    let mut at = view_start + offset;
    loop {
        data.push(storage.element.decode(&bytes[at * size..][..size], storages.order));
        // Advance like an odometer, the last axis fastest.
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return Ok(data);
            }
            axis -= 1;
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}
