//! From the objects of a torch pickle to named tensors.

use std::collections::{BTreeSet, HashMap};

use super::{Checkpoint, CheckpointFormat, NamedTensor};
use crate::element::ByteOrder;
use crate::pickle::{Id, Node, Parsed, Pickle, TensorRef};

/// Keys under which training scripts keep the state dict.
const WRAPPERS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];
/// How many of them may be nested.
const MAX_WRAPPERS: usize = 4;
/// Scalars kept as metadata, and their length in bytes.
const MAX_METADATA: usize = 256;
const MAX_TEXT: usize = 4096;

/// The raw bytes of the storages that a pickle's tensors are windows on, by key.
pub(super) struct Storages<'a> {
    pub(super) order: ByteOrder,
    pub(super) by_key: HashMap<String, &'a [u8]>,
}

/// The state dict in `pickle`, its tensors gathered from `storages`, and the scalars around it.
/// `file_len` bounds what may be allocated: a file holds no more elements than bytes.
pub(super) fn extract(
    pickle: &Pickle,
    storages: &Storages,
    file_len: usize,
    format: CheckpointFormat,
) -> Parsed<Checkpoint> {
    let state = find(pickle)?;
    let Node::Dict(pairs) = pickle.node(state) else { unreachable!("find returns a dict") };

    let mut tensors = Vec::new();
    let mut left = file_len;
    for (name, value) in pickle.items(pairs) {
        match pickle.node(value) {
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
                return Err(format!(
                    "its tensor {name} is made by {class}, which is not supported"
                ));
            }
            _ => {}
        }
    }

    let mut metadata = Vec::new();
    let mut seen = BTreeSet::from([state]);
    collect_scalars(pickle, pickle.root, "", 2, storages, &mut seen, &mut metadata);
    Ok(Checkpoint { tensors, metadata, ignored: pickle.ignored.iter().cloned().collect(), format })
}

/// The dict whose values are the tensors: the root itself or what it wraps.
fn find(pickle: &Pickle) -> Parsed<Id> {
    let mut at = pickle.root;
    for _ in 0..=MAX_WRAPPERS {
        let pairs = match pickle.node(at) {
            Node::Dict(pairs) => pairs,
            Node::Opaque(class) => {
                return Err(format!(
                    "it holds a whole Python object ({class}), which only its own code could \
                     rebuild, not a state dict"
                ));
            }
            _ => return Err("it holds no dict of tensors".to_string()),
        };
        let items = pickle.items(pairs);
        let wrapped = WRAPPERS.iter().find_map(|wrapper| {
            let (_, value) = items.iter().find(|(key, _)| key == wrapper)?;
            matches!(pickle.node(*value), Node::Dict(_) | Node::Opaque(_)).then_some(*value)
        });
        match wrapped {
            Some(inner) => at = inner,
            None if items.iter().any(|&(_, v)| matches!(pickle.node(v), Node::Tensor(_))) => {
                return Ok(at);
            }
            None => {
                let keys: Vec<&str> = items.iter().map(|(key, _)| *key).take(8).collect();
                return Err(format!("it holds no state dict (its keys: {})", keys.join(", ")));
            }
        }
    }
    Err("its state dict is wrapped too deep".to_string())
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
