//! Which parameters a curvature is of: all, those whose names match, or those of each layer.

use std::ops::Range;

use crate::network::ParamLayout;
use crate::{Error, Result};

/// The word for tensors with more than one dimension: what the paper's code takes curvatures of.
const WEIGHTS: &str = "weights";

/// The tensors of one layer, adjacent in theta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What its tensors' names begin with, `layer1.0.conv1`.
    pub name: String,
    /// Where they are in theta.
    pub range: Range<usize>,
}

/// Where the parameters that `pattern` names are in theta: rising ranges. A pattern is a name of a tensor or
/// of a layer, in which `*` stands for any characters and `?` for one, or `weights` for all tensors with
/// more than one dimension; several are separated by commas.
///
/// # Errors
/// [`Error::BadValue`] for a pattern that no parameter matches, with names that there are.
pub fn parameters(layout: &ParamLayout, pattern: &str) -> Result<Vec<Range<usize>>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let parts: Vec<&str> = pattern.split(',').map(str::trim).collect();
    for part in &parts {
        let is_named = |name: &str, dims: usize| {
            (*part == WEIGHTS && dims > 1) || matches(part, name) || matches(part, layer_of(name))
        };
        let before = ranges.len();
        let named = layout.params.iter().filter(|p| is_named(&p.name, p.shape.len()));
        ranges.extend(named.map(|p| p.range()));
        if ranges.len() == before {
            let names: Vec<&str> = layout.params.iter().map(|p| p.name.as_str()).collect();
            let some = names.iter().take(4).copied().collect::<Vec<_>>().join(", ");
            return Err(Error::bad_value(
                "parameters",
                part,
                "which no parameter matches",
                format!("name tensors or layers, * for any characters: {some}, ..., or `weights`"),
            ));
        }
    }
    ranges.sort_by_key(|r| r.start);
    ranges.dedup();
    // One range where they are adjacent.
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    Ok(joined)
}

/// The layers of a network: tensors whose names differ in the last part only.
pub fn layers(layout: &ParamLayout) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for param in &layout.params {
        let name = layer_of(&param.name);
        match layers.last_mut() {
            Some(last) if last.name == name && last.range.end == param.offset => {
                last.range.end = param.range().end;
            }
            _ => layers.push(Layer { name: name.into(), range: param.range() }),
        }
    }
    layers
}

/// `layer1.0.conv1` of `layer1.0.conv1.weight`.
fn layer_of(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(layer, _)| layer)
}

/// Whether `name` is what `pattern` describes, in time linear in both for each `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < n.len() {
        if i < p.len() && (p[i] == '?' || p[i] == n[j]) && p[i] != '*' {
            (i, j) = (i + 1, j + 1);
        } else if i < p.len() && p[i] == '*' {
            star = Some((i, j));
            i += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (i, j) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    p[i..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelSpec;

    #[test]
    fn patterns_name_tensors_layers_and_weights() {
        let layout = ModelSpec::of("resnet8").build([3, 32, 32], 10).unwrap().layout;
        let all = parameters(&layout, "*").unwrap();
        assert_eq!((all.len(), all[0].clone()), (1, 0..layout.dim()));
        let names: Vec<&str> = layout.params.iter().map(|p| p.name.as_str()).collect();
        let first = parameters(&layout, names[0]).unwrap();
        assert_eq!(first, [layout.params[0].range()]);
        // A layer's name stands for its tensors, whether once or twice.
        let last = layout.params.last().unwrap();
        let layer = layer_of(&last.name);
        let twice = parameters(&layout, &format!("{layer}, {layer}.*")).unwrap();
        let at = layout.params.iter().position(|p| layer_of(&p.name) == layer).unwrap();
        assert_eq!((twice.len(), twice[0].clone()), (1, layout.params[at].offset..layout.dim()));
        let weights: usize = parameters(&layout, "weights").unwrap().iter().map(|r| r.len()).sum();
        let want: usize = layout.params.iter().filter(|p| p.shape.len() > 1).map(|p| p.len()).sum();
        assert_eq!(weights, want);
        let error = parameters(&layout, "conv9*").unwrap_err().to_string();
        assert!(error.contains("conv9*") && error.contains(names[0]), "{error}");
    }

    #[test]
    fn layers_are_the_whole_of_theta_in_order() {
        let layout = ModelSpec::of("resnet8").build([3, 32, 32], 10).unwrap().layout;
        let layers = layers(&layout);
        assert_eq!((layers[0].range.start, layers.last().unwrap().range.end), (0, layout.dim()));
        assert!(layers.windows(2).all(|w| w[0].range.end == w[1].range.start));
        assert!(layers.len() < layout.params.len());
    }

    #[test]
    fn stars_and_question_marks_match_as_in_a_shell() {
        assert!(matches("*.bn?.*", "layer1.0.bn2.weight") && matches("a*b*c", "a--b-c"));
        assert!(!matches("*.bn?", "layer1.0.bn2.weight") && !matches("a?", "a"));
        assert!(matches("**", "") && !matches("", "a"));
    }
}
