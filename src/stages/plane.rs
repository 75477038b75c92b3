//! Runs to a plane: the one that their paths live in, or one through a last state.
//!
//! One run's plane and the joint plane of several are made the same way: all snapshots enter one
//! decomposition, every run weighing alike, and every run's path is seen on the plane that comes of it.
//! A joint plane is kept in a folder of its own that refers to the runs ([`Joint`]).

use std::path::Path;

use super::opened::{OpenRun, RunSet, architecture_words};
use crate::landscape::{
    About, Ignore, Normalisation, PathCoord, Plane, PlaneKind, PlaneOrigin, Rounding, RunPath,
    SnapshotRange, cosine, length, narrow, random_direction, unit, without,
};
use crate::network::{Network, ParamLayout};
use crate::record::{Existing, FORMAT_VERSION, Joint, Run, RunSnapshots, check_name, run_digest};
use crate::rng::Streams;
use crate::trajectory::{
    AxisKind, Centring, Gram, Joined, Null, NullInterval, Pca, PcaConfig, Projection, Snapshots,
    Weighting, is_by_displacements, joint_pca, null_of_path, pca, pca_of, project,
};
use crate::weights::hdf5;
use crate::{Error, Result};

/// How directions are made.
#[derive(Debug, Clone, PartialEq)]
pub enum Directions {
    /// Principal components of the path, or of a part of it.
    Pca(Principal),
    /// Drawn at random.
    Random {
        /// How they are scaled.
        norm: Normalisation,
        /// What they leave alone.
        ignore: Ignore,
        /// Seed of the draw.
        seed: u64,
    },
    /// The `xdirection` and `ydirection` of an HDF5 file of the paper's code.
    File(std::path::PathBuf),
    /// Two that somebody has found: [`super::river::plane`], [`super::plane_of_loss::plane`].
    Given {
        /// What they are.
        kind: PlaneKind,
        /// The same in words.
        made: String,
        /// The two, each (P,).
        vectors: Box<[Vec<f32>; 2]>,
    },
    /// From the end of the first of three runs to those of the others, orthogonal and of length 1.
    Minima,
}

/// Which principal components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Principal {
    /// About the mean of the path or not; a joint plane's are.
    pub centring: Centring,
    /// What each snapshot weighs.
    pub weighting: Weighting,
    /// The part of the run that they are of, and whose path is on the plane.
    pub range: SnapshotRange,
}

impl Default for Directions {
    /// Principal components about the mean of the path.
    fn default() -> Self {
        Self::Pca(Principal::default())
    }
}

impl Directions {
    /// The part of a run that a plane of these directions is of.
    pub(super) fn range(&self) -> SnapshotRange {
        match self {
            Self::Pca(principal) => principal.range,
            _ => SnapshotRange::default(),
        }
    }
}

/// How the random walk beside the path of one run was made.
const NULL_OF_ONE: &str = "a random walk with the lengths of the run's own steps between snapshots, in directions orthogonal to \
     each other (the limit of many parameters): computed, not simulated; the interval is that of walks \
     drawn in as many dimensions as the run has parameters";

/// Components of the walk that are kept for a picture of the spectrum.
const NULL_COMPONENTS: usize = 64;

/// How the random walks beside the paths of several runs were made.
const NULL_OF_SEVERAL: &str = "random walks, one a run, from the runs' own starts, with the squared lengths of the runs' own \
     steps between snapshots, in directions orthogonal to all others (the limit of many parameters): \
     computed, not simulated; the interval is that of walks drawn in as many dimensions";

/// Makes the plane of a run through its last finite state and writes it as `planes/NAME`.
///
/// # Errors
/// Those of reading the run; [`Error::Landscape`] when there is nothing to span a plane with.
pub fn of_run(run: &Run, directions: &Directions, name: &str) -> Result<Plane> {
    let plane = of_run_along(run, directions)?;
    RunSet::from(run.clone()).write_plane(name, &plane)?;
    Ok(plane)
}

/// The plane of [`of_run`], not written.
pub(super) fn of_run_along(run: &Run, directions: &Directions) -> Result<Plane> {
    let members = [member(OpenRun::new(run.clone()), directions.range())?];
    compute(&members, directions, PlaneOrigin::Final)
}

/// Makes the plane of `runs` together, of the centred principal components or through their ends, and writes it as
/// `planes/NAME` of the joint folder `out`.
///
/// # Errors
/// Those of reading the runs and of [`Joint::create`]; [`Error::Landscape`] for runs of different
/// networks, and for a run without a finite snapshot; [`Error::NoCommonStart`].
pub fn joint(
    out: &Path,
    runs: &[Run],
    (directions, origin): (&Directions, PlaneOrigin),
    name: &str,
    existing: Existing,
) -> Result<(RunSet, Plane)> {
    let member = |run: &Run| member(OpenRun::new(run.clone()), directions.range());
    let members = runs.iter().map(member).collect::<Result<Vec<_>>>()?;
    let mut plane = compute(&members, directions, origin)?;
    check_name("plane", name)?;
    // Nothing is touched before everything that can be refused has been.
    let joint = Joint::create(out, runs, existing)?;
    for (path, name) in plane.about.paths.iter_mut().zip(joint.names()) {
        path.run = name.into();
    }
    let set = RunSet::of_joint(joint)?;
    set.write_plane(name, &plane)?;
    Ok((set, plane))
}

/// A run with the snapshots that a plane is made of.
pub(super) struct Member {
    opened: OpenRun,
    name: String,
    snapshots: RunSnapshots,
    /// Snapshots at which the loss overflowed: they show where training broke, not where the path went.
    diverged: Vec<usize>,
}

/// A run opened to make a plane of its snapshots in `range`.
pub(super) fn member(opened: OpenRun, range: SnapshotRange) -> Result<Member> {
    let snapshots = opened.snapshots(|s| !s.diverged && range.contains(s.index))?;
    let all = opened.run().snapshots()?;
    if !range.is_whole() && snapshots.len() < 2 {
        let has = match (all.first(), all.last()) {
            (Some(first), Some(last)) => format!("it has {} to {}", first.index, last.index),
            _ => "it has none".into(),
        };
        let remedy = format!("name a part of the run with two snapshots or more: {has}");
        let problem = format!("no path: {} of them are in {}", snapshots.len(), opened.name());
        return Err(Error::bad_value("--snapshots", range, problem, remedy));
    }
    let diverged = all.into_iter().filter(|s| s.diverged && range.contains(s.index));
    let diverged = diverged.map(|s| s.index).collect();
    Ok(Member { name: opened.name(), opened, snapshots, diverged })
}

/// What two directions are, before any path is seen along them.
struct Axes {
    kind: PlaneKind,
    made: String,
    vectors: [Vec<f32>; 2],
    /// For each run the snapshots used: number among all, and number in the run.
    used: Vec<Vec<(usize, usize)>>,
    explained_variance: Vec<f64>,
    null_explained_variance: Vec<f64>,
    null_interval: Option<NullInterval>,
    null_spectrum: Vec<f64>,
    spectrum: Vec<f64>,
    /// The part of each run's variance that the plane holds, and that its own would.
    shares: Vec<(f64, f64)>,
    notes: Vec<String>,
}

/// The plane of `members`, not written.
pub(super) fn compute(
    members: &[Member],
    directions: &Directions,
    origin: PlaneOrigin,
) -> Result<Plane> {
    let layout_digest = one_network(members)?;
    if members.iter().all(|m| m.snapshots.is_empty()) {
        return Err(Error::Landscape {
            what: "the run diverged before its first snapshot".into(),
            remedy: "lower optim.lr and train again".into(),
        });
    }
    let snapshots: Vec<RunSnapshots> = members.iter().map(|m| m.snapshots.clone()).collect();
    let joined = Joined::new(&snapshots)?;
    let several = members.len() > 1;
    let mut axes = match directions {
        Directions::Pca(wanted) => principal(members, &snapshots, &joined, wanted)?,
        Directions::Minima => minima(members, &snapshots, &joined)?,
        drawn => {
            let used = places(&joined, &(0..joined.len()).collect::<Vec<_>>(), members.len());
            let (_, last) = used[0].last().expect("a run has snapshots");
            let theta = snapshots[0].state(*last)?.0;
            let (kind, made, vectors) = drawn_directions(snapshots[0].layout(), &theta, drawn)?;
            Axes::without_path(kind, made, vectors, used)
        }
    };
    let (origin, at) = origin_of(origin, &snapshots, &axes.used)?;
    let [x, y] = &mut axes.vectors;
    let mut seen = project(&joined, &at, x, y)?;
    if several {
        // Signs do not depend on the order of the runs: taken together they head right and up.
        for (axis, direction) in [x, y].into_iter().enumerate() {
            // The ends lie where the directions say.
            if axes.kind == PlaneKind::Minima {
                break;
            }
            let moved = |used: &Vec<(usize, usize)>| match (used.first(), used.last()) {
                (Some(first), Some(last)) => seen.coords[last.0][axis] - seen.coords[first.0][axis],
                _ => 0.0,
            };
            if axes.used.iter().map(moved).sum::<f64>() < 0.0 {
                direction.iter_mut().for_each(|d| *d = -*d);
                seen.coords.iter_mut().for_each(|c| c[axis] = -c[axis]);
            }
        }
        axes.notes.extend(differences(members)?);
        let place = match origin {
            PlaneOrigin::Start => "their common start".to_string(),
            PlaneOrigin::Mean => "the mean of their ends".to_string(),
            _ => format!("the end of {}", members[0].name),
        };
        axes.made += &format!("; origin: {place}");
    }
    let last = axes.used[0].last().expect("a run has snapshots").1;
    let (_, buffers) = snapshots[0].state(last)?;
    let path_of = |(run, member): (usize, &Member)| {
        let (infos, used) = (member.snapshots.infos(), &axes.used[run]);
        let coord = |&(i, own): &(usize, usize)| PathCoord {
            snapshot: infos[own].index,
            step: infos[own].step,
            epoch: infos[own].epoch,
            lr: infos[own].lr,
            x: seen.coords[i][0],
            y: seen.coords[i][1],
            off_plane_residual: seen.off_plane_residual[i],
        };
        let left_out = |own: &usize| used.iter().all(|(_, used)| used != own);
        let bad = (0..infos.len()).filter(left_out).map(|own| infos[own].index);
        let mut excluded: Vec<usize> = member.diverged.iter().copied().chain(bad).collect();
        excluded.sort_unstable();
        RunPath {
            run: member.name.clone(),
            explained_variance: axes.shares.get(run).map(|s| s.0),
            own_explained_variance: axes.shares.get(run).map(|s| s.1),
            path: used.iter().map(coord).collect(),
            excluded,
        }
    };
    let null = match (axes.null_explained_variance.is_empty(), several) {
        (true, _) => "",
        (false, false) => NULL_OF_ONE,
        (false, true) => NULL_OF_SEVERAL,
    };
    let rounding = rounding_of(&snapshots, &axes.used, &seen);
    let about = About {
        format_version: FORMAT_VERSION,
        kind: axes.kind,
        network: None,
        layout_digest,
        cosine: seen.cosine,
        null: null.into(),
        origin,
        range: Some(directions.range()).filter(|range| !range.is_whole()),
        weighting: match directions {
            Directions::Pca(wanted) => wanted.weighting,
            _ => Weighting::default(),
        },
        paths: members.iter().enumerate().map(path_of).collect(),
        made: axes.made,
        explained_variance: axes.explained_variance,
        null_explained_variance: axes.null_explained_variance,
        null_interval: axes.null_interval,
        null_spectrum: axes.null_spectrum,
        spectrum: axes.spectrum,
        seen: seen.seen(),
        notes: axes.notes,
        rounding,
    };
    let [x, y] = axes.vectors;
    Ok(Plane { origin: at, buffers, x, y, about })
}

impl Axes {
    /// Directions that do not come from a path.
    fn without_path(
        kind: PlaneKind,
        made: String,
        vectors: [Vec<f32>; 2],
        used: Vec<Vec<(usize, usize)>>,
    ) -> Self {
        let (explained_variance, null_explained_variance) = (vec![], vec![]);
        let (spectrum, shares, notes) = (vec![], vec![], vec![]);
        Self {
            kind,
            made,
            vectors,
            used,
            explained_variance,
            null_explained_variance,
            null_interval: None,
            null_spectrum: vec![],
            spectrum,
            shares,
            notes,
        }
    }
}

/// The principal components of one path, or of several together.
fn principal(
    members: &[Member],
    snapshots: &[RunSnapshots],
    joined: &Joined<'_, RunSnapshots>,
    &Principal { centring, weighting, range }: &Principal,
) -> Result<Axes> {
    let several = members.len() > 1;
    let names = || members.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(", ");
    let (found, mut null, shares) = if several {
        let found = joint_pca(snapshots, 0).map_err(|error| match error {
            Error::Landscape { what, remedy } => {
                Error::Landscape { what: format!("{what} (runs: {})", names()), remedy }
            }
            other => other,
        })?;
        let shares = found.held_of_run.into_iter().zip(found.own_of_run).collect();
        let (explained_variance, interval) = (found.null_explained_variance, found.null_interval);
        (found.pca, Null { explained_variance, interval }, shares)
    } else {
        let config = PcaConfig { centring, weighting, ..PcaConfig::default() };
        let found = of_one(members[0].opened.run(), &snapshots[0], &config, range)?;
        let components = found.gram.used.len().clamp(2, NULL_COMPONENTS);
        let how = (centring, weighting);
        let null = null_of_path(&found.gram, snapshots[0].dim(), components, how)?;
        let share = found.explained_variance.iter().sum();
        (found, null, vec![(share, share)])
    };
    let (kind, mut made) = match (several, centring) {
        (true, _) => (
            PlaneKind::Joint,
            format!(
                "principal components of the paths of {} together, each run weighing alike, columns \
                 centred",
                names()
            ),
        ),
        (false, Centring::Centred) => {
            (PlaneKind::Pca, "principal components of the path, columns centred".into())
        }
        (false, Centring::Uncentred) => (
            PlaneKind::PcaUncentred,
            "principal components of the displacements, not centred".into(),
        ),
    };
    if weighting == Weighting::PathLength {
        made += ", weighted evenly in path length";
    }
    if !range.is_whole() {
        made += &match range.to {
            Some(to) => format!(", of the snapshots {} to {to}", range.from),
            None => format!(", of the snapshots from {} on", range.from),
        };
    }
    let random = found.axes.iter().enumerate().filter(|(_, kind)| **kind == AxisKind::Random);
    let what = if several { "paths span" } else { "path spans" };
    let notes = random
        .map(|(axis, _)| {
            format!("axis {} is drawn at random: the {what} fewer dimensions", axis + 1)
        })
        .collect();
    let null_spectrum = if several { vec![] } else { null.explained_variance.clone() };
    null.explained_variance.truncate(2);
    Ok(Axes {
        kind,
        made,
        vectors: found.directions(joined)?.try_into().expect("two axes were asked for"),
        used: places(joined, &found.gram.used, members.len()),
        explained_variance: found.explained_variance,
        null_explained_variance: null.explained_variance,
        null_interval: null.interval,
        null_spectrum,
        spectrum: found.spectrum,
        shares,
        notes,
    })
}

/// The directions through the ends of three runs.
fn minima(
    members: &[Member],
    snapshots: &[RunSnapshots],
    joined: &Joined<'_, RunSnapshots>,
) -> Result<Axes> {
    let [a, b, c] = snapshots else {
        return Err(Error::bad_value(
            "--directions",
            "minima",
            format!("but {} runs are given", snapshots.len()),
            "name three: the plane goes through their ends",
        ));
    };
    let used = places(joined, &(0..joined.len()).collect::<Vec<_>>(), members.len());
    let end = |run: &RunSnapshots, of: usize| -> Result<Vec<f32>> {
        let last = used[of].last().ok_or_else(|| Error::Landscape {
            what: format!("{} has no snapshot that is finite", members[of].name),
            remedy: "leave that run out".into(),
        })?;
        Ok(run.state(last.1)?.0)
    };
    let (a, b, c) = (end(a, 0)?, end(b, 1)?, end(c, 2)?);
    let from_a = |to: &[f32]| -> Vec<f64> {
        to.iter().zip(&a).map(|(to, a)| f64::from(*to) - f64::from(*a)).collect()
    };
    let (to_b, to_c) = (from_a(&b), from_a(&c));
    let (b_length, c_length) = (length(&to_b), length(&to_c));
    let x = unit(to_b);
    let y = x.as_ref().and_then(|x| {
        let rest = without(to_c, x);
        Some(rest).filter(|rest| length(rest) > 1e-6 * c_length).and_then(unit)
    });
    let (Some(x), Some(y)) = (x, y) else {
        return Err(Error::Landscape {
            what: "the ends of the three runs lie on one line, or two of them are the same".into(),
            remedy: "name runs that end at different weights (another train.seed)".into(),
        });
    };
    let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
    let made = format!(
        "through the ends of {}, {} and {}: the second lies {b_length:.4} from the first along x, the third \
         {c_length:.4} from it",
        names[0], names[1], names[2]
    );
    Ok(Axes::without_path(PlaneKind::Minima, made, [narrow(&x), narrow(&y)], used))
}

/// How large the rounding of the snapshots is beside the path; `None` where none is rounded.
fn rounding_of(
    snapshots: &[RunSnapshots],
    used: &[Vec<(usize, usize)>],
    seen: &Projection,
) -> Option<Rounding> {
    let of_run = |(run, used): (&RunSnapshots, &Vec<(usize, usize)>)| -> Vec<[f64; 2]> {
        used.iter().map(|&(i, own)| [run.infos()[own].rounding, seen.distance[i]]).collect()
    };
    let all: Vec<[f64; 2]> = snapshots.iter().zip(used).flat_map(of_run).collect();
    Rounding::of(&all)
}

/// The principal components of one path, of a whole run from the inner products that the run keeps.
fn of_one(
    run: &Run,
    snapshots: &RunSnapshots,
    config: &PcaConfig,
    range: SnapshotRange,
) -> Result<Pca> {
    // What the run keeps is of all its snapshots: those of a part would take its place.
    if !range.is_whole() || is_by_displacements(snapshots.len(), snapshots.dim()) {
        return pca(snapshots, config);
    }
    let inner = run.inner_products(snapshots, config.memory_bytes)?;
    Ok(pca_of(Gram::of(inner, config.origin)?, config))
}

/// For each run the snapshots `used`: number among all, and number in the run.
fn places(
    joined: &Joined<'_, RunSnapshots>,
    used: &[usize],
    runs: usize,
) -> Vec<Vec<(usize, usize)>> {
    let groups = joined.groups();
    let mut places = vec![Vec::new(); runs];
    for &i in used {
        let first = groups.partition_point(|group| *group < groups[i]);
        places[groups[i]].push((i, i - first));
    }
    places
}

/// The layout digest that all members have.
fn one_network(members: &[Member]) -> Result<String> {
    let digests: Vec<String> = members.iter().map(|m| m.snapshots.layout().digest()).collect();
    let Some(first) = digests.first() else {
        return Err(Error::bad_value("RUN", "", "not given", "name two runs or more"));
    };
    if let Some(other) = digests.iter().position(|digest| digest != first) {
        let describe = |m: &Member| -> Result<String> {
            let (net, layout) = (m.opened.description()?, m.snapshots.layout());
            Ok(format!("{} is {net} with {} parameters", m.name, layout.dim()))
        };
        return Err(Error::Landscape {
            what: format!(
                "the runs' weights do not mean the same: {}, {} (their layouts differ)",
                describe(&members[0])?,
                describe(&members[other])?
            ),
            remedy: "join runs of one architecture, width and shortcut".into(),
        });
    }
    Ok(first.clone())
}

/// In what the runs of a joint plane differ that a reader of the picture should know.
fn differences(members: &[Member]) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let digests: Vec<String> =
        members.iter().map(|m| run_digest(m.opened.run())).collect::<Result<_>>()?;
    for (i, member) in members.iter().enumerate() {
        let twins = members[..i].iter().zip(&digests).filter(|(_, digest)| **digest == digests[i]);
        notes.extend(twins.map(|(other, _)| {
            format!("{} and {} are the same run twice", other.name, member.name)
        }));
    }
    let differ = |of: &dyn Fn(&Member) -> Result<String>| -> Result<bool> {
        let all = members.iter().map(of).collect::<Result<Vec<_>>>()?;
        Ok(all.iter().any(|one| *one != all[0]))
    };
    if differ(&|m| Ok(m.opened.run().manifest()?.data_digest))? {
        notes.push("the runs were trained on different data: a surface shows that of one".into());
    }
    let model = |m: &Member| match m.opened.spec() {
        Ok(spec) => Ok(format!("{:?}", spec.model)),
        Err(Error::NoSpec { .. }) => m.opened.description(),
        Err(error) => Err(error),
    };
    if differ(&model)? {
        notes.push("the runs' [model] tables differ: a surface shows the network of one".into());
    }
    Ok(notes)
}

/// The origin asked for, never `auto`, and where it is, (P,).
fn origin_of(
    wanted: PlaneOrigin,
    snapshots: &[RunSnapshots],
    used: &[Vec<(usize, usize)>],
) -> Result<(PlaneOrigin, Vec<f32>)> {
    let end = |run: usize| snapshots[run].state(used[run].last().expect("runs have snapshots").1);
    if wanted == PlaneOrigin::Final {
        return Ok((wanted, end(0)?.0));
    }
    if wanted != PlaneOrigin::Mean {
        if let Some(start) = common_start(snapshots)? {
            return Ok((PlaneOrigin::Start, start));
        }
        if wanted == PlaneOrigin::Start {
            return Err(Error::NoCommonStart);
        }
    }
    let mut sum = vec![0.0f64; snapshots[0].dim()];
    for run in 0..snapshots.len() {
        sum.iter_mut().zip(end(run)?.0).for_each(|(s, w)| *s += f64::from(w));
    }
    let mean = sum.iter().map(|s| (s / snapshots.len() as f64) as f32).collect();
    Ok((PlaneOrigin::Mean, mean))
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

/// Directions that do not come from a path.
fn drawn_directions(
    layout: &ParamLayout,
    theta: &[f32],
    directions: &Directions,
) -> Result<(PlaneKind, String, [Vec<f32>; 2])> {
    match directions {
        Directions::Random { norm, ignore, seed } => {
            let draw = |i| random_direction(layout, theta, *norm, *ignore, &Streams::new(*seed), i);
            let made = format!("random directions, {}", draw_words(*norm, *ignore, *seed));
            Ok((PlaneKind::Random, made, [draw(0), draw(1)]))
        }
        Directions::File(path) => {
            let file = hdf5::read_directions(path)?;
            let y = file.y.ok_or_else(|| Error::OneDirection { path: path.clone() })?;
            let axes = [flat_direction(layout, &file.x, path)?, flat_direction(layout, &y, path)?];
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((PlaneKind::File, format!("directions of {name}"), axes))
        }
        Directions::Given { kind, made, vectors } => Ok((*kind, made.clone(), (**vectors).clone())),
        Directions::Pca(_) | Directions::Minima => {
            unreachable!("these directions come from paths")
        }
    }
}

/// How random directions were drawn: `filter normalised, biases and BatchNorm unchanged, seed 0`.
pub(super) fn draw_words(norm: Normalisation, ignore: Ignore, seed: u64) -> String {
    let unchanged = match ignore {
        Ignore::BiasBn => ", biases and BatchNorm unchanged",
        Ignore::None => "",
    };
    format!("{norm} normalised{unchanged}, seed {seed}")
}

/// A direction of the paper's code, one tensor a parameter in order, as a flat vector.
///
/// # Errors
/// [`Error::BadFile`] when count or shapes are not the network's.
pub fn flat_direction(
    layout: &ParamLayout,
    tensors: &[crate::weights::NamedTensor],
    path: &Path,
) -> Result<Vec<f32>> {
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "use a direction made for this network".into(),
        path: path.to_path_buf(),
    };
    if tensors.len() != layout.params.len() {
        return Err(bad(format!(
            "the direction has {} tensors, the network {}",
            tensors.len(),
            layout.params.len()
        )));
    }
    let mut flat = Vec::with_capacity(layout.dim());
    for (tensor, param) in tensors.iter().zip(&layout.params) {
        if tensor.shape != param.shape {
            return Err(bad(format!(
                "tensor {} of the direction is {:?}, {} is {:?}",
                tensor.name, tensor.shape, param.name, param.shape
            )));
        }
        flat.extend_from_slice(&tensor.data);
    }
    Ok(flat)
}

/// A plane through given weights (a file's), with no path on it.
///
/// # Errors
/// Those of reading a direction file; [`Error::NoPath`] for PCA, which needs one.
pub fn through_point(
    network: &Network,
    theta: &[f32],
    buffers: &[f32],
    directions: &Directions,
) -> Result<Plane> {
    if matches!(directions, Directions::Pca(_) | Directions::Minima) {
        return Err(Error::NoPath { what: "a file of weights" });
    }
    let (kind, made, [x, y]) = drawn_directions(&network.layout, theta, directions)?;
    let about = About {
        format_version: FORMAT_VERSION,
        kind,
        made,
        network: Some(architecture_words(&network.arch)),
        layout_digest: network.layout.digest(),
        cosine: cosine(&x, &y),
        explained_variance: vec![],
        null_explained_variance: vec![],
        null_interval: None,
        null_spectrum: vec![],
        null: String::new(),
        origin: PlaneOrigin::Final,
        range: None,
        weighting: Weighting::default(),
        spectrum: vec![],
        paths: vec![],
        notes: vec![],
        seen: None,
        rounding: None,
    };
    Ok(Plane { origin: theta.to_vec(), buffers: buffers.to_vec(), x, y, about })
}
