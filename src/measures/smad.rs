//! The saddle-minimum average distance of landscaper (LBNL): how deep the surface's wells are on average.
//!
//! Over the arcs of the contour tree between a minimum and a branching point: the mean of their differences in
//! loss, and the same with each difference times the share of the grid that descends to the minimum (each cell
//! to its steepest neighbour). As `LossLandscape.smad(weighted=...)` of landscaper 1.3.1 computes them, whose
//! neighbours on a grid are the four of a cell.

use super::Field;
use super::contour_tree::contour_tree;

/// Both averages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smad {
    /// The mean difference; 0 where no minimum meets a branching point.
    pub plain: f64,
    /// The mean of difference times share of the grid.
    pub weighted: f64,
    /// Arcs that it is the mean of.
    pub arcs: usize,
    /// Branching points of the contour tree.
    pub branching: usize,
}

/// The saddle-minimum average distance of `field`.
pub fn smad(field: &Field) -> Smad {
    let tree = contour_tree(field);
    let share = shares(field);
    let arcs: Vec<[f64; 2]> = tree
        .arcs
        .iter()
        .filter(|arc| tree.is_minimum(arc.low) && tree.is_branching(arc.high))
        .map(|arc| {
            let gap = field.values[arc.high] - field.values[arc.low];
            [gap, gap * share[arc.low]]
        })
        .collect();
    let mean = |of: usize| {
        if arcs.is_empty() {
            0.0
        } else {
            arcs.iter().map(|a| a[of]).sum::<f64>() / arcs.len() as f64
        }
    };
    Smad { plain: mean(0), weighted: mean(1), arcs: arcs.len(), branching: tree.branching() }
}

/// For each minimum the share of open cells whose steepest descent ends there; 0 elsewhere.
fn shares(field: &Field) -> Vec<f64> {
    let mut end = vec![usize::MAX; field.values.len()];
    let mut share = vec![0.0; field.values.len()];
    let each = 1.0 / field.open() as f64;
    // From the lowest up: where a cell descends to is known already.
    for k in field.rising() {
        let next = steepest(field, k);
        end[k] = next.map_or(k, |next| end[next]);
        share[end[k]] += each;
    }
    share
}

/// The neighbour below cell `k` to which the slope is steepest.
pub(super) fn steepest(field: &Field, k: usize) -> Option<usize> {
    let nx = field.nx();
    let distance = |n: usize| {
        if n / nx == k / nx {
            (field.xs[n % nx] - field.xs[k % nx]).abs()
        } else {
            (field.ys[n / nx] - field.ys[k / nx]).abs()
        }
    };
    let slope = |n: usize| (field.values[k] - field.values[n]) / distance(n);
    let below = field.neighbors(k).filter(|&n| field.is_below(n, k));
    below.max_by(|&a, &b| slope(a).total_cmp(&slope(b)).then(b.cmp(&a)))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::field::tests::of;
    use super::super::merge_tree;
    use super::*;

    #[test]
    fn one_well_has_no_saddle_and_every_cell_descends_to_it() {
        let bowl = of(11, 1.0, |x, y| x * x + y * y + 0.01 * x + 0.003 * y);
        let share = shares(&bowl);
        assert!((share.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(share.iter().filter(|s| **s > 0.0).count(), 1);
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        xs: Vec<f64>,
        ys: Vec<f64>,
        values: Vec<f64>,
        smad: Option<f64>,
        smad_weighted: Option<f64>,
        /// Cell of a minimum and its persistence.
        persistence: Vec<(usize, f64)>,
    }

    /// `tests/oracles/landscaper.py` has what landscaper 1.3.1 and topopy find: Rosenbrock's valley on grids
    /// whose losses are all different, waves, and noise. topopy keeps values in f32. Of noise persistence alone
    /// is compared: there its contour tree lacks arcs that a tree of all cells must have.
    #[test]
    fn averages_and_persistence_are_those_of_landscaper() {
        let cases = include_str!("../../tests/oracles/landscaper.json");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
        assert!(cases.len() > 3);
        for case in cases {
            let field = Field::new(case.xs, case.ys, case.values).unwrap();
            let size = field.range()[1];
            let found = smad(&field);
            let near = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance;
            if let (Some(plain), Some(weighted)) = (case.smad, case.smad_weighted) {
                assert!(near(found.plain, plain, 1e-6 * size), "{}: {found:?}", case.name);
                assert!(near(found.weighted, weighted, 1e-6 * size), "{}: {found:?}", case.name);
            }
            let tree = merge_tree(&field);
            let mut ours: Vec<(usize, f64)> =
                tree.pairs.iter().map(|p| (p.minimum, p.persistence)).collect();
            ours.sort_by_key(|p| p.0);
            let same =
                |a: &(usize, f64), b: &(usize, f64)| a.0 == b.0 && near(a.1, b.1, 1e-6 * size);
            let theirs = &case.persistence;
            assert_eq!(ours.len(), theirs.len(), "{}: {ours:?} {theirs:?}", case.name);
            assert!(ours.iter().zip(theirs).all(|(a, b)| same(a, b)), "{}: {ours:?}", case.name);
        }
    }
}
