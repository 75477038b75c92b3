//! The sizes of the processor's caches, to which plans are cut.
//!
//! How many images go through a phase together, and how many tiles through a Winograd convolution,
//! depends on what stays in a core's second level cache beside the weights. Sums are added up in
//! that order, so the bytes of a result belong to a plan: a run's manifest names the caches that it
//! was planned for, and `LOSSREEL_L2` and `LOSSREEL_L3` (`LOSSREEL_L2=1M`) plan for others.

use std::sync::OnceLock;

use serde::Serialize;

/// Bytes of the data caches that a core reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Caches {
    /// Of the second level, which each core has for itself.
    pub l2: usize,
    /// Of the third level, which all cores share; 0 where there is none.
    pub l3: usize,
}

impl Caches {
    /// Where the processor does not say: the smallest that are common.
    const UNKNOWN: Self = Self { l2: 512 << 10, l3: 8 << 20 };

    /// Those of this processor, or what `LOSSREEL_L2` and `LOSSREEL_L3` say (a value that is no
    /// size, or not between 64 KiB and 1 GiB for the second level, changes nothing).
    pub fn detect() -> Self {
        static FOUND: OnceLock<Caches> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let found = processor().unwrap_or(Self::UNKNOWN);
            let asked = |name| std::env::var(name).ok().and_then(|text| size(&text));
            let l2 = asked("LOSSREEL_L2").filter(|l2| (64 << 10..=1 << 30).contains(l2));
            Self { l2: l2.unwrap_or(found.l2), l3: asked("LOSSREEL_L3").unwrap_or(found.l3) }
        })
    }
}

impl std::fmt::Display for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "L2 {} KiB a core, L3 {} KiB", self.l2 >> 10, self.l3 >> 10)
    }
}

/// Bytes: "1048576", "1024K", "1M".
fn size(text: &str) -> Option<usize> {
    let text = text.trim();
    let (digits, shift) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], 10),
        (at, 'm' | 'M') => (&text[..at], 20),
        _ => (text, 0),
    };
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// What the processor says of itself.
#[cfg(target_arch = "x86_64")]
fn processor() -> Option<Caches> {
    use raw_cpuid::{CacheParameter, CacheType};
    let cpuid = raw_cpuid::CpuId::new();
    let of_level = |level: u8| {
        let mut caches = cpuid.get_cache_parameters()?;
        let holds_data = |c: &CacheParameter| c.cache_type() != CacheType::Instruction;
        let cache = caches.find(|c| c.level() == level && holds_data(c))?;
        let lines = cache.associativity() * cache.physical_line_partitions() * cache.sets();
        Some(lines * cache.coherency_line_size())
    };
    let l2 = of_level(2).filter(|&l2| l2 > 0)?;
    Some(Caches { l2, l3: of_level(3).unwrap_or(0) })
}

/// What Linux says of the processor.
#[cfg(not(target_arch = "x86_64"))]
fn processor() -> Option<Caches> {
    let of_level = |level: &str| {
        (0..8).find_map(|index| {
            let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
            let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).ok();
            let data = read("type")?.trim() != "Instruction";
            (data && read("level")?.trim() == level).then(|| size(&read("size")?))?
        })
    };
    Some(Caches { l2: of_level("2")?, l3: of_level("3").unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("1048576"), Some(1 << 20));
        assert_eq!(size(" 512K\n"), Some(512 << 10));
        assert_eq!(size("2m"), Some(2 << 20));
        assert_eq!(size("M"), None);
        assert_eq!(size("1.5M"), None);
        assert_eq!(size(""), None);
        assert_eq!(size("99999999999999999999M"), None);
    }

    #[test]
    fn a_processor_has_a_second_level_cache() {
        let Caches { l2, l3 } = Caches::detect();
        assert!((64 << 10..=256 << 20).contains(&l2), "{l2}");
        assert!(l3 == 0 || l3 >= l2 / 4, "{l3}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_says_the_same() {
        let size_of = |index: &str| {
            let path = format!("/sys/devices/system/cpu/cpu0/cache/{index}/size");
            std::fs::read_to_string(path).ok().and_then(|text| size(&text))
        };
        if let (Some(l2), Some(found)) = (size_of("index2"), processor()) {
            assert_eq!(found.l2, l2);
        }
    }
}
