//! What the ranks of a job say to one another, and what carries it.
//!
//! Rank 0 leads: it names a job, hands out its items and takes the results. The others are workers and
//! speak with rank 0 only. A message is one byte that says what it is, a number of four bytes (the job,
//! or the slot of a worker that an item is for) and a payload that is the caller's own.

/// Carries messages between rank 0 and the others. Used by one thread of each process.
pub trait Post {
    /// Sends a message to a rank. What is sent to a rank that is gone is lost.
    fn send(&mut self, to: usize, message: &[u8]);

    /// The next message and the rank that it is from, if there is one: it does not wait.
    fn receive(&mut self) -> Option<(usize, Received)>;
}

/// What came from a rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A message.
    Message(Vec<u8>),
    /// The news that it has ended, where the carrier can tell.
    Gone,
}

/// A message, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// From rank 0: a job begins; the payload says which.
    Begin { job: u32, about: Vec<u8> },
    /// From rank 0: an item for a slot.
    Item { slot: u32, item: Vec<u8> },
    /// From rank 0: the job is over.
    End { job: u32 },
    /// From rank 0: what is in hand is to be cut short.
    Stop,
    /// From rank 0: there will be no other job.
    Quit,
    /// From a worker: it is ready for the job, with so many slots.
    Ready { job: u32, slots: u32 },
    /// From a worker: the result of a slot's item.
    Reply { slot: u32, result: Vec<u8> },
    /// From a worker: how far a slot's item is.
    Note { slot: u32, note: Vec<u8> },
    /// From a worker: it cannot go on, and why.
    Failed { why: String },
    /// From a worker: it was asked to stop, and gives back what it has in hand.
    Leave,
}

impl Message {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (kind, number, payload): (u8, u32, &[u8]) = match self {
            Self::Begin { job, about } => (0, *job, about),
            Self::Item { slot, item } => (1, *slot, item),
            Self::End { job } => (2, *job, &[]),
            Self::Stop => (3, 0, &[]),
            Self::Quit => (4, 0, &[]),
            Self::Ready { job, slots } => (5, *job, &slots.to_le_bytes()),
            Self::Reply { slot, result } => (6, *slot, result),
            Self::Note { slot, note } => (7, *slot, note),
            Self::Failed { why } => (8, 0, why.as_bytes()),
            Self::Leave => (9, 0, &[]),
        };
        let mut bytes = Vec::with_capacity(5 + payload.len());
        bytes.push(kind);
        bytes.extend(number.to_le_bytes());
        bytes.extend(payload);
        bytes
    }

    /// `None` for what is no message of ours.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (number, payload) = rest.split_first_chunk::<4>()?;
        let (number, rest) = (u32::from_le_bytes(*number), payload.to_vec());
        Some(match kind {
            0 => Self::Begin { job: number, about: rest },
            1 => Self::Item { slot: number, item: rest },
            2 => Self::End { job: number },
            3 => Self::Stop,
            4 => Self::Quit,
            5 => Self::Ready { job: number, slots: u32::from_le_bytes(payload.try_into().ok()?) },
            6 => Self::Reply { slot: number, result: rest },
            7 => Self::Note { slot: number, note: rest },
            8 => Self::Failed { why: String::from_utf8_lossy(&rest).into_owned() },
            9 => Self::Leave,
            _ => return None,
        })
    }
}

#[cfg(test)]
pub(crate) mod channels {
    //! A carrier of channels between threads, for tests: a worker that is dropped is gone.

    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::{Post, Received};

    /// One end of the channels.
    pub(crate) struct Channels {
        me: usize,
        others: Vec<Option<Sender<(usize, Received)>>>,
        inbox: Receiver<(usize, Received)>,
    }

    impl Post for Channels {
        fn send(&mut self, to: usize, message: &[u8]) {
            if let Some(Some(other)) = self.others.get(to) {
                // Whoever is gone has said so.
                let _ = other.send((self.me, Received::Message(message.to_vec())));
            }
        }

        fn receive(&mut self) -> Option<(usize, Received)> {
            self.inbox.try_recv().ok()
        }
    }

    impl Drop for Channels {
        fn drop(&mut self) {
            for other in self.others.iter().flatten() {
                let _ = other.send((self.me, Received::Gone));
            }
        }
    }

    /// The ends of `ranks` ranks, rank 0 first: it reaches all, the others reach it.
    pub(crate) fn connect(ranks: usize) -> Vec<Channels> {
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..ranks).map(|_| channel()).unzip();
        let ends = inboxes.into_iter().enumerate().map(|(me, inbox)| {
            let reaches = |to: usize| to != me && (me == 0 || to == 0);
            let others = senders.iter().enumerate();
            let others = others.map(|(to, sender)| reaches(to).then(|| sender.clone()));
            Channels { me, others: others.collect(), inbox }
        });
        ends.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent_and_nonsense_is_none() {
        let all = [
            Message::Begin { job: 7, about: b"about".to_vec() },
            Message::Item { slot: 3, item: vec![0, 255] },
            Message::End { job: 1 << 30 },
            Message::Stop,
            Message::Quit,
            Message::Ready { job: 7, slots: 12 },
            Message::Reply { slot: 0, result: Vec::new() },
            Message::Note { slot: 1, note: b"epoch 3".to_vec() },
            Message::Failed { why: "no such file: ü".into() },
            Message::Leave,
        ];
        for message in all {
            assert_eq!(Message::of_bytes(&message.to_bytes()), Some(message));
        }
        for bytes in [&[][..], &[3], &[3, 0, 0, 0], &[99, 0, 0, 0, 0], &[5, 0, 0, 0, 0, 1]] {
            assert_eq!(Message::of_bytes(bytes), None, "{bytes:?}");
        }
    }
}
