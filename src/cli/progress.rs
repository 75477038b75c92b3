//! Progress bars: done/total, rate and time left, on stderr when it is a terminal.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::out::{Out, duration, escape, one_line};

/// A bar named `what` that counts `unit`s up to `total`.
pub fn bar(out: &Out, what: &str, unit: &str, total: u64) -> ProgressBar {
    let bar = out.bars.add(ProgressBar::new(total));
    let template = format!(
        "{{prefix:<26}} {{bar:28}} {{human_pos}}/{{human_len}} {unit}  {{rate}}/s  {{eta}} left  {{msg}}"
    );
    bar.set_style(
        ProgressStyle::with_template(&template)
            .expect("the template is fixed")
            .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // A bar that cannot be written is no reason to stop the work.
                let _ = write!(out, "{:.1}", state.per_sec());
            })
            .progress_chars("━╸─"),
    );
    bar.set_prefix(one_line(what).into_owned());
    bar
}

/// A line under the bars that says what a job is at.
pub fn line_of(out: &Out, what: &str) -> ProgressBar {
    let bar = out.bars.add(ProgressBar::new_spinner());
    bar.set_style(
        ProgressStyle::with_template("  {spinner} {prefix}  {elapsed}  {msg}")
            .expect("the template is fixed"),
    );
    bar.set_prefix(what.to_string());
    bar
}

/// A line that stays: above the bar on a terminal, plain on any other stderr.
pub fn line(bar: &ProgressBar, quiet: bool, text: &str) {
    if quiet {
        return;
    }
    if bar.is_hidden() {
        // A log has lost its reader or its disk: no reason to lose the work as well.
        let _ = writeln!(std::io::stderr(), "{}", escape(text));
    } else {
        bar.println(escape(text));
    }
}

/// A bar that follows calls of (done, total). Where stderr is no terminal it writes a line at each
/// tenth of the work, and one a second at most.
pub struct Follow {
    bar: ProgressBar,
    what: String,
    unit: String,
    quiet: bool,
    tenths: AtomicUsize,
    /// When a line was written last, or the work began.
    written: Mutex<Instant>,
}

impl Follow {
    /// As [`bar`]; the total comes with the first call.
    pub fn new(out: &Out, what: &str, unit: &str) -> Self {
        Self {
            bar: bar(out, what, unit, 0),
            what: what.into(),
            unit: unit.into(),
            quiet: out.quiet,
            tenths: AtomicUsize::new(0),
            written: Mutex::new(Instant::now()),
        }
    }

    /// What a stage calls.
    pub fn on(&self, done: usize, total: usize) {
        let bar = &self.bar;
        if bar.length() != Some(total as u64) {
            // What was there before this call (a resumed surface) does not count into the rate.
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.reset_eta();
        }
        // Calls come from several threads, not always in order.
        if done as u64 > bar.position() {
            bar.set_position(done as u64);
        }
        let tenths = 10 * done / total.max(1);
        if bar.is_hidden() && self.tenths.load(Ordering::Relaxed) < tenths && self.is_due() {
            self.tenths.fetch_max(tenths, Ordering::Relaxed);
            let left = duration(bar.eta().as_secs_f64());
            let (what, unit) = (&self.what, &self.unit);
            line(bar, self.quiet, &format!("{what}: {done}/{total} {unit}, {left} left"));
        }
    }

    /// Whether the last line is a second old; the next one counts from now then.
    fn is_due(&self) -> bool {
        let mut written = self.written.lock().unwrap_or_else(|e| e.into_inner());
        let is_due = written.elapsed() >= Duration::from_secs(1);
        if is_due {
            *written = Instant::now();
        }
        is_due
    }

    /// Clears the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
