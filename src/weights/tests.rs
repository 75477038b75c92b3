//! Readers against files that PyTorch, safetensors and h5py wrote. `testdata/fixtures.py` and
//! `testdata/digests.py` made what is compared here.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::*;

/// A file of the shared data folder, or `None` (and a note on stderr) where it is not there.
pub(super) fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("LOSSREEL_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/weights/testdata").join(name)
}

#[test]
fn every_tensor_of_the_trained_files_has_the_bytes_that_pytorch_reads() {
    let digests: serde_json::Value =
        serde_json::from_str(include_str!("testdata/digests.json")).unwrap();
    for (file, expected) in digests.as_object().unwrap() {
        let Some(path) = shared(file) else { continue };
        let checkpoint = read(path).unwrap();
        assert_eq!(checkpoint.format, CheckpointFormat::TorchLegacy);
        assert_eq!(checkpoint.ignored, Vec::<String>::new());
        let ours: Vec<serde_json::Value> = checkpoint
            .tensors
            .iter()
            .map(|tensor| {
                let bytes: Vec<u8> = tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect();
                let digest = Sha256::digest(bytes);
                let hex: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
                serde_json::json!([tensor.name, tensor.shape, hex])
            })
            .collect();
        assert_eq!(serde_json::Value::from(ours), *expected, "{file}");
    }
}

#[test]
fn the_scalars_beside_the_trained_weights_are_metadata() {
    if let Some(path) = shared("li2018-resnet56/model_300.t7") {
        let checkpoint = read(path).unwrap();
        assert_eq!(
            (checkpoint.meta("acc"), checkpoint.meta("epoch")),
            (Some("93.66"), Some("300"))
        );
    }
    if let Some(path) = shared("akamaster-resnet20/resnet20-12fca82f.th") {
        let best = "91.78000183105469";
        assert_eq!(read(path).unwrap().metadata, [("best_prec1".to_string(), best.to_string())]);
    }
}

#[test]
fn every_kind_of_tensor_reads_alike_from_every_kind_of_torch_file() {
    // What `fixtures.py` saved; half and bfloat are the nearest values those types have.
    let expected: [(&str, &[usize], &[f32]); 13] = [
        ("plain", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ("transposed", &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        ("window", &[2, 2], &[5.0, 6.0, 9.0, 10.0]),
        ("strided", &[3], &[0.0, 5.0, 10.0]),
        ("parameter", &[2], &[-1.5, 2.5]),
        ("double", &[3], &[0.1, f32::NEG_INFINITY, f32::INFINITY]),
        ("half", &[3], &[0.099_975_586, -2.0, 65504.0]),
        ("bfloat", &[2], &[0.100_097_656, -3.0]),
        ("counter", &[], &[117_300.0]),
        ("short", &[1], &[-300.0]),
        ("byte", &[2], &[0.0, 255.0]),
        ("flag", &[2], &[1.0, 0.0]),
        ("empty", &[0, 3], &[]),
    ];
    for (file, format) in [
        ("zoo.pth", CheckpointFormat::TorchZip),
        ("zoo-protocol4.pth", CheckpointFormat::TorchZip),
        ("zoo-big-endian.pth", CheckpointFormat::TorchZip),
        ("zoo.t7", CheckpointFormat::TorchLegacy),
    ] {
        let checkpoint = read(fixture(file)).unwrap();
        assert_eq!(checkpoint.format, format, "{file}");
        assert_eq!(checkpoint.tensors.len(), expected.len(), "{file}");
        for (tensor, (name, shape, data)) in checkpoint.tensors.iter().zip(expected) {
            assert_eq!(tensor.name, name, "{file}");
            assert_eq!((&*tensor.shape, &*tensor.data), (shape, data), "{file}: {name}");
        }
        let metadata: Vec<(&str, &str)> =
            checkpoint.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            metadata,
            [
                ("epoch", "7"),
                ("best_prec1", "91.5"),
                ("acc", "93.66"),
                ("arch", "resnet20"),
                ("done", "true"),
                ("args.lr", "0.1"),
                ("args.momentum", "0.9"),
                ("big", "1180591620717411303424"),
            ],
            "{file}"
        );
        assert_eq!(checkpoint.ignored, ["argparse.Namespace"], "{file}");
    }
}

#[test]
fn a_whole_pickled_module_is_an_error_that_says_what_to_save() {
    let err = read(fixture("module.pth")).unwrap_err().to_string();
    assert!(err.contains("torch.nn.modules.linear.Linear"), "{err}");
    assert!(err.contains("model.state_dict()") && err.ends_with("module.pth"), "{err}");
}

#[test]
fn a_file_of_another_kind_is_told_what_it_is() {
    let mut tar = vec![b'a'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"hello", "no weights file"),
        (b"\x80\x02K\x01.", "not one of torch.save"),
        (b"PK\x03\x04", "zip directory"),
        (&tar, "tar archive"),
    ] {
        let err = read_bytes(bytes, Path::new("some.file")).unwrap_err().to_string();
        assert!(err.contains(word) && err.ends_with("some.file"), "{word}: {err}");
    }
}

#[test]
fn a_damaged_byte_in_an_archive_is_found_by_its_checksum() {
    let mut bytes = fs::read(fixture("zoo.pth")).unwrap();
    let five = 5f32.to_le_bytes();
    let at = bytes.windows(4).position(|window| window == five).unwrap();
    bytes[at] ^= 1;
    let err = read_bytes(&bytes, Path::new("zoo.pth")).unwrap_err().to_string();
    assert!(err.contains("checksum") && err.contains("zoo/data/1"), "{err}");
}

#[test]
fn a_truncated_file_says_that_it_is_cut_off() {
    let bytes = fs::read(fixture("zoo.t7")).unwrap();
    let err = read_bytes(&bytes[..bytes.len() - 1], Path::new("zoo.t7")).unwrap_err().to_string();
    assert!(err.contains("cut off"), "{err}");
}
