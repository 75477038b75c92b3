//! One panel from one view: project, rasterise tile by tile, shade.

use super::camera::{Camera, Viewpoint};
use super::glass::Glass;
use super::heightfield::{HeightField, Mark};
use super::horizon::LightMap;
use super::paint::{ENCODER, Light, Paint};
use super::shade::{Lamps, Shader, Steps};
use super::solids::Solids;
use super::vec3::dot;
use super::zbuffer::{Pixel, SAMPLES, Tile, Vertex};

/// Rows and columns of a tile: what its samples take stays in a core's own cache.
const ROWS: usize = 32;
const COLUMNS: usize = 256;
/// Quads a side of the blocks that are left out of a tile together: small, as what straddles two
/// tiles is set up twice.
const BLOCK: usize = 4;
/// How thick the sheet is at its border, where that is more than a line of the hatching.
const THICKNESS: f32 = 0.010;

/// What samples belong to; solids follow from [`SOLID`] on.
const ABOVE: u32 = 1;
const BELOW: u32 = 2;
const RIM: u32 = 3;
const SOLID: u32 = 4;

/// Everything there is to see.
pub struct Subject<'a> {
    /// The surface.
    pub field: &'a HeightField,
    /// Its sky and light.
    pub light: &'a LightMap,
    /// Colours.
    pub paint: &'a Paint,
    /// How far the surface is from one that was evaluated, 0 to 1.
    pub between: f32,
    /// What lies on it.
    pub solids: &'a Solids,
    /// The colours of the solids' materials.
    pub materials: &'a [Light],
    /// Pixels a design pixel.
    pub px_scale: f32,
    /// About how wide the mesh's quads are, in box units.
    pub quad: f32,
    /// The distance of two stripes of a hatching in box units.
    pub stripes: f32,
    /// Where the near side of the surface is thinned.
    pub glass: Option<&'a Glass>,
    /// Whether there is a floor with the surface's map on it.
    pub floor: bool,
}

/// A mesh of corners on the screen.
struct Mesh {
    columns: usize,
    rows: usize,
    corners: Vec<Vertex>,
    /// Heights of the corners.
    heights: Vec<f32>,
    /// Left, top, right and bottom of each block of quads in pixels, row-major.
    blocks: Vec<[f32; 4]>,
    /// By the first corner of each quad whether it is a hole; empty where none is.
    holes: Vec<bool>,
}

impl Mesh {
    fn new(field: &HeightField, camera: &Camera, [sx, sy]: [usize; 2]) -> Self {
        let [nx, ny] = field.nodes;
        let (columns, rows) = ((nx - 1) / sx + 1, (ny - 1) / sy + 1);
        let mut corners = Vec::with_capacity(columns * rows);
        let mut heights = Vec::with_capacity(columns * rows);
        for iy in 0..rows {
            for ix in 0..columns {
                let ([u, v], t) = field.node(ix * sx, iy * sy);
                let point = field.point(u, v, field.height(t));
                heights.push(point[2]);
                let seen = camera.project(point);
                corners.push(seen.map_or(Vertex::default(), |p| Vertex::new(p, [u, v])));
            }
        }
        let blocks_of = |n: usize| (n - 1).div_ceil(BLOCK);
        let mut blocks = Vec::with_capacity(blocks_of(columns) * blocks_of(rows));
        for by in 0..blocks_of(rows) {
            for bx in 0..blocks_of(columns) {
                let rows = by * BLOCK..=((by + 1) * BLOCK).min(rows - 1);
                let range = bounds(rows.flat_map(|iy| {
                    let row = &corners[iy * columns..];
                    &row[bx * BLOCK..=((bx + 1) * BLOCK).min(columns - 1)]
                }));
                blocks.push(range);
            }
        }
        let half = [0.5 * sx as f32 / (nx - 1) as f32, 0.5 * sy as f32 / (ny - 1) as f32];
        let hole = |i: usize| {
            let ([u, v], _) = field.node(i % columns * sx, i / columns * sy);
            field.mark((u + half[0]).min(1.0), (v + half[1]).min(1.0)) == Mark::Hole
        };
        let holes =
            if field.has_marks() { (0..columns * rows).map(hole).collect() } else { Vec::new() };
        Self { columns, rows, corners, heights, blocks, holes }
    }

    /// Whether the quad with its first corner `i` is glass.
    fn is_glass(&self, i: usize, glass: &Glass) -> bool {
        let [a, c] = [&self.corners[i], &self.corners[i + self.columns + 1]];
        let z = 0.5 * (self.heights[i] + self.heights[i + self.columns + 1]);
        let depth = 2.0 / (a.inverse + c.inverse);
        glass.removes(0.5 * (a.x + c.x), 0.5 * (a.y + c.y), depth, z)
    }

    fn draw(&self, tile: &mut Tile, without: Option<&Glass>) {
        let bounds = tile.bounds();
        let across = (self.columns - 1).div_ceil(BLOCK);
        for (k, block) in self.blocks.iter().enumerate() {
            if !touch(*block, bounds) {
                continue;
            }
            let (bx, by) = (k % across * BLOCK, k / across * BLOCK);
            for iy in by..(by + BLOCK).min(self.rows - 1) {
                for ix in bx..(bx + BLOCK).min(self.columns - 1) {
                    let i = iy * self.columns + ix;
                    let hole = self.holes.get(i).copied().unwrap_or(false);
                    if hole || without.is_some_and(|glass| self.is_glass(i, glass)) {
                        continue;
                    }
                    let (a, b) = (&self.corners[i], &self.corners[i + 1]);
                    let (c, d) =
                        (&self.corners[i + self.columns + 1], &self.corners[i + self.columns]);
                    // The diagonal changes from quad to quad: no grain in one direction.
                    let even = (ix + iy) % 2 == 0;
                    for [p, q, r] in
                        if even { [[a, b, c], [a, c, d]] } else { [[a, b, d], [b, c, d]] }
                    {
                        tile.triangle(p, q, r, ABOVE, BELOW);
                    }
                }
            }
        }
    }
}

/// The border of the sheet as a strip of small height.
fn rim(
    field: &HeightField,
    camera: &Camera,
    [sx, sy]: [usize; 2],
    thickness: f32,
) -> Vec<[Vertex; 2]> {
    let [nx, ny] = field.nodes;
    let bottom = (0..nx).step_by(sx).map(|ix| (ix, 0));
    let right = (0..ny).step_by(sy).map(|iy| (nx - 1, iy));
    let top = (0..nx).step_by(sx).rev().map(|ix| (ix, ny - 1));
    let left = (0..ny).step_by(sy).rev().map(|iy| (0, iy));
    bottom
        .chain(right)
        .chain(top)
        .chain(left)
        .map(|(ix, iy)| {
            let ([u, v], t) = field.node(ix, iy);
            if field.has_marks() && field.mark(u, v) == Mark::Hole {
                return [Vertex::default(); 2];
            }
            let z = field.height(t);
            [z, z - thickness].map(|z| {
                let seen = camera.project(field.point(u, v, z));
                seen.map_or(Vertex::default(), |p| Vertex::new(p, [u, v]))
            })
        })
        .collect()
}

/// Solids on the screen: their corners, and where each [`RUN`] of their triangles is.
struct Projected {
    corners: Vec<Vertex>,
    bounds: Vec<[f32; 4]>,
}

/// Triangles of solids that are left out of a tile together.
const RUN: usize = 48;

impl Projected {
    fn new(solids: &Solids, camera: &Camera) -> Self {
        let corner = |(p, n): &_| {
            let seen = camera.project(*p);
            let carried = [dot(*n, camera.right), dot(*n, camera.up)];
            seen.map_or(Vertex::default(), |p| Vertex::new(p, carried))
        };
        let corners: Vec<Vertex> = solids.corners.iter().map(corner).collect();
        let bounds = solids.triangles.chunks(RUN).map(|run| {
            let of_run = run.iter().flat_map(|(triangle, _)| triangle);
            bounds(of_run.map(|&i| &corners[i as usize]))
        });
        let bounds = bounds.collect();
        Self { corners, bounds }
    }
}

/// Left, top, right and bottom of the corners that can be seen.
fn bounds<'a>(corners: impl Iterator<Item = &'a Vertex>) -> [f32; 4] {
    let (low, high) = (f32::INFINITY, f32::NEG_INFINITY);
    corners.filter(|c| c.inverse > 0.0).fold([low, low, high, high], |[x0, y0, x1, y1], c| {
        [x0.min(c.x), y0.min(c.y), x1.max(c.x), y1.max(c.y)]
    })
}

/// Whether two rectangles (left, top, right, bottom) touch.
fn touch(a: [f32; 4], b: [f32; 4]) -> bool {
    a[2] >= b[0] && a[0] <= b[2] && a[3] >= b[1] && a[1] <= b[3]
}

/// What is drawn in one pass: the camera, the sheet, its border, the corners of the solids.
type Pass = (Camera, Mesh, Vec<[Vertex; 2]>, Projected);

/// Draws `scene` from `view` into `width * height` pixels: RGBA, straight alpha, nothing where
/// neither surface nor floor is. Each of `passes` (parts of a pixel) is drawn and their mean taken.
pub fn draw(
    scene: &Subject,
    view: &Viewpoint,
    camera: &Camera,
    [width, height]: [usize; 2],
    passes: &[[f32; 2]],
) -> Vec<u8> {
    let stride = scene.field.stride(scene.quad);
    let lamps = Lamps::new(view);
    let prepared: Vec<Pass> = passes
        .iter()
        .map(|&shift| {
            let camera = camera.shifted(shift);
            let mesh = Mesh::new(scene.field, &camera, stride);
            // Thinner than a pixel it would be a row of dots.
            let rim = rim(scene.field, &camera, stride, THICKNESS.max(0.25 * scene.stripes));
            (camera, mesh, rim, Projected::new(scene.solids, &camera))
        })
        .collect();
    let mut rgba = vec![0; 4 * width * height];
    let mut tile = Tile::new(COLUMNS.min(width), ROWS);
    let mut sums = vec![[0.0f32; 4]; tile.columns() * ROWS];
    let mut behind = sums.clone();
    for top in (0..height).step_by(ROWS) {
        for left in (0..width).step_by(COLUMNS) {
            let (rows, columns) = (ROWS.min(height - top), COLUMNS.min(width - left));
            sums.fill([0.0; 4]);
            let (corner, size) = ([left, top], [columns, rows]);
            for pass in &prepared {
                add_tile(scene, lamps, (pass, None), &mut tile, corner, size, &mut sums);
            }
            if let Some(glass) = scene.glass.filter(|glass| glass.touches(corner, size)) {
                behind.fill([0.0; 4]);
                for pass in &prepared {
                    let pass = (pass, Some(glass));
                    add_tile(scene, lamps, pass, &mut tile, corner, size, &mut behind);
                }
                for (i, (sum, behind)) in sums[..rows * columns].iter_mut().zip(&behind).enumerate()
                {
                    let clear = glass.clear(left + i % columns, top + i / columns);
                    (0..4).for_each(|k| sum[k] += clear * (behind[k] - sum[k]));
                }
            }
            let part = 1.0 / prepared.len() as f32;
            for row in 0..rows {
                let y = top + row;
                let line = &mut rgba[4 * (y * width + left)..][..4 * columns];
                let sums = &sums[row * columns..][..columns];
                for (column, (out, sum)) in line.chunks_exact_mut(4).zip(sums).enumerate() {
                    if sum[3] > 0.0 {
                        let k = 1.0 / sum[3];
                        let light = [sum[0] * k, sum[1] * k, sum[2] * k];
                        out[..3].copy_from_slice(&ENCODER.encode(light, left + column, y));
                        out[3] = (sum[3] * part * 255.0 + 0.5) as i32 as u8;
                    }
                }
            }
        }
    }
    rgba
}

/// Draws one tile of one pass, and adds its light and coverage to `sums`.
fn add_tile(
    scene: &Subject,
    lamps: Lamps,
    ((camera, mesh, rim, solids), without): (&Pass, Option<&Glass>),
    tile: &mut Tile,
    [left, top]: [usize; 2],
    [columns, rows]: [usize; 2],
    sums: &mut [[f32; 4]],
) {
    tile.move_to([left, top]);
    mesh.draw(tile, without);
    for pair in rim.windows(2) {
        let [[a, d], [b, c]] = [pair[0], pair[1]];
        let hidden = |glass: &Glass| glass.removes(a.x, a.y, 1.0 / a.inverse, f32::INFINITY);
        if a.inverse > 0.0 && without.is_some_and(hidden) {
            continue;
        }
        tile.triangle(&a, &b, &c, RIM, RIM);
        tile.triangle(&a, &c, &d, RIM, RIM);
    }
    for (run, bounds) in scene.solids.triangles.chunks(RUN).zip(&solids.bounds) {
        if !touch(*bounds, tile.bounds()) {
            continue;
        }
        for ([a, b, c], material) in run {
            let corner = |i: &u32| &solids.corners[*i as usize];
            tile.triangle(corner(a), corner(b), corner(c), SOLID + material, SOLID + material);
        }
    }
    let shader = Shader {
        field: scene.field,
        light: scene.light,
        paint: scene.paint,
        between: scene.between,
        camera,
        lamps,
        px_scale: scene.px_scale,
        stripes: scene.stripes,
    };
    let painter = Painter { shader, floor: Floor::new(scene.field, camera), scene };
    for row in 0..rows {
        for (column, sum) in sums[row * columns..][..columns].iter_mut().enumerate() {
            let (x, y) = (left + column, top + row);
            let light = if tile.is_blank(column, row) {
                painter.floor_at(x, y)
            } else {
                painter.pixel(&tile.pixel(column, row), x, y)
            };
            (0..4).for_each(|k| sum[k] += light[k]);
        }
    }
}

/// From pixels to the floor: a ray and a plane.
struct Floor {
    half: [f32; 2],
    /// Columns and rows of pixels outside of which there is none: left, top, right, bottom.
    bounds: [f32; 4],
}

impl Floor {
    fn new(field: &HeightField, camera: &Camera) -> Self {
        let mut bounds = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        for (u, v) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let Some([x, y, _]) = camera.project(field.point(u, v, 0.0)) else {
                // A corner behind the camera: no bounds.
                bounds = [f32::NEG_INFINITY, f32::NEG_INFINITY, f32::INFINITY, f32::INFINITY];
                break;
            };
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
        }
        Self { half: field.half, bounds }
    }

    /// `(u, v)` where the ray through the middle of a pixel meets z = 0, and how it changes from
    /// pixel to pixel.
    #[inline]
    fn hit(&self, camera: &Camera, x: f32, y: f32) -> Option<([f32; 2], Steps)> {
        let [left, top, right, bottom] = self.bounds;
        if x < left - 1.0 || x > right + 1.0 || y < top - 1.0 || y > bottom + 1.0 {
            return None;
        }
        let ray = camera.ray(x, y);
        if ray[2] > -1e-4 {
            return None;
        }
        // p = e + k r with k = -e_z / r_z; the camera never rolls, so that going right leaves r_z
        // alone, and going down by one changes r by -up / focal.
        let inverse = 1.0 / ray[2];
        let k = -camera.eye[2] * inverse;
        let pixel = k * camera.per_pixel();
        let lean = camera.up[2] * inverse;
        let [hx, hy] = self.half.map(|h| 0.5 / h);
        let uv = [hx * (camera.eye[0] + k * ray[0]) + 0.5, hy * (camera.eye[1] + k * ray[1]) + 0.5];
        let steps = [
            hx * pixel * camera.right[0],
            hy * pixel * camera.right[1],
            -hx * pixel * (camera.up[0] - ray[0] * lean),
            -hy * pixel * (camera.up[1] - ray[1] * lean),
        ];
        Some((uv, steps))
    }
}

struct Painter<'a> {
    shader: Shader<'a>,
    floor: Floor,
    scene: &'a Subject<'a>,
}

impl Painter<'_> {
    /// The floor in the pixel: linear light times coverage, and the coverage.
    #[inline]
    fn floor_at(&self, x: usize, y: usize) -> [f32; 4] {
        if !self.scene.floor {
            return [0.0; 4];
        }
        let camera = self.shader.camera;
        let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
        let Some(([u, v], steps)) = self.floor.hit(camera, px, py) else { return [0.0; 4] };
        const MARGIN: f32 = 0.05;
        let inside = |w: f32| (-MARGIN..=1.0 + MARGIN).contains(&w);
        if !inside(u) || !inside(v) {
            return [0.0; 4];
        }
        // How far inside the floor's edges, in pixels.
        let reach = |w: f32, a: f32, b: f32| {
            (w.min(1.0 - w) / (a * a + b * b).sqrt().max(1e-9) + 0.5).clamp(0.0, 1.0)
        };
        let cover = reach(u, steps[0], steps[2]) * reach(v, steps[1], steps[3]);
        if cover == 0.0 {
            return [0.0; 4];
        }
        let [r, g, b] = self.shader.floor(u, v, steps);
        [r * cover, g * cover, b * cover, cover]
    }

    #[inline]
    fn pixel(&self, pixel: &Pixel, x: usize, y: usize) -> [f32; 4] {
        let [own, ..] = pixel.owner;
        let sheet = (own == ABOVE || own == BELOW) && pixel.owner == [own; 4];
        if let Some((u, v, steps)) = one_sheet(pixel).filter(|_| sheet) {
            let [r, g, b] = self.shader.surface(u, v, own == ABOVE, Some(steps));
            return [r, g, b, 1.0];
        }
        let mut sum = [0.0; 4];
        let mut floor = None;
        for s in 0..4 {
            let (a, b) = (pixel.carried[0][s], pixel.carried[1][s]);
            let light = match pixel.owner[s] {
                0 => *floor.get_or_insert_with(|| self.floor_at(x, y)),
                ABOVE => opaque(self.shader.surface(a, b, true, None)),
                BELOW => opaque(self.shader.surface(a, b, false, None)),
                RIM => opaque(self.shader.rim(a, b)),
                own => {
                    let material = self.scene.materials[(own - SOLID) as usize];
                    opaque(self.shader.solid(material, a, b))
                }
            };
            (0..4).for_each(|k| sum[k] += 0.25 * light[k]);
        }
        sum
    }
}

fn opaque([r, g, b]: Light) -> [f32; 4] {
    [r, g, b, 1.0]
}

/// The middle of a pixel whose samples lie on one sheet, and how `(u, v)` changes from pixel to
/// pixel; `None` where the samples do not fit one plane (a crease, or two sheets).
#[inline]
fn one_sheet(pixel: &Pixel) -> Option<(f32, f32, Steps)> {
    let mut middle = [0.0; 2];
    let mut slopes = [[0.0; 2]; 2];
    for k in 0..2 {
        let w = &pixel.carried[k];
        middle[k] = 0.25 * (w[0] + w[1] + w[2] + w[3]);
        // Least squares: the sample offsets are orthogonal, the sum of their squares is 5/16.
        let fit = |axis: usize| (0..4).map(|s| w[s] * SAMPLES[s][axis]).sum::<f32>() / 0.3125;
        slopes[k] = [fit(0), fit(1)];
        // The one combination of four samples that no plane explains.
        let misfit = (w[0] - w[1] + w[2] - w[3]).abs();
        let spread = slopes[k][0].abs() + slopes[k][1].abs();
        if misfit > 0.6 * spread + 1e-6 {
            return None;
        }
    }
    Some((middle[0], middle[1], [slopes[0][0], slopes[1][0], slopes[0][1], slopes[1][1]]))
}
