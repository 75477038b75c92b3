//! Surfaces with paths over them to a contour film, of one run or of several side by side.

use super::film_options::{ChartSource, FilmOptions, HOLD_SECS, begin_with_path};
use super::on_plane::OnPlane;
use super::opened::{OpenRun, RunSet};
use super::quantity::{self, CellQuantity};
use super::{provenance, shadow};
use crate::landscape::{GradientStore, SurfaceStore};
use crate::names::named_enum;
use crate::record::Status;
use crate::render::scene::{
    Arrows, ContourPanel, Film, Gradient, Inset, Levels, PathPoint, Relief,
};
use crate::train::Verdict;
use crate::{Error, Result};

/// Which run, plane and surface a panel shows.
#[derive(Debug, Clone)]
pub struct PanelSource {
    /// The run.
    pub run: OpenRun,
    /// Its panel's title; the network's name without one.
    pub title: Option<String>,
    /// The surface's name in the run folder.
    pub surface: String,
    /// The plane's name in the run folder.
    pub plane: String,
}

impl PanelSource {
    /// The surface `name` of `run` over its plane of the same name.
    pub fn of_run(run: OpenRun, name: &str) -> Self {
        Self { run, title: None, surface: name.into(), plane: name.into() }
    }

    /// Plane, surface and path.
    ///
    /// # Errors
    /// Those of [`OnPlane::open`].
    pub fn open(&self) -> Result<OnPlane> {
        OnPlane::open(&RunSet::from(self.run.clone()), &self.plane, &self.surface)
    }

    /// The title given, or the network in words.
    ///
    /// # Errors
    /// Those of the run's spec.
    pub fn title(&self) -> Result<String> {
        self.title.clone().map_or_else(|| self.run.description(), Ok)
    }

    /// The panel of the opened source: surface, path, titles.
    ///
    /// # Errors
    /// [`Error::Unfinished`] where losses on the path are missing; those of reading the run.
    pub(super) fn panel(&self, on: &OnPlane) -> Result<ContourPanel> {
        let (title, subtitle) = (self.title()?, subtitle(&self.run)?);
        Ok(ContourPanel { title, subtitle, path: on.path(0)?, ..on.panel() })
    }
}

named_enum! {
    /// Where arrows on a map come from.
    #[derive(Default)]
    pub enum ArrowChoice("kind of arrows") {
        /// Measured gradients where there are some beside the surface, else interpolated.
        #[default]
        Auto = "auto",
        /// Measured gradients.
        Measured = "measured",
        /// The slope of the interpolated surface.
        Interpolated = "interpolated",
    }
}

/// What a contour map shows beside its bands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Extras {
    /// How the bands are lit.
    pub relief: Relief,
    /// Arrows down the slope, where asked for.
    pub arrows: Option<ArrowChoice>,
    /// The same path in a random plane of this seed, in a corner.
    pub inset: Option<u64>,
    /// The levels, where somebody chose them.
    pub levels: Levels,
    /// What colours surfaces in space instead of their heights, and the ends of its scale.
    pub drape: Option<(CellQuantity, Option<[f64; 2]>)>,
}

/// A contour film of one run, or of several side by side on one colour scale.
///
/// # Errors
/// Those of reading the run folders; [`Error::NoSurface`], [`Error::StalePlane`] and
/// [`Error::Unfinished`] for surfaces.
pub fn gather(
    sources: &[PanelSource],
    title: Option<&str>,
    options: &FilmOptions,
    extras: Extras,
) -> Result<Film> {
    let mut film = Film { hold_secs: HOLD_SECS, levels: extras.levels, ..Film::default() };
    let mut opened = Vec::new();
    for source in sources {
        let on = source.open()?;
        let mut panel = source.panel(&on)?;
        let of = [source.surface.as_str(), &source.run.name()];
        (panel.relief, panel.arrows) = (extras.relief, arrows(&on.store, extras.arrows, of)?);
        if let Some(seed) = extras.inset {
            let path = shadow::random_path(&source.run, &on.plane, seed)?;
            panel.inset = Some(Inset { title: "in a random plane, to scale".into(), path });
        }
        film.panels.push(panel);
        film.value_label = format!("{} loss", on.store.header.on.split.adjective());
        opened.push(on);
    }
    film.title = match (title, sources) {
        (Some(title), _) => title.into(),
        (None, [one]) => format!("The path of {} on its loss surface", one.run.description()?),
        (None, _) => "Paths on their loss surfaces".into(),
    };
    film.caption = provenance::caption(&opened);
    if extras.relief == Relief::Hillshade {
        film.caption += " Shaded from the upper left.";
    }
    film.caption += &arrows_caption(&film.panels);
    drape(&mut film, &opened, &extras, title)?;
    let titles: Vec<String> = film.panels.iter().map(|panel| panel.title.clone()).collect();
    let charts = (sources.iter().zip(&titles))
        .map(|(source, title)| options.chart_source(title, &source.run))
        .collect::<Result<Vec<ChartSource>>>()?;
    let mut paths: Vec<&mut [PathPoint]> =
        film.panels.iter_mut().map(|panel| panel.path.as_mut_slice()).collect();
    (film.strip, film.pacing) = options.timing(&film.title, &mut paths, &charts);
    for (k, (panel, on)) in film.panels.iter().zip(&opened).enumerate() {
        begin_with_path(&mut film.strip, k, on.store.header.on.split, &panel.path);
    }
    for panel in &mut film.panels {
        let inset = panel.inset.iter_mut().flat_map(|inset| &mut inset.path);
        inset.zip(&panel.path).for_each(|(there, here)| there.time = here.time);
    }
    Ok(film)
}

/// Colours the panels of `film`, which show `surfaces`, as `extras` says; the headline is then of that, unless there is
/// a `title`.
///
/// # Errors
/// Those of the heat map of the same quantity.
pub(super) fn drape(
    film: &mut Film,
    surfaces: &[OnPlane],
    extras: &Extras,
    title: Option<&str>,
) -> Result<()> {
    let Some((quantity, range)) = extras.drape else { return Ok(()) };
    film.drape = Some(quantity::drape(quantity, range));
    if let (None, Some(on)) = (title, surfaces.first()) {
        film.title = quantity.headline(on.store.header.on.split.adjective());
    }
    let mut captions = Vec::with_capacity(surfaces.len());
    for (panel, on) in film.panels.iter_mut().zip(surfaces) {
        let (grid, caption) = quantity::grid_of(on, quantity)?;
        panel.drape = Some(grid);
        captions.push(caption);
    }
    captions.dedup();
    film.caption += &captions.concat();
    Ok(())
}

/// The arrows that `choice` means on the surface `store`, which is called `surface` and is of `of`.
pub(super) fn arrows(
    store: &SurfaceStore,
    choice: Option<ArrowChoice>,
    [surface, of]: [&str; 2],
) -> Result<Arrows> {
    let Some(choice) = choice else { return Ok(Arrows::None) };
    if choice == ArrowChoice::Interpolated {
        return Ok(Arrows::Interpolant);
    }
    // Gradients beside a surface that is no longer theirs are none.
    let found = GradientStore::open(store.folder())?.filter(|found| found.is_of(&store.header));
    let gradients = found.iter().flat_map(|found| {
        found.cells.iter().flatten().map(|cell| {
            let [x, y] = found.header.grid.point(cell.k);
            Gradient { x, y, value: cell.loss, dx: cell.gx, dy: cell.gy }
        })
    });
    let gradients: Vec<Gradient> = gradients.collect();
    match (choice, gradients.is_empty()) {
        (_, false) => Ok(Arrows::Measured(gradients)),
        (ArrowChoice::Measured, true) => {
            Err(Error::NoGradients { surface: surface.into(), of: of.into() })
        }
        _ => Ok(Arrows::Interpolant),
    }
}

/// What the arrows are, for the caption; nothing where there are none.
pub(super) fn arrows_caption(panels: &[ContourPanel]) -> String {
    let mut measured: Vec<usize> = Vec::new();
    let mut interpolated = false;
    for panel in panels {
        match &panel.arrows {
            Arrows::None => {}
            Arrows::Interpolant => interpolated = true,
            Arrows::Measured(gradients) => measured.push(gradients.len()),
        }
    }
    measured.dedup();
    let counts: Vec<String> = measured.iter().map(usize::to_string).collect();
    match (counts.is_empty(), interpolated) {
        (true, false) => String::new(),
        (true, true) => " Arrows: −∇ of the interpolated surface.".into(),
        (false, false) => {
            format!(" Arrows: −∇ in the plane, measured at {} points.", counts.join(" / "))
        }
        (false, true) => " Arrows: −∇, measured in one panel, interpolated in another.".into(),
    }
}

/// `SGD, learning rate 0.1, batch 128; test accuracy 91.2 %`.
fn subtitle(run: &OpenRun) -> Result<String> {
    let mut text = match run.spec() {
        Ok(spec) => format!("{}, batch {}", run.optimizer_words()?, spec.train.batch_size),
        Err(Error::NoSpec { .. }) => {
            let steps = run.metrics()?.steps.last().map_or(0, |last| last.step);
            provenance::count(steps as usize, "step")
        }
        Err(error) => return Err(error),
    };
    if let Status::Ended { verdict: Verdict::Diverged { step, .. }, .. } =
        run.run().manifest()?.status
    {
        text += &format!("; diverged at step {step}");
    } else if let Some(last) = run.metrics()?.epochs.last().filter(|e| e.test_accuracy.is_finite())
    {
        text += &format!("; test accuracy {:.1} %", 100.0 * last.test_accuracy);
    }
    Ok(text)
}
