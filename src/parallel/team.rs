//! Handing out the items of a job: to the threads of this process, and to the slots of the other ranks
//! where there are any. Whoever is free takes the next item, so a slow rank delays nobody; what a rank
//! that leaves had in hand is given to another.
//!
//! The calling thread carries the messages. Each place has a thread of its own in this process, which
//! for a slot of another rank does nothing but wait for the reply.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread::Scope;
use std::time::Duration;

use super::post::{Message, Post, Received};
use crate::{Error, Result};

/// Between two looks for messages where there was none.
pub(super) const PAUSE: Duration = Duration::from_micros(200);

/// Rank 0 with the others; or a process alone, whose work is done by its own threads.
#[derive(Default)]
pub struct Team {
    post: Option<Box<dyn Post>>,
    /// The other ranks that have not left.
    others: Vec<usize>,
    job: u32,
}

/// Where an item is worked on.
pub enum Place<'a> {
    /// A thread of this process.
    Here,
    /// A slot of another rank.
    There(&'a Line),
}

/// The way to a slot of another rank.
pub struct Line {
    rank: usize,
    slot: u32,
    outgoing: Sender<(usize, Message)>,
    replies: Receiver<Answer>,
}

enum Answer {
    Note(Vec<u8>),
    Result(Vec<u8>),
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is done.
    Done,
    /// The place is gone, and the item is for another.
    Left,
    /// The place is gone, and the item is not to be done again in this call.
    Lost,
}

impl Line {
    /// The rank.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Has the rank work on `item`, and waits for the result; `note` is called with what it says
    /// meanwhile. `None` where the rank is gone.
    pub fn call(&self, item: &[u8], note: &mut dyn FnMut(&[u8])) -> Option<Vec<u8>> {
        let message = Message::Item { slot: self.slot, item: item.to_vec() };
        self.outgoing.send((self.rank, message)).ok()?;
        loop {
            match self.replies.recv().ok()? {
                Answer::Note(bytes) => note(&bytes),
                Answer::Result(bytes) => return Some(bytes),
            }
        }
    }
}

/// What is left of a job's items.
struct Queue {
    waiting: VecDeque<usize>,
    in_hand: usize,
    failure: Option<Error>,
}

/// The items of a job, and how one is worked on.
struct Work<'a, T> {
    items: &'a [T],
    queue: Mutex<Queue>,
    changed: Condvar,
    stop: &'a AtomicBool,
    one: &'a (dyn Fn(&Place<'_>, &T) -> Result<Taken> + Sync),
}

impl<T: Sync> Work<'_, T> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn fail(&self, error: Error) {
        self.lock().failure.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Whether no item is to be handed out any more.
    fn is_cut(&self, queue: &Queue) -> bool {
        queue.failure.is_some() || self.stop.load(Ordering::Relaxed)
    }

    /// Whether nothing is left to wait for.
    fn is_over(&self) -> bool {
        let queue = self.lock();
        queue.in_hand == 0 && (queue.waiting.is_empty() || self.is_cut(&queue))
    }

    /// The next item; waits while one that is in hand could come back.
    fn next(&self) -> Option<usize> {
        let mut queue = self.lock();
        loop {
            if self.is_cut(&queue) {
                return None;
            }
            if let Some(index) = queue.waiting.pop_front() {
                queue.in_hand += 1;
                return Some(index);
            }
            if queue.in_hand == 0 {
                return None;
            }
            // The flag of an interrupt wakes nobody: it is looked at now and then.
            let wait = self.changed.wait_timeout(queue, Duration::from_millis(50));
            queue = wait.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// Takes items until there is none, or the place is gone.
    fn at(&self, place: &Place<'_>) {
        while let Some(index) = self.next() {
            let mut hand = Hand { work: self, back: Some(index) };
            let taken = (self.one)(place, &self.items[index]);
            match taken {
                Ok(Taken::Done) => hand.back = None,
                Ok(Taken::Left) => return,
                Ok(Taken::Lost) => {
                    hand.back = None;
                    return;
                }
                Err(error) => {
                    hand.back = None;
                    self.fail(error);
                }
            }
        }
    }
}

/// An item in hand: it goes back into the queue unless it is done, also where its thread panics.
struct Hand<'a, 'b, T: Sync> {
    work: &'a Work<'b, T>,
    back: Option<usize>,
}

impl<T: Sync> Drop for Hand<'_, '_, T> {
    fn drop(&mut self) {
        let mut queue = self.work.lock();
        queue.in_hand -= 1;
        if std::thread::panicking() {
            // The panic itself is raised where the thread is joined; nobody is to wait for the item.
            let what = "it panicked".into();
            queue.failure.get_or_insert(Error::Rank { rank: 0, what });
        }
        if let Some(index) = self.back {
            queue.waiting.push_front(index);
        }
        drop(queue);
        self.work.changed.notify_all();
    }
}

impl Team {
    /// A process without other ranks.
    pub fn alone() -> Self {
        Self::default()
    }

    /// Rank 0 with the `others` ranks 1, 2, ... that `post` reaches.
    pub fn new(post: Box<dyn Post>, others: usize) -> Self {
        Self { post: Some(post), others: (1..=others).collect(), job: 0 }
    }

    /// How many ranks there are, this one included.
    pub fn ranks(&self) -> usize {
        1 + self.others.len()
    }

    /// Whether there is nobody to hand anything to.
    pub fn is_alone(&self) -> bool {
        self.others.is_empty()
    }

    /// Works on `items`, `here` of them at a time in this process, each on a rayon pool of one thread,
    /// and the others where ranks have free slots. `about` tells the ranks which job it is. `one` works
    /// on an item at a place. Items are handed out in their order; they end in any.
    ///
    /// Returns when all items are done, or `stop` was set and what was in hand has ended.
    ///
    /// # Errors
    /// The first error of `one`; [`Error::Rank`] for a rank that cannot do the job; [`Error::Io`] when
    /// no thread can be made.
    pub fn hand_out<T: Sync>(
        &mut self,
        about: &[u8],
        items: &[T],
        here: usize,
        stop: &AtomicBool,
        one: &(dyn Fn(&Place<'_>, &T) -> Result<Taken> + Sync),
    ) -> Result<()> {
        let pools = (0..here.clamp(1, items.len().max(1)))
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::io("start a thread", "")(std::io::Error::other(e)))?;
        let queue = Queue { waiting: (0..items.len()).collect(), in_hand: 0, failure: None };
        let (queue, changed) = (Mutex::new(queue), Condvar::new());
        let work = Work { items, queue, changed, stop, one };
        std::thread::scope(|scope| {
            for pool in &pools {
                let work = &work;
                scope.spawn(move || pool.install(|| work.at(&Place::Here)));
            }
            if !self.is_alone() {
                self.carry(about, &work, scope);
            }
        });
        let failure = work.queue.into_inner().unwrap_or_else(|e| e.into_inner()).failure;
        failure.map_or(Ok(()), Err)
    }

    /// Carries the messages of a job until nothing is left to wait for.
    fn carry<'s, T: Sync>(
        &mut self,
        about: &[u8],
        work: &'s Work<'_, T>,
        scope: &'s Scope<'s, '_>,
    ) {
        self.job += 1;
        let job = self.job;
        self.say(&Message::Begin { job, about: about.to_vec() });
        let (outgoing, to_send) = channel::<(usize, Message)>();
        let mut lines: BTreeMap<(usize, u32), Sender<Answer>> = BTreeMap::new();
        let mut told = false;
        while !work.is_over() {
            let mut idle = true;
            for (rank, message) in to_send.try_iter() {
                self.send(rank, &message);
                idle = false;
            }
            while let Some((rank, received)) = self.receive() {
                idle = false;
                match received {
                    Some(Message::Ready { job: of, slots }) if of == job => {
                        for slot in 0..slots {
                            let (answers, replies) = channel();
                            lines.insert((rank, slot), answers);
                            let line = Line { rank, slot, outgoing: outgoing.clone(), replies };
                            scope.spawn(move || work.at(&Place::There(&line)));
                        }
                    }
                    Some(Message::Reply { slot, result }) => {
                        answer(&lines, rank, slot, Answer::Result(result));
                    }
                    Some(Message::Note { slot, note }) => {
                        answer(&lines, rank, slot, Answer::Note(note));
                    }
                    Some(Message::Failed { why }) => {
                        // What it had in hand gets no reply any more.
                        lines.retain(|(of, _), _| *of != rank);
                        work.fail(Error::Rank { rank, what: why });
                    }
                    Some(Message::Leave) | None => {
                        self.others.retain(|other| *other != rank);
                        lines.retain(|(of, _), _| *of != rank);
                    }
                    // A late word about a job that is over.
                    Some(_) => {}
                }
            }
            if work.stop.load(Ordering::Relaxed) && !told {
                told = true;
                self.say(&Message::Stop);
            }
            if idle {
                std::thread::sleep(PAUSE);
            }
        }
        self.say(&Message::End { job });
    }

    fn send(&mut self, rank: usize, message: &Message) {
        if let Some(post) = &mut self.post {
            post.send(rank, &message.to_bytes());
        }
    }

    fn say(&mut self, message: &Message) {
        for rank in self.others.clone() {
            self.send(rank, message);
        }
    }

    /// The next message, with `None` for a rank that is gone.
    fn receive(&mut self) -> Option<(usize, Option<Message>)> {
        let (rank, received) = self.post.as_mut()?.receive()?;
        Some(match received {
            Received::Gone => (rank, None),
            Received::Message(bytes) => (rank, Message::of_bytes(&bytes)),
        })
    }
}

fn answer(lines: &BTreeMap<(usize, u32), Sender<Answer>>, rank: usize, slot: u32, answer: Answer) {
    if let Some(line) = lines.get(&(rank, slot)) {
        // Nobody waits for a note any more once the result is there.
        let _ = line.send(answer);
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.say(&Message::Quit);
    }
}
