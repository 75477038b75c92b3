//! The stages that write, and what each finds before it.

use std::path::Path;
use std::sync::OnceLock;

use crate::tree::Tree;
use crate::{Ended, Place};

/// A net of some 60 weights with BatchNorm on points of the plane: 2 epochs of 2 steps, a snapshot
/// and a logged line each step, sharpness measured every other.
pub(crate) const TRAIN: &[&str] = &[
    "train",
    "--out=r",
    "--dataset=spirals",
    "--set=model.arch=mlp",
    "--set=model.hidden=[8]",
    "--set=data.train_samples=40",
    "--set=data.test_samples=20",
    "--set=train.batch_size=20",
    "--set=train.epochs=2",
    "--set=record.every=1 steps",
    "--set=record.sharpness=2 steps",
    "--set=record.sharpness_samples=20",
];

/// What lies in the folder when a stage begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Before {
    Nothing,
    /// The run `r`, and `s` from the same start.
    Runs,
    /// `r` and `s`, where `r` is to be trained for one epoch more.
    Longer,
    /// The runs with the plane of `r` and the joint plane `j`.
    Planes,
    /// A surface, a stack, gradients, a curve and curvatures of `r`, a surface of `j`.
    All,
}

/// A command, and where it begins.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) before: Before,
    pub(crate) args: Vec<&'static str>,
}

pub(crate) const SURFACE: &[&str] = &["surface", "r", "--grid=3x2", "--samples=20"];
pub(crate) const GRADIENTS: &[&str] =
    &["surface", "r", "--grid=3x2", "--samples=20", "--gradients=2x2", "--name=g"];
pub(crate) const STACK: &[&str] =
    &["surface", "r", "--grid=2x2", "--samples=20", "--stack=snapshots", "--layers=2", "--name=st"];
pub(crate) const CURVE: &[&str] = &["curve", "r", "--points=4", "--samples=20"];
pub(crate) const CURVATURE: &[&str] = &["curvature", "r", "--samples=20"];
pub(crate) const JOINT: &[&str] = &["plane", "r", "s", "--out=j"];
pub(crate) const JOINT_SURFACE: &[&str] = &["surface", "j", "--grid=2x2", "--samples=20"];

/// Forks within an epoch and at the end: a parent that stops, children of its state, the line between two.
pub(crate) const INSTABILITY: &[&str] = &[
    "instability",
    "--out=i",
    "--at=0.5,2",
    "--points=3",
    "--samples=20",
    "--bn-samples=20",
    "--set=data.set=spirals",
    "--set=model.arch=mlp",
    "--set=model.hidden=[8]",
    "--set=data.train_samples=40",
    "--set=data.test_samples=20",
    "--set=train.batch_size=20",
    "--set=train.epochs=2",
    "--set=record.every=1 steps",
];

/// All stages but `demo`, whose net is too large to be trained again and again.
pub(crate) fn all() -> Vec<Stage> {
    use Before::*;
    let stage = |name, before, args: &[&'static str]| Stage { name, before, args: args.to_vec() };
    let render = |name, out: &'static str, scene: &[&'static str]| {
        let base = ["render", "r", out, "--size=320x200", "--frames=3"];
        stage(name, All, &[&base[..], scene].concat())
    };
    vec![
        stage("train", Nothing, TRAIN),
        stage("train --resume", Longer, &["train", "--resume", "r"]),
        stage("train --force", Runs, &[TRAIN, &["--set=train.seed=5", "--force"]].concat()),
        stage("plane", Runs, &["plane", "r"]),
        stage("joint plane", Runs, JOINT),
        stage("surface", Planes, SURFACE),
        stage(
            "surface of another sample --force",
            All,
            &["surface", "r", "--grid=2x2", "--samples=12", "--force"],
        ),
        stage("surface --stack", Planes, STACK),
        stage("surface --gradients", Planes, GRADIENTS),
        stage("joint surface", Planes, JOINT_SURFACE),
        // 3 x 2 cells on 20 images before; all 40 of the set.
        stage("surface --extend", All, &["surface", "r", "--grid=5x3", "--samples=40", "--extend"]),
        stage(
            "surface --until-se",
            Planes,
            &["surface", "r", "--grid=3x2", "--samples=8", "--until-se=1e-9", "--name=u"],
        ),
        stage(
            "surface --budget",
            Planes,
            &["surface", "r", "--grid=7x6", "--samples=8", "--budget=24", "--name=b"],
        ),
        stage("curve", Runs, CURVE),
        stage("curvature", Runs, CURVATURE),
        stage("instability", Nothing, INSTABILITY),
        stage("import", Runs, &["import", "w.pth", "--out=w.safetensors"]),
        render("render png", "--out=x.png", &[]),
        render("render gif", "--out=x.gif", &[]),
        render("render mp4", "--out=x.mp4", &["--poster=p.png"]),
    ]
}

/// A folder as it is before a stage; made once.
pub(crate) fn before(before: Before) -> &'static Path {
    static MADE: [OnceLock<Place>; 5] = [const { OnceLock::new() }; 5];
    let make = || match before {
        Before::Nothing => Place::new(),
        Before::Runs => {
            let place = Place::new();
            place.ok(TRAIN);
            let other: Vec<&str> =
                TRAIN.iter().map(|&arg| if arg == "--out=r" { "--out=s" } else { arg }).collect();
            place.ok(&[&other[..], &["--set=optim.lr=0.03"]].concat());
            let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/weights/testdata/zoo.pth");
            std::fs::copy(zoo, place.path("w.pth")).unwrap();
            place
        }
        Before::Longer => {
            let place = Place::copy_of(self::before(Before::Runs));
            lengthen(&place);
            place
        }
        Before::Planes => {
            let place = Place::copy_of(self::before(Before::Runs));
            place.ok(&["plane", "r"]);
            place.ok(JOINT);
            place
        }
        Before::All => {
            let place = Place::copy_of(self::before(Before::Planes));
            for args in [SURFACE, GRADIENTS, STACK, CURVE, CURVATURE, JOINT_SURFACE] {
                place.ok(args);
            }
            place
        }
    };
    MADE[before as usize].get_or_init(make).root()
}

/// Makes the finished run `r` one of three epochs, of which two are done.
pub(crate) fn lengthen(place: &Place) {
    let spec = place.path("r/spec.toml");
    let Ok(text) = std::fs::read(&spec) else { return };
    let [old, new] = [b"epochs = 2", b"epochs = 3"];
    let text = match text.windows(old.len()).position(|window| window == old) {
        Some(at) => [&text[..at], new, &text[at + old.len()..]].concat(),
        None => text,
    };
    std::fs::write(&spec, text).unwrap();
}

impl Stage {
    /// A copy of what it finds.
    pub(crate) fn place(&self) -> Place {
        Place::copy_of(before(self.before))
    }

    /// What it leaves when nothing happens.
    pub(crate) fn reference(&self) -> Tree {
        let place = self.place();
        place.ok(&self.args);
        Tree::of(place.root())
    }

    /// Runs the stage again after a fault, as its user would: the same command, and where that is
    /// refused what its message names.
    pub(crate) fn again(&self, place: &Place) -> Ended {
        let ended = place.run(&self.args);
        if !ended.refused() || self.args[0] != "train" {
            return ended;
        }
        let mut ended = ended;
        if ended.stderr.contains("--resume") {
            ended = place.run(&["train", "--resume", "r"]);
        }
        if ended.refused() && ended.stderr.contains("--force") {
            ended = place.run(&[&self.args[..], &["--force"]].concat());
        }
        ended
    }

    /// Runs the stage again after a fault and compares; what is wrong, in words.
    pub(crate) fn recovers(&self, place: &Place, reference: &Tree) -> Result<(), String> {
        // The fault may have come after the end.
        if Tree::of(place.root()) == *reference {
            return Ok(());
        }
        let ended = self.again(place);
        if !ended.succeeded() {
            return Err(format!("then {}: {}", ended.status, ended.stderr.trim()));
        }
        match reference.differences(&Tree::of(place.root())) {
            differences if differences.is_empty() => Ok(()),
            differences => Err(format!("then the files are others: {}", differences.join(", "))),
        }
    }
}
