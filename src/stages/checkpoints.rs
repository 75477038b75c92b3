//! A folder of checkpoints, in the order of the training that wrote them.
//!
//! Names are compared with their numbers as numbers (`model_10` after `model_8`). A file's position is what
//! it says itself (`epoch`, `global_step`), or the number in its name that differs from file to file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::weights::{self, Checkpoint};
use crate::{Error, Result};

/// How names of files of weights end.
const ENDINGS: [&str; 8] = ["pth", "pt", "t7", "th", "tar", "ckpt", "safetensors", "bin"];
/// Beginnings of the names of files that are beside weights.
const OTHERS: [&str; 7] =
    ["opt_state", "optim", "scheduler", "scaler", "training_args", "rng_state", "trainer_state"];

/// Where in a training a checkpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// After so many epochs.
    Epoch(u64),
    /// After so many steps of the optimizer.
    Step(u64),
}

impl Position {
    /// Its number.
    pub fn number(self) -> u64 {
        match self {
            Self::Epoch(n) | Self::Step(n) => n,
        }
    }
}

/// The checkpoints of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoints {
    /// In order, each with its position; positions are distinct and of one kind.
    pub files: Vec<(PathBuf, Position)>,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
}

/// The checkpoints in a folder.
///
/// # Errors
/// [`Error::Io`]; [`Error::Landscape`] for a folder without any; those of reading the files.
pub fn in_folder(folder: &Path, key: Option<&str>) -> Result<Checkpoints> {
    let entries = fs::read_dir(folder).map_err(Error::io("look into the folder", folder))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("look into the folder", folder))?.path();
        if is_checkpoint(&path) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::Landscape {
            what: format!("{} holds no checkpoints", folder.display()),
            remedy: format!("name a folder with files that end in {}", ENDINGS.join(", ")),
        });
    }
    of_files(files, key)
}

/// The checkpoints `files`, put in order.
///
/// # Errors
/// Those of reading the files.
pub fn of_files(mut files: Vec<PathBuf>, key: Option<&str>) -> Result<Checkpoints> {
    files.sort_by_cached_key(|path| fields(path));
    let mut notes = Vec::new();
    let inside: Vec<Option<Position>> = files
        .iter()
        .map(|path| Ok(said_by(&weights::read_key(path, key)?)))
        .collect::<Result<_>>()?;
    let named = by_name(&files);
    // What the files say themselves, where it tells those with numbers in their names apart.
    let numbered: Vec<usize> = (0..files.len()).filter(|&i| named[i].is_some()).collect();
    let distinct = |positions: &[Option<Position>]| {
        let mut of: Vec<Position> = numbered.iter().filter_map(|&i| positions[i]).collect();
        let all = of.len() == numbered.len();
        of.sort();
        of.dedup();
        all && of.len() == numbered.len()
    };
    let known = if !numbered.is_empty() && !distinct(&inside) { &named } else { &inside };
    let mut placed: Vec<(PathBuf, Position)> = Vec::new();
    let mut left: Vec<String> = Vec::new();
    let anything = known.iter().any(Option::is_some);
    for (i, path) in files.into_iter().enumerate() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match known[i].or(inside[i]) {
            None if anything => left.push(format!("{name} (nothing says its epoch)")),
            // Nothing says anything: the order of the names.
            None => placed.push((path, Position::Epoch(i as u64))),
            Some(at) if placed.iter().any(|(_, known)| *known == at) => {
                left.push(format!("{name} (another file is of {})", at.number()));
            }
            Some(at) => placed.push((path, at)),
        }
    }
    if !anything {
        notes.push("nothing says the files' epochs: they are taken to be 0, 1, ... by name".into());
    }
    // Of two kinds of numbers the commoner.
    let steps = placed.iter().filter(|(_, at)| matches!(at, Position::Step(_))).count();
    let by_steps = 2 * steps > placed.len();
    placed.retain(|(path, at)| {
        let stays = matches!(at, Position::Step(_)) == by_steps;
        if !stays {
            left.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
        stays
    });
    placed.sort_by_key(|(_, at)| *at);
    if !left.is_empty() {
        notes.push(format!("left aside: {}", left.join(", ")));
    }
    Ok(Checkpoints { files: placed, notes })
}

/// Whether a path looks like a file of weights, or a folder that holds one (`checkpoint-500/`).
fn is_checkpoint(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.starts_with('.') || OTHERS.iter().any(|other| name.starts_with(other)) {
        return false;
    }
    if path.is_dir() {
        return ["model.safetensors", "pytorch_model.bin"].iter().any(|f| path.join(f).is_file());
    }
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// What a file says of its position.
fn said_by(file: &Checkpoint) -> Option<Position> {
    let number = |key: &str| {
        let value = file.meta(key)?.parse::<f64>().ok()?;
        (value >= 0.0 && value.fract() == 0.0 && value < 2f64.powi(53)).then_some(value as u64)
    };
    let epoch = ["epoch", "epochs", "cur_epoch"].iter().find_map(|key| number(key));
    let step = ["global_step", "step", "iteration", "iter"].iter().find_map(|key| number(key));
    epoch.map(Position::Epoch).or(step.map(Position::Step))
}

/// A name as text and numbers in turn.
type Fields = Vec<(String, u64)>;

fn fields(path: &Path) -> Fields {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // An ending may have a number: .t7.
    let stem = name.rsplit_once('.').map_or(name.as_ref(), |(stem, _)| stem);
    let mut fields = Fields::new();
    let mut rest = stem;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest[text..].find(|c: char| !c.is_ascii_digit());
        let end = digits.map_or(rest.len(), |len| text + len);
        let number = rest[text..end].parse().unwrap_or(0);
        let number = if text == end { u64::MAX } else { number };
        fields.push((rest[..text].to_lowercase(), number));
        rest = &rest[end..];
    }
    fields
}

/// The position of each file by its name: of the numbers of names that are alike but for those, one that is
/// called an epoch or a step, or else the first that differs from each to each.
fn by_name(files: &[PathBuf]) -> Vec<Option<Position>> {
    let all: Vec<Fields> = files.iter().map(|path| fields(path)).collect();
    let texts = |fields: &Fields| fields.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
    // The commonest pattern: best.pth and last.pth beside it have no number.
    let pattern = all
        .iter()
        .map(texts)
        .max_by_key(|pattern| all.iter().filter(|f| texts(f) == *pattern).count())
        .unwrap_or_default();
    let of: Vec<usize> = (0..all.len()).filter(|&i| texts(&all[i]) == pattern).collect();
    let tells = |field: usize| {
        let mut numbers: Vec<u64> = of.iter().map(|&i| all[i][field].1).collect();
        let numbered = numbers.iter().all(|n| *n != u64::MAX);
        numbers.sort_unstable();
        numbers.dedup();
        numbered && numbers.len() == of.len()
    };
    let telling: Vec<usize> = (0..pattern.len()).filter(|&field| tells(field)).collect();
    let called = |words: &[&str]| {
        telling.iter().copied().find(|&f| words.iter().any(|word| pattern[f].contains(word)))
    };
    let (epochs, steps) = (called(&["epoch", "ep"]), called(&["step", "iter", "checkpoint-"]));
    let Some(field) = epochs.or(steps).or(telling.first().copied()) else {
        return vec![None; files.len()];
    };
    let position = |number| match epochs {
        None if steps.is_some() => Position::Step(number),
        _ => Position::Epoch(number),
    };
    let mut found = vec![None; files.len()];
    for i in of {
        found[i] = Some(position(all[i][field].1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(names: &[&str]) -> Vec<Option<Position>> {
        by_name(&names.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_number_that_differs_is_the_epoch() {
        use Position::{Epoch, Step};
        let epochs = |numbers: &[u64]| numbers.iter().map(|n| Some(Epoch(*n))).collect::<Vec<_>>();
        assert_eq!(positions(&["model_0.t7", "model_10.t7", "model_8.t7"]), epochs(&[0, 10, 8]));
        assert_eq!(positions(&["resnet20_ep1.pth", "resnet20_ep2.pth"]), epochs(&[1, 2]));
        let lightning = ["epoch=0-step=157.ckpt", "epoch=1-step=314.ckpt"];
        assert_eq!(positions(&lightning), epochs(&[0, 1]));
        assert_eq!(
            positions(&["checkpoint-500", "checkpoint-1000"]),
            [Some(Step(500)), Some(Step(1000))]
        );
        // The accuracy behind the epoch, a best one without a number, an epoch in three digits.
        let names = ["e001_acc93.pth", "e002_acc93.pth", "e010_acc91.pth", "best.pth"];
        assert_eq!(positions(&names)[..3], epochs(&[1, 2, 10]));
        assert_eq!(positions(&names)[3], None);
        assert_eq!(positions(&["start.pth", "end.pth"]), [None, None]);
    }

    #[test]
    fn names_are_ordered_by_their_numbers() {
        let mut names = ["m_10.pth", "m_9.pth", "m_100.pth"].map(PathBuf::from).to_vec();
        names.sort_by_cached_key(|path| fields(path));
        assert_eq!(names, ["m_9.pth", "m_10.pth", "m_100.pth"].map(PathBuf::from));
    }
}
