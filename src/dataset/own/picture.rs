//! One picture: a PNG or JPEG file, upright as its camera says, cut and scaled, as planar bytes.

use std::io::Cursor;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};

use super::{Colors, ImageFit};
use crate::disk;
use crate::error::{Error, Result};
use crate::memory;

/// Pixels of a picture at most: twice those of a good camera.
const MOST_PIXELS: u64 = 100_000_000;
/// Bytes of a file at most.
const MOST_BYTES: u64 = 512 << 20;

/// A picture's pixels, planar, and whether it has one channel.
pub(super) struct Picture {
    pub(super) pixels: Vec<u8>,
    pub(super) colors: Colors,
}

/// Height and width of a picture as it is shown, from its header.
pub(super) fn sides(path: &Path) -> Result<[usize; 2]> {
    let bytes = disk::read(path, "read a picture", MOST_BYTES)?;
    let mut decoder = decoder(&bytes).map_err(|problem| bad(path, problem))?;
    let (width, height) = decoder.dimensions();
    let turned = decoder.orientation().is_ok_and(|turn| turn.to_exif() >= 5);
    let (width, height) = if turned { (height, width) } else { (width, height) };
    Ok([height as usize, width as usize])
}

/// Reads a picture; with `size` it is brought to that height and width, with `colors` to those channels.
///
/// # Errors
/// [`Error::BadFile`] for what is no picture, damaged or too large.
pub(super) fn read(
    path: &Path,
    size: Option<([usize; 2], ImageFit)>,
    colors: Option<Colors>,
) -> Result<(Picture, [usize; 2])> {
    let bytes = disk::read(path, "read a picture", MOST_BYTES)?;
    let decoder = decoder(&bytes).map_err(|problem| bad(path, problem))?;
    // As it is decoded, and once more as it is turned or its channels change.
    memory::check("a picture", decoder.total_bytes().checked_mul(2))?;
    let mut picture = decode(decoder).map_err(|problem| bad(path, problem))?;
    if let Some((sides, fit)) = size {
        picture = sized(picture, sides, fit);
    }
    let sides = [picture.height() as usize, picture.width() as usize];
    let own = match picture.color() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => Colors::Grey,
        _ => Colors::Rgb,
    };
    let colors = colors.unwrap_or(own);
    let pixels = match colors {
        Colors::Grey => picture.into_luma8().into_raw(),
        Colors::Rgb => planes(&picture.into_rgb8().into_raw()),
    };
    Ok((Picture { pixels, colors }, sides))
}

/// Interleaved red, green and blue as three planes.
fn planes(interleaved: &[u8]) -> Vec<u8> {
    (0..3).flat_map(|channel| interleaved[channel..].iter().step_by(3).copied()).collect()
}

fn bad(path: &Path, problem: String) -> Error {
    Error::BadFile {
        what: format!("the picture cannot be read: {problem}"),
        remedy: "save it again as PNG or JPEG, or take it out of the folder".into(),
        path: path.to_path_buf(),
    }
}

type Decoder<'a> = Box<dyn ImageDecoder + 'a>;

/// A decoder that has read the header, and found a size that can be meant.
fn decoder(bytes: &[u8]) -> std::result::Result<Decoder<'_>, String> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(8 * MOST_PIXELS);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(format!("it has {width} x {height} pixels, more than {MOST_PIXELS}"));
    }
    Ok(Box::new(decoder))
}

fn decode(mut decoder: Decoder<'_>) -> std::result::Result<DynamicImage, String> {
    let turn = decoder.orientation().map_err(|e| e.to_string())?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    picture.apply_orientation(turn);
    Ok(picture)
}

/// The picture at this height and width: linear interpolation, over all pixels that fall into one.
fn sized(picture: DynamicImage, [height, width]: [usize; 2], fit: ImageFit) -> DynamicImage {
    let (from_w, from_h) = (u64::from(picture.width()), u64::from(picture.height()));
    let (width, height) = (width as u64, height as u64);
    let picture = match fit {
        ImageFit::Stretch => picture,
        ImageFit::Crop => {
            // The largest window of the asked-for proportions, in the middle.
            let w = from_w.min((from_h * width + height / 2) / height).max(1);
            let h = from_h.min((from_w * height + width / 2) / width).max(1);
            let (x, y) = ((from_w - w) / 2, (from_h - h) / 2);
            picture.crop_imm(x as u32, y as u32, w as u32, h as u32)
        }
    };
    if (u64::from(picture.width()), u64::from(picture.height())) == (width, height) {
        return picture;
    }
    let (width, height) = (width as u32, height as u32);
    match picture {
        DynamicImage::ImageLuma8(grey) => {
            imageops::resize(&grey, width, height, FilterType::Triangle).into()
        }
        DynamicImage::ImageRgb8(rgb) => {
            imageops::resize(&rgb, width, height, FilterType::Triangle).into()
        }
        other => other.resize_exact(width, height, FilterType::Triangle),
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::*;

    /// 4 wide and 2 high: left half red, right half blue.
    fn flag() -> RgbImage {
        RgbImage::from_fn(4, 2, |x, _| if x < 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
    }

    fn saved(image: &DynamicImage, name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        image.save(&path).unwrap();
        (dir, path)
    }

    #[test]
    fn a_png_is_planar_and_its_middle_is_cut_out() {
        let (_dir, path) = saved(&flag().into(), "flag.png");
        assert_eq!(sides(&path).unwrap(), [2, 4]);
        let (picture, sides) = read(&path, None, None).unwrap();
        assert_eq!((sides, picture.colors), ([2, 4], Colors::Rgb));
        assert_eq!(picture.pixels[..8], [255, 255, 0, 0, 255, 255, 0, 0]);
        assert_eq!(picture.pixels[16..20], [0, 0, 255, 255]);
        let (cut, sides) = read(&path, Some(([2, 2], ImageFit::Crop)), None).unwrap();
        assert_eq!((sides, &cut.pixels[..4]), ([2, 2], &[255, 0, 255, 0][..]));
        let (whole, _) =
            read(&path, Some(([1, 4], ImageFit::Stretch)), Some(Colors::Grey)).unwrap();
        assert_eq!(whole.pixels.len(), 4);
        assert!(whole.pixels[0] > whole.pixels[3], "red is brighter than blue: {:?}", whole.pixels);
    }

    #[test]
    fn a_jpeg_is_read_whatever_its_name_says_and_a_grey_one_has_one_channel() {
        let grey = GrayImage::from_fn(16, 16, |_, _| Luma([77]));
        let (dir, path) = saved(&grey.into(), "grey.jpg");
        let renamed = dir.path().join("grey.png");
        std::fs::rename(&path, &renamed).unwrap();
        let (picture, _) = read(&renamed, None, None).unwrap();
        assert_eq!((picture.colors, picture.pixels.len()), (Colors::Grey, 256));
        assert!(picture.pixels.iter().all(|p| p.abs_diff(77) <= 1));
        let (picture, _) =
            read(&renamed, Some(([4, 4], ImageFit::Crop)), Some(Colors::Rgb)).unwrap();
        assert_eq!(picture.pixels.len(), 48);
    }

    #[test]
    fn scaling_agrees_with_pillow_s_bilinear() {
        // Pillow 12, Image.resize((4, 3), BILINEAR) and the beginning of ((12, 10), BILINEAR).
        let down = [71, 105, 155, 130, 132, 116, 112, 131, 172, 172, 105, 88];
        let up = [0, 37, 125, 209, 46, 117, 183, 180, 91, 75, 119, 192, 20, 57, 93, 106, 49, 137];
        let grey = GrayImage::from_fn(9, 7, |x, y| Luma([((37 * y + 59 * x * x) % 256) as u8]));
        for (sides, wanted) in [([3, 4], &down[..]), ([10, 12], &up[..])] {
            let picture = sized(grey.clone().into(), sides, ImageFit::Stretch).into_luma8();
            for (found, wanted) in picture.as_raw().iter().zip(wanted) {
                // Both round to bytes between the two directions.
                assert!(found.abs_diff(*wanted) <= 1, "{:?}", picture.as_raw());
            }
        }
    }

    #[test]
    fn what_claims_too_many_pixels_and_what_is_no_picture_are_refused() {
        let (_dir, path) = saved(&flag().into(), "flag.png");
        let mut bytes = std::fs::read(&path).unwrap();
        // The header chunk's width and height, and its checksum.
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let crc = crc32fast::hash(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let text = read(&path, None, None).err().unwrap().to_string();
        assert!(text.contains("65536 x 65536") && text.ends_with("flag.png"), "{text}");
        std::fs::write(&path, "GIF89a").unwrap();
        assert!(read(&path, None, None).is_err());
        std::fs::write(&path, "nothing").unwrap();
        let text = read(&path, None, None).err().unwrap().to_string();
        assert!(text.contains("PNG or JPEG"), "{text}");
    }
}
