//! Options of surfaces that are computed in parts: extended, over more images, or at some cells.

use std::io::{self, Write};
use std::time::Duration;

use lossreel::landscape::{Budget, InterpolationError, Scale, UntilSe};
use lossreel::stages::surface::parts::{Ended, Parts};
use lossreel::{Error, Result};
use serde::Serialize;

const HEADING: &str = "In parts";

/// In which parts a surface is computed.
#[derive(Debug, clap::Args)]
pub struct PartsArgs {
    /// Go on with the surface of that name: over a wider or finer grid that contains the old one, or over more
    /// images. What was computed is not computed again; where nothing can be reused it is refused.
    #[arg(long, conflicts_with_all = ["force", "stack", "dry_run"], help_heading = HEADING)]
    extend: bool,
    /// Add images until differences between cells are known to X: the standard error of the difference
    /// between a cell and the plane's origin, image by image, is at most X at every cell (--se-quantile: at
    /// that share of them). X is in the loss's unit, or with % in percent of each cell's loss. Begins with
    /// --samples images, 256 by default, and ends when all images of the set are used.
    #[arg(long, value_name = "X|X%", conflicts_with_all = ["stack", "dry_run"], help_heading = HEADING)]
    until_se: Option<String>,
    /// With --until-se: the share of the cells, 0 to 1, whose errors have to be at most X.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, requires = "until_se", help_heading = HEADING)]
    se_quantile: f64,
    /// Evaluate so many cells, or as many as can be in so much time (90s, 10m, 2h), and interpolate the
    /// others: a coarse grid first, then the cells where interpolation errs most by its own estimate.
    #[arg(long, value_name = "CELLS|TIME", conflicts_with = "stack", help_heading = HEADING)]
    budget: Option<String>,
}

impl PartsArgs {
    /// What is asked for, if anything is.
    pub fn asked(&self, same_grid: bool) -> Result<Option<Parts>> {
        let until = self.until_se.as_deref().map(|text| self.until(text)).transpose()?;
        let budget = self.budget.as_deref().map(parse_budget).transpose()?;
        let any = self.extend || until.is_some() || budget.is_some();
        Ok(any.then_some(Parts { extend: self.extend, same_grid, until, budget }))
    }

    /// Whether the number of images is not the default of other surfaces.
    pub fn has_images_of_its_own(&self) -> bool {
        self.extend || self.until_se.is_some()
    }

    /// How many of `all` cells are evaluated.
    pub fn cells(&self, all: usize) -> Result<usize> {
        match self.budget.as_deref().map(parse_budget).transpose()? {
            Some(Budget::Cells(cells)) => Ok(cells.min(all)),
            _ => Ok(all),
        }
    }

    fn until(&self, text: &str) -> Result<UntilSe> {
        let (number, relative) = match text.strip_suffix('%') {
            Some(number) => (number, true),
            None => (text, false),
        };
        let bound = number.trim().parse().ok().filter(|x: &f64| x.is_finite() && *x > 0.0);
        let bound = bound.ok_or_else(|| {
            let remedy = "write --until-se 0.01, or --until-se 2% of each cell's loss";
            Error::bad_value("--until-se", text, "not a number above 0", remedy)
        })?;
        let quantile = self.se_quantile;
        if !(quantile > 0.0 && quantile <= 1.0) {
            let problem = "not above 0 and at most 1";
            return Err(Error::bad_value("--se-quantile", quantile, problem, "write 0.9 or 1"));
        }
        Ok(UntilSe { bound: if relative { bound / 100.0 } else { bound }, relative, quantile })
    }
}

/// Parses `2000` as cells and `90s`, `10m`, `1.5h` as time.
fn parse_budget(text: &str) -> Result<Budget> {
    let text = text.trim();
    let seconds = |unit: char, seconds: f64| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok().filter(|time| !time.is_zero())
    };
    let time = seconds('s', 1.0).or_else(|| seconds('m', 60.0)).or_else(|| seconds('h', 3600.0));
    let cells = || text.parse().ok().map(Budget::Cells);
    time.map(Budget::Time).or_else(cells).ok_or_else(|| {
        let problem = "neither a number of cells nor a time";
        Error::bad_value("--budget", text, problem, "write 2000, 90s, 10m or 2h")
    })
}

/// How a surface in parts ended, with the keys scripts read.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct EndedReport {
    /// Cells of the surface that was extended.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_se: Option<UntilReport>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct UntilReport {
    bound: f64,
    relative: bool,
    quantile: f64,
    /// What the error is now.
    reached: f64,
    met: bool,
    images: usize,
    of_images: usize,
}

impl EndedReport {
    /// How `asked` ended on `images` that the set has.
    pub fn new(asked: &Parts, ended: &Ended, of_images: usize) -> Self {
        let until_se = asked.until.zip(ended.error).map(|(until, (reached, met))| {
            let UntilSe { bound, relative, quantile } = until;
            UntilReport { bound, relative, quantile, reached, met, images: ended.images, of_images }
        });
        Self { kept: ended.kept, until_se }
    }

    /// For people.
    pub fn words(&self, w: &mut dyn Write) -> io::Result<()> {
        if let Some(kept) = self.kept {
            writeln!(w, "kept                  {kept} cells that were computed before")?;
        }
        let Some(until) = self.until_se else { return Ok(()) };
        let said = |error: f64| match until.relative {
            true => format!("{:.3} % of the loss", 100.0 * error),
            false => format!("{error:.3e}"),
        };
        let at = match until.quantile {
            1.0 => "every cell".into(),
            share => format!("{} % of the cells", 100.0 * share),
        };
        let reached = said(until.reached);
        write!(w, "paired error          at most {reached} at {at}, on {} images", until.images)?;
        if until.met {
            writeln!(w)
        } else {
            let (bound, all) = (said(until.bound), until.of_images);
            writeln!(w, ": more than {bound}, and all {all} images of the set are used")
        }
    }
}

/// How large the errors of interpolated cells are, for people.
pub fn interpolation_words(
    interpolated: usize,
    error: &InterpolationError,
    w: &mut dyn Write,
) -> io::Result<()> {
    let of = match error.scale {
        Scale::Log => "the log loss",
        Scale::Linear => "the loss",
    };
    let percent = |share: f64| 100.0 * share;
    writeln!(
        w,
        "interpolated          {interpolated} cells; estimated error {:.2} % of the range of {of} (99 % of them \
         below {:.2} %, all below {:.2} %)",
        percent(error.mean),
        percent(error.quantile_99),
        percent(error.max)
    )?;
    match error.at_edge {
        0 => Ok(()),
        n => writeln!(
            w,
            "                      {n} beside cells that are not finite, their error unknown"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_cells_or_times() {
        assert_eq!(parse_budget("2000").unwrap(), Budget::Cells(2000));
        let time = |seconds| Budget::Time(Duration::from_secs(seconds));
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1.5h", 5400)] {
            assert_eq!(parse_budget(text).unwrap(), time(seconds), "{text}");
        }
        for text in ["", "m", "-5", "0s", "10 days", "1e400h", "NaNs"] {
            assert!(parse_budget(text).unwrap_err().to_string().contains("10m"), "{text}");
        }
    }
}
