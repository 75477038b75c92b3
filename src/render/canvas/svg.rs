//! The canvas of vectors: SVG 1.1 with text as text, for posters that are edited or printed.
//!
//! The font goes with the document, in the weights that occur, so that it looks the same where
//! Inter is not installed.

use std::fmt::Write;

use tiny_skia::{Path, PathSegment};

use crate::render::canvas::color::Color;
use crate::render::canvas::text::{self, Weight};
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};

use crate::render::canvas::png;

/// An SVG document that is drawn on.
pub struct Svg {
    pixels: [u32; 2],
    units: [u32; 2],
    defs: String,
    body: String,
    clips: usize,
    clipped: bool,
    /// Whether there is text in the regular and in the bolder weight.
    weights: [bool; 2],
    /// Whether text is drawn as outlines.
    outlines: bool,
}

impl Svg {
    /// A page of one colour (of none where that is transparent), `pixels` large, that is drawn on as if it were `units` large.
    pub fn new(pixels: [u32; 2], units: [u32; 2], background: Color) -> Self {
        let [width, height] = units;
        let mut svg = Self {
            pixels,
            units,
            defs: String::new(),
            body: String::new(),
            clips: 0,
            clipped: false,
            weights: [false; 2],
            outlines: false,
        };
        if background.a > 0 {
            svg.rect(Rect::new(0.0, 0.0, width as f32, height as f32), background);
        }
        svg
    }

    /// Draws all text as outlines, which look the same in every program and cannot be edited, where
    /// `outlines`.
    pub fn with_outlines(self, outlines: bool) -> Self {
        Self { outlines, ..self }
    }

    /// Text as an outline, with its words as the label that a screen reader speaks.
    fn draw_outline(&mut self, text: &str, x: f32, baseline: f32, style: &TextStyle) {
        let back = match style.align {
            Align::Left => 0.0,
            Align::Center => 0.5 * style.width(text),
            Align::Right => style.width(text),
        };
        let (sin, cos) = style.angle.sin_cos();
        let (x, y) = (x - back * cos, baseline - back * sin);
        let Some(path) = text::outline(text, style.size, style.weight, x, y, style.angle) else {
            return;
        };
        if let Some((color, width)) = style.halo {
            self.stroke(&path, &Stroke { cap: Cap::Round, ..Stroke::solid(color, 2.0 * width) });
        }
        let _ = writeln!(
            self.body,
            "<path role=\"img\" aria-label=\"{}\" d=\"{}\" {}/>",
            escape(text).replace('"', "&quot;"),
            data(&path),
            paint("fill", style.color),
        );
    }

    /// The document.
    pub fn finish(mut self) -> String {
        self.set_clip(None);
        let Self { pixels: [width, height], units: [w, h], defs, body, weights, .. } = self;
        let mut style = String::new();
        for (weight, number) in [(Weight::Regular, 400), (Weight::SemiBold, 600)] {
            if weights[weight as usize] {
                let _ = write!(
                    style,
                    "@font-face{{font-family:Inter;font-weight:{number};\
                     src:url(data:font/ttf;base64,{})}}",
                    base64(text::font_file(weight)),
                );
            }
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg version=\"1.1\" \
             xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {w} {h}\" \
             font-family=\"Inter, 'Helvetica Neue', Arial, sans-serif\" \
             style=\"font-feature-settings:'tnum'\">\n<defs><style \
             type=\"text/css\">{style}</style>{defs}</defs>\n{body}</svg>\n"
        )
    }
}

/// `name="#rrggbb"` with an opacity where it is not one.
fn paint(name: &str, color: Color) -> String {
    let Color { r, g, b, a } = color;
    let mut attribute = format!("{name}=\"#{r:02x}{g:02x}{b:02x}\"");
    if a < 255 {
        let _ = write!(attribute, " {name}-opacity=\"{:.3}\"", f32::from(a) / 255.0);
    }
    attribute
}

/// A coordinate with two decimals, trailing zeros dropped.
fn coordinate(v: f32) -> String {
    let text = format!("{v:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

fn data(path: &Path) -> String {
    let mut d = String::new();
    let mut put = |letter: char, points: &[tiny_skia::Point]| {
        d.push(letter);
        for (i, p) in points.iter().enumerate() {
            if i > 0 {
                d.push(' ');
            }
            let _ = write!(d, "{} {}", coordinate(p.x), coordinate(p.y));
        }
    };
    for segment in path.segments() {
        match segment {
            PathSegment::MoveTo(p) => put('M', &[p]),
            PathSegment::LineTo(p) => put('L', &[p]),
            PathSegment::QuadTo(c, p) => put('Q', &[c, p]),
            PathSegment::CubicTo(c, e, p) => put('C', &[c, e, p]),
            PathSegment::Close => put('Z', &[]),
        }
    }
    d
}

/// Text with what XML reserves replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0u32, |w, &b| (w << 8) | u32::from(b));
        let word = word << (8 * (3 - three.len()));
        for i in 0..4 {
            let letter = LETTERS[((word >> (18 - 6 * i)) & 63) as usize] as char;
            out.push(if i <= three.len() { letter } else { '=' });
        }
    }
    out
}

impl Canvas for Svg {
    fn fill(&mut self, path: &Path, color: Color, even_odd: bool) {
        let rule = if even_odd { " fill-rule=\"evenodd\"" } else { "" };
        let _ = writeln!(self.body, "<path d=\"{}\" {}{rule}/>", data(path), paint("fill", color));
    }

    fn stroke(&mut self, path: &Path, stroke: &Stroke) {
        let cap = if stroke.cap == Cap::Round { " stroke-linecap=\"round\"" } else { "" };
        let dash = stroke.dash.map_or(String::new(), |[on, off]| {
            format!(" stroke-dasharray=\"{} {}\"", coordinate(on), coordinate(off))
        });
        let _ = writeln!(
            self.body,
            "<path d=\"{}\" fill=\"none\" {} stroke-width=\"{}\" stroke-linejoin=\"round\"{cap}{dash}/>",
            data(path),
            paint("stroke", stroke.color),
            coordinate(stroke.width),
        );
    }

    fn text(&mut self, text: &str, x: f32, baseline: f32, style: &TextStyle) {
        if text.is_empty() {
            return;
        }
        if self.outlines || text::is_foreign(text) {
            return self.draw_outline(text, x, baseline, style);
        }
        self.weights[style.weight as usize] = true;
        // A program that passes over the font in here takes one of its own, which may be wider: the
        // length says how far the words may reach.
        let length = match style.width(text) {
            length if length > 4.0 * style.size => {
                format!(" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"", coordinate(length))
            }
            _ => String::new(),
        };
        let (x, y) = (coordinate(x), coordinate(baseline));
        let anchor = match style.align {
            Align::Left => "",
            Align::Center => " text-anchor=\"middle\"",
            Align::Right => " text-anchor=\"end\"",
        };
        let weight = if style.weight == Weight::SemiBold { " font-weight=\"600\"" } else { "" };
        let turn = if style.angle == 0.0 {
            String::new()
        } else {
            format!(" transform=\"rotate({:.2} {x} {y})\"", style.angle.to_degrees())
        };
        let halo = style.halo.map_or(String::new(), |(color, width)| {
            format!(
                " {} stroke-width=\"{}\" stroke-linejoin=\"round\" style=\"paint-order:stroke\"",
                paint("stroke", color),
                coordinate(2.0 * width)
            )
        });
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"{length} {}{weight}{anchor}{turn}{halo}>{}</text>",
            coordinate(style.size),
            paint("fill", style.color),
            escape(text),
        );
    }

    fn image(&mut self, rgba: &[u8], width: u32, height: u32, dest: Rect) {
        let mut file = Vec::new();
        // Fails on a wrong number of pixels only: nothing to draw.
        if png::write_rgba(&mut file, rgba, width, height).is_err() {
            return;
        }
        let [x, y, w, h] = [dest.x, dest.y, dest.w, dest.h].map(coordinate);
        let _ = writeln!(
            self.body,
            "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" \
             preserveAspectRatio=\"none\" xlink:href=\"data:image/png;base64,{}\"/>",
            base64(&file),
        );
    }

    fn set_clip(&mut self, clip: Option<Rect>) {
        if self.clipped {
            self.body.push_str("</g>\n");
        }
        self.clipped = clip.is_some();
        if let Some(r) = clip {
            self.clips += 1;
            let id = self.clips;
            let [x, y, w, h] = [r.x, r.y, r.w, r.h].map(coordinate);
            let _ = write!(
                self.defs,
                "<clipPath id=\"clip{id}\"><rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"/></clipPath>"
            );
            let _ = writeln!(self.body, "<g clip-path=\"url(#clip{id})\">");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_what_xml_reserves_is_escaped() {
        let mut svg = Svg::new([100, 50], [100, 50], Color::hex(0xffffff));
        svg.set_clip(Some(Rect::new(0.0, 0.0, 10.0, 10.0)));
        svg.text("a < b & c", 5.0, 5.0, &TextStyle::new(12.0, Color::hex(0x102030).alpha(0.5)));
        let document = svg.finish();
        assert!(document.contains(">a &lt; b &amp; c</text>"), "{document}");
        assert!(document.contains("fill=\"#102030\" fill-opacity=\"0.502\""), "{document}");
        assert_eq!(document.matches("<g ").count(), document.matches("</g>").count());
    }

    #[test]
    fn pixels_are_embedded_as_a_png() {
        // RFC 4648, section 10.
        for (plain, coded) in [("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        let mut svg = Svg::new([100, 50], [100, 50], Color::hex(0xffffff));
        svg.image(&[1, 2, 3, 255].repeat(6), 3, 2, Rect::new(4.0, 5.0, 30.0, 20.0));
        let document = svg.finish();
        // The signature of a PNG, in base64.
        assert!(
            document.contains("<image x=\"4\" y=\"5\" width=\"30\" height=\"20\""),
            "{document}"
        );
        assert!(document.contains("data:image/png;base64,iVBORw0KGgo"), "{document}");
    }
}
