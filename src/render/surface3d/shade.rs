//! What a place looks like: the surface, the floor below it, and what lies on it.
//!
//! Four lights: a key light from the left of the camera whose shadows are soft, a faint fill light
//! from the camera, the sky, of which valleys see less ([`super::horizon`]), and a rim light along what
//! is seen at a grazing angle (Schlick's approximation of Fresnel's law, 1994), which parts a ridge from
//! what lies behind it. Lambert, and a glint of two widths after Blinn and Phong (Blinn 1977), all in
//! linear light; what would be lighter than the page is bent below white, so that its colour stays.

use super::camera::{Camera, Viewpoint};
use super::heightfield::{HeightField, Mark};
use super::horizon::LightMap;
use super::paint::{Light, Paint, blend};
use super::vec3::{Vec3, add, dot, scale, sub, unit};

/// The direction of the key light from the camera, in radians: to the left, a little behind the object.
const KEY_TURN: f32 = -1.92;
/// How high it is.
const KEY_ELEVATION: f32 = 0.72;
/// Strengths.
const KEY: f32 = 1.06;
const FILL: f32 = 0.27;
const SKY: f32 = 0.36;
const RIM: f32 = 0.22;
const GLINT: f32 = 0.26;
const SHEEN: f32 = 0.07;

/// Light bent below white: straight up to three quarters, then ever flatter.
#[inline]
fn shoulder(light: f32) -> f32 {
    const FROM: f32 = 0.75;
    if light <= FROM {
        return light;
    }
    let over = (light - FROM) / (1.0 - FROM);
    FROM + (1.0 - FROM) * over / (1.0 + over)
}

/// How much of the page's colour interpolated places have.
const PALE: f32 = 0.42;
/// How much fainter the contour lines of an interpolated surface are.
const FAINT: f32 = 0.7;

/// How a small step on the screen moves `(u, v)`: du/dx, dv/dx, du/dy, dv/dy in pixels.
pub type Steps = [f32; 4];

/// The lights of a view.
#[derive(Debug, Clone, Copy)]
pub struct Lamps {
    key: Vec3,
    fill: Vec3,
    /// Azimuth and elevation of the key light.
    pub angles: [f32; 2],
}

impl Lamps {
    /// The lights that go with `view`.
    pub fn new(view: &Viewpoint) -> Self {
        let azimuth = view.azimuth + KEY_TURN;
        let flat = KEY_ELEVATION.cos();
        let key = [flat * azimuth.cos(), flat * azimuth.sin(), KEY_ELEVATION.sin()];
        let fill = unit([view.azimuth.cos(), view.azimuth.sin(), 0.5]);
        Self { key, fill, angles: [azimuth, KEY_ELEVATION] }
    }
}

/// Something that can be shaded: one panel from one view.
pub struct Shader<'a> {
    /// The surface.
    pub field: &'a HeightField,
    /// Its sky and light.
    pub light: &'a LightMap,
    /// Its colours.
    pub paint: &'a Paint,
    /// How far it is from one that was evaluated, 0 to 1.
    pub between: f32,
    /// The view.
    pub camera: &'a Camera,
    /// The lights.
    pub lamps: Lamps,
    /// Pixels a design pixel.
    pub px_scale: f32,
    /// The distance of two stripes of a hatching in box units.
    pub stripes: f32,
}

impl Shader<'_> {
    /// The surface at `(u, v)`, from above or from below; lines are drawn where `steps` are known.
    #[inline]
    pub fn surface(&self, u: f32, v: f32, above: bool, steps: Option<Steps>) -> Light {
        let field = self.field;
        let [t, dx, dy, place] = field.at(u, v);
        let normal = unit([-dx, -dy, 1.0]);
        let normal = if above { normal } else { scale(normal, -1.0) };
        let mut color = self.paint.sheet(t, place);
        let mut gloss = 1.0;
        let mark = if field.has_marks() { field.mark(u, v) } else { Mark::Plain };
        match mark {
            Mark::Hole => return self.hatched(self.paint.page, u, v, steps),
            Mark::Interpolated => {
                color = blend(color, self.paint.page, PALE);
                gloss = 0.0;
            }
            Mark::Plain if t > 1.0 => {
                color = self.hatched(self.paint.cap, u, v, steps);
                gloss = 0.0;
            }
            Mark::Plain => {}
        }
        if self.between > 0.0 {
            // As interpolated cells are: a whole surface that nobody evaluated.
            color = blend(color, self.paint.page, PALE * self.between);
            gloss *= 1.0 - self.between;
        }
        // From below there is no sky but the floor's reflection, and little of the key light.
        let [sky, key] = if above { self.light.at(u, v) } else { [0.95, 0.45] };
        let point = field.point(u, v, field.height(t));
        let lit = self.lit(color, normal, point, sky, key, gloss);
        match steps {
            Some([ux, vx, uy, vy]) => {
                // dt/du from the slopes; the cap is level in z but not in t, and has no lines.
                let rise = 1.0 / (field.height(1.0) - field.height(0.0));
                let (tu, tv) = (2.0 * field.half[0] * dx * rise, 2.0 * field.half[1] * dy * rise);
                let (tx, ty) = (tu * ux + tv * vx, tu * uy + tv * vy);
                let slope = (tx * tx + ty * ty).sqrt();
                let ink =
                    if t > 1.0 { 0.0 } else { self.paint.line(t, slope, 0.9 * self.px_scale) };
                blend(lit, self.paint.ink, ink * (1.0 - FAINT * self.between))
            }
            None => lit,
        }
    }

    /// The thin side of the sheet at its border.
    pub fn rim(&self, u: f32, v: f32) -> Light {
        let [t, _, _, place] = self.field.at(u, v);
        scale(self.paint.sheet(t, place), 0.55)
    }

    /// The floor at `(u, v)`: a pale map with its lines.
    #[inline]
    pub fn floor(&self, u: f32, v: f32, steps: Steps) -> Light {
        let field = self.field;
        let [t, dx, dy, place] = field.at(u, v);
        if field.has_marks() && field.mark(u, v) == Mark::Hole {
            return self.hatched(self.paint.page, u, v, Some(steps));
        }
        let rise = 1.0 / (field.height(1.0) - field.height(0.0));
        let (tu, tv) = (2.0 * field.half[0] * dx * rise, 2.0 * field.half[1] * dy * rise);
        let [ux, vx, uy, vy] = steps;
        let (tx, ty) = (tu * ux + tv * vx, tu * uy + tv * vy);
        let color = if t > 1.0 {
            blend(self.paint.page, self.paint.cap, 0.5)
        } else {
            self.paint.floor(t, place)
        };
        let ink = if t > 1.0 {
            0.0
        } else {
            self.paint.line(t, (tx * tx + ty * ty).sqrt(), 0.9 * self.px_scale)
        };
        let color = blend(color, self.paint.page, PALE * self.between);
        blend(color, self.paint.ink, 0.7 * ink * (1.0 - FAINT * self.between))
    }

    /// Something of `color` at `point` with `normal`, seen from the eye.
    #[inline]
    pub fn lit(
        &self,
        color: Light,
        normal: Vec3,
        point: Vec3,
        sky: f32,
        key: f32,
        gloss: f32,
    ) -> Light {
        let facing = dot(normal, self.lamps.key).max(0.0);
        let fill = dot(normal, self.lamps.fill).max(0.0);
        let up = if normal[2] < 0.0 { 0.62 } else { 0.62 + 0.38 * normal[2] };
        // Valleys are darker, but the light that their own walls throw back leaves them their colour.
        let sky = (0.28 + 0.72 * sky) * up;
        let key = KEY * key * (0.40 + 0.60 * sky);
        let eye = unit(sub(self.camera.eye, point));
        let mut shine = 0.0;
        if gloss * key * facing > 0.0 {
            let half = unit(add(eye, self.lamps.key));
            let glance = dot(normal, half).max(0.0);
            let p2 = glance * glance;
            let p4 = p2 * p2;
            let p8 = p4 * p4;
            let p16 = p8 * p8;
            let narrow = p16 * p16 * p16;
            shine = gloss * key * (GLINT * narrow + SHEEN * p8) * (4.0 * facing).min(1.0);
        }
        let graze = 1.0 - dot(normal, eye).abs().min(1.0);
        let graze = graze * graze * graze;
        let rim = RIM * graze * (0.35 + 0.65 * sky);
        // A warm key light and a cool sky.
        const WARM: Light = [1.04, 1.0, 0.93];
        const COOL: Light = [0.92, 1.0, 1.10];
        let (key, cool, fill) = (key * facing, SKY * sky + rim, FILL * fill * sky);
        let mut lit = [0.0; 3];
        for k in 0..3 {
            lit[k] = shoulder(color[k] * (key * WARM[k] + cool * COOL[k] + fill) + shine);
        }
        lit
    }

    /// A solid of `color`: its normal from the two numbers it carries (camera right and up).
    pub fn solid(&self, color: Light, right: f32, up: f32) -> Light {
        let camera = self.camera;
        let toward = (1.0 - right * right - up * up).max(0.0).sqrt();
        let normal = add(
            add(scale(camera.right, right), scale(camera.up, up)),
            scale(camera.forward, -toward),
        );
        // A line says who it is by its colour: it is never darker than three quarters of that.
        let facing = 0.5 + 0.5 * dot(normal, self.lamps.key);
        let half = unit(sub(self.lamps.key, camera.forward));
        let glance = dot(normal, half).max(0.0).powi(32);
        std::array::from_fn(|k| shoulder(color[k] * (0.75 + 0.40 * facing) + 0.45 * glance))
    }

    /// `ground` with stripes across the plane.
    fn hatched(&self, ground: Light, u: f32, v: f32, steps: Option<Steps>) -> Light {
        let period = self.stripes;
        let [hx, hy] = self.field.half;
        let place = (u * 2.0 * hx + v * 2.0 * hy) / period;
        let slope = steps.map_or(0.3, |[ux, vx, uy, vy]| {
            let (x, y) = ((ux * hx + vx * hy) * 2.0 / period, (uy * hx + vy * hy) * 2.0 / period);
            (x * x + y * y).sqrt()
        });
        let from_stripe = (place - place.round()).abs();
        // A stripe is a sixth of the period; where stripes get finer than pixels, their mean.
        let crisp = ((0.09 - from_stripe) / slope.max(1e-4) + 0.5).clamp(0.0, 1.0);
        let ink = crisp + (0.18 - crisp) * ((slope - 0.25) / 0.25).clamp(0.0, 1.0);
        blend(ground, self.paint.hatch, 0.8 * ink)
    }
}
