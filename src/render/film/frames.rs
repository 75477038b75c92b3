//! The frames of a show as an encoder takes them: in order, made on all cores, a few at a time.

use std::ops::Range;
use std::sync::{Mutex, mpsc};

use rayon::prelude::*;

use crate::error::Result;
use crate::render::canvas::Canvas as _;
use crate::render::canvas::raster::Raster;
use crate::render::film::show::Show;

/// Bytes of pictures that may wait for each other.
const ROOM: usize = 200 << 20;

/// Segments of a film that are coded side by side at most: each has an encoder with its pictures.
const LANES: usize = 8;

/// The pictures of a show at some size, all of them or every second, third, ...
pub struct Frames<'a> {
    show: &'a dyn Show,
    backdrop: Raster,
    stride: usize,
}

impl<'a> Frames<'a> {
    /// Draws what no frame changes, `pixels` large. Errors: those of drawing.
    pub fn new(show: &'a dyn Show, pixels: [u32; 2], stride: usize) -> Result<Self> {
        let mut backdrop = Raster::zoomed(pixels, show.size(), show.theme().background)?;
        show.draw_static(&mut backdrop)?;
        backdrop.set_clip(None);
        backdrop.begin();
        Ok(Self { show, backdrop, stride: stride.max(1) })
    }

    /// How many pictures there are.
    pub fn count(&self) -> usize {
        self.show.frames().max(1).div_ceil(self.stride)
    }

    /// What is below all of them.
    pub fn backdrop(&self) -> &Raster {
        &self.backdrop
    }

    /// What is shown.
    pub fn show(&self) -> &'a dyn Show {
        self.show
    }

    /// Picture `index`. Errors: those of drawing.
    pub fn picture(&self, index: usize) -> Result<Raster> {
        self.frame(index * self.stride)
    }

    /// Frame `frame` of the show, whether the film has it or leaves it out. Errors: those of
    /// drawing.
    pub fn frame(&self, frame: usize) -> Result<Raster> {
        let mut picture = self.backdrop.clone();
        self.show.draw_moving(&mut picture, frame)?;
        Ok(picture)
    }

    /// Makes a thing of `bytes` bytes from each picture (whose marks say where it differs from the
    /// backdrop), on all cores, and hands them over in
    /// order, on this thread, a batch at a time with the number of its first; while one batch is
    /// taken the next is made. Pictures in flight take at most about 200 MiB. Ends early when
    /// `take` returns false.
    ///
    /// Errors: the first of drawing and of `take`.
    pub fn in_order<T: Send>(
        &self,
        bytes: usize,
        make: impl Fn(&Raster) -> T + Sync,
        mut take: impl FnMut(usize, Vec<T>) -> Result<bool>,
    ) -> Result<()> {
        // Three batches at once: being made, waiting, being taken; and a picture for each thread.
        let threads = rayon::current_num_threads();
        let raster = self.backdrop.rgba().len();
        let room = ROOM.saturating_sub(threads * raster) / 3;
        let batch = (4 * threads).min(room / bytes.max(1)).max(1);
        let count = self.count();
        let drawing = Drawing { frames: self, make, spare: Mutex::default() };
        let draw = |index: usize| drawing.draw(index);
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel::<Result<Vec<T>>>(1);
            let draw = &draw;
            scope.spawn(move || {
                for start in (0..count).step_by(batch) {
                    let things = (start..(start + batch).min(count)).into_par_iter();
                    let things = things.map(draw).collect();
                    if sender.send(things).is_err() {
                        return; // the receiver has enough, or has failed
                    }
                }
            });
            let mut done = 0;
            for things in receiver {
                let things = things?;
                let next = done + things.len();
                if !take(done, things)? {
                    break;
                }
                done = next;
            }
            Ok(())
        })
    }

    /// Makes a thing of `bytes` bytes from each picture, as [`Frames::in_order`] does, and codes the
    /// things of each of `segments` (which follow on each other) in their order with a coder of the
    /// segment's own. Several segments are under way at once, and drawing goes on meanwhile, so all
    /// cores are busy; what comes out depends on the segments alone. `take` gets the code of one
    /// picture after the other, on this thread, with its number, and ends it early by returning false.
    ///
    /// Errors: the first of drawing, of coding and of `take`.
    pub fn in_segments<T: Send, C: Send>(
        &self,
        segments: &[Range<usize>],
        bytes: usize,
        make: impl Fn(&Raster) -> T + Sync,
        begin: impl Fn() -> Result<C> + Sync,
        code: impl Fn(&mut C, T) -> Result<Vec<u8>> + Sync,
        mut take: impl FnMut(usize, Vec<u8>) -> Result<bool>,
    ) -> Result<()> {
        let threads = rayon::current_num_threads();
        let drawing = Drawing { frames: self, make, spare: Mutex::default() };
        let lanes = threads.min(LANES).min(segments.len()).max(1);
        // Two rounds at once: being drawn and being coded; and a picture for each thread.
        let room = ROOM.saturating_sub(threads * self.backdrop.rgba().len()) / 2;
        // Long rounds, as cores wait for each other at the end of one.
        let each = (8 * threads).min(room / bytes.max(1)).div_ceil(lanes).max(1);
        let mut waiting = segments.iter().cloned();
        // What is left to draw of the segments under way, in order.
        let mut open: Vec<Range<usize>> = Vec::new();
        let mut round: Vec<Batch<T, C>> = Vec::new();
        // Codes of pictures whose predecessors are not there yet.
        let mut coded: std::collections::BTreeMap<usize, Vec<u8>> = Default::default();
        let mut next = segments.first().map_or(0, |s| s.start);
        loop {
            while open.len() < lanes {
                let Some(segment) = waiting.next() else { break };
                open.push(segment);
            }
            let wanted: Vec<Range<usize>> =
                open.iter().map(|left| left.start..(left.start + each).min(left.end)).collect();
            let numbers: Vec<usize> = wanted.iter().cloned().flatten().collect();
            if numbers.is_empty() && round.is_empty() {
                return Ok(());
            }
            let (drawn, codes) = rayon::join(
                || numbers.par_iter().map(|&n| drawing.draw(n)).collect::<Result<Vec<T>>>(),
                || {
                    let run = |batch: Batch<T, C>| batch.code(&begin, &code);
                    std::mem::take(&mut round)
                        .into_par_iter()
                        .map(run)
                        .collect::<Result<Vec<(usize, Vec<Vec<u8>>, Option<C>)>>>()
                },
            );
            let mut drawn = drawn?.into_iter();
            let mut coders = Vec::new();
            for (first, codes, coder) in codes? {
                let after = first + codes.len();
                coded.extend((first..).zip(codes));
                coders.push((after, coder));
            }
            while let Some(bits) = coded.remove(&next) {
                if !take(next, bits)? {
                    return Ok(());
                }
                next += 1;
            }
            for (left, range) in open.iter_mut().zip(wanted) {
                let place = coders.iter_mut().find(|(after, _)| *after == range.start);
                let coder = place.and_then(|(_, coder)| coder.take());
                left.start = range.end;
                let last = left.start == left.end;
                let things = drawn.by_ref().take(range.len()).collect();
                round.push(Batch { first: range.start, things, coder, last });
            }
            open.retain(|left| left.start < left.end);
        }
    }
}

/// Pictures of one segment that follow on each other, drawn and not yet coded.
struct Batch<T, C> {
    first: usize,
    things: Vec<T>,
    /// None where the segment begins.
    coder: Option<C>,
    last: bool,
}

impl<T, C> Batch<T, C> {
    /// The number of the first picture, the codes, and the coder unless the segment is over.
    fn code(
        self,
        begin: impl Fn() -> Result<C>,
        code: impl Fn(&mut C, T) -> Result<Vec<u8>>,
    ) -> Result<(usize, Vec<Vec<u8>>, Option<C>)> {
        let mut coder = self.coder.map_or_else(begin, Ok)?;
        let codes = self.things.into_iter().map(|thing| code(&mut coder, thing));
        let codes = codes.collect::<Result<Vec<_>>>()?;
        Ok((self.first, codes, (!self.last).then_some(coder)))
    }
}

/// Drawing with pictures that are used again: putting back what was drawn on is cheaper than a copy
/// of everything.
struct Drawing<'a, M> {
    frames: &'a Frames<'a>,
    make: M,
    spare: Mutex<Vec<Raster>>,
}

impl<T, M: Fn(&Raster) -> T> Drawing<'_, M> {
    fn draw(&self, index: usize) -> Result<T> {
        let spare = || self.spare.lock().unwrap_or_else(|e| e.into_inner());
        let waiting = spare().pop();
        let frames = self.frames;
        let mut picture = waiting.unwrap_or_else(|| frames.backdrop.clone());
        frames.show.draw_moving(&mut picture, index * frames.stride)?;
        let thing = (self.make)(&picture);
        picture.restore(&frames.backdrop);
        spare().push(picture);
        Ok(thing)
    }
}
