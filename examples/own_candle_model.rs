//! A candle model of one's own, with data and a training loop of one's own: recorded, its plane found,
//! the loss over it evaluated and filmed.
//!
//!     cargo run --release --example own_candle_model
use std::sync::atomic::AtomicBool;

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{AdamW, Optimizer, VarBuilder, VarMap, linear};
use lossreel::objective::VarMapObjective;
use lossreel::record::{EvaluatedOn, Existing, LoopRecorder};
use lossreel::render::scenes::contour;
use lossreel::stages::{self, OpenRun, PanelSource, plane, surface};
use lossreel::{Grid, Output};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The data: a noisy sine. The model: two layers with 32 hidden units.
    let (x, noise) =
        (Tensor::arange(0f32, 200., &Device::Cpu)?, [0.1f32, -0.05, -0.1, 0.05].repeat(50));
    let x = ((x / 100.)? - 1.)?.unsqueeze(1)?;
    let y = ((&x * 6.)?.sin()? + Tensor::from_vec(noise, (200, 1), &Device::Cpu)?)?;
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let (first, second) =
        (linear(1, 32, builder.pp("first"))?, linear(32, 1, builder.pp("second"))?);
    let loss = || (second.forward(&first.forward(&x)?.tanh()?)? - &y)?.sqr()?.mean_all();

    let objective = VarMapObjective::new(&variables, loss)?;
    let mut optimizer = AdamW::new_lr(variables.all_vars(), 0.02)?;
    let (folder, layout) = ("outputs/own_candle_model", objective.layout());
    let mut recorder =
        LoopRecorder::create(folder, "a two-layer net", layout, 50, Existing::Replace)?;
    let (theta, buffers) = objective.state()?;
    recorder.snapshot(0, &theta, &buffers)?;
    for step in 1..=500 {
        let value = loss()?;
        recorder.step(step, 0.02, value.to_scalar::<f32>()?.into(), f64::NAN, f64::NAN)?;
        optimizer.backward_step(&value)?;
        if step % 10 == 0 {
            let (theta, buffers) = objective.state()?;
            recorder.snapshot(step, &theta, &buffers)?;
        }
    }
    let run = recorder.finish()?;

    let plane = plane::of_run(&run, &Default::default(), "pca")?;
    let run = OpenRun::new(run);
    let grid = Grid::around(&plane.coords(), [31, 31], 1.0);
    let on = EvaluatedOn::own_data("a noisy sine", 200);
    let of = (&objective as _, on);
    surface::of_objective(&run, &plane, "pca", of, grid, &AtomicBool::new(false), &|_, _| ())?;
    let source = PanelSource::of_run(run, "pca");
    let film = stages::contour::gather(&[source], None, &Default::default(), Default::default())?;
    let output = Output::new("outputs/own_candle_model/film.gif");
    contour::write(&film, &output, &mut |_, _| {})?;
    Ok(())
}
