//! A pipe in the place of each file of a run: no reader waits for somebody to write into it.

use std::process::Command;

use crate::stages::{self, Before};
use crate::{Place, assert_none, damage};

#[test]
fn a_pipe_in_the_place_of_a_file_keeps_no_reader_waiting() {
    let before = stages::before(Before::All);
    let (mut faults, mut tried) = (Vec::new(), 0);
    for file in damage::files_to_try(before) {
        let place = Place::copy_of(before);
        std::fs::remove_file(place.path(&file)).unwrap();
        let made = Command::new("mkfifo").arg(place.path(&file)).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("skipped: there is no mkfifo");
            return;
        }
        for args in damage::commands_that_read(&file) {
            tried += 1;
            // Waiting would end in a panic at the time limit.
            let ended = place.run(&args);
            if !ended.succeeded() && !ended.refused() {
                faults.push(format!("{args:?} of {file}: {}: {}", ended.status, ended.stderr));
            }
        }
    }
    assert_none(&faults, tried);
}
