//! Hillshading of a contour map and arrows down its slope. Both come from the smooth interpolant of
//! the grid's values (what they show between two samples is interpolation, as the contours are), but
//! for arrows of gradients that were measured.

use tiny_skia::PathBuilder;

use crate::render::canvas::color::{Color, ink_on};
use crate::render::canvas::{Canvas, Cap, Rect, Stroke};
use crate::render::map::field::Field;
use crate::render::scene::{Domain, Gradient};

/// Light from the upper left at this height above the page, radians: cartography's habit, as eyes
/// read relief lit from below inside out (E. Imhof, "Cartographic Relief Presentation", 1982).
const ALTITUDE: f32 = 0.85;

/// How dark a slope turned away gets and how bright one turned towards the light, as alpha.
const SHADOW: f32 = 0.38;
const LIGHT: f32 = 0.24;

/// Shades `frame` by the slope of `field`: a translucent picture of black and white over the bands.
/// Slopes are taken in the units of the colour scale (a logarithm for positive data) and exaggerated
/// so that the steep tenth of the map is shaded strongly, whatever the data's range.
pub fn draw_hillshade(canvas: &mut dyn Canvas, field: &Field, frame: Rect) {
    let (width, height) = (frame.w.round().max(1.0) as usize, frame.h.round().max(1.0) as usize);
    let slopes = slopes(field, frame);
    let mut steepness: Vec<f32> = slopes.iter().map(|s| s[0].hypot(s[1])).collect();
    steepness.sort_by(f32::total_cmp);
    let steep = steepness[steepness.len() * 9 / 10];
    if !(steep > 0.0 && steep.is_finite()) {
        return; // a plain has no shadows
    }
    let exaggeration = 1.1 / steep;
    // From the upper left: towards -x and, with y down the screen, towards -y.
    let (sin, cos) = ALTITUDE.sin_cos();
    let towards = [-cos * std::f32::consts::FRAC_1_SQRT_2; 2];
    let mut rgba = Vec::with_capacity(4 * width * height);
    for py in 0..height {
        for px in 0..width {
            let [gx, gy] = at(field, &slopes, width, height, px, py).map(|g| g * exaggeration);
            // The surface's normal is (-gx, -gy, 1), its brightness the cosine to the light.
            let length = (gx * gx + gy * gy + 1.0).sqrt();
            let brightness = (-gx * towards[0] - gy * towards[1] + sin) / length;
            let (ink, alpha) = if brightness < sin {
                (0, SHADOW * ((sin - brightness) / sin).min(1.0))
            } else {
                (255, LIGHT * ((brightness - sin) / (1.0 - sin)).min(1.0))
            };
            rgba.extend([ink, ink, ink, (255.0 * alpha).round() as u8]);
        }
    }
    let dest = Rect::new(frame.x.round(), frame.y.round(), width as f32, height as f32);
    canvas.image(&rgba, width as u32, height as u32, dest);
}

/// The slope at each sample in scale units a pixel, y down the screen, by central differences.
fn slopes(field: &Field, frame: Rect) -> Vec<[f32; 2]> {
    let (nx, ny) = (field.nx, field.ny);
    let dx = frame.w / (nx - 1) as f32;
    let dy = frame.h / (ny - 1) as f32;
    let z = |i: usize, j: usize| field.z[j * nx + i];
    let mut slopes = Vec::with_capacity(nx * ny);
    for j in 0..ny {
        for i in 0..nx {
            let (i0, i1) = (i.saturating_sub(1), (i + 1).min(nx - 1));
            let (j0, j1) = (j.saturating_sub(1), (j + 1).min(ny - 1));
            let gx = (z(i1, j) - z(i0, j)) as f32 / ((i1 - i0) as f32 * dx);
            // Rows go up, the screen's y down.
            let gy = -(z(i, j1) - z(i, j0)) as f32 / ((j1 - j0) as f32 * dy);
            slopes.push([gx, gy]);
        }
    }
    slopes
}

/// The slope at a pixel, bilinear between samples.
fn at(
    field: &Field,
    slopes: &[[f32; 2]],
    width: usize,
    height: usize,
    px: usize,
    py: usize,
) -> [f32; 2] {
    let along = |p: usize, pixels: usize, n: usize| {
        let u = (p as f32 + 0.5) / pixels as f32 * (n - 1) as f32;
        let i = (u as usize).min(n - 2);
        (i, u - i as f32)
    };
    let (i, s) = along(px, width, field.nx);
    let (j, t) = along(height - 1 - py, height, field.ny);
    let corner = |di: usize, dj: usize| slopes[(j + dj) * field.nx + i + di];
    std::array::from_fn(|k| {
        let row = |dj: usize| corner(0, dj)[k] + s * (corner(1, dj)[k] - corner(0, dj)[k]);
        row(0) + t * (row(1) - row(0))
    })
}

/// How arrows are placed on a map.
pub struct Setting<'a> {
    /// The part of the plane that the map shows.
    pub domain: Domain,
    /// Where it is.
    pub frame: Rect,
    /// Pixels a design pixel.
    pub px_scale: f32,
    /// The colour under a pixel, so that arrows stand out on it.
    pub ground: &'a dyn Fn(f32, f32) -> Color,
    /// Pixels that get no arrow (holes, labels).
    pub skip: &'a dyn Fn(f32, f32) -> bool,
}

/// A slope at a pixel: per unit of the plane's x and, up the page, its y.
struct Slope {
    at: (f32, f32),
    gradient: [f64; 2],
}

/// Draws arrows down the slope of `field` on an even lattice of the frame.
pub fn draw_arrows(canvas: &mut dyn Canvas, field: &Field, setting: &Setting) {
    let (frame, domain) = (setting.frame, setting.domain);
    let slopes = slopes(field, frame);
    let spacing = (44.0 * setting.px_scale).max(22.0);
    let (columns, rows) = ((frame.w / spacing) as usize, (frame.h / spacing) as usize);
    let unit_x = (domain.x[1] - domain.x[0]) / f64::from(frame.w);
    let unit_y = (domain.y[1] - domain.y[0]) / f64::from(frame.h);
    let (width, height) = (frame.w.round().max(1.0) as usize, frame.h.round().max(1.0) as usize);
    let mut found = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let px = (column as f32 + 0.5) / columns as f32 * frame.w;
            let py = (row as f32 + 0.5) / rows as f32 * frame.h;
            let (ix, iy) = ((px as usize).min(width - 1), (py as usize).min(height - 1));
            let [gx, gy] = at(field, &slopes, width, height, ix, iy);
            // From pixels, y down the screen, to the plane.
            let gradient = [f64::from(gx) / unit_x, -f64::from(gy) / unit_y];
            found.push(Slope { at: (frame.x + px, frame.y + py), gradient });
        }
    }
    draw_slopes(canvas, &found, spacing, setting);
}

/// Draws an arrow against each measured gradient, at its point. Where `log` says that the map has a
/// logarithmic scale, their lengths are those of the logarithm's gradient, as of the map's slopes:
/// arrows near a minimum would vanish beside those on a wall a thousand times as high.
pub fn draw_measured(canvas: &mut dyn Canvas, measured: &[Gradient], log: bool, setting: &Setting) {
    let (frame, domain) = (setting.frame, setting.domain);
    let slope = |g: &Gradient| {
        let unit = if log { 1.0 / g.value.abs() } else { 1.0 };
        let gradient = [g.dx * unit, g.dy * unit];
        Slope { at: domain.px_from_plane(frame, g.x, g.y), gradient }
    };
    let found: Vec<Slope> = measured.iter().map(slope).collect();
    // As far apart as the nearest two are along an axis.
    let nearest = |of: fn(&Slope) -> f32| {
        let mut places: Vec<f32> = found.iter().map(of).collect();
        places.sort_by(f32::total_cmp);
        let gaps = places.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 1.0);
        gaps.fold(frame.w.max(frame.h), f32::min)
    };
    let spacing = nearest(|s| s.at.0).min(nearest(|s| s.at.1)).min(60.0 * setting.px_scale);
    draw_slopes(canvas, &found, spacing, setting);
}

/// Arrows along the negative gradients in the plane's coordinates, the longer the steeper, on a
/// logarithmic scale over a factor of a hundred.
fn draw_slopes(canvas: &mut dyn Canvas, slopes: &[Slope], spacing: f32, setting: &Setting) {
    let (frame, domain, px_scale) = (setting.frame, setting.domain, setting.px_scale);
    let unit_x = (domain.x[1] - domain.x[0]) / f64::from(frame.w);
    let unit_y = (domain.y[1] - domain.y[0]) / f64::from(frame.h);
    let steepness = |slope: &Slope| slope.gradient[0].hypot(slope.gradient[1]);
    let drawn = |slope: &&Slope| {
        let steep = steepness(slope);
        steep > 0.0 && steep.is_finite() && !(setting.skip)(slope.at.0, slope.at.1)
    };
    let kept: Vec<&Slope> = slopes.iter().filter(drawn).collect();
    let Some(steepest) = kept.iter().map(|s| steepness(s)).reduce(f64::max) else { return };
    // Dark arrows on light ground, light ones on dark ground.
    let mut inks = [(Color::hex(0x10202c), Ink::default()), (Color::hex(0xf4f7f8), Ink::default())];
    for slope in kept {
        let share = 1.0 + 0.5 * (steepness(slope) / steepest).log10();
        if share <= 0.0 {
            continue; // flatter than a hundredth of the steepest
        }
        // The vector in the plane taken to pixels, y down the screen.
        let (dx, dy) = (-slope.gradient[0] / unit_x, slope.gradient[1] / unit_y);
        let size = dx.hypot(dy);
        let (x, y) = slope.at;
        let color = ink_on((setting.ground)(x, y));
        let ink = usize::from(color.oklab()[0] > 0.5);
        let length = spacing * (0.24 + 0.5 * share as f32);
        let along = ((dx / size) as f32, (dy / size) as f32);
        inks[ink].1.add((x, y), along, length, (0.17 * spacing).max(3.5));
    }
    for (color, ink) in inks {
        let width = (1.3 * px_scale).max(0.9);
        if let (Some(shafts), Some(heads)) = (ink.shafts.finish(), ink.heads.finish()) {
            canvas.stroke(&shafts, &Stroke { cap: Cap::Round, ..Stroke::solid(color, width) });
            canvas.fill(&heads, color, false);
        }
    }
}

/// Arrows of one colour.
#[derive(Default)]
struct Ink {
    shafts: PathBuilder,
    heads: PathBuilder,
}

impl Ink {
    /// An arrow of `length` pixels centred at a pixel, along the unit vector `(dx, dy)`.
    fn add(&mut self, (x, y): (f32, f32), (dx, dy): (f32, f32), length: f32, head: f32) {
        let tip = (x + 0.5 * length * dx, y + 0.5 * length * dy);
        let neck = (tip.0 - head * dx, tip.1 - head * dy);
        self.shafts.move_to(x - 0.5 * length * dx, y - 0.5 * length * dy);
        self.shafts.line_to(neck.0, neck.1);
        self.heads.move_to(tip.0, tip.1);
        self.heads.line_to(neck.0 - 0.5 * head * dy, neck.1 + 0.5 * head * dx);
        self.heads.line_to(neck.0 + 0.5 * head * dy, neck.1 - 0.5 * head * dx);
        self.heads.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::canvas::raster::Raster;
    use crate::render::canvas::theme::Theme;

    const FRAME: Rect = Rect { x: 0.0, y: 0.0, w: 100.0, h: 100.0 };

    fn tent(n: usize, f: impl Fn(f64, f64) -> f64) -> Field {
        let at = |i: usize| -1.0 + 2.0 * i as f64 / (n - 1) as f64;
        Field { nx: n, ny: n, z: (0..n * n).map(|k| f(at(k % n), at(k / n))).collect() }
    }

    fn shaded(field: &Field) -> Raster {
        let mut raster =
            Raster::new(100, 100, Theme::light().text.mix(Theme::light().background, 0.5)).unwrap();
        draw_hillshade(&mut raster, field, FRAME);
        raster
    }

    #[test]
    fn a_hill_is_light_at_the_upper_left_and_dark_at_the_lower_right() {
        let hill = shaded(&tent(51, |x, y| -(x * x + y * y)));
        let value = |x: usize, y: usize| i32::from(hill.rgba()[4 * (y * 100 + x)]);
        assert!(value(25, 25) > value(50, 50) + 15, "{} {}", value(25, 25), value(50, 50));
        assert!(value(75, 75) < value(50, 50) - 15);
        let bowl = shaded(&tent(51, |x, y| x * x + y * y));
        let value = |x: usize, y: usize| i32::from(bowl.rgba()[4 * (y * 100 + x)]);
        assert!(value(25, 25) < value(75, 75) - 30, "a bowl the other way round");
    }

    #[test]
    fn shading_does_not_depend_on_the_height_of_the_data_and_a_plain_has_none() {
        let hill = tent(31, |x, y| -(x * x + y * y));
        let high = Field { z: hill.z.iter().map(|z| 1e6 * z).collect(), ..hill.clone() };
        assert!(shaded(&hill).rgba() == shaded(&high).rgba());
        let plain = shaded(&tent(31, |_, _| 2.0));
        assert!(plain.rgba().chunks_exact(4).all(|p| p == &plain.rgba()[..4]));
    }

    /// Keeps the first stroke: the shafts of all arrows, tail and neck of each.
    struct Shafts(Vec<(f32, f32)>);

    impl Canvas for Shafts {
        fn fill(&mut self, _: &tiny_skia::Path, _: crate::render::canvas::color::Color, _: bool) {}
        fn stroke(&mut self, path: &tiny_skia::Path, _: &Stroke) {
            if self.0.is_empty() {
                self.0 = path.points().iter().map(|p| (p.x, p.y)).collect();
            }
        }
        fn text(&mut self, _: &str, _: f32, _: f32, _: &crate::render::canvas::TextStyle) {}
        fn image(&mut self, _: &[u8], _: u32, _: u32, _: Rect) {}
        fn set_clip(&mut self, _: Option<Rect>) {}
    }

    /// Arrows on white in a square frame, nothing left out.
    fn shafts(domain: Domain, draw: impl Fn(&mut Shafts, &Setting)) -> Vec<[(f32, f32); 2]> {
        let ground = |_: f32, _: f32| Color::hex(0xffffff);
        let skip = |_: f32, _: f32| false;
        let setting = Setting { domain, frame: FRAME, px_scale: 1.0, ground: &ground, skip: &skip };
        let mut shafts = Shafts(Vec::new());
        draw(&mut shafts, &setting);
        shafts.0.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
    }

    #[test]
    fn arrows_point_downhill_also_where_axes_are_not_to_one_scale() {
        // z = x + y on a plane ten times as wide as high, in a square frame: the gradient is (1, 1)
        // in the plane, so in pixels an arrow goes ten times as far down as to the left.
        let field = tent(41, |u, v| 10.0 * u + v);
        let domain = Domain { x: [-10.0, 10.0], y: [-1.0, 1.0] };
        let found = shafts(domain, |canvas, setting| draw_arrows(canvas, &field, setting));
        assert!(found.len() >= 4, "{found:?}");
        for [tail, neck] in found {
            let (dx, dy) = (neck.0 - tail.0, neck.1 - tail.1);
            assert!(dx < 0.0 && dy > 0.0 && (dy / dx + 10.0).abs() < 0.2, "{dx} {dy}");
        }
    }

    #[test]
    fn measured_arrows_are_the_analytic_gradient_of_a_bowl() {
        // f = 1 + x^2 + 4 y^2 on a plane twice as wide as high, at nine points off the minimum.
        let domain = Domain { x: [-2.0, 2.0], y: [-1.0, 1.0] };
        let measured: Vec<Gradient> = (0..9)
            .map(|k| {
                let (x, y) = (0.3 + 0.5 * f64::from(k % 3), -0.7 + 0.5 * f64::from(k / 3));
                Gradient { x, y, value: 1.0 + x * x + 4.0 * y * y, dx: 2.0 * x, dy: 8.0 * y }
            })
            .collect();
        let lost = Gradient { dx: f64::NAN, ..measured[0] };
        let all: Vec<Gradient> = measured.iter().copied().chain([lost]).collect();
        for log in [false, true] {
            let found = shafts(domain, |canvas, setting| draw_measured(canvas, &all, log, setting));
            assert_eq!(found.len(), 9, "a gradient that is not finite is not drawn");
            for (g, [tail, neck]) in measured.iter().zip(&found) {
                // Pixels a unit: 25 across, 50 up; y goes down the screen.
                let want = ((-g.dx * 25.0) as f32, (g.dy * 50.0) as f32);
                let (dx, dy) = (neck.0 - tail.0, neck.1 - tail.1);
                let cosine = (dx * want.0 + dy * want.1) / (dx.hypot(dy) * want.0.hypot(want.1));
                assert!(cosine > 0.9999, "{g:?}: {dx} {dy} {want:?}");
                let (px, py) = domain.px_from_plane(FRAME, g.x, g.y);
                // The neck is short of the tip by the head, so the middle lies before the point.
                let middle = (0.5 * (tail.0 + neck.0), 0.5 * (tail.1 + neck.1));
                assert!((middle.0 - px).hypot(middle.1 - py) < 4.0, "{middle:?} {px} {py}");
            }
            let length = |k: usize| {
                let [tail, neck] = found[k];
                (neck.0 - tail.0).hypot(neck.1 - tail.1)
            };
            // Far out along x the bowl is steeper than near the middle; its logarithm need not be.
            assert!(log || length(5) > length(3), "{} {}", length(5), length(3));
        }
    }
}
