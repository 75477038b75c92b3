//! Whether a picture's words can be read: a canvas that draws nothing and keeps where every text
//! stands. Two texts on one spot, one that leaves the page or its clip, one that something drawn later
//! cuts through: each is a complaint.

use tiny_skia::Path;

use crate::render::canvas::color::Color;
use crate::render::canvas::text::CAP_HEIGHT;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::film::show::Show;

/// A text and the corners of the box of its capitals, in order.
#[derive(Debug, Clone)]
struct Word {
    text: String,
    corners: [[f32; 2]; 4],
}

/// Pixels by which boxes may touch.
const SLACK: f32 = 1.0;

impl Word {
    fn new(text: &str, x: f32, baseline: f32, style: &TextStyle) -> Self {
        let width = style.width(text);
        let left = match style.align {
            Align::Left => 0.0,
            Align::Center => -0.5 * width,
            Align::Right => -width,
        };
        let (sin, cos) = style.angle.sin_cos();
        let place = |dx: f32, dy: f32| [x + dx * cos - dy * sin, baseline + dx * sin + dy * cos];
        let (top, right) = (-CAP_HEIGHT * style.size, left + width);
        let corners = [place(left, top), place(right, top), place(right, 0.0), place(left, 0.0)];
        Self { text: text.into(), corners }
    }

    fn of_rect(r: Rect) -> Self {
        let corners = [[r.x, r.y], [r.right(), r.y], [r.right(), r.bottom()], [r.x, r.bottom()]];
        Self { text: String::new(), corners }
    }

    /// Whether no line parts the two: they overlap by more than [`SLACK`] in every direction.
    fn meets(&self, other: &Word) -> bool {
        let axes = [&self.corners, &other.corners]
            .into_iter()
            .flat_map(|c| [(c[0], c[1]), (c[1], c[2])])
            .map(|(a, b)| [b[0] - a[0], b[1] - a[1]]);
        let reach = |word: &Word, axis: [f32; 2]| {
            let along = word.corners.map(|c| c[0] * axis[0] + c[1] * axis[1]);
            [along.into_iter().fold(f32::MAX, f32::min), along.into_iter().fold(f32::MIN, f32::max)]
        };
        axes.filter(|a| a[0].hypot(a[1]) > 0.0).all(|axis| {
            let length = axis[0].hypot(axis[1]);
            let axis = axis.map(|a| a / length);
            let ([a, b], [c, d]) = (reach(self, axis), reach(other, axis));
            a < d - SLACK && c < b - SLACK
        })
    }

    fn inside(&self, rect: Rect) -> bool {
        self.corners.iter().all(|c| rect.contains(c[0], c[1], -SLACK))
    }
}

/// The canvas.
struct Words {
    page: Rect,
    clip: Option<Rect>,
    words: Vec<Word>,
    complaints: Vec<String>,
}

impl Words {
    /// What is opaque and drawn over words hides them whole or is a complaint.
    fn cover(&mut self, rect: Rect) {
        let plate = Word::of_rect(rect);
        let cut = |word: &&Word| word.meets(&plate) && !word.inside(rect);
        self.complaints.extend(
            self.words.iter().filter(cut).map(|w| format!("`{}` is cut by {rect:?}", w.text)),
        );
        self.words.retain(|word| !word.inside(rect));
    }
}

impl Canvas for Words {
    fn fill(&mut self, _: &Path, _: Color, _: bool) {}

    fn stroke(&mut self, _: &Path, _: &Stroke) {}

    fn text(&mut self, text: &str, x: f32, baseline: f32, style: &TextStyle) {
        // What fades in or out may pass over something.
        if text.trim().is_empty() || style.color.a < 128 {
            return;
        }
        let word = Word::new(text, x, baseline, style);
        if !word.inside(self.clip.unwrap_or(self.page)) {
            self.complaints.push(format!("`{text}` is clipped: {:?}", word.corners));
        }
        // A halo is there for what has to stand on something: names that move over a map.
        let over = style.halo.is_some();
        for other in self.words.iter().filter(|other| !over && other.meets(&word)) {
            let at = word.corners[3];
            self.complaints.push(format!("`{}` and `{text}` overlap at {at:?}", other.text));
        }
        self.words.push(word);
    }

    fn image(&mut self, _: &[u8], _: u32, _: u32, _: Rect) {}

    fn set_clip(&mut self, clip: Option<Rect>) {
        self.clip = clip;
    }

    fn rect(&mut self, rect: Rect, color: Color) {
        if color.a == 255 {
            self.cover(rect);
        }
    }
}

/// What is wrong with the words of `frame`.
pub(in crate::render) fn complaints(show: &dyn Show, frame: usize) -> Vec<String> {
    let [width, height] = show.size();
    let page = Rect::new(0.0, 0.0, width as f32, height as f32);
    let mut words = Words { page, clip: None, words: Vec::new(), complaints: Vec::new() };
    show.draw_static(&mut words).unwrap();
    show.draw_moving(&mut words, frame).unwrap();
    words.complaints
}

/// Sizes that pictures are asked for in, and the scale of their type.
const SIZES: [([u32; 2], f32); 8] = [
    ([1280, 720], 1.0),
    ([1280, 720], 1.5),
    ([640, 360], 1.0),
    ([640, 360], 1.5),
    ([480, 270], 1.0),
    ([320, 180], 1.0),
    ([720, 1280], 1.0),
    ([3840, 2160], 1.0),
];

/// Holds that the words of the first frame, the last and some between can be read at all sizes.
pub(in crate::render) fn assert_legible(name: &str, make: &dyn Fn([u32; 2], f32) -> Box<dyn Show>) {
    let mut found = Vec::new();
    for (size, scale) in SIZES {
        let show = make(size, scale);
        let last = show.frames() - 1;
        let mut frames: Vec<usize> = (0..=4).map(|i| last * i / 4).collect();
        frames.dedup();
        for frame in frames {
            for complaint in complaints(&*show, frame) {
                found.push(format!("{name} at {size:?} x {scale}, frame {frame}: {complaint}"));
            }
        }
    }
    assert!(found.is_empty(), "{} complaints:\n{}", found.len(), found.join("\n"));
}

#[test]
fn what_cannot_be_read_is_complained_of() {
    let style = TextStyle::new(20.0, Color::hex(0));
    let words = || Words {
        page: Rect::new(0.0, 0.0, 400.0, 100.0),
        clip: None,
        words: Vec::new(),
        complaints: Vec::new(),
    };
    let mut fine = words();
    fine.text("left", 10.0, 40.0, &style);
    fine.text("right", 10.0 + style.width("left"), 40.0, &style);
    fine.text("below", 10.0, 56.0, &style);
    fine.text("up", 200.0, 90.0, &TextStyle { angle: -1.57, ..style });
    fine.rect(Rect::new(0.0, 0.0, 400.0, 100.0), Color::hex(0xffffff));
    fine.text("a card over all", 10.0, 40.0, &style);
    assert!(fine.complaints.is_empty(), "{:?}", fine.complaints);

    let mut bad = words();
    bad.text("left", 10.0, 40.0, &style);
    bad.text("over it", 12.0, 44.0, &style);
    bad.text("off the page", 380.0, 90.0, &style);
    bad.rect(Rect::new(20.0, 0.0, 100.0, 100.0), Color::hex(0xffffff));
    bad.set_clip(Some(Rect::new(0.0, 0.0, 5.0, 5.0)));
    bad.text("outside", 200.0, 60.0, &style);
    let complaints = bad.complaints.join("\n");
    for what in
        ["`left` and `over it`", "`off the page` is clipped", "`left` is cut by", "`outside`"]
    {
        assert!(complaints.contains(what), "{what}: {complaints}");
    }
    // Turned texts are judged by where they are, not by the boxes around them.
    let mut turned = words();
    let steep = TextStyle { angle: -0.7, ..style };
    turned.text("sloping", 100.0, 90.0, &steep);
    turned.text("under", 150.0, 90.0, &style);
    assert!(turned.complaints.is_empty(), "{:?}", turned.complaints);
    turned.text("through", 110.0, 75.0, &style);
    assert_eq!(turned.complaints.len(), 1);
}
