//! Our test errors beside those of Li et al. 2018.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::statistics::summary;
use crate::dataset::DataSet;
use crate::models::Shortcut;
use crate::optim::RuleName;
use crate::record::{Run, Status};
use crate::spec::Spec;
use crate::train::Verdict;
use crate::{Error, Result};

/// A net of the paper with its test error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Published {
    /// The architecture's name here.
    pub arch: &'static str,
    /// Whether it has skip connections; none for nets that cannot have any.
    pub skips: Option<bool>,
    /// Images a step.
    pub batch_size: usize,
    /// Weight decay.
    pub weight_decay: f64,
    /// Test error on CIFAR-10 after 300 epochs of SGD, percent.
    pub error: f64,
}

const fn residual(arch: &'static str, skips: bool, error: f64) -> Published {
    Published { arch, skips: Some(skips), batch_size: 128, weight_decay: 5e-4, error }
}

const fn vgg9(batch_size: usize, weight_decay: f64, error: f64) -> Published {
    Published { arch: "vgg9", skips: None, batch_size, weight_decay, error }
}

/// The paper's tables 1 and 2 and its figures 2 to 5: NeurIPS 2018, "Visualizing the Loss Landscape of
/// Neural Nets".
pub const PUBLISHED: [Published; 17] = [
    residual("resnet20", true, 7.37),
    residual("resnet20", false, 8.18),
    residual("resnet56", true, 5.89),
    residual("resnet56", false, 13.31),
    residual("resnet110", true, 5.79),
    residual("resnet110", false, 16.44),
    residual("wrn-56-2", true, 5.07),
    residual("wrn-56-2", false, 10.26),
    residual("wrn-56-4", true, 4.34),
    residual("wrn-56-4", false, 9.69),
    residual("wrn-56-8", true, 3.93),
    residual("wrn-56-8", false, 8.70),
    vgg9(128, 0.0, 7.37),
    vgg9(8192, 0.0, 11.07),
    vgg9(128, 5e-4, 6.0),
    vgg9(8192, 5e-4, 10.19),
    Published { batch_size: 4096, ..residual("resnet56", true, 10.59) },
];

/// A row of the table: a net of the paper, and what runs of it here came to.
#[derive(Debug, Clone, Serialize)]
pub struct PaperRow {
    /// The net.
    #[serde(flatten)]
    pub published: Published,
    /// Runs of it, by how long and on how many images they were trained; the longest first.
    pub ours: Vec<Ours>,
}

/// Runs of one net, of one length, on one number of images.
#[derive(Debug, Clone, Serialize)]
pub struct Ours {
    /// Images trained on.
    pub train_images: usize,
    /// Images tested on.
    pub test_images: usize,
    /// Epochs.
    pub epochs: u64,
    /// Whether images, epochs and augmentation are the paper's.
    pub is_papers_recipe: bool,
    /// Test errors, percent.
    pub errors: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Half of the 95 % interval of the mean; none for one run.
    pub half: Option<f64>,
    /// The runs.
    pub runs: Vec<PathBuf>,
}

/// How deep runs are looked for: OUT/WORKLOAD/final/runs/MEMBER in `outputs`.
const DEEPEST: usize = 6;

/// The paper's nets with the runs of them in `folders` and below. Damaged runs and those that have not
/// ended do not count; links are not followed.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be looked into.
pub fn paper_table(folders: &[PathBuf]) -> Result<Vec<PaperRow>> {
    let mut found: Vec<(usize, Ours)> = Vec::new();
    for folder in folders {
        look(folder, 0, &mut found)?;
    }
    let rows = PUBLISHED.iter().enumerate().map(|(i, published)| {
        let mut groups: BTreeMap<(usize, u64, usize, bool), Ours> = BTreeMap::new();
        for (_, ours) in found.iter().filter(|(of, _)| *of == i) {
            let key = (ours.train_images, ours.epochs, ours.test_images, ours.is_papers_recipe);
            let group = groups.entry(key).or_insert_with(|| Ours {
                errors: Vec::new(),
                runs: Vec::new(),
                ..ours.clone()
            });
            group.errors.extend(&ours.errors);
            group.runs.extend(ours.runs.iter().cloned());
        }
        let finish = |mut group: Ours| {
            if let Some(summary) = summary(&group.errors) {
                group.mean = summary.mean;
                let half = summary.interval.high - summary.mean;
                group.half = half.is_finite().then_some(half);
            }
            group
        };
        PaperRow { published: *published, ours: groups.into_values().rev().map(finish).collect() }
    });
    Ok(rows.collect())
}

fn look(folder: &Path, depth: usize, found: &mut Vec<(usize, Ours)>) -> Result<()> {
    if folder.join("manifest.json").is_file() {
        // What is damaged has no number to show: `inspect --check` says what is wrong with it.
        if let Ok(Some(run)) = of_run(folder) {
            found.push(run);
        }
        return Ok(());
    }
    if depth == DEEPEST {
        return Ok(());
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if depth > 0 && e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
        Err(e) => return Err(Error::io("look for runs in", folder)(e)),
    };
    let mut below: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    below.sort();
    below.iter().try_for_each(|folder| look(folder, depth + 1, found))
}

/// Which net of the paper a run is of, and what it came to; `None` for other runs.
fn of_run(folder: &Path) -> Result<Option<(usize, Ours)>> {
    let run = Run::open(folder)?;
    let manifest = run.manifest()?;
    let Status::Ended { verdict: Verdict::Finished | Verdict::EarlyStopped, .. } = manifest.status
    else {
        return Ok(None);
    };
    let spec = Spec::parse(&manifest.spec, &[])?;
    let Some(which) = PUBLISHED.iter().position(|published| is_net(&spec, published)) else {
        return Ok(None);
    };
    let Some(last) = run.metrics()?.epochs.last().cloned() else { return Ok(None) };
    let [train_images, test_images] = manifest.samples;
    let augmented = spec.data.augment() == crate::dataset::Augment::CropFlip;
    let error = 100.0 * (1.0 - last.test_accuracy);
    let ours = Ours {
        train_images,
        test_images,
        epochs: last.epoch,
        is_papers_recipe: train_images == 50_000
            && test_images == 10_000
            && last.epoch == 300
            && augmented,
        errors: vec![error],
        mean: error,
        half: None,
        runs: vec![folder.to_path_buf()],
    };
    Ok(Some((which, ours)))
}

/// Whether a spec trains a net of the paper: the architecture, plain; SGD; its batch size and decay.
fn is_net(spec: &Spec, published: &Published) -> bool {
    let plain = crate::models::ModelSpec {
        arch: published.arch.into(),
        shortcut: spec.model.shortcut,
        ..crate::models::ModelSpec::default()
    };
    let skips = matches!(
        (published.skips, spec.model.shortcut),
        (None, _) | (Some(true), Shortcut::Projection) | (Some(false), Shortcut::None)
    );
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9;
    spec.model == plain
        && skips
        && spec.data.set == DataSet::Cifar10
        && spec.data.held_out == 0
        && spec.data.label_noise == 0.0
        && spec.optim.rule == RuleName::Sgd
        && spec.train.batch_size == published.batch_size
        && close(spec.optim.weight_decay(), published.weight_decay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_belongs_to_the_net_whose_recipe_it_has() {
        let which = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
            let spec = Spec::parse("", &set).unwrap();
            let nets: Vec<&Published> = PUBLISHED.iter().filter(|p| is_net(&spec, p)).collect();
            assert!(nets.len() < 2, "{nets:?}");
            nets.first().map(|p| p.error)
        };
        assert_eq!(which(&[]), Some(7.37));
        assert_eq!(which(&["model.shortcut=none"]), Some(8.18));
        assert_eq!(which(&["model.shortcut=option_a"]), None);
        assert_eq!(which(&["model.arch=wrn-56-8", "model.shortcut=none"]), Some(8.70));
        assert_eq!(which(&["model.arch=resnet56", "train.batch_size=4096"]), Some(10.59));
        assert_eq!(which(&["model.arch=vgg9", "optim.weight_decay=0"]), Some(7.37));
        assert_eq!(which(&["model.arch=vgg9", "train.batch_size=8192"]), Some(10.19));
        for other in [
            "optim.weight_decay=0",
            "optim.rule=adam",
            "model.width=0.5",
            "data.set=digits",
            "data.label_noise=0.1",
            "train.batch_size=256",
        ] {
            assert_eq!(which(&[other]), None, "{other}");
        }
    }
}
