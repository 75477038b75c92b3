//! Tells the program which commit it is built from, for a run's manifest; nothing where there is no
//! git checkout (a crate from a registry).

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Every commit and checkout adds a line here.
    let log = Path::new(".git/logs/HEAD");
    if log.exists() {
        println!("cargo:rerun-if-changed={}", log.display());
    }
    let Ok(output) = Command::new("git").args(["rev-parse", "HEAD"]).output() else { return };
    let commit = String::from_utf8_lossy(&output.stdout);
    // Only a checkout of this very folder counts, not one that happens to lie around it.
    if output.status.success() && Path::new(".git").exists() {
        println!("cargo:rustc-env=LOSSREEL_GIT_COMMIT={}", commit.trim());
    }
}
