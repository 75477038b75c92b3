//! A surface as a mesh: VTK's PolyData for ParaView, and Wavefront OBJ.

use std::fmt::Write;

/// Heights over a grid, x fastest; what is not finite is left out of the mesh.
pub(crate) struct Mesh {
    /// Coordinates of the columns.
    pub(crate) xs: Vec<f64>,
    /// Coordinates of the rows.
    pub(crate) ys: Vec<f64>,
    /// Heights, `heights[iy * nx + ix]`.
    pub(crate) heights: Vec<f64>,
}

impl Mesh {
    /// The corners of the cells whose four heights are known: i, i + 1, i + nx + 1, i + nx.
    fn quads(&self) -> Vec<[usize; 4]> {
        let nx = self.xs.len();
        let known = |i: &usize| self.heights[*i].is_finite();
        let rows = 0..self.ys.len().saturating_sub(1);
        rows.flat_map(|y| (0..nx.saturating_sub(1)).map(move |x| y * nx + x))
            .map(|i| [i, i + 1, i + nx + 1, i + nx])
            .filter(|quad| quad.iter().all(known))
            .collect()
    }

    fn points(&self) -> impl Iterator<Item = [f64; 3]> {
        let nx = self.xs.len();
        // A point that no cell has stands at 0: readers want numbers.
        let height = |h: f64| if h.is_finite() { h } else { 0.0 };
        self.heights
            .iter()
            .enumerate()
            .map(move |(i, &h)| [self.xs[i % nx], self.ys[i / nx], height(h)])
    }

    /// As VTK's XML PolyData, in ASCII: points with the heights as `zvalue`, and quads, as the paper's code
    /// writes them.
    pub(crate) fn to_vtp(&self) -> String {
        let quads = self.quads();
        let mut out = String::from(
            "<?xml version=\"1.0\"?>\n<VTKFile type=\"PolyData\" version=\"1.0\" \
             byte_order=\"LittleEndian\" header_type=\"UInt64\">\n  <PolyData>\n",
        );
        let _ = writeln!(
            out,
            "    <Piece NumberOfPoints=\"{}\" NumberOfVerts=\"0\" NumberOfLines=\"0\" NumberOfStrips=\"0\" \
             NumberOfPolys=\"{}\">",
            self.heights.len(),
            quads.len()
        );
        let array = |out: &mut String, head: &str, lines: &mut dyn Iterator<Item = String>| {
            let _ = writeln!(out, "        <DataArray {head} format=\"ascii\">");
            for line in lines {
                let _ = writeln!(out, "          {line}");
            }
            out.push_str("        </DataArray>\n");
        };
        out.push_str("      <PointData Scalars=\"zvalue\">\n");
        let mut heights = self.points().map(|[_, _, z]| (z as f32).to_string());
        array(&mut out, "type=\"Float32\" Name=\"zvalue\" NumberOfComponents=\"1\"", &mut heights);
        out.push_str("      </PointData>\n      <Points>\n");
        let mut points = self.points().map(|p| p.map(|v| (v as f32).to_string()).join(" "));
        array(&mut out, "type=\"Float32\" Name=\"Points\" NumberOfComponents=\"3\"", &mut points);
        out.push_str("      </Points>\n      <Polys>\n");
        let mut corners = quads.iter().map(|quad| quad.map(|i| i.to_string()).join(" "));
        array(&mut out, "type=\"Int64\" Name=\"connectivity\"", &mut corners);
        let mut offsets = (1..=quads.len()).map(|i| (4 * i).to_string());
        array(&mut out, "type=\"Int64\" Name=\"offsets\"", &mut offsets);
        out.push_str("      </Polys>\n    </Piece>\n  </PolyData>\n</VTKFile>\n");
        out
    }

    /// As a Wavefront OBJ: heights along y, as modelling programs have it.
    pub(crate) fn to_obj(&self, title: &str) -> String {
        let mut out = format!("# {}\n", title.replace(['\n', '\r'], " "));
        for [x, y, z] in self.points() {
            let _ = writeln!(out, "v {x} {z} {}", -y);
        }
        for [a, b, c, d] in self.quads() {
            let _ = writeln!(out, "f {} {} {} {}", a + 1, b + 1, c + 1, d + 1);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_without_a_height_are_left_out() {
        let heights = vec![1.0, 2.0, 3.0, 4.0, f64::NAN, 6.0, 7.0, 8.0, 9.0, 1.0, 1.0, 1.0];
        let mesh = Mesh { xs: vec![0.0, 1.0, 2.0], ys: vec![0.0, 1.0, 2.0, 3.0], heights };
        // Of six cells the four around the unknown point are missing.
        assert_eq!(mesh.quads(), [[6, 7, 10, 9], [7, 8, 11, 10]]);
        let obj = mesh.to_obj("a\nb");
        assert!(obj.starts_with("# a b\nv 0 1 -0\n") && obj.contains("f 7 8 11 10\n"), "{obj}");
        let vtp = mesh.to_vtp();
        assert!(vtp.contains("NumberOfPoints=\"12\"") && vtp.contains("NumberOfPolys=\"2\""));
        assert!(!vtp.contains("NaN"));
    }
}
