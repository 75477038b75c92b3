//! Which of the four idx files a path is, by its name: `train-images-idx3-ubyte`, with a dot or an
//! underscore for a dash, `.gz` or not, `test` for `t10k`, with ` (1)` of a browser.

use std::path::Path;

use super::super::DataSet;

/// The names as they were published: (images, labels) of the training split, then of the test split.
pub(super) const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Which of [`FILES`] a file of that name is.
pub(super) fn slot_of(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let has = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let last_is_known = words.last().is_some_and(|last| {
        matches!(*last, "ubyte" | "gz" | "idx3" | "idx1" | "idx" | "bin" | "1" | "2")
    });
    // Other sets of idx files, of other sizes.
    let is_other = has(&["emnist", "qmnist", "xnist"]);
    if is_other || !last_is_known || !has(&["ubyte", "idx3", "idx1", "idx"]) {
        return None;
    }
    let split = match (has(&["train"]), has(&["t10k", "test"])) {
        (true, false) => 0,
        (false, true) => 2,
        _ => return None,
    };
    match (has(&["images", "image"]), has(&["labels", "label"])) {
        (true, false) => Some(split),
        (false, true) => Some(split + 1),
        _ => None,
    }
}

/// The set that the name of a folder or a file speaks of.
fn set_named(name: &str) -> Option<Option<DataSet>> {
    let name = name.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["fashion", "fmnist"]) {
        Some(Some(DataSet::FashionMnist))
    } else if has(&["kmnist", "kuzushiji"]) {
        Some(Some(DataSet::Kmnist))
    } else if has(&["emnist", "qmnist"]) {
        Some(None)
    } else if has(&["mnist"]) {
        Some(Some(DataSet::Mnist))
    } else {
        None
    }
}

/// How well the files at `path`, relative to the folder somebody named, can be those of `set`: 0 where a
/// folder has its name, 1 where none says anything, `None` where one has another set's name.
pub(super) fn fit(set: DataSet, path: &Path) -> Option<u8> {
    let mut best = 1;
    for part in path.components() {
        match set_named(&part.as_os_str().to_string_lossy()) {
            None => {}
            Some(named) if named == Some(set) => best = 0,
            Some(_) => return None,
        }
    }
    Some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_under_every_name_it_goes_by() {
        let slot = |name: &str| slot_of(Path::new(name));
        for (wanted, name) in FILES.iter().enumerate() {
            assert_eq!(slot(name), Some(wanted));
            assert_eq!(slot(&format!("{name}.gz")), Some(wanted));
            assert_eq!(slot(&name.replace("-idx", ".idx")), Some(wanted));
            assert_eq!(slot(&name.replace('-', "_")), Some(wanted));
            assert_eq!(slot(&name.replace("t10k", "Test")), Some(wanted));
        }
        assert_eq!(slot("train-images-idx3-ubyte (1).gz"), Some(0));
        assert_eq!(slot("train-images-idx3-ubyte.gz.part"), None);
        assert_eq!(slot("emnist-letters-train-images-idx3-ubyte"), None);
        assert_eq!(slot("train-images.png"), None);
        assert_eq!(slot("train.bin"), None);
    }

    #[test]
    fn a_folder_of_another_set_is_not_taken_for_this_one() {
        let of = |set, path: &str| fit(set, Path::new(path));
        assert_eq!(of(DataSet::Mnist, "MNIST/raw"), Some(0));
        assert_eq!(of(DataSet::Mnist, "raw"), Some(1));
        assert_eq!(of(DataSet::Mnist, "FashionMNIST/raw"), None);
        assert_eq!(of(DataSet::Kmnist, "KMNIST/raw"), Some(0));
        assert_eq!(of(DataSet::FashionMnist, "fashion-mnist"), Some(0));
        assert_eq!(of(DataSet::FashionMnist, "MNIST/raw"), None);
    }
}
