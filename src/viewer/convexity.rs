//! The convexity that was measured over a surface (`lossreel surface --convexity`), as a quantity of the page:
//! it has points of its own, fewer than the surface.

use super::arrays::Arrays;
use super::content::{Field, OwnGrid};
use crate::Result;
use crate::landscape::SurfaceStore;
use crate::stages::provenance::{count, sample};
use crate::stages::quantity::measured_convexity;

/// The key of the quantity.
pub(super) const KEY: &str = "convexity";
/// Its name.
pub(super) const LABEL: &str = "|smallest / largest eigenvalue| of the Hessian";

/// The convexity that was measured over the surface of `store`, finished or not, and what is known of it;
/// `None` where there is none.
///
/// # Errors
/// Those of opening it.
pub(super) fn of(store: &SurfaceStore, arrays: &mut Arrays) -> Result<Option<(Field, String)>> {
    let Some(found) = measured_convexity(store)? else { return Ok(None) };
    let (grid, on) = (&found.header.grid, &found.header.on);
    if grid.x.n < 2 || grid.y.n < 2 {
        return Ok(None);
    }
    let ratios = found.cells.iter().map(|cell| cell.map_or(f64::NAN, |cell| cell.ratio()));
    let values: Vec<f64> = ratios.collect();
    let status: Vec<u8> = found.cells.iter().map(|cell| u8::from(cell.is_some())).collect();
    let points = format!("{} × {} points", grid.x.n, grid.y.n);
    let unknown = values.iter().filter(|v| v.is_nan()).count();
    let mut fact = format!("on {} at {points}", sample(on));
    if unknown > 0 {
        fact += &format!(", not known at {}", count(unknown, "point"));
    }
    let caption = format!(
        "Smallest over largest eigenvalue of the Hessian (magnitude; 0 where none is negative) on {} at \
         {points}. Dots: saved weights.",
        sample(on)
    );
    let field = Field {
        key: KEY.into(),
        label: LABEL.into(),
        values: arrays.floats(&values),
        grid: Some(OwnGrid {
            xs: arrays.floats(&grid.x.values()),
            ys: arrays.floats(&grid.y.values()),
            status: arrays.bytes(&status),
            caption,
        }),
    };
    Ok(Some((field, fact)))
}
