//! What the numbers of a picture rest on, in the words of its caption: the sample and its error, the
//! points, the random walk beside the plane, BatchNorm.

use super::on_plane::OnPlane;
use crate::dataset::things;
use crate::landscape::{About, Cell, Header, Plane, PlaneKind, SurfaceStore};
use crate::record::EvaluatedOn;
use crate::render::numbers::{significant, thousands};
use crate::trajectory::Weighting;

/// The quantity whose sampling error a caption states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorOf {
    /// The loss, in percent of itself.
    Loss,
    /// The accuracy, in percentage points.
    Accuracy,
}

impl ErrorOf {
    fn of(self, cell: &Cell, on: &EvaluatedOn) -> f64 {
        match self {
            ErrorOf::Loss => 100.0 * cell.loss_se / cell.loss,
            ErrorOf::Accuracy => {
                // Of the images: the positions of one text are not independent.
                let p = on.accuracy(cell.correct);
                100.0 * (p * (1.0 - p) / on.samples as f64).sqrt()
            }
        }
    }

    fn words(self, error: f64) -> String {
        match self {
            ErrorOf::Loss => format!("{} %", significant(error, 1)),
            ErrorOf::Accuracy => format!("{} points", significant(error, 2)),
        }
    }
}

/// The median over cells of a standard error: a cell where the network overflows has none.
fn typical<'a>(
    of: ErrorOf,
    cells: impl Iterator<Item = (&'a EvaluatedOn, &'a Cell)>,
) -> Option<f64> {
    let mut errors: Vec<f64> =
        cells.map(|(on, cell)| of.of(cell, on)).filter(|e| e.is_finite()).collect();
    errors.sort_by(f64::total_cmp);
    errors.get(errors.len() / 2).copied()
}

/// `typical error 4 %, at the minimum 60 %`, of one surface or more: the median over all points, and
/// the error of the lowest one where that is another.
pub(crate) fn error(of: ErrorOf, stores: &[&SurfaceStore]) -> String {
    let (mut medians, mut lowest, mut differ) = (Vec::new(), Vec::new(), false);
    for store in stores {
        let (on, cells) = (&store.header.on, || store.cells.iter().flatten());
        let Some(median) = typical(of, cells().map(|cell| (on, cell))) else {
            medians.push(None);
            continue;
        };
        let finite = cells().filter(|c| c.loss.is_finite());
        let least = finite.min_by(|a, b| a.loss.total_cmp(&b.loss));
        let least = least.map(|c| of.of(c, on)).filter(|e| e.is_finite());
        differ |= of == ErrorOf::Loss && least.is_some_and(|e| e > 1.25 * median);
        lowest.push(least);
        medians.push(Some(median));
    }
    let joined = |errors: &[Option<f64>]| one_or_range(errors, |error| of.words(error));
    let at = if differ { format!(", at the minimum {}", joined(&lowest)) } else { String::new() };
    format!("typical error {}{at}", joined(&medians))
}

/// `, of differences 0.5 %`: the median of the errors of differences to the origin, image by image, by which levels
/// are kept apart; empty where they are not known of all `stores`.
fn error_of_differences(stores: &[&SurfaceStore]) -> String {
    let errors: Option<Vec<Option<f64>>> =
        stores.iter().map(|store| Some(Some(typical_of_differences(store)?))).collect();
    errors.map_or(String::new(), |errors| {
        format!(", of differences {}", one_or_range(&errors, |error| ErrorOf::Loss.words(error)))
    })
}

/// The median of the paired standard errors of differences to the origin, in percent of the loss; `None` where they
/// are not known.
fn typical_of_differences(store: &SurfaceStore) -> Option<f64> {
    let cells = store.cells.iter().flatten().filter(|cell| cell.difference_se > 0.0);
    let mut errors: Vec<f64> = cells
        .map(|cell| 100.0 * cell.difference_se / cell.loss)
        .filter(|error| error.is_finite())
        .collect();
    errors.sort_by(f64::total_cmp);
    errors.get(errors.len() / 2).copied()
}

/// `4 %`, `4 % / 10 %`, and of more than three surfaces the least and the greatest: `4 % to 10 %`.
fn one_or_range(values: &[Option<f64>], words: impl Fn(f64) -> String) -> String {
    let say = |value: &Option<f64>| value.map_or("unknown".to_string(), &words);
    let mut said: Vec<String> = values.iter().map(say).collect();
    if let (4.., Some(known)) = (values.len(), values.iter().copied().collect::<Option<Vec<f64>>>())
    {
        let least = known.iter().copied().fold(f64::INFINITY, f64::min);
        let most = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        said = vec![words(least), words(most)];
        said.dedup();
        return said.join(" to ");
    }
    // One for all, or one for each: two words for three surfaces would say nothing of any.
    if said.iter().all(|word| *word == said[0]) {
        said.truncate(1);
    }
    said.join(" / ")
}

/// `typical error 4 %` of the loss over the cells of all `stores`.
pub(super) fn typical_error(stores: &[SurfaceStore]) -> String {
    let cells = stores
        .iter()
        .flat_map(|store| store.cells.iter().flatten().map(|cell| (&store.header.on, cell)));
    let error = typical(ErrorOf::Loss, cells);
    format!("typical error {}", error.map_or("unknown".into(), |e| ErrorOf::Loss.words(e)))
}

/// `1 snapshot`, `1,025 snapshots`.
pub(crate) fn count(n: usize, thing: &str) -> String {
    format!("{} {thing}{}", thousands(&n.to_string()), if n == 1 { "" } else { "s" })
}

/// `200 training images`, `1,000 test images in bf16`.
pub(crate) fn sample(on: &EvaluatedOn) -> String {
    let count = thousands(&on.samples.to_string());
    let things = match things(&on.dataset) {
        Some(things) => things,
        None if on.samples == 0 => return on.dataset.clone(),
        None => return format!("{count} samples of {}", on.dataset),
    };
    format!("{count} {} {things}{}", on.split.adjective(), on.precision_words())
}

/// `31 × 31 points`.
pub(super) fn size(header: &Header) -> String {
    format!("{} × {} points", header.grid.x.n, header.grid.y.n)
}

/// `31 × 31 points`, `17 of 31 × 31 points`, `31 × 31 points, 200 of them
/// evaluated, the rest interpolated`, and how many have no finite loss, which a picture hatches.
pub(crate) fn points(store: &SurfaceStore) -> String {
    let (all, [done, interpolated]) = (store.cells.len(), store.counts());
    let (of, rest) = match (done == all, interpolated) {
        (true, _) => (String::new(), String::new()),
        (false, 0) => (format!("{} of ", thousands(&done.to_string())), String::new()),
        (false, _) => {
            let done = thousands(&done.to_string());
            (String::new(), format!(", {done} of them evaluated, the rest interpolated"))
        }
    };
    let holes = store.cells.iter().flatten().filter(|c| !c.loss.is_finite()).count();
    let holes = match holes {
        0 => String::new(),
        n => format!(", {} of them not finite, hatched", thousands(&n.to_string())),
    };
    format!("{of}{}{rest}{holes}", size(&store.header))
}

/// What the plane's axes are worth, as a sentence.
fn axes(plane: &Plane) -> String {
    let about = &plane.about;
    let walk = if about.kind == PlaneKind::Joint { "Random walks" } else { "A random walk" };
    let axes = match &about.null_explained_variance[..] {
        [a, b] if a + b == 0.0 => "The path does not move".into(),
        [a, b] => format!("{walk} would give {}", sum_in_words(*a, *b)),
        _ => capital(&about.made),
    };
    let by_length = about.weighting == Weighting::PathLength;
    match (part(about), by_length) {
        (None, false) => axes,
        (None, true) => format!("Plane weighted by path length. {axes}"),
        (Some(part), false) => format!("Plane of {part}. {axes}"),
        (Some(part), true) => format!("Plane of {part}, weighted by path length. {axes}"),
    }
}

/// The part of a run that a plane is of: `snapshots 5 to 20, epochs 2.5 to 10`; `None` where it is of all.
pub(super) fn part(about: &About) -> Option<String> {
    about.range?;
    let (first, last) = (about.path().first()?, about.path().last()?);
    let epochs = [first.epoch, last.epoch].map(|epoch| significant(epoch, 3));
    Some(format!(
        "snapshots {} to {}, epochs {} to {}",
        first.snapshot, last.snapshot, epochs[0], epochs[1]
    ))
}

fn sum_in_words(a: f64, b: f64) -> String {
    format!("{:.0} % + {:.0} %", 100.0 * a, 100.0 * b)
}

/// The same of several planes; `None` where one sentence cannot say it.
fn axes_of(planes: &[&Plane]) -> Option<String> {
    let first = axes(planes[0]);
    if planes.iter().all(|plane| axes(plane) == first) {
        return Some(first);
    }
    let pair = |values: &[f64]| match values {
        [a, b, ..] if a + b > 0.0 => Some([*a, *b]),
        _ => None,
    };
    let walks = planes.iter().map(|plane| pair(&plane.about.null_explained_variance));
    let shares = planes.iter().map(|plane| pair(&plane.about.explained_variance));
    Some(walks_in_words(&walks.collect::<Option<Vec<_>>>()?, &shares.collect::<Option<Vec<_>>>()?))
}

/// What random walks would give on the axes of several planes and, where these are more than two, what
/// the planes show: then the labels of the axes may have no room for it.
fn walks_in_words(walks: &[[f64; 2]], shares: &[[f64; 2]]) -> String {
    if walks.len() == 2 {
        let mut sums: Vec<String> = walks.iter().map(|[a, b]| sum_in_words(*a, *b)).collect();
        sums.dedup();
        return format!("Random walks would give {}", sums.join(" and "));
    }
    let sum = |pairs: &[[f64; 2]]| {
        let sums: Vec<Option<f64>> = pairs.iter().map(|[a, b]| Some(100.0 * (a + b))).collect();
        one_or_range(&sums, |v| format!("{v:.0} %"))
    };
    format!("The planes show {} of the motion; of random walks, {}", sum(shares), sum(walks))
}

/// The first letter large.
pub(crate) fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// What the dots of a path are, where there is one.
fn dots(plane: &Plane) -> &'static str {
    if plane.about.paths.is_empty() { "" } else { "Dots: saved weights. " }
}

/// The caption of loss surfaces. Panels that rest on the same share it, each with its own error;
/// others have captions of their own.
pub(super) fn caption(panels: &[OnPlane]) -> String {
    caption_of(panels, "Loss", Some(ErrorOf::Loss))
}

/// The caption of a `quantity` that was measured at the points of a grid of its own over the surface of `on`.
pub(super) fn caption_at(on: &OnPlane, quantity: &str, header: &Header) -> String {
    let norm = header.on.batch_norm.caption().map_or(String::new(), |words| format!(" {words}."));
    format!(
        "{quantity} on {} at {}. {}{}.{norm}",
        sample(&header.on),
        size(header),
        dots(&on.plane),
        axes(&on.plane)
    )
}

/// The same about another `quantity`, with the sampling error of `of` where it has one.
pub(super) fn caption_of(panels: &[OnPlane], quantity: &str, of: Option<ErrorOf>) -> String {
    let about = |p: &OnPlane| {
        let (store, on) = (&p.store, &p.store.header.on);
        let norm = on.batch_norm.caption().map_or(String::new(), |words| format!(" {words}."));
        (sample(on), points(store), norm)
    };
    let line = |group: &[OnPlane], axes: &str| {
        let (sample, points, norm) = about(&group[0]);
        let stores: Vec<&SurfaceStore> = group.iter().map(|p| &p.store).collect();
        let error = of.map_or(String::new(), |of| {
            let paired = match of {
                ErrorOf::Loss => error_of_differences(&stores),
                ErrorOf::Accuracy => String::new(),
            };
            format!(" ({}{paired})", error(of, &stores))
        });
        let dots = dots(&group[0].plane);
        format!("{quantity} on {sample} at {points}{error}. {dots}{axes}.{norm}")
    };
    let alike = panels.iter().all(|p| about(p) == about(&panels[0]));
    let planes: Vec<&Plane> = panels.iter().map(|p| &p.plane).collect();
    match axes_of(&planes).filter(|_| alike) {
        Some(axes) => line(panels, &axes),
        None => {
            let own = |one: &OnPlane| line(std::slice::from_ref(one), &axes(&one.plane));
            panels.iter().map(own).collect::<Vec<_>>().join(" | ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_planes_are_said_in_one_sentence() {
        let walks = [[0.736, 0.134], [0.64, 0.178]];
        let shares = [[0.83, 0.10], [0.75, 0.16]];
        let two = walks_in_words(&walks, &shares);
        assert_eq!(two, "Random walks would give 74 % + 13 % and 64 % + 18 %");
        let many = |pairs: [[f64; 2]; 2]| [pairs, pairs, pairs].concat();
        let six = walks_in_words(&many(walks), &many(shares));
        assert_eq!(
            six,
            "The planes show 91 % to 93 % of the motion; of random walks, 82 % to 87 %"
        );
        let percent = |v: f64| format!("{v} %");
        assert_eq!(one_or_range(&[Some(4.0), Some(4.0)], percent), "4 %");
        assert_eq!(one_or_range(&[Some(4.0), None], percent), "4 % / unknown");
        assert_eq!(one_or_range(&[17.0, 9.0, 9.0].map(Some), percent), "17 % / 9 % / 9 %");
        assert_eq!(one_or_range(&[4.0, 3.0, 4.0, 61.0].map(Some), percent), "3 % to 61 %");
    }

    #[test]
    fn errors_are_medians_and_those_of_accuracies_are_binomial() {
        let cell = |loss: f64, loss_se: f64, correct| Cell {
            k: 0,
            loss,
            loss_se,
            difference_se: f64::NAN,
            correct,
        };
        let cells = [cell(1.0, 0.02, 50), cell(2.0, 0.1, 50), cell(f64::INFINITY, f64::NAN, 50)];
        let on = EvaluatedOn::own_data("digits", 100);
        let all = || cells.iter().map(|cell| (&on, cell));
        let words = |of: ErrorOf| typical(of, all()).map(|error| of.words(error));
        assert_eq!(words(ErrorOf::Loss).unwrap(), "5 %");
        // A half of a hundred: 100 sqrt(0.5 * 0.5 / 100) = 5 points.
        assert_eq!(words(ErrorOf::Accuracy).unwrap(), "5 points");
        assert_eq!(typical(ErrorOf::Loss, std::iter::empty()), None);
        assert_eq!([1, 0, 1025].map(|n| count(n, "cell")), ["1 cell", "0 cells", "1,025 cells"]);
    }
}
