use std::io::Write;

use super::super::own::npy_tests::{npy, npz};
use super::*;
use crate::dataset::test_data;

fn idx(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    sizes.iter().for_each(|size| bytes.extend_from_slice(&size.to_be_bytes()));
    bytes.extend_from_slice(body);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Three training and two test images; the test images gzipped.
fn write_files(folder: &Path) {
    let image = |n: usize| (0..n * 784).map(|i| (i % 253) as u8).collect::<Vec<u8>>();
    let put = |name: &str, bytes: Vec<u8>| fs::write(folder.join(name), bytes).unwrap();
    put(FILES[0], idx(MAGIC_IMAGES, &[3, 28, 28], &image(3)));
    put(FILES[1], idx(MAGIC_LABELS, &[3], &[7, 0, 9]));
    put("t10k-images-idx3-ubyte.gz", gzip(&idx(MAGIC_IMAGES, &[2, 28, 28], &image(2))));
    put(FILES[3], idx(MAGIC_LABELS, &[2], &[1, 2]));
}

fn read_small(folder: &Path) -> Result<Dataset> {
    Ok(read_of(DataSet::Mnist, Some(folder), [3, 2])?.expect("files are there"))
}

/// The message after `change` was done to the file `name`.
fn message_after(name: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let path = dir.path().join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let err = read_small(dir.path()).unwrap_err().to_string();
    assert!(err.contains("download it again") || err.contains("label"), "{err}");
    err
}

#[test]
fn plain_and_gzipped_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let data = read_small(dir.path()).unwrap();
    assert_eq!(data.train.labels, [7, 0, 9]);
    assert_eq!(data.train.image(1)[0], (784 % 253) as u8);
    assert_eq!(data.test.image(1), data.train.image(1));
}

#[test]
fn a_wrong_magic_a_wrong_count_and_a_truncated_file_are_told_apart() {
    let err = message_after(FILES[0], |bytes| bytes[3] = 1);
    assert!(err.contains("0x0801 instead of 0x0803"), "{err}");
    let err = message_after(FILES[0], |bytes| bytes[7] = 9);
    assert!(err.contains("size 0 in an idx file is 9 instead of 3"), "{err}");
    let err = message_after(FILES[0], |bytes| bytes.truncate(2000));
    assert!(err.contains("2000 bytes instead of 2368"), "{err}");
    assert!(err.ends_with("train-images-idx3-ubyte"), "{err}");
}

#[test]
fn a_broken_gzip_stream_is_told_and_named() {
    let name = "t10k-images-idx3-ubyte.gz";
    let err = message_after(name, |bytes| bytes.truncate(bytes.len() / 2));
    assert!(err.contains("gzip stream breaks") && err.ends_with(name), "{err}");
    // The stream ends with its CRC-32 and its length.
    let err = message_after(name, |bytes| {
        let at = bytes.len() - 8;
        bytes[at] ^= 0xff;
    });
    assert!(err.contains("gzip stream breaks"), "{err}");
    let err = message_after(name, |bytes| *bytes = gzip(&[0; 4000]));
    assert!(err.contains("begins with 0x0000"), "{err}");
    let err = message_after(name, |bytes| {
        *bytes = gzip(&idx(MAGIC_IMAGES, &[2, 28, 28], &[0; 4000]));
    });
    assert!(err.contains("more bytes instead of 1584"), "{err}");
    let err = message_after(name, |bytes| *bytes = gzip(&[0, 0, 8]));
    assert!(err.contains("3 bytes instead of 1584"), "{err}");
}

#[test]
fn a_label_of_200_is_corruption() {
    let err = message_after(FILES[3], |bytes| bytes[9] = 200);
    assert!(err.contains("test image 1 of mnist has label 200"), "{err}");
}

#[test]
fn missing_files_say_where_to_get_them_and_where_to_put_them() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read(DataSet::FashionMnist, Some(dir.path())).unwrap().is_none());
    let err = crate::dataset::missing(DataSet::FashionMnist, Some(dir.path())).unwrap().to_string();
    assert!(err.contains("zalandoresearch") && err.contains("t10k-labels"), "{err}");
    write_files(dir.path());
    fs::remove_file(dir.path().join(FILES[1])).unwrap();
    let err = read_small(dir.path()).unwrap_err().to_string();
    assert!(err.contains("11 bytes is missing"), "{err}");
    assert!(err.ends_with("train-labels-idx1-ubyte"), "{err}");
}

#[test]
fn the_real_files_have_the_published_labels_and_mean() {
    let Some(dir) = test_data::folder("mnist") else { return };
    let data = read(DataSet::Mnist, Some(&dir)).unwrap().unwrap();
    assert_eq!((data.train.len(), data.test.len()), (60_000, 10_000));
    assert_eq!(data.train.labels[..5], [5, 0, 4, 1, 9]);
    assert_eq!(data.test.labels[..5], [7, 2, 1, 0, 4]);
    let sum: u64 = data.train.pixels.iter().map(|&x| u64::from(x)).sum();
    // The well-known mean is given to four digits.
    let mean = sum as f64 / data.train.pixels.len() as f64 / 255.0;
    assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
}

/// Moves the four small files to other names.
fn renamed(to: impl Fn(&str) -> String) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    for name in fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = name.into_string().unwrap();
        // First out of the way of a folder of the same name.
        let (from, aside) = (dir.path().join(&name), dir.path().join("aside"));
        fs::rename(&from, &aside).unwrap();
        let path = dir.path().join(to(&name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(aside, path).unwrap();
    }
    dir
}

#[test]
fn the_files_are_found_under_other_names_in_folders_and_without_their_ending() {
    let plain = tempfile::tempdir().unwrap();
    write_files(plain.path());
    let digest = read_small(plain.path()).unwrap().digest;
    for dir in [
        renamed(|name| format!("MNIST/raw/{name}")),
        renamed(|name| name.replace("-idx", ".idx")),
        renamed(|name| format!("{name}/{name}")),
        renamed(|name| format!("mnist/{}", name.replace("t10k", "test").replace('-', "_"))),
        // A browser that unpacks has left `.gz` away, or not.
        renamed(|name| name.trim_end_matches(".gz").to_string()),
    ] {
        assert_eq!(read_small(dir.path()).unwrap().digest, digest);
    }
}

#[test]
fn of_several_sets_in_one_folder_each_is_found_and_none_stands_for_another() {
    let dir = renamed(|name| format!("FashionMNIST/raw/{name}"));
    assert!(read_of(DataSet::Mnist, Some(dir.path()), [3, 2]).unwrap().is_none());
    fs::create_dir_all(dir.path().join("MNIST/raw")).unwrap();
    write_files(&dir.path().join("MNIST/raw"));
    let labels = dir.path().join("MNIST/raw").join(FILES[1]);
    fs::write(labels, idx(MAGIC_LABELS, &[3], &[1, 1, 1])).unwrap();
    assert_eq!(read_small(dir.path()).unwrap().train.labels, [1, 1, 1]);
    let fashion = read_of(DataSet::FashionMnist, Some(dir.path()), [3, 2]).unwrap().unwrap();
    assert_eq!(fashion.train.labels, [7, 0, 9]);
    assert!(read_of(DataSet::Kmnist, Some(dir.path()), [3, 2]).unwrap().is_none());
}

#[test]
fn the_archive_of_keras_is_read() {
    let plain = tempfile::tempdir().unwrap();
    write_files(plain.path());
    let from_idx = read_small(plain.path()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let array = |n: usize, bytes: &[u8]| npy("|u1", &format!("({n}, 28, 28)"), false, bytes);
    let members = [
        ("x_train", array(3, &from_idx.train.pixels)),
        ("y_train", npy("|u1", "(3,)", false, &from_idx.train.labels)),
        ("x_test", array(2, &from_idx.test.pixels)),
        ("y_test", npy("|u1", "(2,)", false, &from_idx.test.labels)),
    ];
    fs::write(dir.path().join("mnist.npz"), npz(&members, true)).unwrap();
    assert_eq!(read_small(dir.path()).unwrap().digest, from_idx.digest);
    let err = read(DataSet::Mnist, Some(dir.path())).unwrap_err().to_string();
    assert!(err.contains("3 images instead of 60000"), "{err}");
    // KMNIST's authors give an archive for each array, which has no name of its own.
    let dir = tempfile::tempdir().unwrap();
    for (name, (_, array)) in
        ["train-imgs", "train-labels", "test-imgs", "test-labels"].iter().zip(&members)
    {
        let path = dir.path().join(format!("kmnist-{name}.npz"));
        fs::write(path, npz(&[("arr_0", array.clone())], true)).unwrap();
    }
    let data = read_of(DataSet::Kmnist, Some(dir.path()), [3, 2]).unwrap().unwrap();
    assert_eq!(data.digest, from_idx.digest);
    assert_eq!(data.class_names[9], "wo");
}
