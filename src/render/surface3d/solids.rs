//! What lies on the surface: tubes, spheres and rods, as triangles with smooth normals.

use std::f32::consts::TAU;

use super::vec3::{Vec3, add, cross, norm, scale, sub, unit};

/// Sides of a tube.
const SIDES: usize = 12;

/// Triangles in space, each of a material.
#[derive(Debug, Clone, Default)]
pub struct Solids {
    /// Corners with their outward unit normals.
    pub corners: Vec<(Vec3, Vec3)>,
    /// Three corners and a material.
    pub triangles: Vec<([u32; 3], u32)>,
}

impl Solids {
    /// A tube along `line` (points with the direction that is up there), `material(i)` for the
    /// piece from point `i` on. The ends are open: put spheres on them.
    pub fn tube(&mut self, line: &[(Vec3, Vec3)], radius: f32, material: impl Fn(usize) -> u32) {
        if line.len() < 2 {
            return;
        }
        let base = self.corners.len() as u32;
        let mut tangent = [1.0, 0.0, 0.0];
        for (i, &(p, up)) in line.iter().enumerate() {
            let ahead = sub(line[(i + 1).min(line.len() - 1)].0, line[i.saturating_sub(1)].0);
            if norm(ahead) > 1e-7 {
                tangent = unit(ahead);
            }
            let mut side = cross(tangent, up);
            if norm(side) < 1e-3 {
                side = cross(
                    tangent,
                    if tangent[0].abs() < 0.7 { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] },
                );
            }
            let side = unit(side);
            let over = cross(side, tangent);
            for k in 0..SIDES {
                let (sin, cos) = (k as f32 / SIDES as f32 * TAU).sin_cos();
                let normal = add(scale(side, cos), scale(over, sin));
                self.corners.push((add(p, scale(normal, radius)), normal));
            }
        }
        let n = SIDES as u32;
        for i in 0..line.len() as u32 - 1 {
            for k in 0..n {
                let (a, b) = (base + i * n + k, base + i * n + (k + 1) % n);
                let paint = material(i as usize);
                self.triangles.push(([a, b, b + n], paint));
                self.triangles.push(([a, b + n, a + n], paint));
            }
        }
    }

    /// Takes out the triangles of `materials` that have no corner where `above` holds.
    pub fn cut(&mut self, materials: impl Fn(u32) -> bool, above: impl Fn(Vec3) -> bool) {
        let stays: Vec<bool> = self.corners.iter().map(|(p, _)| above(*p)).collect();
        self.triangles.retain(|(triangle, material)| {
            !materials(*material) || triangle.iter().any(|&i| stays[i as usize])
        });
    }

    /// A sphere of `rings` rings.
    pub fn sphere(&mut self, centre: Vec3, radius: f32, rings: usize, material: u32) {
        let rings = rings.max(3);
        let around = 2 * rings;
        let base = self.corners.len() as u32;
        for i in 0..=rings {
            let (sin_i, cos_i) = (0.5 * TAU * i as f32 / rings as f32).sin_cos();
            for k in 0..around {
                let (sin, cos) = (k as f32 / around as f32 * TAU).sin_cos();
                let normal = [sin_i * cos, sin_i * sin, cos_i];
                self.corners.push((add(centre, scale(normal, radius)), normal));
            }
        }
        let n = around as u32;
        for i in 0..rings as u32 {
            for k in 0..n {
                let (a, b) = (base + i * n + k, base + i * n + (k + 1) % n);
                self.triangles.push(([a, b, b + n], material));
                self.triangles.push(([a, b + n, a + n], material));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_are_of_unit_length_and_point_outwards() {
        let mut solids = Solids::default();
        let up = [0.0, 0.0, 1.0];
        let line = [([0.0, 0.0, 0.0], up), ([0.0, 0.0, 1.0], up), ([0.0, 1.0, 1.0], up)];
        solids.tube(&line, 0.1, |_| 1);
        solids.sphere([5.0, 0.0, 0.0], 0.5, 6, 2);
        assert!(solids.corners.iter().all(|(_, n)| (norm(*n) - 1.0).abs() < 1e-5));
        for (p, n) in &solids.corners[3 * SIDES..] {
            assert!(norm(sub(sub(*p, [5.0, 0.0, 0.0]), scale(*n, 0.5))) < 1e-5);
        }
        let count = solids.corners.len() as u32;
        assert!(solids.triangles.iter().all(|(t, _)| t.iter().all(|&i| i < count)));
    }

    #[test]
    fn what_lies_whole_below_is_cut_of_the_materials_named() {
        let mut solids = Solids::default();
        solids.sphere([0.0; 3], 1.0, 12, 4);
        solids.sphere([0.0; 3], 1.0, 12, 5);
        let of = |solids: &Solids, material| {
            solids.triangles.iter().filter(|(_, m)| *m == material).count()
        };
        let whole = of(&solids, 5);
        solids.cut(|material| material == 4, |p| p[2] > 0.0);
        assert_eq!(of(&solids, 5), whole);
        assert!(of(&solids, 4) > whole / 3 && of(&solids, 4) < 2 * whole / 3);
        for (triangle, _) in solids.triangles.iter().filter(|(_, m)| *m == 4) {
            assert!(triangle.iter().any(|&i| solids.corners[i as usize].0[2] > 0.0));
        }
    }
}
