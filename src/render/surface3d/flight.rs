//! How the camera moves: keys along the film, and the views between them.
//!
//! A key says from where the box is seen (azimuth, elevation, distance), how much the camera looks
//! at the marker instead of the middle of the box, and how much it flies with the marker: above and
//! behind it. Between keys every number runs along a monotone cubic (`map::pchip`).

use std::path::Path;

use serde::Deserialize;

use super::camera::Viewpoint;
use super::camera::middle;
use super::heightfield::HeightField;
use super::vec3::{Vec3, add, lerp, scale};
use crate::disk;
use crate::error::{Error, Result};
use crate::render::map::pchip::Pchip;

/// The camera at one moment of the film.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Key {
    /// When: 0 is the first frame, 1 the last.
    pub at: f64,
    /// From which side, in degrees: -90 has x to the right and y into the picture.
    pub azimuth: f64,
    /// From how high, in degrees: 90 from straight above.
    pub elevation: f64,
    /// From how far: at 1 the whole box fills the picture.
    pub distance: f64,
    /// At what: 0 the middle of the box, 1 the marker (without a path, the lowest point).
    pub look: f64,
    /// 0 is beside the box, 1 flies above and behind the marker.
    pub follow: f64,
}

impl Default for Key {
    fn default() -> Self {
        Self { at: 0.0, azimuth: -112.0, elevation: 27.0, distance: 1.0, look: 0.0, follow: 0.0 }
    }
}

/// The camera's keys, in order of time; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraPath {
    keys: Vec<Key>,
    /// Whether azimuths and elevations count from a standing view that is still to be chosen.
    relative: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    key: Vec<Key>,
}

impl CameraPath {
    /// The names that [`CameraPath::preset`] knows.
    pub const PRESETS: [&'static str; 5] = ["still", "sway", "orbit", "fly-in", "follow"];

    /// A way by name, around a standing view that [`CameraPath::placed`] chooses.
    /// Errors: [`Error::UnknownName`] with the known ones.
    pub fn preset(name: &str) -> Result<Self> {
        let base = Key { azimuth: 0.0, elevation: 0.0, ..Key::default() };
        let by = |at: f64, turn: f64| Key { at, azimuth: turn, ..base };
        let keys = match name {
            "still" => vec![base],
            // Ends where the standing view is: the last picture is the poster.
            "sway" => vec![by(0.0, -34.0), by(0.12, -32.0), by(0.86, -1.0), by(1.0, 0.0)],
            "orbit" => vec![base, by(1.0, 360.0)],
            // From afar, round and down to where the whole box fills its window: nothing of it is cut off.
            "fly-in" => vec![
                Key { elevation: 22.0, distance: 2.1, ..by(0.0, -80.0) },
                Key { elevation: 8.0, distance: 1.35, ..by(0.4, -34.0) },
                by(0.8, -2.0),
                by(1.0, 0.0),
            ],
            "follow" => vec![
                by(0.0, -44.0),
                Key { follow: 1.0, ..by(0.14, -38.0) },
                // Back beside the box before the film comes to rest: the whole path is seen at its end.
                Key { follow: 1.0, ..by(0.58, -26.0) },
                by(0.74, -20.0),
                by(1.0, 0.0),
            ],
            _ => return Err(Error::unknown_name("camera", name, &Self::PRESETS)),
        };
        Ok(Self { keys, relative: true })
    }

    /// Whether it flies with the marker somewhere on its way.
    pub fn follows(&self) -> bool {
        self.keys.iter().any(|key| key.follow > 0.0)
    }

    /// The end of the way alone: a still needs room for one view and not for the whole way.
    pub fn ending(&self) -> Self {
        let last = self.keys[self.keys.len() - 1];
        Self { keys: vec![Key { at: 0.0, ..last }], ..self.clone() }
    }

    /// The same way around a view from `azimuth` and `elevation` (degrees); a way through keys of
    /// one's own stays as it is.
    pub fn placed(&self, azimuth: f64, elevation: f64) -> Self {
        let mut placed = self.clone();
        for key in placed.keys.iter_mut().filter(|_| self.relative) {
            key.azimuth += azimuth;
            // From straight above heights cannot be seen: a way around the view stays below that.
            let most = if key.elevation > 0.0 { 64f64.max(elevation) } else { 89.0 };
            key.elevation = (key.elevation + elevation).clamp(3.0, most);
        }
        Self { relative: false, ..placed }
    }

    /// The way through `keys`.
    ///
    /// Errors: [`Error::BadValue`] when there is none, when times do not increase within 0 to 1,
    /// and on numbers out of range.
    pub fn new(keys: Vec<Key>) -> Result<Self> {
        let bad = |name: &str, value: f64, remedy: &str| {
            Err(Error::bad_value(name, value, "out of range", remedy))
        };
        if keys.is_empty() {
            return Err(Error::bad_value(
                "camera keys",
                0,
                "a camera without a key",
                "write at least one [[key]]",
            ));
        }
        let mut before = -1.0;
        for key in &keys {
            if !(key.at > before && (0.0..=1.0).contains(&key.at)) {
                return bad(
                    "at",
                    key.at,
                    "times run from 0 (first frame) to 1 (last) and increase",
                );
            }
            before = key.at;
            if !(-36_000.0..=36_000.0).contains(&key.azimuth) {
                return bad("azimuth", key.azimuth, "write degrees, at most a hundred turns");
            }
            if !(3.0..=89.0).contains(&key.elevation) {
                return bad("elevation", key.elevation, "write 3 to 89 degrees");
            }
            if !(0.3..=5.0).contains(&key.distance) {
                return bad("distance", key.distance, "write 0.3 to 5; 1 shows the whole box");
            }
            for (name, value) in [("look", key.look), ("follow", key.follow)] {
                if !(0.0..=1.0).contains(&value) {
                    return bad(name, value, "write 0 to 1");
                }
            }
        }
        Ok(Self { keys, relative: false })
    }

    /// The way written in `text`: tables `[[key]]` with `at`, `azimuth`, `elevation`, `distance`,
    /// `look`, `follow`, each of which may be left out.
    ///
    /// Errors: [`Error::Render`] on what is not such a text, and those of [`CameraPath::new`].
    pub fn parse(text: &str) -> Result<Self> {
        let table: Table = toml::from_str(text).map_err(|e| Error::Render {
            what: format!("the camera's keys cannot be read: {}", e.message()),
            remedy: "write tables [[key]] with at, azimuth, elevation, distance, look, follow"
                .into(),
        })?;
        Self::new(table.key)
    }

    /// The way in the file `path`. Errors: [`Error::Io`], and those of [`CameraPath::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&disk::read_named_text(path, "read the camera")?)
    }

    /// The numbers at a share of the film.
    pub fn at(&self, share: f64) -> Key {
        let times: Vec<f64> = self.keys.iter().map(|k| k.at).collect();
        let along = |of: fn(&Key) -> f64| {
            let values: Vec<f64> = self.keys.iter().map(of).collect();
            Pchip::new(&times, &values).at(share)
        };
        Key {
            at: share,
            azimuth: along(|k| k.azimuth),
            elevation: along(|k| k.elevation),
            distance: along(|k| k.distance),
            look: along(|k| k.look),
            follow: along(|k| k.follow),
        }
    }

    /// Views for fitting the box into the picture: those beside it, at distance 1.
    pub fn overviews(&self, middle: Vec3) -> Vec<Viewpoint> {
        const PARTS: usize = 96;
        let keys: Vec<Key> = (0..=PARTS).map(|i| self.at(i as f64 / PARTS as f64)).collect();
        let beside = |k: &&Key| k.follow < 0.02 && k.look < 0.02 && k.distance <= 1.02;
        let around = |k: &Key| Viewpoint::around(middle, k.azimuth as f32, k.elevation as f32, 1.0);
        let views: Vec<Viewpoint> = keys.iter().filter(beside).map(around).collect();
        if views.is_empty() { vec![around(&keys[PARTS])] } else { views }
    }
}

/// A film's way over one surface, made ready.
pub struct Flight {
    keys: Vec<Key>,
    middle: Vec3,
    /// Marker, and the eye and target above and behind it, at even times.
    stations: Vec<[Vec3; 3]>,
}

/// Even times at which the marker's company is worked out.
const STATIONS: usize = 480;

impl Flight {
    /// The way over the surface in `frames` frames; `field` and `marker` are what it is and where the
    /// marker is at a share of the film.
    pub fn new<'f>(
        path: &CameraPath,
        field: impl Fn(f64) -> &'f HeightField,
        frames: usize,
        marker: impl Fn(f64) -> [f32; 2],
    ) -> Self {
        let middle = middle(field(0.0).relief);
        let share = |f: usize| f as f64 / frames.saturating_sub(1).max(1) as f64;
        let keys: Vec<Key> = match &path.keys[..] {
            [one] => vec![Key { ..*one }],
            _ if frames == 1 => vec![path.at(1.0)],
            _ => (0..frames).map(|f| path.at(share(f))).collect(),
        };
        let shares = (0..STATIONS).map(|i| i as f64 / (STATIONS - 1) as f64);
        let places: Vec<_> = shares.map(|share| (field(share), marker(share))).collect();
        Self { keys, middle, stations: stations(&places) }
    }

    /// The view of `frame`, and its share of the film.
    pub fn view(&self, frame: usize, share: f64) -> Viewpoint {
        let key = &self.keys[frame.min(self.keys.len() - 1)];
        let x = (share.clamp(0.0, 1.0) * (STATIONS - 1) as f64) as f32;
        let i = (x as usize).min(STATIONS - 2);
        let station = |k: usize| lerp(self.stations[i][k], self.stations[i + 1][k], x - i as f32);
        let target = lerp(self.middle, station(0), key.look as f32);
        let (azimuth, elevation) = (key.azimuth as f32, key.elevation as f32);
        let beside = Viewpoint::around(target, azimuth, elevation, key.distance as f32);
        if key.follow <= 0.0 {
            return beside;
        }
        // Wide-angled: from near, the ground rushes by.
        let with =
            Viewpoint { eye: station(1), target: station(2), lens: 0.42, follow: 1.0, ..beside };
        let t = key.follow as f32;
        beside.towards(&with, t * t * (3.0 - 2.0 * t))
    }
}

/// The marker, and an eye and a target that go with it, at each of `places`.
fn stations(places: &[(&HeightField, [f32; 2])]) -> Vec<[Vec3; 3]> {
    let n = places.len();
    let marker: Vec<Vec3> = places.iter().map(|(field, [u, v])| field.surface(*u, *v)).collect();
    let axis = |k: usize| marker.iter().map(|p| p[k]).collect::<Vec<f32>>();
    let (x, y) = (smooth(&axis(0), 20.0), smooth(&axis(1), 20.0));
    // Where it is going, over a tenth of the film: jitter does not turn the camera.
    let mut angle: Vec<Option<f32>> = (0..n)
        .map(|i| {
            let (a, b) = (i.saturating_sub(24), (i + 24).min(n - 1));
            let (dx, dy) = (x[b] - x[a], y[b] - y[a]);
            (dx.hypot(dy) > 2e-3).then(|| dy.atan2(dx))
        })
        .collect();
    // Standing still it looks where it last went (at the start: where it will go).
    let mut last = angle.iter().flatten().next().copied().unwrap_or(2.1);
    for a in &mut angle {
        last = *a.get_or_insert(last);
    }
    let mut unwrapped: Vec<f32> = angle.into_iter().flatten().collect();
    for i in 1..n {
        let turn = unwrapped[i] - unwrapped[i - 1];
        unwrapped[i] = unwrapped[i - 1] + turn
            - (turn / std::f32::consts::TAU).round() * std::f32::consts::TAU;
    }
    // Where the path hardly moves the camera circles around the marker: a film never stands.
    let circling = |(i, angle): (usize, f32)| angle + CIRCLED * (i as f32 / (n - 1) as f32 - 0.5);
    let heading: Vec<f32> =
        smooth(&unwrapped, 16.0).into_iter().enumerate().map(circling).collect();
    let z = smooth(&axis(2), 6.0);
    let company: Vec<(Vec3, Vec3, f32)> = (0..n)
        .map(|i| {
            let ahead = [heading[i].cos(), heading[i].sin(), 0.0];
            let at = [x[i], y[i], z[i]];
            let field = places[i].0;
            // How steeply one must look down to see the marker over whatever lies between.
            let mut pitch = 0.55f32;
            for k in 1..=12 {
                let away = 0.09 * k as f32;
                let p = add(at, scale(ahead, -away));
                let (u, v) =
                    (0.5 * (p[0] / field.half[0] + 1.0), 0.5 * (p[1] / field.half[1] + 1.0));
                if (0.0..=1.0).contains(&u) && (0.0..=1.0).contains(&v) {
                    let clear = field.surface(u, v)[2] + 0.05 + 0.08 * away;
                    pitch = pitch.max((clear - at[2]).atan2(away)).min(1.30);
                }
            }
            (at, ahead, pitch)
        })
        .collect();
    // The steepest of the neighbours first: smoothing may not dip into a hill.
    let steepest = |i: usize| {
        let around = &company[i.saturating_sub(10)..(i + 11).min(n)];
        around.iter().map(|c| c.2).fold(0.0, f32::max)
    };
    let pitch = smooth(&(0..n).map(steepest).collect::<Vec<f32>>(), 12.0);
    (0..n)
        .map(|i| {
            let (at, ahead, _) = company[i];
            let (sin, cos) = pitch[i].sin_cos();
            let eye = add(add(at, scale(ahead, -AWAY * cos)), [0.0, 0.0, AWAY * sin]);
            // Looking a little ahead, less so from above.
            [marker[i], eye, add(at, scale(ahead, 0.25 * cos))]
        })
        .collect()
}

/// How far the camera that follows is from the marker.
const AWAY: f32 = 1.25;
/// By how much it circles around the marker over a whole film, in radians.
const CIRCLED: f32 = 1.6;

/// A Gaussian mean over `sigma` entries; the ends count on.
fn smooth(values: &[f32], sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma) as isize;
    let weights: Vec<f32> =
        (-reach..=reach).map(|d| (-0.5 * (d as f32 / sigma).powi(2)).exp()).collect();
    let total: f32 = weights.iter().sum();
    let last = values.len() as isize - 1;
    (0..=last)
        .map(|i| {
            let around = (-reach..=reach).map(|d| values[(i + d).clamp(0, last) as usize]);
            around.zip(&weights).map(|(v, w)| v * w).sum::<f32>() / total
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_what_is_wrong_with_them_is_said() {
        let text =
            "[[key]]\nazimuth = 10\n[[key]]\nat = 1\nazimuth = 90\nelevation = 45\nfollow = 0.5";
        let path = CameraPath::parse(text).unwrap();
        let middle = path.at(0.5);
        assert_eq!((middle.azimuth, middle.elevation, middle.follow), (50.0, 36.0, 0.25));
        let refusal = |text: &str| CameraPath::parse(text).unwrap_err().to_string();
        assert!(refusal("[[key]]\nat = 0.5\n[[key]]\nat = 0.5").contains("increase"));
        assert!(refusal("[[key]]\nelevation = 95").contains("3 to 89"));
        assert!(refusal("[[key]]\ndistance = nan").contains("0.3 to 5"));
        assert!(refusal("[[key]]\nazimut = 1").contains("azimuth"));
        assert!(refusal("key = []").contains("[[key]]"));
        let unknown = CameraPath::preset("orbti").unwrap_err().to_string();
        assert!(unknown.contains("did you mean `orbit`?"), "{unknown}");
    }

    #[test]
    fn a_camera_that_follows_stays_above_ground_and_sees_the_ball() {
        use crate::render::page::scale::LevelScale;
        use crate::render::scene::{ContourPanel, Grid, PathPoint};
        use crate::render::surface3d::trail::Trail;
        use crate::render::surface3d::viewpoint;

        // Hills and hollows of all sizes, and a path through the hollows and over the hills.
        let xs: Vec<f64> = (0..51).map(|i| f64::from(i) / 25.0 - 1.0).collect();
        let hills = |x: f64, y: f64| {
            (1.5 * (5.0 * x).sin() * (4.0 * y).cos() + (11.0 * x + 7.0 * y).sin() - x).exp()
        };
        let values = xs.iter().flat_map(|&y| xs.iter().map(move |&x| hills(x, y))).collect();
        let path = (0..40).map(|i| {
            let t = f64::from(i) / 39.0;
            let (x, y) = (1.6 * t - 0.8, 0.7 * (6.0 * t).sin());
            PathPoint { epoch: t, time: t, x, y, true_loss: 1.0, lr: 0.1, ..PathPoint::default() }
        });
        let grid = Grid { xs: xs.clone(), ys: xs, values, interpolated: None };
        let panel = ContourPanel { grid, path: path.collect(), ..Default::default() };
        let scale = LevelScale::new(panel.grid.values.iter().copied());
        let field = HeightField::new(&panel, &scale, 1.35);
        let trail = Trail::new(&panel, &field, &scale);
        let way = CameraPath::preset("follow").unwrap().placed(-112.0, 27.0);
        let marker = |share: f64| trail.at(share).unwrap();
        let flight = Flight::new(&way, |_| &field, 300, marker);
        let (mut seen, mut following) = (0, 0);
        for frame in 0..300 {
            let share = f64::from(frame) / 299.0;
            let view = flight.view(frame as usize, share);
            let place = |p: Vec3, k: usize| 0.5 * (p[k] / field.half[k] + 1.0);
            let (u, v) = (place(view.eye, 0), place(view.eye, 1));
            if (0.0..=1.0).contains(&u) && (0.0..=1.0).contains(&v) {
                // Nothing nearer than this is drawn: the ground must not come there.
                let above = view.eye[2] - field.surface(u, v)[2];
                assert!(above > 0.15, "frame {frame}: {above} above the ground");
            }
            if view.follow > 0.9 {
                let [u, v] = marker(share);
                let top = add(field.surface(u, v), [0.0, 0.0, 0.05]);
                following += 1;
                seen += i32::from(viewpoint::visible(&field, top, view.eye));
            }
        }
        assert!(following > 150 && seen >= following * 97 / 100, "{seen} of {following}");
    }

    #[test]
    fn a_camera_that_follows_moves_in_every_second_though_the_path_stands() {
        use crate::render::page::scale::LevelScale;
        use crate::render::scene::{ContourPanel, Grid};
        use crate::render::surface3d::vec3::{norm, sub};

        let xs: Vec<f64> = (0..21).map(|i| f64::from(i) / 10.0 - 1.0).collect();
        let bowl = xs.iter().flat_map(|&y| xs.iter().map(move |&x| 0.1 + x * x + y * y));
        let grid = Grid { values: bowl.collect(), ys: xs.clone(), xs, interpolated: None };
        let panel = ContourPanel { grid, ..Default::default() };
        let scale = LevelScale::new(panel.grid.values.iter().copied());
        let field = HeightField::new(&panel, &scale, 1.35);
        let way = CameraPath::preset("follow").unwrap().placed(-112.0, 27.0);
        // All of the way in the first fifth of the film, as of most runs by the epoch.
        let marker = |share: f64| {
            let t = (5.0 * share).min(1.0) as f32;
            [0.9 - 0.4 * t, 0.9 - 0.4 * t]
        };
        let flight = Flight::new(&way, |_| &field, 300, marker);
        let eye = |frame: usize| flight.view(frame, frame as f64 / 299.0).eye;
        for frame in 0..270 {
            let moved: f32 = (frame..frame + 30).map(|f| norm(sub(eye(f + 1), eye(f)))).sum();
            assert!(moved > 0.12, "{moved} in the second from frame {frame}");
            let jump = norm(sub(eye(frame + 1), eye(frame)));
            assert!(jump < 0.5, "{jump} at frame {frame}");
        }
    }

    #[test]
    fn a_way_s_ending_is_its_last_view() {
        for name in CameraPath::PRESETS {
            let way = CameraPath::preset(name).unwrap();
            let ending = way.ending().placed(-58.0, 30.0);
            let last = way.placed(-58.0, 30.0).at(1.0);
            assert_eq!(Key { at: 1.0, ..ending.at(0.3) }, last, "{name}");
        }
    }

    #[test]
    fn all_presets_keep_to_the_rules_for_keys() {
        for name in CameraPath::PRESETS {
            let preset = CameraPath::preset(name).unwrap().placed(-58.0, 30.0);
            assert!(CameraPath::new(preset.keys).is_ok(), "{name}");
        }
    }
}
