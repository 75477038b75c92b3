//! Snapshots to the ends of the Hessian's spectrum at each, and where they are asked for its trace, its
//! density and the blocks of its layers; resumably: what is done at a snapshot is not done again.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::opened::spread;
use super::{Progress, SampleChoice, Subject};
use crate::backend::Precision;
use crate::curvature::{
    Block, Curvature, DensityConfig, ExtremesConfig, Matrix, Operator, TraceConfig, TraceMethod,
    density, extremes_of, layers, parameters, trace,
};
use crate::disk;
use crate::names::named_enum;
use crate::network::ParamLayout;
use crate::objective::{
    BatchNormPolicy, BufferedObjective, DatasetObjective, Objective, TrainModeObjective,
};
use crate::record::{
    CurvatureOf, CurvatureRecord, DensityRecord, EvaluatedOn, LayerRecord, LayersRecord, Run,
    RunSnapshots, SnapshotInfo, TraceRecord,
};
use crate::rng::Streams;
use crate::{Error, Result};

/// At which snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// So many, spread evenly, the first and the last among them.
    Spread(usize),
    /// The one with this number.
    Only(usize),
}

named_enum! {
    /// Which statistics BatchNorm has where curvature is measured.
    #[derive(Default)]
    pub enum CurvatureMode("BatchNorm mode") {
        /// Running statistics, no dropout: the loss in eval mode.
        #[default]
        Running = "running",
        /// Those of the images that go through together, with one draw of dropout masks: train mode. Products
        /// are differences of gradients, good to three digits or so.
        Batch = "batch",
    }
}

/// The blocks of the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayersConfig {
    /// Products with random vectors for the traces, all layers' at once.
    pub products: usize,
    /// Whether the largest eigenvalue of each block is computed, by Lanczos' process in each.
    pub eigenvalues: bool,
}

/// What to compute.
#[derive(Debug, Clone, PartialEq)]
pub struct CurvatureRequest {
    /// At which snapshots.
    pub which: Which,
    /// The images.
    pub sample: SampleChoice,
    /// How many eigenvalues, how well, with how many products at most.
    pub config: ExtremesConfig,
    /// Which matrix.
    pub matrix: Matrix,
    /// Of which parameters; see [`parameters`].
    pub parameters: Option<String>,
    /// Which statistics BatchNorm has.
    pub mode: CurvatureMode,
    /// The trace, where it is wanted.
    pub trace: Option<TraceConfig>,
    /// The density, likewise.
    pub density: Option<DensityConfig>,
    /// The layers, likewise.
    pub layers: Option<LayersConfig>,
    /// Whether results on another sample or to another tolerance are replaced.
    pub replace: bool,
}

impl CurvatureRequest {
    /// The ends of the spectrum of the Hessian of all parameters, in eval mode.
    pub fn ends(which: Which, sample: SampleChoice, config: ExtremesConfig) -> Self {
        Self {
            which,
            sample,
            config,
            matrix: Matrix::Hessian,
            parameters: None,
            mode: CurvatureMode::Running,
            trace: None,
            density: None,
            layers: None,
            replace: false,
        }
    }

    /// Refuses what cannot be computed together.
    ///
    /// # Errors
    /// [`Error::BadValue`].
    fn check(&self) -> Result<()> {
        if self.mode == CurvatureMode::Batch && self.matrix == Matrix::GaussNewton {
            return Err(Error::bad_value(
                "matrix",
                self.matrix,
                "but Gauss-Newton products are those of eval mode",
                "use the Hessian, or running BatchNorm statistics",
            ));
        }
        if let (Some(pattern), Some(_)) = (&self.parameters, self.layers) {
            let problem = "but layers are those of all parameters";
            let remedy = "ask for the one or the other";
            return Err(Error::bad_value("parameters", pattern, problem, remedy));
        }
        if let Some(config) = self.trace {
            config.check()?;
        }
        if let Some(config) = self.density {
            config.check()?;
        }
        self.layers.map_or(Ok(()), |layers| layers.traces().check())
    }

    /// Whether the ends of `record`'s spectrum are as good as the request allows: converged, not finite, or
    /// after as many products.
    fn is_as_good(&self, record: &CurvatureRecord) -> bool {
        record.converged
            || record.iterations >= self.config.max_iterations
            || record.eigenvalues.first().is_some_and(|v| !v.is_finite())
    }

    /// What of the request `record` lacks.
    fn missing(&self, record: &CurvatureRecord) -> Missing {
        let has_trace = |c: &TraceConfig| {
            record.trace.is_some_and(|t| (t.method, t.products) == (c.method, c.products))
        };
        let has_density = |c: &DensityConfig| {
            record.density.as_ref().is_some_and(|d| (d.probes, d.steps) == (c.probes, c.steps))
        };
        let has_layers = |c: &LayersConfig| {
            let same =
                |l: &LayersRecord| l.products == c.products && (l.eigenvalues || !c.eigenvalues);
            record.layers.as_ref().is_some_and(same)
        };
        Missing {
            trace: self.trace.filter(|c| !has_trace(c)),
            density: self.density.filter(|c| !has_density(c)),
            layers: self.layers.filter(|c| !has_layers(c)),
        }
    }
}

impl LayersConfig {
    fn traces(self) -> TraceConfig {
        TraceConfig { method: TraceMethod::Hutchinson, products: self.products }
    }
}

/// What is to be computed beside the ends of a spectrum.
struct Missing {
    trace: Option<TraceConfig>,
    density: Option<DensityConfig>,
    layers: Option<LayersConfig>,
}

impl Missing {
    fn is_empty(&self) -> bool {
        self.trace.is_none() && self.density.is_none() && self.layers.is_none()
    }
}

/// An objective at a point, and which part of its curvature is looked at.
struct At<'a> {
    objective: &'a dyn Objective,
    theta: &'a [f32],
    layout: &'a ParamLayout,
    /// Ranges of theta; none for all of it.
    ranges: Option<Vec<Range<usize>>>,
    request: &'a CurvatureRequest,
    interrupt: &'a AtomicBool,
}

impl At<'_> {
    fn streams(&self) -> Streams {
        Streams::new(self.request.sample.seed)
    }

    fn whole(&self) -> Curvature<'_> {
        Curvature::new(self.objective, self.theta, self.request.matrix)
    }

    /// Lets `f` see the matrix.
    fn matrix<T>(&self, f: impl FnOnce(&dyn Operator) -> Result<T>) -> Result<T> {
        let whole = self.whole();
        match &self.ranges {
            None => f(&whole),
            Some(ranges) => f(&Block::new(&whole, ranges.clone())),
        }
    }

    /// The ends of the spectrum at a snapshot (its number, steps and epochs), and nothing else.
    fn ends(
        &self,
        (index, step, epoch): (usize, u64, f64),
        of: CurvatureOf,
    ) -> Result<CurvatureRecord> {
        let config = self.request.config;
        let found = self.matrix(|m| extremes_of(m, config, &self.streams(), self.interrupt))?;
        Ok(CurvatureRecord::new(index, step, epoch, &found, of))
    }

    /// Adds to `record` what the request wants beside the ends.
    fn add(&self, record: &mut CurvatureRecord) -> Result<()> {
        let missing = self.request.missing(record);
        let (streams, interrupt) = (self.streams(), self.interrupt);
        if let Some(config) = missing.trace {
            let found = self.matrix(|m| trace(m, config, &[], &streams, interrupt))?;
            let TraceConfig { method, products } = config;
            let (value, se) = (found.whole.value, found.whole.se);
            record.trace = Some(TraceRecord { method, products, value, se });
        }
        if let Some(config) = missing.density {
            let found = self.matrix(|m| density(m, config, &streams, interrupt))?;
            let nodes = if found.range().is_some() { found.probes } else { Vec::new() };
            let DensityConfig { probes, steps } = config;
            record.density = Some(DensityRecord { probes, steps, parameters: found.dim, nodes });
        }
        if let Some(config) = missing.layers {
            record.layers = Some(self.layers(config)?);
        }
        Ok(())
    }

    fn layers(&self, config: LayersConfig) -> Result<LayersRecord> {
        let layers = layers(self.layout);
        let ranges: Vec<Range<usize>> = layers.iter().map(|l| l.range.clone()).collect();
        let whole = self.whole();
        let traces = trace(&whole, config.traces(), &ranges, &self.streams(), self.interrupt)?;
        let mut records = Vec::with_capacity(layers.len());
        for (layer, mean) in layers.into_iter().zip(traces.parts) {
            let (mut eigenvalue, mut residual) = (None, None);
            if config.eigenvalues {
                let block = Block::new(&whole, vec![layer.range.clone()]);
                let ends = ExtremesConfig { largest: 1, smallest: 0, ..self.request.config };
                let found = extremes_of(&block, ends, &self.streams(), self.interrupt)?;
                let known = |v: &Vec<f64>| v.first().copied().filter(|v| v.is_finite());
                (eigenvalue, residual) = (known(&found.eigenvalues), known(&found.residuals));
            }
            records.push(LayerRecord {
                name: layer.name,
                parameters: layer.range.len(),
                trace: mean.value,
                trace_se: mean.se,
                eigenvalue,
                residual,
            });
        }
        let LayersConfig { products, eigenvalues } = config;
        Ok(LayersRecord { products, eigenvalues, layers: records })
    }
}

/// The ranges of theta that a request names.
fn ranges_of(
    request: &CurvatureRequest,
    layout: &ParamLayout,
) -> Result<Option<Vec<Range<usize>>>> {
    request.parameters.as_deref().map(|pattern| parameters(layout, pattern)).transpose()
}

/// The curvature of `subject`'s loss at its weights.
///
/// # Errors
/// Those of the objective; [`Error::BadValue`] for a request that does not go together or names no
/// parameter; [`Error::Interrupted`].
pub fn of_subject(
    subject: &Subject,
    request: &CurvatureRequest,
    interrupt: &AtomicBool,
) -> Result<CurvatureRecord> {
    request.check()?;
    let objective = subject.objective(request.sample)?;
    let of = about(subject, &objective, request);
    let layout = &subject.network().layout;
    let record = |objective: &dyn Objective, of| {
        let theta = &subject.theta;
        let ranges = ranges_of(request, layout)?;
        let at = At { objective, theta, layout, ranges, request, interrupt };
        let mut record = at.ends((0, 0, 0.0), of)?;
        at.add(&mut record)?;
        Ok(record)
    };
    match request.mode {
        CurvatureMode::Running => record(&objective, of),
        CurvatureMode::Batch => {
            let (objective, of) = in_train_mode(objective, of, request);
            record(&objective, of)
        }
    }
}

fn in_train_mode(
    objective: DatasetObjective,
    mut of: CurvatureOf,
    request: &CurvatureRequest,
) -> (TrainModeObjective, CurvatureOf) {
    let objective = TrainModeObjective::new(objective, Streams::new(request.sample.seed));
    of.on.batch_norm = objective.batch_norm();
    (objective, of)
}

/// Computes the curvatures of `run` that its folder lacks, the network evaluated with each snapshot's
/// own BatchNorm statistics, and returns all that were asked for. `progress` counts snapshots.
///
/// # Errors
/// [`Error::OtherCurvatures`] for results on another sample in the folder, [`Error::BadValue`] for a
/// snapshot the run lacks and for a request that does not go together, [`Error::Interrupted`]; those of the
/// disk and the backend.
pub fn compute(
    run: &Run,
    subject: &Subject,
    request: &CurvatureRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Vec<CurvatureRecord>> {
    let objective = subject.objective(request.sample)?;
    let of = about(subject, &objective, request);
    let of_run = (run, &subject.network().layout);
    match request.mode {
        CurvatureMode::Running => {
            of_objective(of_run, (&objective, of), request, interrupt, progress)
        }
        CurvatureMode::Batch => {
            let (objective, of) = in_train_mode(objective, of, request);
            of_objective(of_run, (&objective, of), request, interrupt, progress)
        }
    }
}

/// [`compute`] for an objective that takes each snapshot's own buffers; `of` says what the curvatures
/// are of, and the request's sample is not read but for its seed.
pub(super) fn of_objective<O: BufferedObjective>(
    (run, layout): (&Run, &ParamLayout),
    (objective, of): (&O, CurvatureOf),
    request: &CurvatureRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Vec<CurvatureRecord>> {
    request.check()?;
    let ranges = ranges_of(request, layout)?;
    let wanted = snapshots(run, request.which)?;
    let is_done = |known: &[CurvatureRecord], s: &SnapshotInfo| {
        let is_it = |r: &CurvatureRecord| r.snapshot == s.index && r.step == s.step && r.of == of;
        known.iter().any(|r| is_it(r) && request.is_as_good(r) && request.missing(r).is_empty())
    };
    let mut known = run.curvature_like(&of)?;
    // Where nothing is to be written the folder need not be one that can be.
    let all_done = wanted.iter().all(|s| is_done(&known, s));
    let _lock = (!all_done).then(|| run.lock()).transpose()?;
    if !all_done {
        disk::remove_temporaries(&run.curvature_series(&of))?;
        known = run.curvature_like(&of)?;
    }
    // A snapshot of the same number but another step is one of an earlier run.
    let stale =
        |r: &CurvatureRecord| wanted.iter().any(|s| s.index == r.snapshot && s.step != r.step);
    known.retain(|r| !stale(r));
    if let Some(other) = known.iter().find(|r| r.of != of).filter(|_| !request.replace) {
        let found = difference(&other.of, &of);
        return Err(Error::OtherCurvatures { found, path: run.curvature_series(&of) });
    }
    if known.iter().any(|r| r.of != of) {
        run.remove_curvatures(&of)?;
        known.clear();
    }
    let read = RunSnapshots::new(wanted.clone(), layout.clone());
    let mut records = Vec::with_capacity(wanted.len());
    for (i, snapshot) in wanted.iter().enumerate() {
        progress(i, wanted.len());
        let before = known.iter().find(|r| r.snapshot == snapshot.index && request.is_as_good(r));
        if let Some(done) = before.filter(|r| request.missing(r).is_empty()) {
            records.push(done.clone());
            continue;
        }
        let stopped = || Error::Interrupted {
            remedy: format!(
                "{i} of {} snapshots are kept: the same command goes on from there",
                wanted.len()
            ),
        };
        if interrupt.load(Ordering::Relaxed) {
            return Err(stopped());
        }
        let (theta, buffers) = read.state(i)?;
        let objective = objective.with_buffers(buffers)?;
        let (objective, theta) = (&objective as &dyn Objective, &theta[..]);
        let at = At { objective, theta, layout, ranges: ranges.clone(), request, interrupt };
        let whole = || -> Result<CurvatureRecord> {
            let here = (snapshot.index, snapshot.step, snapshot.epoch);
            let mut record = match before {
                Some(record) => record.clone(),
                None => at.ends(here, of.clone())?,
            };
            at.add(&mut record)?;
            Ok(record)
        };
        let record = whole().map_err(|e| match e {
            Error::Interrupted { .. } => stopped(),
            other => other,
        })?;
        run.write_curvature(&record)?;
        records.push(record);
    }
    progress(wanted.len(), wanted.len());
    Ok(records)
}

/// The snapshots that `which` means.
///
/// # Errors
/// [`Error::BadValue`] for one that the run lacks; those of listing them.
pub fn snapshots(run: &Run, which: Which) -> Result<Vec<SnapshotInfo>> {
    let all = run.snapshots()?;
    match which {
        Which::All => Ok(all),
        Which::Spread(1) => Ok(all.last().cloned().into_iter().collect()),
        Which::Spread(n) => Ok(spread(all.len(), n).into_iter().map(|i| all[i].clone()).collect()),
        Which::Only(n) => {
            let found = all.iter().find(|s| s.index == n).cloned();
            found.map(|s| vec![s]).ok_or_else(|| {
                let (last, all) = (all.last().map_or(0, |s| s.index), all.len());
                let problem = format!("not one of the run's {all} snapshots");
                Error::bad_value("snapshot", n, problem, format!("use 0 to {last}"))
            })
        }
    }
}

fn about(
    subject: &Subject,
    objective: &DatasetObjective,
    request: &CurvatureRequest,
) -> CurvatureOf {
    debug_assert_eq!(objective.dim(), subject.theta.len());
    let own = !subject.buffers.is_empty();
    let batch_norm = if own { BatchNormPolicy::Own } else { BatchNormPolicy::None };
    CurvatureOf {
        on: EvaluatedOn {
            // Hessian-vector products are in f32 whatever the losses are evaluated in.
            precision: Precision::F32,
            precision_error: None,
            norm_stats: None,
            ..subject.evaluated_on(request.sample, objective, batch_norm)
        },
        largest: request.config.largest,
        smallest: request.config.smallest,
        tolerance: request.config.tolerance,
        matrix: request.matrix,
        parameters: request.parameters.clone(),
    }
}

/// The first thing in which `old` differs from what is asked for, for a message.
fn difference(old: &CurvatureOf, new: &CurvatureOf) -> String {
    let (on, wanted) = (&old.on, &new.on);
    if (on.split, on.samples) != (wanted.split, wanted.samples) {
        return format!(
            "on {} {} images and not {} {}",
            on.samples, on.split, wanted.samples, wanted.split
        );
    }
    if (on.sample_order, on.sample_seed) != (wanted.sample_order, wanted.sample_seed) {
        return "on another draw of images".into();
    }
    if (old.largest, old.smallest, old.tolerance) != (new.largest, new.smallest, new.tolerance) {
        return format!(
            "{} of the largest and {} of the smallest eigenvalues to {:e}",
            old.largest, old.smallest, old.tolerance
        );
    }
    "on other data or by another engine".into()
}
