//! Hessian-vector products from gradients, for whatever has no better way.

use crate::Result;

/// H v by the central difference of `gradient(theta, &mut grad)` along v, with a step of
/// `1e-3 (1 + ||theta||) / ||v||`; written over `out`, all (P,).
pub(crate) fn difference_hvp(
    theta: &[f32],
    v: &[f32],
    out: &mut [f32],
    mut gradient: impl FnMut(&[f32], &mut [f32]) -> Result<()>,
) -> Result<()> {
    let norm = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let length = norm(v);
    if length == 0.0 {
        out.fill(0.0);
        return Ok(());
    }
    let h = 1e-3 * (1.0 + norm(theta)) / length;
    let moved = |sign: f64| -> Vec<f32> {
        let pairs = theta.iter().zip(v);
        pairs.map(|(t, v)| (f64::from(*t) + sign * h * f64::from(*v)) as f32).collect()
    };
    let mut below = vec![0.0; theta.len()];
    gradient(&moved(1.0), out)?;
    gradient(&moved(-1.0), &mut below)?;
    for (o, b) in out.iter_mut().zip(below) {
        *o = ((f64::from(*o) - f64::from(b)) / (2.0 * h)) as f32;
    }
    Ok(())
}
