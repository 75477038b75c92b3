//! Against numpy's SVD (tests/oracles/trajectory.py), linfa's PCA, and paths that are degenerate.

use linfa::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array2, Axis};
use serde::Deserialize;

use super::*;

/// A path of the oracle script's formula.
#[derive(Debug, Clone, Copy)]
pub(super) struct Formula {
    pub snapshots: usize,
    pub params: usize,
    pub offset: f64,
}

pub(super) fn path(formula: Formula) -> Vec<Vec<f32>> {
    let Formula { snapshots, params, offset } = formula;
    let hashed = |i: usize, j: usize| {
        ((31 * i * i + 17 * i * j + 7919 * j + 13 * j * j) % 1009) as f64 / 1009.0 - 0.5
    };
    let theta = |i: usize, j: usize| {
        let (span, count) = (snapshots + 3, snapshots as f64);
        let drift = 2.0 * hashed(3, j) * (i as f64 / count);
        let bend = hashed(5, j + 1) * (((i * i) % span) as f64 / span as f64);
        (((offset + drift) + bend) + 0.1 * hashed(i, j)) as f32
    };
    (0..snapshots).map(|i| (0..params).map(|j| theta(i, j)).collect()).collect()
}

#[derive(Deserialize)]
struct Oracle {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    snapshots: usize,
    params: usize,
    offset: f64,
    centring: Centring,
    singular_values: Vec<f64>,
    explained_variance: Vec<f64>,
    coords: Vec<Vec<f64>>,
    off_plane_residual: Vec<f64>,
    directions: Vec<Vec<f64>>,
}

fn near(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!((got - want).abs() <= tolerance, "{what}: {got}, not {want}");
}

#[test]
fn components_coordinates_and_residuals_equal_numpys_svd() {
    let oracle: Oracle =
        serde_json::from_str(include_str!("../../tests/oracles/trajectory.json")).unwrap();
    assert_eq!(oracle.cases.len(), 8);
    for case in oracle.cases {
        let Case { snapshots, params, offset, centring, .. } = case;
        let rows = path(Formula { snapshots, params, offset });
        let found = pca(&rows, &PcaConfig { centring, ..PcaConfig::default() }).unwrap();
        assert_eq!(found.axes, [AxisKind::Principal; 2]);
        let largest = case.singular_values[0];
        for (k, s) in found.spectrum.iter().map(|v| v.sqrt()).enumerate() {
            // Relative to itself, until a value is the root of the rounding of the largest's
            // square; numpy's list ends at the smaller side of the matrix.
            let want = case.singular_values.get(k).copied().unwrap_or(0.0);
            near(s, want, (1e-6 * want).max(1e-6 * largest * 0.5), "singular value");
        }
        for k in 0..2 {
            let want = case.explained_variance[k];
            near(found.explained_variance[k], want, 1e-6 * want, "explained variance");
        }
        let directions = found.directions(&rows).unwrap();
        let shadow = project(&rows, &rows[snapshots - 1], &directions[0], &directions[1]).unwrap();
        for i in 0..snapshots {
            for k in 0..2 {
                let want = case.coords[i][k];
                near(found.coords[i][k], want, 1e-6 * largest, "coordinate");
                // Directions are f32: 6e-8 of the displacement.
                near(shadow.coords[i][k], want, 1e-6 * largest, "projection");
            }
            let want = case.off_plane_residual[i];
            near(shadow.off_plane_residual[i], want, 1e-6, "off-plane residual");
        }
        for (got, want) in directions.iter().zip(&case.directions) {
            for (&got, &want) in got.iter().zip(want) {
                near(f64::from(got), want, 1e-6, "direction");
            }
        }
    }
}

#[test]
fn linfas_pca_of_the_same_path_has_the_same_components() {
    let rows = path(Formula { snapshots: 12, params: 501, offset: 0.0 });
    let found = pca(&rows, &PcaConfig::default()).unwrap();
    let directions = found.directions(&rows).unwrap();
    let matrix = Array2::from_shape_fn((12, 501), |(i, j)| f64::from(rows[i][j]));
    let theirs = linfa_reduction::Pca::params(2).fit(&DatasetBase::from(matrix)).unwrap();
    for (k, direction) in directions.iter().enumerate() {
        // linfa iterates (LOBPCG) to a residual of its own choosing.
        let s = found.spectrum[k].sqrt();
        near(theirs.singular_values()[k], s, 1e-5 * s, "singular value");
        let component = theirs.components().index_axis(Axis(0), k);
        let cosine: f64 = component.iter().zip(direction).map(|(a, &b)| a * f64::from(b)).sum();
        near(cosine.abs(), 1.0, 1e-5, "cosine");
    }
}

fn assert_orthonormal(directions: &[Vec<f32>]) {
    for (i, a) in directions.iter().enumerate() {
        for (j, b) in directions.iter().enumerate().take(i + 1) {
            let dot: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            // Each element is rounded to f32 once.
            near(dot, f64::from(u8::from(i == j)), 1e-6, "inner product of directions");
        }
    }
}

#[test]
fn a_path_that_spans_no_plane_gets_random_axes_that_say_so() {
    use AxisKind::{Principal, Random};
    let origin = path(Formula { snapshots: 1, params: 300, offset: 0.0 }).remove(0);
    let heading = path(Formula { snapshots: 2, params: 300, offset: 0.3 }).remove(1);
    let at = |t: f32| origin.iter().zip(&heading).map(|(o, h)| o + t * h).collect::<Vec<_>>();
    for (rows, axes, share) in [
        (vec![at(0.0)], [Random, Random], 0.0),
        (vec![at(1.0); 6], [Random, Random], 0.0),
        (vec![at(0.0), at(1.0)], [Principal, Random], 1.0),
        // Powers of two of a heading are exact in f32: truly a line.
        (
            [8.0, 4.0, -2.0, 1.0].map(|t| heading.iter().map(|h| t * h).collect()).to_vec(),
            [Principal, Random],
            1.0,
        ),
    ] {
        for &centring in Centring::ALL {
            let config = PcaConfig { centring, ..PcaConfig::default() };
            let found = pca(&rows, &config).unwrap();
            assert_eq!(found.axes, axes, "{} {centring}", rows.len());
            near(found.explained_variance[0], share, 1e-12, "explained variance");
            assert_eq!(found.explained_variance[1], 0.0);
            let directions = found.directions(&rows).unwrap();
            assert_orthonormal(&directions);
            assert_eq!(directions, found.directions(&rows).unwrap(), "seeded");
            let other = pca(&rows, &PcaConfig { seed: 1, ..config }).unwrap();
            assert_ne!(directions[1], other.directions(&rows).unwrap()[1]);
        }
    }
}

#[test]
fn more_axes_than_parameters_are_refused() {
    let rows = vec![vec![0.0], vec![1.0]];
    let found = pca(&rows, &PcaConfig::default()).unwrap();
    let message = found.directions(&rows).unwrap_err().to_string();
    assert!(message.contains("1 parameters do not span 2 axes"), "{message}");
}

#[test]
fn a_diverged_tail_is_left_out_and_the_last_finite_snapshot_is_the_origin() {
    let mut rows = path(Formula { snapshots: 12, params: 501, offset: 0.0 });
    let sound = rows.clone();
    rows.push(vec![f32::NAN; 501]);
    rows.push(vec![f32::INFINITY; 501]);
    let (whole, tailed) =
        (pca(&sound, &PcaConfig::default()).unwrap(), pca(&rows, &PcaConfig::default()).unwrap());
    assert_eq!((tailed.gram.origin, tailed.gram.excluded.as_slice()), (11, [12, 13].as_slice()));
    assert_eq!(tailed.coords, whole.coords);
    assert_eq!(tailed.directions(&rows).unwrap(), whole.directions(&sound).unwrap());
}

#[test]
fn the_farthest_snapshot_lies_on_the_negative_side_and_the_origin_at_zero() {
    let rows = path(Formula { snapshots: 12, params: 501, offset: 0.0 });
    let mirrored = rows.iter().map(|r| r.iter().map(|w| -w).collect()).collect::<Vec<Vec<f32>>>();
    let found = pca(&rows, &PcaConfig::default()).unwrap();
    for k in 0..2 {
        let column: Vec<f64> = found.coords.iter().map(|c| c[k]).collect();
        let low = column.iter().fold(0.0, |a: f64, &b| a.min(b));
        let high = column.iter().fold(0.0, |a: f64, &b| a.max(b));
        assert!(-low >= high, "{column:?}");
        assert_eq!(column[11], 0.0);
    }
    // The mirrored path has the same Gram matrix, hence the same coordinates on mirrored axes.
    let mirror = pca(&mirrored, &PcaConfig::default()).unwrap();
    assert_eq!(mirror.coords, found.coords);
    let (a, b) = (found.directions(&rows).unwrap(), mirror.directions(&mirrored).unwrap());
    assert!(a[0].iter().zip(&b[0]).all(|(a, b)| *a == -b));
}

#[test]
fn weighted_by_length_a_standstill_weighs_nothing() {
    let rows = path(Formula { snapshots: 12, params: 501, offset: 0.0 });
    let mut stood = rows.clone();
    stood.extend(std::iter::repeat_n(rows[11].clone(), 50));
    let by = |rows: &Vec<Vec<f32>>, weighting| {
        let found = pca(rows, &PcaConfig { weighting, ..PcaConfig::default() }).unwrap();
        let directions = found.directions(rows).unwrap();
        assert_orthonormal(&directions);
        (found, directions)
    };
    let (plain, plain_axes) = by(&rows, Weighting::PathLength);
    let (long, long_axes) = by(&stood, Weighting::PathLength);
    let [alike, alike_long] = [&rows, &stood].map(|rows| by(rows, Weighting::Snapshots).0);
    for k in 0..2 {
        near(long.explained_variance[k], plain.explained_variance[k], 1e-9, "explained variance");
        for (a, b) in plain_axes[k].iter().zip(&long_axes[k]) {
            assert!((a - b).abs() < 1e-5, "axis {k}: {a} {b}");
        }
        for (a, b) in plain.coords.iter().zip(&long.coords) {
            near(a[k], b[k], 1e-6 * plain.coords[0][0].abs(), "coordinate");
        }
    }
    // With every snapshot alike, 50 of one place turn the plane: the test can fail.
    let turned = alike.explained_variance[0] - alike_long.explained_variance[0];
    assert!(turned.abs() > 1e-3, "{turned}");
}

#[test]
fn weighted_by_length_a_curve_has_the_components_of_its_arc_however_it_was_sampled() {
    // A half circle: the variance of the cosine over its arc is 1/2, that of the sine 1/2 - (2/pi)^2.
    use std::f64::consts::PI;
    let at = |t: f64| vec![(3.0 * t.cos()) as f32, (3.0 * t.sin()) as f32, 0.5];
    // Nine tenths of the points on its first half.
    let part = |u: f64| if u < 0.9 { 0.5 * u / 0.9 } else { 0.5 + 0.5 * (u - 0.9) / 0.1 };
    let rows: Vec<Vec<f32>> = (0..=900).map(|i| at(PI * part(f64::from(i) / 900.0))).collect();
    let of = |weighting| {
        pca(&rows, &PcaConfig { weighting, ..PcaConfig::default() }).unwrap().explained_variance
    };
    let want = 0.5 / (1.0 - (2.0 / PI).powi(2));
    near(of(Weighting::PathLength)[0], want, 1e-4, "share of the first axis");
    assert!((of(Weighting::Snapshots)[0] - want).abs() > 0.01);
    // A path that does not move has no length to weigh by.
    let still = vec![vec![1.0f32; 5]; 4];
    let config = PcaConfig { weighting: Weighting::PathLength, ..PcaConfig::default() };
    assert_eq!(pca(&still, &config).unwrap().axes, [AxisKind::Random; 2]);
}

#[test]
fn a_chosen_origin_moves_the_coordinates_and_not_the_centred_plane() {
    let rows = path(Formula { snapshots: 12, params: 501, offset: 0.0 });
    let last = pca(&rows, &PcaConfig::default()).unwrap();
    let first = pca(&rows, &PcaConfig { origin: Some(0), ..PcaConfig::default() }).unwrap();
    assert_eq!(first.coords[0], [0.0, 0.0]);
    for k in 0..2 {
        let (a, b) = (last.explained_variance[k], first.explained_variance[k]);
        // The same spectrum, from another Gram matrix.
        near(a, b, 1e-12, "explained variance");
    }
}

#[test]
fn directions_do_not_depend_on_the_memory_allowed() {
    let rows = path(Formula { snapshots: 12, params: 501, offset: 0.0 });
    let found = |memory_bytes| {
        let found = pca(&rows, &PcaConfig { memory_bytes, ..PcaConfig::default() }).unwrap();
        let directions = found.directions(&rows).unwrap();
        assert_orthonormal(&directions);
        directions
    };
    let (small, large) = (found(0), found(MEMORY_BYTES));
    for (a, b) in small.iter().flatten().zip(large.iter().flatten()) {
        // Sums in another order, rounded to f32.
        assert!((a - b).abs() < 1e-7);
    }
}

#[test]
fn a_long_path_has_the_components_of_its_covariance() {
    // Beyond what is decomposed whole: fewer parameters than snapshots, and more.
    for params in [23, 1_300] {
        let rows = path(Formula { snapshots: 1_100, params, offset: 0.0 });
        let x = Array2::from_shape_fn((1_100, params), |(i, j)| f64::from(rows[i][j]));
        let x = &x - &x.mean_axis(Axis(0)).unwrap();
        let found = pca(&rows, &PcaConfig::default()).unwrap();
        assert_eq!(
            (found.axes.as_slice(), found.spectrum.len()),
            (&[AxisKind::Principal; 2][..], 32)
        );
        near(found.trace, x.mapv(|v| v * v).sum(), 1e-9 * found.trace, "trace");
        // (P, P) or (T, T), whichever is smaller: the same eigenvalues.
        let small = if params < 1_100 { x.t().dot(&x) } else { x.dot(&x.t()) };
        let (values, _) = eigen_symmetric(small);
        for (k, got) in found.spectrum.iter().enumerate() {
            let want = values.get(k).copied().unwrap_or(0.0);
            let allowed = if k < 2 { 1e-10 } else { 1e-6 };
            near(*got, want, allowed * values[0], "eigenvalue");
        }
        let directions = found.directions(&rows).unwrap();
        for (k, direction) in directions.iter().enumerate() {
            let d = ndarray::Array1::from_iter(direction.iter().map(|&v| f64::from(v)));
            let held = x.dot(&d).mapv(|v| v * v).sum();
            near(held, values[k], 1e-5 * values[0], "variance along the axis");
        }
    }
}
