//! The frames of a show as an encoder takes them: in order, made on all cores, a few at a time.

use std::sync::{Mutex, mpsc};

use rayon::prelude::*;

use super::canvas::Canvas as _;
use super::raster::Raster;
use super::show::Show;
use crate::error::Result;

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
        let room = (200usize << 20).saturating_sub(threads * raster) / 3;
        let batch = (4 * threads).min(room / bytes.max(1)).max(1);
        let count = self.count();
        // Pictures that wait to be drawn on again: putting back what was drawn on is cheaper than
        // a copy of everything.
        let spare: Mutex<Vec<Raster>> = Mutex::default();
        let spare = || spare.lock().unwrap_or_else(|e| e.into_inner());
        let draw = |index: usize| {
            let waiting = spare().pop();
            let mut picture = waiting.unwrap_or_else(|| self.backdrop.clone());
            self.show.draw_moving(&mut picture, index * self.stride)?;
            let thing = make(&picture);
            picture.restore(&self.backdrop);
            spare().push(picture);
            Ok(thing)
        };
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
}
