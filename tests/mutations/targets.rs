//! Weights of other tools, the paper's HDF5 files, data sets and specs, with sound files of each to
//! begin from.

use std::fs;
use std::path::Path;

use lossreel::dataset::{self, DataSet, LoadOptions};
use lossreel::rng::Rng;
use lossreel::weights::hdf5::{self, Directions};
use lossreel::weights::{self, SafetensorsFile};
use lossreel::{Error, Result, Spec};
use tempfile::TempDir;

use crate::allocator::bound;
use crate::mutate::{Form, mutate, pickle, zip};
use crate::weights::{fixture, legacy, tensor_pickle};
use crate::{Outcome, Target};

/// A folder in memory where there is one: inputs are written by the million.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What reading came to; an error must name `named`, a part of the file's path.
pub(crate) fn outcome<T>(read: Result<T>, named: &str) -> Outcome {
    match read {
        Ok(_) => Outcome::Accepted,
        // Sizes that do not fit are told before anybody looks at the file again.
        Err(Error::TooLarge { .. }) => Outcome::Refused,
        Err(error) => {
            let text = error.to_string();
            // What does not fit a spec is told by the key of the spec, and a run that a joint folder
            // looks for somewhere else by that place.
            let elsewhere = matches!(error, Error::NoRun { .. });
            if text.contains(named) || text.contains("the checkpoint lacks") || elsewhere {
                Outcome::Refused
            } else {
                Outcome::Wrong(format!("the error does not name {named}: {text}"))
            }
        }
    }
}

/// One of the seeds, changed, with parts of another.
pub(crate) fn changed(seeds: &[Vec<u8>], form: Form, rng: &mut Rng) -> Vec<u8> {
    let (seed, other) = (&seeds[rng.below(seeds.len())], &seeds[rng.below(seeds.len())]);
    mutate(seed, other, form, rng)
}

fn read_seeds(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| fs::read(fixture(name)).unwrap()).collect()
}

/// Writes the input to a file of the name `input` and reads it as weights.
fn read_weights(folder: &TempDir, input: &[u8]) -> Outcome {
    let path = folder.path().join("input");
    fs::write(&path, input).unwrap();
    let read = weights::read(&path);
    if let Ok(checkpoint) = &read {
        for tensor in &checkpoint.tensors {
            assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len());
        }
    }
    outcome(read, "input")
}

/// Files of weights, changed anywhere.
pub(crate) struct Weights {
    folder: TempDir,
    seeds: Vec<Vec<u8>>,
}

impl Weights {
    pub(crate) fn legacy() -> Self {
        let mut seeds = read_seeds(&["zoo.t7"]);
        for (size, strides) in [(&[4][..], &[1][..]), (&[2, 2], &[1, 2]), (&[1, 4], &[4, 1])] {
            let data = [&4u64.to_le_bytes()[..], &[0; 16]].concat();
            seeds.push(legacy(&tensor_pickle(4, 0, size, strides), b"](U\x010e.", &data));
        }
        Self { folder: folder(), seeds }
    }

    /// Archives as torch writes them, and with checksums of 0, which say that there is none: changes
    /// get farther there.
    pub(crate) fn archives() -> Self {
        let mut seeds =
            read_seeds(&["zoo.pth", "zoo-protocol4.pth", "zoo-big-endian.pth", "module.pth"]);
        for i in 0..seeds.len() {
            seeds.push(crate::weights::without_checksums(seeds[i].clone()));
        }
        Self { folder: folder(), seeds }
    }

    pub(crate) fn safetensors() -> Self {
        Self { folder: folder(), seeds: safetensors_seeds() }
    }
}

impl Target for Weights {
    fn input(&mut self, rng: &mut Rng) -> Vec<u8> {
        changed(&self.seeds, Form::Binary, rng)
    }

    fn read(&mut self, input: &[u8]) -> Outcome {
        read_weights(&self.folder, input)
    }

    fn bound(&self, input: &[u8]) -> usize {
        bound(input.len())
    }
}

/// A file with metadata and two tensors, one without and one with types of other tools.
fn safetensors_seeds() -> Vec<Vec<u8>> {
    let folder = folder();
    let path = folder.path().join("seed");
    let metadata = [("epoch".to_string(), "3".to_string())];
    let (a, b) = (vec![0.5; 24], vec![1.5; 8]);
    let tensors: [(&str, &[usize], &[f32]); 2] = [("a", &[2, 3, 4], &a), ("b", &[8], &b)];
    weights::write_safetensors(&path, &tensors, &metadata).unwrap();
    let own = fs::read(&path).unwrap();
    let bare = without_digests(&own, Form::Binary);
    let header = br#"{"w":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},"n":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}"#;
    vec![own, bare, with_header(header, &[1; 12])]
}

/// A safetensors file of a header and its data, the length of the one before it.
fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header, data].concat()
}

/// The file without its digests, as an earlier version wrote it: changes get as far as what reads it.
pub(crate) fn without_digests(file: &[u8], form: Form) -> Vec<u8> {
    if form == Form::Binary {
        let (header, data) = split_header(file);
        let mut header: serde_json::Value = serde_json::from_slice(header).unwrap();
        if let Some(metadata) = header["__metadata__"].as_object_mut() {
            metadata.retain(|key, _| !key.ends_with("sha256"));
        }
        return with_header(header.to_string().as_bytes(), data);
    }
    let mut text = String::from_utf8(file.to_vec()).unwrap();
    for field in [",\n  \"sha256\": \"", ",\"crc\":\""] {
        while let Some(start) = text.find(field) {
            let digits = start + field.len();
            let end = digits + text[digits..].find('"').unwrap() + 1;
            text.replace_range(start..end, "");
        }
    }
    text.into_bytes()
}

/// safetensors files whose header is changed as a text and has its right length; read whole and tensor
/// by tensor.
pub(crate) struct Header {
    folder: TempDir,
    seeds: Vec<Vec<u8>>,
}

impl Header {
    pub(crate) fn new() -> Self {
        Self { folder: folder(), seeds: safetensors_seeds() }
    }
}

/// Header and data of a sound file.
fn split_header(file: &[u8]) -> (&[u8], &[u8]) {
    let len = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    file[8..].split_at(len)
}

pub(crate) fn changed_header(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let (seed, other) = (&seeds[rng.below(seeds.len())], &seeds[rng.below(seeds.len())]);
    let (header, data) = split_header(seed);
    let header = mutate(header, split_header(other).0, Form::Text, rng);
    // Sometimes data that are too long or too short for it.
    let data = if rng.bernoulli(0.1) { &data[..rng.below(data.len() + 1)] } else { data };
    with_header(&header, data)
}

impl Target for Header {
    fn input(&mut self, rng: &mut Rng) -> Vec<u8> {
        changed_header(&self.seeds, rng)
    }

    fn read(&mut self, input: &[u8]) -> Outcome {
        let whole = read_weights(&self.folder, input);
        let path = self.folder.path().join("input");
        let one_by_one = SafetensorsFile::open(&path).and_then(|mut file| {
            let names: Vec<String> = file.names().map(str::to_string).collect();
            names.iter().try_for_each(|name| file.read(name).map(drop))
        });
        match outcome(one_by_one, "input") {
            Outcome::Wrong(what) => Outcome::Wrong(what),
            _ => whole,
        }
    }

    fn bound(&self, input: &[u8]) -> usize {
        bound(input.len())
    }
}

/// Legacy files whose object is a pickle of random opcodes.
pub(crate) struct Pickles(TempDir);

impl Pickles {
    pub(crate) fn new() -> Self {
        Self(folder())
    }
}

impl Target for Pickles {
    fn input(&mut self, rng: &mut Rng) -> Vec<u8> {
        let data = [&4u64.to_le_bytes()[..], &[0; 16]].concat();
        // A tensor first, which the opcodes can go on with.
        let tensor = tensor_pickle(4, 0, &[4], &[1]);
        let start = &tensor[..tensor.len() - usize::from(rng.bernoulli(0.5))];
        let body = [if rng.bernoulli(0.5) { start } else { b"" }, &pickle(rng)].concat();
        legacy(&body, b"](U\x010e.", &data)
    }

    fn read(&mut self, input: &[u8]) -> Outcome {
        read_weights(&self.0, input)
    }

    fn bound(&self, input: &[u8]) -> usize {
        bound(input.len())
    }
}

/// Archives of torch whose pickle, or another entry, is changed, packed anew with right checksums.
pub(crate) struct Archive {
    folder: TempDir,
    seeds: Vec<Vec<(String, Vec<u8>)>>,
}

impl Archive {
    pub(crate) fn new() -> Self {
        let names = ["zoo.pth", "zoo-protocol4.pth", "zoo-big-endian.pth", "module.pth"];
        let seeds = names.map(|name| {
            let file = fs::File::open(fixture(name)).unwrap();
            let mut archive = ::zip::ZipArchive::new(file).unwrap();
            let read = |i| {
                let mut entry = archive.by_index(i).unwrap();
                let name = String::from_utf8(entry.name_raw().to_vec()).unwrap();
                let mut content = Vec::new();
                std::io::copy(&mut entry, &mut content).unwrap();
                (name, content)
            };
            let count =
                ::zip::ZipArchive::new(fs::File::open(fixture(name)).unwrap()).unwrap().len();
            (0..count).map(read).collect()
        });
        let target = Self { folder: folder(), seeds: seeds.to_vec() };
        // Packed here and unchanged it is what it was.
        assert_eq!(read_weights(&target.folder, &zip(&target.seeds[0])), Outcome::Accepted);
        target
    }
}

impl Target for Archive {
    fn input(&mut self, rng: &mut Rng) -> Vec<u8> {
        let mut entries = self.seeds[rng.below(self.seeds.len())].clone();
        let others = &self.seeds[rng.below(self.seeds.len())];
        let pickle = entries.iter().position(|(name, _)| name.ends_with("data.pkl")).unwrap();
        let which = if rng.bernoulli(0.8) { pickle } else { rng.below(entries.len()) };
        let other = &others[rng.below(others.len())].1;
        entries[which].1 = mutate(&entries[which].1, other, Form::Binary, rng);
        zip(&entries)
    }

    fn read(&mut self, input: &[u8]) -> Outcome {
        read_weights(&self.folder, input)
    }

    fn bound(&self, input: &[u8]) -> usize {
        bound(input.len())
    }
}

/// The HDF5 files of the paper's code.
pub(crate) struct Hdf5 {
    folder: TempDir,
    seeds: Vec<Vec<u8>>,
    read: fn(&Path) -> Result<()>,
}

impl Hdf5 {
    pub(crate) fn surfaces() -> Self {
        let folder = folder();
        let path = folder.path().join("seed");
        let mut seeds = read_seeds(&["surface-3x2.h5", "surface-chunked.h5"]);
        let surface = hdf5::read_surface(fixture("surface-3x2.h5")).unwrap();
        hdf5::write_surface(&path, &surface).unwrap();
        seeds.push(fs::read(path).unwrap());
        Self { folder, seeds, read: |path| hdf5::read_surface(path).map(drop) }
    }

    pub(crate) fn directions() -> Self {
        let folder = folder();
        let path = folder.path().join("seed");
        let tensor = |i: usize| weights::NamedTensor {
            name: i.to_string(),
            shape: vec![2, i + 1],
            data: vec![0.5; 2 * (i + 1)],
        };
        let directions = Directions {
            x: (0..3).map(tensor).collect(),
            y: Some(vec![tensor(0)]),
            explained_variance_ratio: Some(vec![0.5, 0.25]),
        };
        hdf5::write_directions(&path, &directions).unwrap();
        let mut seeds = read_seeds(&["surface-3x2.h5"]);
        seeds.push(fs::read(path).unwrap());
        Self { folder, seeds, read: |path| hdf5::read_directions(path).map(drop) }
    }
}

impl Target for Hdf5 {
    fn input(&mut self, rng: &mut Rng) -> Vec<u8> {
        changed(&self.seeds, Form::Binary, rng)
    }

    fn read(&mut self, input: &[u8]) -> Outcome {
        let path = self.folder.path().join("input");
        fs::write(&path, input).unwrap();
        outcome((self.read)(&path), "input")
    }

    /// Chunks that nobody wrote, and compressed ones, stand for more than the file: 16 MB of bytes, and
    /// those as eight-byte numbers.
    fn bound(&self, input: &[u8]) -> usize {
        bound(input.len()) + 9 * ((16 << 20) + 1032 * input.len())
    }
}

/// Gzipped labels of MNIST. (A plain file is refused by its length alone.)
pub(crate) struct Idx {
    folder: TempDir,
    seeds: Vec<Vec<u8>>,
}

/// What the unpacked training images take, which are asked for before the first byte is known.
const MNIST_BYTES: usize = 60_000 * 28 * 28;

impl Idx {
    pub(crate) fn new() -> Self {
        let pack = |bytes: &[u8]| {
            let level = flate2::Compression::fast();
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
            std::io::Write::write_all(&mut packer, bytes).unwrap();
            packer.finish().unwrap()
        };
        let header = b"\x00\x00\x08\x03\x00\x00\xea\x60\x00\x00\x00\x1c\x00\x00\x00\x1c";
        let seeds = vec![pack(header), pack(&[&header[..], &[7; 5000]].concat())];
        Self { folder: folder(), seeds }
    }
}

impl Target for Idx {
    fn input(&mut self, rng: &mut Rng) -> Vec<u8> {
        changed(&self.seeds, Form::Binary, rng)
    }

    fn read(&mut self, input: &[u8]) -> Outcome {
        let name = "train-images-idx3-ubyte.gz";
        fs::write(self.folder.path().join(name), input).unwrap();
        let dir = Some(self.folder.path().to_path_buf());
        let options = LoadOptions { dir, ..LoadOptions::default() };
        outcome(dataset::load(DataSet::Mnist, &options), name)
    }

    fn bound(&self, input: &[u8]) -> usize {
        bound(input.len()) + 2 * MNIST_BYTES
    }
}

/// Specs of runs, and the networks that they describe.
pub(crate) struct Specs(Vec<Vec<u8>>);

impl Specs {
    pub(crate) fn new() -> Self {
        let specs = ["resnet8", "mlp", "vit", "lenet5", "densenet40"].map(|arch| {
            let set = [format!("model.arch={arch}"), "model.width=0.25".into()];
            Spec::parse("", &set[..1]).or_else(|_| Spec::parse("", &[])).unwrap().to_toml()
        });
        Self(specs.map(String::into_bytes).to_vec())
    }
}

impl Target for Specs {
    fn input(&mut self, rng: &mut Rng) -> Vec<u8> {
        changed(&self.0, Form::Text, rng)
    }

    fn read(&mut self, input: &[u8]) -> Outcome {
        let text = String::from_utf8_lossy(input);
        let spec = match Spec::parse(&text, &[]) {
            Ok(spec) => spec,
            Err(error) if error.to_string().is_empty() => return Outcome::Wrong("no words".into()),
            Err(_) => return Outcome::Refused,
        };
        // What is written out is read back as the same.
        assert_eq!(Spec::parse(&spec.to_toml(), &[]).unwrap().to_toml(), spec.to_toml());
        match spec.model.build([1, 32, 32], 10) {
            Ok(network) => drop(network.layout.digest()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        Outcome::Accepted
    }

    /// A network of a thousand layers is described by one number.
    fn bound(&self, _: &[u8]) -> usize {
        64 << 20
    }
}
