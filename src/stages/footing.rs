//! What the numbers of a picture rest on, in the words of its caption: the sample and its error, the
//! cells, the random walk beside the plane, BatchNorm.

use crate::Result;
use crate::dataset::{DataSet, planar};
use crate::landscape::{Cell, Header, Plane, SurfaceStore};
use crate::render::page::scale::{significant, thousands};
use crate::spec::Spec;

/// One panel's footing.
#[derive(Debug)]
pub(super) struct Footing {
    /// The plane.
    pub plane: Plane,
    /// The surface over it.
    pub store: SurfaceStore,
    /// Whether the network has statistics that are no parameters.
    pub has_buffers: bool,
}

impl Footing {
    /// The footing of a run's panel.
    ///
    /// # Errors
    /// Those of building the network of `spec`.
    pub(super) fn new(spec: &Spec, plane: Plane, store: SurfaceStore) -> Result<Self> {
        let (shape, classes) = spec.data.set.form();
        let has_buffers = !spec.model.build(shape, classes)?.layout.buffers.is_empty();
        Ok(Self { plane, store, has_buffers })
    }
}

/// What cells say of their sample's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorOf {
    /// The loss, in percent of itself.
    Loss,
    /// The accuracy, in percentage points.
    Accuracy,
}

/// The median over cells of a standard error: `4 %`, `2.1 points`, or `unknown`. The median, as a
/// cell where the network overflows has no error to speak of.
pub(super) fn error<'a>(
    of: ErrorOf,
    cells: impl Iterator<Item = &'a Cell>,
    samples: usize,
) -> String {
    let error = |c: &Cell| match of {
        ErrorOf::Loss => 100.0 * c.loss_se / c.loss,
        ErrorOf::Accuracy => {
            let p = c.correct as f64 / samples as f64;
            100.0 * (p * (1.0 - p) / samples as f64).sqrt()
        }
    };
    let mut errors: Vec<f64> = cells.map(error).filter(|e| e.is_finite()).collect();
    errors.sort_by(f64::total_cmp);
    match errors.get(errors.len() / 2) {
        None => "unknown".into(),
        Some(e) if of == ErrorOf::Loss => format!("{} %", significant(*e, 1)),
        Some(e) => format!("{} points", significant(*e, 2)),
    }
}

/// `1 cell`, `1,025 cells`.
pub(super) fn count(n: usize, thing: &str) -> String {
    format!("{} {thing}{}", thousands(&n.to_string()), if n == 1 { "" } else { "s" })
}

/// `Training` or `Test`.
pub(super) fn split(header: &Header) -> &'static str {
    if header.split == "test" { "Test" } else { "Training" }
}

/// `200 digits images`.
pub(super) fn sample(header: &Header) -> String {
    let planar = header.dataset.parse::<DataSet>().is_ok_and(|set| set.form().0 == planar::SHAPE);
    let things = if planar { "points" } else { "images" };
    let count = header.samples.to_string();
    header.sample_words(things).replacen(&count, &thousands(&count), 1)
}

/// `961 cells`, `17 of 961 cells`, and how many of them have no finite loss, which a picture hatches.
pub(super) fn cells(store: &SurfaceStore) -> String {
    let (all, done) = (store.cells.len(), store.cells.iter().flatten().count());
    let of =
        if done == all { String::new() } else { format!("{} of ", thousands(&done.to_string())) };
    let holes = store.cells.iter().flatten().filter(|c| !c.loss.is_finite()).count();
    let holes = match holes {
        0 => String::new(),
        n => format!(" ({} not finite, hatched)", thousands(&n.to_string())),
    };
    format!("{of}{}{holes}", count(all, "cell"))
}

/// What BatchNorm's statistics do, as the end of a caption; nothing where there are none.
pub(super) fn batch_norm(header: &Header, has_buffers: bool) -> String {
    match header.batch_norm.as_str() {
        "none in the network" => String::new(),
        _ if !has_buffers => String::new(),
        policy => format!("; BatchNorm {policy}"),
    }
}

/// What the plane's axes are worth.
fn axes(plane: &Plane) -> String {
    match &plane.about.null_explained_variance[..] {
        [a, b] if a + b == 0.0 => "the path does not move".into(),
        [a, b] => format!("a random walk has {:.0} + {:.0} % on such axes", 100.0 * a, 100.0 * b),
        _ => plane.about.made.clone(),
    }
}

/// What the picture's numbers rest on. Panels on one footing share it, each with its own standard
/// error; others are told apart.
pub(super) fn caption(panels: &[Footing]) -> String {
    let error =
        |p: &Footing| error(ErrorOf::Loss, p.store.cells.iter().flatten(), p.store.header.samples);
    caption_of(panels, |group| {
        let errors: Vec<String> = group.iter().map(error).collect();
        format!("{} loss ± {} (s.e.)", split(&group[0].store.header), errors.join(" / "))
    })
}

/// The same about another quantity: `what` says which, with its error, for panels on one footing.
pub(super) fn caption_of(panels: &[Footing], what: impl Fn(&[Footing]) -> String) -> String {
    let of = |p: &Footing| format!("{}, {}", sample(&p.store.header), cells(&p.store));
    let about = |p: &Footing| {
        let header = &p.store.header;
        (split(header), of(p), axes(&p.plane), batch_norm(header, p.has_buffers))
    };
    let line = |group: &[Footing]| {
        let (_, of, axes, norm) = about(&group[0]);
        format!("{} of {of}; {axes}{norm}", what(group))
    };
    let text = if panels.iter().all(|p| about(p) == about(&panels[0])) {
        line(panels)
    } else {
        panels.iter().map(|one| line(std::slice::from_ref(one))).collect::<Vec<_>>().join(" | ")
    };
    format!("{text}; dots are snapshots, between them interpolated")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_medians_and_those_of_accuracies_are_binomial() {
        let cell = |loss: f64, loss_se: f64, correct| Cell { k: 0, loss, loss_se, correct };
        let cells = [cell(1.0, 0.02, 50), cell(2.0, 0.1, 50), cell(f64::INFINITY, f64::NAN, 50)];
        assert_eq!(error(ErrorOf::Loss, cells.iter(), 100), "5 %");
        // A half of a hundred: 100 sqrt(0.5 * 0.5 / 100) = 5 points.
        assert_eq!(error(ErrorOf::Accuracy, cells.iter(), 100), "5 points");
        assert_eq!(error(ErrorOf::Loss, [].iter(), 100), "unknown");
        assert_eq!([1, 0, 1025].map(|n| count(n, "cell")), ["1 cell", "0 cells", "1,025 cells"]);
    }
}
