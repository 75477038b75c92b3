//! The canvas of a PDF page: vectors, text as text with the font embedded (it is a subset already),
//! pixels as an image. [`pdf_writer`] knows the syntax; here is what a page says.
//!
//! A unit of the picture is a 96th of an inch, as in SVG and CSS, so 1280 x 720 is a page of 13.3 by
//! 7.5 inches. Nothing in the file depends on the clock: the same picture has the same bytes.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{
    CidFontType, FontFlags, LineCapStyle, LineJoinStyle, SystemInfo, UnicodeCmap,
};
use pdf_writer::{Content, Filter, Finish, Name, Ref, Str};
use tiny_skia::{Path, PathSegment};

use crate::render::canvas::color::Color;
use crate::render::canvas::text::{self, Weight};
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};

/// Units an inch where nobody says: those of a screen.
pub const SCREEN: f32 = 96.0;

/// A page that is drawn on.
pub struct Pdf {
    units: [u32; 2],
    /// Points, the unit of PDF and a 72nd of an inch, a unit.
    points: f32,
    page: Content,
    clipped: bool,
    /// The opacity that is in force, in 255ths; `None` where a restored state took it back.
    opacity: Option<u8>,
    opacities: BTreeMap<u8, String>,
    /// Of each weight the glyphs that occur: width in thousandths of an em, character.
    glyphs: [BTreeMap<u16, (f32, char)>; 2],
    images: Vec<Picture>,
}

/// Pixels, compressed: colours and, where some are not opaque, opacities.
struct Picture {
    size: [i32; 2],
    rgb: Vec<u8>,
    alpha: Option<Vec<u8>>,
}

impl Pdf {
    /// A page of one colour (of none where that is transparent), `units` large, of which so many are an inch.
    pub fn new(units: [u32; 2], background: Color, units_an_inch: f32) -> Self {
        let [width, height] = units.map(|n| n as f32);
        let mut page = Content::new();
        // Our y points down.
        let points = 72.0 / units_an_inch;
        page.transform([points, 0.0, 0.0, -points, 0.0, points * height]);
        let mut pdf = Self {
            units,
            points,
            page,
            clipped: false,
            opacity: None,
            opacities: BTreeMap::new(),
            glyphs: Default::default(),
            images: Vec::new(),
        };
        if background.a > 0 {
            pdf.rect(Rect::new(0.0, 0.0, width, height), background);
        }
        pdf
    }

    /// The document.
    pub fn finish(mut self) -> Vec<u8> {
        self.set_clip(None);
        let mut next = (1..).map(Ref::new);
        let mut id = || next.next().expect("there are more numbers than objects");
        let mut pdf = pdf_writer::Pdf::new();
        let (catalog, tree, page, contents) = (id(), id(), id(), id());
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree).kids([page]).count(1);
        pdf.document_info(id()).producer(pdf_writer::TextStr("lossreel"));
        let fonts: Vec<(Weight, Ref)> = [Weight::Regular, Weight::SemiBold]
            .into_iter()
            .filter(|weight| !self.glyphs[*weight as usize].is_empty())
            .map(|weight| {
                let ids = [id(), id(), id(), id(), id()];
                embed(&mut pdf, weight, &self.glyphs[weight as usize], ids);
                (weight, ids[0])
            })
            .collect();
        let images: Vec<(String, Ref)> = self
            .images
            .iter()
            .enumerate()
            .map(|(k, picture)| {
                let (own, mask) = (id(), id());
                picture.write(&mut pdf, own, mask);
                (image_name(k), own)
            })
            .collect();
        let mut sheet = pdf.page(page);
        let [width, height] = self.units.map(|n| self.points * n as f32);
        sheet.parent(tree).contents(contents);
        sheet.media_box(pdf_writer::Rect::new(0.0, 0.0, width, height));
        let mut resources = sheet.resources();
        let mut dictionary = resources.fonts();
        for (weight, font) in fonts {
            dictionary.pair(Name(font_name(weight)), font);
        }
        dictionary.finish();
        let mut dictionary = resources.x_objects();
        for (name, image) in &images {
            dictionary.pair(Name(name.as_bytes()), *image);
        }
        dictionary.finish();
        let mut states = resources.ext_g_states();
        for (alpha, name) in &self.opacities {
            let opacity = f32::from(*alpha) / 255.0;
            let mut state = states
                .insert(Name(name.as_bytes()))
                .start::<pdf_writer::writers::ExtGraphicsState>();
            state.non_stroking_alpha(opacity).stroking_alpha(opacity);
        }
        states.finish();
        resources.finish();
        sheet.finish();
        let page = deflate(&self.page.finish());
        pdf.stream(contents, &page).filter(Filter::FlateDecode);
        pdf.finish()
    }

    fn set_opacity(&mut self, color: Color) {
        if self.opacity != Some(color.a) {
            self.opacity = Some(color.a);
            let name = self.opacities.entry(color.a).or_insert_with(|| format!("a{}", color.a));
            self.page.set_parameters(Name(name.as_bytes()));
        }
    }

    fn put(&mut self, path: &Path) {
        let page = &mut self.page;
        let mut at = (0.0, 0.0);
        for segment in path.segments() {
            match segment {
                PathSegment::MoveTo(p) => {
                    page.move_to(p.x, p.y);
                    at = (p.x, p.y);
                }
                PathSegment::LineTo(p) => {
                    page.line_to(p.x, p.y);
                    at = (p.x, p.y);
                }
                PathSegment::QuadTo(c, p) => {
                    // The same curve with two handles: two thirds of the way to the one.
                    let toward = |a: f32, b: f32| a + 2.0 / 3.0 * (b - a);
                    let (x1, y1) = (toward(at.0, c.x), toward(at.1, c.y));
                    let (x2, y2) = (toward(p.x, c.x), toward(p.y, c.y));
                    page.cubic_to(x1, y1, x2, y2, p.x, p.y);
                    at = (p.x, p.y);
                }
                PathSegment::CubicTo(c, d, p) => {
                    page.cubic_to(c.x, c.y, d.x, d.y, p.x, p.y);
                    at = (p.x, p.y);
                }
                PathSegment::Close => {
                    page.close_path();
                }
            }
        }
    }
}

fn rgb(color: Color) -> [f32; 3] {
    [color.r, color.g, color.b].map(|c| f32::from(c) / 255.0)
}

fn font_name(weight: Weight) -> &'static [u8] {
    match weight {
        Weight::Regular => b"F0",
        Weight::SemiBold => b"F1",
    }
}

fn image_name(k: usize) -> String {
    format!("I{k}")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    // Memory does not fail to be written to.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

impl Picture {
    fn write(&self, pdf: &mut pdf_writer::Pdf, own: Ref, mask: Ref) {
        let [width, height] = self.size;
        let mut image = pdf.image_xobject(own, &self.rgb);
        image.width(width).height(height).bits_per_component(8).filter(Filter::FlateDecode);
        image.color_space().device_rgb();
        if self.alpha.is_some() {
            image.s_mask(mask);
        }
        image.finish();
        if let Some(alpha) = &self.alpha {
            let mut image = pdf.image_xobject(mask, alpha);
            image.width(width).height(height).bits_per_component(8).filter(Filter::FlateDecode);
            image.color_space().device_gray();
        }
    }
}

/// Writes a font as objects: font, its glyphs, their measures, the file, and what they mean.
fn embed(
    pdf: &mut pdf_writer::Pdf,
    weight: Weight,
    glyphs: &BTreeMap<u16, (f32, char)>,
    [font, cid, descriptor, file, meaning]: [Ref; 5],
) {
    let info = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
    // Six letters and a plus: a subset.
    let name = match weight {
        Weight::Regular => Name(b"LRLRLR+Inter-Regular"),
        Weight::SemiBold => Name(b"LRLRLS+Inter-SemiBold"),
    };
    pdf.type0_font(font)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(meaning);
    let mut outlines = pdf.cid_font(cid);
    outlines
        .subtype(CidFontType::Type2)
        .base_font(name)
        .system_info(info)
        .font_descriptor(descriptor)
        .default_width(0.0)
        .cid_to_gid_map_predefined(Name(b"Identity"));
    let mut widths = outlines.widths();
    for (glyph, (width, _)) in glyphs {
        widths.consecutive(*glyph, [*width]);
    }
    widths.finish();
    outlines.finish();
    let (ascent, descent) = text::vertical_extent(weight);
    pdf.font_descriptor(descriptor)
        .name(name)
        .flags(FontFlags::SYMBOLIC)
        .bbox(pdf_writer::Rect::new(-500.0, 1000.0 * descent, 2500.0, 1000.0 * ascent))
        .italic_angle(0.0)
        .ascent(1000.0 * ascent)
        .descent(1000.0 * descent)
        .cap_height(1000.0 * text::CAP_HEIGHT)
        .stem_v(if weight == Weight::Regular { 88.0 } else { 128.0 })
        .font_file2(file);
    let bytes = text::font_file(weight);
    let packed = deflate(bytes);
    pdf.stream(file, &packed)
        .filter(Filter::FlateDecode)
        .pair(Name(b"Length1"), bytes.len() as i32);
    let mut cmap = UnicodeCmap::new(Name(b"Meaning"), info);
    for (glyph, (_, char)) in glyphs {
        cmap.pair(*glyph, *char);
    }
    pdf.cmap(meaning, &cmap.finish());
}

impl Canvas for Pdf {
    fn fill(&mut self, path: &Path, color: Color, even_odd: bool) {
        self.set_opacity(color);
        let [r, g, b] = rgb(color);
        self.page.set_fill_rgb(r, g, b);
        self.put(path);
        if even_odd {
            self.page.fill_even_odd()
        } else {
            self.page.fill_nonzero()
        };
    }

    fn stroke(&mut self, path: &Path, stroke: &Stroke) {
        self.set_opacity(stroke.color);
        let [r, g, b] = rgb(stroke.color);
        self.page.set_stroke_rgb(r, g, b).set_line_width(stroke.width);
        self.page.set_line_join(LineJoinStyle::RoundJoin).set_line_cap(match stroke.cap {
            Cap::Butt => LineCapStyle::ButtCap,
            Cap::Round => LineCapStyle::RoundCap,
        });
        match stroke.dash {
            Some(dash) => self.page.set_dash_pattern(dash, 0.0),
            None => self.page.set_dash_pattern([], 0.0),
        };
        self.put(path);
        self.page.stroke();
    }

    fn text(&mut self, text: &str, x: f32, baseline: f32, style: &TextStyle) {
        let (sin, cos) = style.angle.sin_cos();
        let back = match style.align {
            Align::Left => 0.0,
            Align::Center => 0.5 * style.width(text),
            Align::Right => style.width(text),
        };
        let (x, y) = (x - back * cos, baseline - back * sin);
        // The halo as an outline, so that the words are in the document once.
        if let Some((color, width)) = style.halo
            && let Some(outline) = text::outline(text, style.size, style.weight, x, y, style.angle)
        {
            let halo = Stroke { cap: Cap::Round, ..Stroke::solid(color, 2.0 * width) };
            self.stroke(&outline, &halo);
        }
        if text::is_foreign(text) {
            // Of another font, which is not embedded.
            if let Some(path) = text::outline(text, style.size, style.weight, x, y, style.angle) {
                self.fill(&path, style.color, false);
            }
            return;
        }
        let placed = text::glyphs(text, style.weight);
        if placed.is_empty() {
            return;
        }
        self.set_opacity(style.color);
        let [r, g, b] = rgb(style.color);
        self.page.set_fill_rgb(r, g, b).begin_text();
        self.page.set_font(Name(font_name(style.weight)), style.size);
        // The page is upside down, and letters are not.
        self.page.set_text_matrix([cos, sin, sin, -cos, x, y]);
        let used = &mut self.glyphs[style.weight as usize];
        let mut line = self.page.show_positioned();
        let mut items = line.items();
        let mut pen = 0.0;
        for glyph in placed {
            // Kerning, in thousandths of an em to the left.
            let shift = 1000.0 * (pen - glyph.x);
            if shift.abs() > 0.01 {
                items.adjust(shift);
            }
            items.show(Str(&glyph.id.to_be_bytes()));
            used.entry(glyph.id).or_insert((1000.0 * glyph.advance, glyph.char));
            pen = glyph.x + glyph.advance;
        }
        items.finish();
        line.finish();
        self.page.end_text();
    }

    fn image(&mut self, rgba: &[u8], width: u32, height: u32, dest: Rect) {
        if rgba.len() != 4 * width as usize * height as usize {
            return;
        }
        let colors: Vec<u8> = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        let alphas: Vec<u8> = rgba.chunks_exact(4).map(|p| p[3]).collect();
        let clear = alphas.iter().any(|a| *a < 255);
        let name = image_name(self.images.len());
        self.images.push(Picture {
            size: [width as i32, height as i32],
            rgb: deflate(&colors),
            alpha: clear.then(|| deflate(&alphas)),
        });
        self.set_opacity(Color::hex(0));
        self.page.save_state();
        self.page.transform([dest.w, 0.0, 0.0, -dest.h, dest.x, dest.bottom()]);
        self.page.x_object(Name(name.as_bytes()));
        self.page.restore_state();
    }

    fn set_clip(&mut self, clip: Option<Rect>) {
        if self.clipped {
            self.page.restore_state();
            self.opacity = None;
        }
        self.clipped = clip.is_some();
        if let Some(r) = clip {
            self.page.save_state();
            self.page.rect(r.x, r.y, r.w, r.h).clip_nonzero().end_path();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_one_document_with_the_fonts_that_occur() {
        let mut pdf = Pdf::new([1280, 720], Color::hex(0xffffff), SCREEN);
        pdf.set_clip(Some(Rect::new(0.0, 0.0, 100.0, 100.0)));
        pdf.text("θ", 5.0, 50.0, &TextStyle::new(12.0, Color::hex(0x102030)));
        pdf.image(&[1, 2, 3, 99].repeat(6), 3, 2, Rect::new(4.0, 5.0, 30.0, 20.0));
        let bytes = pdf.finish();
        assert!(bytes.starts_with(b"%PDF-") && bytes.ends_with(b"%%EOF"));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("Inter-Regular") && !text.contains("Inter-SemiBold"), "{text}");
        assert!(text.contains("[0 0 960 540]") && text.contains("/SMask"), "{text}");
        // States that are saved are restored.
        let again = {
            let mut pdf = Pdf::new([1280, 720], Color::hex(0xffffff), SCREEN);
            pdf.set_clip(Some(Rect::new(0.0, 0.0, 100.0, 100.0)));
            pdf.text("θ", 5.0, 50.0, &TextStyle::new(12.0, Color::hex(0x102030)));
            pdf.image(&[1, 2, 3, 99].repeat(6), 3, 2, Rect::new(4.0, 5.0, 30.0, 20.0));
            pdf.finish()
        };
        assert!(bytes == again, "the same page has other bytes");
    }
}
