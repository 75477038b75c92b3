//! What happens when in a film, as files beside it: where a speaker lets it rest (`film.cues.json`, which
//! the lecture's slides read) and what is to be seen (`film.vtt`, WebVTT captions for those who do not
//! see it or have it without its words).

use std::path::Path;

use serde_json::json;

use crate::disk;
use crate::error::Result;
use crate::render::film::show::{Chapter, Show};

/// What is in every file of ours: one without it is somebody's own work.
const MARK: &str = "made by lossreel render";

/// Writes `film.cues.json` and `film.vtt` beside the film at `path`, which runs for `seconds`. A file of that
/// name that was not made here, as captions written by hand, is left as it is; what is returned says so.
///
/// Errors: [`crate::Error::Io`].
pub fn write(show: &dyn Show, path: &Path, seconds: f64) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    let chapters = show.chapters();
    for (extension, text) in
        [("cues.json", cues(&chapters, path, seconds)), ("vtt", captions(&chapters, seconds))]
    {
        let file = path.with_extension(extension);
        let ours = || disk::read_text(&file, "read what is there").is_ok_and(|t| t.contains(MARK));
        if disk::is_there(&file)? && !ours() {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            kept.push(format!("{name} was not made by lossreel and stays as it is"));
            continue;
        }
        disk::remove_temporaries_of(&file)?;
        disk::write_bytes(&file, text.as_bytes())?;
    }
    Ok(kept)
}

/// To the millisecond.
fn rounded(seconds: f64) -> f64 {
    (1000.0 * seconds).round() / 1000.0
}

fn cues(chapters: &[Chapter], path: &Path, seconds: f64) -> String {
    let cue = |chapter: &Chapter| {
        let at = rounded(chapter.rest?);
        Some(json!({ "seconds": at, "label": chapter.label }))
    };
    let part = |chapter: &Chapter| {
        let (from, until) = (rounded(chapter.from), rounded(chapter.until));
        json!({ "from": from, "until": until, "label": chapter.label })
    };
    let all = json!({
        "format_version": 1,
        "note": MARK,
        "film": path.file_name().unwrap_or_default().to_string_lossy(),
        "seconds": rounded(seconds),
        "cues": chapters.iter().filter_map(cue).collect::<Vec<_>>(),
        "chapters": chapters.iter().map(part).collect::<Vec<_>>(),
    });
    format!("{all:#}\n")
}

fn captions(chapters: &[Chapter], seconds: f64) -> String {
    let mut text = format!("WEBVTT\n\nNOTE {MARK}\n");
    for chapter in chapters {
        let until = chapter.until.min(seconds);
        if until - chapter.from < 0.02 {
            continue;
        }
        // A line of its own, without what the format reads as markup; a blank line would end the caption.
        let words: Vec<&str> = chapter.label.split_whitespace().collect();
        let words = words.join(" ").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text += &format!("\n{} --> {}\n{words}\n", clock(chapter.from), clock(until));
    }
    text
}

/// Seconds as `00:01:02.345`.
fn clock(seconds: f64) -> String {
    let millis = (1000.0 * seconds.max(0.0)).round() as u64;
    let (secs, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", secs / 3600, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_where_a_film_rests_and_captions_say_what_is_seen() {
        let chapter = |from: f64, until: f64, label: &str, rest| {
            let label = label.into();
            Chapter { from, until, label, rest }
        };
        let chapters = [
            chapter(0.0, 2.0, "A title", Some(1.5)),
            chapter(2.0, 3661.25, "a < b --> c\n\nand & more", None),
            chapter(3661.25, 3661.26, "too short to read", None),
        ];
        let json: serde_json::Value =
            serde_json::from_str(&cues(&chapters, Path::new("a/film.mp4"), 3700.0)).unwrap();
        assert_eq!(json["film"], "film.mp4");
        assert_eq!(json["cues"], json!([{ "seconds": 1.5, "label": "A title" }]));
        assert_eq!(json["chapters"].as_array().unwrap().len(), 3);
        let expected = "WEBVTT\n\nNOTE made by lossreel render\n\n00:00:00.000 --> 00:00:02.000\nA title\n\n00:00:02.000 --> \
                        01:01:01.250\na &lt; b --&gt; c and &amp; more\n";
        assert_eq!(captions(&chapters, 3700.0), expected);
    }
}
