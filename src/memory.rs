//! Whether what is about to be allocated fits, asked before it is: a clear error is worth more than a
//! process that the system ends.

use crate::{Error, Result};

/// Bytes that this process may still take: what the system has free, less where a limit says so.
/// `None` where the system does not say.
pub fn available_bytes() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let free = kib.saturating_mul(1024);
    Some(address_space_left().map_or(free, |left| left.min(free)))
}

/// Bytes of one file that are read into memory at most: half of what is free, as what is read becomes
/// numbers.
pub fn most_bytes() -> u64 {
    available_bytes().map_or(1 << 40, |free| free / 2)
}

/// What a limit of the address space (`ulimit -v`) leaves; `None` without one.
fn address_space_left() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max address space"))?;
    let limit: u64 = line.split_whitespace().nth(3)?.parse().ok()?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmSize:"))?;
    let used: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(limit.saturating_sub(used.saturating_mul(1024)))
}

/// Refuses what needs more memory than there is. `bytes` is a product of sizes, `None` where it
/// overflowed.
///
/// # Errors
/// [`Error::TooLarge`].
pub fn check(what: &'static str, bytes: Option<u64>) -> Result<()> {
    let needed = bytes.unwrap_or(u64::MAX);
    match available_bytes() {
        Some(available) if needed > available => Err(Error::TooLarge { what, needed, available }),
        // Where nothing is known, a size that no machine has is refused all the same.
        None if needed > 1 << 50 => Err(Error::TooLarge { what, needed, available: 0 }),
        _ => Ok(()),
    }
}

/// The product of `sizes`, `None` where it does not fit.
pub fn product(sizes: &[usize]) -> Option<u64> {
    sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_passes_and_what_does_not_is_refused_with_both_sizes() {
        check("a test", Some(1 << 20)).unwrap();
        let error = check("a test", Some(1 << 60)).unwrap_err().to_string();
        assert!(error.contains("a test") && error.contains("GB"), "{error}");
        assert!(check("a test", None).is_err());
        assert_eq!(product(&[3, 4]), Some(12));
        assert_eq!(product(&[usize::MAX, 3]), None);
    }
}
