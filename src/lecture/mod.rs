//! The lecture set: films and pictures that are ready to show, each with the words that belong to it.
//!
//! A scene is a file of `experiments/lecture/`: a title, what to say, what to look at, where it is from, and
//! the commands of lossreel that make its files. The commands are the whole of it: whoever wants another
//! film changes one and runs it. This module reads the scenes, fills in the scale, keeps what is made, and
//! writes the gallery and the deck; the command line runs the commands.

mod deck;
mod gallery;
mod made;
mod scene;

pub use made::{Made, SceneFolder};
pub use scene::{Command, Scale, Scene, Show, catalogue, chosen};

use std::path::{Path, PathBuf};

use crate::Result;

/// A scene with its files, for the pages.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The scene.
    pub scene: &'a Scene,
    /// Its folder's name within the lecture's folder.
    pub folder: String,
    /// The commands that made it, as they are typed.
    pub commands: Vec<String>,
}

/// Writes the gallery of `scenes` to `root`, `index.html`; the films lie beside it.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn write_gallery(root: &Path, scenes: &[Shown<'_>], scale: Scale) -> Result<PathBuf> {
    gallery::write(root, scenes, scale)
}

/// Writes the slides of `scenes` to `root`, `deck.html`, with every film and picture in it.
///
/// # Errors
/// [`crate::Error::Io`], also of a film that is not there.
pub fn write_deck(root: &Path, scenes: &[Shown<'_>]) -> Result<PathBuf> {
    deck::write(root, scenes)
}
