//! For data that are points of a plane: what the net answers at every point of it, at each snapshot,
//! beside the path that its weights take.

use crate::error::{Error, Result};
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Cap, Rect, Stroke, TextStyle, polyline};
use crate::render::map::contour;
use crate::render::map::field::Field;
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::page::axes::{Axes, draw_heading, frame_in, gutters, heading_height};
use crate::render::page::colorbar::ColorBar;
use crate::render::page::panels::{AxisLabels, PanelBox};
use crate::render::page::scale::LevelScale;
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{ContourPanel, Domain, Pacing, PathPoint, Strip};

/// What a net answers over a rectangle of inputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputSpace {
    /// Above it.
    pub title: String,
    /// A line of detail; may be empty.
    pub subtitle: String,
    /// Left and right end.
    pub x: [f64; 2],
    /// Lower and upper end.
    pub y: [f64; 2],
    /// Columns and rows of the lattice that spans the rectangle, ends included.
    pub size: [usize; 2],
    /// What the classes are called.
    pub class_names: Vec<String>,
    /// Class probabilities at each snapshot, `[class][iy][ix]`.
    pub probabilities: Vec<Vec<f32>>,
    /// Data points: x, y, class.
    pub points: Vec<(f64, f64, usize)>,
}

/// A decision boundary beside a path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BoundaryFilm {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// What the colours of the surface mean.
    pub value_label: String,
    /// The surface and the path over it; without a surface (an empty grid) the path alone.
    pub panel: ContourPanel,
    /// The inputs; `probabilities` has one entry for each of `times`.
    pub inputs: InputSpace,
    /// When the snapshots in `inputs` were taken, in the clock's unit, rising.
    pub times: Vec<f64>,
    /// Charts below.
    pub strip: Strip,
    /// Clock, pauses, card.
    pub pacing: Pacing,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
}

/// A boundary film made ready.
pub type BoundaryShow<'a> = Scene<'a, Boundary<'a>>;

/// The inputs with the classes' regions, and the path beside them.
pub struct Boundary<'a> {
    film: &'a BoundaryFilm,
    /// Where the path is shown, over a surface if there is one.
    place: PanelBox,
    domain: Domain,
    scale: LevelScale,
    /// Without a surface there is none.
    bar: Option<Rect>,
    track: Track,
    inputs: Rect,
    input_domain: Domain,
}

/// Colours of classes: they differ by hue and, for every pair of neighbours in the list, by
/// lightness (after Okabe and Ito's palette for the colour-blind). Paper has greys.
pub fn class_color(theme: &Theme, class: usize) -> Color {
    if theme.name == "print" {
        let lightness = [0.38, 0.82, 0.6, 0.95, 0.5, 0.72];
        return Color::from_oklch(lightness[class % lightness.len()], 0.0, 0.0);
    }
    let hues = [
        0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7, 0x56b4e9, 0xd55e00, 0x7a5195, 0xb5a90a, 0x3b3b3b,
        0x8c564b,
    ];
    Color::hex(hues[class % hues.len()])
}

impl<'a> BoundaryShow<'a> {
    /// Makes `film` ready for a picture of `size` pixels in `frames` frames.
    ///
    /// Errors: [`Error::Render`] where sizes do not fit together or nothing is to be drawn.
    pub fn new(
        film: &'a BoundaryFilm,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        let inputs = &film.inputs;
        let ([nx, ny], k) = (inputs.size, inputs.class_names.len());
        let sized = inputs.probabilities.iter().all(|p| p.len() == k * nx * ny);
        let spans = |d: [f64; 2]| d[0] < d[1] && d[0].is_finite() && d[1].is_finite();
        let counted = inputs.probabilities.len() == film.times.len() && !film.times.is_empty();
        if !(sized && counted && k >= 2 && nx >= 2 && ny >= 2 && spans(inputs.x) && spans(inputs.y))
        {
            return Err(Error::Render {
                what: format!(
                    "{} answers of {k} classes on {nx} x {ny} inputs for {} snapshots cannot be drawn",
                    inputs.probabilities.len(),
                    film.times.len()
                ),
                remedy: "give one probability for each class at each input, for every snapshot"
                    .into(),
            });
        }
        let path_times = film.panel.path.iter().map(|p| p.time);
        let times = film.times.iter().copied().chain(path_times);
        let (strip, pacing) = (&film.strip, &film.pacing);
        let spec = PageSpec::film(&film.title, &film.caption, strip, pacing, film.hold_secs);
        let page =
            Page::new(spec, times, Screen { theme, size, frames, fps }).with_strip_below(0.17);
        let (font, px_scale) = (page.font, page.px_scale);
        let input_domain = Domain { x: inputs.x, y: inputs.y };
        let has_surface = !film.panel.grid.values.is_empty();
        if has_surface {
            film.panel.grid.check()?;
        }
        let domain = if has_surface { Domain::of(&film.panel) } else { around(&film.panel) };
        let gap = 30.0 * px_scale;
        let tall = page.body.h > 1.1 * page.body.w;
        let heading = |p: [&str; 2]| heading_height(&font, p.map(|text| !text.is_empty()));
        let head = heading([&inputs.title, &inputs.subtitle])
            .max(heading([&film.panel.title, &film.panel.subtitle]));
        // The key of classes goes below the inputs' frame.
        let key = 2.2 * font.small;
        let (first, second) = if tall {
            let h = 0.5 * (page.body.h - gap);
            let lower = Rect { y: page.body.y + h + gap, h, ..page.body };
            (Rect { h, ..page.body }, lower)
        } else {
            // As wide as the inputs are when they are as high as there is room for.
            let above = (page.body.h - head - key).max(8.0);
            let w = (above * input_domain.aspect()).min(0.46 * page.body.w);
            let right = Rect { x: page.body.x + w + gap, w: page.body.w - w - gap, ..page.body };
            (Rect { w, ..page.body }, right)
        };
        // No numbers stand around the inputs, only the key below them.
        let mut frame_of = frame_in(first, [0.0, head, 0.0, key], &input_domain, true);
        frame_of.x = first.x.round();
        let bar =
            if has_surface { 16.0 * px_scale + 4.2 * font.small + 16.0 * px_scale } else { 0.0 };
        let cell = Rect { w: second.w - bar, ..second };
        let equal_scales = (0.45..=2.2).contains(&domain.aspect());
        let axis_labels = page.axis_labels();
        let around_plane = gutters(&page, domain.y, [axis_labels; 2], head);
        let mut frame = frame_in(cell, around_plane, &domain, equal_scales);
        // At the left end, below its heading.
        frame.x = (cell.x + around_plane[0]).round();
        let scale = LevelScale::new(film.panel.grid.values.iter().copied());
        let bar = has_surface.then(|| {
            let (x, y) = (frame.right() + 16.0 * px_scale, frame.y + 1.6 * font.small);
            Rect::new(x, y, 16.0 * px_scale, (frame.bottom() - y).max(2.0))
        });
        let subtitle = !film.panel.subtitle.is_empty();
        let axis_labels = if axis_labels { AxisLabels::Own } else { AxisLabels::None };
        let place = PanelBox::of_frame(cell, frame, subtitle, axis_labels);
        let place = PanelBox { equal_scales, ..place };
        let track = Track::new(&film.panel.path, domain, frame, px_scale);
        let body =
            Boundary { film, place, domain, scale, bar, track, inputs: frame_of, input_domain };
        Ok(Self { page, body })
    }
}

impl Boundary<'_> {
    /// The probabilities at `time`: between two snapshots a blend, which is interpolation.
    fn answers(&self, time: f64) -> Vec<f32> {
        let all = &self.film.inputs.probabilities;
        let after = self.film.times.partition_point(|&t| t <= time);
        if after == 0 || after == all.len() {
            return all[if after == 0 { 0 } else { all.len() - 1 }].clone();
        }
        let (a, b) = (self.film.times[after - 1], self.film.times[after]);
        let share = if b > a { ((time - a) / (b - a)) as f32 } else { 1.0 };
        all[after - 1].iter().zip(&all[after]).map(|(a, b)| a + share * (b - a)).collect()
    }

    /// Regions and boundary in the inputs' frame.
    fn draw_answers(&self, page: &Page, canvas: &mut dyn Canvas, time: f64) {
        let theme = page.theme;
        let inputs = &self.film.inputs;
        let ([nx, ny], classes) = (inputs.size, inputs.class_names.len());
        let answers = self.answers(time);
        let rect = self.inputs;
        let (width, height) = (rect.w as usize, rect.h as usize);
        let colors: Vec<Color> = (0..classes).map(|c| class_color(theme, c)).collect();
        // Colours are looked up, not mixed, for each pixel: 64 strengths of each class.
        let shades: Vec<Vec<Color>> = colors
            .iter()
            .map(|c| {
                let ground = theme.background;
                // On a dark page half a colour is mud.
                let [least, more] = if theme.name == "dark" { [0.12, 0.68] } else { [0.06, 0.5] };
                (0..64).map(|i| ground.mix(*c, least + more * i as f32 / 63.0)).collect()
            })
            .collect();
        let along = |p: usize, pixels: usize, n: usize| {
            let u = (p as f32 + 0.5) / pixels as f32 * (n - 1) as f32;
            let i = (u as usize).min(n - 2);
            (i, u - i as f32)
        };
        let columns: Vec<(usize, f32)> = (0..width).map(|px| along(px, width, nx)).collect();
        let mut rgba = Vec::with_capacity(4 * width * height);
        for py in 0..height {
            let (j, t) = along(height - 1 - py, height, ny);
            for &(i, s) in &columns {
                let (mut best, mut top, mut sum_bad) = (0, f32::NEG_INFINITY, false);
                for c in 0..classes {
                    let at = |di: usize, dj: usize| answers[(c * ny + j + dj) * nx + i + di];
                    let low = at(0, 0) + s * (at(1, 0) - at(0, 0));
                    let high = at(0, 1) + s * (at(1, 1) - at(0, 1));
                    let p = low + t * (high - low);
                    sum_bad |= p.is_nan();
                    if p > top {
                        (best, top) = (c, p);
                    }
                }
                // From a guess (1 / classes) to certainty.
                let guess = 1.0 / classes as f32;
                let sure = ((top - guess) / (1.0 - guess)).clamp(0.0, 1.0);
                let color = if sum_bad {
                    theme.hatch
                } else {
                    shades[best][(63.0 * sure).round() as usize]
                };
                rgba.extend([color.r, color.g, color.b, 255]);
            }
        }
        canvas.image(&rgba, width as u32, height as u32, rect);
        let line =
            Stroke { cap: Cap::Round, ..Stroke::solid(theme.text, (2.0 * page.px_scale).max(1.1)) };
        // With two classes the boundary of one is that of the other.
        for class in 0..if classes == 2 { 1 } else { classes } {
            let margin = |k: usize| {
                let of = |c: usize| f64::from(answers[c * nx * ny + k]);
                let others = (0..classes).filter(|&c| c != class).map(of);
                of(class) - others.fold(f64::NEG_INFINITY, f64::max)
            };
            let z: Vec<f64> = (0..nx * ny).map(margin).collect();
            if z.iter().any(|v| v.is_nan()) {
                return;
            }
            let field = Field { nx, ny, z };
            for points in contour::loops(&field, 0.0, rect).iter().flat_map(contour::lines) {
                canvas.line(&points, &line);
            }
        }
    }

    /// The data, a shape for each class so that greys can be distinguished.
    fn draw_points(&self, page: &Page, canvas: &mut dyn Canvas) {
        let theme = page.theme;
        // Many points are a texture, few are things: smaller the more there are.
        let count = self.film.inputs.points.len().max(1) as f32;
        let r = (3.4 * page.px_scale * (220.0 / count).sqrt().clamp(0.55, 1.0)).max(1.3);
        for &(x, y, class) in &self.film.inputs.points {
            let (px, py) = self.input_domain.px_from_plane(self.inputs, x, y);
            if self.inputs.contains(px, py, 0.0) {
                draw_mark(canvas, px, py, r + 0.9 * page.px_scale, class, theme.background);
                draw_mark(canvas, px, py, r, class, class_ink(theme, class));
            }
        }
    }

    fn draw_key(&self, page: &Page, canvas: &mut dyn Canvas) {
        let (theme, font) = (page.theme, page.font);
        let names = &self.film.inputs.class_names;
        let style = TextStyle::new(font.small, theme.text);
        let mut x = self.inputs.x;
        let y = self.inputs.bottom() + 1.9 * font.small;
        for (class, name) in names.iter().enumerate() {
            let room = self.inputs.right() - x - 1.2 * font.small;
            let text = style.fit(name, room);
            if text.is_empty() {
                break;
            }
            let r = 0.36 * font.small;
            draw_mark(canvas, x + r, y - 0.36 * font.small, r, class, class_ink(theme, class));
            canvas.text(&text, x + 1.0 * font.small, y, &style);
            x += style.width(&text) + 2.4 * font.small;
        }
    }
}

/// The ink of a class's points: darker than its region on a light page, lighter on a dark one.
fn class_ink(theme: &Theme, class: usize) -> Color {
    if theme.name == "print" {
        return Color::from_oklch([0.2, 0.55, 0.35, 0.7][class % 4], 0.0, 0.0);
    }
    class_color(theme, class).mix(theme.text, 0.22)
}

/// Disc, square, triangle, diamond, in turn.
fn draw_mark(canvas: &mut dyn Canvas, x: f32, y: f32, r: f32, class: usize, color: Color) {
    let closed = |corners: &[(f32, f32)]| {
        let points: Vec<_> = corners.iter().map(|(dx, dy)| (x + r * dx, y + r * dy)).collect();
        polyline(&points)
    };
    let path = match class % 4 {
        0 => return canvas.disc(x, y, r, color),
        1 => closed(&[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]),
        2 => closed(&[(0.0, -1.15), (1.05, 0.75), (-1.05, 0.75)]),
        _ => closed(&[(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)]),
    };
    if let Some(path) = path {
        canvas.fill(&path, color, false);
    }
}

/// The domain of a path without a surface: its extent with a margin.
fn around(panel: &ContourPanel) -> Domain {
    let along = |of: fn(&PathPoint) -> f64| {
        let finite = panel.path.iter().filter(|p| p.x.is_finite() && p.y.is_finite()).map(of);
        let [a, b] =
            finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)]);
        if a < b { (0.5 * a + 0.5 * b, 0.6 * (b - a)) } else { (if a == b { a } else { 0.0 }, 0.5) }
    };
    let ((cx, rx), (cy, ry)) = (along(|p| p.x), along(|p| p.y));
    let half = [rx.max(0.5 * ry), ry.max(0.5 * rx)];
    Domain { x: [cx - half[0], cx + half[0]], y: [cy - half[1], cy + half[1]] }
}

impl Body for Boundary<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (film, inputs, place) = (self.film, self.inputs, &self.place);
        let heading = |canvas: &mut dyn Canvas, [title, subtitle]: [&str; 2], x, y, room| {
            let subtitle = Some(subtitle).filter(|text| !text.is_empty());
            let at = [x, y - 0.8 * page.font.small, 1.4 * page.font.small];
            draw_heading(canvas, page, (title, subtitle), at, room, None);
        };
        let texts = [film.inputs.title.as_str(), film.inputs.subtitle.as_str()];
        heading(canvas, texts, inputs.x, inputs.y, inputs.w);
        self.draw_key(page, canvas);
        let texts = [film.panel.title.as_str(), film.panel.subtitle.as_str()];
        heading(canvas, texts, place.cell.x, place.frame.y, place.cell.w);
        if film.panel.grid.values.is_empty() {
            let axes = Axes::of_panel(&film.panel, self.domain, place, page);
            axes.draw_mesh(canvas);
            axes.draw(canvas);
        } else {
            panel::draw(canvas, &film.panel, place, page, &self.scale, &self.track.pixels());
        }
        if let Some(bar) = self.bar {
            let colors = ColorBar::bands(&film.value_label, &self.scale, page.theme);
            colors.draw_beside_panels(canvas, bar, page);
        }
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let theme = page.theme;
        let time = page.timeline.epoch(frame);
        self.draw_answers(page, canvas, time);
        self.draw_points(page, canvas);
        let border = Stroke::solid(theme.muted, page.px_scale.max(1.0).round());
        canvas.line(&self.inputs.outline(), &border);
        canvas.set_clip(Some(self.place.frame));
        self.track.draw(canvas, time, &Pen::new(page, theme.series_color(0)));
        canvas.set_clip(None);
        page.draw_time(canvas, frame);
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let (film, panel, inputs) = (self.film, &self.film.panel, &self.film.inputs);
        let own =
            [&film.value_label, &panel.title, &panel.subtitle, &panel.x_label, &panel.y_label];
        let own = own.into_iter().chain([&inputs.title, &inputs.subtitle]);
        own.chain(&inputs.class_names).map(String::as_str).collect()
    }
}
