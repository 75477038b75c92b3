//! A sweep of which one member has a full disk: it stands in the report with what it could not do, the
//! others are done, and with room again the same command gives what nothing happened to.

use serde_json::Value;

use crate::full_disk::can_mount;
use crate::tree::{self, Tree};
use crate::{LOSSREEL, Place, ended};

const SWEEP: &str = "seeds = 2\n\
[set]\nmodel.arch = \"mlp\"\ndata.set = \"digits\"\ndata.train_samples = 200\n\
data.test_samples = 100\ntrain.batch_size = 50\ntrain.epochs = 2\n\
[axes]\noptim.lr = [0.1, 0.01]\n\
[measure]\ncurvature = { samples = 50 }\n";

/// Runs the rest with a file system of $1 kB where the folder $2 is, and copies what that holds to $3.
const ON_A_SMALL_DISK: &str = "
    mkdir -p \"$2\" \"$3\" && mount -t tmpfs -o size=$1k none \"$2\" || exit 99
    full=$2; back=$3; shift 3; \"$@\"; code=$?; cp -a \"$full\"/. \"$back\"; exit $code";

#[test]
fn a_member_on_a_full_disk_stands_in_the_report_and_leaves_the_others() {
    if !can_mount() {
        return;
    }
    let place = Place::new();
    std::fs::write(place.path("rates.toml"), SWEEP).unwrap();
    place.ok(&["sweep", "rates.toml", "--out=whole"]);
    let sweep = ["sweep", "rates.toml", "--out=s", "--json", "--quiet", "--threads=1"];
    // From nothing to most of what the run takes, about 1 MB.
    for kilobytes in ["4", "16", "64", "256", "384"] {
        place.ok(&["sweep", "rates.toml", "--out=s", "--seeds=1"]);
        let full = "s/runs/lr-0.1_seed-1";
        let fixed = ["-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", kilobytes, full, "left", LOSSREEL];
        let ended = ended(place.command_of("unshare", &[&fixed[..], &sweep].concat()));
        assert_eq!(ended.status.code(), Some(1), "{kilobytes} kB: {}", ended.stderr);
        assert!(ended.stderr.contains("1 of 4 members failed"), "{}", ended.stderr);
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        for member in report["members"].as_array().unwrap() {
            let name = member["run"].as_str().unwrap();
            let is_full = name.ends_with("lr-0.1_seed-1");
            let error = member["error"].as_str().unwrap_or_default();
            assert_eq!(member["status"], if is_full { "failed" } else { "done" }, "{member:#}");
            assert_eq!(
                error.contains("cannot") && error.contains("space"),
                is_full,
                "{kilobytes} kB: {error}"
            );
            if !is_full {
                let of = |sweep: &str| {
                    let name = name.rsplit('/').next().unwrap();
                    Tree::of(&place.path(&format!("{sweep}/runs/{name}")))
                };
                assert_eq!(of("whole").differences(&of("s")), Vec::<String>::new());
            }
        }
        // With room again, from what the small disk held.
        tree::copy(&place.path("left"), &place.path(full));
        std::fs::remove_dir_all(place.path("left")).unwrap();
        place.ok(&["sweep", "rates.toml", "--out=s"]);
        let of = |sweep: &str| Tree::of(&place.path(&format!("{sweep}/runs")));
        assert_eq!(of("whole").differences(&of("s")), Vec::<String>::new());
        std::fs::remove_dir_all(place.path("s")).unwrap();
    }
}
