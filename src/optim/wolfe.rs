//! A line search for the strong Wolfe conditions (Nocedal & Wright 2006, algorithms 3.5 and 3.6, with
//! cubic interpolation), decision by decision that of `torch.optim.LBFGS`.

use crate::error::Result;

/// Sufficient decrease and curvature, as fractions of the first slope.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// The function at one step length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    pub length: f64,
    pub loss: f64,
    /// The derivative along the line.
    pub slope: f64,
}

/// What a search begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// The length to try first.
    pub first: f64,
    /// The largest entry of the direction.
    pub largest: f64,
    /// How often the function may be evaluated after the first time.
    pub most: u64,
    /// A bracket in which no parameter moves by more is small.
    pub tolerance: f64,
}

/// The minimum of the cubic through two points with their slopes, within the bounds (by default the
/// points themselves).
fn cubic(a: &Trial, b: &Trial, bounds: Option<(f64, f64)>) -> f64 {
    let (low, high) = bounds.unwrap_or((a.length.min(b.length), a.length.max(b.length)));
    let d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.length - b.length);
    let square = d1 * d1 - a.slope * b.slope;
    if square >= 0.0 {
        let d2 = square.sqrt();
        // Written from the larger of the two lengths.
        let (a, b) = if a.length <= b.length { (a, b) } else { (b, a) };
        let part = (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
        (b.length - (b.length - a.length) * part).max(low).min(high)
    } else {
        (low + high) / 2.0
    }
}

/// The trial the search ends with. `start` is the function at 0; `at` evaluates it at a length.
///
/// # Errors
/// Those of `at`.
pub(super) fn strong_wolfe(
    search: Search,
    start: Trial,
    mut at: impl FnMut(f64) -> Result<Trial>,
) -> Result<Trial> {
    let (loss, slope) = (start.loss, start.slope);
    let too_high = |trial: &Trial| trial.loss > loss + DECREASE * trial.length * slope;
    let is_flat = |trial: &Trial| trial.slope.abs() <= -CURVATURE * slope;
    let mut before = start;
    let mut now = at(search.first)?;
    let mut tries = 0;
    // A bracket around a point that satisfies the conditions.
    let mut bracket = loop {
        if tries >= search.most {
            break [start, now];
        }
        if too_high(&now) || tries > 1 && now.loss >= before.loss {
            break [before, now];
        }
        if is_flat(&now) {
            return Ok(now);
        }
        if now.slope >= 0.0 {
            break [before, now];
        }
        let bounds = (now.length + 0.01 * (now.length - before.length), now.length * 10.0);
        let next = at(cubic(&before, &now, Some(bounds)))?;
        (before, now) = (now, next);
        tries += 1;
    };
    let order = |b: &[Trial; 2]| if b[0].loss <= b[1].loss { (0, 1) } else { (1, 0) };
    let (mut low, mut high) = order(&bracket);
    let mut stuck = false;
    while tries < search.most {
        let [left, right] = {
            let [a, b] = [bracket[0].length, bracket[1].length];
            [a.min(b), a.max(b)]
        };
        if (right - left) * search.largest < search.tolerance {
            break;
        }
        let mut length = cubic(&bracket[0], &bracket[1], None);
        // Near the ends of the bracket twice, or on one: a tenth away from it.
        let margin = 0.1 * (right - left);
        if (right - length).min(length - left) < margin {
            if stuck || length >= right || length <= left {
                let near_right = (length - right).abs() < (length - left).abs();
                length = if near_right { right - margin } else { left + margin };
                stuck = false;
            } else {
                stuck = true;
            }
        } else {
            stuck = false;
        }
        let trial = at(length)?;
        tries += 1;
        if too_high(&trial) || trial.loss >= bracket[low].loss {
            bracket[high] = trial;
            (low, high) = order(&bracket);
        } else {
            let done = is_flat(&trial);
            if !done && trial.slope * (bracket[high].length - bracket[low].length) >= 0.0 {
                bracket[high] = bracket[low];
            }
            bracket[low] = trial;
            if done {
                break;
            }
        }
    }
    Ok(bracket[low])
}
