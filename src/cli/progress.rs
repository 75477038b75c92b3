//! Progress bars: done/total, rate and time left, on stderr when it is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use super::out::Out;

/// A bar named `what` that counts `unit`s up to `total`.
pub fn bar(out: &Out, what: &str, unit: &str, total: u64) -> ProgressBar {
    let bar = out.bars.add(ProgressBar::new(total));
    let template = format!(
        "{{prefix:<26}} {{bar:28}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}"
    );
    bar.set_style(
        ProgressStyle::with_template(&template)
            .expect("the template is fixed")
            .progress_chars("━╸─"),
    );
    bar.set_prefix(what.to_string());
    bar
}

/// A bar that follows calls of (done, total).
pub struct Follow(ProgressBar);

impl Follow {
    /// As [`bar`]; the total comes with the first call.
    pub fn new(out: &Out, what: &str, unit: &str) -> Self {
        Self(bar(out, what, unit, 0))
    }

    /// What a stage calls.
    pub fn on(&self, done: usize, total: usize) {
        if self.0.length() != Some(total as u64) {
            // What was there before this call (a resumed surface) does not count into the rate.
            self.0.set_length(total as u64);
            self.0.set_position(done as u64);
            self.0.reset_eta();
        }
        // Calls come from several threads, not always in order.
        if done as u64 > self.0.position() {
            self.0.set_position(done as u64);
        }
    }

    /// Clears the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
