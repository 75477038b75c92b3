//! Planes to a spectrum: the explained variance of each path beside the random walk's.

use super::opened::{OpenRun, RunSet};
use super::{provenance, stale};
use crate::landscape::PlaneKind;
use crate::render::numbers::thousands;
use crate::render::scenes::spectrum::{PathSpectrum, SpectrumFigure};
use crate::trajectory::{Centring, Weighting, null_explained_variance};
use crate::{Error, Result};

/// The spectra of the PCA planes called `plane` of `runs`, each with its name.
///
/// # Errors
/// Those of reading the planes; [`Error::NoSpectrum`] for a plane that is no PCA.
pub fn gather(
    runs: &[(String, OpenRun)],
    plane: &str,
    title: Option<&str>,
) -> Result<SpectrumFigure> {
    let mut figure = SpectrumFigure::default();
    let (mut captions, mut own) = (Vec::new(), Vec::new());
    for (name, run) in runs {
        let about = stale::current(&RunSet::from(run.clone()), plane)?.0.about;
        let total = about.total_variance();
        if total <= 0.0 {
            return Err(Error::NoSpectrum { plane: plane.into(), of: run.name() });
        }
        let centring = match about.kind {
            PlaneKind::PcaUncentred => Centring::Uncentred,
            _ => Centring::Centred,
        };
        let snapshots = about.path().len();
        // A rounding error is no component.
        let rank =
            (snapshots - usize::from(centring == Centring::Centred)).min(about.spectrum.len());
        let explained: Vec<f64> =
            about.spectrum.iter().take(rank.max(1)).map(|v| v / total).collect();
        // Planes of an earlier version have the walk of equal steps only.
        let is_own = about.null_spectrum.len() >= explained.len().min(2);
        own.push(is_own);
        let null = if is_own {
            about.null_spectrum.clone()
        } else {
            null_explained_variance(snapshots, explained.len(), centring)
        };
        let weighted = match about.weighting {
            Weighting::Snapshots => "",
            Weighting::PathLength => ", weighted by path length",
        };
        let all = || format!("{} snapshots", thousands(&snapshots.to_string()));
        captions.push(format!("{}{weighted}", provenance::part(&about).unwrap_or_else(all)));
        figure.paths.push(PathSpectrum { name: name.clone(), explained, null });
    }
    let of = if own.len() > 1 { "the first path" } else { "the path" };
    let walk = match own.first() {
        Some(true) => format!("the random walk has the step lengths of {of}"),
        _ => format!("the random walk has as many equal steps as {of}"),
    };
    captions.dedup();
    figure.title = title.unwrap_or("How much of the path fits in two dimensions?").into();
    figure.caption = format!(
        "Principal components of the recorded weights ({}), shares of the whole variance; {walk} in as \
         many dimensions.",
        captions.join(", ")
    );
    Ok(figure)
}
