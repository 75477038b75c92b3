//! Ctrl-C: the first asks for a stop at the next safe point, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::out::{to_stderr, warn};

/// A flag that Ctrl-C (or a termination signal) sets.
pub fn flag() -> Arc<AtomicBool> {
    flag_saying(Some("stopping after the work in hand (press Ctrl-C again to end at once)"))
}

/// [`flag`], with what is said when it is set.
pub fn flag_saying(text: Option<&'static str>) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let shared = flag.clone();
    let handler = move || {
        if shared.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        if let Some(text) = text {
            to_stderr(format_args!("\n{text}"));
        }
    };
    let hangup_ignored = is_hangup_ignored();
    if ctrlc::set_handler(handler).is_err() {
        warn(format_args!("Ctrl-C will end the program at once: its handler could not be set"));
    }
    if hangup_ignored {
        ignore_hangup();
    }
    flag
}

/// Whether whoever started this process had it ignore that its terminal goes away, as `nohup` does:
/// then it is to go on.
#[cfg(target_os = "linux")]
fn is_hangup_ignored() -> bool {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: neither ignoring a signal nor putting back what was there runs code in a handler.
    let before = unsafe { sigaction(Signal::SIGHUP, &ignore) };
    let Ok(before) = before else { return false };
    // SAFETY: as above.
    let _ = unsafe { sigaction(Signal::SIGHUP, &before) };
    matches!(before.handler(), SigHandler::SigIgn)
}

#[cfg(not(target_os = "linux"))]
fn is_hangup_ignored() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn ignore_hangup() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code.
    let _ = unsafe { sigaction(Signal::SIGHUP, &ignore) };
}

#[cfg(not(target_os = "linux"))]
fn ignore_hangup() {}
