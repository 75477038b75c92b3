//! Several paths as one: the principal plane of many runs together.
//!
//! All snapshots of all runs enter one Gram matrix, and every run weighs alike however many
//! snapshots it recorded; otherwise the run with the most snapshots would determine the plane. What
//! the plane holds is measured against the whole spectrum, against what each run's own best plane
//! would hold of that run, and against walks from the runs' own starts with the runs' own step
//! lengths whose directions mean nothing.

use ndarray::{Array2, Axis};

use super::leading::Scatter;
use super::null::{NullInterval, null_of_walks};
use super::pca::{Pca, PcaConfig, pca};
use super::{Centring, Snapshots};
use crate::error::{Error, Result};

/// Snapshots of several runs, one run after the other.
pub struct Joined<'a, S: Snapshots> {
    runs: &'a [S],
}

impl<'a, S: Snapshots> Joined<'a, S> {
    /// Joins `runs`.
    ///
    /// # Errors
    /// [`Error::Landscape`] where they have not one number of parameters.
    pub fn new(runs: &'a [S]) -> Result<Self> {
        if runs.windows(2).any(|pair| pair[0].dim() != pair[1].dim()) {
            return Err(Error::Landscape {
                what: "the runs have different numbers of parameters".into(),
                remedy: "join runs of one network".into(),
            });
        }
        Ok(Self { runs })
    }

    /// The run that each snapshot belongs to, (T,).
    pub fn groups(&self) -> Vec<usize> {
        let of = |(run, snapshots): (usize, &S)| std::iter::repeat_n(run, snapshots.len());
        self.runs.iter().enumerate().flat_map(of).collect()
    }

    /// The run of the `i`-th snapshot, and its place there.
    fn place(&self, mut i: usize) -> (&S, usize) {
        for run in self.runs {
            if i < run.len() {
                return (run, i);
            }
            i -= run.len();
        }
        unreachable!("snapshot numbers are below len()")
    }
}

impl<S: Snapshots> Snapshots for Joined<'_, S> {
    fn len(&self) -> usize {
        self.runs.iter().map(Snapshots::len).sum()
    }

    fn dim(&self) -> usize {
        self.runs.first().map_or(0, Snapshots::dim)
    }

    fn read(&self, i: usize, out: &mut [f32]) -> Result<()> {
        let (run, i) = self.place(i);
        run.read(i, out)
    }

    fn read_range(&self, i: usize, start: usize, out: &mut [f32]) -> Result<()> {
        let (run, i) = self.place(i);
        run.read_range(i, start, out)
    }
}

/// The principal components of several runs together. R counts the runs.
#[derive(Debug, Clone, PartialEq)]
pub struct JointPca {
    /// The components; its snapshots are those of the runs one after the other.
    pub pca: Pca,
    /// What two components hold of as many random walks: from the runs' own starts, with their own
    /// step lengths, in directions that mean nothing.
    pub null_explained_variance: Vec<f64>,
    /// Where 95 % of such walks are, drawn in as many dimensions.
    pub null_interval: Option<NullInterval>,
    /// The part of each run's own variance about its own mean that lies in the joint plane, (R,);
    /// 0 for a run that does not move.
    pub held_of_run: Vec<f64>,
    /// The part that the run's own two components would hold, (R,): no plane holds more.
    pub own_of_run: Vec<f64>,
}

/// The two principal components of `runs` together, every run weighing alike, centred. Random axes
/// (where all paths lie on a line) come from `seed`.
///
/// # Errors
/// Those of [`pca()`]; [`Error::Landscape`] for runs of different sizes, and for a run without a
/// finite snapshot.
pub fn joint_pca<S: Snapshots>(runs: &[S], seed: u64) -> Result<JointPca> {
    let joined = Joined::new(runs)?;
    let groups = joined.groups();
    let config = PcaConfig { groups: groups.clone(), seed, ..PcaConfig::default() };
    let pca = pca(&joined, &config)?;
    let gram = &pca.gram;
    // Rows of the Gram matrix that belong to each run: they are adjacent and in order.
    let rows: Vec<std::ops::Range<usize>> = (0..runs.len())
        .map(|run| {
            let first = gram.used.partition_point(|&i| groups[i] < run);
            first..gram.used.partition_point(|&i| groups[i] <= run)
        })
        .collect();
    if let Some(run) = rows.iter().position(|rows| rows.is_empty()) {
        return Err(Error::Landscape {
            what: format!("run {} has no finite snapshot", run + 1),
            remedy: "leave it out, or train it again with a smaller optim.lr".into(),
        });
    }

    let starts = Array2::from_shape_fn((runs.len(), runs.len()), |(a, b)| {
        gram.product(rows[a].start, rows[b].start)
    });
    let steps: Vec<Vec<f64>> = rows
        .iter()
        .map(|rows| (rows.start + 1..rows.end).map(|i| gram.distance_sq(i - 1, i)).collect())
        .collect();
    let null = null_of_walks(&starts, &steps, joined.dim(), 2, Centring::Centred)?;

    let (mut held_of_run, mut own_of_run) = (Vec::new(), Vec::new());
    for rows in &rows {
        let inner = gram.part(rows.clone());
        let own = Scatter::new(&inner, None, true).leading(2);
        let trace = own.trace;
        let share = |part: f64| if trace > 0.0 { (part / trace).clamp(0.0, 1.0) } else { 0.0 };
        let coords = Array2::from_shape_fn((rows.len(), 2), |(i, k)| pca.coords[rows.start + i][k]);
        let mean = coords.mean_axis(Axis(0)).expect("a run has snapshots");
        held_of_run.push(share((&coords - &mean).mapv(|c| c * c).sum()));
        own_of_run.push(share(own.values.iter().take(2).map(|v| v.max(0.0)).sum()));
    }
    debug_assert_eq!(pca.centring, Centring::Centred);
    Ok(JointPca {
        pca,
        null_explained_variance: null.explained_variance,
        null_interval: null.interval,
        held_of_run,
        own_of_run,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;
    use crate::trajectory::{AxisKind, project};

    /// Points origin + t direction for each t.
    fn line(origin: &[f32], direction: &[f32], ts: &[f32]) -> Vec<Vec<f32>> {
        let at = |t: &f32| origin.iter().zip(direction).map(|(o, d)| o + t * d).collect();
        ts.iter().map(at).collect()
    }

    fn walk(rng: &mut crate::rng::Rng, dim: usize, snapshots: usize, step: f64) -> Vec<Vec<f32>> {
        let mut theta = vec![0.0f32; dim];
        let mut path = vec![theta.clone()];
        for _ in 1..snapshots {
            theta.iter_mut().for_each(|w| *w += (step * rng.normal()) as f32);
            path.push(theta.clone());
        }
        path
    }

    const X: [f32; 5] = [0.0, 1.0, 0.0, 0.0, 0.0];
    const Y: [f32; 5] = [0.0, 0.0, 0.0, 0.5, 0.0];
    const START: [f32; 5] = [4.0, -2.0, 1.0, 8.0, 0.25];

    #[test]
    fn two_lines_in_known_directions_give_that_plane() {
        let runs = [line(&START, &X, &[0.0, 1.0, 2.0, 3.0]), line(&START, &Y, &[0.0, 4.0])];
        let found = joint_pca(&runs, 0).unwrap();
        assert_eq!(found.pca.axes, [AxisKind::Principal; 2]);
        let sum: f64 = found.pca.explained_variance.iter().sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        let joined = Joined::new(&runs).unwrap();
        let axes = found.pca.directions(&joined).unwrap();
        for axis in &axes {
            // Everything else is exactly zero.
            assert_eq!([axis[0], axis[2], axis[4]], [0.0; 3]);
        }
        let seen = project(&joined, &START, &axes[0], &axes[1]).unwrap();
        assert!(seen.off_plane_residual.iter().all(|r| *r < 1e-6));
        // Lengths and the right angle are kept: 3 along one line, 2 along the other.
        let [a, b] = [seen.coords[3], seen.coords[5]];
        assert!((a[0].hypot(a[1]) - 3.0).abs() < 1e-6 && (b[0].hypot(b[1]) - 2.0).abs() < 1e-6);
        assert!((a[0] * b[0] + a[1] * b[1]).abs() < 1e-6);
        for share in found.held_of_run.iter().chain(&found.own_of_run) {
            assert!((share - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn every_run_weighs_alike_however_many_snapshots_it_has() {
        // The same segment recorded 3 times and 300 times: the mean and the scatter of a segment
        // recorded at its ends alone do not depend on how often each end is recorded.
        let ends = |direction: &[f32], times: usize| {
            line(&START, direction, &[vec![0.0; times], vec![2.0; times]].concat())
        };
        let few = joint_pca(&[ends(&X, 3), ends(&Y, 3)], 0).unwrap();
        let many = joint_pca(&[ends(&X, 3), ends(&Y, 300)], 0).unwrap();
        for k in 0..2 {
            let (a, b) = (few.pca.explained_variance[k], many.pca.explained_variance[k]);
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        // Weighing by snapshots would not: the test can fail.
        let rows: Vec<Vec<f32>> = [ends(&X, 3), ends(&Y, 300)].concat();
        let plain = pca(&rows, &PcaConfig::default()).unwrap();
        assert!((plain.explained_variance[0] - few.pca.explained_variance[0]).abs() > 0.05);
    }

    #[test]
    fn one_run_alone_has_the_plane_it_always_had_to_the_bit() {
        let mut rng = Streams::new(4).stream("test", 0);
        let run = walk(&mut rng, 400, 23, 0.1);
        let joint = joint_pca(std::slice::from_ref(&run), 0).unwrap();
        let alone = pca(&run, &PcaConfig::default()).unwrap();
        assert_eq!(joint.pca.coords, alone.coords);
        assert_eq!(joint.pca.spectrum, alone.spectrum);
        assert_eq!(joint.pca.directions(&run).unwrap(), alone.directions(&run).unwrap());
        let own: f64 = alone.explained_variance.iter().sum();
        assert!((joint.held_of_run[0] - own).abs() < 1e-9);
        assert!((joint.own_of_run[0] - own).abs() < 1e-9);
    }

    #[test]
    fn the_order_of_the_runs_does_not_show() {
        let mut rng = Streams::new(5).stream("test", 0);
        let [a, b, c] = [9, 14, 30].map(|n| walk(&mut rng, 300, n, 0.2));
        let one = joint_pca(&[a.clone(), b.clone(), c.clone()], 0).unwrap();
        let two = joint_pca(&[c.clone(), a.clone(), b.clone()], 0).unwrap();
        let axes = |found: &JointPca, runs: [&Vec<Vec<f32>>; 3]| {
            let runs = runs.map(Clone::clone);
            found.pca.directions(&Joined::new(&runs).unwrap()).unwrap()
        };
        let (p, q) = (axes(&one, [&a, &b, &c]), axes(&two, [&c, &a, &b]));
        for k in 0..2 {
            let (x, y) = (one.pca.explained_variance[k], two.pca.explained_variance[k]);
            assert!((x - y).abs() < 1e-12);
            let (x, y) = (one.null_explained_variance[k], two.null_explained_variance[k]);
            assert!((x - y).abs() < 1e-12);
            // Up to the sign, which follows the farthest snapshot from the last one read.
            let dot: f64 = p[k].iter().zip(&q[k]).map(|(a, b)| f64::from(a * b)).sum();
            assert!((dot.abs() - 1.0).abs() < 1e-5, "{dot}");
        }
        for (i, j) in [(0, 1), (1, 2), (2, 0)] {
            assert!((one.held_of_run[i] - two.held_of_run[j]).abs() < 1e-9);
        }
    }

    #[test]
    fn simulated_walks_from_one_start_hold_what_the_null_says() {
        let mut rng = Streams::new(6).stream("test", 0);
        // Steps of different lengths, so that only the right lengths fit.
        let runs =
            [(20, 0.1), (35, 0.3), (12, 0.2)].map(|(n, step)| walk(&mut rng, 20_000, n, step));
        let found = joint_pca(&runs, 0).unwrap();
        for k in 0..2 {
            let (got, want) = (found.pca.explained_variance[k], found.null_explained_variance[k]);
            // Fluctuations of inner products are of order sqrt(1/D) = 0.007.
            assert!((got - want).abs() < 0.01, "{k}: {got} {want}");
        }
        let sum: f64 = found.pca.explained_variance.iter().sum();
        let [low, high] = found.null_interval.unwrap().sum;
        assert!(low - 0.01 < sum && sum < high + 0.01, "{sum} {low} {high}");
        // Three walks are not one: the test can tell.
        let single = crate::trajectory::null_explained_variance(67, 2, Centring::Centred);
        for (one, three) in single.iter().zip(&found.null_explained_variance) {
            assert!((one - three).abs() > 0.03, "{single:?} {three}");
        }
    }

    #[test]
    fn a_run_of_one_snapshot_joins_and_one_without_a_finite_one_is_named() {
        let point = vec![START.to_vec()];
        let moving = line(&START, &X, &[0.0, 1.0, 3.0]);
        let found = joint_pca(&[moving.clone(), point], 0).unwrap();
        assert_eq!(found.pca.axes, [AxisKind::Principal, AxisKind::Random]);
        assert_eq!((found.held_of_run[1], found.own_of_run[1]), (0.0, 0.0));
        let nan = vec![vec![f32::NAN; 5]; 2];
        let err = joint_pca(&[moving.clone(), nan], 0).unwrap_err().to_string();
        assert!(err.contains("run 2 has no finite snapshot"), "{err}");
        let err = joint_pca(&[moving, vec![vec![0.0; 4]]], 0).unwrap_err().to_string();
        assert!(err.contains("different numbers of parameters"), "{err}");
    }
}
