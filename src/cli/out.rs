//! Where results go. A reader that closes its end of the pipe is no error.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::{Serialize, Serializer};

/// How a subcommand speaks.
#[derive(Debug, Clone)]
pub struct Out {
    /// One JSON document on stdout instead of text.
    pub json: bool,
    /// One JSON object a line: what happens, and last the document.
    pub lines: bool,
    /// No progress on stderr.
    pub quiet: bool,
    /// The bars on stderr.
    pub bars: MultiProgress,
}

impl Out {
    pub fn new(json: bool, quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(5)
        };
        Self { json, lines: false, quiet, bars: MultiProgress::with_draw_target(target) }
    }

    /// Prints the result: `value` as JSON, or the lines that `text` writes.
    pub fn result(
        &self,
        value: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) {
        let stdout = io::stdout();
        let mut stdout = stdout.lock();
        let whole = if self.json {
            let json = if self.lines {
                serde_json::to_string(value)
            } else {
                serde_json::to_string_pretty(value)
            };
            json.map(|json| json + "\n").map_err(io::Error::other)
        } else {
            let mut bytes = Vec::new();
            text(&mut bytes).map(|()| String::from_utf8_lossy(&bytes).into_owned())
        };
        let written = whole.and_then(|whole| {
            let plain = if self.json { escape_json(&whole) } else { escape(&whole) };
            stdout.write_all(plain.as_bytes())
        });
        let written = written.and_then(|()| stdout.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            warn(format_args!("cannot write the result: {error}"));
            std::process::exit(1);
        }
    }

    /// Something that happened, as a line of JSON, where such lines were asked for. A reader that is
    /// gone is no reason to stop the work.
    pub fn event(&self, value: &impl Serialize) {
        if !self.lines {
            return;
        }
        let line = serde_json::to_string(value).expect("events are plain data") + "\n";
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(escape_json(&line).as_bytes()).and_then(|()| stdout.flush());
    }

    /// A remark on stderr.
    pub fn note(&self, text: Arguments<'_>) {
        if !self.quiet {
            self.bars.suspend(|| to_stderr(text));
        }
    }
}

/// An error or a warning on stderr, quiet or not.
pub fn warn(text: Arguments<'_>) {
    to_stderr(format_args!("lossreel: {text}"));
}

/// A line on stderr. Nobody may be listening (`2>&1 | head`): that is no reason to stop training,
/// and `eprintln!` would panic.
pub fn to_stderr(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{}", escape(&text.to_string()));
}

/// Whether a terminal could take `c` for a command, or show what follows in another order than it is
/// written: control characters, and the marks and overrides of bidirectional text. Names of tensors and
/// runs come from files of others.
fn is_unsafe(c: char) -> bool {
    let bidirectional = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    bidirectional || matches!(c, '\u{2028}' | '\u{2029}') || c.is_control()
}

/// `text` with what a terminal could take for a command written out, as `\u{1b}`; lines and tabs stay.
/// Everything that this program prints goes through here.
pub fn escape(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unsafe(c) && !matches!(c, '\n' | '\t'), |c| c.escape_unicode().to_string())
}

/// A name that belongs on one line: lines and tabs in it are written out, too.
pub fn one_line(name: &str) -> Cow<'_, str> {
    escaped(name, is_unsafe, |c| c.escape_unicode().to_string())
}

/// A JSON document in which the same characters, which can only be inside strings, are written as JSON
/// has them. Those below a space it has written so already.
fn escape_json(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unsafe(c) && c != '\n', |c| format!("\\u{:04x}", u32::from(c)))
}

fn escaped(
    text: &str,
    is_bad: impl Fn(char) -> bool,
    written: impl Fn(char) -> String,
) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let one = |c: char| if is_bad(c) { written(c) } else { c.to_string() };
    Cow::Owned(text.chars().map(one).collect())
}

/// A value in words where it is none: `0.1235`, `NaN (not a number)`, `infinite`.
pub fn value(value: f64, decimals: usize) -> String {
    if value.is_nan() {
        "NaN (not a number)".into()
    } else if value.is_infinite() {
        if value > 0.0 { "infinite".into() } else { "minus infinite".into() }
    } else {
        format!("{value:.decimals$}")
    }
}

/// `loss 0.1235, accuracy 91.20 %`; the loss alone where numbers are predicted, which are not right or wrong.
pub fn loss_and_accuracy(loss: f64, accuracy: f64) -> String {
    let loss = format!("loss {}", value(loss, 4));
    if accuracy.is_nan() {
        return loss;
    }
    format!("{loss}, accuracy {:.2} %", 100.0 * accuracy)
}

/// JSON for numbers that may be NaN or infinite, which it has not: the strings "NaN", "inf" and "-inf",
/// as in the files of a run.
pub fn float<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { out.serialize_f64(*value) } else { out.collect_str(value) }
}

/// [`float`] for a number that may be missing.
pub fn optional_float<S: Serializer>(value: &Option<f64>, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => float(value, out),
        None => out.serialize_none(),
    }
}

/// [`float`] for a list.
pub fn floats<S: Serializer>(values: impl AsRef<[f64]>, out: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Number(#[serde(serialize_with = "float")] f64);
    out.collect_seq(values.as_ref().iter().map(|value| Number(*value)))
}

/// A path as JSON has it, also where it is not UTF-8.
pub fn path<S: Serializer>(path: &std::path::Path, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&path.display())
}

/// `87 s`, `4 min 10 s`, `3 h 20 min`.
pub fn duration(secs: f64) -> String {
    let whole = secs.round().max(0.0) as u64;
    match whole {
        0 if secs >= 0.05 => format!("{secs:.1} s"),
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// 1234567 as `1,234,567`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// [`path`] for a list.
pub fn paths<S: Serializer>(paths: &[std::path::PathBuf], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(paths.iter().map(|path| path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_could_take_for_a_command_is_written_out() {
        assert_eq!(escape("conv1.weight\tα\n"), "conv1.weight\tα\n");
        let evil = "a\u{1b}]0;title\u{7}b\u{9b}2Jc\u{202e}d\re";
        let plain = escape(evil);
        assert_eq!(plain, "a\\u{1b}]0;title\\u{7}b\\u{9b}2Jc\\u{202e}d\\u{d}e");
        assert_eq!(one_line("a\nb"), "a\\u{a}b");
        let json = serde_json::to_string_pretty(&[evil]).unwrap();
        let escaped = escape_json(&json);
        assert!(!escaped.contains(['\u{9b}', '\u{202e}']), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), [evil]);
    }

    #[test]
    fn what_is_no_number_is_said_in_words() {
        assert_eq!(value(0.12345, 2), "0.12");
        assert_eq!(value(f64::NAN, 2), "NaN (not a number)");
        assert_eq!(value(f64::NEG_INFINITY, 2), "minus infinite");
    }
}
