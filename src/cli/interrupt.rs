//! Ctrl-C: the first asks for a stop at the next safe point, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::out::{to_stderr, warn};

/// A flag that Ctrl-C (or a termination signal) sets.
pub fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let shared = flag.clone();
    let handler = move || {
        if shared.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        to_stderr(format_args!(
            "\nstopping after the work in hand (press Ctrl-C again to end at once)"
        ));
    };
    if ctrlc::set_handler(handler).is_err() {
        warn(format_args!("Ctrl-C will end the program at once: its handler could not be set"));
    }
    flag
}
