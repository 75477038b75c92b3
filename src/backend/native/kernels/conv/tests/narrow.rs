//! Direct convolution in bf16 against sums in f64 of the operands rounded to bf16, to the nearest
//! with ties to even.

use super::*;
use crate::backend::native::number::Numbers;

/// The nearest bf16, ties to even: half a unit of what stays is added, less a bit where that is
/// even.
fn round(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

#[test]
fn forward_is_the_sum_of_products_of_rounded_numbers() {
    for (c, size, out, form, images) in CASES {
        let case = Case::new(c, size, out, form, images);
        let mut rng = Streams::new(6).stream("epilogue", 0);
        let residual = fill(&case.output, images, || rng.normal() as f32);
        let scale: Vec<f32> = (0..out).map(|o| 0.5 + o as f32 / 8.0).collect();
        let mut bias = vec![0.0; case.output.stride];
        bias[..out].iter_mut().enumerate().for_each(|(o, b)| *b = o as f32 - 2.0);
        let mut sums = vec![0f64; images * case.output.len()];
        case.products(|n, [o, oy, ox], tap, [iy, ix]| {
            let at_x = n * case.input.len() + case.input.at(iy, ix) + tap[0];
            let at_y = n * case.output.len() + case.output.at(oy as isize, ox as isize) + o;
            let w = round(case.weight[case.w(o, tap)] * scale[o]);
            sums[at_y] += f64::from(round(case.x[at_x])) * f64::from(w);
        });
        let finished = |relu: bool| -> Vec<f64> {
            let mut want = vec![0f64; sums.len()];
            for n in 0..images {
                for (y, x) in
                    (0..case.output.h).flat_map(|y| (0..case.output.w).map(move |x| (y, x)))
                {
                    let at = n * case.output.len() + case.output.at(y as isize, x as isize);
                    for o in 0..out {
                        let v = sums[at + o] + f64::from(bias[o]) + f64::from(residual[at + o]);
                        want[at + o] = if relu { v.max(0.0) } else { v };
                    }
                }
            }
            want
        };
        let both = |level| [Numbers::Rounded, Numbers::Pairs].map(|numbers| (level, numbers));
        for (level, numbers) in Level::all().flat_map(both) {
            if !numbers.available(level) {
                continue;
            }
            // As many images at a time as there are, and fewer.
            for at_once in [images, 2] {
                let shapes = [case.input, case.output];
                let conv = NarrowConv::new(level, numbers, shapes, form, at_once);
                // Whatever the memory holds, nothing of it may come out.
                let mut packed = vec![f32::NAN; conv.packed_len()];
                conv.pack(&case.weight, Some(&scale), &mut packed);
                let mut scratch = vec![f32::NAN; conv.scratch_len()];
                for relu in [false, true] {
                    let mut got = vec![0.0; sums.len()];
                    let epilogue = Epilogue::Bias { bias: &bias, residual: Some(&residual), relu };
                    conv.forward(&case.x, images, &packed, &epilogue, &mut got, &mut scratch);
                    let what = format!("{level} {numbers:?} {c} {size:?} {out} {form:?} {relu}");
                    near(&got, &finished(relu), &what);
                }
            }
        }
    }
}
