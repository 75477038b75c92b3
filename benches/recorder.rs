//! What recording costs, and what a plane of a long path takes.
//!
//! ```text
//! cargo bench --bench recorder                                  # overhead on ResNet-20, CIFAR-10, batch 128
//! cargo bench --bench recorder -- plane 1000 11000000 bf16 DIR  # time and memory of a plane
//! ```
//!
//! The overhead is that of a training of one short epoch, without a recorder, with a snapshot an epoch and
//! with one every ten steps, in turns in one process: wall time, processor time of all threads, and the
//! part of the wall time that the training spent inside the recorder. CIFAR-10 is looked for in
//! `datasets/cifar10`, or in the folder `LOSSREEL_DATA`.
//!
//! The plane is of a walk that `LoopRecorder` writes to DIR, where it stays: made once with all products
//! computed, and once with those that the run kept.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use lossreel::network::{ParamLayout, Role};
use lossreel::record::{Existing, LoopRecorder, Recorder, Run};
use lossreel::spec::Spec;
use lossreel::stages::plane::{Directions, of_run};
use lossreel::train::{Event, Setup, train};
use lossreel::weights::StoredAs;

/// Steps of a round's epoch; one of all 50,000 images has 391.
const STEPS: usize = 40;
const STEPS_OF_ALL: f64 = 391.0;
const BATCH: usize = 128;

/// What a round took: seconds.
#[derive(Clone, Copy, Default)]
struct Took {
    wall: f64,
    processor: f64,
    inside: f64,
}

fn main() {
    // cargo passes --bench.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    match asked.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => overhead(9),
        ["overhead", rounds] => overhead(rounds.parse().expect("a number of rounds")),
        ["plane", count, params, dtype, folder] => plane(
            count.parse().expect("a number of snapshots"),
            params.parse().expect("a number of parameters"),
            dtype.parse().expect("f32, bf16 or f16"),
            Path::new(folder),
        ),
        _ => panic!("overhead [ROUNDS], or plane SNAPSHOTS PARAMETERS DTYPE DIR"),
    }
}

fn overhead(rounds: usize) {
    let data = std::env::var_os("LOSSREEL_DATA").map_or("datasets/cifar10".into(), PathBuf::from);
    let spec = |every: &str| {
        let set = [
            format!("data.dir={:?}", data.display().to_string()),
            format!("data.train_samples={}", STEPS * BATCH),
            "data.test_samples=100".into(),
            "train.eval_samples=100".into(),
            "train.epochs=1".into(),
            format!("train.batch_size={BATCH}"),
            format!("record.every={every}"),
        ];
        Spec::parse("", &set).expect("a spec")
    };
    let modes = [("off", None), ("epoch", Some("epoch")), ("10 steps", Some("10 steps"))];
    let base = spec("epoch");
    let whole = base.data.load(0).expect("CIFAR-10");
    let setup = base.setup(&whole).expect("a network");
    let folder = tempfile::tempdir().expect("a folder");
    let round = |k: usize, every: Option<&str>| {
        let root = folder.path().join(format!("{k}"));
        let took = one(&setup, every.map(spec).as_ref(), &root);
        let _ = std::fs::remove_dir_all(root);
        took
    };
    round(0, None);
    let mut all = vec![Vec::new(); modes.len()];
    for k in 0..rounds {
        // Each round begins with another: what comes first is not always what is slow.
        for turn in 0..modes.len() {
            let mode = (k + turn) % modes.len();
            all[mode].push(round(k, modes[mode].1));
        }
    }
    println!("ResNet-20, batch {BATCH}, {STEPS} steps a round, {rounds} rounds, seconds");
    println!(
        "{:<10} {:>10} {:>10} {:>11} {:>17}",
        "record", "wall min", "median", "processor", "in the recorder"
    );
    let of = |mode: usize, what: fn(&Took) -> f64| {
        let mut values: Vec<f64> = all[mode].iter().map(what).collect();
        values.sort_by(f64::total_cmp);
        (values[0], values[values.len() / 2])
    };
    for (mode, (name, _)) in modes.iter().enumerate() {
        let (wall, processor) = (of(mode, |t| t.wall), of(mode, |t| t.processor));
        let inside = of(mode, |t| t.inside).1;
        println!(
            "{name:<10} {:>10.3} {:>10.3} {:>11.3} {inside:>17.5}",
            wall.0, wall.1, processor.1
        );
    }
    // Ratios round by round, so that a machine that slows down slows both.
    let ratio = |mode: usize, what: fn(&Took) -> f64| {
        let mut ratios: Vec<f64> =
            all[mode].iter().zip(&all[0]).map(|(a, b)| 100.0 * (what(a) / what(b) - 1.0)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    for mode in [1, 2] {
        let (wall, processor) = (ratio(mode, |t| t.wall), ratio(mode, |t| t.processor));
        let inside = 100.0 * of(mode, |t| t.inside).1 / of(0, |t| t.wall).1;
        println!(
            "every {:<9} wall {wall:+.2} %, processor {processor:+.2} %, waiting in the recorder {inside:.3} %",
            modes[mode].0
        );
    }
    let scale = STEPS as f64 / STEPS_OF_ALL;
    println!(
        "an epoch of all 50,000 images: processor {:+.3} %",
        scale * ratio(1, |t| t.processor)
    );
}

/// Trains an epoch, recorded where there is a spec, from after the first event on.
fn one(setup: &Setup, spec: Option<&Spec>, root: &Path) -> Took {
    let mut state = setup.begin().expect("a state");
    let mut recorder = spec.map(|spec| {
        let (run, lock) = Run::create(root, &spec.to_toml(), Existing::Replace).expect("a folder");
        run.write_manifest(&manifest()).expect("a manifest");
        Recorder::new(&run, lock, &spec.record, &state).expect("a recorder")
    });
    let mut started = (Instant::now(), processor_secs());
    let mut inside = 0.0;
    let stop = AtomicBool::new(false);
    train(setup, &mut state, &stop, &mut |event| {
        let entered = Instant::now();
        if let Some(recorder) = &mut recorder {
            recorder.on(setup, &event)?;
        }
        if matches!(event, Event::Begin { .. }) {
            started = (Instant::now(), processor_secs());
        } else {
            inside += entered.elapsed().as_secs_f64();
        }
        Ok(())
    })
    .expect("a training");
    drop(recorder);
    let (wall, processor) = started;
    Took { wall: wall.elapsed().as_secs_f64(), processor: processor_secs() - processor, inside }
}

/// A manifest to be ended; what made the run does not matter here.
fn manifest() -> lossreel::record::Manifest {
    lossreel::record::Manifest {
        format_version: lossreel::record::FORMAT_VERSION,
        version: String::new(),
        git_commit: None,
        seed: 0,
        dataset: String::new(),
        data_digest: String::new(),
        data_form: None,
        samples: [0, 0],
        arch: String::new(),
        layout_digest: String::new(),
        parameters: 0,
        backend: String::new(),
        cpu: String::new(),
        cpu_features: Vec::new(),
        plan: String::new(),
        threads: 1,
        platform: String::new(),
        started_unix_secs: 0,
        elapsed_secs: 0.0,
        status: lossreel::record::Status::Unfinished,
        spec: String::new(),
        begun_in: None,
        snapshots_digest: None,
        imported: false,
    }
}

/// Processor time of this process and its threads, those that have ended too; 0 where /proc is missing.
fn processor_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold spaces: utime and stime are fields 14 and 15, in ticks of 10 ms.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn plane(count: usize, params: usize, stored: StoredAs, folder: &Path) {
    let layout = ParamLayout::of_tensors([("w".to_string(), vec![params], Role::Weight)], []);
    let root = folder.join(format!("walk-{count}-{params}-{stored}"));
    if Run::open(&root).is_err() {
        let recorder = LoopRecorder::create(&root, "walk", &layout, 1, Existing::Replace);
        let mut recorder = recorder.expect("a folder").store_as(stored);
        let mut theta = vec![0.0f32; params];
        let mut seed = 1u32;
        let (started, mut waiting) = (Instant::now(), 0.0);
        for step in 0..count {
            // A drift and steps of their own: xorshift (Marsaglia 2003).
            for (i, w) in theta.iter_mut().enumerate() {
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                *w += 1e-3 * ((seed as f32 / u32::MAX as f32) - 0.5 + 0.1 * ((i % 7) as f32 - 3.0));
            }
            let entered = Instant::now();
            recorder.snapshot(step as u64, &theta, &[]).expect("a snapshot");
            waiting += entered.elapsed().as_secs_f64();
        }
        recorder.finish().expect("an end");
        let secs = started.elapsed().as_secs_f64();
        println!(
            "recorded {count} snapshots in {secs:.1} s, {waiting:.1} s of them in the recorder, {}",
            memory()
        );
    }
    let run = Run::open(&root).expect("a run");
    let gram = root.join("gram.bin");
    let _ = std::fs::remove_file(&gram);
    for what in ["all products computed", "all products kept"] {
        // Since now.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let started = Instant::now();
        of_run(&run, &Directions::default(), "pca").expect("a plane");
        let bytes = std::fs::metadata(&gram).map_or(0, |m| m.len());
        println!(
            "plane, {what}: {:.1} s, {}, gram.bin {:.1} MB",
            started.elapsed().as_secs_f64(),
            memory(),
            bytes as f64 / 1e6
        );
    }
}

/// The most memory that was resident.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or("VmHWM: unknown");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
