//! Draws a network's parameters before training.

use super::{Init, Network, Param};
use crate::rng::{Rng, Streams};

impl Network {
    /// A freshly drawn `theta`. Parameter i comes from stream `init` at index i, so a change in
    /// one layer leaves the draws of the others where they were.
    pub fn init_theta(&self, streams: &Streams) -> Vec<f32> {
        let mut theta = vec![0.0; self.layout.dim()];
        for (index, param) in self.layout.params.iter().enumerate() {
            let mut rng = streams.stream("init", index as u64);
            draw(param, &mut rng, &mut theta[param.range()]);
        }
        theta
    }

    /// The buffers before training: running means 0, running variances 1.
    pub fn init_buffers(&self) -> Vec<f32> {
        let mut flat = Vec::with_capacity(self.layout.buffer_dim());
        for buffer in &self.layout.buffers {
            flat.extend(std::iter::repeat_n(buffer.initial, buffer.len()));
        }
        flat
    }
}

fn draw(param: &Param, rng: &mut Rng, out: &mut [f32]) {
    match param.init {
        Init::Constant(value) => out.fill(value),
        Init::Normal { std } => out.iter_mut().for_each(|v| *v = (std * rng.normal()) as f32),
        Init::TruncatedNormal { std } => out.iter_mut().for_each(|v| {
            let mut drawn = rng.normal();
            while drawn.abs() > 2.0 {
                drawn = rng.normal();
            }
            *v = (std * drawn) as f32;
        }),
        Init::Uniform { bound } => {
            out.iter_mut().for_each(|v| *v = rng.uniform_in(-bound, bound) as f32);
        }
        Init::Orthogonal { gain } => orthogonal(param.shape[0], gain, rng, out),
    }
}

/// Gram-Schmidt (twice, for orthogonality to rounding) on Gaussian vectors: the rows of the
/// (rows, columns) matrix when it is wide, its columns when it is tall.
fn orthogonal(rows: usize, gain: f64, rng: &mut Rng, out: &mut [f32]) {
    let columns = out.len() / rows;
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut v: Vec<f64> = (0..length).map(|_| rng.normal()).collect();
        for _ in 0..2 {
            for b in &basis {
                let dot: f64 = v.iter().zip(b).map(|(x, y)| x * y).sum();
                v.iter_mut().zip(b).for_each(|(x, y)| *x -= dot * y);
            }
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-6 {
            v.iter_mut().for_each(|x| *x /= norm);
            basis.push(v);
        }
    }
    for r in 0..rows {
        for c in 0..columns {
            let value = if rows <= columns { basis[r][c] } else { basis[c][r] };
            out[r * columns + c] = (gain * value) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orthogonal_draw_has_orthonormal_rows_or_columns() {
        for (rows, columns) in [(5, 12), (12, 5)] {
            let mut rng = Streams::new(3).stream("init", 0);
            let mut m = vec![0f32; rows * columns];
            orthogonal(rows, 1.0, &mut rng, &mut m);
            let vector = |i: usize| -> Vec<f32> {
                if rows <= columns {
                    m[i * columns..(i + 1) * columns].to_vec()
                } else {
                    (0..rows).map(|r| m[r * columns + i]).collect()
                }
            };
            for i in 0..rows.min(columns) {
                for j in 0..rows.min(columns) {
                    let dot: f32 = vector(i).iter().zip(vector(j)).map(|(a, b)| a * b).sum();
                    let want = if i == j { 1.0 } else { 0.0 };
                    assert!((dot - want).abs() < 1e-6, "{rows}x{columns} ({i}, {j}): {dot}");
                }
            }
        }
    }
}
