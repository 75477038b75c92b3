//! Mini-batches: an epoch's order, its division into batches, and the filling of a caller's
//! buffers.
//!
//! [`epoch_order`] shuffles, [`batches`] divides, [`Batcher::fill`] normalises (and augments, when
//! asked) the chosen images into a `&mut [f32]` that the trainer keeps, so an epoch allocates
//! nothing but its order.

use rayon::prelude::*;

use super::augment::{Augmentation, Move, move_channel};
use super::images::LabelledImages;
use super::normalise::NormStats;
use super::targets::TargetBuffer;
use crate::error::{Error, Result};
use crate::names::named_enum;
use crate::parallel;
use crate::rng::Streams;

named_enum! {
    /// What happens to the images left over when an epoch does not divide into whole batches.
    pub enum LastBatch("treatment of the last batch") {
        /// They form a shorter batch.
        Keep = "keep",
        /// They are left out in this epoch.
        Drop = "drop",
    }
}

/// The order in which epoch `epoch` visits `n` images: a shuffle by `shuffle` at that epoch.
pub fn epoch_order(streams: &Streams, epoch: u64, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    streams.stream("shuffle", epoch).shuffle(&mut order);
    order
}

/// Divides `order` into batches of `batch_size`; `.len()` is their number.
///
/// # Errors
/// [`Error::BadValue`] when `batch_size` is 0 or larger than the whole order,
/// [`Error::Data`] when the order is empty.
pub fn batches(
    order: &[usize],
    batch_size: usize,
    last: LastBatch,
) -> Result<std::slice::Chunks<'_, usize>> {
    let n = order.len();
    if n == 0 {
        return Err(Error::Data {
            what: "there are no images to make batches of".into(),
            remedy: "give at least one".into(),
        });
    }
    if batch_size == 0 || batch_size > n {
        return Err(Error::bad_value(
            "train.batch_size",
            batch_size,
            format!("but the training set has {n} images"),
            format!("use 1 to {n}"),
        ));
    }
    let used = match last {
        LastBatch::Keep => n,
        LastBatch::Drop => n - n % batch_size,
    };
    Ok(order[..used].chunks(batch_size))
}

/// Turns 8-bit images into normalised floats.
#[derive(Debug)]
pub struct Batcher<'a> {
    source: &'a LabelledImages,
    /// Normalised value of every pixel value, (c, 256).
    tables: Vec<[f32; 256]>,
}

impl<'a> Batcher<'a> {
    /// A batcher over `source`, whose pixel value `max_value` means 1.0.
    ///
    /// # Errors
    /// [`Error::BadValue`] when `stats` does not hold one finite mean and one positive, finite
    /// deviation for each channel.
    pub fn new(source: &'a LabelledImages, max_value: f32, stats: &NormStats) -> Result<Self> {
        parallel::ready();
        let channels = source.shape[0];
        if stats.mean.len() != channels
            || stats.std.len() != channels
            || !stats.mean.iter().all(|m| m.is_finite())
            || !stats.std.iter().all(|s| s.is_finite() && *s > 0.0)
        {
            return Err(Error::bad_value(
                "norm-stats",
                format!("{:?} / {:?}", stats.mean, stats.std),
                format!("which does not fit images of {channels} channels"),
                "give one mean and one positive deviation for each channel",
            ));
        }
        Ok(Self { source, tables: stats.tables(max_value) })
    }

    /// The images this reads from.
    pub fn source(&self) -> &'a LabelledImages {
        self.source
    }

    /// The images at `indices`, (indices.len(), c, h, w), and their targets.
    ///
    /// Panics when an index is out of range: a bug of the caller.
    pub fn batch(
        &self,
        indices: &[usize],
        augmentation: Option<&Augmentation>,
    ) -> (Vec<f32>, TargetBuffer) {
        let mut images = vec![0.0; indices.len() * self.source.image_len()];
        let mut targets = TargetBuffer::default();
        self.fill(indices, augmentation, &mut images, &mut targets);
        (images, targets)
    }

    /// Fills `images`, (indices.len(), c, h, w), and `targets` with the images at `indices`, augmented when
    /// `augmentation` is given, and with their targets.
    ///
    /// Panics when `images` has another length or an index is out of range: both are bugs of the
    /// caller.
    pub fn fill(
        &self,
        indices: &[usize],
        augmentation: Option<&Augmentation>,
        images: &mut [f32],
        targets: &mut TargetBuffer,
    ) {
        let [_, height, width] = self.source.shape;
        let (plane, image_len) = (height * width, self.source.image_len());
        assert_eq!(images.len(), indices.len() * image_len, "image buffer");
        targets.fill(&self.source.targets, &self.source.labels, indices);
        // Sixteen images are some tens of microseconds: less is not worth handing to a thread.
        let work = images.par_chunks_exact_mut(image_len).zip(indices).with_min_len(16);
        work.for_each(|(out, &index)| {
            let by = augmentation.map_or(Move::STAY, |a| a.draw(index));
            let channels = self.source.image(index).chunks_exact(plane);
            for ((out, pixels), table) in
                out.chunks_exact_mut(plane).zip(channels).zip(&self.tables)
            {
                move_channel(pixels, width, table, by, out);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::augment::Augment;

    fn labelled(n: usize) -> LabelledImages {
        let shape = [2, 8, 6];
        let pixels = (0..n * 96).map(|i| (i * 7 % 251) as u8).collect();
        LabelledImages::new(pixels, (0..n).map(|i| (i % 10) as u8).collect(), shape).unwrap()
    }

    fn stats() -> NormStats {
        NormStats { mean: vec![0.5, 0.25], std: vec![0.5, 0.125] }
    }

    fn filled(indices: &[usize], augmentation: Option<&Augmentation>) -> (Vec<f32>, TargetBuffer) {
        let source = labelled(100);
        Batcher::new(&source, 255.0, &stats()).unwrap().batch(indices, augmentation)
    }

    #[test]
    fn a_batch_holds_the_normalised_images_asked_for() {
        let (images, targets) = filled(&[13, 2], None);
        assert_eq!(targets, TargetBuffer::Classes(vec![3, 2]));
        let pixel = |i: usize| (i * 7 % 251) as f32 / 255.0;
        assert_eq!(images[0], (pixel(13 * 96) - 0.5) / 0.5);
        assert_eq!(images[96 + 48 + 5], (pixel(2 * 96 + 48 + 5) - 0.25) / 0.125);
    }

    #[test]
    fn an_augmented_image_does_not_depend_on_its_batch_or_on_threads() {
        let augmentation =
            Augmentation { augment: Augment::CropFlip, streams: Streams::new(9), epoch: 4 };
        let all: Vec<usize> = (0..100).collect();
        let whole = filled(&all, Some(&augmentation)).0;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(whole, pool.install(|| filled(&all, Some(&augmentation)).0));
        assert_eq!(whole[57 * 96..58 * 96], filled(&[57], Some(&augmentation)).0);
        assert_ne!(whole, filled(&all, None).0);
    }

    #[test]
    fn an_epoch_visits_every_image_once_in_an_order_of_its_own() {
        let streams = Streams::new(1);
        let first = epoch_order(&streams, 0, 50);
        assert_eq!(first, epoch_order(&streams, 0, 50));
        assert_ne!(first, epoch_order(&streams, 1, 50));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_short_batch_is_kept_or_dropped() {
        let order: Vec<usize> = (0..10).collect();
        let lengths = |last| -> Vec<usize> {
            batches(&order, 4, last).unwrap().map(<[usize]>::len).collect()
        };
        assert_eq!(lengths(LastBatch::Keep), [4, 4, 2]);
        assert_eq!(lengths(LastBatch::Drop), [4, 4]);
        assert_eq!(batches(&order, 4, LastBatch::Keep).unwrap().len(), 3);
    }

    #[test]
    fn a_batch_larger_than_the_data_or_of_nothing_is_an_error() {
        let order: Vec<usize> = (0..10).collect();
        let err = batches(&order, 11, LastBatch::Keep).unwrap_err().to_string();
        assert!(err.contains("11") && err.contains("10 images"), "{err}");
        assert!(batches(&order, 0, LastBatch::Drop).is_err());
        assert!(batches(&[], 1, LastBatch::Keep).unwrap_err().to_string().contains("no images"));
    }

    #[test]
    fn statistics_that_do_not_fit_the_channels_are_refused() {
        let source = labelled(1);
        let one = NormStats { mean: vec![0.5], std: vec![0.5] };
        assert!(Batcher::new(&source, 255.0, &one).is_err());
        let zero = NormStats { mean: vec![0.5, 0.5], std: vec![0.5, 0.0] };
        assert!(Batcher::new(&source, 255.0, &zero).is_err());
    }
}
