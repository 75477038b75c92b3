//! The command line: arguments, progress, JSON, exit codes; one file a subcommand.
//!
//! Results go to stdout, progress and warnings to stderr. Exit codes: 0 success, 1 error, 2 usage,
//! 130 interrupted and resumable.

mod average;
mod bench;
mod compare;
mod curvature;
mod curve;
mod datasets;
mod demo;
mod doctor;
mod dry_run;
mod evaluate;
mod export;
mod function;
mod grid_size;
mod hvp;
mod import;
mod inspect;
mod instability;
mod interrupt;
mod lecture;
mod man;
mod measure;
mod out;
mod plane;
mod progress;
mod ranks;
mod record;
mod recorded;
mod remedies;
mod render;
mod report;
mod river;
mod scenes;
mod slurm;
mod surface;
mod surface_look;
mod surface_parts;
mod sweep;
mod sweep_follow;
mod sweep_step;
mod target;
mod together;
mod train;
mod view;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use lossreel::{Error, Result, parallel};

use out::Out;
use ranks::Ranks;

/// Train a network from scratch, record where its weights go, and film the path on the loss
/// surface.
#[derive(Debug, Parser)]
#[command(name = "lossreel", version, max_term_width = 100, propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON document on stdout instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// Threads to compute with; all cores by default. Results do not depend on it.
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
    /// No progress on stderr.
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// What the command says without arguments.
const BEGIN: &str = "\
lossreel trains a network, records where its weights go, and films the path on the loss surface.

Where to begin:
  lossreel demo                                the whole job in half a minute, on embedded data
  lossreel train experiments/demo.toml         a run of your own; then plane, surface, render
  lossreel view RUN RUN --out page.html        surfaces to turn and play in a browser, in one file
  lossreel import checkpoints/ --arch NAME --out RUN
                                               checkpoints from PyTorch as a run
  lossreel sweep experiments/skip_connections.toml --scale smoke
                                               an ablation with seeds, and its report
  lossreel compare experiments/optimizers.toml --scale smoke
                                               optimizers, each tuned with the same budget
  lossreel lecture all --out lecture           films ready to show, with the words to say
  lossreel doctor                              what this build and this machine can do
  lossreel help                                every command; `lossreel COMMAND --help` has its options
";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Train(train::Args),
    Sweep(sweep::Args),
    Compare(Box<compare::Args>),
    Report(report::Args),
    Lecture(lecture::Args),
    Evaluate(evaluate::Args),
    Plane(plane::Args),
    Surface(surface::Args),
    Curve(curve::Args),
    Curvature(Box<curvature::Args>),
    Measure(Box<measure::Args>),
    Average(average::Args),
    River(river::Args),
    Instability(instability::Args),
    Function(function::Args),
    Render(Box<render::Args>),
    View(view::Args),
    Inspect(inspect::Args),
    Import(import::Args),
    Export(export::Args),
    Bench(bench::Args),
    #[command(hide = true)]
    Hvp(hvp::Args),
    Datasets(datasets::Args),
    Doctor(doctor::Args),
    #[command(hide = true)]
    Record(record::Args),
    #[command(hide = true)]
    Recorded(recorded::Args),
    Man(man::Args),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Parses the arguments, runs the subcommand, maps its outcome to an exit code.
pub fn main() -> ExitCode {
    if std::env::args_os().len() <= 1 {
        Out::new(false, false).result(&(), |w| w.write_all(BEGIN.as_bytes()));
        return ExitCode::SUCCESS;
    }
    let matches = Args::command().get_matches();
    let args = match Args::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    if let Some((command, matches)) = matches.subcommand()
        && let Err(error) = together::check(command, matches)
    {
        return fail(&error);
    }
    set_candle_threads();
    let command = matches.subcommand_name().unwrap_or_default();
    let (mut ranks, share) = match Ranks::join(command) {
        Ok(joined) => joined,
        Err(error) => return fail(&error),
    };
    if let Err(error) = set_threads(args.threads.or(share)) {
        return fail(&error);
    }
    // Rank 0 speaks for all.
    let is_worker = matches!(ranks, Ranks::Work(..));
    let out = Out::new(args.json, args.quiet || is_worker);
    let result = match args.command {
        Command::Demo(args) => demo::run(args, &out),
        Command::Train(args) => train::run(args, &out),
        Command::Sweep(args) => sweep::run(args, &out, &mut ranks),
        Command::Compare(args) => compare::run(*args, &out),
        Command::Report(args) => report::run(args, &out),
        Command::Lecture(args) => lecture::run(args, &out),
        Command::Evaluate(args) => evaluate::run(args, &out),
        Command::Plane(args) => plane::run(args, &out),
        Command::Surface(args) => surface::run(args, &out, &mut ranks),
        Command::Curve(args) => curve::run(args, &out),
        Command::Curvature(args) => curvature::run(*args, &out),
        Command::Measure(args) => measure::run(*args, &out),
        Command::Average(args) => average::run(args, &out),
        Command::River(args) => river::run(args, &out),
        Command::Instability(args) => instability::run(args, &out),
        Command::Function(args) => function::run(args, &out),
        Command::Render(args) => render::run(*args, &out),
        Command::View(args) => view::run(args, &out),
        Command::Inspect(args) => inspect::run(args, &out),
        Command::Import(args) => import::run(args, &out),
        Command::Export(args) => export::run(args, &out),
        Command::Bench(args) => bench::run(args, &out),
        Command::Hvp(args) => hvp::run(args, &out),
        Command::Datasets(args) => datasets::run(args, &out),
        Command::Doctor(args) => doctor::run(args, &out),
        Command::Record(args) => record::run(args, &out),
        Command::Recorded(args) => recorded::run(args, &out),
        Command::Man(args) => man::run(args, Args::command(), &out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "lossreel", &mut script);
            // Not straight to stdout: clap_complete panics when the reader is gone.
            Out { json: false, ..out }.result(&(), |w| w.write_all(&script));
            Ok(())
        }
    };
    match (result, &mut ranks) {
        (Ok(()), _) => ExitCode::SUCCESS,
        (Err(error), Ranks::Lead(_)) => fail(&error),
        (Err(error), Ranks::Work(worker, _)) => {
            // Rank 0 says it and ends the job. An exit code here could have it killed before.
            worker.fail(&error);
            worker.wait_for_the_end();
            ExitCode::SUCCESS
        }
    }
}

fn fail(error: &Error) -> ExitCode {
    out::warn(format_args!("{}", remedies::explain(error)));
    ExitCode::from(if matches!(error, Error::Interrupted { .. }) { 130 } else { 1 })
}

/// Has candle not look at the processor for each product. To be called before anything else.
fn set_candle_threads() {
    // Without this variable candle counts the processor's cores anew for each matrix product (see
    // `parallel`). 1 also says that it is not to divide a product among threads: the images are
    // divided already.
    // SAFETY: nothing else runs yet: this is among the first things the program does.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
}

/// Makes the pool that everything computes on, of `threads` threads or of one for each core.
fn set_threads(threads: Option<usize>) -> Result<()> {
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
    parallel::set_threads(threads.unwrap_or_else(cores))
}
