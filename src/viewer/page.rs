//! The page as one text: program, style and data.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::gather::Gathered;
use crate::{Result, disk};

/// The page's program, built from `viewer/src`.
const SCRIPT: &str = include_str!("../../viewer/dist/viewer.js");
/// The page's style, without its type.
const STYLE: &str = include_str!("../../viewer/dist/viewer.css");
/// The type of the pictures (SIL Open Font License 1.1), as far as it has letters.
const REGULAR: &[u8] = include_bytes!("../../assets/fonts/Inter-Regular.ttf");
const SEMI_BOLD: &[u8] = include_bytes!("../../assets/fonts/Inter-SemiBold.ttf");

/// The page of `gathered`. Names in it are data, compressed, and never markup; the browser is told to run
/// this script alone and to ask no host for anything, but a live page its own server.
///
/// # Errors
/// Those of packing the numbers.
pub fn page(gathered: &Gathered) -> Result<String> {
    let payload = gathered.arrays.payload(&gathered.content)?;
    Ok(around(&payload, &gathered.content.title, gathered.content.live))
}

/// Writes `page` to `path`, whole or not at all; its size in bytes.
///
/// # Errors
/// [`crate::Error::Io`].
pub fn write(path: &Path, page: &str) -> Result<u64> {
    disk::write_bytes(path, page.as_bytes())?;
    Ok(page.len() as u64)
}

/// What the browser may load: the page's own script and style, pictures that the page makes itself.
pub(super) fn policy(live: bool) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data: blob:; font-src data:; connect-src {}; base-uri \
         'none'; form-action 'none'",
        hash(&script()),
        hash(&style()),
        if live { "'self'" } else { "'none'" }
    )
}

/// The program as it can stand inside a script element.
fn script() -> String {
    SCRIPT.replace("</script", "<\\/script").replace("<!--", "<\\!--")
}

/// The style with its type.
fn style() -> String {
    let face = |bytes: &[u8], weights: &str| {
        format!(
            "@font-face{{font-family:Inter;font-weight:{weights};src:url(data:font/ttf;base64,{})}}",
            STANDARD.encode(bytes)
        )
    };
    format!(
        "/* Inter, copyright 2016 The Inter Project Authors, SIL Open Font License 1.1 */{}{}{STYLE}",
        face(REGULAR, "100 500"),
        face(SEMI_BOLD, "550 900")
    )
}

/// A page around the compressed `payload`.
pub(super) fn around(payload: &[u8], title: &str, live: bool) -> String {
    let data = STANDARD.encode(payload);
    let (title, policy) = (escaped(title), policy(live));
    let (style, script) = (style(), script());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <noscript>This page draws loss surfaces with JavaScript, which is switched off in this browser.\
         </noscript>\n<script type=\"text/plain\" id=\"data\">{data}</script>\n\
         <script>{script}</script>\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_markup_and_the_program_is_one_element() {
        let hostile = "</title><script>alert(1)</script>";
        let page = around(b"payload", hostile, false);
        assert!(!page.contains("<script>alert"));
        assert_eq!(page.matches("<script").count() - script().matches("<script").count(), 2);
        assert_eq!(page.matches("</script").count(), 2);
        assert!(page.contains("connect-src 'none'"));
        assert!(policy(true).contains("connect-src 'self'"));
    }

    #[test]
    fn the_policy_names_the_hash_of_the_text_between_the_tags() {
        let page = around(b"", "t", false);
        let between = |open: &str, close: &str| -> String {
            let start = page.rfind(open).unwrap() + open.len();
            page[start..start + page[start..].find(close).unwrap()].to_string()
        };
        let hash = |text: String| STANDARD.encode(Sha256::digest(text));
        assert!(policy(false).contains(&hash(between("\n<script>", "</script>"))));
        let style = page[page.find("<style>").unwrap() + 7..page.find("</style>").unwrap()].into();
        assert!(policy(false).contains(&hash(style)));
    }
}
