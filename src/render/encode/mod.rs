//! From pictures to files, one frame at a time.

pub(crate) mod gif;
pub(crate) mod lzw;
pub(crate) mod mp4;
pub(crate) mod mux;
pub mod palette;
pub(crate) mod y4m;
pub(crate) mod yuv;
