//! Which images of a split to use: the first n, or a seeded class-balanced draw.

use crate::error::{Error, Result};
use crate::names::named_enum;
use crate::rng::Streams;

named_enum! {
    /// How a sample of a split is chosen.
    pub enum SampleOrder("sample order") {
        /// The first n in file order.
        File = "file",
        /// A seeded draw with as many of each class as there are, to within one.
        Balanced = "balanced",
    }
}

/// Indices of `n` of the images that `labels` describes, ascending.
///
/// `Balanced` shuffles each class by its own stream (`subset`) and deals one image of each class in
/// turn until there are n; a class that has run out is passed over. So a smaller sample is
/// contained in a larger one of the same streams, and n = all is all of them.
///
/// # Errors
/// [`Error::BadValue`] when n is 0 or more than there are.
pub fn choose(
    labels: &[u8],
    n: usize,
    order: SampleOrder,
    streams: &Streams,
) -> Result<Vec<usize>> {
    if n == 0 {
        return Err(Error::bad_value(
            "samples",
            n,
            "which leaves nothing to compute on",
            format!("ask for 1 to {} samples", labels.len()),
        ));
    }
    if n > labels.len() {
        return Err(Error::bad_value(
            "samples",
            n,
            format!("but the split has only {} images", labels.len()),
            format!("ask for at most {}", labels.len()),
        ));
    }
    Ok(match order {
        SampleOrder::File => (0..n).collect(),
        SampleOrder::Balanced => balanced(labels, n, streams),
    })
}

fn balanced(labels: &[u8], n: usize, streams: &Streams) -> Vec<usize> {
    let mut classes: Vec<Vec<usize>> = vec![Vec::new(); 256];
    for (index, &label) in labels.iter().enumerate() {
        classes[usize::from(label)].push(index);
    }
    for (label, members) in classes.iter_mut().enumerate() {
        streams.stream("subset", label as u64).shuffle(members);
    }
    // The last, incomplete round gives its images to the classes that this order names first.
    streams.stream("subset", 256).shuffle(&mut classes);
    let mut chosen = Vec::with_capacity(n);
    for round in 0.. {
        let dealt = classes.iter().filter_map(|members| members.get(round));
        chosen.extend(dealt.take(n - chosen.len()));
        if chosen.len() == n {
            break;
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 classes in runs; class 9 has 5 images, the others 20.
    fn labels() -> Vec<u8> {
        (0..185).map(|i| (i / 20) as u8).collect()
    }

    fn counts(indices: &[usize]) -> Vec<usize> {
        let labels = labels();
        (0..10).map(|c| indices.iter().filter(|&&i| labels[i] == c).count()).collect()
    }

    #[test]
    fn a_balanced_draw_has_as_many_of_each_class_to_within_one() {
        let chosen = choose(&labels(), 43, SampleOrder::Balanced, &Streams::new(3)).unwrap();
        assert!(chosen.windows(2).all(|w| w[0] < w[1]), "ascending, none twice");
        let counts = counts(&chosen);
        assert_eq!(counts.iter().filter(|&&c| c == 4).count(), 7, "{counts:?}");
        assert_eq!(counts.iter().filter(|&&c| c == 5).count(), 3, "{counts:?}");
    }

    #[test]
    fn a_class_that_runs_out_is_made_up_for_by_the_others() {
        let chosen = choose(&labels(), 95, SampleOrder::Balanced, &Streams::new(3)).unwrap();
        assert_eq!(counts(&chosen), [10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);
        let all = choose(&labels(), 185, SampleOrder::Balanced, &Streams::new(3)).unwrap();
        assert_eq!(all, (0..185).collect::<Vec<_>>());
    }

    #[test]
    fn the_draw_follows_the_seed_and_a_smaller_one_is_contained_in_a_larger() {
        let draw =
            |n, seed| choose(&labels(), n, SampleOrder::Balanced, &Streams::new(seed)).unwrap();
        assert_eq!(draw(30, 1), draw(30, 1));
        assert_ne!(draw(30, 1), draw(30, 2));
        let larger = draw(77, 1);
        assert!(draw(30, 1).iter().all(|i| larger.contains(i)));
    }

    #[test]
    fn file_order_is_the_first_n() {
        let chosen = choose(&labels(), 4, SampleOrder::File, &Streams::new(0)).unwrap();
        assert_eq!(chosen, [0, 1, 2, 3]);
    }

    #[test]
    fn no_samples_and_too_many_are_errors_that_name_the_numbers() {
        for order in [SampleOrder::File, SampleOrder::Balanced] {
            let err = choose(&labels(), 0, order, &Streams::new(0)).unwrap_err().to_string();
            assert!(err.contains("`samples` is 0"), "{err}");
            let err = choose(&labels(), 186, order, &Streams::new(0)).unwrap_err().to_string();
            assert!(err.contains("186") && err.contains("185"), "{err}");
        }
    }
}
