//! From pictures to files, one frame at a time.

pub mod gif;
pub mod lzw;
pub mod mp4;
pub mod mux;
pub mod palette;
pub mod y4m;
pub mod yuv;
