//! Sharpness-aware minimisation (Foret et al. 2021) over any rule that takes one gradient, as the
//! authors' PyTorch code: the gradient is that at the point which is `rho` away from theta in the
//! direction of steepest ascent.

use super::clip::{dot, grad_norm};
use super::pieces::in_pieces;
use super::real::Real;

/// How far, and in which norm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sam {
    pub rho: f64,
    /// Each parameter's distance is in units of its own size (ASAM, Kwon et al. 2021).
    pub adaptive: bool,
}

impl Sam {
    /// Writes theta + e over `out`, all (P,): e = rho g / ||g||, and theta^2 g rho / ||theta g|| where it
    /// is adaptive.
    pub fn climb<F: Real>(&self, theta: &[F], grad: &[F], out: &mut [F]) {
        if self.adaptive {
            out.iter_mut().zip(theta.iter().zip(grad)).for_each(|(o, (&w, &g))| *o = w * g);
            let rate = F::of(self.rho / (dot(out, out).sqrt() + 1e-12));
            in_pieces(out, theta, [], &|out, theta, []| {
                for (o, &w) in out.iter_mut().zip(theta) {
                    *o = w + w * *o * rate;
                }
            });
        } else {
            let rate = F::of(self.rho / (grad_norm(grad) + 1e-12));
            out.copy_from_slice(theta);
            in_pieces(out, grad, [], &|out, grad, []| {
                for (o, &g) in out.iter_mut().zip(grad) {
                    *o += g * rate;
                }
            });
        }
    }
}
