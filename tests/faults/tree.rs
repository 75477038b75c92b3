//! Folders compared byte for byte, but for what tells the time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Fields of JSON that differ from run to run.
const TIMES: [&str; 6] =
    ["elapsed_secs", "started_unix_secs", "hvp_seconds", "wall_seconds", "seconds", "threads"];

/// The files of a folder by their path in it, times set to 0, locks left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree(pub(crate) BTreeMap<String, Vec<u8>>);

impl Tree {
    pub(crate) fn of(root: &Path) -> Self {
        let mut found = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().unwrap() != ".lock" {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    let bytes = fs::read(&path).unwrap();
                    let json = name.ends_with(".json") || name.ends_with(".jsonl");
                    found.insert(name, if json { without_times(&bytes) } else { bytes });
                }
            }
        }
        Self(found)
    }

    /// What is missing, there without need, or of other content in `other`.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let missing = self.0.iter().filter(|(name, _)| !other.0.contains_key(*name));
        let missing = missing.map(|(name, _)| format!("missing {name}"));
        let rest = other.0.iter().filter_map(|(name, bytes)| match self.0.get(name) {
            None => Some(format!("left over {name}")),
            Some(wanted) if wanted != bytes => Some(format!("differs {name}")),
            Some(_) => None,
        });
        missing.chain(rest).collect()
    }

    /// The files below `folder` only.
    pub(crate) fn below(&self, folder: &str) -> Self {
        let inside = self.0.iter().filter(|(name, _)| name.starts_with(folder));
        Self(inside.map(|(name, bytes)| (name.clone(), bytes.clone())).collect())
    }
}

/// JSON with the numbers of the fields `TIMES` set to 0.
pub(crate) fn without_times(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let field = TIMES.iter().find_map(|name| {
            let key = format!("\"{name}\":");
            rest.starts_with(key.as_bytes()).then_some(key)
        });
        match field {
            None => {
                out.push(text[at]);
                at += 1;
            }
            Some(key) => {
                out.extend(key.as_bytes());
                out.push(b'0');
                at += key.len();
                at += text[at..].iter().take_while(|&&b| b == b' ').count();
                let number = |b: &&u8| b.is_ascii_digit() || b"+-.eE".contains(b);
                at += text[at..].iter().take_while(number).count();
            }
        }
    }
    out
}

/// Copies a folder's content into `to`, which exists.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn times_are_left_out_and_nothing_else() {
    let text = br#"{"seconds": 1.5e-3,"loss":0.25,"threads":12}"#;
    let bare = without_times(text);
    assert_eq!(String::from_utf8(bare).unwrap(), r#"{"seconds":0,"loss":0.25,"threads":0}"#);
}
