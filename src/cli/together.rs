//! Options that do not go together. What a command would not read is refused by name: an option that has
//! no effect says something about the result that is not so.
//!
//! Where it depends on nothing but which options are there, clap says so in each command's `Args`; here
//! is what depends on their values.

use clap::ArgMatches;
use clap::parser::ValueSource;
use lossreel::{Error, Result};

/// The arguments of one subcommand as they were written.
struct Given<'a>(&'a ArgMatches);

impl Given<'_> {
    /// Whether `option` was written.
    fn has(&self, option: &str) -> bool {
        matches!(self.0.try_contains_id(option), Ok(true))
            && self.0.value_source(option) == Some(ValueSource::CommandLine)
    }

    /// The value of `option`, its default included.
    fn value(&self, option: &str) -> String {
        let raw = self.0.try_get_raw(option).ok().flatten();
        let values = raw.into_iter().flatten().map(|v| v.to_string_lossy());
        values.collect::<Vec<_>>().join(" ")
    }

    /// Refuses those of `options` that were written, unless `read`: only `reader` reads them.
    fn only(&self, options: &[&str], read: bool, reader: &str) -> Result<()> {
        match options.iter().find(|option| !read && self.has(option)) {
            None => Ok(()),
            Some(option) => {
                let flag = format!("--{}", option.replace('_', "-"));
                let problem = format!("but only {reader} reads it");
                let value = Some(self.value(option)).filter(|value| !value.is_empty());
                let value = value.unwrap_or_else(|| "given".into());
                Err(Error::bad_value(flag, value, problem, "leave it out"))
            }
        }
    }

    /// The rules of a sample of images; `all` is whether the command takes all images by default.
    fn sample(&self, all: bool) -> Result<()> {
        let drawn = !all || self.has("samples");
        self.only(&["sample_order", "sample_seed"], drawn, "a number of --samples")?;
        let balanced = self.value("sample_order") == "balanced";
        self.only(&["sample_seed"], balanced, "--sample-order balanced")
    }

    /// The rules of random directions.
    fn random(&self, drawn: bool, reader: &str) -> Result<()> {
        self.only(&["norm", "ignore", "seed"], drawn, reader)
    }
}

/// Refuses options of `command` that do not go together.
///
/// # Errors
/// [`Error::BadValue`] naming the first of them.
pub fn check(command: &str, matches: &ArgMatches) -> Result<()> {
    let given = Given(matches);
    match command {
        "evaluate" => given.sample(true),
        "plane" => {
            let directions = given.value("directions");
            given.random(directions == "random", "--directions random")?;
            let principal = ["centring", "weighting", "snapshots"];
            given.only(&principal, directions == "pca", "--directions pca")
        }
        "surface" => {
            given.sample(false)?;
            let weights = given.has("weights");
            let drawn = weights && given.value("directions") == "random";
            given.random(drawn, "a surface of --weights with --directions random")?;
            given.only(&["name"], !weights, "a surface of a RUN")
        }
        "curve" => {
            given.sample(true)?;
            given.random(given.value("direction") == "random", "--direction random")?;
            given.only(
                &["name"],
                !given.has("weights") && !given.has("out"),
                "a curve in a RUN",
            )?;
            given.only(&["force"], !given.has("weights") || given.has("out"), "a curve with --out")
        }
        "curvature" => {
            given.sample(false)?;
            given.only(&["force"], !given.has("weights"), "the curvature of a RUN")
        }
        "export" => {
            let to = given.value("to");
            let is = |formats: &[&str]| formats.contains(&to.as_str());
            let drawn = is(&["h5", "vtp", "obj", "npz", "csv", "parquet"]);
            given.only(&["surface"], drawn, "an export of a surface")?;
            given.only(&["table"], is(&["csv", "parquet"]), "--to csv or parquet")?;
            given.only(&["snapshot"], is(&["safetensors"]), "--to safetensors")?;
            given.only(&["steps", "data_dir"], is(&["batch-order"]), "--to batch-order")
        }
        "function" => function(&given),
        "hvp" | "river" => given.sample(false),
        "bench" => {
            let evaluates = given.value("only") != "train";
            given.only(&["precision"], evaluates, "the measurement of evaluation")
        }
        "render" => render(&given),
        "recorded" => match matches.subcommand() {
            Some((what, matches)) => recorded(what, &Given(matches)),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// What only our engine reads, and what only random directions.
fn recorded(what: &str, given: &Given<'_>) -> Result<()> {
    let engine = given.has("arch");
    given.only(&["split", "sample_order", "sample_seed"], engine, "the engine, with --arch,")?;
    if engine {
        given.sample(false)?;
    }
    if what == "curve" {
        given.random(given.value("direction") == "random", "--direction random")?;
    }
    Ok(())
}

/// The options of `render` that some scenes read, and which.
const SCENES: &[(&[&str], &[&str])] = &[
    (&["hillshade", "arrows", "inset"], &["contour"]),
    (&["plane_seed"], &["shadow", "contour"]),
    (&["quantity"], &["heatmap", "surface"]),
    (&["values"], &["heatmap", "contour", "surface"]),
    (&["layers"], &["histograms"]),
    (&["view"], &["moving"]),
    (&["layout", "goal"], &["race"]),
    (&["twin", "curve_file"], &["curve"]),
    (
        &["camera", "azimuth", "elevation", "heights", "clip", "relief", "no_axes", "passes"],
        &["surface", "moving"],
    ),
    (&["grid_file"], &["contour", "surface", "heatmap", "moving"]),
    (&["columns"], &["contour", "surface"]),
    (
        &["plane"],
        &[
            "contour", "surface", "heatmap", "spectrum", "shadow", "boundary", "moving", "race",
            "map",
        ],
    ),
    (
        &["surface"],
        &["contour", "surface", "curve", "heatmap", "boundary", "moving", "race", "map"],
    ),
    (
        &["clock", "strip", "pause", "card"],
        &["contour", "surface", "heatmap", "histograms", "shadow", "boundary", "moving", "race"],
    ),
];

/// What only pictures, or only films, read of `function`.
fn function(given: &Given<'_>) -> Result<()> {
    let outs = given.value("out").to_lowercase();
    let ends =
        |endings: &[&str]| outs.split(' ').any(|out| endings.iter().any(|e| out.ends_with(e)));
    let film = ends(&[".gif", ".mp4", ".y4m"]) || outs.contains('%');
    given.only(&["fps", "frames"], film, "a film with --out")?;
    let picture = film || ends(&[".png", ".svg", ".pdf"]);
    let options = [
        "size",
        "scale",
        "theme",
        "colormap",
        "title",
        "window",
        "font",
        "subtitle",
        "credit",
        "no_caption",
    ];
    given.only(&options, picture, "a picture or film with --out")
}

fn render(given: &Given<'_>) -> Result<()> {
    let scene = given.value("scene");
    for (options, scenes) in SCENES {
        let reader = format!("--as {}", scenes.join(", "));
        given.only(options, scenes.contains(&&*scene), &reader)?;
    }
    let look = ["camera", "azimuth", "elevation", "heights", "clip", "relief", "no_axes", "passes"];
    let in_space = scene != "moving" || given.value("view") == "space";
    given.only(&look, in_space, "--view space")?;
    let random_plane = scene != "contour" || given.has("inset");
    given.only(&["plane_seed"], random_plane, "--inset")?;
    let colored = scene != "surface" || given.value("quantity") != "loss";
    given.only(&["values"], colored, "a surface that --quantity colours")?;
    let of_runs = ["plane", "surface", "quantity", "arrows", "inset", "clock", "strip", "pause"];
    given.only(&of_runs, !given.has("grid_file"), "a scene of runs")?;
    given.only(&["surface"], !given.has("curve_file"), "a scene of runs")?;
    let format = format_of(given);
    given.only(&["quality"], format == "mp4", "an mp4")?;
    given.only(&["outlines"], format == "svg", "an svg")?;
    let still = ["png", "svg", "pdf"].contains(&&*format);
    given.only(&["transparent"], still, "a still (png, svg, pdf)")?;
    given.only(&["dither", "loop"], format == "gif", "a gif")
}

/// The picture's format by its name: --format, or the extension.
fn format_of(given: &Given<'_>) -> String {
    if given.has("format") {
        return given.value("format");
    }
    let out = given.value("out");
    out.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_lowercase())
}
