//! Downloads through `candle_datasets` (the feature `hub`): parquet files from the Hugging Face
//! hub, kept in its cache (`HF_HOME`).
//!
//! Two things are put right on the way. `candle_datasets` gives floats, pixel / 255, which become
//! bytes again without loss. And for CIFAR-10 its hub loader takes decoded images, which are
//! (height, width, channel), for (width, height, channel), so that its tensors are transposed
//! against those it reads from the binary files; here both ways give the same bytes.

use candle_core::{DType, Tensor};

use super::images::{Dataset, LabelledImages};
use super::{DataSet, cifar, mnist};
use crate::error::{Error, Result};

/// Whether the hub has the set.
pub(super) fn has(set: DataSet) -> bool {
    matches!(set, DataSet::Cifar10 | DataSet::Mnist | DataSet::FashionMnist)
}

/// CIFAR-10, MNIST or Fashion-MNIST from the hub.
pub(super) fn load(set: DataSet) -> Result<Dataset> {
    if set == DataSet::Cifar10 { cifar10() } else { mnist(set) }
}

fn cifar10() -> Result<Dataset> {
    let data = download("cifar10", candle_datasets::vision::cifar::load)?;
    let transposed = |images: Tensor, labels: Tensor| {
        // (n, 3, w, h) as the loader leaves it -> (n, 3, h, w)
        let images = images.transpose(2, 3).map_err(Error::candle("transpose the images"))?;
        labelled(&images, &labels, [3, 32, 32])
    };
    let train = transposed(data.train_images, data.train_labels)?;
    let test = transposed(data.test_images, data.test_labels)?;
    Dataset::new("cifar10", train, test, &cifar::CLASSES_10, 255.0)
}

/// MNIST or Fashion-MNIST, whose images come row by row, as they should.
fn mnist(set: DataSet) -> Result<Dataset> {
    let data = download(
        set.as_str(),
        match set {
            DataSet::FashionMnist => candle_datasets::vision::fashion_mnist::load,
            _ => candle_datasets::vision::mnist::load,
        },
    )?;
    let train = labelled(&data.train_images, &data.train_labels, [1, 28, 28])?;
    let test = labelled(&data.test_images, &data.test_labels, [1, 28, 28])?;
    Dataset::new(set.as_str(), train, test, mnist::class_names(set), 255.0)
}

type Loader = fn() -> candle_core::Result<candle_datasets::vision::Dataset>;

/// Runs a loader of `candle_datasets`, whose panics (it unwraps what the image decoder says) are
/// errors here like any other.
fn download(name: &str, loader: Loader) -> Result<candle_datasets::vision::Dataset> {
    let reason = match std::panic::catch_unwind(loader) {
        Ok(Ok(data)) => return Ok(data),
        Ok(Err(source)) => source.to_string(),
        Err(_) => "a cached file does not decode".to_string(),
    };
    Err(Error::Data {
        what: format!("cannot get {name} from the Hugging Face hub: {reason}"),
        remedy: format!(
            "check the network (or empty the cache at HF_HOME and try again), or put the files \
             into datasets/{name} as datasets/README.md says"
        ),
    })
}

/// Floats pixel / 255 in any shape of n * c * h * w values, back to bytes.
fn labelled(images: &Tensor, labels: &Tensor, shape: [usize; 3]) -> Result<LabelledImages> {
    let pixels = images
        .flatten_all()
        .and_then(|t| t.to_dtype(DType::F32)?.to_vec1::<f32>())
        .map_err(Error::candle("read the downloaded images"))?;
    // (x / 255) * 255 is within 1e-4 of the whole number x, so rounding gives x back exactly.
    let pixels = pixels.into_iter().map(|x| (x * 255.0).round() as u8).collect();
    let labels = labels.to_vec1::<u8>().map_err(Error::candle("read the downloaded labels"))?;
    LabelledImages::new(pixels, labels, shape)
}

#[cfg(test)]
mod tests {
    //! The fixtures are tiny data sets in the hub's parquet layout, and the same images as raw
    //! bytes; `fixtures/make_fixtures.py` made both. The loaders read `HF_HOME` from the
    //! environment, so each test runs itself again in a process of its own.

    use std::path::Path;
    use std::process::{Command, Output};

    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const CHILD: &str = "LOSSREEL_TEST_HUB_CHILD";

    /// Whether this process is the inner run; if not, what the inner run said.
    fn rerun(test: &str, hf_home: &Path) -> Option<Output> {
        if std::env::var_os(CHILD).is_some() {
            return None;
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("dataset::hub::tests::{test}"), "--nocapture"])
            .env(CHILD, "1")
            .env("HF_HOME", hf_home)
            .env("HF_ENDPOINT", "http://127.0.0.1:1") // no server listens on port 1
            .env_remove("HF_HUB_CACHE")
            .env_remove("HUGGINGFACE_HUB_CACHE")
            .output()
            .unwrap();
        Some(output)
    }

    /// Puts parquet files where the hub's cache would have them.
    fn fill_cache(hf_home: &Path, repo: &str, files: &[(&str, &[u8])]) {
        let repo = hf_home.join("hub").join(repo);
        let reference = repo.join("refs/refs/convert/parquet");
        std::fs::create_dir_all(reference.parent().unwrap()).unwrap();
        std::fs::write(reference, COMMIT).unwrap();
        for (name, bytes) in files {
            let path = repo.join("snapshots").join(COMMIT).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    fn assert_child_passed(output: &Output) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    #[test]
    fn the_hub_and_the_binary_files_give_identical_cifar_images() {
        let home = tempfile::tempdir().unwrap();
        fill_cache(
            home.path(),
            "datasets--cifar10",
            &[
                ("plain_text/train/0000.parquet", include_bytes!("fixtures/cifar_train.parquet")),
                ("plain_text/test/0000.parquet", include_bytes!("fixtures/cifar_test.parquet")),
            ],
        );
        let test = "the_hub_and_the_binary_files_give_identical_cifar_images";
        if let Some(output) = rerun(test, home.path()) {
            return assert_child_passed(&output);
        }
        let hub = cifar10().unwrap();
        let binary = |bytes: &[u8], records: usize| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("records.bin");
            std::fs::write(&path, bytes).unwrap();
            super::super::cifar::read_binary(&path, records).unwrap()
        };
        assert_eq!(hub.train, binary(include_bytes!("fixtures/cifar_train.bin"), 4));
        assert_eq!(hub.test, binary(include_bytes!("fixtures/cifar_test.bin"), 2));
    }

    #[test]
    fn hub_mnist_images_come_row_by_row() {
        let home = tempfile::tempdir().unwrap();
        let parquet: &[u8] = include_bytes!("fixtures/mnist.parquet");
        fill_cache(
            home.path(),
            "datasets--ylecun--mnist",
            &[("mnist/train/0000.parquet", parquet), ("mnist/test/0000.parquet", parquet)],
        );
        if let Some(output) = rerun("hub_mnist_images_come_row_by_row", home.path()) {
            return assert_child_passed(&output);
        }
        let data = mnist(DataSet::Mnist).unwrap();
        // Records of a label byte and 784 pixel bytes.
        let records: &[u8] = include_bytes!("fixtures/mnist.bin");
        assert_eq!(data.train.len(), records.len() / 785);
        for (i, record) in records.chunks_exact(785).enumerate() {
            assert_eq!(data.train.labels[i], record[0]);
            assert_eq!(data.train.image(i), &record[1..]);
        }
    }

    #[test]
    fn without_a_network_the_error_says_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        if let Some(output) = rerun("without_a_network_the_error_says_what_to_do", home.path()) {
            return assert_child_passed(&output);
        }
        let err = cifar10().unwrap_err().to_string();
        assert!(err.contains("cannot get cifar10 from the Hugging Face hub"), "{err}");
        assert!(err.contains("check the network"), "{err}");
        assert!(err.contains("datasets/cifar10"), "{err}");
    }
}
