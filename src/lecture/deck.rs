//! The deck: slides in one file, with the films in it, their cue points and speaker notes.
//!
//! The keys are those of reveal.js: arrow keys and space, F for full screen, S for the speaker's window,
//! Escape and O for the overview. A film that has cue points plays to the next one at each click.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Show, Shown};
use crate::report::escaped;
use crate::{Result, disk};

/// The most bytes of a film within the deck.
const MOST: u64 = 256 << 20;

/// Writes `deck.html`.
pub(super) fn write(root: &Path, scenes: &[Shown<'_>]) -> Result<PathBuf> {
    let mut slides = String::new();
    for shown in scenes {
        for show in shown.scene.show.iter().filter(|show| !show.file.ends_with(".html")) {
            slide(root, shown, show, &mut slides)?;
        }
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src data:\">\
         <title>What each trick does to the loss surface</title><style>{STYLE}</style></head><body>\
         <main class=\"slides\"><section class=\"slide opening\"><h1>What each trick does to the loss \
         surface</h1><p>{} scenes</p><p class=\"keys\">→ next&emsp;← back&emsp;F full screen&emsp;S speaker \
         notes&emsp;O overview</p><aside class=\"notes\">Press F for the full screen, and S for a window \
         with the words to say.</aside></section>{slides}</main>\
         <div class=\"bar\"><div id=\"done\"></div></div><output id=\"place\" aria-live=\"polite\"></output>\
         <script>{SCRIPT}</script></body></html>",
        scenes.len()
    );
    let path = root.join("deck.html");
    disk::write_bytes(&path, page.as_bytes())?;
    Ok(path)
}

fn slide(root: &Path, shown: &Shown<'_>, show: &Show, html: &mut String) -> Result<()> {
    let scene = shown.scene;
    let file = root.join(&shown.folder).join(&show.file);
    let data = |path: &Path, kind: &str| -> Result<String> {
        let bytes = disk::read(path, "read the film", MOST)?;
        Ok(format!("data:{kind};base64,{}", STANDARD.encode(bytes)))
    };
    let caption = escaped(&show.caption);
    let content = if show.file.ends_with(".mp4") {
        let poster = file.with_extension("png");
        let poster = if disk::is_there(&poster)? {
            format!(" poster=\"{}\"", data(&poster, "image/png")?)
        } else {
            String::new()
        };
        let cues: Vec<String> = cues(&file)?.iter().map(|cue| format!("{cue:.3}")).collect();
        format!(
            "<video muted playsinline preload=\"auto\"{poster} data-cues=\"{}\" aria-label=\"{caption}\" \
             src=\"{}\"></video>",
            cues.join(" "),
            data(&file, "video/mp4")?
        )
    } else {
        let kind = if show.file.ends_with(".svg") { "image/svg+xml" } else { "image/png" };
        format!("<img alt=\"{caption}\" src=\"{}\">", data(&file, kind)?)
    };
    let _ = write!(
        html,
        "<section class=\"slide\"><h2>{}</h2><figure>{content}</figure><p class=\"caption\">{caption}</p>\
         <aside class=\"notes\"><p>{}</p><ul>",
        escaped(&scene.title),
        escaped(&scene.say)
    );
    for point in &scene.look {
        let _ = write!(html, "<li>{}</li>", escaped(point));
    }
    let _ = write!(html, "</ul><p>Source: {}</p></aside></section>", escaped(&scene.source));
    Ok(())
}

/// The seconds at which a film is to rest, of the file beside it: `film.cues.json`, as `render` writes it.
fn cues(film: &Path) -> Result<Vec<f64>> {
    let path = film.with_extension("cues.json");
    if !disk::is_there(&path)? {
        return Ok(Vec::new());
    }
    let text = disk::read_text(&path, "read the cue points")?;
    let seconds = |value: serde_json::Value| -> Option<Vec<f64>> {
        value.get("cues")?.as_array()?.iter().map(|cue| cue.get("seconds")?.as_f64()).collect()
    };
    // A file of somebody else's making is no reason to have no deck.
    Ok(serde_json::from_str(&text).ok().and_then(seconds).unwrap_or_default())
}

/// A picture has its own headline: the slide's is for the overview, for print and for readers of the page.
const STYLE: &str = "\
*{box-sizing:border-box}html,body{margin:0;height:100%;background:#12161b;color:#e8e6e1;\
font-family:'Source Sans 3','Segoe UI',system-ui,sans-serif;overflow:hidden}\
.slide{position:absolute;inset:0;display:none;flex-direction:column;padding:2vh 2vw 3vh;gap:1.4vh}\
.slide.now{display:flex}.slide h2{margin:0;line-height:1.15;font-weight:600}\
.slide figure{margin:0;flex:1;min-height:0;display:flex;justify-content:center}\
.slide video,.slide img{width:100%;height:100%;object-fit:contain}\
.caption{margin:0;font-size:min(2.4vh,1.9vw);color:#a9b0b8}\
.opening{justify-content:center;align-items:center;text-align:center}\
.opening h1{font-size:min(9vh,6vw);line-height:1.1;margin:0;max-width:18ch}\
.opening p{font-size:min(3vh,2.4vw);color:#a9b0b8;margin:0}.notes{display:none}\
.bar{position:fixed;left:0;right:0;bottom:0;height:4px;background:#232b34}\
#done{height:100%;width:0;background:#8dbdf0}\
#place{position:fixed;right:1.2vw;bottom:1.2vh;font-size:min(1.8vh,1.4vw);color:#a9b0b8}\
@media screen{body:not(.overview) .slide h2{position:absolute;width:1px;height:1px;overflow:hidden;\
clip-path:inset(50%)}}body.overview{overflow:auto}.overview .slides{display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));\
gap:16px;padding:16px}.overview .slide{display:flex;position:relative;inset:auto;height:220px;padding:12px;\
border:1px solid #333b44;border-radius:6px;cursor:pointer}.overview .slide.now{border-color:#8dbdf0}\
.overview .slide h1,.overview .slide h2{font-size:16px}.overview .caption,.overview .opening p{font-size:12px}\
@media print{html,body{overflow:visible;height:auto;background:#fff;color:#000}\
.slide{display:flex;position:relative;height:100vh;break-after:page}.notes{display:block;font-size:12px}\
.bar,#place,.keys{display:none}}";

const SCRIPT: &str = r#"
'use strict';
const slides = [...document.querySelectorAll('.slide')];
let now = Math.min(Math.max(parseInt(location.hash.slice(1), 10) - 1 || 0, 0), slides.length - 1);
let cue = 0, notes = null;
const film = () => slides[now].querySelector('video');
const cuesOf = v => v.dataset.cues ? v.dataset.cues.split(' ').map(Number) : [];
function show(to) {
  const before = film();
  if (before) before.pause();
  now = to;
  cue = 0;
  slides.forEach((s, i) => s.classList.toggle('now', i === now));
  document.getElementById('done').style.width = 100 * (now + 1) / slides.length + '%';
  document.getElementById('place').textContent = (now + 1) + ' / ' + slides.length;
  history.replaceState(null, '', '#' + (now + 1));
  const v = film();
  if (v) { v.currentTime = 0; play(v); }
  speak();
}
// Plays to the next cue point, or to the end.
function play(v) {
  const stop = cuesOf(v)[cue];
  v.dataset.until = stop === undefined ? '' : String(stop);
  v.play().catch(() => {});
}
function watch(v) {
  const until = v.dataset.until;
  if (until && v.currentTime >= Number(until)) { v.pause(); v.dataset.until = ''; }
  if (!v.paused) requestAnimationFrame(() => watch(v));
}
document.querySelectorAll('video').forEach(v => v.addEventListener('playing', () => watch(v)));
function forward() {
  const v = film();
  if (v && !v.ended && v.paused && v.currentTime > 0 && cue < cuesOf(v).length) { cue++; play(v); return; }
  if (v && !v.paused) {
    // A click while it plays goes to where it would rest.
    const stop = v.dataset.until ? Number(v.dataset.until) : v.duration;
    if (Number.isFinite(stop)) v.currentTime = Math.max(0, stop - 0.02);
    return;
  }
  if (now + 1 < slides.length) show(now + 1);
}
function back() { if (now > 0) show(now - 1); }
function speak() {
  if (!notes || notes.closed) return;
  const d = notes.document;
  d.title = 'Speaker notes';
  d.body.replaceChildren();
  const add = (tag, text) => { const e = d.createElement(tag); e.textContent = text; d.body.append(e); };
  const title = s => (s.querySelector('h1,h2') || s).textContent;
  add('h1', title(slides[now]));
  d.body.append(d.importNode(slides[now].querySelector('.notes'), true));
  add('p', now + 1 < slides.length ? 'Next: ' + title(slides[now + 1]) : 'The last slide.');
  d.body.style.cssText = 'font:22px/1.5 system-ui,sans-serif;margin:2em;max-width:40em';
}
function overview(on) {
  document.body.classList.toggle('overview', on);
  if (!on) show(now);
}
addEventListener('keydown', e => {
  if (e.ctrlKey || e.altKey || e.metaKey) return;
  const keys = {
    ArrowRight: forward, ArrowDown: forward, PageDown: forward, ' ': forward,
    ArrowLeft: back, ArrowUp: back, PageUp: back,
    Home: () => show(0), End: () => show(slides.length - 1),
    f: () => document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen(),
    s: () => { notes = window.open('', 'lossreel-notes', 'width=900,height=600'); speak(); },
    o: () => overview(!document.body.classList.contains('overview')),
    Escape: () => overview(!document.body.classList.contains('overview')),
  };
  const act = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
  if (act) { e.preventDefault(); act(); }
});
slides.forEach((s, i) => s.addEventListener('click', () => {
  if (document.body.classList.contains('overview')) { now = i; overview(false); } else forward();
}));
show(now);
"#;
