//! Runs, surfaces and files to measures: of the surface over a run's plane, of its curve, of its last state.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize, Serializer};

use super::opened::RunSet;
use super::surface::OverPlane;
use super::{Progress, SampleChoice, Subject, curve};
use crate::curvature::{
    Curvature, ExtremesConfig, GradientNoise, Mean, TraceConfig, TraceMethod, extremes_of, trace,
};
use crate::dataset::{SampleOrder, SplitName};
use crate::disk::{self, JsonFile};
use crate::landscape::{Cell, Moments, SurfaceStore, theta_at};
use crate::measures::{
    Basin, Extent, Field, MergeTree, Pair, Value, barrier, basin, convex_fraction, definition,
    epsilon_sharpness, expected_rise, merge_tree, monotonicity, rho_sharpness, roughness, smad,
};
use crate::names::named_enum;
use crate::objective::{DatasetObjective, Evaluation, Objective};
use crate::record::{FORMAT_VERSION, Run, SampleSource};
use crate::rng::Streams;
use crate::weights::hdf5;
use crate::{Error, Result};

named_enum! {
    /// What is measured.
    pub enum MeasureOf("kind of measure") {
        /// A surface over a plane.
        Surface = "surface",
        /// A curve along a line.
        Line = "line",
        /// The last state of a run.
        Point = "point",
        /// The path of a run's snapshots.
        Path = "path",
    }
}

/// What is wanted of a surface.
#[derive(Debug, Clone, PartialEq)]
pub struct OfSurface {
    /// Rises above the basin's bottom at which its widths and its area are measured.
    pub rises: Vec<f64>,
    /// The persistence up to which a minimum is noise; by default what the errors of the cells say.
    pub threshold: Option<f64>,
}

impl Default for OfSurface {
    /// At rises of 0.1 and 1 nat.
    fn default() -> Self {
        Self { rises: vec![0.1, 1.0], threshold: None }
    }
}

/// What is wanted of a point.
#[derive(Debug, Clone, PartialEq)]
pub struct OfPoint {
    /// The training images; as many test images, at most, for the generalisation gap.
    pub sample: SampleChoice,
    /// Random directions of the expected rise.
    pub directions: usize,
    /// Its radii.
    pub radii: Vec<f64>,
    /// Half width of Keskar's box, relative to the weights.
    pub epsilon: f64,
    /// Radius of SAM's ball.
    pub rho: f64,
    /// Products for the trace.
    pub products: usize,
    /// The images of the batch whose gradient's ratio of signal to noise is told.
    pub batch: usize,
}

/// Measures by name, in the order in which they are told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measures(pub Vec<(String, Value)>);

impl Measures {
    /// The value of the measure `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn push(&mut self, name: impl Into<String>, value: f64) -> &mut Value {
        let name = name.into();
        let value = Value::of(&name, value);
        self.0.push((name, value));
        &mut self.0.last_mut().expect("just pushed").1
    }
}

impl Serialize for Measures {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The measures of one run or file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The run's name, or the file's.
    pub run: String,
    /// The measures.
    pub measures: Measures,
    /// What they are of, and what was left out, in sentences.
    pub notes: Vec<String>,
}

impl Measured {
    /// Nothing yet of `run`.
    pub fn new(run: impl Into<String>) -> Self {
        Self { run: run.into(), measures: Measures::default(), notes: Vec::new() }
    }
}

/// At most so many pairs of a minimum and its saddle are compared image by image, the most persistent first;
/// what is less persistent than those is noise.
const COMPARED: usize = 200;

/// Standard errors that a persistence must exceed.
const ERRORS: f64 = 3.0;

/// Adds the measures of the surface `surface` of `set` over its plane.
///
/// # Errors
/// Those of reading the surface; [`Error::Landscape`] for one of fewer than 3 x 3 cells, one without a finite
/// loss, and one that is not finished; those of evaluating pairs of cells; [`Error::Interrupted`].
pub fn of_surface(
    set: &RunSet,
    surface: &str,
    request: &OfSurface,
    into: &mut Measured,
    interrupt: &AtomicBool,
) -> Result<()> {
    let store = SurfaceStore::open(&set.surface_dir(surface)?)?;
    let (field, tree) = field_of(&store)?;
    into.notes.push(format!("surface `{surface}`: {}", words_of(&store)));
    let noise = match request.threshold {
        Some(_) => None,
        None => paired(set, &store, &tree, interrupt)?,
    };
    let noise = match (request.threshold, noise) {
        (Some(threshold), _) => Noise::Threshold(threshold),
        (None, Some(errors)) => Noise::Errors(errors),
        (None, None) => unpaired(&store, &mut into.notes),
    };
    add_surface(&field, &tree, &noise, &request.rises, into);
    Ok(())
}

/// Adds the measures of the surface in `folder`, which is no run's: that of a file of weights.
///
/// # Errors
/// As [`of_surface`].
pub fn of_folder(folder: &Path, request: &OfSurface, into: &mut Measured) -> Result<()> {
    let store = SurfaceStore::open(folder)?;
    let (field, tree) = field_of(&store)?;
    into.notes.push(format!("the surface in {}: {}", folder.display(), words_of(&store)));
    let noise = match request.threshold {
        Some(threshold) => Noise::Threshold(threshold),
        None => unpaired(&store, &mut into.notes),
    };
    add_surface(&field, &tree, &noise, &request.rises, into);
    Ok(())
}

/// Adds the measures of a surface file of the paper's code: of `quantity`, by default its training loss, else
/// its test loss.
///
/// # Errors
/// Those of reading the file; [`Error::BadFile`] for a curve and for a quantity that it lacks; those of
/// [`Field::new`].
pub fn of_file(
    path: &Path,
    quantity: Option<&str>,
    request: &OfSurface,
    into: &mut Measured,
) -> Result<()> {
    let surface = hdf5::read_surface(path)?;
    let bad = |what: &str, remedy: String| Error::BadFile {
        path: path.into(),
        what: what.into(),
        remedy,
    };
    let ys = surface.ys.clone().ok_or_else(|| {
        bad(
            "it holds a curve and not a surface",
            "give a file with xcoordinates and ycoordinates".into(),
        )
    })?;
    let wanted: Vec<&str> = quantity.map_or(vec!["train_loss", "test_loss"], |q| vec![q]);
    let field = wanted.iter().find_map(|name| surface.field(name)).ok_or_else(|| {
        let names: Vec<&str> = surface.fields.iter().map(|f| f.name.as_str()).collect();
        bad("it lacks the quantity", format!("choose one of: {}", names.join(", ")))
    })?;
    let holes = match field.unfilled {
        0 => String::new(),
        n => format!(", {n} of them not evaluated"),
    };
    let size = format!("{} x {} cells", surface.xs.len(), ys.len());
    into.notes.push(format!(
        "{} of the file, {size}{holes}; the file says nothing of errors: the threshold is {}",
        field.name,
        request.threshold.unwrap_or(0.0)
    ));
    let field = Field::new(surface.xs.clone(), ys, field.values.clone())?;
    let tree = merge_tree(&field);
    let noise = Noise::Threshold(request.threshold.unwrap_or(0.0));
    add_surface(&field, &tree, &noise, &request.rises, into);
    Ok(())
}

fn field_of(store: &SurfaceStore) -> Result<(Field, MergeTree)> {
    let missing = store.missing().len();
    if missing > 0 {
        return Err(Error::Landscape {
            what: format!("{missing} of {} cells of the surface are not done", store.cells.len()),
            remedy: "finish it with the same command".into(),
        });
    }
    let grid = store.header.grid;
    let field = Field::new(grid.x.values(), grid.y.values(), store.losses())?;
    let tree = merge_tree(&field);
    Ok((field, tree))
}

/// A surface in a few words.
fn words_of(store: &SurfaceStore) -> String {
    let (grid, on) = (&store.header.grid, &store.header.on);
    let of = match store.counts()[1] {
        0 => String::new(),
        n => format!(", {n} of them interpolated"),
    };
    format!("{} x {} cells on {} {} images{of}", grid.x.n, grid.y.n, on.samples, on.split)
}

/// Which pairs of a minimum and its saddle are noise.
enum Noise {
    /// Those of no more persistence than this.
    Threshold(f64),
    /// By the standard error of each pair's difference; one that is not here was not compared.
    Errors(HashMap<(usize, usize), f64>),
}

impl Noise {
    fn is(&self, pair: &Pair) -> bool {
        match self {
            Self::Threshold(threshold) => pair.persistence <= *threshold,
            Self::Errors(errors) => errors
                .get(&(pair.minimum, pair.saddle))
                .is_none_or(|se| pair.persistence <= ERRORS * se),
        }
    }

    /// The standard error of a pair's persistence, where it is known.
    fn se(&self, pair: &Pair) -> Option<f64> {
        match self {
            Self::Threshold(_) => None,
            Self::Errors(errors) => errors.get(&(pair.minimum, pair.saddle)).copied(),
        }
    }
}

/// The errors of the cells' losses as if their images were not the same: larger than the truth, so that what
/// counts counts surely.
fn unpaired(store: &SurfaceStore, notes: &mut Vec<String>) -> Noise {
    // Of what was interpolated nothing counts surely.
    let se = |k: usize| store.cells[k].map_or(f64::INFINITY, |c: Cell| c.loss_se);
    notes.push(
        "minima are held to the errors of single cells, which are larger than those of differences on the \
         same images: some that are real may not count"
            .into(),
    );
    let Ok((_, tree)) = field_of(store) else { return Noise::Threshold(0.0) };
    let of = |p: &Pair| ((p.minimum, p.saddle), se(p.minimum).hypot(se(p.saddle)));
    let errors: HashMap<(usize, usize), f64> = tree.pairs.iter().map(of).collect();
    if errors.values().all(|se| se.is_nan()) && !errors.is_empty() {
        // A loss of one image, or one that says nothing of its error.
        return Noise::Threshold(0.0);
    }
    Noise::Errors(errors)
}

/// The paired standard error of each pair's difference: both cells evaluated on the surface's images, and the
/// differences image by image. `None` where the surface's loss cannot be evaluated again.
fn paired(
    set: &RunSet,
    store: &SurfaceStore,
    tree: &MergeTree,
    interrupt: &AtomicBool,
) -> Result<Option<PairErrors>> {
    let Some((over_plane, objective)) = again(set, store)? else { return Ok(None) };
    let [origin, x, y] = [&over_plane.0, &over_plane.1, &over_plane.2];
    let grid = store.header.grid;
    let mut losses: HashMap<usize, Vec<f64>> = HashMap::new();
    let mut errors = HashMap::new();
    for pair in tree.pairs.iter().take(COMPARED) {
        for k in [pair.minimum, pair.saddle] {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted { remedy: "run the same command again".into() });
            }
            if let std::collections::hash_map::Entry::Vacant(free) = losses.entry(k) {
                let theta = theta_at(origin, x, y, grid.point(k));
                free.insert(objective.losses(&theta)?);
            }
        }
        let (low, high) = (&losses[&pair.minimum], &losses[&pair.saddle]);
        errors.insert((pair.minimum, pair.saddle), Moments::of_differences(high, low).se());
    }
    Ok(Some(errors))
}

type PairErrors = HashMap<(usize, usize), f64>;

type Vectors = (Vec<f32>, Vec<f32>, Vec<f32>);

/// The loss that a surface is of, and its plane, where both are there unchanged.
fn again(set: &RunSet, store: &SurfaceStore) -> Result<Option<(Vectors, DatasetObjective)>> {
    let on = &store.header.on;
    let order = match on.sample_order {
        SampleSource::File => SampleOrder::File,
        SampleSource::Balanced => SampleOrder::Balanced,
        SampleSource::MiniBatch { .. } => return Ok(None),
    };
    let name = set.root().join("planes");
    let Ok(planes) = std::fs::read_dir(&name) else { return Ok(None) };
    let mut files: Vec<PathBuf> = planes.filter_map(|e| e.ok().map(|e| e.path())).collect();
    files.sort();
    let stem = |p: &PathBuf| p.file_stem().map(|s| s.to_string_lossy().into_owned());
    let names = files.iter().filter(|p| p.extension().is_some_and(|e| e == "safetensors"));
    for name in names.filter_map(stem) {
        let Ok(plane) = set.plane(&name) else { continue };
        if plane.digest() != store.header.plane_digest {
            continue;
        }
        // Of a joint surface only the first run is tried: it is whose network the surface has by default.
        let Ok(subject) = Subject::of_run(set.runs()[0].run(), None, None) else { return Ok(None) };
        let Ok(subject) = subject.in_precision(on.precision) else { return Ok(None) };
        let over = OverPlane::new(set, 0, &subject, &plane)?;
        let choice = SampleChoice {
            split: on.split,
            samples: Some(on.samples),
            order,
            seed: on.sample_seed,
        };
        let Ok(objective) = over.objective(choice) else { return Ok(None) };
        if over.header(store.header.grid, choice, &objective).on != *on {
            return Ok(None);
        }
        return Ok(Some(((plane.origin, plane.x, plane.y), objective)));
    }
    Ok(None)
}

fn add_surface(field: &Field, tree: &MergeTree, noise: &Noise, rises: &[f64], into: &mut Measured) {
    let minima = tree.minima(|p| noise.is(p));
    let all = tree.roots.len() + tree.pairs.len();
    let threshold = match noise {
        Noise::Threshold(threshold) => *threshold,
        Noise::Errors(_) => {
            let noisy = tree.pairs.iter().filter(|p| noise.is(p)).map(|p| p.persistence);
            noisy.fold(0.0, f64::max)
        }
    };
    let m = &mut into.measures;
    m.push("minima", minima.len() as f64);
    m.push("minima_of_grid", all as f64);
    m.push("persistence_threshold", threshold);
    if let Some(pair) = tree.pairs.iter().find(|p| !noise.is(p)) {
        m.push("second_persistence", pair.persistence).se = noise.se(pair);
    }
    let found = smad(field);
    m.push("saddles", found.branching as f64);
    m.push("smad", found.plain);
    m.push("smad_weighted", found.weighted);
    m.push("convex_fraction", convex_fraction(field));
    m.push("roughness", roughness(field));
    let Some(basin) = basin(field, [0.0, 0.0], &minima) else {
        into.notes.push(
            "(0, 0), the trained point, is not on the surface or has no finite loss there: it has no basin"
                .into(),
        );
        return;
    };
    add_basin(field, &basin, rises, m);
}

fn add_basin(field: &Field, basin: &Basin, rises: &[f64], m: &mut Measures) {
    m.push("basin_bottom", basin.bottom_loss);
    match basin.pass {
        Some((_, depth)) => {
            m.push("basin_depth", depth);
        }
        None => {
            m.push("basin_depth", f64::INFINITY).note =
                Some("no other minimum on the surface".into());
        }
    }
    m.push("basin_depth_to_edge", basin.to_edge);
    let push = |m: &mut Measures, name: &str, rise: f64, extent: Extent| {
        let note = extent.cut_off.then(|| "at least: the edge cuts it off".to_string());
        m.push(format!("{name}@{rise}"), extent.size).note = note;
    };
    for &rise in rises {
        push(m, "basin_area", rise, basin.area(field, rise));
        push(m, "basin_width_x", rise, basin.width(field, 0, rise));
        push(m, "basin_width_y", rise, basin.width(field, 1, rise));
    }
}

/// Adds the measures of the curve in `folder`, called `name`.
///
/// # Errors
/// Those of reading it; [`Error::Landscape`] for one of fewer than three points.
pub fn of_line(folder: &Path, name: &str, into: &mut Measured) -> Result<()> {
    let found = curve::open(folder)?;
    let store = SurfaceStore::open(folder)?;
    if found.points.len() < 3 || !store.missing().is_empty() {
        return Err(Error::Landscape {
            what: format!(
                "curve `{name}` has {} of {} points",
                found.points.len(),
                store.cells.len()
            ),
            remedy: "finish it with the same command, of at least 3 points".into(),
        });
    }
    into.notes.push(format!(
        "curve `{name}`: {}, {} points on {} {} images",
        found.direction,
        found.points.len(),
        found.samples,
        found.split
    ));
    // Between two networks, which are at 0 and at 1; of a direction the whole line.
    let ends =
        [0.0, 1.0].map(|end: f64| found.points.iter().position(|p| (p.x - end).abs() < 1e-9));
    let points = match ends {
        [Some(first), Some(last)] if found.direction.contains(" to ") => {
            &found.points[first..=last]
        }
        _ => &found.points[..],
    };
    let xs: Vec<f64> = points.iter().map(|p| p.x).collect();
    let losses: Vec<f64> = points.iter().map(|p| p.loss).collect();
    if let Some(b) = barrier(&xs, &losses) {
        let m = &mut into.measures;
        // The error of single points, as if their images were not the same: more than the truth.
        let t = b.at;
        let se = |i: usize| points[i].loss_se;
        let last = xs.len() - 1;
        let error =
            (se(b.index).powi(2) + ((1.0 - t) * se(0)).powi(2) + (t * se(last)).powi(2)).sqrt();
        let value = m.push("barrier", b.height);
        if b.height > 0.0 {
            *value = value.clone().with_se(error);
            value.note = Some("the error is that of single points: an upper bound".into());
        }
        m.push("barrier_position", b.at);
        let found = monotonicity(&losses);
        m.push("monotonicity", found.descent);
        m.push("largest_rise", found.largest_rise);
    }
    Ok(())
}

/// Adds the measures of the point that `subject` is. `progress` counts them.
///
/// # Errors
/// [`Error::BadValue`] for values out of range; [`Error::Interrupted`]; those of the objective.
pub fn of_point(
    subject: &Subject,
    request: &OfPoint,
    into: &mut Measured,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<()> {
    const STAGES: usize = 7;
    let positive = |key: &str, value: f64| {
        if value > 0.0 && value.is_finite() {
            return Ok(());
        }
        Err(Error::bad_value(key, value, "not a positive number", "use a number above 0"))
    };
    positive("epsilon", request.epsilon)?;
    positive("rho", request.rho)?;
    request.radii.iter().try_for_each(|r| positive("radii", *r))?;
    let objective = subject.objective(request.sample)?;
    let (theta, layout) = (&subject.theta, &subject.network().layout);
    let streams = Streams::new(request.sample.seed);
    let samples = objective.samples();
    into.notes.push(format!("the point: on {samples} {} images, eval mode", request.sample.split));
    progress(0, STAGES);
    let here = objective.loss(theta)?;
    let m = &mut into.measures;
    let value = m.push("loss", here.loss);
    *value = value.clone().with_se(here.loss_se);
    if !here.loss.is_finite() {
        into.notes.push("the loss is not finite: nothing else is measured at the point".into());
        return Ok(());
    }
    let test = SampleChoice {
        split: SplitName::Test,
        samples: Some(samples.min(subject.split_len(SplitName::Test))),
        ..request.sample
    };
    if subject.split_len(SplitName::Test) > 0 && request.sample.split == SplitName::Train {
        let there = subject.objective(test)?.loss(theta)?;
        let value = m.push("generalisation_gap", there.loss - here.loss);
        *value = value.clone().with_se(there.loss_se.hypot(here.loss_se));
        // Numbers that are predicted have no accuracy.
        if here.total > 0 {
            let gap = here.accuracy() - there.accuracy();
            let variance = |p: f64, n: usize| p * (1.0 - p) / n as f64;
            let of = |found: &Evaluation| variance(found.accuracy(), found.total);
            let value = m.push("accuracy_gap", gap);
            *value = value.clone().with_se((of(&here) + of(&there)).sqrt());
        }
    }
    let norm = theta.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    m.push("norm", norm);
    progress(1, STAGES);
    match GradientNoise::of(&objective, theta, &streams, interrupt)? {
        Some(found) => add_gradient_noise(&found, request.batch, m),
        None => {
            let note = "the gradient's noise is not measured on fewer than 3 images";
            into.notes.push(note.into());
        }
    }
    progress(2, STAGES);
    let hessian = Curvature::hessian(&objective, theta);
    let ends = extremes_of(&hessian, ExtremesConfig::default(), &streams, interrupt)?;
    match (ends.eigenvalues.first(), ends.residuals.first()) {
        (Some(value), Some(residual)) => m.push("lambda_max", *value).se = Some(*residual),
        _ => {
            let bound = ends.rest_of_largest.first().map_or(f64::NAN, |r| r.value);
            m.push("lambda_max", f64::NAN).note =
                Some(format!("did not converge: at least {bound:.4}"));
        }
    }
    progress(3, STAGES);
    let config = TraceConfig { method: TraceMethod::HutchPlusPlus, products: request.products };
    let found = trace(&hessian, config, &[], &streams, interrupt)?.whole;
    let value = m.push("trace", found.value);
    *value = value.clone().with_se(found.se);
    progress(4, STAGES);
    let rises = expected_rise(
        &objective,
        layout,
        theta,
        &request.radii,
        request.directions,
        &streams,
        interrupt,
    )?;
    for rise in rises {
        let value = m.push(format!("expected_rise@{}", rise.radius), rise.mean.value);
        *value = value.clone().with_se(rise.mean.se);
    }
    progress(5, STAGES);
    let (percent, _) = epsilon_sharpness(&objective, theta, request.epsilon, interrupt)?;
    m.push(format!("epsilon_sharpness@{}", request.epsilon), percent);
    progress(6, STAGES);
    let found = rho_sharpness(&objective, theta, request.rho, interrupt)?;
    m.push(format!("rho_sharpness@{}", request.rho), found.rise());
    progress(STAGES, STAGES);
    Ok(())
}

/// Adds the gradient's noise, and its ratio to the signal for a batch of `batch` images.
fn add_gradient_noise(found: &GradientNoise, batch: usize, m: &mut Measures) {
    let lost = || Some("lost in the noise of these images; use more".to_string());
    let mut push = |name: &str, found: Mean| {
        let note = lost().filter(|_| found.value.is_nan());
        let value = m.push(name, found.value);
        *value = value.clone().with_se(found.se).with_note(note);
    };
    push("gradient_norm", found.gradient());
    push("gradient_variance", found.variance);
    push("gradient_noise_scale", found.scale);
    push(&format!("gradient_snr@{batch}"), found.batch_signal(batch));
}

const FILE: JsonFile = JsonFile {
    action: "read the measures",
    name: "the measures",
    remedy: "remove the file and measure again",
};

/// A measure as it is written.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    value: Value,
    definition: String,
    source: String,
}

/// `measures/NAME.json`.
#[derive(Serialize, Deserialize)]
struct Document {
    format_version: u32,
    run: String,
    measures: Vec<Entry>,
    notes: Vec<String>,
}

impl Measured {
    /// Writes them as `measures/NAME.json` of a run, with their definitions.
    ///
    /// # Errors
    /// [`Error::Io`]; those of a name that is none.
    pub fn write(&self, run: &Run, name: &str) -> Result<PathBuf> {
        crate::record::check_name("file of measures", name)?;
        let folder = run.root().join("measures");
        std::fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
        let path = folder.join(format!("{name}.json"));
        disk::remove_temporaries_of(&path)?;
        let entry = |(name, value): &(String, Value)| {
            let known = definition(name).expect("every measure is defined");
            Entry {
                name: name.clone(),
                value: value.clone(),
                definition: known.definition.into(),
                source: known.source.into(),
            }
        };
        let document = Document {
            format_version: FORMAT_VERSION,
            run: self.run.clone(),
            measures: self.measures.0.iter().map(entry).collect(),
            notes: self.notes.clone(),
        };
        FILE.write(&path, &document)?;
        Ok(path)
    }
}

/// A table of several runs' measures in CSV: a line for each run and measure.
///
/// # Errors
/// [`Error::Io`].
pub fn write_csv(path: &Path, all: &[Measured]) -> Result<()> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = String::from("run,measure,value,standard_error,unit,note\n");
    for measured in all {
        for (name, value) in &measured.measures.0 {
            let se = value.se.map_or(String::new(), |se| se.to_string());
            let note = quoted(value.note.as_deref().unwrap_or(""));
            let run = quoted(&measured.run);
            text += &format!("{run},{name},{},{se},{},{note}\n", value.value, quoted(&value.unit));
        }
    }
    disk::write_bytes(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_images_have_in_common_is_not_in_the_error_of_a_difference() {
        // Losses that vary widely from image to image, and a rise that is nearly the same for all.
        let a: Vec<f64> = (0..100).map(|i| 1.0 + f64::from(i % 10)).collect();
        let b: Vec<f64> =
            a.iter().enumerate().map(|(i, v)| v + 0.5 + 0.01 * (i % 2) as f64).collect();
        let se = Moments::of_differences(&b, &a).se();
        assert!((se - 0.01 * 0.5 * (100.0f64 / 99.0).sqrt() / 10.0).abs() < 1e-12, "{se}");
    }

    #[test]
    fn two_wells_count_as_two_until_the_threshold_is_above_their_pass() {
        let axis: Vec<f64> = (0..41).map(|i| -2.0 + 0.1 * f64::from(i)).collect();
        let f = |x: f64, y: f64| (x * x - 1.0).powi(2) + y * y + 0.1 * x;
        let values = axis.iter().flat_map(|y| axis.iter().map(|x| f(*x, *y)).collect::<Vec<_>>());
        let field = Field::new(axis.clone(), axis.clone(), values.collect()).unwrap();
        let tree = merge_tree(&field);
        let count = |threshold| {
            let mut found = Measured::new("f");
            add_surface(&field, &tree, &Noise::Threshold(threshold), &[0.1], &mut found);
            found.measures.get("minima").unwrap().value
        };
        assert_eq!((count(0.0), count(0.8), count(1.0)), (2.0, 2.0, 1.0));
    }
}
