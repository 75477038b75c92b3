//! From pictures to files, one frame at a time.

pub(crate) mod gif;
pub(crate) mod lzw;
pub(crate) mod mp4;
pub(crate) mod mux;
pub(crate) mod palette;
pub mod pdf;
pub mod png;
pub mod svg;
pub(crate) mod y4m;
pub(crate) mod yuv;
