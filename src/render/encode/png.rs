//! PNG: 8-bit RGB, tagged as sRGB.

use std::io::{BufWriter, Write};

use crate::error::{Error, Result};

/// Writes `rgba` (`width * height * 4` bytes, alpha ignored) as a PNG.
pub fn write(out: impl Write, rgba: &[u8], width: u32, height: u32) -> Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(out), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let rgb: Vec<u8> = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    let attempt = (|| {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&rgb)?;
        writer.finish()
    })();
    attempt.map_err(|error| Error::Render {
        what: format!("the PNG cannot be written: {error}"),
        remedy: "check the space left on the disk".into(),
    })
}
