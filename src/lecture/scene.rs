//! The scenes and their commands.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::names::named_enum;
use crate::{Error, Result};

/// The scenes' files, in the order of the lecture.
const FILES: &[(&str, &str)] = &[
    ("linear_regression", include_str!("../../experiments/lecture/linear_regression.toml")),
    ("collinear_features", include_str!("../../experiments/lecture/collinear_features.toml")),
    ("hidden_layer", include_str!("../../experiments/lecture/hidden_layer.toml")),
    ("starting_point", include_str!("../../experiments/lecture/starting_point.toml")),
    ("vanishing_gradients", include_str!("../../experiments/lecture/vanishing_gradients.toml")),
    ("batch_norm", include_str!("../../experiments/lecture/batch_norm.toml")),
    ("mini_batches", include_str!("../../experiments/lecture/mini_batches.toml")),
    ("dropout", include_str!("../../experiments/lecture/dropout.toml")),
    ("weight_decay", include_str!("../../experiments/lecture/weight_decay.toml")),
    ("skip_connections", include_str!("../../experiments/lecture/skip_connections.toml")),
    ("width", include_str!("../../experiments/lecture/width.toml")),
    ("architectures", include_str!("../../experiments/lecture/architectures.toml")),
    ("choice_of_plane", include_str!("../../experiments/lecture/choice_of_plane.toml")),
    ("wide_and_sharp", include_str!("../../experiments/lecture/wide_and_sharp.toml")),
    ("curvature", include_str!("../../experiments/lecture/curvature.toml")),
    ("convexity", include_str!("../../experiments/lecture/convexity.toml")),
    ("edge_of_stability", include_str!("../../experiments/lecture/edge_of_stability.toml")),
    ("optimizers", include_str!("../../experiments/lecture/optimizers.toml")),
    ("race", include_str!("../../experiments/lecture/race.toml")),
    ("barrier", include_str!("../../experiments/lecture/barrier.toml")),
];

named_enum! {
    /// How large the nets and data of the scenes are.
    #[derive(Default)]
    pub enum Scale("scale") {
        /// Minutes on two cores, embedded data.
        #[default]
        Smoke = "smoke",
        /// Hours, CIFAR-10.
        Laptop = "laptop",
    }
}

/// A file that a scene makes and shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Its name in the scene's folder: a film (.mp4, with its poster beside it), a picture or a page.
    pub file: String,
    /// What it shows, a sentence.
    pub caption: String,
}

/// A scene of the lecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// Its name, that of its file and of its folder.
    #[serde(default)]
    pub name: String,
    /// The headline.
    pub title: String,
    /// A paragraph to say.
    pub say: String,
    /// What to look at, a point each.
    pub look: Vec<String>,
    /// Where the claim is from.
    pub source: String,
    /// Commands of lossreel, in their order, without its name; `{word}` stands for what the scale says.
    commands: Vec<String>,
    /// What is shown, in order.
    pub show: Vec<Show>,
    /// What the words stand for, for each scale.
    #[serde(default)]
    scale: BTreeMap<String, BTreeMap<String, String>>,
}

/// A command line of lossreel without its name, to be run in the scene's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(pub Vec<String>);

/// What stands for the folder with CIFAR-10's files where a command is shown.
const DATA_DIR: &str = "DIR";

impl Command {
    /// As it is typed, with the data's folder as `DIR`.
    pub fn typed(&self, data_dir: Option<&Path>) -> String {
        let dir = data_dir.map(|dir| dir.display().to_string());
        let quoted = |word: &String| {
            let word = match &dir {
                Some(dir) => word.replace(dir.as_str(), DATA_DIR),
                None => word.clone(),
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                word
            } else {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
        };
        let words: Vec<String> = self.0.iter().map(quoted).collect();
        format!("lossreel {}", words.join(" "))
    }
}

impl Scene {
    fn parse(name: &str, text: &str) -> Result<Self> {
        let scene: Self = toml::from_str(text)
            .map_err(|e| Error::SpecSyntax { message: e.to_string().trim_end().into() })?;
        Ok(Self { name: name.into(), ..scene })
    }

    /// Its commands at a scale; `data_dir` is the folder with CIFAR-10's files, for scales that use them.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a word without a meaning, a quotation mark without its pair, or a scale that
    /// needs the data's folder and has none.
    pub fn commands(&self, scale: Scale, data_dir: Option<&Path>) -> Result<Vec<Command>> {
        let words = self.scale.get(scale.as_str());
        let of = |word: &str| -> Result<String> {
            if word == "data_dir" {
                return match data_dir {
                    Some(dir) => Ok(format!("'{}'", dir.display())),
                    None => Err(Error::bad_value(
                        "--data-dir",
                        "",
                        format!("not given, and {} at scale {scale} trains on CIFAR-10", self.name),
                        "name the folder with its files (`lossreel datasets fetch cifar10` gets them), or use \
                         --scale smoke",
                    )),
                };
            }
            words.and_then(|words| words.get(word)).cloned().ok_or_else(|| {
                let problem = format!("has no meaning at scale {scale}");
                Error::bad_value(
                    format!("{}: {{{word}}}", self.name),
                    word,
                    problem,
                    "say it in its file",
                )
            })
        };
        let filled: Result<Vec<Command>> = self
            .commands
            .iter()
            .map(|line| {
                // What a word stands for may have words itself: the data's folder.
                let line = fill(&fill(line, &of)?, &of)?;
                split(&line).map(Command).ok_or_else(|| {
                    let problem = "has a quotation mark without its pair";
                    Error::bad_value(&*self.name, line, problem, "close it")
                })
            })
            .collect();
        // A command that the scale has no use for stands for nothing.
        Ok(filled?.into_iter().filter(|command| !command.0.is_empty()).collect())
    }
}

/// Replaces `{word}` by what `of` gives for it.
fn fill(line: &str, of: &dyn Fn(&str) -> Result<String>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((word, after)) = after.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&of(word)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Words of a line as a shell takes them, with quotation marks and without anything else of a shell.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// All scenes, in the order of the lecture.
pub fn catalogue() -> Vec<Scene> {
    let parse = |(name, text): &(&str, &str)| {
        Scene::parse(name, text).expect("the scenes are compiled in and tested")
    };
    FILES.iter().map(parse).collect()
}

/// The scenes that were named; all for `all`.
///
/// # Errors
/// [`Error::UnknownName`].
pub fn chosen(names: &[String]) -> Result<Vec<Scene>> {
    let all = catalogue();
    if names.iter().any(|name| name == "all") {
        return Ok(all);
    }
    let known: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    for name in names {
        if !known.contains(&name.as_str()) {
            return Err(Error::unknown_name("scene of the lecture", name, &known));
        }
    }
    Ok(all.into_iter().filter(|scene| names.contains(&scene.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_has_its_words_its_commands_and_its_files() {
        let dir = Path::new("/data/cifar 10");
        for scene in catalogue() {
            let name = &scene.name;
            assert!(scene.title.len() > 10 && scene.source.len() > 10, "{name}");
            assert!(scene.say.split_whitespace().count() >= 30, "{name}: a paragraph");
            assert!(!scene.look.is_empty() && !scene.show.is_empty(), "{name}");
            for &scale in Scale::ALL {
                let commands = scene.commands(scale, Some(dir)).unwrap();
                assert!(!commands.is_empty(), "{name}");
                for show in &scene.show {
                    let makes = |c: &Command| c.0.contains(&show.file);
                    assert!(
                        commands.iter().any(makes),
                        "{name} at {scale}: nothing makes {}",
                        show.file
                    );
                    if show.file.ends_with(".mp4") {
                        let command = commands.iter().find(|c| makes(c)).unwrap();
                        let films = command.0[0] == "function";
                        let poster = command.0.iter().any(|word| word.starts_with("--poster"));
                        assert!(films || poster, "{name}: {} needs a poster", show.file);
                    }
                }
                for command in &commands {
                    assert!(!command.typed(Some(dir)).contains("/data"), "{name}");
                }
            }
        }
        let smoke = |scene: &Scene| scene.commands(Scale::Smoke, None);
        assert!(catalogue().iter().all(|scene| smoke(scene).is_ok()), "smoke needs no files");
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let words = |line| split(line).unwrap();
        assert_eq!(words("a  'b c' d\"e f\"g ''"), ["a", "b c", "de fg", ""]);
        assert_eq!(words(""), Vec::<String>::new());
        assert!(split("a 'b").is_none());
        let typed = Command(words("render run --title 'It''s a' x=1")).typed(None);
        assert_eq!(typed, "lossreel render run --title 'Its a' x=1");
    }

    #[test]
    fn a_misspelt_scene_gets_a_suggestion() {
        let err = chosen(&["drop_out".into()]).unwrap_err().to_string();
        assert!(err.contains("did you mean `dropout`"), "{err}");
        assert_eq!(chosen(&["all".into()]).unwrap().len(), FILES.len());
        let two = chosen(&["width".into(), "dropout".into()]).unwrap();
        let names: Vec<&str> = two.iter().map(|scene| scene.name.as_str()).collect();
        assert_eq!(names, ["dropout", "width"], "in the order of the lecture");
    }

    #[test]
    fn the_laptop_scale_without_data_says_where_to_get_them() {
        let scene = catalogue().into_iter().find(|scene| scene.name == "skip_connections").unwrap();
        let err = scene.commands(Scale::Laptop, None).unwrap_err().to_string();
        assert!(err.contains("datasets fetch cifar10"), "{err}");
    }
}
