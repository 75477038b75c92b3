//! The one error type of the library.
//!
//! Every variant names what was wrong with a value, what would be right and what to do about it;
//! the path, where there is one, comes last. The library returns these and never prints; the
//! command adds context and chooses the exit code.

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
        /// The dotted key or flag.
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

    // ---- pictures and films ----------------------------------------------------------------
    /// A picture that cannot be drawn or encoded.
    #[error("{what}; {remedy}")]
    Render {
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
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
