//! A page that follows its runs: a small HTTP server on this machine. It serves the page, and the page's
//! data anew whenever files of the runs have changed; nothing else, and it writes nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::content::Content;
use super::gather::{Gathered, Gatherer, PageRequest, Waiting};
use super::page;
use super::watch::fingerprint;
use crate::{Error, Result};

/// How often the runs' files are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked whether somebody connects.
const ACCEPT: Duration = Duration::from_millis(20);
/// A request longer than this is none of ours.
const LONGEST_REQUEST: usize = 16 << 10;
/// How long a request may take to arrive, and an answer to leave.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at one time.
const CONNECTIONS: usize = 64;

/// What is served.
struct Served {
    version: u64,
    title: String,
    payload: Vec<u8>,
}

/// A server that listens already.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    request: PageRequest,
    gatherer: Gatherer,
    content: Content,
    seen: u64,
    served: Arc<Mutex<Arc<Served>>>,
}

/// Where to listen: `PORT`, `ADDRESS:PORT` or `localhost:PORT`. A port alone is on the loopback address.
///
/// # Errors
/// [`Error::BadValue`] for anything else.
pub fn address(text: &str) -> Result<SocketAddr> {
    let local = text.strip_prefix("localhost:").or(text.strip_prefix(':')).unwrap_or(text);
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let parsed = local.parse::<u16>().map(loopback).ok().or_else(|| local.parse().ok());
    parsed.ok_or_else(|| {
        Error::bad_value("--serve", text, "no address", "write --serve 127.0.0.1:8000")
    })
}

impl Server {
    /// Listens on `address` and gathers the first page.
    ///
    /// # Errors
    /// [`Error::BadValue`] for an address that is in use or cannot be had; those of
    /// [`Gatherer::gather`].
    pub fn bind(address: SocketAddr, request: PageRequest, mut gatherer: Gatherer) -> Result<Self> {
        let bad = |error: std::io::Error| {
            let (problem, remedy) = match error.kind() {
                ErrorKind::AddrInUse => {
                    ("which is in use".into(), "choose another port, or 0 for a free one")
                }
                ErrorKind::PermissionDenied => {
                    ("which may not be listened on".into(), "choose a port above 1023")
                }
                _ => (format!("which cannot be listened on ({error})"), "use 127.0.0.1:8000"),
            };
            Error::bad_value("--serve", address, problem, remedy)
        };
        let listener = TcpListener::bind(address).map_err(bad)?;
        listener.set_nonblocking(true).map_err(bad)?;
        let address = listener.local_addr().map_err(bad)?;
        let seen = fingerprint(&request.folders, &request.grid_files);
        let first = gatherer.gather(&request, Waiting::Yes)?;
        let served = Arc::new(Mutex::new(Arc::new(Served::new(1, &first)?)));
        let content = first.content;
        Ok(Self { listener, address, request, gatherer, content, seen, served })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was gathered first.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Serves until `interrupt` is set; `on_change` is told how often the data were renewed.
    ///
    /// # Errors
    /// [`Error::Io`] where connections can no longer be accepted.
    pub fn run(mut self, interrupt: &AtomicBool, on_change: &mut dyn FnMut(u64)) -> Result<()> {
        let open = Arc::new(AtomicUsize::new(0));
        let mut since_look = Duration::ZERO;
        while !interrupt.load(Ordering::Relaxed) {
            match self.listener.accept() {
                Ok((stream, _)) if open.load(Ordering::Relaxed) < CONNECTIONS => {
                    let (served, open) = (self.served.clone(), open.clone());
                    let host = self.address;
                    open.fetch_add(1, Ordering::Relaxed);
                    std::thread::spawn(move || {
                        let served = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
                        // A browser that went away is no matter.
                        let _ = answer(stream, host, &served);
                        open.fetch_sub(1, Ordering::Relaxed);
                    });
                    continue;
                }
                Ok((stream, _)) => drop(stream),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // The other side has hung up before it was accepted.
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted) => {}
                Err(source) => {
                    let path = self.address.to_string().into();
                    return Err(Error::Io { action: "accept connections", path, source });
                }
            }
            std::thread::sleep(ACCEPT);
            since_look += ACCEPT;
            if since_look >= LOOK {
                since_look = Duration::ZERO;
                if let Some(version) = self.renew()? {
                    on_change(version);
                }
            }
        }
        Ok(())
    }

    /// Gathers again where files have changed.
    fn renew(&mut self) -> Result<Option<u64>> {
        let now = fingerprint(&self.request.folders, &self.request.grid_files);
        if now == self.seen {
            return Ok(None);
        }
        let mut gathered = self.gatherer.gather(&self.request, Waiting::Yes);
        if gathered.as_ref().map_or(true, |found| !found.content.notes.is_empty()) {
            // Perhaps a file was read while it was replaced.
            std::thread::sleep(Duration::from_millis(200));
            gathered = self.gatherer.gather(&self.request, Waiting::Yes);
        }
        // A folder that has gone: what was there is shown until it is back.
        let Ok(gathered) = gathered else { return Ok(None) };
        self.seen = now;
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Served::new(served.version + 1, &gathered)?;
        if next.payload == served.payload {
            return Ok(None);
        }
        let version = next.version;
        *served = Arc::new(next);
        Ok(Some(version))
    }
}

impl Served {
    fn new(version: u64, gathered: &Gathered) -> Result<Self> {
        let payload = gathered.arrays.payload(&gathered.content)?;
        Ok(Self { version, title: gathered.content.title.clone(), payload })
    }
}

/// Whether a page of another host, which a name of its own had led here, is not asking: the name in the
/// request is this machine's.
fn is_ours(host: &str, address: SocketAddr) -> bool {
    if !address.ip().is_loopback() {
        return true;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The start of a request, up to its empty line.
fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut part = [0; 2048];
    while !bytes.windows(4).any(|w| w == b"\r\n\r\n") {
        let n = stream.read(&mut part)?;
        if n == 0 || bytes.len() + n > LONGEST_REQUEST {
            return Err(ErrorKind::InvalidData.into());
        }
        bytes.extend_from_slice(&part[..n]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn answer(mut stream: TcpStream, address: SocketAddr, served: &Served) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = head(&mut stream)?;
    let mut lines = request.lines();
    let mut first = lines.next().unwrap_or("").split_whitespace();
    let (method, target) = (first.next().unwrap_or(""), first.next().unwrap_or(""));
    let header = |name: &str| {
        let of = |line: &str| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_string())
        };
        request.lines().skip(1).find_map(of)
    };
    let path = target.split(['?', '#']).next().unwrap_or("");
    let tag = format!("\"{}\"", served.version);
    let text = |status, text: &str| (status, "text/plain; charset=utf-8", text.as_bytes().to_vec());
    let (status, kind, body) = if method != "GET" && method != "HEAD" {
        text("405 Method Not Allowed", "only GET and HEAD\n")
    } else if !is_ours(&header("host").unwrap_or_default(), address) {
        text("403 Forbidden", "this server answers to localhost and 127.0.0.1\n")
    } else if path == "/" {
        let page = page::around(&served.payload, &served.title, true);
        ("200 OK", "text/html; charset=utf-8", page.into_bytes())
    } else if path != "/data" {
        text("404 Not Found", "there are / and /data\n")
    } else if header("if-none-match").as_deref() == Some(&tag) {
        ("304 Not Modified", "application/octet-stream", Vec::new())
    } else {
        ("200 OK", "application/octet-stream", served.payload.clone())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nETag: {tag}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nX-Frame-Options: DENY\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_this_machine_only() {
        let read = |text: &str| address(text).map(|a| a.to_string());
        for text in ["8000", ":8000", "localhost:8000", "127.0.0.1:8000"] {
            assert_eq!(read(text).unwrap(), "127.0.0.1:8000", "{text}");
        }
        assert_eq!(read("[::1]:80").unwrap(), "[::1]:80");
        for text in ["", "here", "127.0.0.1", "99999"] {
            assert!(read(text).unwrap_err().to_string().contains("127.0.0.1:8000"), "{text}");
        }
    }

    #[test]
    fn names_of_other_hosts_are_not_answered_on_the_loopback_address() {
        let local = SocketAddr::from(([127, 0, 0, 1], 80));
        for host in ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:80", "LOCALHOST"] {
            assert!(is_ours(host, local), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1.example.org:80", "localhost.example.org"] {
            assert!(!is_ours(host, local), "{host}");
        }
    }
}
