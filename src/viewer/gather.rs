//! Runs, joint folders, sweeps, files and functions as the content of a page.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::arrays::Arrays;
use super::content::{
    Content, FORMAT_VERSION, Field, Layers, Origin, PathInfo, PathLossInfo, PlaneInfo, RunInfo,
    Subject, SurfaceInfo, colormaps, themes,
};
use super::convexity;
use super::course::{Times, series};
use super::files;
use crate::disk;
use crate::landscape::{Cell, Header, Plane, PlaneKind, RunPath, Stack, SurfaceStore};
use crate::objective::TestFunction;
use crate::optim::RuleName;
use crate::record::{RunSnapshots, SnapshotInfo, Status};
use crate::render::numbers::{fixed, number, significant, thousands};
use crate::stages::provenance::{ErrorOf, capital, count, error, points, sample};
use crate::stages::sharpness::Sharpness;
use crate::stages::{OpenRun, RunSet};
use crate::train::Verdict;
use crate::trajectory::project;
use crate::{Error, Result};

/// What a page shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageRequest {
    /// Runs, joint folders and sweeps.
    pub folders: Vec<PathBuf>,
    /// Surfaces of the paper's code (HDF5).
    pub grid_files: Vec<PathBuf>,
    /// Functions of two variables.
    pub functions: Vec<TestFunction>,
    /// Which surface of each run; all of them by default.
    pub surface: Option<String>,
    /// Headline.
    pub title: Option<String>,
    /// Titles of folders, files and functions, none or one for each.
    pub titles: Vec<String>,
}

/// Whether what is not there yet is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It is: the page is written once.
    No,
    /// It is not: the page is renewed, and says what it waits for.
    Yes,
}

/// A page's content with its numbers.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The header.
    pub content: Content,
    /// The numbers.
    pub arrays: Arrays,
}

/// Where a snapshot is on a plane, by the plane's digest, the snapshot's file and its step.
type Projected = HashMap<(String, PathBuf, u64), [f64; 3]>;

/// A run among those of a folder of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is called.
    pub name: String,
    /// Its folder.
    pub run: PathBuf,
}

/// The runs of a folder of many (a sweep), `None` for a folder that is a run itself.
pub type Expand = fn(&Path) -> Result<Option<Vec<Member>>>;

/// Opens what pages show. Keeps what is slow to compute for the next page.
#[derive(Debug)]
pub struct Gatherer {
    expand: Expand,
    projected: Projected,
}

impl Gatherer {
    /// A gatherer that takes folders of many runs as `expand` says.
    pub fn new(expand: Expand) -> Self {
        Self { expand, projected: Projected::new() }
    }

    /// The content of the page that is asked for.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a request of nothing and for titles of another number; those of opening
    /// what is asked for; [`Error::NoSurface`] for a run without a surface, unless it is waited for.
    pub fn gather(&mut self, request: &PageRequest, waiting: Waiting) -> Result<Gathered> {
        let asked = request.folders.len() + request.grid_files.len() + request.functions.len();
        if asked == 0 {
            let remedy = "name a run folder, --grid-file or --function";
            return Err(Error::bad_value("RUN", "", "nothing to show", remedy));
        }
        if !request.titles.is_empty() && request.titles.len() != asked {
            let problem = format!("titles for {asked} runs, files and functions");
            let remedy = "give one for each";
            return Err(Error::bad_value("panel_titles", request.titles.len(), problem, remedy));
        }
        let mut arrays = Arrays::default();
        let (mut subjects, mut notes) = (Vec::new(), Vec::new());
        let mut titles = request.titles.iter().map(String::as_str);
        for folder in &request.folders {
            let title = titles.next();
            let mut work = Work {
                wanted: request.surface.as_deref(),
                expand: self.expand,
                waiting,
                arrays: &mut arrays,
                notes: &mut notes,
                projected: &mut self.projected,
            };
            match work.folder(folder, title) {
                Ok(found) => subjects.extend(found),
                Err(error) if waiting == Waiting::Yes && !is_gone(folder) => {
                    notes.push(format!("{}: {error}", name_of(folder)));
                }
                Err(error) => return Err(error),
            }
        }
        for path in &request.grid_files {
            subjects.push(files::grid_file(path, titles.next(), &mut arrays)?);
        }
        for function in &request.functions {
            subjects.push(files::function(*function, titles.next(), &mut arrays));
        }
        tell_apart(&mut subjects);
        let title = request.title.clone().unwrap_or_else(|| headline(&subjects));
        let content = Content {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION"),
            title,
            live: waiting == Waiting::Yes,
            subjects,
            notes,
            themes: themes(),
            colormaps: colormaps()?,
        };
        Ok(Gathered { content, arrays })
    }
}

/// Gives subjects of one title their names as well.
fn tell_apart(subjects: &mut [Subject]) {
    let titles: Vec<String> = subjects.iter().map(|subject| subject.title.clone()).collect();
    for (i, subject) in subjects.iter_mut().enumerate() {
        if titles.iter().enumerate().any(|(k, title)| k != i && *title == titles[i])
            && subject.name != subject.title
        {
            subject.title = format!("{} ({})", subject.title, subject.name);
        }
    }
}

/// Whether a folder is not there at all, which no waiting mends.
fn is_gone(folder: &Path) -> bool {
    !folder.is_dir()
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}

fn headline(subjects: &[Subject]) -> String {
    match subjects {
        [one] => match one.origin {
            Origin::Function => one.title.clone(),
            Origin::File => format!("The loss surface {}", one.title),
            Origin::Run => format!("The path of {} on its loss surface", one.title),
            Origin::Joint => format!("Paths on one loss surface: {}", one.title),
        },
        many if many.iter().all(|s| s.origin == Origin::Function) => "Test functions".into(),
        _ => "Loss surfaces".into(),
    }
}

/// What the subjects of one page are gathered with.
struct Work<'a> {
    wanted: Option<&'a str>,
    expand: Expand,
    waiting: Waiting,
    arrays: &'a mut Arrays,
    notes: &'a mut Vec<String>,
    projected: &'a mut Projected,
}

impl Work<'_> {
    /// A run, a joint folder, or the runs of a folder of many.
    fn folder(&mut self, folder: &Path, title: Option<&str>) -> Result<Vec<Subject>> {
        match (self.expand)(folder)? {
            Some(members) => self.members(folder, &members),
            None => Ok(vec![self.set(&RunSet::open(folder)?, folder, title)?]),
        }
    }

    /// Those of `members` that have begun and, unless that is waited for, have a surface.
    fn members(&mut self, folder: &Path, members: &[Member]) -> Result<Vec<Subject>> {
        let mut found = Vec::new();
        for Member { name, run } in members {
            if !disk::is_there(run)? {
                continue;
            }
            let subject = RunSet::open(run).and_then(|set| self.set(&set, run, Some(name)));
            match subject {
                Ok(subject) => found.push(subject),
                Err(error) => self.notes.push(format!("{name}: {error}")),
            }
        }
        if found.is_empty() && self.waiting == Waiting::No {
            return Err(Error::NoSurface { folder: folder.to_path_buf() });
        }
        Ok(found)
    }

    fn set(&mut self, set: &RunSet, folder: &Path, title: Option<&str>) -> Result<Subject> {
        let runs: Vec<RunInfo> = (set.runs().iter().enumerate())
            .map(|(i, run)| self.run(run, set.run_name(i)))
            .collect::<Result<_>>()?;
        let mut planes = Vec::new();
        let mut known = Vec::new();
        for name in names(&set.root().join("planes"), Some("safetensors"))? {
            let plane = match set.plane(&name) {
                Ok(plane) => plane,
                Err(Error::StalePath { .. }) => {
                    self.notes.push(format!(
                        "{}: the plane {name} is of other runs and is not shown",
                        set.name()
                    ));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let of_path =
                |path: &RunPath| (path.run.clone(), path.path.iter().map(|p| p.snapshot).collect());
            let paths = plane.about.paths.iter().map(of_path).collect();
            known.push(Known { digest: plane.digest(), paths });
            planes.push(self.plane(set, &name, &plane)?);
        }
        let surfaces = self.surfaces(set, &planes, &known)?;
        let (title, subtitle) = match (&runs[..], title) {
            ([run], title) => (title.unwrap_or(&run.title).to_string(), run.subtitle.clone()),
            (runs, title) => (
                title.unwrap_or(set.name()).to_string(),
                format!("{} on one plane", count(runs.len(), "run")),
            ),
        };
        Ok(Subject {
            origin: if set.is_joint() { Origin::Joint } else { Origin::Run },
            name: set.name().to_string(),
            title,
            subtitle,
            render: vec![folder.display().to_string()],
            runs,
            planes,
            surfaces,
            minima: Vec::new(),
            start: None,
        })
    }

    /// The surfaces and stacks of `set`, those over a principal plane first.
    fn surfaces(
        &mut self,
        set: &RunSet,
        planes: &[PlaneInfo],
        knowns: &[Known],
    ) -> Result<Vec<SurfaceInfo>> {
        let folder = set.root().join("surfaces");
        let mut listed = names(&folder, None)?;
        if let Some(wanted) = self.wanted {
            let known: Vec<&str> = listed.iter().map(String::as_str).collect();
            if !known.contains(&wanted) && self.waiting == Waiting::No {
                return if known.is_empty() {
                    Err(Error::NoSurface { folder: set.surface_dir(wanted)? })
                } else {
                    Err(Error::unknown_name("surface", wanted, &known))
                };
            }
            listed.retain(|name| name == wanted);
        }
        listed.sort_by_key(|name| (name != "pca", name.clone()));
        let mut found = Vec::new();
        for name in listed {
            let dir = set.surface_dir(&name)?;
            let plane_of = |digest: &str| knowns.iter().position(|known| known.digest == digest);
            if disk::is_there(&dir.join("stack.json"))? {
                let stack = Stack::open(&dir)?;
                let plane = plane_of(&stack.about.plane_digest);
                found.extend(self.stack(&name, &stack, plane.map(|i| (i, &planes[i])))?);
            } else if disk::is_there(&dir.join("grid.json"))? {
                let store = SurfaceStore::open(&dir)?;
                let plane = plane_of(&store.header.plane_digest);
                let plane = plane.map(|i| (i, &planes[i], &knowns[i]));
                let surface = self.surface(&name, &store, plane)?;
                found.push(surface);
            }
        }
        if found.is_empty() && self.waiting == Waiting::No {
            return Err(Error::NoSurface {
                folder: set.surface_dir(self.wanted.unwrap_or("pca"))?,
            });
        }
        Ok(found)
    }

    fn run(&mut self, run: &OpenRun, name: String) -> Result<RunInfo> {
        let (metrics, manifest) = (run.metrics()?, run.run().manifest()?);
        let sharpness = match Sharpness::of_run(run) {
            Ok(sharpness) => Some(sharpness),
            Err(Error::NoSharpness { .. } | Error::NoSpec { .. }) => None,
            Err(error) => return Err(error),
        };
        let preconditioned = match Sharpness::preconditioned(run) {
            // Of SGD it is the sharpness itself.
            Ok(found) if run.spec()?.optim.rule != RuleName::Sgd => Some(found),
            Ok(_) | Err(Error::NoPreconditioned { .. } | Error::NoSharpness { .. }) => None,
            Err(Error::NoSpec { .. }) => None,
            Err(error) => return Err(error),
        };
        let times = Times::of(metrics);
        let sharpnesses = [sharpness.as_ref(), preconditioned.as_ref()];
        let series = series(metrics, sharpnesses, &times, self.arrays);
        let last = metrics.epochs.last();
        let step = |s: Option<u64>| s.unwrap_or(0);
        let steps = step(metrics.steps.last().map(|s| s.step)).max(step(last.map(|e| e.step)));
        let epochs = metrics.steps.last().map_or(0.0, |s| s.epoch);
        let epochs = last.map_or(epochs, |e| epochs.max(e.epoch as f64));
        let mut measures = vec![("Steps".to_string(), thousands(&steps.to_string()))];
        let mut measure = |name: &str, value: Option<f64>, text: &dyn Fn(f64) -> String| {
            if let Some(value) = value.filter(|v| v.is_finite()) {
                measures.push((name.into(), text(value)));
            }
        };
        let percent = |v: f64| format!("{} %", fixed(100.0 * v, 1));
        measure("Training loss", last.map(|e| e.train_loss), &number);
        measure("Test loss", last.map(|e| e.test_loss), &number);
        measure("Training accuracy", last.map(|e| e.train_accuracy), &percent);
        measure("Test accuracy", last.map(|e| e.test_accuracy), &percent);
        let sharpest = sharpness.iter().flat_map(|s| s.points.last()).map(|p| p.value).next();
        measure("Sharpness at the end", sharpest, &number);
        measure("Seconds", last.map(|e| e.elapsed_secs), &number);
        let (words, ended) = match &manifest.status {
            Status::Unfinished => ("not at its end".to_string(), false),
            Status::Ended { verdict: Verdict::Diverged { step, .. }, .. } => {
                (format!("diverged at step {step}"), true)
            }
            Status::Ended { .. } => {
                let known = last.map(|e| e.test_accuracy).filter(|a| a.is_finite());
                (known.map_or(String::new(), |a| format!("test accuracy {}", percent(a))), true)
            }
        };
        let how = match run.spec() {
            Ok(spec) => format!("{}, batch {}", run.optimizer_words()?, spec.train.batch_size),
            Err(Error::NoSpec { .. }) => count(steps as usize, "step"),
            Err(error) => return Err(error),
        };
        let subtitle = [how, words].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>();
        Ok(RunInfo {
            name,
            title: run.description()?,
            subtitle: subtitle.join("; "),
            ended,
            snapshots: run.run().snapshot_files()?.len(),
            steps,
            epochs,
            series,
            measures,
        })
    }

    /// A plane with the paths on it. Snapshots that were recorded after it was made are projected onto it.
    fn plane(&mut self, set: &RunSet, name: &str, plane: &Plane) -> Result<PlaneInfo> {
        let about = &plane.about;
        let percent = |v: f64| format!("{} %", significant(100.0 * v, 3));
        let sum = |v: &[f64]| v.iter().map(|v| percent(*v)).collect::<Vec<_>>().join(" + ");
        let mut facts: Vec<(String, String)> = Vec::new();
        let mut fact = |name: &str, text: String| facts.push((name.into(), text));
        fact("Plane", capital(&about.made));
        if !about.explained_variance.is_empty() {
            fact("Explained variance", sum(&about.explained_variance));
        }
        if !about.null_explained_variance.is_empty() {
            fact("A random walk would give", sum(&about.null_explained_variance));
        }
        let residuals = about.paths.iter().flat_map(|p| &p.path).map(|p| p.off_plane_residual);
        let mut residuals: Vec<f64> = residuals.filter(|r| r.is_finite()).collect();
        residuals.sort_by(f64::total_cmp);
        if let (Some(most), Some(median)) =
            (residuals.last(), residuals.get(residuals.len() / 2).copied())
        {
            let of = "of the distance from the plane's origin";
            let text = format!("median {}, most {} {of}", percent(median), percent(*most));
            fact("Off the plane", text);
        }
        if about.kind == PlaneKind::Random {
            fact("Cosine of the directions", number(about.cosine));
        }
        if let Some(rounding) = &about.rounding {
            let text = format!("{} of the path's extent", percent(rounding.of_extent));
            fact("Rounding of snapshots", text);
        }
        for note in &about.notes {
            fact("Note", capital(note));
        }
        let digest = plane.digest();
        let mut paths = Vec::new();
        for (run, path) in set.runs().iter().zip(&about.paths) {
            let times = Times::of(run.metrics()?);
            let later = self.later(run, &digest, plane, path)?;
            if !later.is_empty() {
                let of = path.path.len() + later.len();
                fact(
                    "Behind its run",
                    format!(
                        "{} of {} recorded after the plane was made, projected onto it",
                        thousands(&later.len().to_string()),
                        count(of, "snapshot")
                    ),
                );
            }
            let known = path.path.iter().map(|p| Stop {
                snapshot: p.snapshot as f64,
                step: p.step as f64,
                epoch: p.epoch,
                lr: p.lr,
                x: p.x,
                y: p.y,
                residual: p.off_plane_residual,
            });
            let count = later.len();
            let stops: Vec<Stop> = known.chain(later).collect();
            let mut of = |f: fn(&Stop) -> f64| {
                self.arrays.floats(&stops.iter().map(f).collect::<Vec<f64>>())
            };
            let (snapshot, step) = (of(|s| s.snapshot), of(|s| s.step));
            let (epoch, lr) = (of(|s| s.epoch), of(|s| s.lr));
            let (x, y, residual) = (of(|s| s.x), of(|s| s.y), of(|s| s.residual));
            let steps: Vec<f64> = stops.iter().map(|s| s.step).collect();
            let secs = times.all(&steps, self.arrays);
            paths.push(PathInfo { snapshot, step, epoch, secs, lr, x, y, residual, later: count });
        }
        let axes = [plane.axis_label(0), plane.axis_label(1)];
        Ok(PlaneInfo { name: name.into(), axes, facts, paths })
    }

    /// Where the snapshots of `run` that a plane does not know are on it.
    fn later(
        &mut self,
        run: &OpenRun,
        digest: &str,
        plane: &Plane,
        path: &RunPath,
    ) -> Result<Vec<Stop>> {
        let last = path.path.iter().map(|p| p.snapshot).chain(path.excluded.iter().copied()).max();
        let files = run.run().snapshot_files()?;
        let in_part = |index| plane.about.range.is_none_or(|range| range.contains(index));
        let new = files
            .into_iter()
            .filter(|(index, _)| last.is_none_or(|last| *index > last) && in_part(*index));
        let infos: Vec<SnapshotInfo> = new
            .map(|(index, path)| SnapshotInfo::read(path, index))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .filter(|info| !info.diverged)
            .collect();
        if infos.is_empty() {
            return Ok(Vec::new());
        }
        let key = |info: &SnapshotInfo| (digest.to_string(), info.path.clone(), info.step);
        let unknown: Vec<SnapshotInfo> =
            infos.iter().filter(|info| !self.projected.contains_key(&key(info))).cloned().collect();
        if !unknown.is_empty() {
            let snapshots = RunSnapshots::new(unknown.clone(), run.layout()?.clone());
            let found = project(&snapshots, &plane.origin, &plane.x, &plane.y)?;
            for (i, info) in unknown.iter().enumerate() {
                let [x, y] = found.coords[i];
                self.projected.insert(key(info), [x, y, found.off_plane_residual[i]]);
            }
        }
        let stop = |info: &SnapshotInfo| {
            let [x, y, residual] = self.projected[&key(info)];
            let (snapshot, step) = (info.index as f64, info.step as f64);
            Stop { snapshot, step, epoch: info.epoch, lr: info.lr, x, y, residual }
        };
        Ok(infos.iter().map(stop).collect())
    }

    fn surface(
        &mut self,
        name: &str,
        store: &SurfaceStore,
        plane: Option<(usize, &PlaneInfo, &Known)>,
    ) -> Result<SurfaceInfo> {
        let header = &store.header;
        // 1 is computed, 2 interpolated.
        let status =
            (0..store.cells.len()).map(|k| match (&store.cells[k], store.interpolated(k)) {
                (Some(_), _) => 1,
                (None, Some(_)) => 2,
                (None, None) => 0,
            });
        let status: Vec<u8> = status.collect();
        let mut facts = facts(store);
        if plane.is_none() {
            facts.push((
                "Plane".into(),
                format!("{}; another now, so that no path is shown", header.plane),
            ));
        }
        let mut path_losses = Vec::new();
        if let Some((_, plane, on)) = plane {
            let losses = store.path_losses()?;
            let known: HashMap<(&str, usize), [f64; 2]> = (losses.done.iter())
                .map(|l| ((l.run.as_str(), l.snapshot), [l.true_loss, l.plane_loss]))
                .collect();
            let mut missing = 0;
            for (path, (run, stops)) in plane.paths.iter().zip(&on.paths) {
                // What was projected has no loss on the surface.
                let of = |k: usize| -> Vec<f64> {
                    let loss =
                        |n: &usize| known.get(&(run.as_str(), *n)).map_or(f64::NAN, |l| l[k]);
                    let mut losses: Vec<f64> = stops.iter().map(loss).collect();
                    losses.resize(path.snapshot.length, f64::NAN);
                    losses
                };
                let (network, plane) = (of(0), of(1));
                missing += network.iter().filter(|v| v.is_nan()).count();
                path_losses.push(PathLossInfo {
                    network: self.arrays.floats(&network),
                    plane: self.arrays.floats(&plane),
                });
            }
            if missing > 0 {
                let text = format!("of {} not computed", count(missing, "snapshot"));
                facts.push(("Losses on the path".into(), text));
            }
        }
        let mut fields = self.fields(store);
        if let Some((field, fact)) = convexity::of(store, self.arrays)? {
            fields.push(field);
            facts.push(("Convexity".into(), fact));
        }
        let error = error(ErrorOf::Loss, &[store]);
        let norm = header.on.batch_norm.caption().map_or(String::new(), |s| format!(" {s}."));
        let caption = format!(
            "Loss on {} at {} ({error}). Dots: saved weights.{norm}",
            sample(&header.on),
            points(store)
        );
        Ok(SurfaceInfo {
            name: name.into(),
            plane: plane.map(|(index, ..)| index),
            xs: self.arrays.floats(&header.grid.x.values()),
            ys: self.arrays.floats(&header.grid.y.values()),
            axes: plane.map_or_else(
                || ["direction 1".into(), "direction 2".into()],
                |(_, plane, _)| plane.axes.clone(),
            ),
            fields,
            status: self.arrays.bytes(&status),
            path_losses,
            facts,
            caption,
            function: None,
            layers: None,
            render: render_arguments(plane.map(|(_, plane, _)| plane.name.as_str()), name),
        })
    }

    fn fields(&mut self, store: &SurfaceStore) -> Vec<Field> {
        let on = &store.header.on;
        let split = on.split.adjective();
        let of = |f: &dyn Fn(&Cell) -> f64| -> Vec<f64> {
            store.cells.iter().map(|cell| cell.as_ref().map_or(f64::NAN, f)).collect()
        };
        let mut fields = vec![("loss", format!("{split} loss"), store.losses())];
        if on.samples * on.answers > 0 && store.cells.iter().flatten().any(|c| c.correct > 0) {
            let accuracy = of(&|c| on.accuracy(c.correct));
            let error = accuracy.iter().map(|a| 1.0 - a).collect();
            fields.push(("accuracy", format!("{split} accuracy"), accuracy));
            fields.push(("error", format!("{split} error"), error));
        }
        if store.cells.iter().flatten().any(|c| c.loss_se.is_finite()) {
            fields.push(("loss_se", "standard error of the loss".into(), of(&|c| c.loss_se)));
            let relative = of(&|c| c.loss_se / c.loss);
            fields.push(("relative_se", "standard error / loss".into(), relative));
        }
        if store.cells.iter().flatten().any(|c| c.difference_se.is_finite()) {
            let label = "standard error of the difference to the centre";
            fields.push(("difference_se", label.into(), of(&|c| c.difference_se)));
        }
        (fields.into_iter())
            .map(|(key, label, values)| Field {
                key: key.into(),
                label,
                values: self.arrays.floats(&values),
                grid: None,
            })
            .collect()
    }

    /// A stack of surfaces; `None` (and a note) while layers are missing.
    fn stack(
        &mut self,
        name: &str,
        stack: &Stack,
        plane: Option<(usize, &PlaneInfo)>,
    ) -> Result<Option<SurfaceInfo>> {
        let stores = match stack.surfaces() {
            Err(Error::NoSurface { .. }) => Vec::new(),
            stores => stores?,
        };
        let whole = stores.iter().all(|store| store.missing().is_empty());
        let (Some(first), true) = (stores.first(), whole) else {
            let of = count(stack.about.layers.len(), "layer");
            self.notes.push(format!("the stack {name} of {of} is not finished and is not shown"));
            return Ok(None);
        };
        let about = &stack.about;
        let values: Vec<_> =
            stores.iter().map(|store| self.arrays.floats(&store.losses())).collect();
        let steps: Vec<f64> = about.layers.iter().map(|layer| layer.step as f64).collect();
        let epochs: Vec<f64> = about.layers.iter().map(|layer| layer.epoch).collect();
        let layers = Layers {
            kind: about.kind.as_str(),
            labels: about.layers.iter().map(|layer| layer.label.clone()).collect(),
            step: self.arrays.floats(&steps),
            epoch: self.arrays.floats(&epochs),
            values: values.clone(),
            made: about.made.clone(),
        };
        let header = &first.header;
        let label = format!("{} loss", header.on.split.adjective());
        let status = vec![1; header.grid.len()];
        let mut facts = facts(first);
        facts.push(("States".into(), format!("{}: {}", values.len(), about.made)));
        Ok(Some(SurfaceInfo {
            name: name.into(),
            plane: plane.map(|(index, _)| index),
            xs: self.arrays.floats(&header.grid.x.values()),
            ys: self.arrays.floats(&header.grid.y.values()),
            axes: plane.map_or_else(
                || ["direction 1".into(), "direction 2".into()],
                |(_, plane)| plane.axes.clone(),
            ),
            fields: vec![Field { key: "loss".into(), label, values: values[0], grid: None }],
            status: self.arrays.bytes(&status),
            path_losses: Vec::new(),
            caption: format!(
                "Loss on {} at {}, {} surfaces: {}. Interpolated between surfaces.",
                sample(&header.on),
                size(header),
                values.len(),
                about.made
            ),
            facts,
            function: None,
            layers: Some(layers),
            render: render_arguments(plane.map(|(_, plane)| plane.name.as_str()), name),
        }))
    }
}

/// What tells that a surface and its losses are of a plane.
struct Known {
    /// Of the plane's vectors.
    digest: String,
    /// Name and snapshots of each run on it.
    paths: Vec<(String, Vec<usize>)>,
}

/// A snapshot on a plane.
#[derive(Debug, Clone, Copy)]
struct Stop {
    snapshot: f64,
    step: f64,
    epoch: f64,
    lr: f64,
    x: f64,
    y: f64,
    residual: f64,
}

fn size(header: &Header) -> String {
    format!("{} × {} points", header.grid.x.n, header.grid.y.n)
}

fn render_arguments(plane: Option<&str>, surface: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    if let Some(plane) = plane.filter(|plane| *plane != "pca") {
        arguments.extend(["--plane".to_string(), plane.to_string()]);
    }
    if surface != plane.unwrap_or("pca") {
        arguments.extend(["--surface".to_string(), surface.to_string()]);
    }
    arguments
}

/// What a surface rests on.
fn facts(store: &SurfaceStore) -> Vec<(String, String)> {
    let (header, on) = (&store.header, &store.header.on);
    let mut facts = vec![
        ("Sample".to_string(), format!("{} of {}", sample(on), on.dataset)),
        ("Error of the loss".into(), error(ErrorOf::Loss, &[store])),
        ("Points".into(), points(store)),
        ("Computed by".into(), format!("{} in {}", on.backend, on.precision)),
    ];
    if let Some(norm) = on.batch_norm.caption() {
        facts.push(("BatchNorm".into(), norm));
    }
    if let Some(through) = header.through {
        facts.push(("Through".into(), format!("snapshot {}", through.snapshot)));
    }
    facts
}

/// The names of the artifacts in a folder, sorted: files with `extension`, or folders.
fn names(folder: &Path, extension: Option<&str>) -> Result<Vec<String>> {
    if !disk::is_there(folder)? {
        return Ok(Vec::new());
    }
    let io = || Error::io("list the folder", folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io())? {
        let path = entry.map_err(io())?.path();
        let is_wanted = match extension {
            Some(extension) => path.extension().is_some_and(|e| e == extension),
            None => path.is_dir(),
        };
        let name = if extension.is_some() { path.file_stem() } else { path.file_name() };
        let name = name.unwrap_or_default().to_string_lossy().into_owned();
        if is_wanted && !name.starts_with('.') {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}
