//! PNG: 8 bits a channel, tagged as sRGB, which is what every colour of ours is encoded in.

use std::io::{BufWriter, Write};

use crate::error::{Error, Result};

/// Writes `rgba` (`width * height * 4` bytes, alpha ignored) as a PNG of three channels.
pub fn write(out: impl Write, rgba: &[u8], width: u32, height: u32) -> Result<()> {
    let rgb: Vec<u8> = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    encode(out, png::ColorType::Rgb, &rgb, width, height)
}

/// Writes `rgba` (straight alpha) as a PNG of four channels.
pub fn write_rgba(out: impl Write, rgba: &[u8], width: u32, height: u32) -> Result<()> {
    encode(out, png::ColorType::Rgba, rgba, width, height)
}

fn encode(
    out: impl Write,
    color: png::ColorType,
    bytes: &[u8],
    width: u32,
    height: u32,
) -> Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(out), width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let attempt = (|| {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(bytes)?;
        writer.finish()
    })();
    attempt.map_err(|error| Error::Render {
        what: format!("the PNG cannot be written: {error}"),
        remedy: "check the space left on the disk".into(),
    })
}
