//! The interactive page: loss surfaces that can be turned, played and compared in a browser, in one file
//! that asks no host for anything, or served from this machine while a run is trained.
//!
//! The page's program is written in TypeScript and three.js (`viewer/` at the top level) and built by Vite
//! into one script and one style sheet, which are committed and embedded here. This module opens runs and
//! files ([`Gatherer`]), packs their numbers ([`arrays`]), and puts both into a page ([`page()`]) or serves
//! them ([`server`]).

pub mod arrays;
pub mod content;
mod convexity;
mod course;
mod files;
mod gather;
mod page;
pub mod server;
mod watch;

pub use gather::{Expand, Gathered, Gatherer, Member, PageRequest, Waiting};
pub use page::{page, write};
