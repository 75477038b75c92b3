//! The box around a surface: walls with the heights' grid behind it, ticks and labels along the
//! edges that face the camera. Vectors on a canvas, text upright and never smaller than in other
//! pictures.

use tiny_skia::PathBuilder;

use super::camera::Camera;
use super::framing::corners;
use super::heightfield::HeightField;
use super::vec3::Vec3;
use super::viewpoint::covered;
use crate::render::canvas::color::Color;
use crate::render::canvas::text::{CAP_HEIGHT, Type};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use crate::render::numbers::number;
use crate::render::page::scale::{LevelScale, Spacing, numbered_ticks};
use crate::render::scene::{ContourPanel, Domain};

/// Ticks and labels of one box.
#[derive(Debug, Clone)]
pub struct BoxAxes {
    half: [f32; 2],
    top: f32,
    /// Where nothing of the box is drawn: some points of the surface, which is to fill the picture.
    bare: Option<Vec<Vec3>>,
    /// Along x and y: place from -1 to 1, text.
    floor: [Vec<(f32, String)>; 2],
    floor_labels: [String; 2],
    /// Height above the floor, text.
    heights: Vec<(f32, String)>,
    height_label: String,
}

/// What axes are drawn with.
pub struct Ink<'a> {
    /// Colours.
    pub theme: &'a Theme,
    /// Sizes of type.
    pub font: Type,
    /// Pixels a design pixel.
    pub px_scale: f32,
    /// How visible they are, 0 to 1.
    pub strength: f32,
    /// What labels should not leave sideways.
    pub window: Rect,
    /// The sheet, which hides what of the floor lies behind it, and the eye that sees it so.
    pub sheet: (&'a HeightField, Vec3),
}

impl Ink<'_> {
    /// The share of `places` that the sheet leaves to be seen.
    fn seen(&self, places: impl Iterator<Item = Vec3>) -> f32 {
        let (field, eye) = self.sheet;
        let (mut seen, mut all) = (0.0, 0.0f32);
        for p in places {
            all += 1.0;
            seen += if covered(field, p, eye) { 0.0 } else { 1.0 };
        }
        seen / all.max(1.0)
    }
}

impl BoxAxes {
    /// The axes of `panel`'s box; `pixels` is about how wide the box will be.
    pub fn new(
        panel: &ContourPanel,
        field: &HeightField,
        scale: &LevelScale,
        value_label: &str,
        font: &Type,
        pixels: f32,
    ) -> Self {
        let domain = Domain::of(panel);
        let along = |[a, b]: [f64; 2], share: f32| -> Vec<(f32, String)> {
            numbered_ticks([a, b], share * pixels, 6.5 * font.small, 6)
                .into_iter()
                .map(|(x, text)| ((2.0 * (x - a) / (b - a) - 1.0) as f32, text))
                .collect()
        };
        let count = (0.32 * field.relief * pixels / (1.9 * font.small)).clamp(2.0, 8.0) as usize;
        let (low, high) = (scale.position(scale.low), scale.position(scale.high));
        let values = match high <= low {
            true => vec![scale.low],
            false => scale.spacing.ticks([scale.low, scale.high], count),
        };
        let heights = values
            .into_iter()
            .map(|value| {
                let t = (scale.position(value) - low) / (high - low);
                (field.height(if t.is_finite() { t as f32 } else { 0.5 }), number(value))
            })
            .collect();
        let note = if field.equal_scales { "" } else { " · not to one scale" };
        let kind = if scale.spacing == Spacing::Log { " (log)" } else { "" };
        Self {
            half: field.half,
            top: field.relief,
            bare: None,
            floor: [along(domain.x, field.half[0]), along(domain.y, field.half[1])],
            floor_labels: [format!("{}{note}", panel.x_label), panel.y_label.clone()],
            heights,
            height_label: if value_label.is_empty() {
                String::new()
            } else {
                format!("{value_label}{kind}")
            },
        }
    }

    /// What is to be fitted into a picture: the box's corners, or points of the surface where that is alone.
    pub fn corners(&self) -> Vec<Vec3> {
        self.bare.clone().unwrap_or_else(|| corners(self.half, self.top))
    }

    /// The box of `field` without a line or a number: the surface alone, and room for nothing else.
    pub fn without_scales(self, field: &HeightField) -> Self {
        const SIDE: usize = 40;
        let at = |i: usize| i as f32 / SIDE as f32;
        let points = (0..=SIDE).flat_map(|j| (0..=SIDE).map(move |i| (at(i), at(j))));
        let mut points: Vec<Vec3> = points.map(|(u, v)| field.surface(u, v)).collect();
        let [u, v] = field.lowest();
        points.push(field.surface(u, v));
        Self { bare: Some(points), ..self }
    }

    /// The same with short `labels` along the floor, or none, and without that of the heights, which the
    /// colour bar has, too: for a small picture.
    pub fn with_labels(self, labels: [&str; 2]) -> Self {
        let floor_labels = labels.map(str::to_string);
        Self { floor_labels, height_label: String::new(), ..self }
    }

    /// Room for labels around the fitted box: left, top, right, bottom.
    pub fn room(&self, font: &Type, px_scale: f32) -> [f32; 4] {
        if self.bare.is_some() {
            return [0.0; 4];
        }
        let style = TextStyle::new(font.small, Color::hex(0));
        let heights = self.heights.iter().map(|h| style.width(&h.1)).fold(0.0, f32::max);
        let left = heights + 13.0 * px_scale;
        // Beside the middle of its edge a short label reaches no lower than the corner's numbers.
        let label = match (self.floor_labels[0].is_empty(), self.height_label.is_empty()) {
            (true, _) => 0.0,
            (false, true) => 0.3 * font.label,
            (false, false) => 1.2 * font.label,
        };
        let above = if self.height_label.is_empty() { 0.7 } else { 1.7 } * font.small;
        let below = 1.2 * font.small + label + 8.0 * px_scale;
        [left, above, 2.6 * font.small, below]
    }

    fn at(&self, x: f32, y: f32, z: f32) -> Vec3 {
        [x * self.half[0], y * self.half[1], z]
    }

    /// Signs of the walls that are behind the surface: of x, of y.
    fn behind(&self, camera: &Camera) -> [f32; 2] {
        let away = |k: usize| if camera.eye[k] > 0.0 { -1.0 } else { 1.0 };
        [away(0), away(1)]
    }

    /// Walls and grid lines, to be drawn before the surface.
    pub fn draw_behind(&self, canvas: &mut dyn Canvas, camera: &Camera, ink: &Ink) {
        if self.bare.is_some() {
            return;
        }
        let [bx, by] = self.behind(camera);
        let walls = [
            [(bx, -1.0, 0.0), (bx, 1.0, 0.0), (bx, 1.0, self.top), (bx, -1.0, self.top)],
            [(-1.0, by, 0.0), (1.0, by, 0.0), (1.0, by, self.top), (-1.0, by, self.top)],
        ];
        let tint = ink.theme.rule.alpha(0.20 * ink.strength);
        for wall in walls {
            let seen: Option<Vec<[f32; 3]>> =
                wall.iter().map(|&(x, y, z)| camera.project(self.at(x, y, z))).collect();
            let Some(seen) = seen else { continue };
            let mut path = PathBuilder::new();
            path.move_to(seen[0][0], seen[0][1]);
            seen[1..].iter().for_each(|p| path.line_to(p[0], p[1]));
            path.close();
            if let Some(path) = path.finish() {
                canvas.fill(&path, tint, false);
            }
        }
        let rule = ink.theme.rule.alpha(0.9 * ink.strength.max(0.3));
        let hair = Stroke::solid(rule, ink.px_scale.max(0.75));
        for &(z, _) in &self.heights {
            self.line(canvas, camera, [(bx, -1.0, z), (bx, 1.0, z)], &hair);
            self.line(canvas, camera, [(-1.0, by, z), (1.0, by, z)], &hair);
        }
        for (x, _) in &self.floor[0] {
            self.line(canvas, camera, [(*x, by, 0.0), (*x, by, self.top)], &hair);
        }
        for (y, _) in &self.floor[1] {
            self.line(canvas, camera, [(bx, *y, 0.0), (bx, *y, self.top)], &hair);
        }
        let edge = Stroke::solid(
            ink.theme.muted.alpha(0.45 * ink.strength.max(0.3)),
            ink.px_scale.max(0.75),
        );
        for [a, b] in [
            [(bx, -1.0, 0.0), (bx, 1.0, 0.0)],
            [(-1.0, by, 0.0), (1.0, by, 0.0)],
            [(bx, by, 0.0), (bx, by, self.top)],
            [(bx, -1.0, self.top), (bx, 1.0, self.top)],
            [(-1.0, by, self.top), (1.0, by, self.top)],
        ] {
            self.line(canvas, camera, [a, b], &edge);
        }
    }

    /// The floor's front edges, ticks and labels, to be drawn after the surface.
    pub fn draw_before(&self, canvas: &mut dyn Canvas, camera: &Camera, ink: &Ink) {
        if self.bare.is_some() {
            return;
        }
        let [bx, by] = self.behind(camera);
        self.draw_edge(canvas, camera, ink, |t| (-bx, t, 0.0));
        self.draw_edge(canvas, camera, ink, |t| (t, -by, 0.0));
        if ink.strength < 0.05 {
            return;
        }
        self.draw_floor_axis(canvas, camera, ink, 0, -by);
        self.draw_floor_axis(canvas, camera, ink, 1, -bx);
        self.draw_heights(canvas, camera, ink, [bx, by]);
    }

    /// A front edge of the floor from -1 to 1, as far as the sheet does not hide it.
    fn draw_edge(
        &self,
        canvas: &mut dyn Canvas,
        camera: &Camera,
        ink: &Ink,
        place: impl Fn(f32) -> (f32, f32, f32),
    ) {
        const PIECES: usize = 64;
        let color = ink.theme.muted.alpha(0.8 * ink.strength.max(0.25));
        let edge =
            Stroke { cap: Cap::Round, ..Stroke::solid(color, (1.1 * ink.px_scale).max(0.75)) };
        let along = |i: usize| 2.0 * i as f32 / PIECES as f32 - 1.0;
        let seen = |i: usize| {
            let (x, y, z) = place(along(i));
            ink.seen(std::iter::once(self.at(x, y, z))) > 0.0
        };
        let mut first = None;
        for i in 0..=PIECES {
            first = first.or(seen(i).then_some(i));
            let ends = i == PIECES || !seen(i + 1);
            if let Some(start) = first.filter(|_| ends) {
                self.line(canvas, camera, [place(along(start)), place(along(i))], &edge);
                first = None;
            }
        }
    }

    /// Ticks and labels along the floor's edge that runs along `axis`, at `side` of the other one.
    fn draw_floor_axis(
        &self,
        canvas: &mut dyn Canvas,
        camera: &Camera,
        ink: &Ink,
        axis: usize,
        side: f32,
    ) {
        let (font, px_scale) = (ink.font, ink.px_scale);
        let spot = |along: f32, out: f32| {
            let across = side * (1.0 + out / self.half[1 - axis]);
            if axis == 0 { self.at(along, across, 0.0) } else { self.at(across, along, 0.0) }
        };
        let place = |along: f32, out: f32| camera.project(spot(along, out));
        // Ticks fade as the sheet comes before them: where each mark and number stands, and around.
        let around = |along: f32, reach: f32| {
            let out = [0.0, 0.5, 1.0].map(|part| part * reach);
            let aside = [-0.5, 0.0, 0.5].map(|part| part * reach / self.half[axis]);
            ink.seen(out.into_iter().flat_map(|out| aside.map(|a| spot(along + a, out))))
        };
        let mut widest = 0.0f32;
        for (along, text) in &self.floor[axis] {
            let (Some(a), Some(b)) = (place(*along, 0.0), place(*along, 0.1)) else { continue };
            let strength = ink.strength * around(*along, 0.12);
            if strength < 0.05 {
                continue;
            }
            let color = ink.theme.muted.alpha(strength);
            let small = TextStyle::new(font.small, color).align(Align::Center);
            let tick = Stroke::solid(color, px_scale.max(0.75));
            let out = direction(a, b);
            let mark = 6.0 * px_scale;
            canvas.line(&[(a[0], a[1]), (a[0] + mark * out[0], a[1] + mark * out[1])], &tick);
            put(canvas, text, a, out, mark + 4.0 * px_scale, &small);
            widest = widest.max(small.width(text));
        }
        self.draw_floor_label(canvas, ink, axis, widest, around(0.0, 0.36), place);
    }

    /// The label of a floor axis, along its edge; where the edge is seen so much from its end that
    /// the label would not fit, an upright one takes its place. `seen` is the share of its place that
    /// the sheet leaves free.
    fn draw_floor_label(
        &self,
        canvas: &mut dyn Canvas,
        ink: &Ink,
        axis: usize,
        widest: f32,
        seen: f32,
        place: impl Fn(f32, f32) -> Option<[f32; 3]>,
    ) {
        let (font, px_scale) = (ink.font, ink.px_scale);
        let (Some(a), Some(b)) = (place(0.0, 0.0), place(0.0, 0.1)) else { return };
        let (Some(p), Some(q)) = (place(-1.0, 0.0), place(1.0, 0.0)) else { return };
        let (p, q) = if p[0] <= q[0] { (p, q) } else { (q, p) };
        let (dx, dy) = (q[0] - p[0], q[1] - p[1]);
        let style = TextStyle::new(font.label, ink.theme.text);
        let text = &self.floor_labels[axis];
        // The one or the other: a film that rests while one fades into the other would show both.
        let fits = dx.hypot(dy) > 1.12 * style.width(text);
        let strength = seen * ink.strength;
        // Across the edge on the screen, away from the box.
        let out = direction(a, b);
        if !fits {
            let color = style.color.alpha(strength);
            let upright = TextStyle { color, ..style }.align(Align::Center);
            let gap = 17.0 * px_scale + out[0].abs() * widest + out[1].abs() * 1.05 * font.small;
            let half = 0.5 * upright.width(text);
            let reach = gap + out[0].abs() * half + out[1].abs() * 0.5 * CAP_HEIGHT * font.label;
            let (x, y) = (a[0] + reach * out[0], a[1] + reach * out[1]);
            // Where it would leave its window it keeps inside, a line further down.
            let (least, most) = (ink.window.x + half, ink.window.right() - half);
            let inside = x.clamp(least.min(most), most.max(least));
            let down = if (inside - x).abs() > 1.0 { 1.3 * font.label } else { 0.0 };
            canvas.text(text, inside, y + 0.5 * CAP_HEIGHT * font.label + down, &upright);
            return;
        }
        let along = [dx / dx.hypot(dy), dy / dx.hypot(dy)];
        let side = if along[0] * out[1] - along[1] * out[0] >= 0.0 { 1.0 } else { -1.0 };
        let across = [-along[1] * side, along[0] * side];
        let ticks = across[0].abs() * widest + across[1].abs() * 1.1 * font.small;
        let reach = 13.0 * px_scale + ticks + 0.55 * font.label;
        let (x, y) = (a[0] + reach * across[0], a[1] + reach * across[1]);
        let drop = 0.5 * CAP_HEIGHT * font.label;
        let style = TextStyle { angle: dy.atan2(dx), color: style.color.alpha(strength), ..style };
        let style = style.align(Align::Center);
        canvas.text(text, x - along[1] * drop, y + along[0] * drop, &style);
    }

    /// Heights along the left end of a wall, what they are above it; along the right end where the
    /// box's front corner, and the surface with it, reaches farther left.
    fn draw_heights(
        &self,
        canvas: &mut dyn Canvas,
        camera: &Camera,
        ink: &Ink,
        [bx, by]: [f32; 2],
    ) {
        let (font, px_scale) = (ink.font, ink.px_scale);
        let column = |(x, y), z| camera.project(self.at(x, y, z)).map_or(f32::INFINITY, |p| p[0]);
        // Only edges where a wall ends: the front one would stand before the surface.
        let (mut left, mut right) = ((bx, -by), (-bx, by));
        if column(left, 0.0) > column(right, 0.0) {
            (left, right) = (right, left);
        }
        let ((x, y), side) = match column((-bx, -by), self.top) < column(left, 0.0) {
            false => (left, -1.0),
            true => (right, 1.0),
        };
        let line =
            Stroke::solid(ink.theme.muted.alpha(0.8 * ink.strength), (1.1 * px_scale).max(0.75));
        self.line(canvas, camera, [(x, y, 0.0), (x, y, self.top)], &line);
        let align = if side < 0.0 { Align::Right } else { Align::Left };
        let style = TextStyle::new(font.small, ink.theme.muted.alpha(ink.strength)).align(align);
        let mut last = f32::INFINITY;
        if self.height_label.is_empty() {
            // In a small picture the floor's numbers are near its corner.
            let corner = camera.project(self.at(x, y, 0.0));
            last = corner.map_or(last, |p| p[1] - 0.3 * font.small);
        }
        for (z, text) in &self.heights {
            let Some([px, py, _]) = camera.project(self.at(x, y, *z)) else { continue };
            canvas.line(&[(px + side * 6.0 * px_scale, py), (px, py)], &line);
            if last - py >= 1.1 * font.small {
                let baseline = py + 0.5 * CAP_HEIGHT * font.small;
                canvas.text(text, px + side * 10.0 * px_scale, baseline, &style);
                last = py;
            }
        }
        if let Some([px, py, _]) = camera.project(self.at(x, y, self.top)) {
            let title = TextStyle {
                halo: Some((ink.theme.background.alpha(0.8 * ink.strength), 2.5 * px_scale)),
                ..TextStyle::new(font.small, ink.theme.text.alpha(ink.strength))
            };
            let shift =
                (10.0 * px_scale + 2.6 * font.small).min(0.5 * title.width(&self.height_label));
            // To the right the text begins as far inside as it begins outside to the left.
            let inside = if side > 0.0 { title.width(&self.height_label) - shift } else { shift };
            let x = (px - inside).max(4.0 * px_scale);
            canvas.text(&self.height_label, x, py - 0.85 * font.small, &title);
        }
    }

    fn line(
        &self,
        canvas: &mut dyn Canvas,
        camera: &Camera,
        ends: [(f32, f32, f32); 2],
        stroke: &Stroke,
    ) {
        let [a, b] = ends.map(|(x, y, z)| self.at(x, y, z));
        if let Some(seen) = camera.project_segment(a, b) {
            // Far outside is as good as a page away, and keeps strokes finite.
            let bound = |v: f32| v.clamp(-1e5, 1e5);
            canvas.line(&seen.map(|(x, y)| (bound(x), bound(y))), stroke);
        }
    }
}

/// The unit direction from pixel `a` to pixel `b`.
fn direction(a: [f32; 3], b: [f32; 3]) -> [f32; 2] {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length = dx.hypot(dy).max(1e-6);
    [dx / length, dy / length]
}

/// Writes `text` so that its box ends `gap` pixels from `from` in the direction `out`: it slides
/// round the point as the direction turns, and never jumps.
fn put(
    canvas: &mut dyn Canvas,
    text: &str,
    from: [f32; 3],
    out: [f32; 2],
    gap: f32,
    style: &TextStyle,
) {
    let (half_w, half_h) = (0.5 * style.width(text), 0.5 * CAP_HEIGHT * style.size);
    let reach = gap + out[0].abs() * half_w + out[1].abs() * half_h;
    let (x, y) = (from[0] + reach * out[0], from[1] + reach * out[1]);
    canvas.text(text, x, y + half_h, style);
}
