//! Runs to one plane, and the loss over it.
//!
//! The plane holds the paths of several runs as well as two dimensions can ([`joint_pca`]); its
//! folder refers to the runs ([`Joint`]). A surface over it is that of one run's network, with that
//! run's last BatchNorm statistics frozen; which run, the surface says.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::surface::{SurfaceRequest, grid_around, header};
use super::{Progress, Subject};
use crate::backend::{BackendName, backend_in};
use crate::landscape::{
    About, Grid, JointLoss, JointLosses, JointOrigin, JointPaths, PathCoord, Plane, PlaneKind,
    RunPath, SurfaceReport, SurfaceStore, evaluate, theta_at,
};
use crate::objective::{DatasetObjective, Objective};
use crate::parallel;
use crate::record::{Existing, FORMAT_VERSION, Joint, Run, RunSnapshots, run_digest};
use crate::spec::Spec;
use crate::trajectory::{AxisKind, Joined, JointPca, Snapshots, joint_pca, project};
use crate::{Error, Result};

/// How snapshots weigh, as `paths/NAME.json` says it.
const WEIGHTING: &str =
    "each run alike: a snapshot of a run of n weighs 1/n, and the mean is weighted likewise";

/// What the null is, as `paths/NAME.json` says it.
const NULL: &str = "random walks, one a run, from the runs' own starts, with the squared lengths \
     of the runs' own steps between snapshots, in directions orthogonal to all others (the limit of \
     many parameters): computed, not simulated";

/// A run opened for joining.
struct Member {
    name: String,
    spec: Spec,
    data_digest: String,
    digest: String,
    snapshots: RunSnapshots,
    excluded: Vec<usize>,
}

/// Makes the plane of `runs` together and writes it as `planes/NAME` of the joint folder `out`.
///
/// # Errors
/// Those of reading the runs and of [`Joint::create`]; [`Error::Landscape`] for runs of different
/// networks, for a run without a finite snapshot, and for `start` where there is no common one.
pub fn plane(
    out: &Path,
    runs: &[Run],
    origin: JointOrigin,
    name: &str,
    existing: Existing,
) -> Result<(Joint, Plane, JointPaths)> {
    let members = runs.iter().map(member).collect::<Result<Vec<_>>>()?;
    let layout_digest = one_network(&members)?;
    let snapshots: Vec<RunSnapshots> = members.iter().map(|m| m.snapshots.clone()).collect();
    let found = joint_pca(&snapshots, 0).map_err(|error| match error {
        Error::Landscape { what, remedy } => {
            let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
            Error::Landscape { what: format!("{what} (runs: {})", names.join(", ")), remedy }
        }
        other => other,
    })?;
    let joined = Joined::new(&snapshots)?;
    let [mut x, mut y]: [Vec<f32>; 2] =
        found.pca.directions(&joined)?.try_into().expect("two axes were asked for");
    let used = used_of_runs(&found, &joined);
    let (origin, at) = origin_of(origin, &snapshots, &used)?;
    let mut seen = project(&joined, &at, &x, &y)?;
    if runs.len() > 1 {
        // Signs do not depend on the order of the runs: taken together they head right and up.
        for (axis, direction) in [&mut x, &mut y].into_iter().enumerate() {
            let moved = |used: &Vec<(usize, usize)>| match (used.first(), used.last()) {
                (Some(first), Some(last)) => seen.coords[last.0][axis] - seen.coords[first.0][axis],
                _ => 0.0,
            };
            if used.iter().map(moved).sum::<f64>() < 0.0 {
                direction.iter_mut().for_each(|d| *d = -*d);
                seen.coords.iter_mut().for_each(|c| c[axis] = -c[axis]);
            }
        }
    }
    let (_, buffers) = snapshots[0].state(used[0].last().expect("a run has snapshots").1)?;

    let about = about(&members, &found, origin, layout_digest, seen.cosine);
    let plane = Plane { origin: at, buffers, x, y, about };
    let path_of = |(run, member): (usize, &Member)| {
        let infos = member.snapshots.infos();
        let coord = |&(i, own): &(usize, usize)| PathCoord {
            snapshot: infos[own].index,
            step: infos[own].step,
            epoch: infos[own].epoch,
            lr: infos[own].lr,
            x: seen.coords[i][0],
            y: seen.coords[i][1],
            off_plane_residual: seen.off_plane_residual[i],
        };
        let kept = |own: usize| used[run].iter().any(|(_, used)| *used == own);
        let bad = (0..infos.len()).filter(|&own| !kept(own)).map(|own| infos[own].index);
        let mut excluded: Vec<usize> = member.excluded.iter().copied().chain(bad).collect();
        excluded.sort_unstable();
        RunPath {
            name: member.name.clone(),
            explained_variance: found.held_of_run[run],
            own_explained_variance: found.own_of_run[run],
            path: used[run].iter().map(coord).collect(),
            excluded,
        }
    };
    let mut paths = JointPaths {
        format_version: FORMAT_VERSION,
        plane_digest: plane.digest(),
        origin,
        weighting: WEIGHTING.into(),
        null: NULL.into(),
        runs: members.iter().enumerate().map(path_of).collect(),
    };
    // Nothing is touched before everything that can be refused has been.
    let joint = Joint::create(out, runs, existing)?;
    for (run, name) in paths.runs.iter_mut().zip(joint.names()) {
        run.name = name.into();
    }
    plane.write(&joint.plane_path(name))?;
    paths.write(&joint.paths_path(name))?;
    Ok((joint, plane, paths))
}

fn member(run: &Run) -> Result<Member> {
    let spec = Spec::parse(&run.spec_toml()?, &[])?;
    let (shape, classes) = spec.data.set.form();
    let network = spec.model.build(shape, classes)?;
    // A snapshot whose loss overflowed tells where training broke, not where the path went.
    let (kept, diverged): (Vec<_>, Vec<_>) =
        run.snapshots()?.into_iter().partition(|s| !s.diverged);
    Ok(Member {
        name: run.name(),
        data_digest: run.manifest()?.data_digest,
        digest: run_digest(run)?,
        snapshots: RunSnapshots::new(kept, network.layout),
        excluded: diverged.into_iter().map(|s| s.index).collect(),
        spec,
    })
}

/// The layout digest that all members have.
fn one_network(members: &[Member]) -> Result<String> {
    let digests: Vec<String> = members.iter().map(|m| m.snapshots.layout().digest()).collect();
    let Some(first) = digests.first() else {
        return Err(Error::bad_value("RUN", "", "not given", "name two runs or more"));
    };
    if let Some(other) = digests.iter().position(|digest| digest != first) {
        let describe = |m: &Member| {
            let (model, layout) = (&m.spec.model, m.snapshots.layout());
            format!("{} is {} with {} parameters", m.name, model.arch, layout.dim())
        };
        return Err(Error::Landscape {
            what: format!(
                "the runs' weights do not mean the same: {}, {} (their layouts differ)",
                describe(&members[0]),
                describe(&members[other])
            ),
            remedy: "join runs of one architecture, width and shortcut".into(),
        });
    }
    Ok(first.clone())
}

/// For each run the snapshots that were used: number among all, and number in the run.
fn used_of_runs(found: &JointPca, joined: &Joined<'_, RunSnapshots>) -> Vec<Vec<(usize, usize)>> {
    let groups = joined.groups();
    let runs = groups.last().map_or(0, |last| last + 1);
    let mut used = vec![Vec::new(); runs];
    for &i in &found.pca.gram.used {
        let first = groups.partition_point(|group| *group < groups[i]);
        used[groups[i]].push((i, i - first));
    }
    used
}

/// The origin asked for, never `auto`, and where it is, (P,).
fn origin_of(
    wanted: JointOrigin,
    snapshots: &[RunSnapshots],
    used: &[Vec<(usize, usize)>],
) -> Result<(JointOrigin, Vec<f32>)> {
    let end = |run: usize| snapshots[run].state(used[run].last().expect("runs have snapshots").1);
    if wanted == JointOrigin::Final {
        return Ok((wanted, end(0)?.0));
    }
    if wanted != JointOrigin::Mean {
        if let Some(start) = common_start(snapshots)? {
            return Ok((JointOrigin::Start, start));
        }
        if wanted == JointOrigin::Start {
            return Err(Error::Landscape {
                what: "the runs do not start from one point".into(),
                remedy: "train them with one train.seed and one [model], or use --origin mean"
                    .into(),
            });
        }
    }
    let mut sum = vec![0.0f64; snapshots[0].dim()];
    for run in 0..snapshots.len() {
        sum.iter_mut().zip(end(run)?.0).for_each(|(s, w)| *s += f64::from(w));
    }
    let mean = sum.iter().map(|s| (s / snapshots.len() as f64) as f32).collect();
    Ok((JointOrigin::Mean, mean))
}

/// The first snapshot of every run, where it is the initial state and the same in all.
fn common_start(snapshots: &[RunSnapshots]) -> Result<Option<Vec<f32>>> {
    let mut common: Option<Vec<f32>> = None;
    for run in snapshots {
        if run.infos().first().is_none_or(|info| info.step != 0) {
            return Ok(None);
        }
        let start = run.state(0)?.0;
        if !start.iter().all(|w| w.is_finite()) || common.as_ref().is_some_and(|c| *c != start) {
            return Ok(None);
        }
        common = Some(start);
    }
    Ok(common)
}

fn about(
    members: &[Member],
    found: &JointPca,
    origin: JointOrigin,
    layout_digest: String,
    cosine: f64,
) -> About {
    let mut notes = Vec::new();
    for (axis, kind) in found.pca.axes.iter().enumerate() {
        if *kind == AxisKind::Random {
            notes.push(format!(
                "axis {} is drawn at random: the paths span fewer dimensions",
                axis + 1
            ));
        }
    }
    for (i, member) in members.iter().enumerate() {
        let twins = members[..i].iter().filter(|other| other.digest == member.digest);
        notes.extend(
            twins.map(|o| format!("{} and {} are the same run twice", o.name, member.name)),
        );
    }
    let differ = |f: &dyn Fn(&Member) -> String| members.iter().any(|m| f(m) != f(&members[0]));
    if differ(&|m| m.data_digest.clone()) {
        notes.push("the runs were trained on different data: a surface shows that of one".into());
    }
    if differ(&|m| format!("{:?}", m.spec.model)) {
        notes.push("the runs' [model] tables differ: a surface shows the network of one".into());
    }
    let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
    let place = match origin {
        JointOrigin::Start => "their common start".to_string(),
        JointOrigin::Mean => "the mean of their ends".to_string(),
        _ => format!("the end of {}", names[0]),
    };
    About {
        format_version: FORMAT_VERSION,
        kind: PlaneKind::Joint,
        made: format!(
            "principal components of the paths of {} together, each run weighing alike, columns \
             centred; origin: {place}",
            names.join(", ")
        ),
        layout_digest,
        cosine,
        explained_variance: found.pca.explained_variance.clone(),
        null_explained_variance: found.null_explained_variance.clone(),
        spectrum: found.pca.spectrum.clone(),
        path: vec![],
        excluded: vec![],
        notes,
    }
}

/// The run whose network, data and last BatchNorm statistics a surface has: `named`, or the first.
///
/// # Errors
/// Those of opening it; [`Error::UnknownName`].
pub fn subject(
    joint: &Joint,
    named: Option<&str>,
    engine: Option<BackendName>,
) -> Result<(String, Subject)> {
    let index = named.map_or(Ok(0), |name| joint.index_of(name))?;
    let run = joint.runs()?.swap_remove(index);
    let subject = Subject::of_run(&run, None, engine)?;
    Ok((joint.names()[index].to_string(), subject))
}

/// The grid that a request means: it holds all paths with a margin, where no range is given.
pub fn grid_of(plane: &Plane, paths: &JointPaths, request: &SurfaceRequest) -> Grid {
    match request.range {
        Some(_) => super::surface::grid_of(plane, request),
        None => grid_around(&paths.coords(), plane, request.size).squarer(),
    }
}

/// Plane and paths `name` of a joint folder.
///
/// # Errors
/// Those of reading them; [`Error::Landscape`] where they do not belong together.
pub fn open_plane(joint: &Joint, name: &str) -> Result<(Plane, JointPaths)> {
    let plane = Plane::read(&joint.plane_path(name))?;
    let paths = JointPaths::read(&joint.paths_path(name))?;
    if paths.plane_digest != plane.digest() || paths.runs.len() != joint.names().len() {
        return Err(Error::Landscape {
            what: format!(
                "the paths and the plane `{name}` of {} do not belong together",
                joint.name()
            ),
            remedy: "make the plane again: lossreel plane RUN RUN ... --out JOINT".into(),
        });
    }
    Ok((plane, paths))
}

/// Evaluates the surface of `subject`, which is the run `of`, over a joint plane into `folder`, going
/// on where an earlier call was interrupted.
///
/// # Errors
/// Those of [`SurfaceStore::begin`] and [`evaluate`].
pub fn surface(
    (of, subject): (&str, &Subject),
    (plane, paths): (&Plane, &JointPaths),
    folder: &Path,
    request: &SurfaceRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(SurfaceStore, SurfaceReport)> {
    let objective = subject.objective(request.sample)?;
    let grid = grid_of(plane, paths, request);
    let mut header = header(subject, plane, grid, request.sample, &objective);
    header.batch_norm = match subject.buffers.is_empty() {
        true => "none in the network".into(),
        false => format!("frozen at the last state of {of}"),
    };
    let mut store = SurfaceStore::begin(folder, header, request.replace)?;
    let plane = [plane.origin.as_slice(), &plane.x, &plane.y];
    let report = evaluate(&mut store, plane, &objective, interrupt, progress)?;
    Ok((store, report))
}

/// Evaluates every snapshot of every run on the surface's sample: itself, with its own network and
/// statistics, and its shadow on the plane as the surface has it. What is done stays done.
///
/// # Errors
/// Those of reading snapshots, of the backend and of the disk; [`Error::Interrupted`].
pub fn path_losses(
    joint: &Joint,
    subject: &Subject,
    (plane, paths): (&Plane, &JointPaths),
    store: &SurfaceStore,
    request: &SurfaceRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<JointLosses> {
    let frozen = subject.objective(request.sample)?;
    let mut losses = JointLosses::open(store.folder())?;
    let total: usize = paths.runs.iter().map(|run| run.path.len()).sum();
    let mut done = losses.done.len();
    progress(done, total);
    for (run, path) in joint.runs()?.iter().zip(&paths.runs) {
        let own = own_objective(run, subject, &frozen)?;
        let snapshots = RunSnapshots::new(run.snapshots()?, subject.network().layout.clone());
        let missing: Vec<&PathCoord> =
            path.path.iter().filter(|p| losses.get(&path.name, p.snapshot).is_none()).collect();
        for chunk in missing.chunks(2 * parallel::threads()) {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted {
                    remedy: "all cells are kept: the same command goes on from there".into(),
                });
            }
            let found = parallel::map(chunk, |point| {
                let index = snapshots.infos().iter().position(|s| s.index == point.snapshot);
                let index = index.ok_or_else(|| Error::Landscape {
                    what: format!(
                        "the plane knows snapshot {} of {}, the run does not",
                        point.snapshot, path.name
                    ),
                    remedy: "make the plane again: lossreel plane RUN RUN ... --out JOINT".into(),
                })?;
                let (theta, buffers) = snapshots.state(index)?;
                let shadow = theta_at(&plane.origin, &plane.x, &plane.y, [point.x, point.y]);
                Ok(JointLoss {
                    run: path.name.clone(),
                    snapshot: point.snapshot,
                    true_loss: own.with_buffers(buffers)?.loss(&theta)?.loss,
                    plane_loss: frozen.loss(&shadow)?.loss,
                })
            })?;
            done += found.len();
            losses.append(found)?;
            progress(done, total);
        }
    }
    Ok(losses)
}

/// The surface's sample seen by a run's own network (its dropout and activation may differ).
fn own_objective(
    run: &Run,
    subject: &Subject,
    frozen: &DatasetObjective,
) -> Result<DatasetObjective> {
    let spec = Spec::parse(&run.spec_toml()?, &[])?;
    let network = spec.model.build(subject.data.shape(), subject.data.classes)?;
    let engine = &subject.backend;
    let engine = backend_in(engine.precision(), engine.name(), std::sync::Arc::new(network))?;
    frozen.with_backend(engine, subject.buffers.clone())
}
