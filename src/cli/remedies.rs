//! What to do about an error, in words of commands and options: the library says what is wrong.

use lossreel::Error;

/// The message of an error with its remedy.
pub fn explain(error: &Error) -> String {
    let text = match error {
        Error::BadValue { key, value, problem, remedy } => {
            let remedy = match key.as_str() {
                "precision" => "use --precision f32, or --backend native where it has the network",
                "set" => "write --set optim.lr=0.05",
                _ => remedy,
            };
            Error::bad_value(option(key), value, problem, remedy).to_string()
        }
        Error::Weights { .. } | Error::Data { .. } => as_options(&error.to_string()),
        other => other.to_string(),
    };
    match remedy(error) {
        Some(remedy) => format!("{text}; {remedy}"),
        None => text,
    }
}

/// The settings that a message names as a spec has them, as options.
fn as_options(text: &str) -> String {
    text.replace("`arch = ", "`--arch ")
        .replace("`shortcut = ", "`--shortcut ")
        .replace("`data.dir`", "--data-dir")
        .replace("the network's layers", "`lossreel inspect --arch`")
}

/// The option that sets what the library calls `key`; other keys are those of a spec, or options
/// already.
fn option(key: &str) -> &str {
    match key {
        "backend" => "--backend",
        "bn" => "--bn",
        "clock" => "--clock",
        "target" => "--goal",
        "layers" => "--layers",
        "matrix" => "--matrix",
        "parameters" => "--parameters",
        "probes" => "--probes",
        "steps" => "--steps",
        "directions" => "--directions",
        "panel_titles" => "--panel-title",
        "precision" => "--precision",
        "samples" => "--samples",
        "scene" => "--as",
        "set" => "--set",
        "snapshot" => "--snapshot",
        "threads" => "--threads",
        "values" => "--values",
        other => other,
    }
}

/// What to do, where that takes a command or an option.
fn remedy(error: &Error) -> Option<String> {
    const REPLACE: &str = "choose another --name, or replace it with --force";
    const PLANE_AGAIN: &str =
        "make the plane again: lossreel plane RUN (RUN RUN ... --out JOINT for a joint plane)";
    Some(match error {
        Error::NoRun { .. } => "train one with `lossreel train SPEC.toml --out FOLDER`".into(),
        Error::NotARun { .. } => "name a folder that `lossreel train` made".into(),
        Error::RunExists { .. } => {
            "continue it with --resume, replace it with --force, or choose another --out".into()
        }
        Error::FolderInUse { .. } => {
            "choose another --out (--force replaces nothing but runs)".into()
        }
        Error::NoCheckpoint { .. } | Error::NotBegun { .. } => "start it again with --force".into(),
        Error::OtherCurvatures { .. } => "ask for the same, or replace them with --force".into(),
        Error::NoSharpness { path } => format!(
            "compute it: lossreel curvature {} (or measure it while training: --set \
             record.sharpness=epoch)",
            path.display()
        ),
        Error::NoPreconditioned { .. } => {
            "it is known of adam, adamw and rmsprop that were trained with record.sharpness; train it again with \
             --set record.sharpness=epoch"
                .into()
        }
        Error::NoGradientNoise { .. } => {
            "train it again with --set record.gradient_noise=epoch; of one state lossreel measure RUN --of point \
             tells it"
                .into()
        }
        Error::NoOvershoot { .. } => "train it again with --set record.overshoot=epoch".into(),
        Error::NoTimes { .. } => "race by --clock epoch or step".into(),
        Error::NoJointPlane { .. } => "make one: lossreel plane RUN RUN ... --out JOINT".into(),
        Error::NoJointFolder { .. } => {
            "make it: lossreel plane RUN RUN ... --out JOINT, then lossreel surface JOINT".into()
        }
        Error::OtherRuns { .. } => "choose another --out, or replace it with --force".into(),
        Error::RunChanged { .. } => {
            "make the plane again: lossreel plane RUN RUN ... --out JOINT --force".into()
        }
        Error::NoCommonStart => {
            "train them with one train.seed and one [model], or use --origin mean".into()
        }
        Error::NoPlane { .. } => "make it first: lossreel plane RUN".into(),
        Error::TooLarge { .. } => "ask for less, or use a machine with more memory".into(),
        Error::LostLog { .. } => {
            "restore the log, or train again with --force: its metrics would have a gap".into()
        }
        Error::NoSweep { .. } => "make one: lossreel sweep FILE.toml --out FOLDER".into(),
        Error::MembersFailed { .. } => {
            "the others are done; the same `lossreel sweep` again tries those that failed".into()
        }
        Error::DamagedArtifacts { .. } => {
            "what is named above can be restored or made again, and the rest be used".into()
        }
        Error::SpecChanged { .. } => {
            "put the old values back (train.epochs, train.early_stop, data.dir and [record] may change), \
             or train a new run"
                .into()
        }
        Error::DataChanged { .. } => {
            "restore the data, name their folder with --data-dir, or train a new run".into()
        }
        Error::NotAFile { .. } => {
            "name a file; for a stream use --out - with --format gif, y4m or raw".into()
        }
        Error::OneFile { .. } => "give each a name of its own".into(),
        Error::SurfaceInUse { .. } => "wait for it to end, or choose another --name".into(),
        Error::NoMap { .. } => {
            "make one: lossreel plane RUN RUN ... --out JOINT --snapshot-map".into()
        }
        Error::NoSpec { .. } => {
            "evaluate it with its own loss: lossreel.surface, curve or curvature in Python, or the \
             library (examples/own_candle_model.rs); plane, spectrum and histograms need no network"
                .into()
        }
        Error::WrongNetwork => "make it again: lossreel plane RUN".into(),
        Error::StalePath { .. } => PLANE_AGAIN.into(),
        Error::PlaneBehind { kind: kind @ ("random" | "file"), of, .. } => format!(
            "make it again: lossreel plane {of} --directions {}",
            if *kind == "random" { "random" } else { "FILE" }
        ),
        Error::PlaneBehind { of, .. } => format!(
            "compute the surface again, which makes the plane again, too: lossreel surface {of} \
             --force (with --stack for a stack)"
        ),
        Error::CurveBehind { run, .. } => {
            format!("compute it again: lossreel curve {run} --force (with the same options)")
        }
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
            "nothing can be written there: a plane, and surfaces over it, go elsewhere with \
             `lossreel plane RUN --out FOLDER` and `lossreel surface FOLDER`, a curve with --out; or \
             copy the run"
                .into()
        }
        Error::NoPath { what: "a file of weights" } => {
            "use --directions random, or a direction file".into()
        }
        Error::NoPath { .. } => "make a plane of the run: lossreel plane RUN".into(),
        Error::NotPrincipal { .. } => {
            "make one with `lossreel plane RUN`, and name it with --plane".into()
        }
        Error::NoSpectrum { .. } => {
            "make one with `lossreel plane RUN` from a run that moves".into()
        }
        Error::OneDirection { .. } => "use `lossreel curve` with it".into(),
        Error::NoSurface { .. } => "compute it first: lossreel surface RUN".into(),
        Error::NoStack { .. } => "compute it first: lossreel surface RUN --stack snapshots".into(),
        Error::OtherSurface { .. } => REPLACE.into(),
        Error::StalePlane { stack: Some(kind), .. } => {
            format!("compute it again: lossreel surface RUN --stack {kind} --force")
        }
        Error::StalePlane { stack: None, .. } => {
            "compute it again: lossreel surface RUN --force".into()
        }
        Error::Unfinished { stack: true, .. } => {
            "go on with it: run the same `lossreel surface --stack` command again".into()
        }
        Error::Unfinished { stack: false, .. } => {
            "finish it: run the same `lossreel surface` command again".into()
        }
        Error::NoGradients { .. } => {
            "measure them: the same `lossreel surface` command with --gradients (or draw --arrows \
             interpolated)"
                .into()
        }
        Error::OnlyF32 { .. } => "leave --precision out".into(),
        Error::NoEncoder { format } => format!(
            "write an mp4, or pipe frames into an encoder: lossreel render RUN --out - --format y4m | \
             ffmpeg -i - -c:v libsvtav1 film.{}",
            if format == "av1" { "webm" } else { format }
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_calls_by_a_field_the_command_calls_by_an_option() {
        let error = Error::bad_value("layers", 9, "but there are 8 steps", "use 1 to 8");
        assert_eq!(explain(&error), "`--layers` is 9, but there are 8 steps; use 1 to 8");
        let error = Error::bad_value("optim.lr", -1, "negative", "use a positive number");
        assert_eq!(explain(&error), error.to_string(), "a key of a spec stays what it is");
        let error = Error::NoEncoder { format: "webm".into() };
        assert!(explain(&error).contains("--format y4m | ffmpeg"), "{error}");
        let error = Error::Weights {
            arch: "resnet20".into(),
            problem: "lacks a shortcut".into(),
            remedy: "try `shortcut = option_a` or `shortcut = none`".into(),
        };
        assert!(explain(&error).contains("try `--shortcut option_a` or `--shortcut none`"));
    }

    #[test]
    fn a_stale_surface_is_computed_again_and_a_stale_stack_as_the_stack_it_was() {
        let stale = |stack| Error::StalePlane {
            surface: "s".into(),
            plane: "p".into(),
            of: "run".into(),
            stack,
        };
        let text = explain(&stale(None));
        assert!(
            text.starts_with("surface `s` of run") && text.ends_with("surface RUN --force"),
            "{text}"
        );
        let text = explain(&stale(Some("dropout")));
        assert!(
            text.starts_with("stack `s`") && text.contains("--stack dropout --force"),
            "{text}"
        );
    }
}
