//! An analysis to a figure: the barriers of error and loss by the epoch of the fork.

use super::STABLE;
use super::file::{Analysis, Fork, Rise, Rises};
use crate::Result;
use crate::render::numbers::{number, thousands};
use crate::render::scenes::instability::{Barrier, BarrierPanel, BarrierSeries, InstabilityFigure};
use crate::spec::Spec;
use crate::stages::opened::architecture_words;

/// The figure of `analysis`.
///
/// # Errors
/// Those of its spec.
pub fn figure(analysis: &Analysis, title: Option<&str>) -> Result<InstabilityFigure> {
    let forks = &analysis.forks;
    let series = |quantity: fn(&Rises) -> Option<Rise>, unit: f64| -> Vec<BarrierSeries> {
        let of = |name: &str, split: fn(&Fork) -> &Rises| BarrierSeries {
            name: name.into(),
            barriers: (forks.iter().map(split).map(quantity))
                .map(|rise| rise.filter(|rise| rise.value.is_finite()))
                .map(|rise| {
                    let rise = rise?;
                    let se = unit * rise.se.unwrap_or(0.0);
                    Some(Barrier { value: unit * rise.value, se })
                })
                .collect(),
        };
        vec![of("test", |fork| &fork.test), of("training", |fork| &fork.train)]
    };
    let mut panels = Vec::new();
    if forks.iter().any(|fork| fork.test.error.is_some()) {
        panels.push(BarrierPanel {
            title: "Error".into(),
            y_label: "error barrier, %".into(),
            series: series(|rises| rises.error, 100.0),
            threshold: Some(100.0 * STABLE),
        });
    }
    panels.push(BarrierPanel {
        title: "Loss".into(),
        y_label: "loss barrier".into(),
        series: series(|rises| rises.loss, 1.0),
        threshold: None,
    });
    Ok(InstabilityFigure {
        title: title.map_or_else(|| "Instability to the noise of SGD".into(), str::to_string),
        caption: caption(analysis)?,
        x_label: "epoch of the fork".into(),
        forks: forks.iter().map(|fork| number(fork.epoch)).collect(),
        panels,
    })
}

/// What the numbers are of.
fn caption(analysis: &Analysis) -> Result<String> {
    let settings = &analysis.settings;
    let spec = Spec::parse(&analysis.spec, &[])?;
    let pairs = settings.children * (settings.children - 1) / 2;
    let children = match pairs {
        1 => "two children of each fork".to_string(),
        pairs => format!("{pairs} pairs of children of each fork"),
    };
    let images = match settings.samples {
        None => String::new(),
        Some(n) => format!(" Up to {} images of each kind.", thousands(&n.to_string())),
    };
    let epochs = thousands(&spec.train.epochs.to_string());
    let norm = analysis.forks.iter().find_map(|fork| fork.batch_norm.as_ref()?.caption());
    let norm = norm.map_or(String::new(), |words| format!(" {words}."));
    let diverged: usize =
        analysis.forks.iter().flat_map(|fork| &fork.children).filter(|c| c.diverged).count();
    let without = match diverged {
        0 => String::new(),
        1 => " One child diverged and is left out.".into(),
        n => format!(" {n} children diverged and are left out."),
    };
    let epochs_of: Vec<f64> = analysis.forks.iter().map(|fork| fork.epoch).collect();
    let steps: Vec<f64> = epochs_of.windows(2).map(|two| two[1] - two[0]).collect();
    let is_even = steps.iter().all(|step| (step - steps[0]).abs() < 1e-9);
    let scale = if is_even { "" } else { " The axis of the forks is not to scale." };
    Ok(format!(
        "{} trained for {epochs} epochs; largest rise on the line between the ends of {children} above the mean of \
         the ends, at {} points; bars: ± 1 standard error over the images.{images}{norm}{without}{scale}",
        architecture_words(&spec.model.arch),
        settings.points
    ))
}
