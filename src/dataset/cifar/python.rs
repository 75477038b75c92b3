//! The Python version: pickles of a dict with `data`, an (n, 3072) array of bytes, and a list of
//! labels, written by Python 2 or 3, with keys of text or of bytes. Any number of images.

use super::super::images::LabelledImages;
use super::{Kind, MOST, PIXELS, SHAPE, Source};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::pickle::numpy::NumpyArray;
use crate::pickle::{Id, Node, Pickle};

impl Kind {
    /// The images of the pickles, one after the other.
    pub(super) fn read_python(&self, files: Vec<Source>) -> Result<LabelledImages> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for (path, content) in files {
            let bytes = match content {
                Some(bytes) => bytes,
                None => self.content(&path, MOST)?,
            };
            self.batch(&bytes, &mut pixels, &mut labels).map_err(|problem| Error::BadFile {
                what: format!("this is no file of {}'s Python version: {problem}", self.set),
                remedy: self.again(),
                path,
            })?;
        }
        LabelledImages::new(pixels, labels, SHAPE)
    }

    /// Appends the images of one pickle.
    fn batch(
        &self,
        bytes: &[u8],
        pixels: &mut Vec<u8>,
        labels: &mut Vec<u8>,
    ) -> std::result::Result<(), String> {
        let pickle = Pickle::parse(bytes)?;
        let Node::Dict(pairs) = pickle.node(pickle.root) else {
            return Err("it holds no dict".into());
        };
        let data = match value(&pickle, pairs, "data").map(|id| pickle.node(id)) {
            Some(Node::Array(array)) => NumpyArray::clone(array).in_c_order(),
            Some(_) => return Err("its `data` is no array".into()),
            None => return Err("it has no `data`".into()),
        };
        let of_images = match data.shape.as_slice() {
            [_, PIXELS] => true,
            [_, rest @ ..] => rest == SHAPE,
            [] => false,
        };
        if data.element != Element::U8 || !of_images {
            return Err(format!(
                "its `data` is {:?} of {:?} instead of bytes of (n, 3072)",
                data.shape, data.element
            ));
        }
        let id = value(&pickle, pairs, self.label_key)
            .ok_or_else(|| format!("it has no `{}`", self.label_key))?;
        let found = numbers(&pickle, id)
            .ok_or_else(|| format!("its `{}` are no whole numbers", self.label_key))?;
        if found.len() != data.shape[0] {
            return Err(format!("it has {} labels and {} images", found.len(), data.shape[0]));
        }
        for (index, label) in found.into_iter().enumerate() {
            match u8::try_from(label) {
                Ok(label) if usize::from(label) < self.classes.len() => labels.push(label),
                _ => {
                    return Err(format!(
                        "image {index} has label {label} instead of 0 to {}",
                        self.classes.len() - 1
                    ));
                }
            }
        }
        pixels.extend_from_slice(&data.bytes);
        Ok(())
    }
}

/// The last value of a key that is text, or bytes as Python 3 has Python 2's text.
fn value(pickle: &Pickle, pairs: &[(Id, Id)], wanted: &str) -> Option<Id> {
    let is = |id: Id| match pickle.node(id) {
        Node::Str(key) => **key == *wanted,
        Node::Bytes(key) => **key == *wanted.as_bytes(),
        _ => false,
    };
    pairs.iter().rev().find(|(key, _)| is(*key)).map(|(_, value)| *value)
}

/// The whole numbers of a list, a tuple or an array.
fn numbers(pickle: &Pickle, id: Id) -> Option<Vec<i128>> {
    match pickle.node(id) {
        Node::List(items) | Node::Tuple(items) => items
            .iter()
            .map(|&item| match pickle.node(item) {
                Node::Int(value) => Some(*value),
                _ => None,
            })
            .collect(),
        Node::Array(array) => {
            array.values().map(|value| (value.fract() == 0.0).then_some(value as i128)).collect()
        }
        _ => None,
    }
}
