//! What every Hessian has, on nets of every layer (tests/oracles holds the products to PyTorch's).

use std::sync::Arc;

use super::super::tests::{Case, distance, nets};
use super::super::{Level, NativeBackend};
use crate::backend::{Backend, BackendName, backend};
use crate::models::ModelSpec;
use crate::network::Network;
use crate::rng::Streams;

fn direction(network: &Network, seed: u64) -> Vec<f32> {
    let mut rng = Streams::new(seed).stream("test", 0);
    (0..network.layout.dim()).map(|_| rng.normal() as f32).collect()
}

fn product(backend: &dyn Backend, case: &Case, v: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; v.len()];
    let Case { theta, buffers, images, .. } = case;
    backend.eval_hvp(theta, buffers, images, case.targets(), v, &mut out).unwrap();
    out
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn norm(a: &[f32]) -> f64 {
    dot(a, a).sqrt()
}

/// f32 rounding through up to 121 layers leaves 1e-6 of the products' norms: 1e-5.
#[test]
fn the_hessian_is_symmetric_and_linear_at_every_level() {
    for (network, n) in nets().into_iter().filter(|(n, _)| !super::unsupported(n)) {
        let network = Arc::new(network);
        let case = Case::new(&network, n);
        let (u, v) = (direction(&network, 1), direction(&network, 2));
        for level in Level::all() {
            let native = NativeBackend::at_level(network.clone(), level).unwrap();
            let what = format!("{} at {level}", network.arch);
            let (hu, hv) = (product(&native, &case, &u), product(&native, &case, &v));
            assert!(norm(&hu) > 1e-3, "{what}: no curvature tests nothing");
            let off = (dot(&u, &hv) - dot(&v, &hu)).abs();
            let size = norm(&u) * norm(&hv);
            assert!(off < 1e-5 * size, "{what}: u.Hv and v.Hu differ by {:.1e}", off / size);
            let mixed: Vec<f32> = u.iter().zip(&v).map(|(u, v)| 2.0 * u - 0.5 * v).collect();
            let want: Vec<f32> = hu.iter().zip(&hv).map(|(u, v)| 2.0 * u - 0.5 * v).collect();
            let off = distance(&product(&native, &case, &mixed), &want);
            assert!(off < 1e-5, "{what}: not linear by {off:.1e}");
        }
    }
}

/// Where nothing bends but the loss, H v is the sum over images of
/// (diag(p) - p p')(V x + c)(x, 1)' / n.
#[test]
fn a_linear_net_has_the_hessian_of_the_textbook() {
    let network =
        Arc::new(ModelSpec { hidden: vec![], ..ModelSpec::of("mlp") }.build([1, 3, 3], 4).unwrap());
    let case = Case::new(&network, 50);
    let v = direction(&network, 3);
    let got = product(&NativeBackend::new(network.clone()).unwrap(), &case, &v);
    let wide = |x: &f32| f64::from(*x);
    let mut want = [0.0; 4 * 9 + 4];
    for x in case.images.chunks_exact(9) {
        let through = |p: &[f32]| -> Vec<f64> {
            let row = |o| (0..9).map(|i| wide(&p[o * 9 + i]) * wide(&x[i])).sum::<f64>();
            (0..4).map(|o| row(o) + wide(&p[36 + o])).collect()
        };
        let (z, dz) = (through(&case.theta), through(&v));
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        let p: Vec<f64> = z.iter().map(|z| z.exp() / sum).collect();
        let mean: f64 = p.iter().zip(&dz).map(|(p, d)| p * d).sum();
        for o in 0..4 {
            let dg = p[o] * (dz[o] - mean) / 50.0;
            (0..9).for_each(|i| want[o * 9 + i] += dg * wide(&x[i]));
            want[36 + o] += dg;
        }
    }
    for (g, w) in got.iter().zip(want) {
        assert!((f64::from(*g) - w).abs() < 1e-6, "{g} {w}");
    }
}

/// A central difference in f32 is good to about three digits where nothing has a kink.
#[test]
fn the_references_differences_agree_for_a_smooth_net() {
    let spec = ModelSpec { hidden: vec![12], ..ModelSpec::of("mlp") };
    let activation = crate::models::ActivationChoice(Some(crate::network::Activation::Tanh));
    let network = Arc::new(ModelSpec { activation, ..spec }.build([1, 4, 4], 3).unwrap());
    let case = Case::new(&network, 20);
    let v = direction(&network, 4);
    for squared in [false, true] {
        let case = Case { squared, ..case.clone() };
        let native = product(&NativeBackend::new(network.clone()).unwrap(), &case, &v);
        let reference = backend(BackendName::Candle, network.clone()).unwrap();
        let off = distance(&product(&*reference, &case, &v), &native);
        assert!(off < 1e-2, "{off:.1e}");
    }
}

#[test]
fn a_product_has_the_same_bytes_on_any_number_of_threads_and_again() {
    for (network, n) in nets().into_iter().take(6) {
        let network = Arc::new(network);
        let case = Case::new(&network, n + 30);
        let native = NativeBackend::new(network.clone()).unwrap();
        let v = direction(&network, 5);
        let once = product(&native, &case, &v);
        // Other data in between: nothing of it may stay.
        product(&native, &Case::new(&network, 3), &direction(&network, 6));
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| product(&native, &case, &v));
            assert!(once == again, "{} with {threads} threads", network.arch);
        }
    }
}
