//! A run's results in the files of other programs.

use std::path::{Path, PathBuf};

use super::opened::{OpenRun, RunSet};
use crate::landscape::{Plane, SurfaceStore};
use crate::network::ParamLayout;
use crate::weights::hdf5::{
    Directions, Field, Surface, write_directions, write_path, write_surface,
};
use crate::weights::mesh::Mesh;
use crate::weights::npz::{Array, archive};
use crate::weights::table::Table;
use crate::weights::tensorboard::{Scalar, events};
use crate::weights::{NamedTensor, export_safetensors};
use crate::{Error, Result, disk};

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The HDF5 files of Li et al.'s code: the surface, and beside it the directions and the path.
    H5,
    /// VTK PolyData, which ParaView reads.
    Vtp,
    /// Wavefront OBJ.
    Obj,
    /// NumPy's archive: the surface, the path, the epochs.
    Npz,
    /// A table as CSV.
    Csv,
    /// A table as Apache Parquet.
    Parquet,
    /// TensorBoard's event file, of what training logged.
    TensorBoard,
    /// The weights of a snapshot under PyTorch's names.
    Safetensors,
}

/// What a table is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableOf {
    /// The cells of the surface.
    Surface,
    /// The snapshots on the plane.
    Path,
    /// The epochs of the training.
    Epochs,
    /// Its steps.
    Steps,
}

/// What to export.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The surface, and the plane of that name.
    pub surface: &'a str,
    /// What a table is of.
    pub table: TableOf,
    /// Which snapshot's weights; the last by default.
    pub snapshot: Option<usize>,
}

/// Writes a run's results as `format` to `out`; the files that were written.
///
/// # Errors
/// [`Error::NoSurface`] and those of opening what the format needs; [`Error::Io`].
pub fn of_run(
    run: &OpenRun,
    format: Format,
    request: &Request<'_>,
    out: &Path,
) -> Result<Vec<PathBuf>> {
    let bytes = match format {
        Format::H5 => return h5(run, request, out),
        Format::Vtp => mesh(&surface(run, request)?)?.to_vtp().into_bytes(),
        Format::Obj => {
            mesh(&surface(run, request)?)?.to_obj(&format!("loss of {}", run.name())).into_bytes()
        }
        Format::Npz => archive(&arrays(run, request)?)?,
        Format::Csv => table(run, request)?.to_csv().into_bytes(),
        Format::Parquet => table(run, request)?.to_parquet()?,
        Format::TensorBoard => {
            let manifest = run.run().manifest()?;
            let is_file = out.to_string_lossy().contains("tfevents");
            let name = format!("events.out.tfevents.{}.lossreel", manifest.started_unix_secs);
            let path = if is_file { out.to_path_buf() } else { out.join(name) };
            disk::write_bytes(&path, &events(&scalars(run)?))?;
            return Ok(vec![path]);
        }
        Format::Safetensors => {
            weights(run, request.snapshot, out)?;
            return Ok(vec![out.to_path_buf()]);
        }
    };
    disk::write_bytes(out, &bytes)?;
    Ok(vec![out.to_path_buf()])
}

fn surface(run: &OpenRun, request: &Request<'_>) -> Result<SurfaceStore> {
    SurfaceStore::open(&run.run().surface_dir(request.surface)?)
}

fn plane(run: &OpenRun, request: &Request<'_>) -> Result<Plane> {
    RunSet::open(run.run().root())?.plane(request.surface)
}

fn mesh(store: &SurfaceStore) -> Result<Mesh> {
    let grid = store.header.grid;
    if grid.y.n < 2 || grid.x.n < 2 {
        return Err(Error::Landscape {
            what: "a line has no surface to make a mesh of".into(),
            remedy: "export it as csv".into(),
        });
    }
    Ok(Mesh { xs: grid.x.values(), ys: grid.y.values(), heights: store.losses() })
}

/// A value of each cell, NaN where none was evaluated.
fn cells(store: &SurfaceStore, of: impl Fn(&crate::landscape::Cell) -> f64) -> Vec<f64> {
    store.cells.iter().map(|cell| cell.as_ref().map_or(f64::NAN, &of)).collect()
}

/// 1 for each cell that was evaluated, 0 for the others.
fn evaluated(store: &SurfaceStore) -> Vec<f64> {
    store.cells.iter().map(|cell| f64::from(u8::from(cell.is_some()))).collect()
}

/// The estimated standard error of each interpolated cell, on the scale of the interpolation; NaN for others.
fn interpolation_error(store: &SurfaceStore) -> Vec<f64> {
    let of = |k| store.interpolated(k).map_or(f64::NAN, |found| found.error);
    (0..store.cells.len()).map(of).collect()
}

fn accuracy(store: &SurfaceStore) -> Vec<f64> {
    cells(store, |cell| store.header.on.accuracy(cell.correct))
}

fn h5(run: &OpenRun, request: &Request<'_>, out: &Path) -> Result<Vec<PathBuf>> {
    let (store, plane) = (surface(run, request)?, plane(run, request)?);
    let beside = |what: &str| out.with_extension(format!("{what}.h5"));
    let (directions, path) = (beside("directions"), beside("path"));
    let split = store.header.on.split;
    let field = |name: &str, values: Vec<f64>| {
        let unfilled = values.iter().filter(|v| v.is_nan()).count();
        Field { name: format!("{split}_{name}"), values, unfilled }
    };
    let percent = accuracy(&store).into_iter().map(|share| 100.0 * share).collect();
    write_surface(
        out,
        &Surface {
            dir_file: Some(directions.file_name().unwrap_or_default().to_string_lossy().into()),
            xs: store.header.grid.x.values(),
            ys: Some(store.header.grid.y.values()),
            fields: vec![field("acc", percent), field("loss", store.losses())],
        },
    )?;
    let layout = run.layout()?;
    let ratio = plane.about.explained_variance.clone();
    write_directions(
        &directions,
        &Directions {
            x: tensors(layout, &plane.x),
            y: Some(tensors(layout, &plane.y)),
            explained_variance_ratio: (!ratio.is_empty()).then_some(ratio),
        },
    )?;
    write_path(&path, &plane.coords())?;
    Ok(vec![out.to_path_buf(), directions, path])
}

/// A flat vector as tensors, by the names and shapes of the layout.
fn tensors(layout: &ParamLayout, flat: &[f32]) -> Vec<NamedTensor> {
    let one = |p: &crate::network::Param| NamedTensor {
        name: p.name.clone(),
        shape: p.shape.clone(),
        data: flat[p.range()].to_vec(),
    };
    layout.params.iter().map(one).collect()
}

fn arrays(run: &OpenRun, request: &Request<'_>) -> Result<Vec<Array>> {
    let mut arrays = Vec::new();
    match surface(run, request) {
        Ok(store) => {
            let (xs, ys) = (store.header.grid.x.values(), store.header.grid.y.values());
            let shape = [ys.len(), xs.len()];
            arrays.push(Array::new("surface_x", &[xs.len()], xs));
            arrays.push(Array::new("surface_y", &[ys.len()], ys));
            arrays.push(Array::new("surface_loss", &shape, store.losses()));
            arrays.push(Array::new("surface_loss_se", &shape, cells(&store, |c| c.loss_se)));
            arrays.push(Array::new("surface_accuracy", &shape, accuracy(&store)));
            let difference_se = cells(&store, |c| c.difference_se);
            arrays.push(Array::new("surface_difference_se", &shape, difference_se));
            arrays.push(Array::new("surface_evaluated", &shape, evaluated(&store)));
            let error = interpolation_error(&store);
            arrays.push(Array::new("surface_interpolation_error", &shape, error));
        }
        Err(Error::NoSurface { .. }) => {}
        Err(error) => return Err(error),
    }
    match plane(run, request) {
        Ok(plane) => {
            let path = plane.about.path();
            let column =
                |of: &dyn Fn(&crate::landscape::PathCoord) -> f64| path.iter().map(of).collect();
            let xy = path.iter().flat_map(|p| [p.x, p.y]).collect();
            arrays.push(Array::new("path", &[path.len(), 2], xy));
            arrays.push(Array::new("path_step", &[path.len()], column(&|p| p.step as f64)));
            arrays.push(Array::new("path_epoch", &[path.len()], column(&|p| p.epoch)));
            let residual = column(&|p| p.off_plane_residual);
            arrays.push(Array::new("path_off_plane_residual", &[path.len()], residual));
            let shares = plane.about.explained_variance.clone();
            arrays.push(Array::new("explained_variance", &[shares.len()], shares));
        }
        Err(Error::NoPlane { .. }) => {}
        Err(error) => return Err(error),
    }
    let epochs = &run.metrics()?.epochs;
    let column = |of: &dyn Fn(&crate::record::EpochRecord) -> f64| epochs.iter().map(of).collect();
    let n = [epochs.len()];
    arrays.push(Array::new("epoch", &n, column(&|e| e.epoch as f64)));
    arrays.push(Array::new("train_loss", &n, column(&|e| e.train_loss)));
    arrays.push(Array::new("train_accuracy", &n, column(&|e| e.train_accuracy)));
    arrays.push(Array::new("test_loss", &n, column(&|e| e.test_loss)));
    arrays.push(Array::new("test_accuracy", &n, column(&|e| e.test_accuracy)));
    Ok(arrays)
}

fn table(run: &OpenRun, request: &Request<'_>) -> Result<Table> {
    let known = |value: f64| Some(value);
    Ok(match request.table {
        TableOf::Surface => {
            let store = surface(run, request)?;
            let grid = store.header.grid;
            let point = |k: usize| grid.point(k);
            let all = 0..grid.len();
            let filled = |values: Vec<f64>| values.into_iter().map(known);
            Table::default()
                .number("x", all.clone().map(|k| known(point(k)[0])))
                .number("y", all.map(|k| known(point(k)[1])))
                .number("loss", filled(store.losses()))
                .number("loss_se", filled(cells(&store, |c| c.loss_se)))
                .number("accuracy", filled(accuracy(&store)))
                .number("difference_se", filled(cells(&store, |c| c.difference_se)))
                .count("evaluated", evaluated(&store).into_iter().map(|e| Some(e as usize)))
                .number("interpolation_error", filled(interpolation_error(&store)))
        }
        TableOf::Path => {
            let plane = plane(run, request)?;
            let path = || plane.about.path().iter();
            Table::default()
                .count("snapshot", path().map(|p| Some(p.snapshot)))
                .count("step", path().map(|p| Some(p.step as usize)))
                .number("epoch", path().map(|p| known(p.epoch)))
                .number("lr", path().map(|p| known(p.lr)))
                .number("x", path().map(|p| known(p.x)))
                .number("y", path().map(|p| known(p.y)))
                .number("off_plane_residual", path().map(|p| known(p.off_plane_residual)))
        }
        TableOf::Epochs => {
            let epochs = || run.metrics().map(|metrics| metrics.epochs.iter());
            Table::default()
                .count("epoch", epochs()?.map(|e| Some(e.epoch as usize)))
                .count("step", epochs()?.map(|e| Some(e.step as usize)))
                .number("lr", epochs()?.map(|e| known(e.lr)))
                .number("train_loss", epochs()?.map(|e| known(e.train_loss)))
                .number("train_accuracy", epochs()?.map(|e| known(e.train_accuracy)))
                .number("test_loss", epochs()?.map(|e| known(e.test_loss)))
                .number("test_accuracy", epochs()?.map(|e| known(e.test_accuracy)))
                .number("elapsed_secs", epochs()?.map(|e| known(e.elapsed_secs)))
        }
        TableOf::Steps => {
            let steps = || run.metrics().map(|metrics| metrics.steps.iter());
            Table::default()
                .count("step", steps()?.map(|s| Some(s.step as usize)))
                .number("epoch", steps()?.map(|s| known(s.epoch)))
                .number("lr", steps()?.map(|s| known(s.lr)))
                .number("loss", steps()?.map(|s| known(s.loss)))
                .number("accuracy", steps()?.map(|s| known(s.accuracy)))
                .number("grad_norm", steps()?.map(|s| known(s.grad_norm)))
        }
    })
}

/// What training logged, in the order of the steps.
fn scalars(run: &OpenRun) -> Result<Vec<Scalar>> {
    let began = run.run().manifest()?.started_unix_secs as f64;
    let metrics = run.metrics()?;
    let mut scalars = Vec::new();
    for step in &metrics.steps {
        let time = began + step.elapsed_secs.unwrap_or(0.0);
        for (tag, value) in [
            ("batch/loss", step.loss),
            ("batch/accuracy", step.accuracy),
            ("batch/lr", step.lr),
            ("batch/grad_norm", step.grad_norm),
        ] {
            scalars.push(Scalar { tag, step: step.step, time, value });
        }
    }
    for epoch in &metrics.epochs {
        let time = began + epoch.elapsed_secs;
        for (tag, value) in [
            ("train/loss", epoch.train_loss),
            ("train/accuracy", epoch.train_accuracy),
            ("test/loss", epoch.test_loss),
            ("test/accuracy", epoch.test_accuracy),
        ] {
            scalars.push(Scalar { tag, step: epoch.step, time, value });
        }
    }
    // What a loop of one's own did not measure is no number.
    scalars.retain(|scalar| !scalar.value.is_nan());
    scalars.sort_by_key(|scalar| scalar.step);
    Ok(scalars)
}

/// Writes the weights and buffers of a snapshot, under PyTorch's names.
fn weights(run: &OpenRun, snapshot: Option<usize>, out: &Path) -> Result<()> {
    let snapshots = run.snapshots(|info| snapshot.map_or(!info.diverged, |n| info.index == n))?;
    let Some(last) = snapshots.infos().len().checked_sub(1) else {
        return Err(Error::bad_value(
            "snapshot",
            snapshot.unwrap_or(0),
            "not one of the run's",
            "name one of its snapshots: lossreel inspect RUN counts them",
        ));
    };
    let (theta, buffers) = snapshots.state(last)?;
    let layout = run.layout()?;
    let buffer = |b: &crate::network::Buffer| NamedTensor {
        name: b.name.clone(),
        shape: b.shape.clone(),
        data: buffers[b.range()].to_vec(),
    };
    let all: Vec<NamedTensor> =
        tensors(layout, &theta).into_iter().chain(layout.buffers.iter().map(buffer)).collect();
    let parts: Vec<(&str, &[usize], &[f32])> =
        all.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), t.data.as_slice())).collect();
    let info = &snapshots.infos()[last];
    let metadata =
        [("step".to_string(), info.step.to_string()), ("epoch".into(), info.epoch.to_string())];
    export_safetensors(out, &parts, &metadata)
}
