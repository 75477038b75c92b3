//! A frame without its page: what of each pixel is drawn, and how much of it.
//!
//! The canvas of pixels is opaque. Drawn once on black and once on white, a pixel of opacity `a` and
//! colour `c` is `a c` and `a c + 1 - a`: the difference tells `a`, and the first then tells `c` (the
//! difference matte of compositing; Porter and Duff 1984 for the rule that is solved here).

use crate::error::Result;
use crate::render::canvas::color::Color;
use crate::render::canvas::raster::Raster;
use crate::render::film::show::Show;

/// Frame `frame` of `show` in `pixels` pixels: RGBA, straight alpha, nothing where nothing is drawn.
///
/// Errors: those of drawing.
pub fn draw(show: &dyn Show, pixels: [u32; 2], frame: usize) -> Result<Vec<u8>> {
    let on = |page: u32| -> Result<Raster> {
        let mut raster = Raster::zoomed(pixels, show.size(), Color::hex(page))?;
        show.draw_static(&mut raster)?;
        show.draw_moving(&mut raster, frame)?;
        Ok(raster)
    };
    let (black, white) = (on(0x000000)?, on(0xffffff)?);
    let pairs = black.rgba().chunks_exact(4).zip(white.rgba().chunks_exact(4));
    Ok(pairs.flat_map(|(black, white)| pixel(black, white)).collect())
}

/// The colour and the opacity of what looks like `black` on black and like `white` on white.
fn pixel(black: &[u8], white: &[u8]) -> [u8; 4] {
    let apart: i32 = (0..3).map(|k| i32::from(white[k]) - i32::from(black[k])).sum();
    let opacity = (1.0 - apart as f32 / 765.0).clamp(0.0, 1.0);
    if opacity < 0.5 / 255.0 {
        return [0; 4];
    }
    let color = [0, 1, 2].map(|k| (f32::from(black[k]) / opacity + 0.5).min(255.0) as u8);
    [color[0], color[1], color[2], (255.0 * opacity + 0.5) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_pages_look_like_tells_colour_and_opacity() {
        for (color, opacity) in [([200u8, 10, 90], 1.0f32), ([250, 128, 7], 0.5), ([0, 0, 0], 0.25)]
        {
            let on = |page: f32| {
                color.map(|c| (f32::from(c) * opacity + page * (1.0 - opacity)).round() as u8)
            };
            let [r, g, b, a] = pixel(&on(0.0), &on(255.0));
            assert!((f32::from(a) - 255.0 * opacity).abs() <= 1.0, "{a} for {opacity}");
            for (found, given) in [r, g, b].into_iter().zip(color) {
                assert!(found.abs_diff(given) <= 3, "{found} for {given}");
            }
        }
        assert_eq!(pixel(&[0, 0, 0], &[255, 255, 255]), [0; 4]);
    }
}
