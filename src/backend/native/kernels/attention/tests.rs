use super::*;
use crate::rng::Streams;

/// sum over all outputs of attention(x) times `by`, x (t, 3 d), by (t, d), in f64 from the formula.
fn weighted(x: &[f64], by: &[f64], [t, d]: [usize; 2], heads: Heads) -> (Vec<f64>, f64) {
    let Heads { heads, causal } = heads;
    let size = d / heads;
    let mut out = vec![0.0; t * d];
    for (h, i) in (0..heads).flat_map(|h| (0..t).map(move |i| (h, i))) {
        let at = |j: usize, part: usize, k: usize| x[j * 3 * d + part * d + h * size + k];
        let score = |j| (0..size).map(|k| at(i, 0, k) * at(j, 1, k)).sum::<f64>();
        let seen = if causal { i + 1 } else { t };
        let p: Vec<f64> = (0..seen).map(|j| (score(j) / (size as f64).sqrt()).exp()).collect();
        let sum: f64 = p.iter().sum();
        for k in 0..size {
            out[i * d + h * size + k] = (0..seen).map(|j| p[j] / sum * at(j, 2, k)).sum();
        }
    }
    let total = out.iter().zip(by).map(|(o, b)| o * b).sum();
    (out, total)
}

#[test]
fn attention_agrees_with_its_formula_and_its_gradient_with_differences() {
    let mut rng = Streams::new(6).stream("test", 0);
    let sizes = [[1, 4, 2], [5, 6, 1], [17, 36, 3], [33, 32, 2]];
    for ([t, d, heads], causal) in sizes.into_iter().flat_map(|s| [(s, false), (s, true)]) {
        let heads = Heads { heads, causal };
        let (xs, ys) = (Shape::new([3 * d, 1, t], 0), Shape::new([d, 1, t], 0));
        let x: Vec<f32> = (0..t * 3 * d).map(|_| rng.normal() as f32).collect();
        let dy: Vec<f32> = (0..t * d).map(|_| rng.normal() as f32).collect();
        let lay = |from: &[f32], shape: &Shape| {
            let mut data = vec![0f32; shape.len()];
            for (i, row) in from.chunks_exact(shape.c).enumerate() {
                data[shape.at(0, i as isize)..][..shape.c].copy_from_slice(row);
            }
            data
        };
        let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let (wx, by) = (wide(&x), wide(&dy));
        let (want, _) = weighted(&wx, &by, [t, d], heads);
        let slopes: Vec<f64> = (0..x.len())
            .map(|i| {
                let at = |step: f64| {
                    let mut x = wx.clone();
                    x[i] += step;
                    weighted(&x, &by, [t, d], heads).1
                };
                (at(1e-5) - at(-1e-5)) / 2e-5
            })
            .collect();
        let (x, dy) = (lay(&x, &xs), lay(&dy, &ys));
        for level in Level::all() {
            let mut work = vec![f32::NAN; 10];
            let (mut y, mut dx) = (vec![0f32; ys.len()], vec![0f32; xs.len()]);
            attention(level, heads, (&x, &xs), &mut work, (&mut y, &ys));
            attention_backward(level, heads, (&x, &xs), (&dy, &ys), &mut work, (&mut dx, &xs));
            // Products of up to 36 terms of order 1 in f32; differences are good to 1e-8.
            for (i, want) in want.iter().enumerate() {
                let got = f64::from(y[ys.at(0, (i / d) as isize) + i % d]);
                assert!((got - want).abs() < 5e-6, "{t} {d} {heads:?} at {level}: {got} {want}");
            }
            for (i, want) in slopes.iter().enumerate() {
                let got = f64::from(dx[xs.at(0, (i / (3 * d)) as isize) + i % (3 * d)]);
                assert!((got - want).abs() < 2e-5, "{t} {d} {heads:?} at {level}: {got} {want}");
            }
        }
    }
}
