//! The part of H.264 (ITU-T H.264) that is written here: pictures of a film that mostly stands
//! still, as changes to the picture before. Key frames and films that move as a whole come from
//! openh264.

pub mod bits;
pub mod cavlc;
pub mod changes;
pub mod transform;
