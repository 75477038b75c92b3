//! Two processes in one folder: one has it and the other is told by name that it is taken, or comes
//! after the first; whatever happens, the files are those of one of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::stages::{self, Before, TRAIN};
use crate::tree::Tree;
use crate::{Place, assert_none, everywhere};

fn rounds() -> usize {
    if everywhere() { 100 } else { 8 }
}

/// Starts a command whose messages go into a file.
fn start(place: &Place, args: &[&str], messages: &str) -> Child {
    let mut command = place.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(place.path(messages)).unwrap());
    command.spawn().unwrap()
}

/// The exit codes of both and what they said.
fn both(place: &Place, commands: [&[&str]; 2], pause: Duration) -> ([i32; 2], [String; 2]) {
    let first = start(place, commands[0], "0.txt");
    std::thread::sleep(pause);
    let second = start(place, commands[1], "1.txt");
    let codes = [first, second].map(|mut child| child.wait().unwrap().code().unwrap_or(-1));
    let said = ["0.txt", "1.txt"].map(|name| {
        let path = place.path(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(path).unwrap();
        text
    });
    (codes, said)
}

/// Lets two commands meet again and again, and compares with what each makes `alone`; `taken` are the
/// words of which one tells the loser why.
fn meet(before: &Place, commands: [&[&str]; 2], taken: &[&str]) {
    let alone = commands.map(|args| {
        let place = Place::copy_of(before.root());
        place.ok(args);
        Tree::of(place.root())
    });
    let (mut faults, mut outcomes) = (Vec::new(), BTreeMap::new());
    for round in 0..rounds() {
        let place = Place::copy_of(before.root());
        let pause = Duration::from_millis(3 * (round as u64 % 8));
        let (codes, said) = both(&place, commands, pause);
        *outcomes.entry(codes).or_insert(0) += 1;
        let now = Tree::of(place.root());
        let of = |i: usize| alone[i].differences(&now);
        let fault = match codes {
            [0, 0] if of(0).is_empty() || of(1).is_empty() => None,
            [0, 1] | [1, 0] => {
                let winner = codes[1] as usize ^ 1;
                let told = taken.iter().any(|words| said[winner ^ 1].contains(words));
                let differences = of(winner).join(", ");
                (!told || !differences.is_empty())
                    .then(|| format!("{differences}; the loser says: {}", said[winner ^ 1].trim()))
            }
            _ => Some(format!("{}; {}; {said:?}", of(0).join(", "), of(1).join(", "))),
        };
        faults.extend(fault.map(|e| format!("round {round} {codes:?}: {e}")));
    }
    println!("{outcomes:?}");
    assert_none(&faults, rounds());
}

fn other_training(out: &'static str) -> Vec<&'static str> {
    let args = TRAIN.iter().map(|&arg| match arg {
        "--out=r" => out,
        "--set=train.epochs=2" => "--set=train.epochs=3",
        _ => arg,
    });
    args.chain(["--set=optim.lr=0.03", "--set=train.seed=3"]).collect()
}

#[test]
fn of_two_trainings_into_one_new_folder_one_wins_whole() {
    meet(&Place::new(), [TRAIN, &other_training("--out=r")], &["another process", "--force"]);
}

#[test]
fn of_two_trainings_that_replace_a_run_the_files_are_those_of_one() {
    let before = Place::copy_of(stages::before(Before::Runs));
    let forced = [TRAIN, &["--force"]].concat();
    let other = [&other_training("--out=r")[..], &["--force"]].concat();
    // The run that is there was made by the first command.
    fs::write(before.path("r/metrics.jsonl"), "").unwrap();
    meet(&before, [&forced, &other], &["another process"]);
}

#[test]
fn of_two_trainings_that_go_on_with_one_run_one_does() {
    let before = Place::copy_of(stages::before(Before::Longer));
    let resume = ["train", "--resume", "r"];
    meet(&before, [&resume, &resume], &["another process"]);
}

#[test]
fn of_two_surfaces_of_one_name_one_wins_whole() {
    let before = Place::copy_of(stages::before(Before::Planes));
    let [small, large] = [["--grid=3x2", "--samples=20"], ["--grid=3x3", "--samples=16"]]
        .map(|[grid, samples]| ["surface", "r", grid, samples]);
    meet(&before, [&small, &large], &["another process", "--force"]);
}

/// A surface that takes long is not replaced under the process that computes it.
#[test]
fn force_over_a_surface_that_is_being_computed_is_refused() {
    let place = Place::copy_of(stages::before(Before::Planes));
    let long = ["surface", "r", "--grid=400x400", "--samples=20"];
    let mut child = start(&place, &long, "long.txt");
    let cells = place.path("r/surfaces/pca/cells.jsonl");
    while fs::metadata(&cells).map_or(0, |about| about.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was met");
        std::thread::sleep(Duration::from_millis(2));
    }
    let header = fs::read(place.path("r/surfaces/pca/grid.json")).unwrap();
    let ended = place.run(&["surface", "r", "--grid=2x2", "--samples=20", "--force"]);
    assert!(ended.refused() && ended.stderr.contains("another process"), "{}", ended.stderr);
    assert_eq!(fs::read(place.path("r/surfaces/pca/grid.json")).unwrap(), header);
    child.kill().unwrap();
    child.wait().unwrap();
    // And when that process is gone, nobody has it.
    place.ok(&["surface", "r", "--grid=2x2", "--samples=20", "--force"]);
    let clean = Place::copy_of(stages::before(Before::Planes));
    clean.ok(&["surface", "r", "--grid=2x2", "--samples=20"]);
    fs::remove_file(place.path("long.txt")).unwrap();
    let differences = Tree::of(clean.root()).differences(&Tree::of(place.root()));
    assert!(differences.is_empty(), "{differences:?}");
}
