//! From frames to time. Time is counted in epochs, one clock for all panels: a run that is shorter
//! than the others reaches its end and waits there.

use super::scene::Film;

/// Frames, of which the last `hold` stand still.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeline {
    /// All frames.
    pub frames: usize,
    /// Frames until the end of the path is reached (at least one).
    pub moving: usize,
    /// Epoch of the first frame.
    pub start: f64,
    /// Epoch of the last frame.
    pub end: f64,
}

impl Timeline {
    /// The timeline of `film` in `frames` frames at `fps`. The hold takes `film.hold_secs` of them,
    /// but never more than half.
    pub fn new(film: &Film, frames: usize, fps: f64) -> Self {
        let frames = frames.max(1);
        let hold = (film.hold_secs.max(0.0) * fps).round() as usize;
        let moving = (frames - hold.min(frames / 2)).max(1);
        let epochs = || film.panels.iter().flat_map(|p| &p.path).map(|p| p.epoch);
        let finite = || epochs().filter(|e| e.is_finite());
        let (start, end) =
            finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), e| (a.min(e), b.max(e)));
        let (start, end) = if start <= end { (start, end) } else { (0.0, 0.0) };
        Self { frames, moving, start, end }
    }

    /// The epoch that `frame` shows; the first frame shows the start, all held ones the end.
    pub fn epoch(&self, frame: usize) -> f64 {
        if self.moving <= 1 || frame + 1 >= self.moving {
            return self.end;
        }
        self.start + (self.end - self.start) * frame as f64 / (self.moving - 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::scene::{ContourPanel, PathPoint};

    fn film(lengths: &[f64]) -> Film {
        let point = |epoch| PathPoint {
            step: 0,
            epoch,
            x: 0.0,
            y: 0.0,
            true_loss: 1.0,
            plane_loss: None,
            lr: 0.1,
        };
        let panel =
            |&end: &f64| ContourPanel { path: vec![point(0.0), point(end)], ..Default::default() };
        Film { panels: lengths.iter().map(panel).collect(), hold_secs: 1.0, ..Default::default() }
    }

    #[test]
    fn it_runs_to_the_longest_run_and_holds() {
        let timeline = Timeline::new(&film(&[10.0, 25.0]), 100, 20.0);
        assert_eq!((timeline.moving, timeline.start, timeline.end), (80, 0.0, 25.0));
        assert_eq!(timeline.epoch(0), 0.0);
        assert!((timeline.epoch(40) - 25.0 * 40.0 / 79.0).abs() < 1e-12);
        assert!((79..100).all(|f| timeline.epoch(f) == 25.0));
        assert!((1..80).all(|f| timeline.epoch(f) > timeline.epoch(f - 1)));
    }

    #[test]
    fn one_frame_shows_the_end_and_an_empty_film_stands() {
        assert_eq!(Timeline::new(&film(&[3.0]), 1, 30.0).epoch(0), 3.0);
        assert_eq!(Timeline::new(&film(&[]), 10, 30.0).epoch(4), 0.0);
        assert_eq!(Timeline::new(&film(&[3.0]), 10, 30.0).moving, 5);
    }
}
