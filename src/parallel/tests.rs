//! Jobs handed out over channels between threads, each thread a rank.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::post::channels::{Channels, connect};
use super::{Item, Place, Slots, Taken, Team, Worker};
use crate::{Error, Result};

/// How a rank behaves.
#[derive(Clone, Copy, PartialEq)]
enum Rank {
    /// It answers with the square.
    Sound,
    /// It is gone after so many items, without a word.
    DiesAfter(usize),
    /// It is asked to stop after so many items.
    LeavesAfter(usize),
    /// It fails at every item.
    Fails,
    /// It panics at every item.
    Panics,
    /// It never gets ready.
    NeverReady,
}

/// What a job of squares came to: the results by item, and where each was computed.
struct Ended {
    result: Result<()>,
    squares: BTreeMap<usize, u64>,
    of_rank: BTreeMap<usize, usize>,
}

fn square(item: &[u8]) -> Vec<u8> {
    let k = u64::from_le_bytes(item.try_into().unwrap());
    (k * k).to_le_bytes().to_vec()
}

/// A rank's life: jobs until there are no more.
fn serve(post: Channels, behaves: Rank) {
    let stop = AtomicBool::new(false);
    let mut worker = Worker::new(Box::new(post));
    let done = AtomicUsize::new(0);
    let after = match behaves {
        Rank::DiesAfter(n) | Rank::LeavesAfter(n) => n,
        _ => usize::MAX,
    };
    while let Some(job) = worker.next_job(&stop) {
        assert_eq!(job.about, b"squares");
        if behaves == Rank::NeverReady {
            continue;
        }
        let one: Item<'_> = &|item, note| {
            match behaves {
                Rank::Fails => return Err(Error::bad_value("item", 0, "no square", "none")),
                Rank::Panics => panic!("on purpose"),
                _ => {}
            }
            note(b"begun".to_vec());
            if done.fetch_add(1, Ordering::Relaxed) >= after {
                stop.store(true, Ordering::Relaxed);
                // What it has in hand is never answered.
                std::thread::sleep(Duration::from_millis(30));
            }
            std::thread::sleep(Duration::from_millis(1));
            Ok(square(item))
        };
        if matches!(behaves, Rank::DiesAfter(0)) {
            return;
        }
        worker.work(&job, Slots { threads: 2, in_hand: 3 }, &stop, one).unwrap();
    }
}

/// The squares of 0 to `n` by this process and `others`; `stop_after` sets the flag after so many.
fn squares(n: usize, others: &[Rank], stop_after: usize) -> Ended {
    let mut ends = connect(1 + others.len());
    let posts = ends.split_off(1);
    let mut team = Team::new(Box::new(ends.remove(0)), others.len());
    let items: Vec<usize> = (0..n).collect();
    let (found, stop) = (Mutex::new((BTreeMap::new(), BTreeMap::new())), AtomicBool::new(false));
    let result = std::thread::scope(|scope| {
        for (post, &behaves) in posts.into_iter().zip(others) {
            scope.spawn(move || serve(post, behaves));
        }
        let one = |place: &Place<'_>, &k: &usize| {
            let (bytes, rank) = match place {
                Place::Here => {
                    std::thread::sleep(Duration::from_millis(2));
                    (square(&(k as u64).to_le_bytes()), 0)
                }
                Place::There(line) => {
                    let mut notes = 0;
                    let item = (k as u64).to_le_bytes();
                    match line.call(&item, &mut |note| notes += usize::from(note == b"begun")) {
                        None => return Ok(Taken::Left),
                        Some(bytes) => {
                            assert_eq!(notes, 1);
                            (bytes, line.rank())
                        }
                    }
                }
            };
            let mut found = found.lock().unwrap();
            let value = u64::from_le_bytes(bytes.try_into().unwrap());
            assert!(found.0.insert(k, value).is_none(), "{k} was done twice");
            found.1.insert(k, rank);
            if found.0.len() >= stop_after {
                stop.store(true, Ordering::Relaxed);
            }
            Ok(Taken::Done)
        };
        let result = team.hand_out(b"squares", &items, 2, &stop, &one);
        drop(team);
        result
    });
    let (squares, of_rank) = found.into_inner().unwrap();
    Ended { result, squares, of_rank }
}

fn all(n: usize) -> BTreeMap<usize, u64> {
    (0..n).map(|k| (k, (k * k) as u64)).collect()
}

#[test]
fn every_item_is_done_once_whatever_the_number_of_ranks() {
    for others in [&[][..], &[Rank::Sound], &[Rank::Sound; 3]] {
        let ended = squares(200, others, usize::MAX);
        ended.result.unwrap();
        assert_eq!(ended.squares, all(200));
        for rank in 0..=others.len() {
            assert!(ended.of_rank.values().any(|of| *of == rank), "rank {rank} had no part");
        }
    }
    squares(0, &[Rank::Sound], usize::MAX).result.unwrap();
}

#[test]
fn what_a_rank_had_in_hand_when_it_was_gone_is_done_by_others() {
    for lost in [Rank::DiesAfter(0), Rank::DiesAfter(7), Rank::LeavesAfter(7), Rank::NeverReady] {
        for others in [&[lost][..], &[lost, Rank::Sound], &[lost; 2]] {
            let ended = squares(150, others, usize::MAX);
            ended.result.unwrap();
            assert_eq!(ended.squares, all(150));
        }
    }
}

#[test]
fn a_rank_that_fails_or_panics_ends_the_job_and_is_named() {
    for fails in [Rank::Fails, Rank::Panics] {
        let ended = squares(1000, &[Rank::Sound, fails], usize::MAX);
        let error = ended.result.unwrap_err().to_string();
        assert!(error.starts_with("rank 2: "), "{error}");
        assert!(ended.squares.len() < 1000);
    }
}

#[test]
fn an_interrupt_keeps_what_is_done_and_nobody_hangs() {
    let started = Instant::now();
    for others in [&[][..], &[Rank::Sound; 2]] {
        let ended = squares(100_000, others, 40);
        ended.result.unwrap();
        assert!(ended.squares.len() >= 40 && ended.squares.len() < 200, "{}", ended.squares.len());
    }
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_error_here_ends_the_job_and_is_the_one_returned() {
    let [leader, other]: [Channels; 2] = connect(2).try_into().ok().unwrap();
    let mut team = Team::new(Box::new(leader), 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || serve(other, Rank::Sound));
        let one =
            |_: &Place<'_>, _: &usize| Err(Error::bad_value("disk", "full", "no room", "none"));
        let error = team.hand_out(b"squares", &[1, 2, 3], 1, &stop, &one).unwrap_err();
        assert!(error.to_string().contains("disk"), "{error}");
        drop(team);
    });
}

#[test]
fn a_team_does_one_job_after_the_other() {
    let mut ends = connect(2);
    let other = ends.pop().unwrap();
    let mut team = Team::new(Box::new(ends.remove(0)), 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || serve(other, Rank::Sound));
        for round in 0..20 {
            let there = AtomicUsize::new(0);
            let one = |place: &Place<'_>, &k: &u64| {
                if let Place::There(line) = place {
                    let bytes = line.call(&k.to_le_bytes(), &mut |_| ()).unwrap();
                    assert_eq!(bytes, (k * k).to_le_bytes());
                    there.fetch_add(1, Ordering::Relaxed);
                } else {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(Taken::Done)
            };
            let items: Vec<u64> = (round..round + 30).collect();
            team.hand_out(b"squares", &items, 1, &stop, &one).unwrap();
            assert!(there.load(Ordering::Relaxed) > 0, "round {round}");
        }
        drop(team);
    });
}
