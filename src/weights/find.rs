//! Where in the objects of a torch pickle the state dict is.
//!
//! Training scripts keep it under whatever key they like, beside the optimizer's state, averaged copies
//! and scalars. A dict of tensors is a candidate wherever it is; one of the usual keys, or the only one
//! there is, is taken, and the others are named.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

use crate::pickle::{Id, Node, Pickle};

use super::problem::Problem;

/// Keys under which training scripts keep the state dict.
const USUAL: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];
/// What the key of an average of the weights has in it.
const AVERAGES: [&str; 6] = ["ema", "swa", "avg", "averag", "teacher", "polyak"];
/// What the key of something that is no network has in it.
const NO_NETWORKS: [&str; 6] = ["optim", "sched", "scaler", "rng_state", "callbacks", "loops"];
/// Levels of dicts and lists that are looked into, those that are looked at, and the bytes of a key that may
/// lead to one: paths are copied, and a file may say a long key many times.
const MOST_LEVELS: usize = 8;
const MOST_OBJECTS: usize = 20_000;
const MOST_KEY: usize = 256;

/// The state dict of a file.
#[derive(Debug)]
pub(super) struct Found {
    /// The dict.
    pub(super) dict: Id,
    /// The keys that lead to it, joined by dots; empty for the file's own object.
    pub(super) key: String,
    /// The other state dicts in the file: their keys, and how many tensors they have.
    pub(super) others: Vec<(String, usize)>,
}

/// A dict with tensors in it.
struct Candidate {
    dict: Id,
    path: Vec<String>,
    tensors: usize,
    /// Whether one of them has several dimensions, as weights do.
    has_weights: bool,
    /// Whether its names are of modules in modules.
    has_dots: bool,
}

impl Candidate {
    fn key(&self) -> String {
        self.path.join(".")
    }

    /// The smaller, the likelier it is what is meant.
    fn rank(&self) -> usize {
        let has = |words: &[&str]| {
            let is_one = |part: &String| words.iter().any(|w| part.to_lowercase().contains(w));
            self.path.iter().any(is_one)
        };
        let usual = |part: &String| USUAL.contains(&part.as_str());
        if has(&AVERAGES) {
            3
        } else if !self.path.is_empty() && self.path.iter().all(usual) {
            0
        } else if self.has_dots {
            1
        } else {
            2
        }
    }
}

/// The state dict in `pickle`: the one that `key` names where one is given.
pub(super) fn find(pickle: &Pickle, key: Option<&str>) -> Result<Found, Problem> {
    let (mut candidates, whole) = candidates(pickle);
    if candidates.iter().any(|c| c.has_weights) {
        candidates.retain(|c| c.has_weights);
    }
    let listed = |candidates: &[&Candidate]| {
        let words = |c: &&Candidate| match c.key() {
            key if key.is_empty() => format!("the file itself ({} tensors)", c.tensors),
            key => format!("{key} ({} tensors)", c.tensors),
        };
        candidates.iter().map(words).collect::<Vec<_>>().join(", ")
    };
    let chosen = if let Some(key) = key
        && let Some(named) = candidates.iter().position(|c| {
            let last = c.path.last().map(String::as_str);
            c.key() == key || (!key.contains('.') && last == Some(key))
        }) {
        named
    } else {
        let Some(least) = candidates.iter().map(Candidate::rank).min() else {
            return Err(nothing(pickle, whole));
        };
        let first: Vec<usize> =
            (0..candidates.len()).filter(|&i| candidates[i].rank() == least).collect();
        let by_custom = |i: &&usize| {
            let path = &candidates[**i].path;
            let at = |part: &String| USUAL.iter().position(|usual| usual == part);
            (path.len(), path.iter().map(at).collect::<Vec<_>>())
        };
        match first[..] {
            [only] => only,
            // Of several usual keys the most usual: the others are told.
            _ if least == 0 => *first.iter().min_by_key(by_custom).unwrap_or(&first[0]),
            // A file that is a state dict, with dicts of tensors in it.
            _ if candidates[first[0]].path.is_empty() => first[0],
            _ => {
                let several: Vec<&Candidate> = first.iter().map(|&i| &candidates[i]).collect();
                return Err(Problem {
                    what: format!("it holds several dicts of tensors: {}", listed(&several)),
                    remedy: Some(format!(
                        "choose one: --key {}",
                        several.last().map(|c| c.key()).unwrap_or_default()
                    )),
                });
            }
        }
    };
    let others = (candidates.iter().enumerate())
        .filter(|&(i, c)| i != chosen && !c.path.is_empty())
        .map(|(_, c)| (c.key(), c.tensors))
        .collect();
    let Candidate { dict, ref path, .. } = candidates[chosen];
    Ok(Found { dict, key: path.join("."), others })
}

/// The dicts of tensors in `pickle`, breadth first, and the class of a whole object that stands where a
/// state dict may.
fn candidates(pickle: &Pickle) -> (Vec<Candidate>, Option<String>) {
    let leads_on = |id: Id| {
        matches!(pickle.node(id), Node::Dict(_) | Node::List(_) | Node::Tuple(_) | Node::Opaque(_))
    };
    let mut found = Vec::new();
    let mut whole = None;
    let mut seen = BTreeSet::from([pickle.root]);
    let mut queue = VecDeque::from([(pickle.root, Vec::<String>::new())]);
    while let Some((id, path)) = queue.pop_front() {
        let items: Vec<(Cow<str>, Id)> = match pickle.node(id) {
            Node::Dict(pairs) => {
                pickle.items(pairs).into_iter().map(|(key, id)| (Cow::from(key), id)).collect()
            }
            Node::List(items) | Node::Tuple(items) => {
                let inner = items.iter().enumerate().filter(|(_, id)| leads_on(**id));
                inner.map(|(i, &id)| (Cow::from(i.to_string()), id)).collect()
            }
            Node::Opaque(class) => {
                let usual = path.last().is_none_or(|key| USUAL.contains(&key.as_str()));
                if usual && whole.is_none() {
                    whole = Some(class.to_string());
                }
                continue;
            }
            _ => continue,
        };
        if let Node::Dict(_) = pickle.node(id) {
            let is_tensor = |id: &Id| match pickle.node(*id) {
                Node::Tensor(_) => true,
                Node::Opaque(class) => class.contains("_rebuild_"),
                _ => false,
            };
            let tensors = items.iter().filter(|(_, id)| is_tensor(id)).count();
            if tensors > 0 {
                found.push(Candidate {
                    dict: id,
                    tensors,
                    has_weights: items.iter().any(|(_, id)| match pickle.node(*id) {
                        Node::Tensor(tensor) => tensor.shape.len() > 1,
                        Node::Opaque(class) => class.contains("_rebuild_"),
                        _ => false,
                    }),
                    has_dots: items.iter().any(|(key, id)| is_tensor(id) && key.contains('.')),
                    path: path.clone(),
                });
            }
        }
        if path.len() >= MOST_LEVELS {
            continue;
        }
        for (key, value) in items {
            if key.len() > MOST_KEY || !leads_on(value) || seen.len() >= MOST_OBJECTS {
                continue;
            }
            let lower = key.to_lowercase();
            let is_network = !NO_NETWORKS.iter().any(|word| lower.contains(word));
            if is_network && seen.insert(value) {
                queue.push_back((value, [path.clone(), vec![key.into_owned()]].concat()));
            }
        }
    }
    (found, whole)
}

/// What is wrong with a file without a dict of tensors.
fn nothing(pickle: &Pickle, whole: Option<String>) -> Problem {
    if let Some(class) = whole {
        return Problem {
            what: format!(
                "it holds a whole Python object ({class}), which only its own code could rebuild, \
                 not a state dict"
            ),
            remedy: Some(
                "where its code can be imported: `model = torch.load(path, weights_only=False)`, \
                 then `torch.save(model.state_dict(), \"weights.pth\")`; if that object is a dict \
                 with the model in it, take the model out first"
                    .into(),
            ),
        };
    }
    match pickle.node(pickle.root) {
        Node::Dict(pairs) => {
            let short = |key: &str| key.chars().take(64).collect::<String>();
            let items = pickle.items(pairs);
            let keys: Vec<String> = items.iter().take(8).map(|(key, _)| short(key)).collect();
            format!("it holds no state dict (its keys: {})", keys.join(", ")).into()
        }
        _ => "it holds no dict of tensors".to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_with_many_objects_below_costs_no_more_than_the_file() {
        // {key of a megabyte: [[], [], ...]}: a copy of the key for each would be 100 GB.
        let mut bytes = b"}X".to_vec();
        bytes.extend((1u32 << 20).to_le_bytes());
        bytes.extend(vec![b'k'; 1 << 20]);
        bytes.extend(b"](");
        bytes.extend(vec![b']'; 100_000]);
        bytes.extend(b"es.");
        let pickle = Pickle::parse(&bytes).unwrap();
        let problem = find(&pickle, None).unwrap_err();
        assert!(problem.what.starts_with("it holds no state dict") && problem.what.len() < 200);
    }
}
