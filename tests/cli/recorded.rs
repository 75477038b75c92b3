//! Runs of loops in other processes: `lossreel record`, and `lossreel recorded` with a loss that this test
//! evaluates.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use lossreel::record::Run;
use serde_json::{Value, json};

use crate::{Ended, Place};

/// (w - centre)^2 weighed by 1, 2 and 3: its minimum and its Hessian are known.
const CENTRE: [f32; 3] = [1.0, -0.5, 0.25];

fn loss(theta: &[f32]) -> f64 {
    let terms = theta.iter().zip(CENTRE).zip(1..);
    terms.map(|((w, c), k)| f64::from(k) * f64::from(w - c).powi(2)).sum()
}

/// A stream of 21 snapshots of plain gradient descent.
fn stream() -> Vec<u8> {
    let header = json!({
        "lossreel_stream": 1, "name": "three weights", "every": "step",
        "parameters": [{"name": "w", "shape": [3, 1]}], "buffers": [],
    });
    let mut bytes = format!("{header}\n").into_bytes();
    let mut theta = [3.0f32, 2.0, -1.0];
    for step in 0..=20 {
        if step > 0 {
            let line = json!({"kind": "step", "step": step, "epoch": f64::from(step) / 10.0,
                "loss": loss(&theta), "lr": 0.05, "elapsed_secs": 0.1 * f64::from(step)});
            bytes.extend(format!("{line}\n").into_bytes());
            for (k, w) in theta.iter_mut().enumerate() {
                *w -= 0.05 * 2.0 * (k + 1) as f32 * (*w - CENTRE[k]);
            }
        }
        let line = json!({"kind": "snapshot", "step": step, "epoch": f64::from(step) / 10.0});
        bytes.extend(format!("{line}\n").into_bytes());
        theta.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
    }
    bytes
}

fn record(place: &Place, args: &[&str], stream: &[u8]) -> Ended {
    let mut command = place.command(&[&["record"], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses the header does not read the rest.
    let _ = child.stdin.take().unwrap().write_all(stream);
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_stream_becomes_a_run_that_the_stages_take() {
    let place = Place::new();
    let ended = record(&place, &["run"], &[stream(), b"{\"kind\": \"end\"}\n".to_vec()].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["unit"], &lines[0]["count"]), (&json!("steps"), &json!(1.0)));
    assert_eq!(
        lines[1],
        json!({"kind": "recorded", "snapshots": 21, "steps": 20, "finished": true})
    );
    let plane = place.json(&["plane", "run"]);
    assert!(plane["explained_variance"][0].as_f64().unwrap() > 0.9);
    for scene in ["spectrum", "histograms", "shadow"] {
        let out = format!("{scene}.png");
        place.ok(&["render", "run", "--as", scene, "--size", "480x270", "--out", &out]);
    }
    place.refused(&["surface", "run"], &["no spec says", "lossreel.surface"]);

    let again = record(&place, &["run"], &stream());
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("a run is there already"), "{}", again.stderr);
    let cut = &stream()[..stream().len() - 5];
    let replaced = record(&place, &["run", "--force"], cut);
    assert_eq!(replaced.code, 0, "{}", replaced.stderr);
    assert!(replaced.stdout.contains("\"snapshots\":20"), "{}", replaced.stdout);
    assert!(replaced.stderr.contains("unfinished"), "{}", replaced.stderr);
    assert_eq!(Run::open(place.path("run")).unwrap().snapshots().unwrap().len(), 20);

    let error = record(&place, &["other"], b"GET / HTTP/1.1\n");
    assert_eq!(error.code, 1);
    assert!(error.stderr.contains("not a stream"), "{}", error.stderr);
}

/// Runs `lossreel recorded` and answers it until it ends or `most` losses were given; what it printed last,
/// and how many losses it asked for.
fn answered(place: &Place, args: &[&str], most: usize) -> (Ended, Value, usize) {
    let mut command = place.command(&[&["recorded"], args, &["--threads", "1"]].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut answers = child.stdin.take();
    let mut questions = BufReader::new(child.stdout.take().unwrap());
    let (mut result, mut asked) = (Value::Null, 0);
    let mut line = String::new();
    while questions.read_line(&mut line).unwrap() > 0 {
        let question: Value = serde_json::from_str(&line).unwrap();
        line.clear();
        let mut raw = vec![0; question["raw"].as_u64().unwrap_or(0) as usize];
        questions.read_exact(&mut raw).unwrap();
        let values: Vec<f32> =
            raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let mut answer = Vec::new();
        match question["kind"].as_str().unwrap() {
            "hello" => assert_eq!(question["parameters"][0]["name"], "w"),
            "loss" => {
                asked += 1;
                if asked > most {
                    // Gone, as a process that was killed.
                    drop(answers.take());
                } else {
                    answer = format!("{}\n", json!({"loss": loss(&values), "total": 7})).into();
                }
            }
            "hvp" => {
                answer = b"{\"raw\": 12}\n".to_vec();
                for (k, v) in values[3..].iter().enumerate() {
                    answer.extend((2.0 * (k + 1) as f32 * v).to_le_bytes());
                }
            }
            "result" => result = question["report"].clone(),
            other => panic!("{other}"),
        }
        if let Some(answers) = &mut answers {
            answers.write_all(&answer).unwrap();
        }
    }
    drop(answers);
    (child.wait_with_output().unwrap().into(), result, asked)
}

#[test]
fn a_loss_that_another_process_evaluates_makes_surfaces_curves_and_curvatures() {
    let place = Place::new();
    record(&place, &["run"], &[stream(), b"{\"kind\": \"end\"}\n".to_vec()].concat());
    place.ok(&["plane", "run"]);
    let surface = ["surface", "run", "--grid", "9x7"];
    let (cut, _, _) = answered(&place, &surface, 20);
    assert_eq!(cut.code, 1);
    assert!(cut.stderr.contains("went away") && cut.stderr.contains("goes on"), "{}", cut.stderr);
    let (ended, report, asked) = answered(&place, &surface, usize::MAX);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!((&report["evaluated"], &report["samples"]), (&json!(63), &json!(7)));
    // One to compare, the cells that were missing (the last four of a chunk were lost), and two a snapshot.
    assert!((1 + 63 - 20 + 42..=1 + 63 - 16 + 42).contains(&asked), "{asked}");
    let smallest = report["loss_min"].as_f64().unwrap();
    assert!((0.0..0.2).contains(&smallest), "{smallest}");
    place.ok(&["render", "run", "--size", "480x270", "--out", "contour.png"]);

    let words = ["--split", "only the engine"];
    place.refused(&["recorded", "surface", "run", "--split", "test"], &words);
    let (ended, curve, _) = answered(&place, &["curve", "run", "--points", "5"], usize::MAX);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(curve["points"].as_array().unwrap().len(), 5);

    let curvature = ["curvature", "run", "--snapshots", "3", "--eigenvalues", "3"];
    let (ended, records, _) = answered(&place, &curvature, usize::MAX);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for record in records.as_array().unwrap() {
        for (value, exact) in record["eigenvalues"].as_array().unwrap().iter().zip([6.0, 4.0, 2.0])
        {
            assert!((value.as_f64().unwrap() - exact).abs() < 1e-4, "{record}");
        }
    }
}
