//! The contour tree of a surface: how the parts of its level sets appear, meet, part and vanish.
//!
//! Carr, Snoeyink and Axen (2003): the join tree has how the parts of what is below a level meet, the split
//! tree the same of what is above; taking leaves that both agree on, one after the other, gives the tree of
//! the level sets themselves.

use super::Field;
use super::merge::Parts;

const NONE: usize = usize::MAX;

/// An arc of the contour tree between two nodes that are minima, maxima or branching points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arc {
    /// The lower end's cell.
    pub low: usize,
    /// The upper end's cell.
    pub high: usize,
}

/// A contour tree without its regular cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ContourTree {
    pub arcs: Vec<Arc>,
    /// For each cell how many arcs of the whole tree go down from it and up from it.
    degrees: Vec<[u8; 2]>,
}

impl ContourTree {
    /// Whether cell `k` is a minimum.
    pub fn is_minimum(&self, k: usize) -> bool {
        let [down, up] = self.degrees[k];
        down == 0 && up > 0
    }

    /// Whether cell `k` is where parts of a level set meet or part.
    pub fn is_branching(&self, k: usize) -> bool {
        // Of four neighbours a cell may be an extremum of one side and branch to the other.
        let [down, up] = self.degrees[k];
        down > 1 || up > 1
    }

    /// Branching cells.
    pub fn branching(&self) -> usize {
        (0..self.degrees.len()).filter(|&k| self.is_branching(k)).count()
    }
}

/// A join or a split tree with all cells in it.
struct Tree {
    /// Towards the root, [`NONE`] at it.
    parent: Vec<usize>,
    children: Vec<Vec<usize>>,
}

impl Tree {
    /// The tree in which cells enter in `order`, each the parent of the last cell of every part it meets.
    fn new(field: &Field, order: impl Iterator<Item = usize>) -> Self {
        let cells = field.values.len();
        let mut parts = Parts::new(cells);
        let mut is_in = vec![false; cells];
        let (mut parent, mut children) = (vec![NONE; cells], vec![Vec::new(); cells]);
        for k in order {
            is_in[k] = true;
            for neighbor in field.neighbors(k).filter(|&n| is_in[n]).collect::<Vec<_>>() {
                let last = parts.find(neighbor);
                if last != k {
                    parent[last] = k;
                    children[k].push(last);
                    parts.join(k, last);
                }
            }
        }
        Self { parent, children }
    }

    /// Takes cell `k` out; its one child, if any, takes its place.
    fn remove(&mut self, k: usize) {
        let (parent, child) = (self.parent[k], self.children[k].first().copied());
        if let Some(child) = child {
            self.parent[child] = parent;
        }
        if parent != NONE {
            let siblings = &mut self.children[parent];
            siblings.retain(|&c| c != k);
            siblings.extend(child);
        }
    }
}

/// The contour tree of `field`: one tree for each part that holes keep apart.
pub(super) fn contour_tree(field: &Field) -> ContourTree {
    let order = field.rising();
    let mut join = Tree::new(field, order.iter().copied());
    let mut split = Tree::new(field, order.iter().rev().copied());
    let is_lower = |join: &Tree, split: &Tree, k: usize| {
        join.children[k].is_empty() && split.children[k].len() == 1 && join.parent[k] != NONE
    };
    let is_upper = |join: &Tree, split: &Tree, k: usize| {
        split.children[k].is_empty() && join.children[k].len() == 1 && split.parent[k] != NONE
    };
    let cells = field.values.len();
    let (mut up, mut down) = (vec![Vec::new(); cells], vec![Vec::new(); cells]);
    let is_leaf = |j: &Tree, s: &Tree, k: usize| is_lower(j, s, k) || is_upper(j, s, k);
    let mut leaves: Vec<usize> =
        order.iter().copied().filter(|&k| is_leaf(&join, &split, k)).collect();
    let mut is_done = vec![false; cells];
    while let Some(leaf) = leaves.pop() {
        if is_done[leaf] || !is_leaf(&join, &split, leaf) {
            continue;
        }
        let (low, high, next) = if is_lower(&join, &split, leaf) {
            (leaf, join.parent[leaf], join.parent[leaf])
        } else {
            (split.parent[leaf], leaf, split.parent[leaf])
        };
        up[low].push(high);
        down[high].push(low);
        is_done[leaf] = true;
        join.remove(leaf);
        split.remove(leaf);
        leaves.push(next);
    }
    let degrees: Vec<[u8; 2]> =
        (0..cells).map(|k| [down[k].len() as u8, up[k].len() as u8]).collect();
    let is_node = |k: usize| degrees[k] != [1, 1];
    let mut arcs = Vec::new();
    for low in (0..cells).filter(|&k| is_node(k)) {
        for &first in &up[low] {
            let mut high = first;
            while !is_node(high) {
                high = up[high][0];
            }
            arcs.push(Arc { low, high });
        }
    }
    ContourTree { arcs, degrees }
}

#[cfg(test)]
mod tests {
    use super::super::field::tests::of;
    use super::*;

    #[test]
    fn a_tree_has_every_cell_in_it_and_one_arc_less_than_nodes() {
        // Two wells in a bowl whose rim is highest at one point.
        let field = of(21, 2.0, |x, y| {
            (x * x - 1.0).powi(2) + 1.1 * y * y + 0.1 * x + 0.013 * y + 0.07 * x * y
        });
        let tree = contour_tree(&field);
        let nodes = (0..field.values.len()).filter(|&k| tree.degrees[k] != [1, 1]).count();
        assert_eq!(tree.arcs.len() + 1, nodes);
        let minima: Vec<usize> = (0..441).filter(|&k| tree.is_minimum(k)).collect();
        assert_eq!(minima.len(), 2, "{minima:?}");
        assert!(tree.arcs.iter().all(|a| field.is_below(a.low, a.high)));
    }

    #[test]
    fn a_slope_is_one_arc() {
        let tree = contour_tree(&of(7, 1.0, |x, y| x + 10.0 * y));
        assert_eq!(tree.arcs, [Arc { low: 0, high: 48 }]);
        assert_eq!(tree.branching(), 0);
    }
}
