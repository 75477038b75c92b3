//! The native backend: the fast CPU engine.

mod kernels;
mod shape;
mod simd;

pub use simd::Level;
