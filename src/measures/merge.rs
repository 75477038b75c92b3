//! The merge tree of a surface's minima and their persistence.
//!
//! Cells enter from the lowest to the highest. One without lower neighbours is a minimum and begins a part of
//! the surface; one between two parts is the saddle at which they become one, and of their minima the higher
//! ends there (the elder rule). Its persistence, the saddle's loss less its own, is how far one must climb out
//! of it (Edelsbrunner, Letscher and Zomorodian 2002). Neighbours are the four of a cell.

use super::Field;

/// A minimum and the saddle at which a deeper part swallows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The minimum's cell.
    pub minimum: usize,
    /// The saddle's cell.
    pub saddle: usize,
    /// The deeper minimum of the part it becomes one with.
    pub into: usize,
    /// The saddle's loss less the minimum's.
    pub persistence: f64,
}

/// The minima of a surface.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeTree {
    /// Minima that are swallowed, the most persistent first.
    pub pairs: Vec<Pair>,
    /// Minima that are not: the deepest of each part of the surface that holes keep apart, lowest first.
    pub roots: Vec<usize>,
}

impl MergeTree {
    /// The minima that stay where pairs for which `is_noise` holds are none: the roots and the others.
    pub fn minima(&self, is_noise: impl Fn(&Pair) -> bool) -> Vec<usize> {
        let real = self.pairs.iter().filter(|p| !is_noise(p)).map(|p| p.minimum);
        self.roots.iter().copied().chain(real).collect()
    }
}

/// Parts of a surface that grow together.
pub(super) struct Parts {
    parent: Vec<usize>,
}

impl Parts {
    /// Every cell a part of its own.
    pub fn new(cells: usize) -> Self {
        Self { parent: (0..cells).collect() }
    }

    /// The cell that stands for the part of `k`.
    pub fn find(&mut self, mut k: usize) -> usize {
        while self.parent[k] != k {
            self.parent[k] = self.parent[self.parent[k]];
            k = self.parent[k];
        }
        k
    }

    /// Makes the part `b` one with `a`; both stand for their parts, and `a` for the result.
    pub fn join(&mut self, a: usize, b: usize) {
        self.parent[b] = a;
    }
}

/// The minima of `field` and where they end.
pub fn merge_tree(field: &Field) -> MergeTree {
    // A part stands under its lowest cell.
    let mut parts = Parts::new(field.values.len());
    let mut is_in = vec![false; field.values.len()];
    let mut pairs = Vec::new();
    for k in field.rising() {
        is_in[k] = true;
        for neighbor in field.neighbors(k) {
            if !is_in[neighbor] {
                continue;
            }
            let (a, b) = (parts.find(k), parts.find(neighbor));
            if a == b {
                continue;
            }
            let (elder, younger) = if field.is_below(a, b) { (a, b) } else { (b, a) };
            // A cell that joins its first part is no minimum.
            if younger != k {
                pairs.push(Pair {
                    minimum: younger,
                    saddle: k,
                    into: elder,
                    persistence: field.values[k] - field.values[younger],
                });
            }
            parts.join(elder, younger);
        }
    }
    pairs.sort_by(|a, b| b.persistence.total_cmp(&a.persistence).then(a.minimum.cmp(&b.minimum)));
    let mut roots: Vec<usize> =
        (0..field.values.len()).filter(|&k| field.is_open(k) && parts.find(k) == k).collect();
    roots.sort_by(|&a, &b| field.values[a].total_cmp(&field.values[b]));
    MergeTree { pairs, roots }
}

#[cfg(test)]
mod tests {
    use super::super::field::tests::of;
    use super::*;

    #[test]
    fn two_wells_are_two_and_the_pass_between_them_is_as_high_as_it_is() {
        // (x^2 - 1)^2 + y^2 + 0.1 x: wells near x = -1 (deeper) and 1, a pass near 0 of height 1.
        let field = of(41, 2.0, |x, y| (x * x - 1.0).powi(2) + y * y + 0.1 * x);
        let tree = merge_tree(&field);
        assert_eq!((tree.pairs.len(), tree.roots.len()), (1, 1));
        let pair = tree.pairs[0];
        let x_of = |k: usize| field.xs[k % 41];
        assert!(
            (x_of(tree.roots[0]) + 1.0).abs() < 0.11 && (x_of(pair.minimum) - 1.0).abs() < 0.11
        );
        assert!(x_of(pair.saddle).abs() < 0.11 && pair.into == tree.roots[0]);
        // The pass is at 1.0, the well at 0.1: 0.9 to the grid's second order.
        assert!((pair.persistence - 0.9).abs() < 0.01, "{pair:?}");
        assert_eq!(tree.minima(|p| p.persistence < 0.5).len(), 2);
        assert_eq!(tree.minima(|p| p.persistence < 1.0), tree.roots);
    }

    #[test]
    fn a_quadratic_has_one_minimum_whatever_its_axes() {
        // Not too oblique for four neighbours.
        let tree = merge_tree(&of(31, 1.0, |x, y| 3.0 * x * x + y * y + x * y));
        assert_eq!((tree.pairs.len(), tree.roots.len()), (0, 1));
    }

    #[test]
    fn holes_keep_parts_of_a_surface_apart_and_a_plateau_is_one_minimum() {
        let wall = of(9, 1.0, |x, _| if x == 0.0 { f64::NAN } else { x * x });
        assert_eq!(merge_tree(&wall).roots.len(), 2);
        let flat = merge_tree(&of(9, 1.0, |_, _| 2.0));
        assert_eq!((flat.pairs.len(), flat.roots), (0, vec![0]));
    }
}
