//! `gram.bin`: the inner products of a run's snapshots, kept so that a plane of the run that has grown
//! computes those of the new snapshots only.
//!
//! The file is a cache. It names its snapshots by the digests of their weights, in their order, and ends
//! with a digest of itself: products are used of snapshots that the run still has, and a file that is
//! damaged, of another format or of a machine whose products round otherwise is not used at all. What is
//! kept equals what would be computed to the last bit ([`InnerProducts`]).
//!
//! ```text
//! 8 bytes     length of the header
//! header      JSON: format, rounding, snapshots (digest, finite)
//! n (n+1)/2   f64, little-endian: the lower triangle, row by row
//! 32 bytes    SHA-256 of all before
//! ```

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Manifest, Run, RunSnapshots};
use crate::disk::{self, digest::hexadecimal};
use crate::trajectory::{InnerProducts, Snapshots};
use crate::{Error, Result};

/// Of the file and of how products are summed: raised when either changes.
const FORMAT: u32 = 1;

/// What reading a snapshot is, for messages.
const READ: &str = "read a snapshot";

/// Bytes of a SHA-256.
const DIGEST: usize = 32;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    format: u32,
    /// What decides how sums round: the processor's features.
    rounding: String,
    snapshots: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    digest: String,
    finite: bool,
}

impl Header {
    fn of(digests: &[String], inner: &InnerProducts) -> Self {
        let row = |(digest, &finite): (&String, &bool)| Row { digest: digest.clone(), finite };
        let snapshots = digests.iter().zip(inner.finite()).map(row).collect();
        Self { format: FORMAT, rounding: rounding(), snapshots }
    }
}

fn rounding() -> String {
    let (_, features) = Manifest::cpu();
    format!("{} {features:?}", std::env::consts::ARCH)
}

impl Run {
    /// The inner products of `snapshots`, some or all of the run's: from the run's file of them as far as
    /// it goes, the others computed with `memory_bytes` in use beside them, and kept.
    ///
    /// # Errors
    /// Those of [`InnerProducts::complete`]; [`Error::TooLarge`].
    pub fn inner_products(
        &self,
        snapshots: &RunSnapshots,
        memory_bytes: usize,
    ) -> Result<InnerProducts> {
        let mut inner = InnerProducts::unknown(snapshots.len())?;
        let digests = digests_of(snapshots)?;
        let path = self.gram_path();
        let exact = recall(&path, &digests, &mut inner);
        if !exact {
            inner.complete(snapshots, memory_bytes)?;
            // Where it cannot be kept (a medium that is read-only, a full disk), it is computed again
            // next time.
            match keep(&path, &digests, &inner) {
                Ok(()) | Err(Error::Io { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(inner)
    }

    fn gram_path(&self) -> PathBuf {
        self.root.join("gram.bin")
    }
}

/// What tells each snapshot from any other: the digest it states, or else that of its file.
fn digests_of(snapshots: &RunSnapshots) -> Result<Vec<String>> {
    let of = |info: &super::SnapshotInfo| match &info.digest {
        Some(digest) => Ok(digest.clone()),
        None => {
            let (mut file, _) = disk::open(&info.path, READ)?;
            let mut hash = Sha256::new();
            io::copy(&mut file, &mut hash).map_err(Error::io(READ, &info.path))?;
            Ok(format!("file {}", hexadecimal(&hash.finalize())))
        }
    };
    snapshots.infos().iter().map(of).collect()
}

/// Reads of the file at `path` what it knows of the snapshots `digests` into `inner`; whether it is of
/// these and no others. Whatever is wrong with the file, it knows nothing.
fn recall(path: &Path, digests: &[String], inner: &mut InnerProducts) -> bool {
    let found = read(path, digests, inner);
    if found.is_none() {
        inner.forget();
    }
    found == Some(true)
}

fn read(path: &Path, digests: &[String], inner: &mut InnerProducts) -> Option<bool> {
    let (file, file_len) = disk::open(path, READ).ok()?;
    let mut input = Hashed { inner: BufReader::new(file), hash: Sha256::new() };
    let mut len = [0; 8];
    input.read_exact(&mut len).ok()?;
    let len = u64::from_le_bytes(len);
    if len > file_len {
        return None;
    }
    let mut json = vec![0; len as usize];
    input.read_exact(&mut json).ok()?;
    let header: Header = serde_json::from_slice(&json).ok()?;
    let rows = header.snapshots.len() as u64;
    let wanted =
        (8 + len + DIGEST as u64).checked_add(rows.checked_mul(rows + 1)?.checked_mul(4)?)?;
    if header.format != FORMAT || header.rounding != rounding() || wanted != file_len {
        return None;
    }

    // The snapshots wanted, up to the first that the file has not; a row's place among them.
    let row_of: HashMap<&str, usize> =
        header.snapshots.iter().enumerate().map(|(row, s)| (s.digest.as_str(), row)).collect();
    let mut place_of: Vec<Option<usize>> = vec![None; header.snapshots.len()];
    let mut finite = Vec::new();
    for digest in digests {
        let Some(&row) = row_of.get(digest.as_str()).filter(|&&row| place_of[row].is_none()) else {
            break;
        };
        place_of[row] = Some(finite.len());
        finite.push(header.snapshots[row].finite);
    }
    // Products about another snapshot are of no use.
    let base = header.snapshots.iter().position(|s| s.finite)?;
    if place_of[base].is_none() || place_of[base] != finite.iter().position(|&finite| finite) {
        return Some(false);
    }
    let mut bytes = Vec::new();
    for row in 0..header.snapshots.len() {
        bytes.resize(8 * (row + 1), 0);
        input.read_exact(&mut bytes).ok()?;
        let Some(place) = place_of[row] else { continue };
        for (value, other) in bytes.chunks_exact(8).zip(&place_of) {
            if let Some(other) = other {
                let value = f64::from_le_bytes(value.try_into().expect("chunks of 8"));
                inner.set(place, *other, value);
            }
        }
    }
    let mut stated = [0; DIGEST];
    input.inner.read_exact(&mut stated).ok()?;
    if input.hash.finalize()[..] != stated {
        return None;
    }
    inner.know(&finite);
    Some(finite.len() == digests.len() && digests.len() == header.snapshots.len())
}

/// Writes the products.
fn keep(path: &Path, digests: &[String], inner: &InnerProducts) -> Result<()> {
    let header = serde_json::to_vec(&Header::of(digests, inner))
        .map_err(|e| Error::io("write the inner products", path)(io::Error::other(e)))?;
    disk::remove_temporaries_of(path)?;
    disk::write(path, |out| {
        let mut out = Hashed { inner: out, hash: Sha256::new() };
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        let mut bytes = Vec::new();
        for i in 0..inner.len() {
            bytes.clear();
            bytes.extend(inner.row(i).iter().flat_map(|k| k.to_le_bytes()));
            out.write_all(&bytes)?;
        }
        let digest = out.hash.finalize();
        out.inner.write_all(&digest)
    })
}

/// A stream and the digest of what went through.
struct Hashed<S> {
    inner: S,
    hash: Sha256,
}

impl<S: Read> Read for Hashed<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }
}

impl<S: Write> Write for Hashed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::network::{ParamLayout, Role};
    use crate::record::{Existing, LoopRecorder};

    const PARAMS: usize = 700;

    fn layout() -> ParamLayout {
        ParamLayout::of_tensors([("w".to_string(), vec![PARAMS], Role::Weight)], [])
    }

    fn theta(step: u64) -> Vec<f32> {
        let at = |i: usize| ((i as u64 * 31 + step * step * 17) % 101) as f32 / 101.0;
        (0..PARAMS).map(at).collect()
    }

    /// A run with snapshots of `steps`; one of a step above 100 is not finite.
    fn record(root: &Path, steps: impl Iterator<Item = u64>) -> Run {
        let recorder = LoopRecorder::create(root, "net", &layout(), 1, Existing::Replace);
        let mut recorder = recorder.unwrap();
        for step in steps {
            let mut theta = theta(step);
            if step > 100 {
                theta[PARAMS - 1] = f32::NAN;
            }
            recorder.snapshot(step, &theta, &[]).unwrap();
        }
        recorder.finish().unwrap()
    }

    fn all(run: &Run) -> RunSnapshots {
        RunSnapshots::new(run.snapshots().unwrap(), layout())
    }

    fn computed(snapshots: &RunSnapshots) -> InnerProducts {
        let mut inner = InnerProducts::unknown(snapshots.len()).unwrap();
        inner.complete(snapshots, 0).unwrap();
        inner
    }

    /// How many rows the file knows of `snapshots`.
    fn known(run: &Run, snapshots: &RunSnapshots) -> usize {
        let mut inner = InnerProducts::unknown(snapshots.len()).unwrap();
        recall(&run.gram_path(), &digests_of(snapshots).unwrap(), &mut inner);
        inner.known()
    }

    /// That the run gives the products that are computed of nothing, to the bit.
    fn assert_right(run: &Run, snapshots: &RunSnapshots) {
        let (got, want) = (run.inner_products(snapshots, 0).unwrap(), computed(snapshots));
        assert_eq!(got.finite(), want.finite());
        for i in 0..want.len() {
            assert_eq!(got.row(i), want.row(i), "row {i}");
        }
        assert_eq!(known(run, snapshots), snapshots.len(), "all of them are kept");
    }

    #[test]
    fn products_are_kept_and_continued_and_equal_those_computed_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let run = record(&folder.path().join("r"), (0..30).chain(101..103).chain(40..45));
        let infos = run.snapshots().unwrap();
        let some = |keep: &dyn Fn(usize) -> bool| {
            let kept = infos.iter().filter(|info| keep(info.index)).cloned().collect();
            RunSnapshots::new(kept, layout())
        };
        let first = some(&|i| i < 20);
        assert_eq!(known(&run, &first), 0);
        assert_right(&run, &first);
        // More of them, with one that is not finite in between.
        let whole = some(&|_| true);
        assert_eq!(known(&run, &whole), 20);
        assert_right(&run, &whole);
        let file = fs::read(run.gram_path()).unwrap();
        assert_right(&run, &whole);
        assert_eq!(fs::read(run.gram_path()).unwrap(), file);
        // Some are gone: those that are left are known up to the first new one.
        let fewer = some(&|i| i == 0 || i > 9);
        assert_eq!(known(&run, &fewer), fewer.len());
        assert_right(&run, &fewer);
        assert_eq!(known(&run, &whole), 1);
        assert_right(&run, &whole);
        // Without the first the others' products are about another snapshot.
        let later = some(&|i| i > 3);
        assert_eq!(known(&run, &later), 0);
        assert_right(&run, &later);
    }

    #[test]
    fn a_file_that_is_damaged_or_of_other_snapshots_is_computed_again() {
        let folder = tempfile::tempdir().unwrap();
        let run = record(&folder.path().join("r"), 0..12);
        let snapshots = all(&run);
        assert_right(&run, &snapshots);
        let file = fs::read(run.gram_path()).unwrap();
        for at in 0..file.len() {
            let mut bytes = file.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(run.gram_path(), &bytes).unwrap();
            assert_eq!(known(&run, &snapshots), 0, "byte {at}");
        }
        assert_right(&run, &snapshots);
        for len in [0, 7, 8, 60, file.len() - 1] {
            fs::write(run.gram_path(), &file[..len]).unwrap();
            assert_eq!(known(&run, &snapshots), 0, "{len} bytes");
        }
        fs::write(run.gram_path(), [&file[..], b"x"].concat()).unwrap();
        assert_eq!(known(&run, &snapshots), 0);
        // Of another run in the same place.
        fs::write(run.gram_path(), &file).unwrap();
        let other = record(&folder.path().join("other"), 20..32);
        fs::copy(run.gram_path(), other.gram_path()).unwrap();
        assert_eq!(known(&other, &all(&other)), 0);
        assert_right(&other, &all(&other));
        // A new run in the folder does not inherit it.
        let again = record(&folder.path().join("r"), 0..3);
        assert!(!again.gram_path().exists());
    }
}
