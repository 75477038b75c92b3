//! Permutation alignment: the units of one network put into the order of another's.
//!
//! Networks compute the same when the units of a hidden layer change places, so that two trained networks may
//! be near to one another in all but the order of their units. Weight matching (Ainsworth, Hayase and
//! Srinivasa 2023, "Git Re-Basin", algorithm 1) looks for the permutations of one network's units under which
//! its weights have the largest inner product with the other's: layer by layer, each a linear assignment
//! problem while the others stand still, until none improves it any more. The result is a local optimum.
//!
//! Which axes of which tensors move together follows from the network's nodes: a convolution makes units, what
//! reads them takes its input axis from them, and a sum ties the units of its summands. Where that ties units
//! to fixed ones (images, logits, padded shortcuts, concatenations), they stay.

use ndarray::Array2;

use crate::network::{Network, NodeId, Op};
use crate::rng::Streams;
use crate::{Error, Result};

/// Sweeps over all layers at most; a dozen is usual.
const SWEEPS: usize = 100;

/// What alignment did.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// The aligned network's weights, (P,).
    pub theta: Vec<f32>,
    /// Its buffers, (B,).
    pub buffers: Vec<f32>,
    /// Units that may change places.
    pub units: usize,
    /// Units that did.
    pub moved: usize,
    /// Distance between both networks' weights before and after.
    pub distance: [f64; 2],
}

/// An axis of a tensor along which units lie, each of them `block` entries long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    /// Index in the layout's parameters.
    param: usize,
    /// 0 or 1.
    axis: usize,
    /// Consecutive entries of a unit: more than one behind a flattened feature map.
    block: usize,
}

/// Units that change places together.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    size: usize,
    axes: Vec<Axis>,
    /// BatchNorm's means and variances, by their index in the layout's buffers.
    buffers: Vec<usize>,
    fixed: bool,
}

/// The groups of units of a network that are free to change places.
struct Units {
    groups: Vec<Group>,
    parent: Vec<usize>,
}

impl Units {
    fn new(network: &Network) -> Result<Self> {
        let mut units = Units { groups: Vec::new(), parent: Vec::new() };
        // For each node its group and the entries of a unit.
        let mut of: Vec<(usize, usize)> = Vec::with_capacity(network.nodes.len());
        let refuse = |what: &str| Error::Landscape {
            what: format!("{} has {what}, whose units cannot be aligned", network.arch),
            remedy: "leave out the alignment".into(),
        };
        for node in &network.nodes {
            let input = |of: &[(usize, usize)], k: usize| of[node.inputs[k] as NodeId];
            let found = match &node.op {
                Op::Input => (units.add(node.shape[0], true), 1),
                Op::Conv2d { weight, bias, .. } | Op::Linear { weight, bias } => {
                    if node.shape.len() == 2 {
                        return Err(refuse("tokens"));
                    }
                    let (group, block) = input(&of, 0);
                    units.tie(group, Axis { param: *weight, axis: 1, block });
                    let made = units.add(node.shape[0], false);
                    for param in std::iter::once(weight).chain(bias) {
                        units.tie(made, Axis { param: *param, axis: 0, block: 1 });
                    }
                    (made, 1)
                }
                Op::BatchNorm { weight, bias, mean, var, .. } => {
                    let (group, block) = input(&of, 0);
                    for param in [*weight, *bias] {
                        units.tie(group, Axis { param, axis: 0, block });
                    }
                    let root = units.find(group);
                    if block != 1 {
                        units.groups[root].fixed = true;
                    }
                    units.groups[root].buffers.extend([*mean, *var]);
                    (group, block)
                }
                Op::Activation(_)
                | Op::MaxPool { .. }
                | Op::AvgPool { .. }
                | Op::Dropout { .. }
                | Op::GlobalAvgPool => input(&of, 0),
                Op::Flatten => {
                    let (group, block) = input(&of, 0);
                    let before = &network.nodes[node.inputs[0]].shape;
                    (group, block * before[1..].iter().product::<usize>())
                }
                Op::Add => {
                    let (a, b) = (input(&of, 0), input(&of, 1));
                    units.join(a.0, b.0);
                    a
                }
                Op::PadShortcut { .. } | Op::Concat => {
                    for k in 0..node.inputs.len() {
                        let root = units.find(input(&of, k).0);
                        units.groups[root].fixed = true;
                    }
                    (units.add(node.shape[0], true), 1)
                }
                other => return Err(refuse(other.name())),
            };
            of.push(found);
        }
        if let Some(&(logits, _)) = of.last() {
            let root = units.find(logits);
            units.groups[root].fixed = true;
        }
        Ok(units)
    }

    fn add(&mut self, size: usize, fixed: bool) -> usize {
        self.groups.push(Group { size, axes: Vec::new(), buffers: Vec::new(), fixed });
        self.parent.push(self.parent.len());
        self.parent.len() - 1
    }

    fn find(&self, mut group: usize) -> usize {
        while self.parent[group] != group {
            group = self.parent[group];
        }
        group
    }

    fn tie(&mut self, group: usize, axis: Axis) {
        let root = self.find(group);
        self.groups[root].axes.push(axis);
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return;
        }
        let other = self.groups[b].clone();
        self.parent[b] = a;
        let group = &mut self.groups[a];
        group.axes.extend(other.axes);
        group.buffers.extend(other.buffers);
        group.fixed |= other.fixed;
    }

    /// The groups that are free.
    fn free(&self) -> Vec<usize> {
        let is_free =
            |&g: &usize| self.parent[g] == g && !self.groups[g].fixed && self.groups[g].size > 1;
        (0..self.groups.len()).filter(is_free).collect()
    }
}

/// The permutation along each axis of each parameter: entry i is taken from there.
struct Orders {
    /// For each parameter those of its axes 0 and 1; none where it stays.
    of: Vec<[Option<Vec<usize>>; 2]>,
}

impl Orders {
    fn set(&mut self, group: &Group, order: &[usize]) {
        for axis in &group.axes {
            let long = order.iter().flat_map(|&j| (0..axis.block).map(move |k| j * axis.block + k));
            self.of[axis.param][axis.axis] = Some(long.collect());
        }
    }
}

/// A tensor as (axis 0, axis 1, rest).
fn dims(shape: &[usize]) -> [usize; 3] {
    [shape[0], shape.get(1).copied().unwrap_or(1), shape[2.min(shape.len())..].iter().product()]
}

/// A tensor with both axes in other orders.
fn permuted(values: &[f32], [d0, d1, rest]: [usize; 3], orders: [Option<&[usize]>; 2]) -> Vec<f32> {
    let at = |order: Option<&[usize]>, i: usize| order.map_or(i, |order| order[i]);
    let mut out = Vec::with_capacity(values.len());
    for i in 0..d0 {
        for j in 0..d1 {
            let from = (at(orders[0], i) * d1 + at(orders[1], j)) * rest;
            out.extend_from_slice(&values[from..from + rest]);
        }
    }
    out
}

/// A tensor as a matrix with a row for each unit along `axis`.
fn by_unit(values: &[f32], [d0, d1, rest]: [usize; 3], axis: Axis) -> Array2<f32> {
    if axis.axis == 0 {
        let columns = axis.block * d1 * rest;
        return Array2::from_shape_vec((values.len() / columns, columns), values.to_vec())
            .expect("as many as went in");
    }
    let (units, each) = (d1 / axis.block, axis.block * rest);
    Array2::from_shape_fn((units, d0 * each), |(unit, k)| {
        values[(k / each) * d1 * rest + unit * each + k % each]
    })
}

/// Puts the units of the network with weights `theta` and `buffers` into the order of those of the network
/// with weights `onto`, both of `network`. The order in which layers are matched is of `streams` (stream
/// `alignment`).
///
/// # Errors
/// [`Error::Landscape`] for networks with layers whose units cannot be permuted alone (attention), and for
/// weights that are not finite.
pub fn align(
    network: &Network,
    onto: &[f32],
    theta: &[f32],
    buffers: &[f32],
    streams: &Streams,
) -> Result<Alignment> {
    if !onto.iter().chain(theta).all(|w| w.is_finite()) {
        return Err(Error::Landscape {
            what: "weights that are not finite cannot be aligned".into(),
            remedy: "choose an earlier snapshot".into(),
        });
    }
    let units = Units::new(network)?;
    let params = &network.layout.params;
    let mut orders = Orders { of: vec![[None, None]; params.len()] };
    let free = units.free();
    let mut order_of: Vec<Vec<usize>> =
        units.groups.iter().map(|group| (0..group.size).collect()).collect();
    let mut rng = streams.stream("alignment", 0);
    for _ in 0..SWEEPS {
        let mut turn = free.clone();
        rng.shuffle(&mut turn);
        let mut improved = false;
        for g in turn {
            let group = &units.groups[g];
            let mut gain = Array2::<f64>::zeros((group.size, group.size));
            for &axis in &group.axes {
                let param = &params[axis.param];
                let dims = dims(&param.shape);
                let mut others = orders.of[axis.param].each_ref().map(|o| o.as_deref());
                others[axis.axis] = None;
                let b = permuted(&theta[param.range()], dims, others);
                let a = by_unit(&onto[param.range()], dims, axis);
                gain += &a.dot(&by_unit(&b, dims, axis).t()).mapv(f64::from);
            }
            let sum = |order: &[usize]| -> f64 {
                order.iter().enumerate().map(|(i, &j)| gain[[i, j]]).sum()
            };
            let best = assignment(&gain);
            // Beyond the rounding of sums in f32.
            let size = gain.iter().map(|g| g.abs()).fold(0.0, f64::max);
            if sum(&best) > sum(&order_of[g]) + 1e-6 * size {
                orders.set(group, &best);
                order_of[g] = best;
                improved = true;
            }
        }
        if !improved {
            break;
        }
    }
    let mut aligned = Vec::with_capacity(theta.len());
    for (param, order) in params.iter().zip(&orders.of) {
        let order = order.each_ref().map(|o| o.as_deref());
        aligned.extend(permuted(&theta[param.range()], dims(&param.shape), order));
    }
    let mut moved_buffers = buffers.to_vec();
    for &g in &free {
        for &b in &units.groups[g].buffers {
            let range = network.layout.buffers[b].range();
            let order = &order_of[g];
            for (i, &j) in order.iter().enumerate() {
                moved_buffers[range.start + i] = buffers[range.start + j];
            }
        }
    }
    let distance = |b: &[f32]| {
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        onto.iter().zip(b).map(square).sum::<f64>().sqrt()
    };
    let stays = |g: &usize| order_of[*g].iter().enumerate().filter(|(i, j)| i != *j).count();
    Ok(Alignment {
        distance: [distance(theta), distance(&aligned)],
        units: free.iter().map(|&g| units.groups[g].size).sum(),
        moved: free.iter().map(stays).sum(),
        theta: aligned,
        buffers: moved_buffers,
    })
}

/// The assignment of columns to rows with the largest sum of `gain`, (n, n): for each row its column. By
/// shortest augmenting paths with potentials (Jonker and Volgenant 1987), in some n^3 steps.
fn assignment(gain: &Array2<f64>) -> Vec<usize> {
    let n = gain.nrows();
    const FREE: usize = usize::MAX;
    let (mut u, mut v) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    // Column n is where a path begins.
    let mut row_of = vec![FREE; n + 1];
    for row in 0..n {
        let mut way = vec![n; n + 1];
        let mut least = vec![f64::INFINITY; n + 1];
        let mut used = vec![false; n + 1];
        row_of[n] = row;
        let mut column = n;
        loop {
            used[column] = true;
            let (at, mut delta, mut next) = (row_of[column], f64::INFINITY, n);
            for j in (0..n).filter(|&j| !used[j]) {
                let cost = -gain[[at, j]] - u[at] - v[j];
                if cost < least[j] {
                    (least[j], way[j]) = (cost, column);
                }
                if least[j] < delta {
                    (delta, next) = (least[j], j);
                }
            }
            for j in 0..=n {
                if used[j] {
                    u[row_of[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            column = next;
            if row_of[column] == FREE {
                break;
            }
        }
        while column != n {
            let before = way[column];
            row_of[column] = row_of[before];
            column = before;
        }
    }
    let mut column_of = vec![0; n];
    (0..n).for_each(|j| column_of[row_of[j]] = j);
    column_of
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::{BackendName, backend};
    use crate::dataset::{DataSet, LoadOptions, NormChoice, NormStats, load};
    use crate::models::ModelSpec;
    use crate::objective::{DatasetObjective, Objective};

    #[test]
    fn an_assignment_is_the_best_of_all() {
        let mut rng = Streams::new(3).stream("test", 0);
        let gain = Array2::from_shape_simple_fn((6, 6), || rng.normal());
        let sum =
            |order: &[usize]| -> f64 { order.iter().enumerate().map(|(i, &j)| gain[[i, j]]).sum() };
        fn all(left: &[usize]) -> Vec<Vec<usize>> {
            if left.is_empty() {
                return vec![Vec::new()];
            }
            let with = |&first: &usize| {
                let rest: Vec<usize> = left.iter().copied().filter(|&k| k != first).collect();
                all(&rest).into_iter().map(move |mut order| {
                    order.insert(0, first);
                    order
                })
            };
            left.iter().flat_map(with).collect()
        }
        let best = all(&[0, 1, 2, 3, 4, 5]).iter().map(|order| sum(order)).fold(f64::MIN, f64::max);
        assert!((sum(&assignment(&gain)) - best).abs() < 1e-12);
    }

    /// A network on digits with weights and statistics that are not all alike, and its loss.
    fn net(arch: &str) -> (Network, DatasetObjective, Vec<f32>, Vec<f32>) {
        let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
        let model = ModelSpec { width: 0.25, ..ModelSpec::of(arch) };
        let network = model.build(data.shape(), data.classes).unwrap();
        let mut theta = network.init_theta(&Streams::new(1));
        // Logits that differ from image to image: a linear layer may begin with weights of 1e-3.
        let linear = network.layout.params.iter().filter(|p| p.shape.len() == 2);
        for param in linear {
            let largest = theta[param.range()].iter().fold(0.0f32, |a, b| a.max(b.abs()));
            theta[param.range()].iter_mut().for_each(|w| *w /= largest);
        }
        let mut rng = Streams::new(2).stream("test", 0);
        let buffers: Vec<f32> =
            network.init_buffers().iter().map(|b| b + 0.2 * rng.uniform() as f32).collect();
        let sample = Arc::new(data.train.select(&(0..50).collect::<Vec<_>>()));
        let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
        let engine = backend(BackendName::Native, Arc::new(network.clone())).unwrap();
        let of = DatasetObjective::new(engine, buffers.clone(), sample, stats, data.max_value);
        (network, of.unwrap(), theta, buffers)
    }

    /// A copy whose units have changed places at random.
    fn shuffled(network: &Network, theta: &[f32], buffers: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let units = Units::new(network).unwrap();
        let mut orders = Orders { of: vec![[None, None]; network.layout.params.len()] };
        let mut rng = Streams::new(7).stream("test", 0);
        let mut moved = buffers.to_vec();
        let free = units.free();
        assert!(!free.is_empty());
        for g in free {
            let mut order: Vec<usize> = (0..units.groups[g].size).collect();
            rng.shuffle(&mut order);
            orders.set(&units.groups[g], &order);
            for &b in &units.groups[g].buffers {
                let start = network.layout.buffers[b].offset;
                order.iter().enumerate().for_each(|(i, &j)| moved[start + i] = buffers[start + j]);
            }
        }
        let tensors = network.layout.params.iter().zip(&orders.of).flat_map(|(param, order)| {
            let order = order.each_ref().map(|o| o.as_deref());
            permuted(&theta[param.range()], dims(&param.shape), order)
        });
        (tensors.collect(), moved)
    }

    #[test]
    fn a_permuted_copy_computes_the_same_and_is_aligned_to_the_network_itself() {
        for arch in ["mlp", "resnet8", "vgg9"] {
            let (network, of, theta, buffers) = net(arch);
            let (other, moved) = shuffled(&network, &theta, &buffers);
            assert!(other != theta, "{arch}");
            let loss = of.loss(&theta).unwrap().loss;
            let same = of.with_buffers(moved.clone()).unwrap().loss(&other).unwrap().loss;
            // Sums in another order.
            assert!((same - loss).abs() < 1e-4 * loss, "{arch}: {same} {loss}");
            let found = align(&network, &theta, &other, &moved, &Streams::new(0)).unwrap();
            assert_eq!((&found.theta, &found.buffers), (&theta, &buffers), "{arch}");
            assert!(
                found.distance[0] > 1.0 && found.distance[1] == 0.0,
                "{arch}: {:?}",
                found.distance
            );
            assert!(found.moved > 0 && found.moved <= found.units);
            // The barrier halfway, which the copy has and the aligned copy has not.
            let middle = |b: &[f32]| -> Vec<f32> {
                theta.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect()
            };
            assert_eq!(of.loss(&middle(&found.theta)).unwrap().loss, loss, "{arch}");
            assert!(of.loss(&middle(&other)).unwrap().loss != loss, "{arch}");
        }
    }

    #[test]
    fn attention_is_refused_and_padded_shortcuts_keep_their_units() {
        let vit = ModelSpec::of("vit").build([3, 32, 32], 10);
        if let Ok(vit) = vit {
            let theta = vit.init_theta(&Streams::new(0));
            let refused = align(&vit, &theta, &theta, &[], &Streams::new(0));
            assert!(refused.unwrap_err().to_string().contains("cannot be aligned"));
        }
        let model =
            ModelSpec { shortcut: crate::models::Shortcut::OptionA, ..ModelSpec::of("resnet8") };
        let padded = Units::new(&model.build([3, 32, 32], 10).unwrap()).unwrap();
        let whole = Units::new(&ModelSpec::of("resnet8").build([3, 32, 32], 10).unwrap()).unwrap();
        let units = |u: &Units| u.free().iter().map(|&g| u.groups[g].size).sum::<usize>();
        assert!(units(&padded) > 0 && units(&padded) < units(&whole));
    }
}
