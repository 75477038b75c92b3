//! The rasteriser: triangles into a tile of a picture, four samples a pixel, the nearest wins.
//!
//! Nothing is shaded here. A sample keeps its depth, two numbers that its triangle carries
//! (interpolated with perspective) and what it belongs to; shading reads them later, once a pixel
//! where the four samples agree. A picture is drawn tile by tile, so that a tile's samples stay in
//! the cache and memory does not grow with the picture.

/// Where the four samples of a pixel lie, from its centre: a rotated square, so that edges of any
/// slope get four steps and not two.
pub const SAMPLES: [[f32; 2]; 4] =
    [[-0.125, -0.375], [0.375, -0.125], [0.125, 0.375], [-0.375, 0.125]];

/// A corner on its way to the screen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Vertex {
    /// Pixels from the left.
    pub x: f32,
    /// Pixels from the top.
    pub y: f32,
    /// One over the depth; 0 where the corner cannot be seen.
    pub inverse: f32,
    /// What it carries, over the depth.
    pub carried: [f32; 2],
}

impl Vertex {
    /// The corner at pixel `(x, y)` and `depth` that carries two numbers.
    pub fn new([x, y, depth]: [f32; 3], carried: [f32; 2]) -> Self {
        let inverse = 1.0 / depth;
        Self { x, y, inverse, carried: [carried[0] * inverse, carried[1] * inverse] }
    }
}

/// The samples of a tile of a picture.
pub struct Tile {
    width: usize,
    rows: usize,
    left: usize,
    top: usize,
    inverse: Vec<[f32; 4]>,
    first: Vec<[f32; 4]>,
    second: Vec<[f32; 4]>,
    owner: Vec<[u32; 4]>,
}

/// Added before rounding to the nearest, makes it rounding up, but for what is a two-thousandth above
/// a whole number.
const UP: f32 = 0.4995;

/// The nearest whole number of one below 2^22 in size, by letting the rest fall off the end of the
/// mantissa; a cast would be checked against the limits of its type.
#[inline]
fn nearest(x: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23
    (x + SHIFT).to_bits() as i32 - SHIFT.to_bits() as i32
}

/// The lesser one; not a number is not looked for, which takes one instruction.
#[inline]
fn least(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The greater one, likewise.
#[inline]
fn most(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// A pixel's four samples.
#[derive(Debug, Clone, Copy)]
pub struct Pixel {
    /// What each sample belongs to; 0 for nothing.
    pub owner: [u32; 4],
    /// The two numbers that each sample's triangle carries.
    pub carried: [[f32; 4]; 2],
}

impl Tile {
    /// An empty tile of at most `width` columns and `rows` rows.
    pub fn new(width: usize, rows: usize) -> Self {
        let n = width * rows;
        Self {
            width,
            rows,
            left: 0,
            top: 0,
            inverse: vec![[0.0; 4]; n],
            first: vec![[0.0; 4]; n],
            second: vec![[0.0; 4]; n],
            owner: vec![[0; 4]; n],
        }
    }

    /// Empties the tile and moves its first column and row to a pixel.
    pub fn move_to(&mut self, [left, top]: [usize; 2]) {
        (self.left, self.top) = (left, top);
        self.inverse.fill([0.0; 4]);
        self.owner.fill([0; 4]);
    }

    /// Columns there are.
    pub fn columns(&self) -> usize {
        self.width
    }

    /// Left, top, right and bottom in pixels.
    pub fn bounds(&self) -> [f32; 4] {
        let place = |n: usize| n as i32 as f32;
        let (right, bottom) = (self.left + self.width, self.top + self.rows);
        [place(self.left), place(self.top), place(right), place(bottom)]
    }

    /// Draws a triangle that belongs to `front`, or to `back` where its corners run clockwise on
    /// the screen.
    #[inline]
    pub fn triangle(&mut self, a: &Vertex, b: &Vertex, c: &Vertex, front: u32, back: u32) {
        if a.inverse == 0.0 || b.inverse == 0.0 || c.inverse == 0.0 {
            return;
        }
        let (top, bottom) = (least(least(a.y, b.y), c.y), most(most(a.y, b.y), c.y));
        let (left, right) = (least(least(a.x, b.x), c.x), most(most(a.x, b.x), c.x));
        // Samples lie 1/8 to 7/8 into a pixel.
        let [first_column, first_row, end_column, end_row] = self.bounds();
        let y0 = nearest(most(top - 0.875 + UP, first_row));
        let y1 = nearest(least(bottom - 0.125 - UP, end_row - 1.0));
        let x0 = nearest(most(left - 0.875 + UP, first_column));
        let x1 = nearest(least(right - 0.125 - UP, end_column - 1.0));
        if y0 > y1 || x0 > x1 {
            return;
        }
        let (bx, by, cx, cy) = (b.x - a.x, b.y - a.y, c.x - a.x, c.y - a.y);
        let area = bx * cy - by * cx;
        if area.abs() < 1e-12 {
            return;
        }
        let owner = if area < 0.0 { front } else { back };
        // Barycentric weights of b and c: linear in the pixel.
        let k = 1.0 / area;
        let (bdx, bdy, cdx, cdy) = (cy * k, -cx * k, -by * k, bx * k);
        let (mut b_offset, mut c_offset) = ([0.0f32; 4], [0.0f32; 4]);
        for (s, [sx, sy]) in SAMPLES.iter().enumerate() {
            b_offset[s] = bdx * sx + bdy * sy;
            c_offset[s] = cdx * sx + cdy * sy;
        }
        let depth = [a.inverse, b.inverse - a.inverse, c.inverse - a.inverse];
        let first = [a.carried[0], b.carried[0] - a.carried[0], c.carried[0] - a.carried[0]];
        let second = [a.carried[1], b.carried[1] - a.carried[1], c.carried[1] - a.carried[1]];
        // A sample on an edge belongs to both sides: no cracks.
        const EDGE: f32 = -1e-4;
        for y in y0..=y1 {
            let dy = y as f32 + 0.5 - a.y;
            let row = (y as usize - self.top) * self.width;
            for x in x0..=x1 {
                let dx = x as f32 + 0.5 - a.x;
                let (wb, wc) = (bdx * dx + bdy * dy, cdx * dx + cdy * dy);
                let i = row + x as usize - self.left;
                let nearest = &mut self.inverse[i];
                let mut wins = [false; 4];
                let mut z = [0.0f32; 4];
                let (mut lb, mut lc) = ([0.0f32; 4], [0.0f32; 4]);
                for s in 0..4 {
                    lb[s] = wb + b_offset[s];
                    lc[s] = wc + c_offset[s];
                    z[s] = depth[0] + lb[s] * depth[1] + lc[s] * depth[2];
                    wins[s] = (lb[s] >= EDGE)
                        & (lc[s] >= EDGE)
                        & (lb[s] + lc[s] <= 1.0 - EDGE)
                        & (z[s] > nearest[s]);
                }
                if wins == [false; 4] {
                    continue;
                }
                // Loops of their own and no branches: each is a few instructions on four lanes.
                let (one, two, own) = (&mut self.first[i], &mut self.second[i], &mut self.owner[i]);
                for s in 0..4 {
                    nearest[s] = if wins[s] { z[s] } else { nearest[s] };
                }
                for s in 0..4 {
                    let new = first[0] + lb[s] * first[1] + lc[s] * first[2];
                    one[s] = if wins[s] { new } else { one[s] };
                }
                for s in 0..4 {
                    let new = second[0] + lb[s] * second[1] + lc[s] * second[2];
                    two[s] = if wins[s] { new } else { two[s] };
                }
                for s in 0..4 {
                    own[s] = if wins[s] { owner } else { own[s] };
                }
            }
        }
    }

    /// The samples of the pixel in the tile's column `x` and `row`.
    #[inline]
    pub fn pixel(&self, x: usize, row: usize) -> Pixel {
        let i = row * self.width + x;
        let owner = self.owner[i];
        let mut carried = [[0.0; 4]; 2];
        for s in 0..4 {
            if owner[s] != 0 {
                let depth = 1.0 / self.inverse[i][s];
                carried[0][s] = self.first[i][s] * depth;
                carried[1][s] = self.second[i][s] * depth;
            }
        }
        Pixel { owner, carried }
    }

    /// Whether a pixel has nothing in it.
    #[inline]
    pub fn is_blank(&self, x: usize, row: usize) -> bool {
        self.owner[row * self.width + x] == [0; 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corner(x: f32, y: f32, depth: f32) -> Vertex {
        Vertex::new([x, y, depth], [x, y])
    }

    fn quad(tile: &mut Tile, depth: f32, owner: u32) {
        let c = |x: f32, y: f32| corner(x, y, depth);
        let (a, b, d, e) = (c(2.0, 2.0), c(12.0, 2.0), c(12.0, 12.0), c(2.0, 12.0));
        tile.triangle(&a, &b, &d, owner, owner);
        tile.triangle(&a, &d, &e, owner, owner);
    }

    #[test]
    fn the_nearer_one_wins_in_either_order() {
        for order in [[3.0, 5.0], [5.0, 3.0]] {
            let mut tile = Tile::new(16, 16);
            tile.move_to([0, 0]);
            for depth in order {
                quad(&mut tile, depth, depth as u32);
            }
            assert_eq!(tile.pixel(7, 7).owner, [3; 4]);
            assert_eq!(tile.pixel(0, 7).owner, [0; 4]);
        }
    }

    #[test]
    fn a_shared_edge_has_no_crack_and_areas_are_right() {
        let mut tile = Tile::new(16, 16);
        tile.move_to([0, 0]);
        quad(&mut tile, 2.0, 9);
        let samples = (0..256).map(|i| tile.pixel(i % 16, i / 16).owner);
        let hit: usize = samples.map(|o| o.iter().filter(|&&o| o == 9).count()).sum();
        assert_eq!(hit, 10 * 10 * 4);
    }

    #[test]
    fn what_is_carried_is_interpolated_with_perspective() {
        let mut tile = Tile::new(64, 4);
        tile.move_to([0, 0]);
        // A plane that recedes from depth 1 to depth 3: half-way on the screen is a quarter of the
        // way in space.
        let at = |x: f32, y: f32, depth: f32, way: f32| Vertex::new([x, y, depth], [way, 0.0]);
        let (a, b) = (at(0.0, 0.0, 1.0, 0.0), at(64.0, 0.0, 3.0, 1.0));
        let (c, d) = (at(64.0, 4.0, 3.0, 1.0), at(0.0, 4.0, 1.0, 0.0));
        tile.triangle(&a, &b, &c, 1, 1);
        tile.triangle(&a, &c, &d, 1, 1);
        let way = tile.pixel(31, 1).carried[0].iter().sum::<f32>() / 4.0;
        // 1/z is linear: at s of the screen the way is s/3 / (1 - 2s/3).
        let s = 31.5 / 64.0;
        assert!((way - s / 3.0 / (1.0 - 2.0 * s / 3.0)).abs() < 1e-3, "{way}");
    }

    #[test]
    fn front_and_back_are_told_apart() {
        let mut tile = Tile::new(8, 8);
        tile.move_to([0, 0]);
        let (a, b, c) = (corner(0.0, 0.0, 1.0), corner(0.0, 8.0, 1.0), corner(8.0, 0.0, 1.0));
        tile.triangle(&a, &b, &c, 5, 6);
        assert_eq!(tile.pixel(1, 1).owner, [5; 4]);
        tile.move_to([0, 0]);
        tile.triangle(&a, &c, &b, 5, 6);
        assert_eq!(tile.pixel(1, 1).owner, [6; 4]);
    }
}
