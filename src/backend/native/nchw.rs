//! Between (c, h, w), the order of the images that come in and go out, and padded NHWC.

use super::shape::Shape;

/// An image (c, h, w) into padded NHWC.
pub(super) fn load(image: &[f32], y: &mut [f32], shape: &Shape) {
    let area = shape.pixels();
    for py in 0..shape.h {
        let at = shape.at(py as isize, 0);
        let row = &mut y[at..at + shape.w * shape.stride];
        for c in 0..shape.c {
            let from = &image[c * area + py * shape.w..][..shape.w];
            row[c..].iter_mut().step_by(shape.stride).zip(from).for_each(|(y, v)| *y = *v);
        }
    }
}

/// The channels of each pixel behind those of the one before: (pixels, c), which for tokens is (t, c).
pub(super) fn rows<'a>(image: &'a [f32], shape: &'a Shape) -> impl Iterator<Item = &'a [f32]> {
    let places = (0..shape.h).flat_map(|y| (0..shape.w).map(move |x| (y as isize, x as isize)));
    places.map(|(y, x)| &image[shape.at(y, x)..][..shape.c])
}

/// Writes (pixels, c) to the channels of each pixel.
pub(super) fn set_rows(from: &[f32], image: &mut [f32], shape: &Shape) {
    let places = (0..shape.h).flat_map(|y| (0..shape.w).map(move |x| (y as isize, x as isize)));
    for (row, (y, x)) in from.chunks_exact(shape.c).zip(places) {
        image[shape.at(y, x)..][..shape.c].copy_from_slice(row);
    }
}

/// The way back of [`load`], behind what `out` holds.
pub(super) fn unload(image: &[f32], shape: &Shape, out: &mut Vec<f32>) {
    for c in 0..shape.c {
        for y in 0..shape.h {
            let row = &image[shape.at(y as isize, 0) + c..];
            out.extend(row.iter().step_by(shape.stride).take(shape.w));
        }
    }
}
