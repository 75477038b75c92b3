//! Streams that are whole, cut short, or none.

use super::*;
use crate::record::Status;

const HEADER: &str = r#"{"lossreel_stream": 1, "name": "net", "every": "epoch",
    "parameters": [{"name": "fc.weight", "shape": [2, 2]}, {"name": "n.bias", "shape": [1],
    "role": "norm"}], "buffers": [{"name": "n.running_mean", "shape": [1]}]}"#;

fn header() -> Vec<u8> {
    (HEADER.replace('\n', " ") + "\n").into_bytes()
}

fn snapshot(step: u64, epoch: f64, value: f32) -> Vec<u8> {
    let mut bytes =
        format!("{{\"kind\": \"snapshot\", \"step\": {step}, \"epoch\": {epoch}}}\n").into_bytes();
    (0..6).for_each(|i| bytes.extend((value + i as f32).to_le_bytes()));
    bytes
}

fn record(bytes: &[u8], root: &Path) -> Result<Recorded> {
    let mut replies = Vec::new();
    let (existing, stored) = (Existing::Refuse, StoredAs::F32);
    let mut input = bytes;
    record_stream(&mut input, root, existing, stored, &mut |reply| replies.push(reply.clone()))
}

fn whole() -> Vec<u8> {
    let mut bytes = header();
    bytes.extend(snapshot(0, 0.0, 0.0));
    for step in 1..=4 {
        let loss = if step == 2 { "\"NaN\"".to_string() } else { format!("{step}.5") };
        bytes.extend(
            format!("{{\"kind\": \"step\", \"step\": {step}, \"loss\": {loss}, \"lr\": 0.1}}\n")
                .into_bytes(),
        );
    }
    let epoch =
        r#"{"kind": "epoch", "epoch": 1, "step": 4, "test_loss": 0.25, "elapsed_secs": 2.0}"#;
    bytes.extend(format!("{epoch}\n").into_bytes());
    bytes.extend(snapshot(4, 1.0, 10.0));
    bytes
}

#[test]
fn a_whole_stream_is_a_run_that_ended_and_its_first_epoch_is_placed_when_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let bytes = [whole(), b"{\"kind\": \"end\"}\n".to_vec()].concat();
    let recorded = record(&bytes, &root).unwrap();
    assert!(recorded.ended);
    assert_eq!((recorded.snapshots, recorded.steps), (2, 4));
    let metrics = recorded.run.metrics().unwrap();
    let epochs: Vec<f64> = metrics.steps.iter().map(|s| s.epoch).collect();
    assert_eq!(epochs, [0.25, 0.5, 0.75, 1.0]);
    assert!(metrics.steps[1].loss.is_nan() && metrics.steps[0].grad_norm.is_nan());
    assert_eq!((metrics.epochs[0].test_loss, metrics.epochs[0].lr), (0.25, 0.1));
    let layout = recorded.run.recorded_layout().unwrap().unwrap();
    assert_eq!(
        layout.params.iter().map(|p| p.role).collect::<Vec<_>>(),
        [Role::Weight, Role::Norm]
    );
    let infos = recorded.run.snapshots().unwrap();
    let states = crate::record::RunSnapshots::new(infos, layout);
    assert_eq!(states.state(1).unwrap(), (vec![10.0, 11.0, 12.0, 13.0, 14.0], vec![15.0]));
    assert!(matches!(recorded.run.manifest().unwrap().status, Status::Ended { steps: 4, .. }));
    assert!(matches!(record(&bytes, &root), Err(Error::RunExists { .. })));
}

#[test]
fn a_stream_that_is_cut_anywhere_leaves_what_was_whole_and_an_unfinished_run() {
    let abandoned = [whole(), b"{\"kind\": \"abandon\"}\nwhatever".to_vec()].concat();
    let folder = tempfile::tempdir().unwrap();
    let recorded = record(&abandoned, &folder.path().join("run")).unwrap();
    assert_eq!((recorded.snapshots, recorded.steps, recorded.ended), (2, 4, false));
    let bytes = whole();
    let first = header().len() + snapshot(0, 0.0, 0.0).len();
    for (cut, snapshots, steps) in
        [(first - 1, 0, 0), (first, 1, 0), (bytes.len() - 1, 1, 4), (bytes.len(), 2, 4)]
    {
        let folder = tempfile::tempdir().unwrap();
        let recorded = record(&bytes[..cut], &folder.path().join("run")).unwrap();
        assert_eq!((recorded.snapshots, recorded.steps, recorded.ended), (snapshots, steps, false));
        assert_eq!(recorded.run.manifest().unwrap().status, Status::Unfinished);
        assert_eq!(recorded.run.metrics().unwrap().steps.len() as u64, steps);
    }
}

#[test]
fn what_is_no_stream_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let long = HEADER.replace('\n', " ");
    for (text, expected) in [
        (String::new(), "empty"),
        ("PK\n".into(), "not a stream"),
        (long.replace("stream\": 1", "stream\": 9") + "\n", "version 9"),
        (long.replace("\"epoch\"", "\"often\"") + "\n", "every"),
        (long.replace("n.bias", "fc.weight") + "\n", "twice"),
        (long.replace("[2, 2]", "[1099511627776, 99]") + "\n", "larger than any memory"),
        (long.clone() + "\n{\"kind\": \"dance\"}\n", "dance"),
    ] {
        let error = record(text.as_bytes(), &root).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
