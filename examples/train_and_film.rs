//! Trains a small residual net on the embedded digits, with and without skip connections, and films
//! both paths on their loss surfaces, side by side on one colour scale.
//!
//!     cargo run --release --example train_and_film
use std::sync::atomic::AtomicBool;

use lossreel::record::Existing;
use lossreel::render::scenes::contour;
use lossreel::stages::surface::{OverPlane, SurfaceRequest};
use lossreel::stages::{self, PanelSource, RunSet, SampleChoice, Subject};
use lossreel::{Output, Spec};

const SPEC: &str = r#"
[model]
arch = "resnet8"
[data]
set = "digits"
[optim]
lr = 0.05
[schedule]
kind = "cosine"
[train]
epochs = 6
batch_size = 64
"#;

fn main() -> lossreel::Result<()> {
    let stop = AtomicBool::new(false);
    let mut sources = Vec::new();
    for (shortcut, title) in [("projection", "With skip connections"), ("none", "Without")] {
        let spec = Spec::parse(SPEC, &[format!("model.shortcut={shortcut}")])?;
        let folder = format!("outputs/train_and_film/{shortcut}");
        let mut training = stages::train::create(&spec, folder.as_ref(), Existing::Replace)?;
        training.train(&stop, &mut |_| {})?;
        let run = training.run;
        let plane = stages::plane::of_run(&run, &Default::default(), "pca")?;
        let explained: f64 = plane.about.explained_variance.iter().sum();
        println!("{title}: the plane holds {:.0} % of the path's variance", 100.0 * explained);

        let sample = SampleChoice { samples: Some(100), ..SampleChoice::default() };
        let request = SurfaceRequest { size: [15, 15], range: None, sample, replace: false };
        let subject = Subject::of_run(&run, None, None)?;
        let set = RunSet::from(run);
        let over = OverPlane::new(&set, 0, &subject, &plane)?;
        let folder = set.surface_dir("pca")?;
        let (surface, _) = stages::surface::compute(&over, &folder, &request, &stop, &|_, _| ())?;
        stages::surface::path_losses(&set, &over, &surface, sample, &stop, &|_, _| ())?;
        let source = PanelSource::of_run(set.runs()[0].clone(), "pca");
        sources.push(PanelSource { title: Some(title.into()), ..source });
    }
    let film = stages::contour::gather(&sources, None, &Default::default(), Default::default())?;
    let report =
        contour::write(&film, &Output::new("outputs/train_and_film/film.mp4"), &mut |_, _| {})?;
    println!("outputs/train_and_film/film.mp4: {} frames", report.frames);
    Ok(())
}
