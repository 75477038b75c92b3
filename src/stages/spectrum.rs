//! Planes to a spectrum: the explained variance of each path beside the random walk's.

use crate::landscape::Plane;
use crate::record::Run;
use crate::render::page::scale::thousands;
use crate::render::scenes::spectrum::{PathSpectrum, SpectrumFigure};
use crate::trajectory::{Centring, null_explained_variance};
use crate::{Error, Result};

/// The spectra of the PCA planes called `plane` of `runs`, each with its name.
///
/// # Errors
/// Those of reading the planes; [`Error::Landscape`] for a plane that is no PCA.
pub fn gather(runs: &[(String, Run)], plane: &str, title: Option<&str>) -> Result<SpectrumFigure> {
    let mut figure = SpectrumFigure::default();
    let mut captions = Vec::new();
    for (name, run) in runs {
        let about = Plane::read(&run.plane_path(plane))?.about;
        let total = about.total_variance();
        if total <= 0.0 {
            return Err(Error::Landscape {
                what: format!(
                    "plane `{plane}` of {} has no spectrum: it is not of principal components, or \
                     its snapshots are all alike",
                    run.name()
                ),
                remedy: "make one with `lossreel plane RUN` from a run that moves".into(),
            });
        }
        let centring = match about.kind {
            crate::landscape::PlaneKind::PcaUncentred => Centring::Uncentred,
            _ => Centring::Centred,
        };
        let snapshots = about.path.len();
        // A rounding error is no component.
        let rank =
            (snapshots - usize::from(centring == Centring::Centred)).min(about.spectrum.len());
        let explained: Vec<f64> =
            about.spectrum.iter().take(rank.max(1)).map(|v| v / total).collect();
        let null = null_explained_variance(snapshots, explained.len(), centring);
        captions.push(format!("{} snapshots", thousands(&snapshots.to_string())));
        figure.paths.push(PathSpectrum { name: name.clone(), explained, null });
    }
    let walk = if captions.windows(2).any(|w| w[0] != w[1]) {
        "the random walk has as many equal steps as the first path"
    } else {
        "the random walk has as many equal steps"
    };
    captions.dedup();
    figure.title = title.unwrap_or("How flat is the path?").into();
    figure.caption = format!(
        "Principal components of the recorded weights ({}), shares of the whole variance; {walk} in as \
         many dimensions.",
        captions.join(", ")
    );
    Ok(figure)
}
