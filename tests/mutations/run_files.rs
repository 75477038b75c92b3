//! The files of a run folder, one of them changed and all others sound.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lossreel::landscape::{GradientStore, Plane, Stack, SurfaceStore};
use lossreel::network::{ParamLayout, Role};
use lossreel::record::{Existing, Joint, LoopRecorder, Run, read_state};
use lossreel::rng::Rng;
use lossreel::weights::SafetensorsFile;
use lossreel::{Result, Spec};
use tempfile::TempDir;

use crate::allocator::bound;
use crate::mutate::Form;
use crate::targets::{changed, changed_header, folder, outcome, without_digests};
use crate::{Outcome, Target};

/// A file in a run folder, all others sound.
pub(crate) struct InRun {
    folder: TempDir,
    file: PathBuf,
    seeds: Vec<Vec<u8>>,
    form: Form,
    read: fn(&Path) -> Result<()>,
}

/// Makes a run `r` with all that stages add to it, another `s`, and their joint plane `j`.
fn make_runs(folder: &Path) {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lossreel"));
        let output = command.args(args).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    };
    for out in ["--out=r", "--out=s"] {
        run(&[
            "train",
            out,
            "--dataset=spirals",
            "--set=model.arch=mlp",
            "--set=model.hidden=[4]",
            "--set=data.train_samples=40",
            "--set=data.test_samples=20",
            "--set=train.batch_size=20",
            "--set=train.epochs=2",
            "--set=record.every=1 steps",
            "--set=record.sharpness=2 steps",
        ]);
    }
    run(&["plane", "r"]);
    run(&["plane", "r", "s", "--out=j"]);
    run(&["surface", "r", "--grid=3x2", "--samples=20", "--gradients=2x2"]);
    let stack = ["--stack=snapshots", "--layers=2", "--name=st"];
    run(&[&["surface", "r", "--grid=2x2", "--samples=20"], &stack[..]].concat());
    run(&["curvature", "r", "--samples=20"]);
}

impl InRun {
    fn new(file: &str, form: Form, read: fn(&Path) -> Result<()>) -> Self {
        let folder = folder();
        make_runs(folder.path());
        let file = folder.path().join(file);
        let whole = fs::read(&file).unwrap();
        let seeds = vec![without_digests(&whole, form), whole];
        for seed in &seeds {
            fs::write(&file, seed).unwrap();
            read(folder.path()).unwrap();
        }
        Self { folder, file, seeds, form, read }
    }

    pub(crate) fn surface(file: &str) -> Self {
        Self::new(&format!("r/surfaces/pca/{file}"), Form::Text, |root| {
            let store = SurfaceStore::open(&root.join("r/surfaces/pca"))?;
            store.path_losses()?;
            let report = store.report(1.0);
            assert_eq!(report.evaluated + store.missing().len(), store.losses().len());
            Ok(())
        })
    }

    pub(crate) fn gradients(file: &str) -> Self {
        Self::new(&format!("r/surfaces/pca/gradients/{file}"), Form::Text, |root| {
            let store = GradientStore::open(&root.join("r/surfaces/pca"))?;
            store.map(|store| store.missing().len());
            Ok(())
        })
    }

    pub(crate) fn stack() -> Self {
        Self::new("r/surfaces/st/stack.json", Form::Text, |root| {
            Stack::open(&root.join("r/surfaces/st"))?.surfaces().map(drop)
        })
    }

    pub(crate) fn plane() -> Self {
        Self::new("r/planes/pca.safetensors", Form::Binary, |root| {
            let plane = Plane::read(&root.join("r/planes/pca.safetensors"))?;
            plane.coords();
            assert!(plane.digest().len() == 64 && !plane.axis_label(0).is_empty());
            plane.about.total_variance();
            Ok(())
        })
    }

    pub(crate) fn joint() -> Self {
        Self::new("j/joint.json", Form::Text, |root| {
            let joint = Joint::open(&root.join("j"))?;
            joint.names();
            Ok(())
        })
    }

    pub(crate) fn manifest() -> Self {
        Self::new("r/manifest.json", Form::Text, |root| Run::open(root.join("r")).map(drop))
    }

    pub(crate) fn metrics() -> Self {
        Self::new("r/metrics.jsonl", Form::Text, |root| {
            let metrics = Run::open(root.join("r"))?.metrics()?;
            metrics.elapsed_secs_at(1.5);
            Ok(())
        })
    }

    pub(crate) fn snapshot() -> Self {
        Self::new("r/snapshots/000001.safetensors", Form::Binary, |root| {
            let run = Run::open(root.join("r"))?;
            let layout = network(&run)?;
            read_all(&run, &layout)
        })
    }

    pub(crate) fn checkpoint() -> Self {
        Self::new("r/checkpoint.safetensors", Form::Binary, |root| {
            let run = Run::open(root.join("r"))?;
            let spec = Spec::parse(&run.spec_toml()?, &[])?;
            let setup = spec.setup(&spec.data.load(spec.train.seed)?)?;
            run.read_checkpoint(&setup).map(drop)
        })
    }

    pub(crate) fn curvature() -> Self {
        Self::new("r/curvature/000001.json", Form::Text, |root| {
            Run::open(root.join("r"))?.curvature().map(drop)
        })
    }

    /// Of a run that a training loop of somebody's own recorded.
    pub(crate) fn layout() -> Self {
        let folder = folder();
        let parameters = [
            ("fc.weight".to_string(), vec![3, 2], Role::Weight),
            ("fc.bias".to_string(), vec![3], Role::Bias),
        ];
        let layout = ParamLayout::of_tensors(parameters, [("mean".to_string(), vec![3])]);
        let root = folder.path().join("own");
        let mut own = LoopRecorder::create(root, "net", &layout, 2, Existing::Refuse).unwrap();
        own.snapshot(0, &[0.5; 9], &[0.0; 3]).unwrap();
        own.finish().unwrap();
        let file = folder.path().join("own/layout.json");
        let whole = fs::read(&file).unwrap();
        let seeds = vec![without_digests(&whole, Form::Text), whole];
        let read = |root: &Path| {
            let run = Run::open(root.join("own"))?;
            if let Some(layout) = run.recorded_layout()? {
                read_all(&run, &layout)?;
            }
            Ok(())
        };
        Self { folder, file, seeds, form: Form::Text, read }
    }
}

/// Reads every snapshot of a run as the state of a network of that layout.
fn read_all(run: &Run, layout: &ParamLayout) -> Result<()> {
    run.snapshots()?.iter().try_for_each(|info| {
        let mut file = SafetensorsFile::open(&info.path)?;
        read_state(&mut file, layout).map(drop)
    })
}

/// The layout of the network of a run.
fn network(run: &Run) -> Result<ParamLayout> {
    let spec = Spec::parse(&run.spec_toml()?, &[])?;
    let network = spec.network(&spec.data.load(spec.train.seed)?)?;
    Ok(network.layout.clone())
}

impl Target for InRun {
    fn input(&mut self, rng: &mut Rng) -> Vec<u8> {
        // A text in a header of safetensors is changed with its length kept right.
        let in_header = self.form == Form::Binary && rng.bernoulli(0.5);
        if in_header {
            changed_header(&self.seeds, rng)
        } else {
            changed(&self.seeds, self.form, rng)
        }
    }

    fn read(&mut self, input: &[u8]) -> Outcome {
        fs::write(&self.file, input).unwrap();
        // A message may name the folder that is to be removed.
        let folder = self.folder.path().file_name().unwrap().to_string_lossy().into_owned();
        outcome((self.read)(self.folder.path()), &folder)
    }

    /// A header may announce a grid whose cells are not done yet; the rest is in proportion.
    fn bound(&self, input: &[u8]) -> usize {
        let grid = self.file.ends_with("grid.json");
        bound(input.len()) + if grid { 1 << 30 } else { 4 << 20 }
    }
}
