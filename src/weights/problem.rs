//! What is wrong with a file of weights, before the file is named.

/// What is wrong, and what to do about it where that is not what is said of any such file.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) remedy: Option<String>,
}

impl From<String> for Problem {
    fn from(what: String) -> Self {
        Self { what, remedy: None }
    }
}

impl From<&str> for Problem {
    fn from(what: &str) -> Self {
        what.to_string().into()
    }
}
