use super::*;
use crate::rng::Streams;

/// y, dx, dweight, dbias of one pixel, in f64.
fn exact(eps: f64, x: &[f64], weight: &[f64], bias: &[f64], dy: &[f64]) -> [Vec<f64>; 4] {
    let c = x.len() as f64;
    let mean = x.iter().sum::<f64>() / c;
    let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / c;
    let inverse = 1.0 / (var + eps).sqrt();
    let hat: Vec<f64> = x.iter().map(|v| (v - mean) * inverse).collect();
    let g: Vec<f64> = dy.iter().zip(weight).map(|(d, w)| d * w).collect();
    let sum = g.iter().sum::<f64>() / c;
    let along = g.iter().zip(&hat).map(|(g, h)| g * h).sum::<f64>() / c;
    let y = (0..x.len()).map(|i| hat[i] * weight[i] + bias[i]).collect();
    let dx = (0..x.len()).map(|i| inverse * (g[i] - sum - hat[i] * along)).collect();
    [y, dx, dy.iter().zip(&hat).map(|(d, h)| d * h).collect(), dy.to_vec()]
}

#[test]
fn layer_norm_and_its_gradients_agree_with_f64_on_every_number_of_channels() {
    let mut rng = Streams::new(4).stream("test", 0);
    for c in [1, 5, 16, 24, 36, 96] {
        let (shape, dys) = (Shape::new([c, 1, 7], 0), Shape::new([c, 1, 7], 1));
        let mut draw = |shape: &Shape, mean: f32| {
            let mut data = vec![0f32; shape.len()];
            for i in 0..shape.w {
                let at = shape.at(0, i as isize);
                data[at..at + c].iter_mut().for_each(|v| *v = mean + rng.normal() as f32);
            }
            data
        };
        // A mean far from 0 would spoil a variance from the sum of squares.
        let (x, dy) = (draw(&shape, 100.0), draw(&dys, 0.0));
        let row = Shape::new([c, 1, 1], 0);
        let [weight, bias]: [Vec<f32>; 2] = [1.0, 0.0].map(|mean| {
            let mut data = vec![0f32; row.len()];
            data[..c].iter_mut().for_each(|v| *v = mean + 0.3);
            data
        });
        for level in Level::all() {
            let (mut y, mut dx) = (vec![f32::NAN; shape.len()], vec![f32::NAN; shape.len()]);
            let (mut dw, mut db) = (vec![0f32; row.len()], vec![0f32; row.len()]);
            let eps = 1e-6;
            let pair = [&weight[..], &bias[..]];
            layer_norm(level, eps, pair, (&x, &shape), (&mut y, &shape));
            layer_norm_backward(level, eps, &weight, (&x, &shape), (&dy, &dys), (&mut dx, &shape));
            layer_norm_gradient(level, eps, (&x, &shape), (&dy, &dys), [&mut dw, &mut db]);
            let (mut want_w, mut want_b) = (vec![0.0; c], vec![0.0; c]);
            // 100 has an ulp of 8e-6, which the division by a deviation of order 1 passes on; of
            // one channel alone nothing but rounding is left.
            let near = |a: f32, b: f64| (f64::from(a) - b).abs() < if c > 1 { 1e-4 } else { 1e-2 };
            for i in 0..shape.w {
                let (at, from) = (shape.at(0, i as isize), dys.at(0, i as isize));
                let wide = |v: &[f32]| v[..c].iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
                let (wx, wd) = (wide(&x[at..]), wide(&dy[from..]));
                let all = exact(eps, &wx, &wide(&weight), &wide(&bias), &wd);
                for k in 0..c {
                    assert!(near(y[at + k], all[0][k]), "{c} at {level}: y");
                    assert!(near(dx[at + k], all[1][k]), "{c} at {level}: dx");
                    want_w[k] += all[2][k];
                    want_b[k] += all[3][k];
                }
                let padding = at + c..at + shape.stride;
                assert!(y[padding.clone()].iter().chain(&dx[padding]).all(|v| *v == 0.0));
            }
            for k in 0..c {
                assert!(near(dw[k], want_w[k]) && near(db[k], want_b[k]), "{c} at {level}: dw");
            }
        }
    }
}
