//! Comparisons of update rules: the same budget for each, chosen on images held out, final runs over
//! seeds, and what is said of them.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Place, files};

/// A tiny net on the embedded digits.
const SPEC: &str = "[model]\narch = \"mlp\"\nhidden = [16]\n[data]\nset = \"digits\"\n\
train_samples = 300\ntest_samples = 150\n[optim]\nlr = 0.05\nnesterov = true\n\
[schedule]\nkind = \"cosine\"\n[train]\nepochs = 3\nbatch_size = 50\n[record]\nevery = \"3 steps\"\n";

/// Three rules, one of which cannot run with batches.
const FILE: &str = "title = \"Rules & <races>\"\nbase = \"net.toml\"\n\
rules = [\"nesterov\", \"adam\", \"lbfgs\"]\nseeds = 2\n\
[tune]\ntrials = 3\nstudies = 2\nheld_out = 60\n\
[search.adam]\n\"optim.lr\" = { low = 1e-4, high = 0.1 }\n\
[measure]\nwidth = { directions = 1, range = 1.0, points = 5, samples = 50, rise = 0.5 }\n\
[film]\ngrid = \"5x5\"\nsamples = 50\nsize = \"320x180\"\n";

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("net.toml"), SPEC).unwrap();
    fs::write(place.path("rules.toml"), FILE).unwrap();
    place
}

/// What stays the same from one execution to the next of the trained runs.
fn weights(place: &Place, folder: &str) -> Vec<(String, Vec<u8>)> {
    let all = files(&place.path(folder)).into_iter();
    all.filter(|(name, _)| name.ends_with(".safetensors")).collect()
}

#[test]
fn rules_are_tuned_on_images_held_out_run_over_seeds_and_reported() {
    let place = place();
    let ended = place.run(&["compare", "rules.toml", "--out=c", "--json"]);
    // The impossible rule is said in the end, and the report is there all the same.
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("2 of 6 members failed"), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let workload = &report["workloads"][0];
    assert_eq!(workload["name"], "net");
    assert_eq!(report["tune"]["trials"], 3);
    let tuning = workload["tuning"].as_array().unwrap();
    assert_eq!(tuning.len(), 3);
    for (rule, failed) in tuning.iter().zip([0, 0, 6]) {
        let trials = rule["trials"].as_array().unwrap();
        assert_eq!((trials.len(), &rule["failed"]), (6, &failed.into()), "{rule:#}");
        if failed > 0 {
            continue;
        }
        // The best of a study has the highest accuracy of its trials, and the final run its values.
        for study in 0..2 {
            let of = || trials.iter().filter(|t| t["study"] == study);
            let best = of().find(|t| t["is_best"] == true).unwrap();
            let highest = of().filter_map(|t| t["accuracy"].as_f64()).fold(0.0, f64::max);
            assert_eq!(best["accuracy"].as_f64(), Some(highest), "{rule:#}");
            let name = rule["rule"].as_str().unwrap();
            let spec = format!("c/report/specs/net/rule-{name}_seed-{study}.toml");
            let spec: toml::Table = fs::read_to_string(place.path(&spec)).unwrap().parse().unwrap();
            for (j, key) in rule["keys"].as_array().unwrap().iter().enumerate() {
                let key = key["key"].as_str().unwrap().strip_prefix("optim.").unwrap();
                let used = spec["optim"][key].as_float().unwrap();
                assert_eq!(Some(used), best["values"][j].as_f64(), "{name} {key}");
            }
            assert_eq!(spec["data"]["held_out"].as_integer(), Some(0));
        }
    }
    let adam = &tuning[1]["keys"];
    assert_eq!(adam.as_array().unwrap().len(), 1, "the file's space replaces the rule's");
    // Trials do not see the test images, and train on as many images as before.
    let trial = "c/net/tuning/runs/rule-adam_trial-1_seed-0";
    let manifest = fs::read_to_string(place.path(trial).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["samples"], serde_json::json!([300, 60]));

    let rows = workload["to_target"].as_array().unwrap();
    assert_eq!(workload["target_given"], false);
    assert_eq!((&rows[2]["reached"], &rows[2]["steps"]), (&0.into(), &Value::Null));
    let comparisons = workload["final"]["comparisons"].as_array().unwrap();
    let widths = comparisons.iter().filter(|c| c["quantity"] == "basin_width").count();
    assert_eq!(widths, 1, "lbfgs has nothing to compare");
    assert!(comparisons.iter().all(|c| c["a"] == "nesterov" && c["b"] == "adam"));
    for name in [
        "index.html",
        "report.md",
        "report.json",
        "net-members.csv",
        "net-comparisons.csv",
        "net-trials.csv",
    ] {
        assert!(place.path("c/report").join(name).is_file(), "{name}");
    }
    let page = fs::read_to_string(place.path("c/report/index.html")).unwrap();
    assert!(page.contains("Rules &amp; &lt;races&gt;") && !page.contains("<races>"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert!(page.contains("data:video/mp4;base64,") && page.contains("data:image/png;base64,"));
    assert!(page.contains("none of the trials of this rule came to an end"));
    assert!(place.path("c/net/joint/race.mp4").is_file());
    assert!(place.path("c/net/joint/paths.png").is_file());

    // Nothing is done twice but what failed.
    let without_log = || {
        let mut all = files(&place.path("c/net"));
        all.retain(|name, _| !name.ends_with("members.jsonl"));
        all
    };
    let before = without_log();
    place.run(&["compare", "rules.toml", "--out=c"]);
    assert!(without_log() == before, "a run has changed");
    let again = place.json(&["report", "c", "--out=r"]);
    assert_eq!(again["workloads"][0]["to_target"], workload["to_target"]);

    // A larger budget keeps the trials that there are.
    place.run(&["compare", "rules.toml", "--out=c", "--trials=4", "--no-film"]);
    let trials = fs::read_dir(place.path("c/net/tuning/runs")).unwrap().count();
    assert_eq!(trials, 2 * 4 * 2, "of the two rules that can be trained");
}

#[test]
fn a_killed_comparison_goes_on_to_the_same_weights() {
    let place = place();
    let args =
        ["compare", "net.toml", "--rules=nesterov,adam", "--trials=3", "--seeds=2", "--no-film"];
    place.ok(&[&args[..], &["--out=whole"]].concat());
    for at in ["net/tuning/runs/rule-nesterov_trial-2_seed-0", "net/final/runs/rule-adam_seed-0"] {
        let mut child = place.command(&[&args[..], &["--out=cut"]].concat()).spawn().unwrap();
        let began = Instant::now();
        while !place.path("cut").join(at).is_dir() {
            assert!(began.elapsed() < Duration::from_secs(120), "{at} did not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What the killed one had started still runs, with its run's lock.
        std::thread::sleep(Duration::from_secs(3));
    }
    // On a slow machine the last of those may still be at work on its run, which is then refused.
    let again = [&args[..], &["--out=cut"]].concat();
    let ended = (0..20).any(|_| {
        let is_done = place.run(&again).code == 0;
        if !is_done {
            std::thread::sleep(Duration::from_millis(1500));
        }
        is_done
    });
    assert!(ended, "{}", place.run(&again).stderr);
    assert!(weights(&place, "cut/net") == weights(&place, "whole/net"), "other weights");
}

#[test]
fn problems_are_compared_together_and_bad_ones_are_refused() {
    let place = place();
    fs::write(place.path("other.toml"), SPEC.replace("[16]", "[8]")).unwrap();
    let args =
        ["compare", "net.toml", "other.toml", "--rules=sgd,adam", "--target=0.2", "--no-film"];
    let report = place.json(&[&args[..], &["--out=c"]].concat());
    assert_eq!(report["workloads"].as_array().unwrap().len(), 2);
    assert!(report["tune"].is_null());
    for score in report["scores"].as_array().unwrap() {
        let finals = score["finals"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&finals) && score["tuning"].is_null(), "{score:#}");
    }
    let dry = place.json(&[&args[..], &["--out=d", "--trials=2", "--dry-run"]].concat());
    assert_eq!(dry["workloads"].as_array().unwrap().len(), 4);
    assert!(dry["estimated_seconds"].as_f64().unwrap() > 0.0 && !place.path("d").exists());
    for (args, want) in [
        (&["compare", "net.toml", "--out=x"][..], "muon"),
        (&["compare", "net.toml", "--rules=sgd,adma", "--out=x"], "did you mean `adam`"),
        (&["compare", "net.toml", "net.toml", "--rules=sgd", "--out=x"], "two workloads"),
        (&["compare", "net.toml", "--rules=sgd", "--target=60", "--out=x"], "target"),
        (
            &["compare", "net.toml", "--rules=sgd", "--tune", "--held-out=9999", "--out=x"],
            "held_out",
        ),
        (&["compare", "net.toml", "--rules=sgd", "--out=."], "holds no comparison"),
        (&["compare", "rules.toml", "--scale=smoke", "--out=x"], "scale"),
    ] {
        let ended = place.run(args);
        let said = ended.stderr + &ended.stdout;
        assert!(ended.code != 0 && said.contains(want), "{args:?}: {said}");
    }
}

#[test]
fn runs_of_other_rules_are_not_reported_under_the_comparisons_names() {
    let place = place();
    let compare = |rules: &str, out: &str| {
        let args = ["compare", "net.toml", "--tune", "--trials=2", "--seeds=1", "--no-film"];
        place.ok(&[&args[..], &[&format!("--rules={rules}"), &format!("--out={out}")]].concat());
    };
    compare("sgd,adam", "c");
    // As a comparison that was begun anew with other rules and stopped before its sweeps were.
    for (rules, out) in [("adam,sgd", "d"), ("adam,sgd,lion", "e"), ("sgd", "f")] {
        compare(rules, out);
        let kept = fs::read(place.path("c/compare.json")).unwrap();
        fs::copy(place.path(out).join("compare.json"), place.path("c/compare.json")).unwrap();
        let ended = place.run(&["report", "c"]);
        assert_ne!(ended.code, 0, "{rules}");
        assert!(ended.stderr.contains("of other rules"), "{}", ended.stderr);
        assert!(ended.stderr.contains("run the same `lossreel compare` again"), "{}", ended.stderr);
        fs::write(place.path("c/compare.json"), kept).unwrap();
    }
    place.ok(&["report", "c"]);
    compare("adam,sgd,lion", "c");
    place.ok(&["report", "c"]);
}

#[test]
fn runs_of_the_papers_nets_stand_beside_its_errors() {
    let data = std::env::var_os("LOSSREEL_DATA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        Into::into,
    );
    let folder = data.join("cifar-10-batches-bin");
    if !folder.is_dir() {
        eprintln!("skipped: no {} (set LOSSREEL_DATA)", folder.display());
        return;
    }
    let place = Place::new();
    let dir = format!("--data-dir={}", folder.display());
    let small =
        ["--set=data.train_samples=128", "--set=data.test_samples=40", "--set=train.epochs=1"];
    fs::write(place.path("spec.toml"), "[model]\nshortcut = \"none\"\n").unwrap();
    let args = ["train", "spec.toml", &dir, "--out=outputs/a/b"];
    place.ok(&[&args[..], &small, &["--set=train.eval_samples=40"]].concat());
    let rows = place.json(&["report", "--paper"]);
    let of = |net: &str, skips: bool| {
        let mut rows = rows["rows"].as_array().unwrap().iter();
        rows.find(|r| r["arch"] == net && r["skips"] == skips).unwrap().clone()
    };
    let row = of("resnet20", false);
    assert_eq!(row["error"], 8.18);
    let ours = &row["ours"][0];
    assert_eq!((&ours["train_images"], &ours["epochs"]), (&128.into(), &1.into()));
    assert_eq!(ours["is_papers_recipe"], false);
    assert!(of("resnet20", true)["ours"].as_array().unwrap().is_empty());
    assert!(place.ok(&["report", "--paper"]).contains("not run"));
}
