//! The near side of a surface, thinned where it would hide the path.
//!
//! From some sides no view into a deep valley is free. There the part of the sheet that stands between
//! the eye and the marker, or the newest third of the path, is drawn as if it were glass: what is
//! behind it shows through. A place of the path is [`Guarded`] with its strength, which grows from 0 to 1
//! as the sheet begins to cover it, so that nothing appears suddenly as the camera moves. On the screen
//! it makes a soft-edged disc; in the disc every quad of the sheet that is nearer than the place and
//! higher is left out of a second picture, and the two pictures are blended. The ground that the path
//! lies on is not higher than the path and stays.

use super::camera::Camera;
use super::heightfield::HeightField;
use super::vec3::{Vec3, add, norm, scale, sub};

/// How much of what is behind the glass is seen through it.
const CLEAR: f32 = 0.86;

/// A place that is to be seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guarded {
    /// Where it is.
    pub at: Vec3,
    /// The radius, in box units, around it that is to be seen, too.
    pub radius: f32,
    /// How much it is covered, 0 to 1.
    pub covered: f32,
}

impl Guarded {
    /// The place `at` on `field` as seen from `eye`.
    pub fn new(field: &HeightField, at: Vec3, radius: f32, eye: Vec3) -> Self {
        // From just hidden to hidden by its own radius.
        let x = (cover(field, at, eye) / radius + 0.5).clamp(0.0, 1.0);
        Self { at, radius, covered: x * x * (3.0 - 2.0 * x) }
    }
}

/// By how much the sheet rises above the sight line from `p` to `eye` (box units; negative: by how much it
/// stays below). The first steps from `p` do not count: a tube lies on its ground.
fn cover(field: &HeightField, p: Vec3, eye: Vec3) -> f32 {
    const STEP: f32 = 0.0125;
    let way = sub(eye, p);
    let step = scale(way, STEP / norm(way).max(1e-6));
    let mut at = add(p, scale(step, 1.5));
    let mut most = -1.0f32;
    loop {
        at = add(at, step);
        let [u, v] = [0, 1].map(|k| 0.5 * (at[k] / field.half[k] + 1.0));
        if !(0.0..=1.0).contains(&u) || !(0.0..=1.0).contains(&v) || at[2] > field.relief {
            return most;
        }
        most = most.max(field.surface(u, v)[2] - at[2]);
    }
}

/// Where the sheet is glass, in the pixels of a window.
#[derive(Debug, Clone)]
pub struct Glass {
    width: usize,
    height: usize,
    /// For each pixel how clear it is, 0 to 1; the depth of the farthest place behind it, and the height
    /// of the lowest.
    pixels: Vec<[f32; 3]>,
    /// Columns and rows with glass: left, top, right, bottom (exclusive).
    bounds: [usize; 4],
}

impl Glass {
    /// The glass before `places` in a window of `size` pixels; `None` where none of them is covered.
    /// `camera` counts pixels from the window's corner, a box unit is about `unit` pixels.
    pub fn before(
        places: &[Guarded],
        camera: &Camera,
        [width, height]: [usize; 2],
        unit: f32,
    ) -> Option<Self> {
        let mut glass = Self { width, height, pixels: Vec::new(), bounds: [width, height, 0, 0] };
        for place in places.iter().filter(|p| p.covered > 0.01) {
            let Some([x, y, depth]) = camera.project(place.at) else { continue };
            let (inner, outer) = (1.5 * place.radius * unit, 3.4 * place.radius * unit);
            let range = |c: f32, n: usize| {
                ((c - outer).max(0.0) as usize).min(n)..((c + outer + 1.0).max(0.0) as usize).min(n)
            };
            let (columns, rows) = (range(x, width), range(y, height));
            if columns.is_empty() || rows.is_empty() {
                continue;
            }
            if glass.pixels.is_empty() {
                glass.pixels = vec![[0.0, 0.0, f32::INFINITY]; width * height];
            }
            let [left, top, right, bottom] = &mut glass.bounds;
            (*left, *top) = ((*left).min(columns.start), (*top).min(rows.start));
            (*right, *bottom) = ((*right).max(columns.end), (*bottom).max(rows.end));
            for row in rows {
                for column in columns.clone() {
                    let away = (column as f32 + 0.5 - x).hypot(row as f32 + 0.5 - y);
                    let t = ((outer - away) / (outer - inner)).clamp(0.0, 1.0);
                    let clear = place.covered * t * t * (3.0 - 2.0 * t);
                    if clear > 0.0 {
                        let pixel = &mut glass.pixels[row * width + column];
                        pixel[0] = pixel[0].max(clear);
                        pixel[1] = pixel[1].max(depth - 0.2 * place.radius);
                        pixel[2] = pixel[2].min(place.at[2] - 0.3 * place.radius);
                    }
                }
            }
        }
        (!glass.pixels.is_empty()).then_some(glass)
    }

    /// Whether a piece of the sheet at pixel `(x, y)`, `depth` away and `z` high, is glass.
    #[inline]
    pub fn removes(&self, x: f32, y: f32, depth: f32, z: f32) -> bool {
        if !(x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32) {
            return false;
        }
        let [clear, far, low] = self.pixels[y as usize * self.width + x as usize];
        clear > 0.0 && depth < far && z > low
    }

    /// How much of what is behind is seen at a pixel.
    #[inline]
    pub fn clear(&self, column: usize, row: usize) -> f32 {
        CLEAR * self.pixels[row * self.width + column][0]
    }

    /// Whether it reaches into the rectangle from `left`, `top` that is `columns` wide and `rows` high.
    pub fn touches(&self, [left, top]: [usize; 2], [columns, rows]: [usize; 2]) -> bool {
        let [x0, y0, x1, y1] = self.bounds;
        left < x1 && left + columns > x0 && top < y1 && top + rows > y0
    }
}
