//! Making a film fit into a number of bytes: what is given up, in which order.
//!
//! A GIF gives up frames first (down to ten a second), then colours, then size; an MP4 quality,
//! then size. How much a step saves is guessed from how the last try went, so that hopeless tries
//! are left out; whether it fits is measured.

use crate::render::film::output::{Format, Output};

/// One way to write a film.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Every so many frames of the scene.
    pub stride: usize,
    /// Colours of the palette, the transparent one included.
    pub colors: usize,
    /// MP4 quality.
    pub quality: u8,
    /// Size as a share of what was asked for.
    pub zoom: f64,
}

impl Plan {
    /// All that was asked for.
    pub fn full(output: &Output) -> Self {
        Self { stride: 1, colors: 256, quality: output.quality, zoom: 1.0 }
    }

    /// The size in pixels; even, as MP4 wants it, where it is not the full one.
    pub fn pixels(&self, full: [u32; 2]) -> [u32; 2] {
        if self.zoom == 1.0 { full } else { full.map(|n| (f64::from(n) * self.zoom) as u32 & !1) }
    }

    /// The guessed share of the bytes of the full plan. Exponents below one, since frames share
    /// what does not change; measured on contour films.
    fn cost(&self, full: &Plan) -> f64 {
        let colors = (self.colors as f64 / full.colors as f64).powf(0.2);
        let quality = 0.965f64.powi(i32::from(full.quality) - i32::from(self.quality));
        (self.stride as f64).powf(-0.7) * colors * quality * self.zoom.powf(1.5)
    }

    /// What was given up against `full`, in words.
    pub fn describe(&self, full: &Plan, fps: f64, pixels: [u32; 2]) -> String {
        let mut parts = Vec::new();
        if self.stride != full.stride {
            parts.push(format!("{fps} frames a second"));
        }
        if self.colors != full.colors {
            parts.push(format!("{} colours", self.colors));
        }
        if self.quality != full.quality {
            parts.push(format!("quality {}", self.quality));
        }
        if self.zoom != full.zoom {
            parts.push(format!("{}x{}", pixels[0], pixels[1]));
        }
        parts.join(", ")
    }
}

/// The plans for `output`, each cheaper than the one before it; the first gives up nothing.
pub fn plans(format: Format, output: &Output) -> Vec<Plan> {
    let mut plan = Plan::full(output);
    let mut plans = vec![plan];
    if output.max_bytes.is_none() {
        return plans;
    }
    if format == Format::Gif {
        for stride in (2..).take_while(|s| output.fps as usize / s >= 10) {
            plan.stride = stride;
            plans.push(plan);
        }
        for colors in [128, 64, 32] {
            plan.colors = colors;
            plans.push(plan);
        }
    } else {
        for quality in [65, 50, 35, 20] {
            if quality < output.quality {
                plan.quality = quality;
                plans.push(plan);
            }
        }
    }
    let side = f64::from(output.width.min(output.height));
    for zoom in [0.85, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25] {
        // Type of 15 pixels at 720 lines cannot be read below a quarter of that.
        if zoom * side >= 180.0 {
            plan.zoom = zoom;
            plans.push(plan);
        }
    }
    plans
}

/// The plan to try after plan `tried`, which came or would have come to `share` times the limit:
/// the first that may fit, else the last one; `None` when the last has been tried.
pub fn next(plans: &[Plan], tried: usize, share: f64) -> Option<usize> {
    let cost = |i: usize| plans[i].cost(&plans[0]);
    let wanted = cost(tried) / share * 1.1;
    let last = plans.len() - 1;
    (tried + 1..=last).find(|&i| cost(i) <= wanted).or((tried < last).then_some(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_before_colours_before_size_and_every_plan_is_cheaper() {
        let limit = Some(1_000_000);
        let output = Output { max_bytes: limit, fps: 30, ..Output::new("a.gif") };
        let all = plans(Format::Gif, &output);
        let steps: Vec<_> = all.iter().map(|p| (p.stride, p.colors, p.zoom)).collect();
        assert_eq!(steps[..4], [(1, 256, 1.0), (2, 256, 1.0), (3, 256, 1.0), (3, 128, 1.0)]);
        assert_eq!(*steps.last().unwrap(), (3, 32, 0.25));
        assert!(all.windows(2).all(|w| w[1].cost(&all[0]) < w[0].cost(&all[0])));
        let video = plans(Format::Mp4, &Output { max_bytes: limit, ..Output::new("a.mp4") });
        assert_eq!((video[1].quality, video[1].stride, video[1].zoom), (65, 1, 1.0));
        assert!(video.windows(2).all(|w| w[1].cost(&video[0]) < w[0].cost(&video[0])));
        assert_eq!(plans(Format::Gif, &Output::new("a.gif")).len(), 1);
    }

    #[test]
    fn a_near_miss_takes_a_small_step_and_a_far_one_a_large() {
        let output = Output { max_bytes: Some(1), ..Output::new("a.gif") };
        let all = plans(Format::Gif, &output);
        assert_eq!(next(&all, 0, 1.05), Some(1));
        assert!(next(&all, 0, 6.0).unwrap() > 3);
        assert_eq!(next(&all, 0, 1e9), Some(all.len() - 1));
        assert_eq!(next(&all, all.len() - 1, 1.5), None);
    }
}
