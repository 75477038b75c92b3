//! The side of a rank that is not 0: it waits for jobs, and works on the items that it is sent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use super::post::{Message, Post, Received};
use super::team::PAUSE;
use crate::{Error, Result};

/// A rank that works for rank 0.
pub struct Worker {
    post: Box<dyn Post>,
    /// A job that has begun and was not taken yet.
    begun: Option<Job>,
    /// Whether there is nothing to wait for any more.
    over: bool,
}

/// A job of rank 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    number: u32,
    /// What rank 0 says of it.
    pub about: Vec<u8>,
}

/// How a worker is to work on a job's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Items at a time, each on a rayon pool of one thread.
    pub threads: usize,
    /// Items that it may have in hand: more than `threads` are there when a thread is free.
    pub in_hand: usize,
}

/// Works on one item; the second argument tells rank 0 how far it is.
pub type Item<'a> = &'a (dyn Fn(&[u8], &dyn Fn(Vec<u8>)) -> Result<Vec<u8>> + Sync);

impl Worker {
    /// The worker at the end of `post`.
    pub fn new(post: Box<dyn Post>) -> Self {
        Self { post, begun: None, over: false }
    }

    /// Waits until a job begins. False where there will be none: rank 0 has ended, or `stop` was set.
    pub fn wait(&mut self, stop: &AtomicBool) -> bool {
        while self.begun.is_none() && !self.over {
            match self.receive() {
                Some(Message::Begin { job: number, about }) => {
                    self.begun = Some(Job { number, about });
                }
                Some(Message::Stop) => stop.store(true, Ordering::Relaxed),
                // The end of a job that this rank could not do.
                Some(_) => {}
                None => std::thread::sleep(PAUSE),
            }
            self.leave_if(stop);
        }
        self.begun.is_some()
    }

    /// The next job; waits for it.
    pub fn next_job(&mut self, stop: &AtomicBool) -> Option<Job> {
        self.wait(stop);
        self.begun.take()
    }

    /// Tells rank 0 that this rank cannot do its part.
    pub fn fail(&mut self, error: &Error) {
        self.send(&Message::Failed { why: error.to_string() });
    }

    /// Waits until rank 0 has no more jobs, and does none.
    pub fn wait_for_the_end(&mut self) {
        while !self.over {
            if self.receive().is_none() {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Works on the items of `job` that rank 0 sends until it ends the job, or `stop` is set.
    ///
    /// # Errors
    /// [`Error::Io`] when no thread can be made. What is wrong with an item is told to rank 0.
    pub fn work(
        &mut self,
        job: &Job,
        slots: Slots,
        stop: &AtomicBool,
        one: Item<'_>,
    ) -> Result<()> {
        let pools = (0..slots.threads.max(1))
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::io("start a thread", "")(std::io::Error::other(e)))?;
        let in_hand = slots.in_hand.max(slots.threads).max(1);
        self.send(&Message::Ready { job: job.number, slots: in_hand as u32 });
        let (items, taken) = channel::<(u32, Vec<u8>)>();
        let taken = Mutex::new(taken);
        let (results, done) = channel::<Message>();
        std::thread::scope(|scope| {
            for pool in &pools {
                let (taken, results) = (&taken, results.clone());
                scope.spawn(move || {
                    pool.install(|| {
                        loop {
                            let next = taken.lock().unwrap_or_else(|e| e.into_inner()).recv();
                            let Ok((slot, item)) = next else { break };
                            // Rank 0 may be gone: then nobody wants the result.
                            let _ = results.send(result_of(slot, &item, &results, one));
                        }
                    });
                });
            }
            let items = items;
            loop {
                let mut idle = true;
                for message in done.try_iter() {
                    self.send(&message);
                    idle = false;
                }
                match self.receive() {
                    Some(Message::Item { slot, item }) => {
                        idle = false;
                        // The threads are there as long as this end of the channel is.
                        let _ = items.send((slot, item));
                    }
                    Some(Message::End { job: number }) if number == job.number => break,
                    Some(Message::Stop) => stop.store(true, Ordering::Relaxed),
                    _ => {}
                }
                self.leave_if(stop);
                if self.over {
                    break;
                }
                if idle {
                    std::thread::sleep(PAUSE);
                }
            }
        });
        Ok(())
    }

    /// Gives back what is in hand where `stop` is set.
    fn leave_if(&mut self, stop: &AtomicBool) {
        if stop.load(Ordering::Relaxed) && !self.over {
            self.over = true;
            self.send(&Message::Leave);
        }
    }

    fn send(&mut self, message: &Message) {
        self.post.send(0, &message.to_bytes());
    }

    fn receive(&mut self) -> Option<Message> {
        match self.post.receive()?.1 {
            Received::Message(bytes) => {
                let message = Message::of_bytes(&bytes);
                self.over |= message == Some(Message::Quit);
                message
            }
            Received::Gone => {
                self.over = true;
                None
            }
        }
    }
}

fn result_of(slot: u32, item: &[u8], results: &Sender<Message>, one: Item<'_>) -> Message {
    let note = |note: Vec<u8>| {
        let _ = results.send(Message::Note { slot, note });
    };
    match catch_unwind(AssertUnwindSafe(|| one(item, &note))) {
        Ok(Ok(result)) => Message::Reply { slot, result },
        Ok(Err(error)) => Message::Failed { why: error.to_string() },
        Err(_) => Message::Failed { why: "it panicked, and said so on its stderr".into() },
    }
}
