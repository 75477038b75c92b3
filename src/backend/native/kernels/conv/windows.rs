//! The windows that a convolution's pixels read, as runs of contiguous memory.

use crate::backend::native::shape::Shape;

/// A contiguous stretch of every window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Floats from the window's start.
    pub at: usize,
    /// Floats in it.
    pub len: usize,
}

/// Which output pixels read which input windows, and with which taps of the kernel.
#[derive(Debug)]
pub(super) struct Windows {
    /// For each output pixel: where its window starts in an input image.
    pub in_at: Vec<u32>,
    /// For each output pixel: where it lies in an output image.
    pub out_at: Vec<u32>,
    pub runs: Vec<Run>,
    /// The kernel's (row, column) in the order in which the runs meet them.
    pub taps: Vec<[usize; 2]>,
}

/// A square convolution's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConvForm {
    /// Side of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
}

impl ConvForm {
    /// Zero rows that the gradient of an output with `side` pixels needs around it, so that every
    /// window of the backward pass to an input with `input_side` pixels stays inside.
    pub fn gradient_halo(&self, input_side: usize, side: usize) -> usize {
        let below = (self.kernel - 1).saturating_sub(self.padding).div_ceil(self.stride);
        let above = ((input_side - 1 + self.padding) / self.stride).saturating_sub(side - 1);
        below.max(above)
    }
}

/// The runs of a window of `rows` x `columns` pixels of `shape`.
fn runs(shape: &Shape, rows: usize, columns: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    for y in 0..rows {
        if shape.c == shape.stride {
            runs.push(Run { at: y * shape.row(), len: columns * shape.stride });
        } else {
            let pixel = |x| Run { at: y * shape.row() + x * shape.stride, len: shape.c };
            runs.extend((0..columns).map(pixel));
        }
    }
    // A window of one pixel's width in a feature map of that width goes on from row to row.
    runs.dedup_by(|next, run| {
        let joins = run.at + run.len == next.at;
        if joins {
            run.len += next.len;
        }
        joins
    });
    runs
}

impl Windows {
    pub fn forward(input: &Shape, output: &Shape, form: ConvForm) -> Self {
        let (s, p) = (form.stride as isize, form.padding as isize);
        let pixels =
            || (0..output.h as isize).flat_map(|y| (0..output.w as isize).map(move |x| (y, x)));
        Self {
            in_at: pixels().map(|(y, x)| input.at(y * s - p, x * s - p) as u32).collect(),
            out_at: pixels().map(|(y, x)| output.at(y, x) as u32).collect(),
            runs: runs(input, form.kernel, form.kernel),
            taps: (0..form.kernel).flat_map(|y| (0..form.kernel).map(move |x| [y, x])).collect(),
        }
    }

    /// The windows over `dz` of the input's pixels (y, x) with y % stride and x % stride as given.
    pub fn backward(dz: &Shape, dx: &Shape, form: ConvForm, phase: [usize; 2]) -> Self {
        let ConvForm { kernel, stride, padding } = form;
        // Input pixel y is read by output row o through the tap k = y + padding - o stride: the
        // taps of a phase are a class modulo the stride, the largest of them the earliest row.
        let taps = |phase: usize| -> Vec<usize> {
            (0..kernel).rev().filter(|k| (phase + padding) % stride == k % stride).collect()
        };
        let (rows, columns) = (taps(phase[0]), taps(phase[1]));
        let first = |y: usize, taps: &[usize]| -> isize {
            let largest = taps.first().map_or(0, |&k| k as isize);
            ((y + padding) as isize - largest).div_euclid(stride as isize)
        };
        let pixels = || {
            let (rows, columns) = (&rows, &columns);
            (phase[0]..dx.h).step_by(stride).flat_map(move |y| {
                let at = move |x| (y, x, first(y, rows), first(x, columns));
                (phase[1]..dx.w).step_by(stride).map(at)
            })
        };
        let idle = rows.is_empty() || columns.is_empty();
        Self {
            in_at: pixels()
                .map(|(_, _, oy, ox)| if idle { 0 } else { dz.at(oy, ox) as u32 })
                .collect(),
            out_at: pixels().map(|(y, x, _, _)| dx.at(y as isize, x as isize) as u32).collect(),
            runs: if idle { Vec::new() } else { runs(dz, rows.len(), columns.len()) },
            taps: rows.iter().flat_map(|&y| columns.iter().map(move |&x| [y, x])).collect(),
        }
    }

    /// Products of one output value.
    pub fn depth(&self) -> usize {
        self.runs.iter().map(|r| r.len).sum()
    }

    /// The farthest float of an input image that any window reads, plus one.
    pub fn reach(&self) -> usize {
        let last = self.in_at.iter().max().map_or(0, |&at| at as usize);
        self.runs.iter().map(|r| last + r.at + r.len).max().unwrap_or(0)
    }
}
