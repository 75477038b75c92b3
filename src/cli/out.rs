//! Where results go. A reader that closes its end of the pipe is no error.

use std::fmt::Arguments;
use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

/// How a subcommand speaks.
#[derive(Debug, Clone)]
pub struct Out {
    /// One JSON document on stdout instead of text.
    pub json: bool,
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
        Self { json, quiet, bars: MultiProgress::with_draw_target(target) }
    }

    /// Prints the result: `value` as JSON, or the lines that `text` writes.
    pub fn result(
        &self,
        value: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) {
        let stdout = io::stdout();
        let mut stdout = stdout.lock();
        let written = if self.json {
            serde_json::to_string_pretty(value)
                .map_err(io::Error::other)
                .and_then(|json| writeln!(stdout, "{json}"))
        } else {
            text(&mut stdout)
        };
        let written = written.and_then(|()| stdout.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            warn(format_args!("cannot write the result: {error}"));
            std::process::exit(1);
        }
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
    let _ = writeln!(io::stderr(), "{text}");
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
