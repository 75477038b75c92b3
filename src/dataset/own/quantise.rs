//! Numbers of any range as the bytes that images are here.
//!
//! Bytes stay what they are. Numbers within 0 to 1 are multiplied by 255, whole numbers within 0 to 255
//! are taken as they are, and any others are spread, channel by channel, from the smallest to the largest
//! of the training split: 0 to 255. That keeps a value to 1/510 of its channel's range.

/// The values of a split: images of c channels, planar.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// As they are.
    Bytes(Vec<u8>),
    /// To be made bytes.
    Numbers(Vec<f32>),
}

/// How numbers become bytes.
enum Scale {
    AsTheyAre,
    Unit,
    /// Smallest and largest of each channel.
    Spread(Vec<(f32, f32)>),
}

/// The bytes of both splits; `channels` and `pixels` (height times width) divide the values.
///
/// # Errors
/// The index of an image with a value that is no number, and of which split it is (0, 1).
pub(super) fn to_bytes(
    splits: Vec<Values>,
    channels: usize,
    pixels: usize,
) -> Result<Vec<Vec<u8>>, (usize, usize)> {
    let all_bytes = splits.iter().all(|split| matches!(split, Values::Bytes(_)));
    let numbers: Vec<Vec<f32>> = if all_bytes {
        return Ok(splits
            .into_iter()
            .map(|split| match split {
                Values::Bytes(bytes) => bytes,
                Values::Numbers(_) => Vec::new(),
            })
            .collect());
    } else {
        splits
            .into_iter()
            .map(|split| match split {
                Values::Bytes(bytes) => bytes.into_iter().map(f32::from).collect(),
                Values::Numbers(numbers) => numbers,
            })
            .collect()
    };
    for (which, split) in numbers.iter().enumerate() {
        if let Some(at) = split.iter().position(|value| !value.is_finite()) {
            return Err((which, at / (channels * pixels).max(1)));
        }
    }
    let scale = scale_of(numbers.first().map_or(&[], Vec::as_slice), channels, pixels);
    Ok(numbers.iter().map(|split| scale.apply(split, channels, pixels)).collect())
}

fn scale_of(train: &[f32], channels: usize, pixels: usize) -> Scale {
    if train.iter().all(|value| (0.0..=1.0).contains(value)) {
        return Scale::Unit;
    }
    if train.iter().all(|value| (0.0..=255.0).contains(value) && value.fract() == 0.0) {
        return Scale::AsTheyAre;
    }
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); channels];
    for (plane, values) in train.chunks_exact(pixels.max(1)).enumerate() {
        let (low, high) = &mut ranges[plane % channels];
        for &value in values {
            *low = low.min(value);
            *high = high.max(value);
        }
    }
    Scale::Spread(ranges)
}

impl Scale {
    fn apply(&self, values: &[f32], channels: usize, pixels: usize) -> Vec<u8> {
        // A cast to bytes draws what is outside to 0 or 255.
        match self {
            Scale::AsTheyAre => values.iter().map(|value| value.round() as u8).collect(),
            Scale::Unit => values.iter().map(|value| (value * 255.0).round() as u8).collect(),
            Scale::Spread(ranges) => values
                .iter()
                .enumerate()
                .map(|(at, &value)| {
                    let (low, high) = ranges[at / pixels.max(1) % channels];
                    let (low, range) = (f64::from(low), f64::from(high) - f64::from(low));
                    if range > 0.0 {
                        ((f64::from(value) - low) / range * 255.0).round() as u8
                    } else {
                        0
                    }
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(train: &[f32], test: &[f32], channels: usize) -> Vec<Vec<u8>> {
        let splits = vec![Values::Numbers(train.to_vec()), Values::Numbers(test.to_vec())];
        to_bytes(splits, channels, 1).unwrap()
    }

    #[test]
    fn numbers_become_bytes_by_their_range() {
        let thirds: Vec<f32> = (0..=255).map(|b| b as f32 / 255.0).collect();
        assert_eq!(of(&thirds, &[1.0], 1), [(0..=255).collect(), vec![255]]);
        assert_eq!(of(&[0.0, 7.0, 255.0], &[300.0], 1), [vec![0, 7, 255], vec![255]]);
        // Two channels: -1 to 1, and 10 to 30; the test split is scaled as the training split.
        assert_eq!(
            of(&[-1.0, 10.0, 1.0, 30.0], &[0.0, 40.0], 2),
            [vec![0, 0, 255, 255], vec![128, 255]]
        );
        assert_eq!(of(&[-5.0, -5.0], &[1.0], 1), [vec![0, 0], vec![0]]);
    }

    #[test]
    fn what_is_no_number_is_found() {
        let splits =
            vec![Values::Bytes(vec![1, 2]), Values::Numbers(vec![0.0, 1.0, 2.0, f32::NAN])];
        assert_eq!(to_bytes(splits, 2, 1), Err((1, 1)));
        assert_eq!(to_bytes(vec![Values::Bytes(vec![1, 2])], 1, 1), Ok(vec![vec![1, 2]]));
    }
}
