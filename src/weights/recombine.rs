//! Tensors that a file has in parts: pruned ones, and those of weight and spectral normalisation.
//!
//! PyTorch keeps `weight_orig` and `weight_mask` of a pruned layer, a length and a direction of a
//! weight-normed one (`weight_g`, `weight_v`, or `parametrizations.weight.original0`, `original1`), and
//! the weight before its division by the spectral norm with two singular vectors (`weight_orig`,
//! `weight_u`, `weight_v`, or `parametrizations.weight.original` with `0._u`, `0._v`). What the network
//! computes with in eval mode is one tensor, which is made here.

use std::collections::HashMap;

use super::{Checkpoint, NamedTensor};

const PRUNED: &str = "pruned: the values and their mask";
const WEIGHT_NORM: &str = "weight-normed: the lengths and the directions";
const SPECTRAL_NORM: &str = "spectrally normed: the values over their largest singular value";

/// `checkpoint` with one tensor in the place of each that it has in parts.
pub(super) fn recombine(mut checkpoint: Checkpoint) -> Checkpoint {
    let by_name: HashMap<&str, &NamedTensor> =
        checkpoint.tensors.iter().map(|t| (t.name.as_str(), t)).collect();
    let mut whole: HashMap<String, (NamedTensor, &'static str)> = HashMap::new();
    let mut parts: HashMap<String, String> = HashMap::new();
    for tensor in &checkpoint.tensors {
        let Some((name, first, others)) = parts_of(&tensor.name) else { continue };
        for (suffixes, made) in others {
            let names: Vec<String> = suffixes.iter().map(|s| format!("{first}{s}")).collect();
            let found: Option<Vec<&NamedTensor>> =
                names.iter().map(|n| by_name.get(n.as_str()).copied()).collect();
            let Some(found) = found else { continue };
            let Some((data, what)) = made(tensor, &found) else { continue };
            let shape =
                found.last().filter(|_| what == WEIGHT_NORM).map_or(&tensor.shape, |v| &v.shape);
            let made = NamedTensor { name: name.clone(), shape: shape.clone(), data };
            for part in names.into_iter().chain([tensor.name.clone()]) {
                parts.insert(part, name.clone());
            }
            whole.insert(name, (made, what));
            break;
        }
    }
    if whole.is_empty() {
        return checkpoint;
    }
    let mut tensors = Vec::with_capacity(checkpoint.tensors.len());
    for tensor in std::mem::take(&mut checkpoint.tensors) {
        match parts.get(&tensor.name) {
            None => tensors.push(tensor),
            // The first part's place.
            Some(name) => {
                if let Some((made, what)) = whole.remove(name) {
                    checkpoint.recombined.push((name.clone(), what));
                    tensors.push(made);
                }
            }
        }
    }
    checkpoint.tensors = tensors;
    checkpoint
}

/// Makes the values of a tensor of its first part and the others.
type Make = fn(&NamedTensor, &[&NamedTensor]) -> Option<(Vec<f32>, &'static str)>;
/// The ends of the names of the other parts, and what makes the whole.
type Parts = (&'static [&'static str], Make);

/// Where `name` is the first part of a tensor: the whole's name, what the parts' names begin with, and what
/// other parts there may be.
fn parts_of(name: &str) -> Option<(String, &str, &'static [Parts])> {
    const ORIG: &[Parts] = &[(&["_mask"], masked), (&["_u", "_v"], by_spectral_norm)];
    const G: &[Parts] = &[(&["_v"], by_weight_norm)];
    const ORIGINAL: &[Parts] = &[(&["0._u", "0._v"], by_spectral_norm)];
    const ORIGINAL0: &[Parts] = &[(&["original1"], by_weight_norm)];
    if let Some(base) = name.strip_suffix("_orig") {
        return Some((base.into(), base, ORIG));
    }
    if let Some(base) = name.strip_suffix("_g") {
        return Some((base.into(), base, G));
    }
    for (end, parts) in [(".original", ORIGINAL), (".original0", ORIGINAL0)] {
        let Some(first) = name.strip_suffix(end) else { continue };
        let Some((module, parameter)) = first.split_once("parametrizations.") else { continue };
        return Some((format!("{module}{parameter}"), &name[..=first.len()], parts));
    }
    None
}

fn masked(orig: &NamedTensor, parts: &[&NamedTensor]) -> Option<(Vec<f32>, &'static str)> {
    let [mask] = parts else { return None };
    let product = || orig.data.iter().zip(&mask.data).map(|(w, m)| w * m).collect();
    (mask.shape == orig.shape).then(|| (product(), PRUNED))
}

/// g v / ||v||, the norm over all axes but the one along which g has values (all of them where it has one).
fn by_weight_norm(g: &NamedTensor, parts: &[&NamedTensor]) -> Option<(Vec<f32>, &'static str)> {
    let [v] = parts else { return None };
    let whole = g.data.len() == 1;
    let axis = (0..v.shape.len()).find(|&axis| {
        g.shape.len() == v.shape.len()
            && (0..v.shape.len()).all(|i| g.shape[i] == if i == axis { v.shape[i] } else { 1 })
    });
    let (len, stride) = match axis {
        Some(axis) => (v.shape[axis], v.shape[axis + 1..].iter().product::<usize>()),
        None if whole => (1, v.data.len()),
        None => return None,
    };
    if v.data.is_empty() || g.data.len() != len {
        return None;
    }
    let group = |i: usize| i / stride % len;
    let mut squares = vec![0f64; len];
    for (i, value) in v.data.iter().enumerate() {
        squares[group(i)] += f64::from(*value).powi(2);
    }
    let scaled = v.data.iter().enumerate().map(|(i, value)| {
        (f64::from(*value) * f64::from(g.data[group(i)]) / squares[group(i)].sqrt()) as f32
    });
    Some((scaled.collect(), WEIGHT_NORM))
}

/// W / (u' W v), W as a matrix of its first axis.
fn by_spectral_norm(w: &NamedTensor, parts: &[&NamedTensor]) -> Option<(Vec<f32>, &'static str)> {
    let [u, v] = parts else { return None };
    let rows = *w.shape.first()?;
    if u.data.len() != rows || u.data.len() * v.data.len() != w.data.len() {
        return None;
    }
    let sigma: f64 = w
        .data
        .chunks_exact(v.data.len().max(1))
        .zip(&u.data)
        .map(|(row, u)| {
            let along: f64 = row.iter().zip(&v.data).map(|(w, v)| f64::from(w * v)).sum();
            along * f64::from(*u)
        })
        .sum();
    Some((w.data.iter().map(|w| (f64::from(*w) / sigma) as f32).collect(), SPECTRAL_NORM))
}
