//! The element type of the optimizers: f32 in training, f64 where they are compared with references.

use ndarray::NdFloat;

/// A floating-point number that parameters, gradients and optimizer state can be made of.
pub trait Real: NdFloat + Default {
    /// `value`, rounded to this type.
    fn of(value: f64) -> Self;

    /// The same number in f64.
    fn f64(self) -> f64;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn f64(self) -> f64 {
        self
    }
}

/// -1, 0 or 1 as `torch.sign`; a NaN stays one.
pub(super) fn sign<F: Real>(x: F) -> F {
    if x > F::zero() {
        F::one()
    } else if x < F::zero() {
        -F::one()
    } else {
        x
    }
}
