//! Each pass against a direct sum in f64, at every level this processor has.

mod narrow;

use super::*;
use crate::rng::Streams;

struct Case {
    input: Shape,
    output: Shape,
    dz: Shape,
    form: ConvForm,
    images: usize,
    weight: Vec<f32>,
    x: Vec<f32>,
    g: Vec<f32>,
}

/// Fills the interior of `images` feature maps with values from `rng`.
fn fill(shape: &Shape, images: usize, mut next: impl FnMut() -> f32) -> Vec<f32> {
    let mut all = vec![0.0; images * shape.len()];
    for image in all.chunks_exact_mut(shape.len()) {
        for (y, x) in (0..shape.h).flat_map(|y| (0..shape.w).map(move |x| (y, x))) {
            let at = shape.at(y as isize, x as isize);
            image[at..at + shape.c].iter_mut().for_each(|v| *v = next());
        }
    }
    all
}

impl Case {
    fn new(c: usize, [h, w]: [usize; 2], out: usize, form: ConvForm, images: usize) -> Self {
        let side = |s: usize| (s + 2 * form.padding - form.kernel) / form.stride + 1;
        let input = Shape::new([c, h, w], form.padding + images % 2);
        let output = Shape::new([out, side(h), side(w)], 1);
        let halo = form.gradient_halo(h, side(h)).max(form.gradient_halo(w, side(w)));
        let dz = Shape::new([out, side(h), side(w)], halo);
        let mut rng = Streams::new(5).stream("conv", 0);
        let mut next = || rng.normal() as f32;
        let weight = (0..out * c * form.kernel * form.kernel).map(|_| next()).collect();
        let x = fill(&input, images, &mut next);
        let g = fill(&dz, images, &mut next);
        Self { input, output, dz, form, images, weight, x, g }
    }

    /// Calls `f(image, out channel, oy, ox, in channel, ky, kx, iy, ix)` for every product.
    fn products(&self, mut f: impl FnMut(usize, [usize; 3], [usize; 3], [isize; 2])) {
        let k = self.form.kernel;
        for n in 0..self.images {
            for (oy, ox) in (0..self.dz.h).flat_map(|y| (0..self.dz.w).map(move |x| (y, x))) {
                for (ky, kx) in (0..k).flat_map(|y| (0..k).map(move |x| (y, x))) {
                    let p = self.form.padding as isize;
                    let iy = (oy * self.form.stride + ky) as isize - p;
                    let ix = (ox * self.form.stride + kx) as isize - p;
                    let inside = |i: isize, side: usize| (0..side as isize).contains(&i);
                    if inside(iy, self.input.h) && inside(ix, self.input.w) {
                        for o in 0..self.dz.c {
                            for i in 0..self.input.c {
                                f(n, [o, oy, ox], [i, ky, kx], [iy, ix]);
                            }
                        }
                    }
                }
            }
        }
    }

    fn w(&self, o: usize, [i, ky, kx]: [usize; 3]) -> usize {
        ((o * self.input.c + i) * self.form.kernel + ky) * self.form.kernel + kx
    }
}

/// At most about a thousand products of order 1: f32 sums are good to 1e-6 of their length's root
/// times a few; a wrong term is of order 1.
fn near(got: &[f32], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len());
    for (k, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*g) - w).abs() < 5e-4, "{what} at {k}: {g} for {w}");
    }
}

const CASES: [(usize, [usize; 2], usize, ConvForm, usize); 11] = {
    const fn form(kernel: usize, stride: usize, padding: usize) -> ConvForm {
        ConvForm { kernel, stride, padding }
    }
    [
        (16, [8, 8], 16, form(3, 1, 1), 2),
        (32, [6, 5], 48, form(3, 1, 1), 1),
        (3, [7, 9], 16, form(3, 1, 1), 3),
        (16, [8, 8], 32, form(3, 2, 1), 2),
        (5, [7, 7], 20, form(3, 2, 1), 1),
        (16, [9, 6], 32, form(1, 2, 0), 2),
        (64, [1, 1], 10, form(1, 1, 0), 13),
        (17, [5, 7], 3, form(5, 1, 2), 1),
        (4, [9, 8], 6, form(5, 1, 0), 2),
        (2, [11, 9], 5, form(7, 3, 3), 1),
        (32, [4, 4], 32, form(2, 2, 0), 1),
    ]
};

#[test]
fn forward_backward_data_and_backward_weights_agree_with_direct_sums() {
    for (c, size, out, form, images) in CASES {
        let case = Case::new(c, size, out, form, images);
        let mut y = vec![0f64; images * case.output.len()];
        let mut dx = vec![0f64; images * case.input.len()];
        let mut dw = vec![0f64; case.weight.len()];
        case.products(|n, [o, oy, ox], tap, [iy, ix]| {
            let at_x = n * case.input.len() + case.input.at(iy, ix) + tap[0];
            let at_y = |s: &Shape| n * s.len() + s.at(oy as isize, ox as isize) + o;
            let (x, w) = (f64::from(case.x[at_x]), f64::from(case.weight[case.w(o, tap)]));
            let g = f64::from(case.g[at_y(&case.dz)]);
            y[at_y(&case.output)] += x * w;
            dx[at_x] += g * w;
            dw[case.w(o, tap)] += g * x;
        });
        for level in Level::all() {
            let what = |pass: &str| format!("{pass} {level} {c} {size:?} {out} {form:?}");
            let conv = Conv::new(level, case.input, case.output, form);
            let mut packed = vec![0.0; conv.packed_len()];
            conv.pack(&case.weight, None, &mut packed);
            let mut got = vec![0.0; y.len()];
            conv.forward(&case.x, images, &packed, Epilogue::Plain, &mut got, Threads::One);
            near(&got, &y, &what("forward"));
            // Threads that share the channels give the same bytes.
            let mut shared = vec![0.0; y.len()];
            conv.forward(&case.x, images, &packed, Epilogue::Plain, &mut shared, Threads::All);
            assert!(got == shared, "{}", what("forward"));

            let back = ConvBackward::new(level, case.dz, case.input, form);
            let mut packed = vec![0.0; back.packed_len()];
            back.pack(&case.weight, &mut packed);
            let mut got = vec![0.0; dx.len()];
            back.run(&case.g, images, &packed, || Epilogue::Plain, &mut got, Threads::One);
            near(&got, &dx, &what("backward data"));
            let mut shared = vec![0.0; dx.len()];
            back.run(&case.g, images, &packed, || Epilogue::Plain, &mut shared, Threads::All);
            assert!(got == shared, "{}", what("backward data"));

            let mut packed = vec![0.0; conv.packed_len()];
            conv.backward_weights(&case.x, &case.g, &case.dz, images, &mut packed, Threads::One);
            let mut shared = vec![0.0; conv.packed_len()];
            conv.backward_weights(&case.x, &case.g, &case.dz, images, &mut shared, Threads::All);
            assert!(packed == shared, "{}", what("backward weights"));
            let mut got = vec![0.0; dw.len()];
            conv.unpack_add(&packed, &mut got);
            near(&got, &dw, &what("backward weights"));
        }
    }
}

#[test]
fn epilogues_add_bias_and_residual_clip_at_zero_and_count() {
    for (c, size, out, form, images) in CASES {
        let case = Case::new(c, size, out, form, images);
        let mut rng = Streams::new(6).stream("epilogue", 0);
        let residual = fill(&case.output, images, || rng.normal() as f32);
        let scale: Vec<f32> = (0..out).map(|o| 0.5 + o as f32 / 8.0).collect();
        let mut bias = vec![0.0; case.output.stride];
        bias[..out].iter_mut().enumerate().for_each(|(o, b)| *b = o as f32 - 2.0);
        for level in Level::all() {
            let conv = Conv::new(level, case.input, case.output, form);
            let mut packed = vec![0.0; conv.packed_len()];
            conv.pack(&case.weight, None, &mut packed);
            let mut sums = vec![0.0; 2 * case.output.stride];
            let mut plain = vec![0.0; images * case.output.len()];
            let stats = Epilogue::Stats { sums: &mut sums };
            conv.forward(&case.x, images, &packed, stats, &mut plain, Threads::One);
            let mut want = vec![0f64; sums.len()];
            for pixel in plain.chunks_exact(case.output.stride) {
                for (o, v) in pixel.iter().enumerate() {
                    want[o] += f64::from(*v);
                    want[case.output.stride + o] += f64::from(*v).powi(2);
                }
            }
            for (g, w) in sums.iter().zip(&want) {
                // Sums of some hundreds of squares of order 100 in f32.
                assert!((f64::from(*g) - w).abs() < 1e-5 * w.abs().max(1e3), "{g} {w}");
            }

            conv.pack(&case.weight, Some(&scale), &mut packed);
            for relu in [false, true] {
                let mut got = vec![0.0; plain.len()];
                let epilogue = Epilogue::Bias { bias: &bias, residual: Some(&residual), relu };
                conv.forward(&case.x, images, &packed, epilogue, &mut got, Threads::All);
                let pixels = plain.chunks_exact(case.output.stride).enumerate();
                let mut want = vec![0f64; got.len()];
                for (p, pixel) in pixels {
                    let inside = {
                        let at = p * case.output.stride % case.output.len();
                        let (y, x) = (at / case.output.row(), at % case.output.row());
                        let x = x / case.output.stride;
                        (1..=case.output.h).contains(&y) && (1..=case.output.w).contains(&x)
                    };
                    for o in (0..out).filter(|_| inside) {
                        let at = p * case.output.stride + o;
                        let v = f64::from(pixel[o] * scale[o] + bias[o] + residual[at]);
                        want[at] = if relu { v.max(0.0) } else { v };
                    }
                }
                near(&got, &want, &format!("{level} relu {relu} {c} {size:?} {out} {form:?}"));
            }
        }
    }
}
