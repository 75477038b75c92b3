//! What stands above and below everything else on a laid-out page: the headline, and the caption in
//! one line or, where it is too long for that, two.

use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, TextStyle};
use crate::render::page::layout::Layout;
use crate::render::page::wrap;

/// A headline and a caption.
#[derive(Debug, Clone)]
pub struct Masthead<'a> {
    title: &'a str,
    caption: Vec<String>,
}

impl<'a> Masthead<'a> {
    /// The headline and the caption of a page of `width` x `height` pixels that `lay_out` fills down
    /// to the height it is given: a second line of caption is taken off everything else.
    pub fn above<T>(
        title: &'a str,
        caption: &str,
        [width, height]: [u32; 2],
        theme: &Theme,
        lay_out: impl Fn([u32; 2]) -> (Layout, T),
    ) -> (Self, Layout, T) {
        let lines = |layout: &Layout| {
            let style = TextStyle::new(layout.font.small, theme.muted);
            let room = layout.page.w - 2.0 * layout.margin;
            layout.caption_baseline.map_or_else(Vec::new, |_| wrap(caption, room, 2, &style))
        };
        let (mut layout, mut rest) = lay_out([width, height]);
        let mut caption = lines(&layout);
        if caption.len() > 1 {
            let line = (1.35 * layout.font.small).round() as u32;
            (layout, rest) = lay_out([width, height.saturating_sub(line).max(1)]);
            layout.page.h = height as f32;
            caption = lines(&layout);
        }
        (Self { title, caption }, layout, rest)
    }

    /// Draws both.
    pub fn draw(&self, canvas: &mut dyn Canvas, layout: &Layout, theme: &Theme) {
        if let Some(baseline) = layout.title_baseline {
            let style = TextStyle::new(layout.font.title, theme.text).bold();
            let room = layout.page.w - 2.0 * layout.margin;
            canvas.text(&style.fit(self.title, room), layout.margin, baseline, &style);
        }
        let style = TextStyle::new(layout.font.small, theme.muted);
        for (i, line) in self.caption.iter().enumerate() {
            let baseline = layout.caption_baseline.unwrap_or(0.0);
            let below = 1.35 * layout.font.small * i as f32;
            canvas.text(line, layout.margin, baseline + below, &style);
        }
    }
}
