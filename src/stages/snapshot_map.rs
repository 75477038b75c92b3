//! Runs to a map of all their snapshots, made of the distances between them: classical scaling and a
//! diffusion map ([`crate::trajectory::snapshot_map`]), kept as `maps/NAME.json` of the joint folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::opened::RunSet;
use super::provenance::count;
use crate::disk::{self, JsonFile};
use crate::record::{FORMAT_VERSION, check_name};
use crate::render::scenes::snapshot_map::{MapFigure, MapPanel};
use crate::trajectory::{Fidelity, Joined, MEMORY_BYTES, gram, snapshot_map};
use crate::{Error, Result};

/// Snapshots that enter a map at most, of all runs together: the distances of all pairs are ranked.
const MOST: usize = 1_500;

/// `maps/NAME.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapFile {
    /// Version of the run folder's format.
    pub format_version: u32,
    /// Each run's snapshots on both maps.
    pub runs: Vec<MapRun>,
    /// What classical scaling keeps of the distances.
    pub scaling: Fidelity,
    /// The part of the variance of all snapshots on each of its axes, (2,).
    pub explained_variance: [f64; 2],
    /// What the diffusion map keeps of the distances.
    pub diffusion: Fidelity,
    /// Its two largest eigenvalues below 1, (2,).
    pub eigenvalues: [f64; 2],
    /// The squared distance at which its kernel has fallen to 1/e.
    pub bandwidth: f64,
}

/// One run on a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapRun {
    /// Its name in the joint folder.
    pub run: String,
    /// Snapshots that it recorded.
    pub recorded: usize,
    /// Those that are on the map, in order.
    pub points: Vec<MapPoint>,
}

/// One snapshot on both maps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MapPoint {
    /// Its number.
    pub snapshot: usize,
    /// Position in epochs.
    pub epoch: f64,
    /// Where classical scaling puts it, in units of the weights.
    pub scaling: [f64; 2],
    /// Where the diffusion map puts it; its unit has no meaning.
    pub diffusion: [f64; 2],
}

const MAP: JsonFile = JsonFile {
    action: "read the map",
    name: "the map",
    remedy: "remove it and make the map again",
};

/// Where the map called `name` of the folder `root` is.
///
/// # Errors
/// Those of [`check_name`].
pub fn map_path(root: &Path, name: &str) -> Result<PathBuf> {
    check_name("map", name)?;
    Ok(root.join("maps").join(format!("{name}.json")))
}

/// Makes the map of the finite snapshots of all runs of `set`, at most `MOST` spread evenly over each
/// run, and writes it as `maps/NAME.json`.
///
/// # Errors
/// Those of reading the runs; [`Error::Landscape`] for too few snapshots, for runs of different
/// networks, and for snapshots that are all the same.
pub fn compute(set: &RunSet, name: &str) -> Result<MapFile> {
    let each = (MOST / set.runs().len().max(1)).max(2);
    let mut snapshots = Vec::new();
    let mut recorded = Vec::new();
    for run in set.runs() {
        let (some, total) = run.some_snapshots(each, |s| !s.diverged)?;
        snapshots.push(some);
        recorded.push(total);
    }
    let joined = Joined::new(&snapshots)?;
    let gram = gram(&joined, None, MEMORY_BYTES)?;
    let map = snapshot_map(&gram)?;
    let groups = joined.groups();
    let mut runs: Vec<MapRun> = (recorded.iter().enumerate())
        .map(|(i, &recorded)| MapRun { run: set.run_name(i), recorded, points: Vec::new() })
        .collect();
    for (row, &i) in gram.used.iter().enumerate() {
        let run = groups[i];
        let info = &snapshots[run].infos()[i - groups.partition_point(|g| *g < run)];
        runs[run].points.push(MapPoint {
            snapshot: info.index,
            epoch: info.epoch,
            scaling: map.scaling.coords[row],
            diffusion: map.diffusion.coords[row],
        });
    }
    let file = MapFile {
        format_version: FORMAT_VERSION,
        runs,
        scaling: map.scaling.fidelity,
        explained_variance: map.explained_variance,
        diffusion: map.diffusion.fidelity,
        eigenvalues: map.eigenvalues,
        bandwidth: map.bandwidth,
    };
    let path = map_path(set.root(), name)?;
    disk::remove_temporaries(&set.root().join("maps"))?;
    MAP.write(&path, &file)?;
    Ok(file)
}

/// The map called `name` of a joint folder.
///
/// # Errors
/// [`Error::NoMap`] when there is none, [`Error::BadFile`] when it does not parse.
pub fn open(set: &RunSet, name: &str) -> Result<MapFile> {
    let path = map_path(set.root(), name)?;
    let file: Option<MapFile> = MAP.read_if_there(&path)?;
    let file = file.ok_or_else(|| Error::NoMap { name: name.into(), of: set.name().into() })?;
    if file.format_version > FORMAT_VERSION {
        return Err(MAP.bad(format!("the map has format {}", file.format_version), &path));
    }
    Ok(file)
}

/// Both maps side by side; `names` are the runs' titles, or empty for their own names.
///
/// # Errors
/// Those of [`open`]; [`Error::StalePath`] where a run went on since.
pub fn gather(
    set: &RunSet,
    name: &str,
    title: Option<&str>,
    names: &[String],
) -> Result<MapFigure> {
    let file = open(set, name)?;
    for (run, mapped) in set.runs().iter().zip(&file.runs) {
        let recorded = run.run().snapshots()?.iter().filter(|s| !s.diverged).count();
        if recorded != mapped.recorded {
            return Err(Error::StalePath { run: mapped.run.clone() });
        }
    }
    let paths = |of: fn(&MapPoint) -> [f64; 2]| {
        file.runs.iter().map(|run| run.points.iter().map(of).collect()).collect()
    };
    let kept = |fidelity: &Fidelity| {
        format!(
            "keeps {:.0} % of nearest neighbours; rank correlation of distances {:.2}",
            100.0 * fidelity.neighbors_kept,
            fidelity.rank_correlation
        )
    };
    let [x, y] = file.explained_variance.map(|share| format!("{:.1} %", 100.0 * share));
    let panels = [
        MapPanel {
            title: "Diffusion map".into(),
            subtitle: kept(&file.diffusion),
            x_label: "first diffusion coordinate".into(),
            y_label: "second".into(),
            has_unit: false,
            paths: paths(|p| p.diffusion),
        },
        MapPanel {
            title: "Classical scaling".into(),
            subtitle: kept(&file.scaling),
            x_label: format!("first axis ({x} of the variance)"),
            y_label: format!("second axis ({y})"),
            has_unit: true,
            paths: paths(|p| p.scaling),
        },
    ];
    let shown: usize = file.runs.iter().map(|run| run.points.len()).sum();
    let recorded: usize = file.runs.iter().map(|run| run.recorded).sum();
    let of = if shown < recorded { format!(" of {recorded}") } else { String::new() };
    let own = file.runs.iter().map(|run| run.run.clone()).collect();
    Ok(MapFigure {
        title: title.unwrap_or("Runs by the distances between their snapshots").into(),
        caption: format!(
            "{}{of}. Ring: start, disc: end. On the diffusion map runs that end in the same basin \
             meet; distances across it mean little. Classical scaling is the best linear picture.",
            count(shown, "snapshot")
        ),
        names: if names.is_empty() { own } else { names.to_vec() },
        panels,
    })
}
