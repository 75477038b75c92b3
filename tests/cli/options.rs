//! Options that a command would not read are refused by name.

use crate::Place;

#[test]
fn options_that_have_no_effect_are_refused_by_name() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    place.ok(&["surface", "r", "--grid=3x3", "--samples=16"]);
    let cases: &[(&[&str], &str)] = &[
        (&["evaluate", "r", "--sample-seed=4"], "--sample-seed"),
        (&["evaluate", "r", "--sample-order=file"], "--sample-order"),
        (
            &["evaluate", "r", "--samples=9", "--sample-order=file", "--sample-seed=1"],
            "--sample-seed",
        ),
        (&["plane", "r", "--seed=9"], "--seed"),
        (&["plane", "r", "--norm=layer"], "--norm"),
        (&["plane", "r", "--ignore=none"], "--ignore"),
        (&["plane", "r", "--directions=random", "--centring=uncentred"], "--centring"),
        (&["plane", "r", "--directions=random", "--weighting=path-length"], "--weighting"),
        (&["plane", "r", "--directions=minima", "--snapshots=1..3"], "--snapshots"),
        (&["surface", "r", "--seed=77"], "--seed"),
        (&["surface", "r", "--norm=weight"], "--norm"),
        (&["surface", "r", "--snapshot=1"], "--snapshot"),
        (&["surface", "r", "--sample-order=file", "--sample-seed=1"], "--sample-seed"),
        (&["curve", "r", "--direction=d.h5", "--seed=1"], "--seed"),
        (&["curve", "r", "--out=c", "--name=d"], "--name"),
        (&["bench", "--arch=mlp", "--only=train", "--precision=bf16"], "--precision"),
        (&["render", "r", "--out=x.png", "--azimuth=10"], "--azimuth"),
        (&["render", "r", "--out=x.png", "--quantity=accuracy"], "--quantity"),
        (&["render", "r", "--out=x.png", "--plane-seed=2"], "--plane-seed"),
        (&["render", "r", "--out=x.png", "--as=moving", "--camera=orbit"], "--camera"),
        (&["render", "r", "--out=x.png", "--as=spectrum", "--surface=pca"], "--surface"),
        (&["render", "r", "--out=x.png", "--as=spectrum", "--card=1"], "--card"),
        (&["render", "r", "--out=x.png", "--as=surface", "--hillshade"], "--hillshade"),
        (&["render", "r", "--out=x.png", "--quality=50"], "--quality"),
        (&["render", "r", "--out=x.mp4", "--dither"], "--dither"),
        (&["render", "r", "--out=x.mp4", "--transparent"], "--transparent"),
        (&["render", "r", "--out=x.png", "--no-axes"], "--no-axes"),
        (&["function", "beale", "--fps=20"], "--fps"),
        (&["function", "beale", "--out=x.png", "--frames=20"], "--frames"),
        (&["function", "beale", "--out=x.json", "--theme=dark"], "--theme"),
        (&["river", "r", "--sample-order=file", "--sample-seed=1"], "--sample-seed"),
    ];
    for (args, option) in cases {
        let name = format!("`{option}`");
        place.refused(args, &[&name, "leave it out"]);
    }
    assert!(!place.path("x.png").exists() && !place.path("c").exists());
    let usage: &[&[&str]] = &[
        &["train", "--resume", "r", "--force"],
        &["train", "--resume", "r", "--dry-run"],
        &["inspect", "r", "--shortcut=none"],
        &["inspect", "r", "--dataset=mnist"],
        &["render", "r", "--as=curve", "--curve-file=c.h5", "--out=x.png"],
    ];
    for args in usage {
        let ended = place.run(args);
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.stderr);
    }
    // The same options where they are read.
    place.ok(&["evaluate", "r", "--samples=20", "--sample-seed=4"]);
    place.ok(&["plane", "r", "--directions=random", "--seed=9", "--norm=layer"]);
    place.ok(&["render", "r", "--out=x.png", "--size=320x200", "--inset", "--plane-seed=2"]);
    place.ok(&["render", "r", "--out=s.png", "--size=320x200", "--as=surface", "--azimuth=10"]);
}
