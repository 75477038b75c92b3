//! One file over HTTP: into a `.part` file beside its place, which a later call goes on with.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::published::Remote;
use super::{Progress, md5_of, part_of};
use crate::error::{Error, Result};

/// Bytes of a download at most: five times the largest.
const MOST: u64 = 1 << 30;
/// How often a server that breaks off is asked for the rest.
const ATTEMPTS: usize = 4;

/// What asks servers; it heeds `https_proxy` and the like.
pub(super) struct Client(ureq::Agent);

/// Why there is no whole file yet.
enum Stopped {
    /// The server, for a reason; whether asking it again for the rest may help.
    Server(String, bool),
    /// This machine's disk.
    Disk(io::Error),
}

impl Client {
    pub(super) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .user_agent(concat!("lossreel/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(config.into())
    }

    /// Downloads from the first of `urls` that gives the file with the right checksum, to `path`.
    pub(super) fn download(
        &self,
        urls: &[String],
        remote: &Remote,
        path: &Path,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let part = part_of(path);
        let io = || Error::io("write the download", &part);
        let options = || OpenOptions::new().read(true).append(true).create(true).open(&part);
        let mut file = options().map_err(io())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Data {
                    what: format!("another process is downloading {}", part.display()),
                    remedy: "wait for it, or end it".into(),
                });
            }
            // A file system without locks.
            Err(TryLockError::Error(_)) => {}
        }
        let mut reasons = Vec::new();
        for url in urls {
            for attempt in 1..=ATTEMPTS {
                match self
                    .attempt(url, &mut file, &mut |done, all| progress(remote.name, done, all))
                {
                    Ok(()) => {
                        file.sync_all().map_err(io())?;
                        let found = md5_of(&part)?;
                        if found == remote.md5 {
                            return fs::rename(&part, path).map_err(io());
                        }
                        file.set_len(0).map_err(io())?;
                        reasons.push(format!(
                            "{url}: what came has the MD5 checksum {found} instead of {}, and was \
                             thrown away",
                            remote.md5
                        ));
                        break;
                    }
                    Err(Stopped::Disk(source)) => return Err(io()(source)),
                    Err(Stopped::Server(_, true)) if attempt < ATTEMPTS => {}
                    Err(Stopped::Server(reason, _)) => {
                        reasons.push(format!("{url}: {reason}"));
                        break;
                    }
                }
            }
        }
        // Nothing to go on with.
        if file.metadata().is_ok_and(|about| about.len() == 0) {
            let _ = fs::remove_file(&part);
        }
        Err(Error::Data {
            what: format!("cannot download {}: {}", remote.name, reasons.join("; ")),
            remedy: format!(
                "check the network (https_proxy is heeded) and call again, which goes on where this \
                 stopped; or get the file on another machine and put it into {}; or name a server that has \
                 it with LOSSREEL_MIRROR",
                path.parent().unwrap_or(Path::new(".")).display()
            ),
        })
    }

    /// Asks for what `file` lacks, and appends it.
    fn attempt(
        &self,
        url: &str,
        file: &mut File,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> std::result::Result<(), Stopped> {
        let have = file.seek(SeekFrom::End(0)).map_err(Stopped::Disk)?;
        let mut request = self.0.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let response = request.call().map_err(|e| Stopped::Server(format!("{e}"), false))?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let start = match response.status().as_u16() {
            206 if header("content-range")
                .is_some_and(|range| range.trim_start().starts_with(&format!("bytes {have}-"))) =>
            {
                have
            }
            200 => 0,
            // More is there than the server has, or another part than was asked for.
            206 | 416 if have > 0 => {
                file.set_len(0).map_err(Stopped::Disk)?;
                return Err(Stopped::Server("it does not go on where this stopped".into(), true));
            }
            status => return Err(Stopped::Server(format!("it answers {status}"), false)),
        };
        file.set_len(start).map_err(Stopped::Disk)?;
        let total = header("content-length")
            .and_then(|length| length.trim().parse::<u64>().ok())
            .map(|length| length.saturating_add(start));
        let mut done = start;
        progress(done, total);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    file.write_all(&buffer[..n]).map_err(Stopped::Disk)?;
                    done += n as u64;
                    progress(done, total);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // What came before is kept; only where something came is more likely to come.
                Err(e) => {
                    return Err(Stopped::Server(
                        format!("it breaks off after {done} bytes ({e})"),
                        done > start,
                    ));
                }
            }
            if done > MOST {
                file.set_len(0).map_err(Stopped::Disk)?;
                return Err(Stopped::Server(format!("it sends more than {MOST} bytes"), false));
            }
        }
        match total {
            Some(total) if done < total => Err(Stopped::Server(
                format!("it breaks off after {done} of {total} bytes"),
                done > start,
            )),
            _ => Ok(()),
        }
    }
}
