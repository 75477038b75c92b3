//! The gallery: one page that shows every scene with its words and the commands that made it. The films lie
//! beside the page, in the scenes' folders.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Scale, Show, Shown};
use crate::report::escaped;
use crate::{Result, disk};

/// Writes `index.html`.
pub(super) fn write(root: &Path, scenes: &[Shown<'_>], scale: Scale) -> Result<PathBuf> {
    let mut body = String::from("<nav aria-label=\"Scenes\"><ol>");
    for shown in scenes {
        let (name, title) = (escaped(&shown.scene.name), escaped(&shown.scene.title));
        let _ = write!(body, "<li><a href=\"#{name}\">{title}</a></li>");
    }
    body.push_str("</ol></nav>");
    for shown in scenes {
        section(shown, &mut body);
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>What each trick does to the loss surface</title><style>{STYLE}</style></head><body><main>\
         <h1>What each trick does to the loss surface</h1>\
         <p class=\"lead\">{} scenes at scale {scale}, made by lossreel {}. Each film has the words that go \
         with it and the commands that made it.</p>{body}</main></body></html>",
        scenes.len(),
        env!("CARGO_PKG_VERSION"),
    );
    let path = root.join("index.html");
    disk::write_bytes(&path, page.as_bytes())?;
    Ok(path)
}

fn section(shown: &Shown<'_>, html: &mut String) {
    let scene = shown.scene;
    let _ =
        write!(html, "<section id=\"{}\"><h2>{}</h2>", escaped(&scene.name), escaped(&scene.title));
    for show in &scene.show {
        figure(&shown.folder, show, html);
    }
    let _ = write!(html, "<p>{}</p><h3>What to look at</h3><ul>", escaped(&scene.say));
    for point in &scene.look {
        let _ = write!(html, "<li>{}</li>", escaped(point));
    }
    let _ = write!(html, "</ul><p class=\"source\">Source: {}</p>", escaped(&scene.source));
    html.push_str("<details><summary>How it was made</summary><pre>");
    for command in &shown.commands {
        let _ = writeln!(html, "{}", escaped(command));
    }
    html.push_str("</pre></details></section>");
}

/// A film, a picture, or a link to a page.
fn figure(folder: &str, show: &Show, html: &mut String) {
    let file = format!("{}/{}", escaped(folder), escaped(&show.file));
    let caption = escaped(&show.caption);
    let content = match show.file.rsplit_once('.') {
        Some((stem, "mp4")) => format!(
            "<video controls loop muted playsinline preload=\"none\" poster=\"{}/{}.png\" src=\"{file}\" \
             aria-label=\"{caption}\"></video>",
            escaped(folder),
            escaped(stem)
        ),
        Some((_, "html")) => format!("<a class=\"page\" href=\"{file}\">Open the page</a>"),
        _ => format!("<img loading=\"lazy\" src=\"{file}\" alt=\"{caption}\">"),
    };
    let _ = write!(html, "<figure>{content}<figcaption>{caption}</figcaption></figure>");
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2733;--soft:#55616d;--paper:#fbfaf7;--line:#d9d6cf;--link:#1f5f99}\
@media(prefers-color-scheme:dark){:root{--ink:#e8e6e1;--soft:#a9b0b8;--paper:#12161b;--line:#333b44;--link:#8dbdf0}}\
body{margin:0;background:var(--paper);color:var(--ink);font:18px/1.6 'Source Sans 3','Segoe UI',system-ui,sans-serif}\
main{max-width:960px;margin:0 auto;padding:3rem 1.25rem 6rem}\
h1{font-size:2.4rem;line-height:1.15;margin:0 0 .6rem}h2{font-size:1.7rem;line-height:1.2;margin:0 0 1rem}\
h3{font-size:1rem;margin:1.2rem 0 .3rem}.lead,.source,figcaption{color:var(--soft)}\
section{border-top:1px solid var(--line);padding-top:2.5rem;margin-top:2.5rem}\
nav ol{columns:2;column-gap:2.5rem;padding-left:1.6rem}@media(max-width:640px){nav ol{columns:1}h1{font-size:1.8rem}}\
a{color:var(--link)}figure{margin:0 0 1.6rem}video,img{width:100%;height:auto;display:block;border-radius:6px}\
figcaption{font-size:.92rem;margin-top:.4rem}p{max-width:70ch}li{max-width:68ch}\
pre{overflow-x:auto;font-size:.82rem;line-height:1.5;padding:1rem;border:1px solid var(--line);border-radius:6px}\
summary{cursor:pointer;color:var(--soft)}\
@media print{details,nav{display:none}section{break-inside:avoid}}";
