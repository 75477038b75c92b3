//! What a sweep says while it works: bars for a terminal, a line of JSON for each thing that happens.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use lossreel::sweep::{Step, StepEnd, Sweep, Work};
use serde::Serialize;

use super::out::{Out, duration};
use super::progress;
use super::sweep_step::Epoch;

/// One line of `--json-lines`. The report that ends them has no `event`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    /// The sweep begins.
    SweepBegin {
        sweep: &'a Path,
        title: &'a str,
        /// Members that the sweep has.
        members: usize,
        /// Members of which something is to be done.
        to_do: usize,
        /// Steps to be done.
        steps: usize,
    },
    /// A step begins.
    StepBegin { member: &'a str, step: &'a str },
    /// A member has trained an epoch.
    Epoch {
        member: &'a str,
        #[serde(flatten)]
        epoch: Epoch,
    },
    /// A step has ended.
    StepEnd {
        member: &'a str,
        step: &'a str,
        /// `done`, `failed` or `interrupted`.
        how: &'a str,
        error: Option<&'a str>,
        seconds: f64,
        /// Steps that have ended.
        done: usize,
        /// Steps that there were to do.
        steps: usize,
        /// Seconds that the others will take, by the mean of those of their name; none where none has
        /// ended.
        left_seconds: Option<f64>,
    },
}

/// The bar of the whole, a line for each job, and how long it will still take.
pub struct Follow<'a> {
    out: &'a Out,
    bar: ProgressBar,
    places: usize,
    steps: usize,
    started: Instant,
    known: Mutex<Known>,
}

/// What is known of the steps.
struct Known {
    /// Steps that have ended.
    ended: usize,
    /// Steps left, by name.
    left: BTreeMap<String, usize>,
    /// Seconds of those that ended, by name.
    seconds: BTreeMap<String, Vec<f64>>,
    running: BTreeMap<String, Instant>,
}

impl<'a> Follow<'a> {
    /// Follows `work`, of which so many members as there are `places` are worked on at a time.
    pub fn new(out: &'a Out, sweep: &Sweep, work: &[Work], places: usize) -> Self {
        let mut left: BTreeMap<String, usize> = BTreeMap::new();
        let mut steps = 0;
        for step in work.iter().flat_map(|work| &work.steps) {
            *left.entry(step.name.clone()).or_default() += 1;
            steps += 1;
        }
        let (title, members) = (&sweep.about.title, sweep.about.members.len());
        let bar = progress::bar(out, title, "steps", steps as u64);
        out.note(format_args!(
            "{title}: {members} members, {steps} steps to do, into {}",
            sweep.root().display()
        ));
        let to_do = work.len();
        out.event(&Event::SweepBegin { sweep: sweep.root(), title, members, to_do, steps });
        let known = Known { ended: 0, left, seconds: BTreeMap::new(), running: BTreeMap::new() };
        let (started, known) = (Instant::now(), Mutex::new(known));
        Self { out, bar, places, steps, started, known }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A step begins; the line that shows it.
    pub fn begin(&self, work: &Work, step: &Step) -> ProgressBar {
        self.lock().running.insert(work.member.clone(), Instant::now());
        self.out.event(&Event::StepBegin { member: &work.member, step: &step.name });
        let bar = progress::line_of(self.out, &format!("{} {}", work.member, step.name));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// A member has trained an epoch.
    pub fn epoch(&self, work: &Work, epoch: Epoch, bar: &ProgressBar) {
        let loss = epoch.train_loss.map_or("not finite".into(), |loss| format!("{loss:.3}"));
        let accuracy = epoch.test_accuracy.filter(|a| !a.is_nan());
        let accuracy = accuracy.map(|a| format!(", test accuracy {:.1} %", 100.0 * a));
        let accuracy = accuracy.unwrap_or_default();
        bar.set_message(format!("epoch {}, train loss {loss}{accuracy}", epoch.epoch));
        self.out.event(&Event::Epoch { member: &work.member, epoch });
    }

    /// A step has ended.
    pub fn end(&self, work: &Work, step: &Step, end: &StepEnd) {
        let mut known = self.lock();
        let began = known.running.remove(&work.member);
        let seconds = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        if let Some(left) = known.left.get_mut(&step.name) {
            *left = left.saturating_sub(1);
        }
        known.seconds.entry(step.name.clone()).or_default().push(seconds);
        known.ended += 1;
        self.bar.inc(1);
        let (how, error) = match end {
            StepEnd::Done => ("done", None),
            StepEnd::Failed(error) => ("failed", Some(error.as_str())),
            StepEnd::Interrupted => ("interrupted", None),
        };
        let left_seconds = self.left(&known);
        self.out.event(&Event::StepEnd {
            member: &work.member,
            step: &step.name,
            how,
            error,
            seconds,
            done: known.ended,
            steps: self.steps,
            left_seconds,
        });
        let how = match error {
            None if how == "done" => format!("done in {}", duration(seconds)),
            None => how.into(),
            Some(error) => format!("failed: {error}"),
        };
        let left = match left_seconds {
            Some(secs) if secs > 0.0 => format!("; about {} left", duration(secs)),
            _ => String::new(),
        };
        let text = format!("{} {}: {how}{left}", work.member, step.name);
        progress::line(&self.bar, self.out.quiet, &text);
    }

    /// Seconds that the steps left will take, by the mean of those of their name that ended.
    fn left(&self, known: &Known) -> Option<f64> {
        let mean = |seconds: &Vec<f64>| seconds.iter().sum::<f64>() / seconds.len() as f64;
        let all: Vec<f64> = known.seconds.values().flatten().copied().collect();
        let any = (!all.is_empty()).then(|| mean(&all))?;
        let each = |name: &String| known.seconds.get(name).map_or(any, mean);
        let whole: f64 = known.left.iter().map(|(name, n)| *n as f64 * each(name)).sum();
        Some(whole / self.places.max(1) as f64)
    }

    /// All steps have ended.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        if self.started.elapsed() > Duration::from_secs(1) {
            let secs = self.started.elapsed().as_secs_f64();
            self.out.note(format_args!("took {}", duration(secs)));
        }
    }
}
