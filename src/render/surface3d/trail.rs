//! The path on a surface: a tube as far as the film has come, a bead for each snapshot, a marker at
//! the present point, and a rod from there to the true loss where the plane's is another.

use super::glass::Guarded;
use super::heightfield::HeightField;
use super::horizon::LightMap;
use super::paint::{Light, gap, linear, place};
use super::solids::Solids;
use super::vec3::{Vec3, add, norm, scale, sub};
use super::viewpoint::Stand;
use crate::render::canvas::Rect;
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::Theme;
use crate::render::map::path::Track;
use crate::render::page::scale::LevelScale;
use crate::render::scene::{ContourPanel, Domain, PathPoint, Reading};

/// Steps from the oldest to the newest part of the tail.
const SHADES: usize = 12;
/// The least distance of two beads in radii of the tube: a bead is three across and the rest is free.
const BEADS_APART: f32 = 8.0;
const BEAD: u32 = SHADES as u32;
const MARKER: u32 = BEAD + 1;
const ROD: u32 = BEAD + 2;
const FLOOR: u32 = BEAD + 3;

/// A path over one surface.
#[derive(Debug, Clone)]
pub struct Trail {
    /// Epoch and `(u, v)`.
    line: Vec<(f64, [f32; 2])>,
    beads: Vec<(f64, [f32; 2])>,
    /// The snapshots, for the network's own loss at any time.
    path: Vec<PathPoint>,
    scale: LevelScale,
}

/// The path as far as the film has come.
#[derive(Debug, Clone, Default)]
pub struct Drawn {
    /// Tube, beads, marker, rod.
    pub solids: Solids,
    /// The marker and the point of the true loss, where it lies below the surface by enough to see:
    /// drawn through the surface, as nothing that lies below it can be seen.
    pub below: Option<[Vec3; 2]>,
    /// How much of the near side of the surface is thinned, 0 to 1.
    pub thinned: f32,
}

impl Drawn {
    /// Without the path's way on the floor, where there is none.
    pub fn drop_floor(&mut self) {
        self.solids.cut(|material| material == FLOOR, |_| false);
    }
}

/// Sizes in box units.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// The tube's radius.
    pub tube: f32,
    /// The marker's.
    pub marker: f32,
    /// For how many epochs the tail fades.
    pub fade: f64,
}

impl Sizes {
    /// Of a path in a window where a design pixel is `px_scale` pixels and a box unit `unit` pixels.
    pub fn new(px_scale: f32, unit: f32, fade: f64) -> Self {
        let tube = (3.1 * px_scale).max(1.3) / unit;
        let marker = (9.0 * px_scale).max(3.0) / unit;
        Self { tube, marker, fade }
    }
}

impl Trail {
    /// The path of `panel`.
    pub fn new(panel: &ContourPanel, field: &HeightField, scale: &LevelScale) -> Self {
        // The track of a flat frame is what is wanted, in thousandths of the box's half sides.
        let frame = Rect::new(0.0, 0.0, 1000.0 * field.half[0], 1000.0 * field.half[1]);
        let track = Track::new(&panel.path, Domain::of(panel), frame, 1.0);
        let uv = |&(epoch, (x, y)): &(f64, (f32, f32))| (epoch, [x / frame.w, 1.0 - y / frame.h]);
        let end = track.end().unwrap_or(f64::NEG_INFINITY);
        let known = panel.path.iter().filter(|p| p.time <= end);
        Self {
            line: track.line().iter().map(uv).collect(),
            beads: track.beads().iter().map(uv).collect(),
            path: known.copied().collect(),
            scale: scale.clone(),
        }
    }

    /// When the path ends, in its clock's unit.
    pub fn end(&self) -> Option<f64> {
        self.line.last().map(|l| l.0)
    }

    /// At most about `count` places along the path as far as it is at `time`, there the last.
    pub fn places(&self, time: f64, count: usize) -> Vec<[f32; 2]> {
        let passed = self.line.partition_point(|(t, _)| *t < time);
        let step = passed.div_ceil(count.max(1)).max(1);
        let inside = |p: &[f32; 2]| p.iter().all(|w| (0.0..=1.0).contains(w));
        let mut places: Vec<_> =
            self.line[..passed].iter().rev().step_by(step).map(|l| l.1).collect();
        places.reverse();
        places.extend(self.at(time));
        places.retain(inside);
        places
    }

    /// The newest third of the path as far as it is at `time`, by its length on the plane: some places,
    /// the point itself last.
    pub fn newest(&self, time: f64) -> Vec<[f32; 2]> {
        const PLACES: f32 = 48.0;
        let Some(head) = self.at(time) else { return Vec::new() };
        let passed = self.line.partition_point(|(t, _)| *t < time);
        let mut line: Vec<[f32; 2]> = self.line[..passed].iter().map(|l| l.1).collect();
        line.push(head);
        let step = |w: &[[f32; 2]]| (w[1][0] - w[0][0]).hypot(w[1][1] - w[0][1]);
        let all: f32 = line.windows(2).map(step).sum();
        let (mut places, mut gone, mut last) = (vec![head], 0.0, 0.0);
        for pair in line.windows(2).rev() {
            gone += step(pair);
            if gone > all / 3.0 {
                break;
            }
            if gone - last >= all / 3.0 / PLACES {
                places.push(pair[0]);
                last = gone;
            }
        }
        places.reverse();
        places.retain(|p| inside(*p));
        places
    }

    /// What is to be seen of the path on `field` at `time`.
    pub fn stand<'a>(&self, field: &'a HeightField, time: f64) -> Stand<'a> {
        Stand { field, path: self.places(time, 40), newest: self.newest(time) }
    }

    /// The point and the newest third of the path at `epoch`, as seen from `eye`: what is to be visible.
    pub fn guarded(
        &self,
        field: &HeightField,
        epoch: f64,
        sizes: &Sizes,
        eye: Vec3,
    ) -> Vec<Guarded> {
        let places = self.newest(epoch);
        let last = places.len().saturating_sub(1);
        let guard = |(i, [u, v]): (usize, &[f32; 2])| {
            let radius = if i == last { sizes.marker } else { 2.0 * sizes.tube };
            let at = add(field.surface(*u, *v), scale(field.normal(*u, *v), radius));
            Guarded::new(field, at, radius, eye)
        };
        places.iter().enumerate().map(guard).collect()
    }

    /// Where the point is at `epoch`.
    pub fn at(&self, epoch: f64) -> Option<[f32; 2]> {
        let i = self.line.partition_point(|(t, _)| *t <= epoch);
        let (Some(before), Some(after)) = (self.line.get(i.wrapping_sub(1)), self.line.get(i))
        else {
            return if i == 0 { self.line.first() } else { self.line.last() }.map(|l| l.1);
        };
        let k = ((epoch - before.0) / (after.0 - before.0)) as f32;
        Some([0, 1].map(|c| before.1[c] + k * (after.1[c] - before.1[c])))
    }

    /// The network's own loss at `epoch` as a place on the scale.
    fn truth(&self, epoch: f64) -> Option<f32> {
        place(&self.scale, Reading::at(&self.path, epoch)?.true_loss)
    }

    /// The path until `epoch`; the ground below it is darkened in `light`.
    pub fn draw(
        &self,
        field: &HeightField,
        light: &mut LightMap,
        epoch: f64,
        sizes: &Sizes,
    ) -> Drawn {
        let mut drawn = self.build(field, light, epoch, sizes);
        // In a valley narrower than they are, tube and marker would look out below the sheet.
        let above = |[x, y, z]: Vec3| {
            let [u, v] = [x / field.half[0], y / field.half[1]].map(|w| 0.5 * (w + 1.0));
            !inside([u, v]) || z > field.surface(u, v)[2] - 0.1 * sizes.tube
        };
        // The marker stays whole: it is to be seen, wherever it lies.
        drawn.solids.cut(|material| ![FLOOR, ROD, MARKER].contains(&material), above);
        drawn
    }

    fn build(&self, field: &HeightField, light: &mut LightMap, epoch: f64, sizes: &Sizes) -> Drawn {
        let mut drawn = Drawn::default();
        let Some(head) = self.at(epoch) else { return drawn };
        let solids = &mut drawn.solids;
        let done = self.line.iter().copied().take_while(|(t, _)| *t < epoch);
        let line: Vec<(f64, [f32; 2])> = done.chain([(epoch, head)]).collect();
        let now = epoch.min(self.line[self.line.len() - 1].0);
        let shade = |t: f64| {
            let age = if sizes.fade > 0.0 { ((now - t) / sizes.fade).clamp(0.0, 1.0) } else { 0.0 };
            ((1.0 - age) * (SHADES - 1) as f64).round() as u32
        };
        let on_surface = |[u, v]: [f32; 2], lift: f32| {
            let normal = field.normal(u, v);
            (add(field.surface(u, v), scale(normal, lift)), normal)
        };
        // Where the path leaves the box the tube ends, and begins again where it comes back.
        for run in line.split(|(_, p)| !inside(*p)).filter(|run| !run.is_empty()) {
            let points: Vec<_> =
                run.iter().map(|(_, p)| on_surface(*p, 1.02 * sizes.tube)).collect();
            solids.tube(&points, sizes.tube, |i| shade(run[i].0));
            for (end, t) in
                [(points[0].0, run[0].0), (points[points.len() - 1].0, run[run.len() - 1].0)]
            {
                solids.sphere(end, sizes.tube, 8, shade(t));
            }
            // Its way on the floor's map.
            let up = [0.0, 0.0, 1.0];
            let flat = |&(_, [u, v]): &(f64, [f32; 2])| (field.point(u, v, 0.002), up);
            let floor: Vec<_> = run.iter().map(flat).collect();
            solids.tube(&floor, 0.45 * sizes.tube, |_| FLOOR);
            for (_, p) in run {
                light.touch(*p, 3.2 * sizes.tube, 0.55, field.half);
            }
        }
        let mut last: Option<Vec3> = None;
        for &(_, p) in self.beads.iter().filter(|(t, p)| *t <= epoch && inside(*p)) {
            let at = on_surface(p, 1.3 * sizes.tube).0;
            // Where they would touch there is no telling what colour the path has.
            if last.is_none_or(|last| norm(sub(at, last)) >= BEADS_APART * sizes.tube) {
                solids.sphere(at, 1.55 * sizes.tube, 7, BEAD);
                last = Some(at);
            }
        }
        if !inside(head) {
            return drawn;
        }
        light.touch(head, 1.9 * sizes.marker, 0.6, field.half);
        let (centre, _) = on_surface(head, 1.0 * sizes.marker);
        solids.sphere(centre, sizes.marker, 18, MARKER);
        let here = field.at(head[0], head[1])[0];
        if let Some(truth) = self.truth(epoch) {
            let there = field.point(head[0], head[1], field.height(truth));
            let gap = gap(field, here, truth);
            if gap > 2.2 * sizes.marker {
                let axis = [1.0, 0.0, 0.0];
                solids.tube(&[(centre, axis), (there, axis)], 0.4 * sizes.tube, |_| ROD);
                solids.sphere(there, 0.5 * sizes.marker, 10, ROD);
            } else if gap < -1.2 * sizes.marker {
                drawn.below = Some([centre, there]);
            }
        }
        drawn
    }
}

/// Whether `(u, v)` lies in the box.
fn inside([u, v]: [f32; 2]) -> bool {
    (0.0..=1.0).contains(&u) && (0.0..=1.0).contains(&v)
}

/// The colours of everything that [`Trail::draw`] makes, for a path of `color`.
pub fn materials(theme: &Theme, color: Color) -> Vec<Light> {
    // Older parts are a little darker, not paler, as heights are pale; never so dark as to be of another
    // colour.
    let (bright, dark) = (Color::hex(0xffffff), Color::hex(0x14202b));
    let mut all: Vec<Light> = (0..SHADES)
        .map(|k| linear(dark.mix(color, 0.90 + 0.10 * k as f32 / (SHADES - 1) as f32)))
        .collect();
    all.push(linear(color.mix(bright, 0.72)));
    all.push(linear(color));
    all.push(linear(color));
    all.push(linear(color.mix(theme.background, 0.25)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::scene::Grid;
    use crate::render::surface3d::horizon::Horizon;

    fn point(epoch: f64, x: f64, true_loss: f64) -> PathPoint {
        PathPoint { step: 0, epoch, time: epoch, x, y: 0.0, true_loss, plane_loss: None, lr: 0.1 }
    }

    #[test]
    fn the_tube_grows_and_the_true_loss_shows_above_and_below() {
        let xs: Vec<f64> = (0..9).map(|i| f64::from(i) / 4.0 - 1.0).collect();
        let values = (0..81).map(|k| if k % 9 == 0 { 0.1 } else { 1.0 + f64::from(k % 9) });
        let grid = Grid { xs: xs.clone(), ys: xs, values: values.collect(), interpolated: None };
        let path = vec![point(0.0, -0.5, 9.0), point(1.0, 0.0, 5.0), point(2.0, 0.9, 0.11)];
        let panel = ContourPanel { grid, path, ..Default::default() };
        let scale = LevelScale::new(panel.grid.values.iter().copied());
        let field = HeightField::new(&panel, &scale, 1.0);
        let horizon = Horizon::new(&field);
        let trail = Trail::new(&panel, &field, &scale);
        let sizes = Sizes { tube: 0.01, marker: 0.03, fade: 1.0 };
        let at = |epoch| trail.draw(&field, &mut horizon.light(0.0, 0.7), epoch, &sizes);
        let (start, end) = (at(0.1), at(2.0));
        assert!(end.solids.triangles.len() > 2 * start.solids.triangles.len());
        let has_rod = |d: &Drawn| d.solids.triangles.iter().any(|(_, m)| *m == ROD);
        assert!(has_rod(&start) && start.below.is_none());
        assert!(!has_rod(&end) && end.below.is_some());
        let all = materials(&Theme::light(), Color::hex(0xff0000));
        assert!(end.solids.triangles.iter().all(|(_, m)| (*m as usize) < all.len()));
    }
}
