//! From frames to time. Time is counted in epochs (or optimizer steps), one clock for all panels: a
//! run that is shorter than the others reaches its end and waits there.
//!
//! A film is a card, if it has one, then the way from the first snapshot to the last, interrupted by
//! pauses at key moments, then a hold on the last picture. The way is even in epochs, even in what moves
//! ([`Clock::Motion`]), as a path that goes most of its way in its first epoch would stand still for the
//! rest of the film, or even from snapshot to snapshot ([`Clock::Snapshot`]). Time then runs unevenly,
//! and [`Timeline::pace`] says how fast.

use crate::render::scene::{Clock, Moment, Pacing};

/// Frames, of which the first `card` show the card and the last ones stand still.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// All frames.
    pub frames: usize,
    /// Frames that show the card before anything moves.
    pub card: usize,
    /// Frames until the end of the path is reached (at least one), counted after the card.
    pub moving: usize,
    /// Epoch of the first frame.
    pub start: f64,
    /// Epoch of the last frame.
    pub end: f64,
    fps: f64,
    /// Whether film time is even in epochs.
    even: bool,
    /// The way as straight pieces: moving frame (rising) and epoch (never falling). Two knots at one
    /// epoch are a pause. Empty: even from start to end.
    knots: Vec<(f64, f64)>,
    /// For each moment of the pacing: its label's first and last moving frame.
    labels: Vec<(f64, f64)>,
}

/// A part of a film.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// The card.
    Card,
    /// The way from one time to another.
    Way(f64, f64),
    /// The pause at a moment (its place in [`Pacing::moments`]).
    Moment(usize),
    /// The hold on the last picture.
    End,
}

impl Timeline {
    /// The timeline of snapshots at `times` (in the clock's unit, in any order; those not finite
    /// do not count).
    pub fn over(
        times: impl Iterator<Item = f64>,
        pacing: &Pacing,
        hold_secs: f64,
        frames: usize,
        fps: f64,
    ) -> Self {
        let frames = frames.max(1);
        let wanted = |secs: f64| (secs.max(0.0) * fps).round() as usize;
        let hold = wanted(hold_secs).min(frames / 2);
        let card = pacing.card.as_ref().map_or(0, |card| wanted(card.secs).min(frames / 4));
        let moving = (frames - hold).saturating_sub(card).max(1);
        let mut times: Vec<f64> = times.filter(|t| t.is_finite()).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let (start, end) = match (times.first(), times.last()) {
            (Some(&first), Some(&last)) => (first, last),
            _ => (0.0, 0.0),
        };
        let way = match pacing.clock {
            Clock::Motion if pacing.way.len() > 1 => pacing.way.clone(),
            Clock::Snapshot if times.len() > 2 => {
                let share = |i: usize| i as f64 / (times.len() - 1) as f64;
                times.iter().enumerate().map(|(i, &t)| (share(i), t)).collect()
            }
            _ => Vec::new(),
        };
        let even = way.is_empty();
        let mut timeline = Self {
            frames,
            card,
            moving,
            start,
            end,
            fps,
            even,
            knots: Vec::new(),
            labels: Vec::new(),
        };
        if !even || !pacing.moments.is_empty() {
            timeline.place_pauses(way, &pacing.moments);
        }
        timeline
    }

    /// Lays out the way with its pauses.
    fn place_pauses(&mut self, way: Vec<(f64, f64)>, moments: &[Moment]) {
        let steps = (self.moving - 1) as f64;
        // The way without pauses, its film time from 0 to 1.
        let mut way = if self.even { vec![(0.0, self.start), (1.0, self.end)] } else { way };
        let mut order: Vec<usize> = (0..moments.len()).collect();
        order.sort_by(|&a, &b| moments[a].time.total_cmp(&moments[b].time));
        let (start, end, fps) = (self.start, self.end, self.fps);
        let inside = |m: &Moment| m.time >= start && m.time <= end;
        // At the end a film that holds its last picture rests anyway.
        let holds = self.frames > self.card + self.moving;
        let rests = |m: &Moment| holds && m.time >= end;
        let pause_of = |m: &Moment| if rests(m) { 0.0 } else { m.pause_secs.max(0.0) * fps };
        // Pauses may take two fifths of the way; more are shortened alike.
        let asked: f64 = moments.iter().filter(|m| inside(m)).map(pause_of).sum();
        let scale = if asked > 0.4 * steps { 0.4 * steps / asked } else { 1.0 };
        let travel = (steps - asked * scale).max(0.0);
        self.labels = vec![(f64::INFINITY, f64::NEG_INFINITY); moments.len()];
        let mut knots = Vec::with_capacity(way.len() + 2 * moments.len());
        let mut paused = 0.0;
        // The way goes on from the moment that it was split at, which is a knot already.
        let mut known = 0;
        for index in order {
            let moment = &moments[index];
            if !inside(moment) {
                continue;
            }
            let at = share_at(&way, moment.time);
            let split = way.partition_point(|(u, _)| *u < at);
            let rest = way.split_off(split);
            knots.extend(way.iter().skip(known).map(|(u, t)| (u * travel + paused, *t)));
            let frame = at * travel + paused;
            let pause = pause_of(moment) * scale;
            knots.extend([(frame, moment.time), (frame + pause, moment.time)]);
            paused += pause;
            // The label comes with the moment, never before, and goes a little after its pause.
            self.labels[index] = (frame, frame + pause + self.fps);
            way = std::iter::once((at, moment.time)).chain(rest).collect();
            known = 1;
        }
        knots.extend(way.iter().skip(known).map(|(u, t)| (u * travel + paused, *t)));
        knots.dedup();
        self.knots = knots;
    }

    /// The epoch that `frame` shows; the first frame shows the start, all held ones the end.
    pub fn epoch(&self, frame: usize) -> f64 {
        let Some(frame) = frame.checked_sub(self.card) else { return self.start };
        if self.moving <= 1 || frame + 1 >= self.moving {
            return self.end;
        }
        if self.knots.is_empty() {
            let share = frame as f64 / (self.moving - 1) as f64;
            return self.start + (self.end - self.start) * share;
        }
        let frame = frame as f64;
        let i = self.knots.partition_point(|(f, _)| *f <= frame).clamp(1, self.knots.len() - 1);
        let ((f0, t0), (f1, t1)) = (self.knots[i - 1], self.knots[i]);
        let share = if f1 > f0 { ((frame - f0) / (f1 - f0)).clamp(0.0, 1.0) } else { 1.0 };
        (t0 + (t1 - t0) * share).clamp(self.start, self.end)
    }

    /// Epochs a second of film about `frame`, where film time is not even in epochs; `None` where
    /// it is, and in pauses.
    pub fn pace(&self, frame: usize) -> Option<f64> {
        if self.even || frame < self.card || frame - self.card + 1 >= self.moving {
            return None;
        }
        let pace = (self.epoch(frame + 1) - self.epoch(frame)) * self.fps;
        (pace > 0.0).then_some(pace)
    }

    /// The moment (its place in [`Pacing::moments`]) whose label `frame` shows, the latest if there
    /// are several.
    pub fn moment(&self, frame: usize) -> Option<usize> {
        let frame = frame.checked_sub(self.card)? as f64;
        let shown = |&k: &usize| (self.labels[k].0..=self.labels[k].1).contains(&frame);
        let begun = |a: &usize, b: &usize| self.labels[*a].0.total_cmp(&self.labels[*b].0);
        (0..self.labels.len()).filter(shown).max_by(begun)
    }

    /// The parts of the film in the order of time, each with its first and last second; those that no frame
    /// shows are left out.
    pub fn parts(&self) -> Vec<(Part, f64, f64)> {
        let second = |frame: f64| (self.card as f64 + frame) / self.fps;
        let mut parts = vec![(Part::Card, 0.0, second(0.0))];
        let last = (self.moving - 1) as f64;
        let mut pauses: Vec<(usize, f64, f64)> = (0..self.labels.len())
            // A label stays for a second after its pause.
            .map(|k| (k, self.labels[k].0, self.labels[k].1 - self.fps))
            .filter(|(_, from, until)| until > from)
            .collect();
        pauses.sort_by(|a, b| a.1.total_cmp(&b.1));
        let time = |frame: f64| self.epoch(self.card + frame.round() as usize);
        let mut gone = 0.0;
        for (k, from, until) in pauses {
            parts.push((Part::Way(time(gone), time(from)), second(gone), second(from)));
            parts.push((Part::Moment(k), second(from), second(until)));
            gone = until;
        }
        parts.push((Part::Way(time(gone), self.end), second(gone), second(last)));
        parts.push((Part::End, second(last), self.frames as f64 / self.fps));
        parts.retain(|(_, from, until)| (until - from) * self.fps > 0.5);
        parts
    }

    /// How much of the card is seen in `frame`, 0..=1: it fades in its last third of a second.
    pub fn card_opacity(&self, frame: usize) -> f32 {
        let left = self.card.saturating_sub(frame) as f64;
        let fade = (self.fps / 3.0).clamp(1.0, (self.card as f64 / 2.0).max(1.0));
        (left / fade).min(1.0) as f32
    }
}

/// The film time at which `way` passes `time`.
fn share_at(way: &[(f64, f64)], time: f64) -> f64 {
    let i = way.partition_point(|(_, t)| *t < time);
    if i == 0 {
        return way.first().map_or(0.0, |k| k.0);
    }
    let Some(&(u1, t1)) = way.get(i) else { return way[i - 1].0 };
    let (u0, t0) = way[i - 1];
    if t1 > t0 { u0 + (u1 - u0) * (time - t0) / (t1 - t0) } else { u0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::scene::Card;

    /// Runs that end at `ends`, held for a second.
    fn runs(ends: &[f64], frames: usize, fps: f64) -> Timeline {
        let times = ends.iter().flat_map(|&end| [0.0, end]);
        Timeline::over(times, &Pacing::default(), 1.0, frames, fps)
    }

    fn moment(time: f64, pause_secs: f64) -> Moment {
        Moment { time, label: "here".into(), pause_secs }
    }

    #[test]
    fn parts_follow_each_other_and_a_film_stands_still_in_its_pauses() {
        let moments = vec![moment(12.0, 1.0), moment(4.0, 0.5), moment(99.0, 1.0)];
        let card = Some(Card { title: "A".into(), lines: vec![], secs: 1.0 });
        let pacing = Pacing { moments, card, ..Pacing::default() };
        let timeline = Timeline::over([0.0, 20.0].into_iter(), &pacing, 1.0, 200, 20.0);
        let parts = timeline.parts();
        let kinds: Vec<Part> = parts.iter().map(|p| p.0).collect();
        assert_eq!((kinds[0], kinds[2], kinds[4]), (Part::Card, Part::Moment(1), Part::Moment(0)));
        assert_eq!((kinds.len(), kinds[6]), (7, Part::End));
        assert!(parts.windows(2).all(|w| w[0].2 == w[1].1), "{parts:?}");
        assert_eq!((parts[0].1, parts[0].2, parts[6].2), (0.0, 1.0, 10.0));
        for (part, from, until) in parts {
            if let Part::Moment(k) = part {
                let frame = (0.5 * (from + until) * 20.0).round() as usize;
                assert_eq!(timeline.epoch(frame), [12.0, 4.0][k]);
            }
        }
        // Without anything there is the way and its end.
        let plain = runs(&[10.0], 100, 20.0).parts();
        assert_eq!(
            plain.iter().map(|p| p.0).collect::<Vec<_>>(),
            [Part::Way(0.0, 10.0), Part::End]
        );
    }

    #[test]
    fn between_several_pauses_the_way_is_as_even_as_without_them() {
        let moments = vec![moment(4.0, 0.5), moment(4.0, 0.25), moment(12.0, 1.0)];
        let pacing = Pacing { moments, ..Pacing::default() };
        let timeline = Timeline::over([0.0, 20.0].into_iter(), &pacing, 1.0, 200, 20.0);
        let steps: Vec<f64> = (1..180).map(|f| timeline.epoch(f) - timeline.epoch(f - 1)).collect();
        let even = 20.0 / (179.0 - 35.0);
        // A step is the even one, nothing, or the part of it that lies beside a pause.
        assert!(steps.iter().all(|s| (-1e-12..=even + 1e-9).contains(s)), "{steps:?}");
        let whole = steps.iter().filter(|s| (*s - even).abs() < 1e-9).count();
        assert!(whole >= 140, "{whole}");
    }

    #[test]
    fn it_runs_to_the_longest_run_and_holds() {
        let timeline = runs(&[10.0, 25.0], 100, 20.0);
        assert_eq!((timeline.moving, timeline.start, timeline.end), (80, 0.0, 25.0));
        assert_eq!(timeline.epoch(0), 0.0);
        assert!((timeline.epoch(40) - 25.0 * 40.0 / 79.0).abs() < 1e-12);
        assert!((79..100).all(|f| timeline.epoch(f) == 25.0));
        assert!((1..80).all(|f| timeline.epoch(f) > timeline.epoch(f - 1)));
        assert!((0..100).all(|f| timeline.pace(f).is_none() && timeline.moment(f).is_none()));
    }

    #[test]
    fn one_frame_shows_the_end_and_an_empty_film_stands() {
        assert_eq!(runs(&[3.0], 1, 30.0).epoch(0), 3.0);
        assert_eq!(runs(&[], 10, 30.0).epoch(4), 0.0);
        assert_eq!(runs(&[3.0], 10, 30.0).moving, 5);
    }

    #[test]
    fn a_snapshot_clock_gives_each_snapshot_the_same_film_time_and_tells_its_pace() {
        let pacing = Pacing { clock: Clock::Snapshot, ..Pacing::default() };
        let times = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0];
        let timeline = Timeline::over(times.into_iter(), &pacing, 0.0, 51, 10.0);
        for (i, time) in times.into_iter().enumerate() {
            assert!((timeline.epoch(10 * i) - time).abs() < 1e-12, "snapshot {i}");
        }
        // A second of film is ten frames, one snapshot.
        let paces = [0, 15, 25, 35, 45].map(|f| timeline.pace(f).unwrap());
        for (pace, want) in paces.into_iter().zip([1.0, 1.0, 2.0, 4.0, 8.0]) {
            assert!((pace - want).abs() < 1e-9, "{paces:?}");
        }
        let two = Timeline::over([0.0, 5.0].into_iter(), &pacing, 0.0, 11, 10.0);
        assert_eq!(two.pace(3), None, "two snapshots are even in any clock");
    }

    #[test]
    fn a_motion_clock_goes_the_way_it_is_given() {
        let way = vec![(0.0, 0.0), (0.5, 1.0), (1.0, 10.0)];
        let pacing = Pacing { clock: Clock::Motion, way, ..Pacing::default() };
        let timeline = Timeline::over([0.0, 1.0, 10.0].into_iter(), &pacing, 0.0, 101, 10.0);
        assert_eq!((timeline.epoch(0), timeline.epoch(100)), (0.0, 10.0));
        assert!((timeline.epoch(50) - 1.0).abs() < 1e-12);
        assert!((timeline.pace(20).unwrap() - 0.2).abs() < 1e-9);
        assert!((timeline.pace(70).unwrap() - 1.8).abs() < 1e-9);
    }

    #[test]
    fn a_pause_stands_at_its_moment_and_its_label_is_shown_then() {
        let pacing = Pacing { moments: vec![moment(5.0, 2.0)], ..Pacing::default() };
        let timeline = Timeline::over([0.0, 10.0].into_iter(), &pacing, 0.0, 121, 10.0);
        let standing = (0..121).filter(|&f| timeline.epoch(f) == 5.0).count();
        assert!((20..=21).contains(&standing), "{standing}");
        assert_eq!((timeline.epoch(0), timeline.epoch(120)), (0.0, 10.0));
        assert!((1..121).all(|f| timeline.epoch(f) >= timeline.epoch(f - 1)));
        let shown: Vec<usize> = (0..121).filter(|&f| timeline.moment(f) == Some(0)).collect();
        assert_eq!(shown[shown.len() - 1], 80);
        assert!(shown.iter().all(|&f| timeline.epoch(f) >= 5.0), "nothing is told before it is so");
        assert!(shown.iter().any(|&f| timeline.epoch(f) == 5.0));
    }

    #[test]
    fn pauses_beyond_two_fifths_are_shortened_and_those_outside_do_not_count() {
        let moments = vec![moment(2.0, 9.0), moment(8.0, 9.0), moment(99.0, 9.0)];
        let pacing = Pacing { moments, ..Pacing::default() };
        let timeline = Timeline::over([0.0, 10.0].into_iter(), &pacing, 0.0, 101, 10.0);
        let still = (1..101).filter(|&f| timeline.epoch(f) == timeline.epoch(f - 1)).count();
        assert!((38..=42).contains(&still), "{still}");
        assert!((0..101).all(|f| timeline.moment(f) != Some(2)));
        let one = Timeline::over([3.0].into_iter(), &pacing, 0.0, 50, 10.0);
        assert!((0..50).all(|f| one.epoch(f) == 3.0));
    }

    #[test]
    fn a_moment_at_the_end_is_told_while_the_last_picture_is_held() {
        let pacing = Pacing { moments: vec![moment(10.0, 2.0)], ..Pacing::default() };
        let timeline = Timeline::over([0.0, 10.0].into_iter(), &pacing, 2.0, 100, 10.0);
        let plain = Timeline::over([0.0, 10.0].into_iter(), &Pacing::default(), 2.0, 100, 10.0);
        assert!((0..100).all(|f| (timeline.epoch(f) - plain.epoch(f)).abs() < 1e-12));
        let shown: Vec<usize> = (0..100).filter(|&f| timeline.moment(f) == Some(0)).collect();
        assert_eq!((shown[0], shown.len()), (79, 11));
    }

    #[test]
    fn the_card_comes_first_and_fades() {
        let card = Some(Card { secs: 1.0, ..Card::default() });
        let pacing = Pacing { card, ..Pacing::default() };
        let timeline = Timeline::over([0.0, 10.0].into_iter(), &pacing, 1.0, 100, 10.0);
        assert_eq!((timeline.card, timeline.moving), (10, 80));
        assert_eq!((timeline.card_opacity(0), timeline.card_opacity(10)), (1.0, 0.0));
        assert!(timeline.card_opacity(9) < 0.5 && timeline.card_opacity(9) > 0.0);
        assert_eq!((timeline.epoch(5), timeline.epoch(10), timeline.epoch(89)), (0.0, 0.0, 10.0));
        assert!(timeline.epoch(11) > 0.0);
    }
}
