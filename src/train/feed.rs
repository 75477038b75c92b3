//! Batches are prepared (shuffled, augmented, normalised) on a thread of their own while the step
//! before them is computed.

use std::ops::ControlFlow;
use std::sync::mpsc;

use crate::Result;
use crate::dataset::{Augmentation, BatchTargets, Batcher, TargetBuffer};

/// Calls `step` with the images and targets of each of `chunks` (indices of images) in turn, until
/// it breaks or fails. Buffers are reused: at most three are made.
pub(super) fn each<'a, B>(
    batcher: &Batcher,
    augmentation: &Augmentation,
    chunks: impl Iterator<Item = &'a [usize]> + Send,
    mut step: impl FnMut(&[f32], BatchTargets<'_>) -> Result<ControlFlow<B>>,
) -> Result<ControlFlow<B>> {
    let image = batcher.source().image_len();
    std::thread::scope(|scope| {
        let (ready, batches) = mpsc::sync_channel::<(Vec<f32>, TargetBuffer)>(1);
        let (give_back, spent) = mpsc::channel::<(Vec<f32>, TargetBuffer)>();
        scope.spawn(move || {
            for indices in chunks {
                let (mut images, mut targets) = spent.try_recv().unwrap_or_default();
                images.resize(indices.len() * image, 0.0);
                batcher.fill(indices, Some(augmentation), &mut images, &mut targets);
                if ready.send((images, targets)).is_err() {
                    return; // training has stopped
                }
            }
        });
        for (images, targets) in batches {
            if let ControlFlow::Break(b) = step(&images, targets.view())? {
                return Ok(ControlFlow::Break(b));
            }
            // The error means that the thread has ended and needs no more buffers.
            let _ = give_back.send((images, targets));
        }
        Ok(ControlFlow::Continue(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::dataset::{Augment, LabelledImages, NormStats};
    use crate::rng::Streams;

    #[test]
    fn batches_come_in_order_and_an_early_end_leaves_nothing_hanging() {
        let labels: Vec<u8> = (0..60).map(|i| i % 10).collect();
        let source = LabelledImages::new((0..60).collect(), labels, [1, 1, 1]).unwrap();
        let stats = NormStats { mean: vec![0.0], std: vec![1.0] };
        let batcher = Batcher::new(&source, 1.0, &stats).unwrap();
        let none = Augmentation { augment: Augment::None, streams: Streams::new(0), epoch: 0 };
        let order: Vec<usize> = (0..60).rev().collect();
        let mut seen = Vec::new();
        let end = each(&batcher, &none, order.chunks(7), |images, targets| {
            assert_eq!(images.len(), targets.answers());
            seen.extend_from_slice(images);
            Ok(ControlFlow::<()>::Continue(()))
        });
        assert!(end.unwrap().is_continue());
        assert_eq!(seen, order.iter().map(|&i| i as f32).collect::<Vec<_>>());

        let mut calls = 0;
        let end = each(&batcher, &none, order.chunks(7), |_, _| {
            calls += 1;
            Ok(if calls == 3 { ControlFlow::Break("enough") } else { ControlFlow::Continue(()) })
        });
        assert_eq!(end.unwrap(), ControlFlow::Break("enough"));
        let end = each(&batcher, &none, order.chunks(7), |_, _| {
            Err::<ControlFlow<()>, _>(Error::bad_value("disk", "full", "no room", "make some"))
        });
        assert!(end.is_err());
    }
}
