//! The one error type of the library.
//!
//! Every variant names what was wrong with a value, what would be right and what to do about it.
//! Where the remedy is to call another stage, the variant has fields and no words for it: a program
//! calls a function, and the command names its own options (`src/cli/remedies.rs`). The library
//! returns these errors and never prints; the command chooses the exit code.

use std::path::{Path, PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, in sections by the stage that reports it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ---- disk ------------------------------------------------------------------------------
    /// An operating-system error on a path.
    #[error("cannot {action}: {source}: {}", path.display())]
    Io {
        /// What was being done, as it reads after "cannot" ("read the spec").
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file whose content is not what its name or place promises.
    #[error("{what}; {remedy}: {}", path.display())]
    BadFile {
        /// What is wrong with the content.
        what: String,
        /// What the reader can do about it.
        remedy: String,
        /// The file.
        path: PathBuf,
    },

    // ---- spec ------------------------------------------------------------------------------
    /// A key that no table of a spec has.
    #[error("unknown key `{key}`{}", did_you_mean(.nearest))]
    UnknownKey {
        /// The full dotted key.
        key: String,
        /// The known key nearest in spelling, if one is near.
        nearest: Option<String>,
    },
    /// A name that is not among the known ones (an optimizer, an architecture, a data set, ...).
    #[error("unknown {what} `{name}`{}; known: {known}", did_you_mean(.nearest))]
    UnknownName {
        /// What kind of thing was named.
        what: &'static str,
        /// The name given.
        name: String,
        /// The known name nearest in spelling, if one is near.
        nearest: Option<String>,
        /// All known names, comma-separated.
        known: String,
    },
    /// A value out of its range or at odds with another.
    #[error("`{key}` is {value}, {problem}; {remedy}")]
    BadValue {
        /// The dotted key of a spec, or the name of a field or option.
        key: String,
        /// The value given.
        value: String,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        remedy: String,
    },
    /// A spec that is not TOML, or of the wrong shape.
    #[error("the spec does not parse: {message}")]
    SpecSyntax {
        /// The parser's message with its line.
        message: String,
    },

    // ---- data ------------------------------------------------------------------------------
    /// A data set that is not there, or cannot be fetched.
    #[error("{what}; {remedy}")]
    Data {
        /// What is missing or wrong.
        what: String,
        /// What to do.
        remedy: String,
    },

    // ---- network ---------------------------------------------------------------------------
    /// Shapes that do not fit together while a network is built.
    #[error("{node}: {problem}; {remedy}")]
    Shape {
        /// The node, by its name in the network.
        node: String,
        /// What does not fit.
        problem: String,
        /// What would.
        remedy: String,
    },
    /// Weights that do not fit a network.
    #[error("the weights do not fit {arch}: {problem}; {remedy}")]
    Weights {
        /// The architecture.
        arch: String,
        /// What is missing, left over or of another shape.
        problem: String,
        /// What to try.
        remedy: String,
    },
    /// An error inside candle, with what we were doing.
    #[error("candle failed to {action}: {source}")]
    Candle {
        /// What was being computed.
        action: &'static str,
        /// candle's error.
        source: candle_core::Error,
    },

    // ---- runs ------------------------------------------------------------------------------
    /// A run folder that cannot be used as asked.
    #[error("{what}; {remedy}: {}", path.display())]
    Run {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
        /// The run folder.
        path: PathBuf,
    },
    /// A run folder that is not there.
    #[error("there is no such run folder: {}", path.display())]
    NoRun {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder that is not a run.
    #[error("the folder holds no spec.toml, so it is not a run: {}", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A run where a new one was to be made.
    #[error("a run is there already: {}", path.display())]
    RunExists {
        /// Its folder.
        path: PathBuf,
    },
    /// Somebody's folder where a new one was to be made.
    #[error("the folder is not empty and holds no {holds_no}: {}", path.display())]
    FolderInUse {
        /// What could have been replaced there: a run, or a joint plane.
        holds_no: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// A run that was stopped before it saved anything to resume from.
    #[error("the run has no checkpoint yet: {}", path.display())]
    NoCheckpoint {
        /// The run folder.
        path: PathBuf,
    },
    /// A run that was stopped before anything of it was there but its spec.
    #[error("the run was stopped before it began, it has nothing but a spec: {}", path.display())]
    NotBegun {
        /// The run folder.
        path: PathBuf,
    },
    /// Curvatures of another sample or tolerance than those asked for.
    #[error("the run has curvatures already, {found}: {}", path.display())]
    OtherCurvatures {
        /// In what they differ.
        found: String,
        /// The folder with them.
        path: PathBuf,
    },
    /// A run of which no sharpness was ever measured.
    #[error("there is no sharpness to show: {}", path.display())]
    NoSharpness {
        /// The run folder.
        path: PathBuf,
    },
    /// A run that did not measure its preconditioned sharpness while it was trained.
    #[error("no preconditioned sharpness was measured (by {rule}): {}", path.display())]
    NoPreconditioned {
        /// The run folder.
        path: PathBuf,
        /// Its update rule.
        rule: String,
    },
    /// A run that did not measure its gradient's noise while it was trained.
    #[error("no noise of the gradient was measured: {}", path.display())]
    NoGradientNoise {
        /// The run folder.
        path: PathBuf,
    },
    /// A run that did not measure the overshoot of its steps while it was trained.
    #[error("no overshoot of steps was measured: {}", path.display())]
    NoOvershoot {
        /// The run folder.
        path: PathBuf,
    },
    /// A run whose metrics have no times.
    #[error("the run has no times in its metrics: {}", path.display())]
    NoTimes {
        /// The run folder.
        path: PathBuf,
    },
    /// A person or the system asked to stop; what was done is saved.
    #[error("interrupted; {remedy}")]
    Interrupted {
        /// How to go on.
        remedy: String,
    },

    // ---- planes and surfaces ---------------------------------------------------------------
    /// A plane or a surface that cannot be computed from what is there.
    #[error("{what}; {remedy}")]
    Landscape {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },

    /// A joint plane that is not there.
    #[error("the folder holds no joint plane: {}", path.display())]
    NoJointPlane {
        /// The folder.
        path: PathBuf,
    },
    /// A joint plane of other runs where one was to be made.
    #[error("the folder holds a joint plane of other runs: {}", path.display())]
    OtherRuns {
        /// The folder.
        path: PathBuf,
    },
    /// A run that was trained again after its joint plane was made.
    #[error("run `{run}` is no longer what the joint plane was made of: {}", path.display())]
    RunChanged {
        /// The run's name in the joint folder.
        run: String,
        /// The joint folder.
        path: PathBuf,
    },
    /// Not exactly one joint folder where one is needed.
    #[error("{folders} folders were named, but a race takes one joint folder")]
    NoJointFolder {
        /// How many were named.
        folders: usize,
    },
    /// Runs that should have one starting point and do not.
    #[error("the runs do not start from one point")]
    NoCommonStart,
    /// A plane that is not there.
    #[error("there is no plane {}", path.display())]
    NoPlane {
        /// Its file.
        path: PathBuf,
    },
    /// A plane that was made of another network.
    #[error("the plane belongs to another network")]
    WrongNetwork,
    /// A run that a training loop of its own recorded, where a network is needed.
    #[error(
        "{run} was recorded by a training loop of its own, and no spec says what its network is"
    )]
    NoSpec {
        /// The run.
        run: String,
    },
    /// What needs more memory than there is.
    #[error(
        "{what} would need {:.1} GB of memory, and {:.1} are free",
        *needed as f64 / 1e9,
        *available as f64 / 1e9
    )]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Bytes.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// Artifacts of a run that are not what was written.
    #[error("{count} of its artifacts {} damaged: {}", if *count == 1 { "is" } else { "are" }, path.display())]
    DamagedArtifacts {
        /// How many.
        count: usize,
        /// The folder.
        path: PathBuf,
    },
    /// A sweep that is not there.
    #[error("the folder holds no sweep: {}", path.display())]
    NoSweep {
        /// The folder.
        path: PathBuf,
    },
    /// A rank of an MPI job that cannot do its part.
    #[error("rank {rank}: {what}")]
    Rank {
        /// Which.
        rank: usize,
        /// What it said.
        what: String,
    },
    /// Ranks of an MPI job that cannot work together.
    #[error("{what}; {remedy}")]
    Ranks {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A member that a sweep does not have.
    #[error("the sweep has no member {member}: {}", path.display())]
    NoMember {
        /// What was asked for.
        member: String,
        /// The sweep's folder.
        path: PathBuf,
    },
    /// Members of a sweep that ended with an error.
    #[error("{count} of {of} members failed: {}", path.display())]
    MembersFailed {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// The sweep's folder.
        path: PathBuf,
    },
    /// A log that ends before the step that the run, or its checkpoint, is at.
    #[error(
        "the log ends at step {logged}, but the run is at step {step}: {}",
        path.display()
    )]
    LostLog {
        /// The last step in the log.
        logged: u64,
        /// The run's step.
        step: u64,
        /// The log.
        path: PathBuf,
    },
    /// A spec that is no longer the one that its run was trained by.
    #[error(
        "{} changed since the run was begun, so the spec no longer says what was trained: {}",
        keys.join(", "),
        path.display()
    )]
    SpecChanged {
        /// The keys.
        keys: Vec<String>,
        /// The spec.
        path: PathBuf,
    },
    /// Data that are no longer those that a run was trained on.
    #[error("the images of {dataset} are not those that {run} was trained on")]
    DataChanged {
        /// The data set.
        dataset: String,
        /// The run.
        run: String,
    },
    /// Something that is no regular file where one was to be written.
    #[error("{} is {what}, not a file", path.display())]
    NotAFile {
        /// What it is.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// Two outputs that would be one file, or an output that is the input.
    #[error("{a} and {b} are one file: {}", path.display())]
    OneFile {
        /// What the one is.
        a: &'static str,
        /// What the other is.
        b: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A folder that another process writes a surface into.
    #[error("another process writes into {}", folder.display())]
    SurfaceInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A map of snapshots that is not there.
    #[error("{of} has no map `{name}` of its runs' snapshots")]
    NoMap {
        /// The map's name.
        name: String,
        /// The joint folder.
        of: String,
    },
    /// A plane whose snapshots are no longer those of its run.
    #[error("the plane's path is no longer that of {run}")]
    StalePath {
        /// The run.
        run: String,
    },
    /// A plane that does not know its runs as they are now.
    #[error("plane `{plane}` of {of} knows {known} of {now} snapshots of {run}")]
    PlaneBehind {
        /// The plane's name.
        plane: String,
        /// The run or joint folder that has it.
        of: String,
        /// The run that went on.
        run: String,
        /// Snapshots of it that the plane knows.
        known: usize,
        /// Snapshots that it has.
        now: usize,
        /// How the plane's directions were made.
        kind: &'static str,
    },
    /// A curve through what was the last state of a run that went on.
    #[error(
        "curve `{curve}` of {run} goes through its state after {step} steps, and it has made {now}"
    )]
    CurveBehind {
        /// The curve's name.
        curve: String,
        /// The run.
        run: String,
        /// Steps made where the curve goes through.
        step: u64,
        /// Steps that the run has made.
        now: u64,
    },
    /// Something that has no path where one is needed.
    #[error("{what} has no path")]
    NoPath {
        /// A plane, or a file of weights.
        what: &'static str,
    },
    /// A plane of other directions where principal components are needed.
    #[error("plane `{plane}` of {of} is not of principal components")]
    NotPrincipal {
        /// The plane's name.
        plane: String,
        /// The run.
        of: String,
    },
    /// A plane without the spectrum of a path.
    #[error(
        "plane `{plane}` of {of} has no spectrum: it is not of principal components, or its \
         snapshots are all alike"
    )]
    NoSpectrum {
        /// The plane's name.
        plane: String,
        /// The run.
        of: String,
    },
    /// A file with one direction where a plane needs two.
    #[error("the file has one direction, a plane needs two: {}", path.display())]
    OneDirection {
        /// The file.
        path: PathBuf,
    },
    /// A surface, or a curve, that is not there.
    #[error("there is no surface in {}", folder.display())]
    NoSurface {
        /// Its folder.
        folder: PathBuf,
    },
    /// A stack of surfaces that is not there.
    #[error("there is no stack of surfaces in {}", folder.display())]
    NoStack {
        /// Its folder.
        folder: PathBuf,
    },
    /// Another surface where one was to be computed.
    #[error("{} holds {holds}", folder.display())]
    OtherSurface {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        holds: String,
    },
    /// A surface of another plane than the one that now has the name.
    #[error(
        "{} `{surface}` of {of} was computed over another plane than `{plane}` is now",
        if stack.is_some() { "stack" } else { "surface" }
    )]
    StalePlane {
        /// The surface's name.
        surface: String,
        /// The plane's name.
        plane: String,
        /// The run or joint folder that has both.
        of: String,
        /// What changes from layer to layer, where the surface is a stack.
        stack: Option<&'static str>,
    },
    /// A surface that lacks the losses at the snapshots, or a stack that lacks cells.
    #[error("{}", unfinished(surface, of, *stack))]
    Unfinished {
        /// The surface's name.
        surface: String,
        /// The run or joint folder.
        of: String,
        /// Whether it is a stack.
        stack: bool,
    },
    /// A surface without measured gradients.
    #[error("no gradient was measured over surface `{surface}` of {of}")]
    NoGradients {
        /// The surface's name.
        surface: String,
        /// The run.
        of: String,
    },
    /// Something that is computed in f32 only.
    #[error("{what} f32 only")]
    OnlyF32 {
        /// What, as it reads before "f32 only".
        what: &'static str,
    },

    // ---- pictures and films ----------------------------------------------------------------
    /// A film format that is not written here.
    #[error("lossreel has no encoder for `{format}`")]
    NoEncoder {
        /// The format's name.
        format: String,
    },
    /// A picture that cannot be drawn or encoded.
    #[error("{what}; {remedy}")]
    Render {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
}

fn unfinished(surface: &str, of: &str, stack: bool) -> String {
    if stack {
        format!("stack `{surface}` of {of} is not finished")
    } else {
        format!("surface `{surface}` of {of} lacks the losses at the snapshots")
    }
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}

impl Error {
    /// An adapter for `map_err` on I/O calls: `fs::read(p).map_err(Error::io("read the spec", p))`.
    pub fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// An adapter for `map_err` on candle calls.
    pub fn candle(action: &'static str) -> impl FnOnce(candle_core::Error) -> Error {
        move |source| Error::Candle { action, source }
    }

    /// A [`Error::BadValue`] with its four parts.
    pub fn bad_value(
        key: impl Into<String>,
        value: impl ToString,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error::BadValue {
            key: key.into(),
            value: value.to_string(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// A [`Error::UnknownName`] with the nearest of `known` worked out.
    pub fn unknown_name(what: &'static str, name: &str, known: &[&str]) -> Error {
        Error::UnknownName {
            what,
            name: name.to_string(),
            nearest: nearest(name, known.iter().copied()),
            known: known.join(", "),
        }
    }

    /// An [`Error::UnknownKey`] with the nearest of `known` worked out.
    pub fn unknown_key<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
        Error::UnknownKey { key: key.to_string(), nearest: nearest(key, known) }
    }
}

/// The candidate nearest to `name` in spelling, if it is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&name.to_lowercase(), &c.to_lowercase()), c))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, c)| *distance <= 1 + c.len() / 3)
        .map(|(_, c)| c.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_suggests_the_nearest_known_one() {
        let err = Error::unknown_name("optimizer", "adma", &["sgd", "adam", "rmsprop"]);
        assert!(err.to_string().contains("did you mean `adam`?"), "{err}");
        let err = Error::unknown_name("optimizer", "quux", &["sgd", "rmsprop"]);
        assert!(!err.to_string().contains("did you mean"), "{err}");
    }
}
