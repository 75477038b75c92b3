//! Damaged and hostile weights files: whatever the bytes, reading them ends in a checkpoint or an
//! error, without a panic, and allocates in proportion to the file.

use std::path::{Path, PathBuf};

use lossreel::rng::Streams;
use lossreel::weights::{self, SafetensorsFile, hdf5};

use crate::allocator::{alone, bound, peak_of};

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/weights/testdata").join(name)
}

fn shared(name: &str) -> Option<PathBuf> {
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

/// Reads `bytes` as a weights file and checks the bound; says whether it was accepted.
fn try_weights(at: &Path, bytes: &[u8]) -> bool {
    std::fs::write(at, bytes).unwrap();
    let mut accepted = false;
    let peak = peak_of(|| {
        let read = weights::read(at);
        if let Err(err) = &read {
            assert!(err.to_string().ends_with("file"), "the error names no file: {err}");
        }
        accepted = read.is_ok();
    });
    assert!(peak <= bound(bytes.len()), "{peak} bytes of heap for {} of file", bytes.len());
    accepted
}

/// `count` damaged copies of `bytes`: cut off, or some bytes of the first `head` (or anywhere)
/// replaced.
fn damaged(bytes: &[u8], head: usize, count: usize, seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut rng = Streams::new(seed).stream("damage", 0);
    (0..count).map(move |i| {
        let mut copy = bytes.to_vec();
        match i % 4 {
            0 => copy.truncate(rng.below(bytes.len())),
            kind => {
                let reach = if kind == 1 { bytes.len() } else { head.min(bytes.len()) };
                for _ in 0..=rng.below(4) {
                    copy[rng.below(reach)] = rng.bits() as u8;
                }
            }
        }
        copy
    })
}

#[test]
fn damaged_torch_files_never_panic_or_allocate_without_bound() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("file");
    // The pickle, where damage is interesting, is at the beginning: 28 and 12 kB in the large
    // files, all but the archive's directory in the small ones.
    let files = [
        (shared("li2018-resnet56/model_300.t7"), 28_214, 100),
        (shared("akamaster-resnet20/resnet20-12fca82f.th"), 12_018, 100),
        (Some(fixture("zoo.t7")), usize::MAX, 400),
        (Some(fixture("zoo.pth")), usize::MAX, 400),
        (Some(fixture("zoo-protocol4.pth")), 2000, 400),
    ];
    for (seed, (path, head, count)) in files.into_iter().enumerate() {
        let Some(path) = path else { continue };
        let bytes = std::fs::read(path).unwrap();
        assert!(try_weights(&at, &bytes), "the undamaged file is refused");
        let accepted =
            damaged(&bytes, head, count, seed as u64).filter(|copy| try_weights(&at, copy)).count();
        // Damage in a weight of a legacy file cannot be seen; most other damage can.
        assert!(accepted < count * 3 / 4, "{accepted} of {count} damaged files were accepted");
    }
}

/// An archive that says of each entry that its checksum was not computed: damage gets as far as the
/// pickle machine.
pub(crate) fn without_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    for (magic, crc) in [(b"PK\x01\x02", 16), (b"PK\x03\x04", 14)] {
        for i in 0..bytes.len() - 4 {
            if bytes[i..i + 4] == *magic {
                bytes[i + crc..i + crc + 4].fill(0);
            }
        }
    }
    bytes
}

#[test]
fn an_archive_without_checksums_is_as_safe() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("file");
    let bytes = without_checksums(std::fs::read(fixture("zoo.pth")).unwrap());
    assert!(try_weights(&at, &bytes));
    let accepted = damaged(&bytes, 1474, 600, 9).filter(|copy| try_weights(&at, copy)).count();
    assert!(accepted > 0 && accepted < 400, "{accepted}");
}

/// A legacy file whose object is the pickle `body`, with the storages `keys` after it.
pub(crate) fn legacy(body: &[u8], keys: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    bytes.extend(b"\x80\x02M\xe9\x03.\x80\x02}.");
    bytes.extend([body, keys, data].concat());
    bytes
}

/// The pickle `{name: tensor}` of a float tensor on storage `0`.
pub(crate) fn tensor_pickle(numel: i64, offset: i64, size: &[i64], strides: &[i64]) -> Vec<u8> {
    fn int(bytes: &mut Vec<u8>, value: i64) {
        bytes.extend(b"\x8a\x08");
        bytes.extend(value.to_le_bytes());
    }
    fn tuple(bytes: &mut Vec<u8>, values: &[i64]) {
        bytes.push(b'(');
        values.iter().for_each(|&v| int(bytes, v));
        bytes.push(b't');
    }
    let mut bytes = b"}U\x01wctorch._utils\n_rebuild_tensor\n((U\x07storage".to_vec();
    bytes.extend(b"ctorch\nFloatStorage\nU\x010U\x03cpu");
    int(&mut bytes, numel);
    bytes.extend(b"tQ");
    int(&mut bytes, offset);
    tuple(&mut bytes, size);
    tuple(&mut bytes, strides);
    bytes.extend(b"tRs.");
    bytes
}

fn read_bytes(at: &Path, bytes: &[u8]) -> Result<weights::Checkpoint, String> {
    std::fs::write(at, bytes).unwrap();
    let mut read = None;
    let peak = peak_of(|| read = Some(weights::read(at).map_err(|e| e.to_string())));
    assert!(peak <= bound(bytes.len()), "{peak} bytes of heap for {} of file", bytes.len());
    read.unwrap()
}

#[test]
fn tensors_that_claim_more_than_is_there_are_errors() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("file");
    let file = |numel: i64, stored: u64, offset, size: &[i64], strides: &[i64]| {
        let mut data = stored.to_le_bytes().to_vec();
        data.extend([0; 16]);
        legacy(&tensor_pickle(numel, offset, size, strides), b"](U\x010e.", &data)
    };
    // Sound: four floats, as a vector and with both strides backwards.
    assert_eq!(read_bytes(&at, &file(4, 4, 0, &[4], &[1])).unwrap().tensors[0].data, [0.0; 4]);
    assert!(read_bytes(&at, &file(4, 4, 0, &[2, 2], &[1, 2])).is_ok());
    let huge = 1 << 47;
    for (bytes, word) in [
        (file(4, 4, 1, &[4], &[1]), "beyond"),
        (file(4, 4, 0, &[4], &[2]), "beyond"),
        (file(4, 4, huge, &[1], &[1]), "beyond"),
        (file(4, 4, 0, &[2], &[huge]), "beyond"),
        (file(4, 4, huge, &[huge, 1], &[0, huge]), "more elements"),
        // A storage of one element, expanded without end by a stride of zero.
        (file(4, 4, 0, &[huge], &[0]), "more elements"),
        (file(4, 4, 0, &[huge, huge, huge], &[0, 0, 0]), "more elements"),
        (file(huge, huge as u64, 0, &[4], &[1]), "cut off"),
        (file(5, 4, 0, &[4], &[1]), "another length"),
        (file(4, u64::MAX, 0, &[4], &[1]), "another length"),
        (file(5, 5, 0, &[4], &[1]), "cut off"),
        (file(4, 4, 0, &[4], &[1, 1]), "stride count"),
    ] {
        let err = read_bytes(&at, &bytes).unwrap_err();
        assert!(err.contains(word), "{word}: {err}");
    }
}

#[test]
fn objects_built_to_exhaust_a_reader_are_errors() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("file");
    let read = |body: &[u8]| read_bytes(&at, &legacy(body, b"].", b"")).unwrap_err();

    let system = read(b"cposix\nsystem\nX\x0b\x00\x00\x00touch pwned\x85R.");
    assert!(system.contains("posix.system"), "{system}");
    assert!(!Path::new("pwned").exists());

    let mut long = b"\x8d".to_vec();
    long.extend((1u64 << 62).to_le_bytes());
    assert!(read(&long).contains("cut off"));

    // A dict that is its own state dict is looked at once; and tuples a million deep.
    assert!(read(b"}q\x00X\x05\x00\x00\x00modelh\x00s.").contains("no state dict"));
    assert!(read(&[&b"]"[..], &vec![0x85; 1_000_000], b"."].concat()).contains("no dict"));
}

#[test]
fn damaged_safetensors_and_hdf5_files_never_panic() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("file");
    let metadata = [("epoch".to_string(), "3".to_string())];
    let (a, b) = (vec![0.5; 24], vec![1.5; 8]);
    weights::write_safetensors(&at, &[("a", &[2, 3, 4], &a), ("b", &[8], &b)], &metadata).unwrap();
    let bytes = std::fs::read(&at).unwrap();
    for copy in damaged(&bytes, 200, 600, 20) {
        try_weights(&at, &copy);
        if let Ok(mut file) = SafetensorsFile::open(&at) {
            let names: Vec<String> = file.names().map(str::to_string).collect();
            names.iter().for_each(|name| drop(file.read(name)));
        }
    }

    let files = [fixture("surface-3x2.h5"), fixture("surface-chunked.h5")];
    for (seed, path) in files.into_iter().enumerate() {
        let bytes = std::fs::read(path).unwrap();
        for copy in damaged(&bytes, 6000, 400, 30 + seed as u64) {
            try_hdf5(&at, &copy);
        }
    }

    // Three points that become 3 + 2^44: the size must be refused before it is allocated.
    let bytes = std::fs::read(fixture("surface-3x2.h5")).unwrap();
    let mut refused = 0;
    for i in 0..bytes.len() - 8 {
        if bytes[i..i + 8] == 3u64.to_le_bytes() {
            let mut copy = bytes.clone();
            copy[i + 5] = 16;
            refused += usize::from(!try_hdf5(&at, &copy));
        }
    }
    assert!(refused >= 2, "no dimension was found");
}

/// Reads `bytes` as an HDF5 file and checks the bound; says whether it is a surface.
fn try_hdf5(at: &Path, bytes: &[u8]) -> bool {
    std::fs::write(at, bytes).unwrap();
    let mut accepted = false;
    let peak = peak_of(|| {
        accepted = hdf5::read_surface(at).is_ok();
        let _ = hdf5::read_directions(at);
    });
    assert!(peak <= bound(bytes.len()), "{peak} bytes of heap for {} of file", bytes.len());
    accepted
}
