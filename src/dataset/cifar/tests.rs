use std::fs;

use super::super::archive::tests::packed;
use super::*;
use crate::dataset::{NormChoice, NormStats, test_data};

/// A file of two records; record r of file f has label (f + r) % 10 and pixels f.
fn records(f: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for r in 0..2 {
        bytes.push(((f + r) % 10) as u8);
        bytes.extend_from_slice(&[f as u8; PIXELS]);
    }
    bytes
}

/// Six files of the binary version.
fn write_files(folder: &Path) {
    for (f, name) in CIFAR10.binary_files().iter().enumerate() {
        fs::write(folder.join(name), records(f)).unwrap();
    }
}

/// CIFAR-10 of two records a file.
fn small() -> Kind {
    let (train, _, test, _) = CIFAR10.binary;
    Kind { binary: (train, 2, test, 2), ..CIFAR10 }
}

fn read_small(folder: &Path) -> Result<Dataset> {
    let tree = Tree::below(folder)?;
    let version = small().versions(&tree).into_iter().next().unwrap().0;
    small().read_version(&version)
}

/// A pickle of `n` images, as torchvision keeps them: image i has pixels i and label i % classes.
/// `python` is the version that wrote it.
fn pickled(python: u8, n: usize, classes: usize, label_key: &str) -> Vec<u8> {
    let text = |out: &mut Vec<u8>, bytes: &[u8]| {
        if python == 2 {
            out.push(b'T');
            out.extend((bytes.len() as u32).to_le_bytes());
            out.extend(bytes);
        } else {
            let utf8: String = bytes.iter().map(|&b| char::from(b)).collect();
            out.extend(b"c_codecs\nencode\nX");
            out.extend((utf8.len() as u32).to_le_bytes());
            out.extend(utf8.as_bytes());
            out.extend(b"X\x06\0\0\0latin1\x86R");
        }
    };
    let pixels: Vec<u8> = (0..n).flat_map(|i| [i as u8; PIXELS]).collect();
    let mut out = b"\x80\x02}(".to_vec();
    text(&mut out, b"batch_label");
    text(&mut out, b"training batch 1 of 5");
    text(&mut out, b"data");
    out.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01");
    out.push(b'J');
    out.extend((n as i32).to_le_bytes());
    out.extend(b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R");
    out.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89");
    text(&mut out, &pixels);
    out.extend(b"tb");
    text(&mut out, label_key.as_bytes());
    out.extend(b"](");
    for i in 0..n {
        out.extend([b'K', (i % classes) as u8]);
    }
    out.extend(b"eu.");
    out
}

#[test]
fn binary_files_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let data = read_small(dir.path()).unwrap();
    assert_eq!(data.train.labels, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
    assert_eq!(data.test.labels, [5, 6]);
    assert_eq!(data.train.image(9)[0], 4);
}

#[test]
fn the_pickles_of_either_python_give_the_same_images_wherever_they_lie() {
    let mut digests = Vec::new();
    for python in [2, 3] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("data/cifar-10-batches-py");
        fs::create_dir_all(&folder).unwrap();
        for name in CIFAR10.python_files() {
            fs::write(folder.join(name), pickled(python, 200, 10, "labels")).unwrap();
        }
        // What torchvision puts beside them.
        fs::write(folder.join("batches.meta"), "x").unwrap();
        let data = read(DataSet::Cifar10, Some(dir.path())).unwrap().unwrap();
        assert_eq!((data.train.len(), data.test.len()), (1000, 200));
        assert_eq!((data.train.image(399)[7], data.train.labels[399]), (199, 9));
        assert_eq!(find(DataSet::Cifar10, Some(dir.path())).unwrap(), Some(folder));
        digests.push(data.digest);
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn cifar100_has_its_fine_labels_and_second_label_byte() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["train", "test"] {
        fs::write(dir.path().join(name), pickled(3, 120, 100, "fine_labels")).unwrap();
    }
    let data = read(DataSet::Cifar100, Some(dir.path())).unwrap().unwrap();
    assert_eq!((data.classes, data.train.labels[99]), (100, 99));
    assert_eq!((data.class_names[0].as_str(), data.class_names[99].as_str()), ("apple", "worm"));
    // Coarse label, fine label, pixels.
    let mut bytes = vec![3, 77];
    bytes.extend([9; PIXELS]);
    let path = dir.path().join("train.bin");
    fs::write(&path, bytes).unwrap();
    let images = CIFAR100.read_binary(vec![(path, None)], 1).unwrap();
    assert_eq!((images.labels, images.pixels), (vec![77], vec![9; PIXELS]));
}

#[test]
fn an_archive_as_downloaded_is_read_and_what_is_unpacked_goes_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<(String, Vec<u8>)> = CIFAR10
        .python_files()
        .iter()
        .map(|name| (format!("cifar-10-batches-py/{name}"), pickled(2, 3, 10, "labels")))
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    let archive = dir.path().join("cifar-10-python.tar.gz");
    fs::write(&archive, packed(&files)).unwrap();
    let data = read(DataSet::Cifar10, Some(dir.path())).unwrap().unwrap();
    assert_eq!((data.train.len(), data.test.len()), (15, 3));
    // The archive itself may be named.
    let named = read(DataSet::Cifar10, Some(&archive)).unwrap().unwrap();
    assert_eq!(named.digest, data.digest);
    // It is no archive of the other set.
    assert!(read(DataSet::Cifar100, Some(dir.path())).unwrap().is_none());
    // Half a download: what is whole beside it is taken, and alone it is named.
    let half = fs::read(&archive).unwrap();
    fs::write(&archive, &half[..half.len() / 2]).unwrap();
    let text = read(DataSet::Cifar10, Some(dir.path())).unwrap_err().to_string();
    assert!(text.contains("breaks off") && text.ends_with("cifar-10-python.tar.gz"), "{text}");
    write_files(dir.path());
    assert_eq!(read_small(dir.path()).unwrap().test.labels, [5, 6]);
}

#[test]
fn of_two_versions_the_whole_one_is_read() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    fs::remove_file(dir.path().join("test_batch.bin")).unwrap();
    for name in CIFAR10.python_files() {
        fs::write(dir.path().join(name), pickled(3, 4, 10, "labels")).unwrap();
    }
    assert_eq!(read(DataSet::Cifar10, Some(dir.path())).unwrap().unwrap().train.len(), 20);
}

#[test]
fn a_truncated_file_names_itself_both_sizes_and_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let err = read(DataSet::Cifar10, Some(dir.path())).unwrap_err().to_string();
    assert!(err.contains("6146 bytes instead of 30730000"), "{err}");
    assert!(err.contains("unpack it again"), "{err}");
    assert!(err.ends_with("data_batch_1.bin"), "{err}");
}

#[test]
fn one_missing_file_among_others_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    fs::remove_file(dir.path().join("test_batch.bin")).unwrap();
    let err = read_small(dir.path()).unwrap_err().to_string();
    assert!(err.contains("missing") && err.ends_with("test_batch.bin"), "{err}");
    assert_eq!(find(DataSet::Cifar10, Some(dir.path())).unwrap(), None);
}

#[test]
fn a_label_of_200_is_corruption() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let path = dir.path().join("data_batch_3.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1 + PIXELS] = 200;
    fs::write(&path, bytes).unwrap();
    let err = read_small(dir.path()).unwrap_err().to_string();
    assert!(err.contains("record 1") && err.contains("label 200"), "{err}");
    assert!(err.ends_with("data_batch_3.bin"), "{err}");
}

#[test]
fn pickles_that_are_none_or_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |bytes: &[u8]| {
        for name in ["train", "test"] {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        read(DataSet::Cifar100, Some(dir.path())).unwrap_err().to_string()
    };
    let whole = pickled(2, 5, 100, "fine_labels");
    let text = write(&whole[..whole.len() / 2]);
    assert!(text.contains("cut off") && text.ends_with("train"), "{text}");
    assert!(write(&pickled(2, 5, 100, "labels")).contains("no `fine_labels`"));
    assert!(write(b"\x80\x02N.").contains("no dict"));
    let text = write(&pickled(2, 105, 105, "fine_labels"));
    assert!(text.contains("image 100 has label 100"), "{text}");
}

#[test]
fn a_folder_without_the_files_has_none() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read(DataSet::Cifar10, Some(dir.path())).unwrap().is_none());
    assert!(!is_there(DataSet::Cifar10, Some(dir.path())).unwrap());
    let text = crate::dataset::missing(DataSet::Cifar10, Some(dir.path())).unwrap().to_string();
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    assert!(text.contains("cs.toronto.edu") && text.contains("data_batch_5.bin"), "{text}");
    fs::write(dir.path().join("other.txt"), "").unwrap();
    let text = crate::dataset::missing(DataSet::Cifar10, Some(dir.path())).unwrap().to_string();
    assert!(text.contains("where other.txt lie"), "{text}");
}

#[test]
fn the_real_files_have_the_published_labels_and_means() {
    let Some(dir) = test_data::folder("cifar-10-batches-bin") else { return };
    let data = read(DataSet::Cifar10, Some(&dir)).unwrap().unwrap();
    assert_eq!((data.train.len(), data.test.len()), (50_000, 10_000));
    // First labels of data_batch_1 and test_batch in the official files.
    assert_eq!(data.train.labels[..5], [6, 9, 9, 4, 1]);
    assert_eq!(data.test.labels[..5], [3, 8, 8, 0, 6]);
    let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
    // The well-known constants are given to four digits.
    for (found, known) in stats.mean.iter().zip([0.4914, 0.4822, 0.4465]) {
        assert!((found - known).abs() < 5e-5, "{:?}", stats.mean);
    }
    for (found, known) in stats.std.iter().zip([0.2470, 0.2435, 0.2616]) {
        assert!((found - known).abs() < 5e-5, "{:?}", stats.std);
    }
}
