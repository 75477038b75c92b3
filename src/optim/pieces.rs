//! Elementwise work cut among threads.

use std::mem;

/// Elements a thread takes at once: a few microseconds of work, so that splitting costs nothing.
const PIECE: usize = 1 << 15;

/// Runs `f` on aligned pieces of `out`, `input` and `slots`, all of one length, on rayon's threads;
/// `input` may be empty.
/// `f` must be elementwise; then how the work is cut cannot be seen in the result.
pub(super) fn in_pieces<T: Send + Sync, const N: usize, F>(
    out: &mut [T],
    input: &[T],
    mut slots: [&mut [T]; N],
    f: &F,
) where
    F: Fn(&mut [T], &[T], [&mut [T]; N]) + Sync,
{
    if out.len() <= PIECE {
        return f(out, input, slots);
    }
    let mid = (out.len() / 2).next_multiple_of(PIECE);
    let (out_low, out_high) = out.split_at_mut(mid);
    let (input_low, input_high) = input.split_at(mid.min(input.len()));
    let slots_high = slots.each_mut().map(|slot| {
        let (low, high) = mem::take(slot).split_at_mut(mid);
        *slot = low;
        high
    });
    rayon::join(
        || in_pieces(out_low, input_low, slots, f),
        || in_pieces(out_high, input_high, slots_high, f),
    );
}
