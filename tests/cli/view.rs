//! `lossreel view`: a page in one file, and a served one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use lossreel::Plane;
use lossreel::landscape::PathCoord;

use super::*;

/// A run with a plane and a surface of 9 x 7 points.
fn place_with_a_surface() -> Place {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid", "9x7", "--samples", "40"]);
    place
}

/// The header of a page's data.
fn header(page: &str) -> Value {
    use base64::Engine as _;
    let start = page.find("id=\"data\">").expect("a page has data") + 10;
    let end = start + page[start..].find('<').unwrap();
    let packed = base64::engine::general_purpose::STANDARD.decode(&page[start..end]).unwrap();
    unpack(&packed)
}

fn unpack(packed: &[u8]) -> Value {
    let mut plain = Vec::new();
    flate2::read::ZlibDecoder::new(packed).read_to_end(&mut plain).unwrap();
    let length = u32::from_le_bytes(plain[..4].try_into().unwrap()) as usize;
    serde_json::from_slice(&plain[4..4 + length]).unwrap()
}

#[test]
fn a_page_is_one_small_file_that_names_no_host() {
    let place = place_with_a_surface();
    let hostile = "</title><script>alert(1)</script>";
    let report = place.json(&["view", "run", "--out", "new/page.html", "--panel-title", hostile]);
    assert_keys(&report, &["file", "bytes", "title", "runs", "surfaces", "snapshots", "notes"]);
    assert_eq!((&report["surfaces"], &report["runs"]), (&Value::from(1), &Value::from(1)));
    let page = fs::read_to_string(place.path("new/page.html")).unwrap();
    assert_eq!(report["bytes"], page.len());
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("default-src 'none'") && page.contains("connect-src 'none'"));
    assert!(!page.contains(hostile) && !page.contains("<link") && !page.contains("src=\"http"));
    let header = header(&page);
    let subject = &header["subjects"][0];
    assert_eq!(subject["title"], hostile);
    let surface = &subject["surfaces"][0];
    assert_eq!((&surface["xs"][1], &surface["ys"][1]), (&Value::from(9), &Value::from(7)));
    let fields: Vec<&str> =
        surface["fields"].as_array().unwrap().iter().map(|f| f["key"].as_str().unwrap()).collect();
    let known = ["loss", "accuracy", "error", "loss_se", "relative_se", "difference_se"];
    assert_eq!(fields, known);
    assert_eq!(subject["runs"][0]["ended"], true);
    // The same again gives the same bytes.
    place.ok(&["view", "run", "--out", "again.html", "--panel-title", hostile]);
    assert_eq!(fs::read_to_string(place.path("again.html")).unwrap(), page);
}

#[test]
fn what_cannot_be_shown_is_refused_with_its_remedy() {
    let place = Place::new();
    place.train("run", &[]);
    place.refused(&["view", "run", "--out", "page.html"], &["surface", "lossreel surface"]);
    place.ok(&["plane", "run"]);
    place.refused(&["view", "run", "--out", "page.html"], &["lossreel surface"]);
    place.ok(&["surface", "run", "--grid", "3", "--samples", "20"]);
    place.refused(&["view", "run", "--out", "page.png"], &[".html"]);
    place.refused(&["view", "run", "--surface", "pcb", "--out", "page.html"], &["pcb", "pca"]);
    place.refused(
        &["view", "run", "--panel-title", "a", "--panel-title", "b", "--out", "page.html"],
        &["--panel-title", "one for each"],
    );
    place.refused(&["view", "nowhere", "--out", "page.html"], &["nowhere"]);
    assert_eq!(place.run(&["view", "run"]).code, 2);
    assert_eq!(place.run(&["view", "--out", "page.html"]).code, 2);
    let cells = place.path("run/surfaces/pca/cells.jsonl");
    let whole = fs::read_to_string(&cells).unwrap();
    fs::write(&cells, whole.replacen("{\"k\":1", "{\"k\":99", 1)).unwrap();
    place.refused(&["view", "run", "--out", "page.html"], &["damaged", "cells.jsonl"]);
    fs::write(&cells, whole).unwrap();
    fs::write(place.path("run/surfaces/pca/grid.json"), "{}").unwrap();
    place.refused(
        &["view", "run", "--out", "page.html"],
        &["grid.json", "compute the surface again"],
    );
    assert!(!place.path("page.html").exists());
}

#[test]
fn an_unfinished_surface_is_shown_as_far_as_it_is() {
    let place = place_with_a_surface();
    let cells = place.path("run/surfaces/pca/cells.jsonl");
    let whole = fs::read_to_string(&cells).unwrap();
    let some: String = whole.split_inclusive('\n').take(20).collect();
    fs::write(&cells, some).unwrap();
    place.ok(&["view", "run", "--out", "page.html"]);
    let header = header(&fs::read_to_string(place.path("page.html")).unwrap());
    let caption = header["subjects"][0]["surfaces"][0]["caption"].as_str().unwrap().to_string();
    assert!(caption.contains("20 of 9 × 7 points"), "{caption}");
}

#[test]
fn ten_thousand_snapshots_are_a_page_of_less_than_two_megabytes() {
    let place = place_with_a_surface();
    let file = place.path("run/planes/pca.safetensors");
    let mut plane = Plane::read(&file).unwrap();
    let path = &mut plane.about.paths[0].path;
    let last = path.last().unwrap().clone();
    let angle = |i: usize| 0.003 * i as f64;
    path.extend((path.len()..10_000).map(|i| PathCoord {
        snapshot: i,
        step: i as u64,
        epoch: 0.01 * i as f64,
        x: last.x + 0.1 * angle(i).sin(),
        y: last.y + 0.1 * angle(i).cos(),
        ..last.clone()
    }));
    plane.write(&file).unwrap();
    let report = place.json(&["view", "run", "--out", "page.html"]);
    assert!(report["bytes"].as_u64().unwrap() < 2_000_000, "{report}");
    let header = header(&fs::read_to_string(place.path("page.html")).unwrap());
    assert_eq!(header["subjects"][0]["planes"][0]["paths"][0]["x"][1], 10_000);
}

#[test]
fn snapshots_after_the_plane_are_projected_onto_it() {
    let place = place_with_a_surface();
    let count = |place: &Place| {
        place.ok(&["view", "run", "--out", "page.html"]);
        let header = header(&fs::read_to_string(place.path("page.html")).unwrap());
        let path = &header["subjects"][0]["planes"][0]["paths"][0];
        (path["x"][1].as_u64().unwrap(), path["later"].as_u64().unwrap())
    };
    let (before, later) = count(&place);
    assert_eq!(later, 0);
    let spec = place.path("run/spec.toml");
    let text = fs::read_to_string(&spec).unwrap();
    fs::write(&spec, text.replace("epochs = 2", "epochs = 4")).unwrap();
    place.ok(&["train", "--resume", "run"]);
    let (after, later) = count(&place);
    assert_eq!(after, before + later);
    assert!(later > 0);
}

#[test]
fn functions_and_files_need_no_run() {
    let place = place_with_a_surface();
    place.ok(&["export", "run", "--to", "h5", "--out", "some.h5"]);
    let report = place.json(&[
        "view",
        "--grid-file",
        "some.h5",
        "--function",
        "beale",
        "--function",
        "ravine",
        "--out",
        "page.html",
    ]);
    assert_eq!((&report["surfaces"], &report["runs"]), (&Value::from(3), &Value::from(0)));
    let refused = place.run(&["view", "--function", "bale", "--out", "page.html"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("beale"), "{}", refused.stderr);
}

/// A served page; the server ends with it.
struct Served {
    server: Child,
    port: u16,
}

impl Served {
    fn new(place: &Place, run: &str) -> Self {
        let mut server = place
            .command(&["view", run, "--serve", "0", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let url = lines.map_while(Result::ok).find(|line| line.contains("\"url\"")).unwrap();
        let port = url.split(':').next_back().unwrap().split('/').next().unwrap().parse().unwrap();
        Self { server, port }
    }

    /// Status line with headers, and body.
    fn get(&self, path: &str, more: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let host = if more.contains("Host:") { "" } else { "Host: localhost\r\n" };
        stream.write_all(format!("GET {path} HTTP/1.1\r\n{host}{more}\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_served_page_is_for_this_machine_and_says_when_nothing_is_new() {
    let place = place_with_a_surface();
    let served = Served::new(&place, "run");
    let (head, page) = served.get("/", "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("connect-src 'self'") && header(&page)["live"] == true);
    let (head, data) = served.get("/data", "");
    assert_eq!(unpack(&data)["subjects"][0]["name"], "run");
    let tag = head.lines().find_map(|l| l.strip_prefix("ETag: ")).unwrap().to_string();
    let (head, data) = served.get("/data", &format!("If-None-Match: {tag}\r\n"));
    assert!(head.starts_with("HTTP/1.1 304") && data.is_empty(), "{head}");
    assert!(served.get("/../run/spec.toml", "").0.starts_with("HTTP/1.1 404"));
    assert!(served.get("/", "Host: example.org\r\n").0.starts_with("HTTP/1.1 403"));
    // Something else than HTTP does no harm.
    TcpStream::connect(("127.0.0.1", served.port)).unwrap().write_all(b"\0\xff\n").unwrap();
    assert!(served.get("/data", "").0.starts_with("HTTP/1.1 200"));
    // A new point is a new version.
    let cells = place.path("run/surfaces/pca/cells.jsonl");
    let whole = fs::read_to_string(&cells).unwrap();
    fs::write(&cells, whole.lines().take(10).map(|l| format!("{l}\n")).collect::<String>())
        .unwrap();
    let renewed = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let (head, data) = served.get("/data", &format!("If-None-Match: {tag}\r\n"));
        head.starts_with("HTTP/1.1 200") && {
            let header = unpack(&data);
            let caption = header["subjects"][0]["surfaces"][0]["caption"].as_str();
            caption.is_some_and(|c| c.contains("10 of 9 × 7 points"))
        }
    });
    assert!(renewed);
}

#[test]
fn a_port_in_use_and_a_wrong_address_are_refused() {
    let place = place_with_a_surface();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.refused(&["view", "run", "--serve", &address], &["in use", "another port"]);
    place.refused(&["view", "run", "--serve", "here"], &["--serve", "127.0.0.1:8000"]);
    place.refused(&["view", "nowhere", "--serve", "0"], &["nowhere"]);
}
