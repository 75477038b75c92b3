//! Whether pictures are made with vectors of eight: loops over pixels are compiled a second time for
//! AVX2, where the processor has it. The same operations in the same order on the same numbers, so
//! the bytes are the same; `LOSSREEL_SIMD=portable` shows it.

use std::sync::OnceLock;

/// Whether this processor has AVX2 and nobody asked to do without.
pub fn available() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        let has = std::arch::is_x86_feature_detected!("avx2");
        #[cfg(not(target_arch = "x86_64"))]
        let has = false;
        has && std::env::var_os("LOSSREEL_SIMD").is_none_or(|level| level != "portable")
    })
}
