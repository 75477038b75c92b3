//! What of a scene is made already: its folder and the record of the commands that ended well.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::scene::{Command, Scene};
use crate::{Error, Result, disk};

/// The record, `made.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Made {
    /// The commands that ended well, in order, as they were run.
    pub commands: Vec<Vec<String>>,
    /// Seconds that they took together.
    pub seconds: f64,
}

/// A scene's folder.
#[derive(Debug)]
pub struct SceneFolder {
    root: PathBuf,
    made: Made,
}

const RECORD: &str = "made.json";

impl SceneFolder {
    /// The folder of `scene` within that of a lecture, made where it is not there. A record that cannot be
    /// read counts as nothing made.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadValue`] where something that is no lecture's is in the way.
    pub fn open(lecture: &Path, scene: &Scene) -> Result<Self> {
        let root = lecture.join(&scene.name);
        if disk::is_there(&root)? && !disk::is_there(&root.join(RECORD))? {
            let is_empty =
                std::fs::read_dir(&root).map_err(Error::io("look into", &root))?.next().is_none();
            if !is_empty {
                return Err(Error::bad_value(
                    "--out",
                    root.display(),
                    "is there and was not made by this command",
                    "choose another folder, or move that one away",
                ));
            }
        }
        std::fs::create_dir_all(&root).map_err(Error::io("make the folder", &root))?;
        let record = root.join(RECORD);
        let text = if disk::is_there(&record)? {
            disk::read_text(&record, "read")?
        } else {
            String::new()
        };
        let folder = Self { made: serde_json::from_str(&text).unwrap_or_default(), root };
        folder.write()?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Seconds that its commands took.
    pub fn seconds(&self) -> f64 {
        self.made.seconds
    }

    /// How many of `commands` need not be run again: the first ones that are in the record, in order, as
    /// long as every file that they show is there.
    pub fn done(&self, commands: &[Command], scene: &Scene) -> usize {
        let same = commands.iter().zip(&self.made.commands).take_while(|(c, made)| c.0 == **made);
        let mut done = same.count();
        for (place, command) in commands.iter().enumerate().take(done) {
            let is_missing =
                |file: &str| command.0.iter().any(|w| w == file) && !self.root.join(file).is_file();
            if scene.show.iter().any(|show| is_missing(&show.file)) {
                done = place;
                break;
            }
        }
        done
    }

    /// Forgets what was made from command number `from` on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&mut self, from: usize) -> Result<()> {
        self.made.commands.truncate(from);
        if from == 0 {
            self.made.seconds = 0.0;
        }
        self.write()
    }

    /// Records that a command ended well.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn record(&mut self, command: &Command, seconds: f64) -> Result<()> {
        self.made.commands.push(command.0.clone());
        self.made.seconds += seconds;
        self.write()
    }

    fn write(&self) -> Result<()> {
        let json = serde_json::to_vec_pretty(&self.made).expect("the record is plain data");
        disk::write_bytes(&self.root.join(RECORD), &json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lecture::{Scale, catalogue};

    #[test]
    fn what_is_made_is_not_made_again_and_what_changed_is() {
        let lecture = tempfile::tempdir().unwrap();
        let scene = &catalogue()[2];
        let commands = scene.commands(Scale::Smoke, None).unwrap();
        let mut folder = SceneFolder::open(lecture.path(), scene).unwrap();
        assert_eq!(folder.done(&commands, scene), 0);
        for command in &commands {
            folder.record(command, 1.5).unwrap();
        }
        for show in &scene.show {
            std::fs::write(folder.path().join(&show.file), "film").unwrap();
        }
        let folder = SceneFolder::open(lecture.path(), scene).unwrap();
        assert_eq!(folder.done(&commands, scene), commands.len());
        assert_eq!(folder.seconds(), 1.5 * commands.len() as f64);
        // A film that is gone is made again, and what comes after it.
        std::fs::remove_file(folder.path().join(&scene.show[0].file)).unwrap();
        let makes = |c: &Command| c.0.contains(&scene.show[0].file);
        let place = commands.iter().position(makes).unwrap();
        assert_eq!(folder.done(&commands, scene), place);
        // Another first command: nothing of it holds.
        let mut other = commands.clone();
        other[0].0.push("--seed=2".into());
        assert_eq!(folder.done(&other, scene), 0);
        // A record that is damaged is no obstacle.
        std::fs::write(folder.path().join(RECORD), "{").unwrap();
        assert_eq!(SceneFolder::open(lecture.path(), scene).unwrap().done(&commands, scene), 0);
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let lecture = tempfile::tempdir().unwrap();
        let scene = &catalogue()[0];
        std::fs::create_dir(lecture.path().join(&scene.name)).unwrap();
        SceneFolder::open(lecture.path(), scene).unwrap();
        let other = &catalogue()[1];
        std::fs::create_dir(lecture.path().join(&other.name)).unwrap();
        std::fs::write(lecture.path().join(&other.name).join("thesis.tex"), "mine").unwrap();
        let err = SceneFolder::open(lecture.path(), other).unwrap_err().to_string();
        assert!(err.contains("was not made by this command"), "{err}");
    }
}
