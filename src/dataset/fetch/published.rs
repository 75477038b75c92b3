//! What is published where, with the checksums that the publishers and torchvision give.

use super::super::DataSet;

/// A file to download.
pub(super) struct Remote {
    /// Its name, at the end of its address and on this disk.
    pub(super) name: &'static str,
    /// Its MD5 checksum.
    pub(super) md5: &'static str,
    /// Addresses of folders with it, in the order of asking.
    pub(super) mirrors: &'static [&'static str],
    /// The files of an archive that are unpacked; none of a file that stays as it is.
    pub(super) members: &'static [&'static str],
}

const fn plain(name: &'static str, md5: &'static str, mirrors: &'static [&'static str]) -> Remote {
    Remote { name, md5, mirrors, members: &[] }
}

const CIFAR_AT: &[&str] =
    &["https://www.cs.toronto.edu/~kriz/", "https://www.cs.utoronto.ca/~kriz/"];
const MNIST_AT: &[&str] = &[
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
];
const FASHION_AT: &[&str] = &[
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
];
const KMNIST_AT: &[&str] = &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"];
const SVHN_AT: &[&str] = &["http://ufldl.stanford.edu/housenumbers/"];

const CIFAR10: &[Remote] = &[Remote {
    name: "cifar-10-binary.tar.gz",
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
    mirrors: CIFAR_AT,
    members: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ],
}];
const CIFAR100: &[Remote] = &[Remote {
    name: "cifar-100-binary.tar.gz",
    md5: "03b5dce01913d631647c71ecec9e9cb8",
    mirrors: CIFAR_AT,
    members: &["train.bin", "test.bin"],
}];
const MNIST: &[Remote] = &[
    plain("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", MNIST_AT),
    plain("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", MNIST_AT),
    plain("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", MNIST_AT),
    plain("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", MNIST_AT),
];
const FASHION: &[Remote] = &[
    plain("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", FASHION_AT),
    plain("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", FASHION_AT),
    plain("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", FASHION_AT),
    plain("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", FASHION_AT),
];
const KMNIST: &[Remote] = &[
    plain("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7", KMNIST_AT),
    plain("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344", KMNIST_AT),
    plain("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7", KMNIST_AT),
    plain("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134", KMNIST_AT),
];
const SVHN: &[Remote] = &[
    plain("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", SVHN_AT),
    plain("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", SVHN_AT),
];

/// The files of a set; none where nobody publishes it.
pub(super) fn remotes(set: DataSet) -> &'static [Remote] {
    match set {
        DataSet::Cifar10 => CIFAR10,
        DataSet::Cifar100 => CIFAR100,
        DataSet::Mnist => MNIST,
        DataSet::FashionMnist => FASHION,
        DataSet::Kmnist => KMNIST,
        DataSet::Svhn => SVHN,
        _ => &[],
    }
}
