//! What several rooms are held to: golden pictures, files that other programs read, words that can be
//! read.

mod files;
pub(in crate::render) mod golden;
pub(in crate::render) mod words;
