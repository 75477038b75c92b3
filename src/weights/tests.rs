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
        let err = read_bytes(bytes, None, Path::new("some.file")).unwrap_err().to_string();
        assert!(err.contains(word) && err.ends_with("some.file"), "{word}: {err}");
    }
}

#[test]
fn a_damaged_byte_in_an_archive_is_found_by_its_checksum() {
    let mut bytes = fs::read(fixture("zoo.pth")).unwrap();
    let five = 5f32.to_le_bytes();
    let at = bytes.windows(4).position(|window| window == five).unwrap();
    bytes[at] ^= 1;
    let err = read_bytes(&bytes, None, Path::new("zoo.pth")).unwrap_err().to_string();
    assert!(err.contains("checksum") && err.contains("zoo/data/1"), "{err}");
}

#[test]
fn a_truncated_file_says_that_it_is_cut_off() {
    let bytes = fs::read(fixture("zoo.t7")).unwrap();
    let err =
        read_bytes(&bytes[..bytes.len() - 1], None, Path::new("zoo.t7")).unwrap_err().to_string();
    assert!(err.contains("cut off"), "{err}");
}

#[test]
fn tensors_in_parts_are_what_pytorch_computes_with() {
    let parts = read_key(fixture("parts.pth"), Some("parts")).unwrap();
    let whole = read_key(fixture("parts.pth"), Some("whole")).unwrap();
    for want in &whole.tensors {
        let got = parts.tensors.iter().find(|t| t.name == want.name);
        let got = got.unwrap_or_else(|| panic!("{} is not there", want.name));
        assert_eq!(got.shape, want.shape, "{}", want.name);
        for (g, w) in got.data.iter().zip(&want.data) {
            assert!((g - w).abs() <= 1e-6 * (1.0 + w.abs()), "{}: {g} {w}", want.name);
        }
    }
    assert_eq!(parts.recombined.len(), whole.tensors.len());
    // Biases are left as they are, and no part stays.
    assert_eq!(parts.tensors.len(), 2 * whole.tensors.len());
}

#[test]
fn of_several_dicts_the_usual_one_is_read_and_the_others_are_named() {
    let file = read(fixture("with-ema.pth")).unwrap();
    assert_eq!((file.key.as_str(), file.tensors[0].data[0]), ("model", 1.0));
    assert_eq!(file.others, [("model_ema".to_string(), 2)]);
    let ema = read_key(fixture("with-ema.pth"), Some("model_ema")).unwrap();
    assert_eq!((ema.key.as_str(), ema.tensors[0].data[0]), ("model_ema", 2.0));
    let err = read_key(fixture("with-ema.pth"), Some("modle")).unwrap_err().to_string();
    assert!(err.contains("modle") && err.contains("model_ema"), "{err}");

    let err = read(fixture("two-nets.pth")).unwrap_err().to_string();
    assert!(err.contains("generator (2 tensors), critic (2 tensors)"), "{err}");
    assert!(err.contains("--key"), "{err}");
    let critic = read_key(fixture("two-nets.pth"), Some("critic")).unwrap();
    assert_eq!(critic.tensors[0].data[0], 2.0);
    // Within a state dict, what names begin with.
    let part = read_key(fixture("with-ema.pth"), Some("fc")).unwrap();
    assert_eq!(part.tensors[1].name, "bias");
}

#[test]
fn tensors_that_cannot_be_read_are_no_harm_until_they_are_needed() {
    for file in ["odd-tensors.pth", "odd-tensors.t7"] {
        let checkpoint = read(fixture(file)).unwrap();
        let wanted = |name: &str, shape: &[usize]| (name.to_string(), shape.to_vec());
        let names: Vec<&str> =
            checkpoint.unreadable.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["unused.code", "sparse.weight", "q.weight"], "{file}");
        let net = [wanted("fc.weight", &[2, 3]), wanted("fc.bias", &[2])];
        assert_eq!(assign("net", &net, &checkpoint).unwrap().tensors[0].data, [1.0; 6], "{file}");
        for (name, word) in [("q", "quantised"), ("sparse", "sparse"), ("unused", "Complex")] {
            let kind = if name == "unused" { "code" } else { "weight" };
            let mut net = net.to_vec();
            net.push(wanted(&format!("{name}.{kind}"), &[2, 2]));
            let err = assign("net", &net, &checkpoint).unwrap_err().to_string();
            assert!(err.contains(word), "{file}: {err}");
        }
    }
}

#[test]
fn a_folder_is_told_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let err = read(folder.path()).unwrap_err().to_string();
    assert!(err.contains("a folder") && err.contains("lossreel import"), "{err}");
    let inner = folder.path().join("model");
    fs::create_dir_all(inner.join("data")).unwrap();
    fs::write(inner.join("data.pkl"), b"").unwrap();
    for path in [folder.path(), &inner] {
        let err = read(path).unwrap_err().to_string();
        assert!(err.contains("unpacked") && err.contains("zip -0"), "{err}");
    }
    // One that stands for its file.
    fs::copy(fixture("with-ema.pth"), folder.path().join("pytorch_model.bin")).unwrap();
    assert_eq!(read(folder.path()).unwrap().key, "model");
}
