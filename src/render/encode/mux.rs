//! A small MP4 muxer: one track of H.264, no edit list, no fragments, `moov` before `mdat`.
//!
//! Boxes by the names of ISO/IEC 14496-12 (and `avc1`, `avcC` of 14496-15):
//! ```text
//! ftyp
//! moov  mvhd
//!       trak  tkhd
//!             mdia  mdhd hdlr
//!                   minf  vmhd  dinf(dref(url ))
//!                         stbl  stsd(avc1(avcC colr pasp)) stts stss stsc stsz stco
//! free
//! mdat
//! ```
//! Samples are written as they come. The size of `moov` is bounded by the number of frames, so
//! its place is kept free at the front, and what it does not need becomes the `free` box: nothing
//! is buffered and nothing moved.

use std::io::{Seek, SeekFrom, Write};

use crate::error::{Error, Result};

/// What a track has to say about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Frames a second.
    pub fps: u32,
    /// At most this many frames will come.
    pub frames: usize,
}

/// An MP4 file that grows frame by frame.
pub struct Muxer<W: Write + Seek> {
    out: W,
    track: Track,
    data_start: u64,
    data_len: u64,
    sizes: Vec<u32>,
    sync: Vec<u32>,
    /// The sequence's and the pictures'.
    parameter_sets: Option<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// Units of time a frame; the timescale is this times the frames a second.
const FRAME_UNITS: u32 = 512;

/// Room for everything but the two tables that grow with the frames.
const FIXED_ROOM: u64 = 1536;

impl<W: Write + Seek> Muxer<W> {
    /// Begins a file. Errors: what `out` reports.
    pub fn new(mut out: W, track: Track) -> Result<Self> {
        let moov_room = FIXED_ROOM + 8 * track.frames as u64;
        let ftyp = ftyp();
        let header = ftyp.len() as u64 + moov_room;
        let attempt = (|| {
            out.write_all(&ftyp)?;
            // The last eight bytes will be the header of mdat.
            std::io::copy(&mut std::io::Read::take(std::io::repeat(0), moov_room + 8), &mut out)
        })();
        attempt.map_err(unwritable)?;
        Ok(Self {
            out,
            track,
            data_start: header + 8,
            data_len: 0,
            sizes: Vec::new(),
            sync: Vec::new(),
            parameter_sets: None,
        })
    }

    /// Adds a frame of an H.264 byte stream (Annex B). Parameter sets go to `avcC`, the other NAL
    /// units into the sample, each after its length.
    ///
    /// Errors: [`Error::Render`] on parameter sets that change, more frames than announced, or
    /// 4 GiB exceeded; what `out` reports.
    pub fn add(&mut self, annex_b: &[u8]) -> Result<()> {
        let mut sample = Vec::with_capacity(annex_b.len() + 16);
        let (mut sps, mut pps, mut sync) = (None, Vec::new(), false);
        for nal in nal_units(annex_b) {
            match nal[0] & 0x1f {
                7 => sps = Some(nal),
                8 => pps.push(nal.to_vec()),
                9 => {} // access unit delimiter: MP4 does without
                kind => {
                    sync |= kind == 5;
                    sample.extend((nal.len() as u32).to_be_bytes());
                    sample.extend(nal);
                }
            }
        }
        if let Some(sps) = sps.filter(|_| !pps.is_empty()) {
            let known = self.parameter_sets.get_or_insert_with(|| (sps.to_vec(), pps.clone()));
            if (&known.0[..], &known.1) != (sps, &pps) {
                return Err(broken("the encoder changed its parameter sets in the middle"));
            }
        }
        if self.sizes.len() >= self.track.frames {
            return Err(broken("there are more frames than announced"));
        }
        if self.data_start + self.data_len + sample.len() as u64 > u64::from(u32::MAX) {
            return Err(Error::Render {
                what: "the film is larger than 4 GiB".into(),
                remedy: "choose fewer frames or a smaller size".into(),
            });
        }
        self.out.write_all(&sample).map_err(unwritable)?;
        self.data_len += sample.len() as u64;
        self.sizes.push(sample.len() as u32);
        if sync {
            self.sync.push(self.sizes.len() as u32);
        }
        Ok(())
    }

    /// Bytes of the file so far.
    pub fn bytes(&self) -> u64 {
        self.data_start + self.data_len
    }

    /// Writes `moov` and ends the file. Errors: [`Error::Render`] on a film without frames; what
    /// `out` reports.
    pub fn finish(mut self) -> Result<W> {
        let moov = self.moov()?;
        let ftyp_len = ftyp().len() as u64;
        let free = self.data_start - 8 - ftyp_len - moov.len() as u64;
        debug_assert!(free >= 8, "moov has outgrown its room");
        let attempt = (|| {
            self.out.seek(SeekFrom::Start(ftyp_len))?;
            self.out.write_all(&moov)?;
            self.out.write_all(&(free as u32).to_be_bytes())?;
            self.out.write_all(b"free")?;
            self.out.seek(SeekFrom::Start(self.data_start - 8))?;
            self.out.write_all(&(self.data_len as u32 + 8).to_be_bytes())?;
            self.out.write_all(b"mdat")?;
            self.out.flush()
        })();
        attempt.map_err(unwritable)?;
        Ok(self.out)
    }

    fn moov(&self) -> Result<Vec<u8>> {
        let Some((sps, pps)) = &self.parameter_sets else {
            return Err(broken("the film has no frame"));
        };
        let Track { width, height, fps, .. } = self.track;
        let frames = self.sizes.len() as u32;
        let (timescale, duration) = (fps * FRAME_UNITS, frames * FRAME_UNITS);
        let matrix = |b: &mut Vec<u8>| {
            for v in [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000_u32] {
                b.extend(v.to_be_bytes());
            }
        };
        let mvhd = full_box(b"mvhd", 0, |b| {
            put32(b, &[0, 0, timescale, duration, 0x10000]); // created, modified; rate 1.0
            put16(b, &[0x100, 0]); // volume 1.0
            put32(b, &[0, 0]);
            matrix(b);
            put32(b, &[0; 6]);
            put32(b, &[2]); // next track
        });
        // Flags: enabled, in the movie, in the preview.
        let tkhd = full_box(b"tkhd", 7, |b| {
            put32(b, &[0, 0, 1, 0, duration, 0, 0]);
            put16(b, &[0, 0, 0, 0]); // layer, group, volume
            matrix(b);
            put32(b, &[u32::from(width) << 16, u32::from(height) << 16]);
        });
        let mdhd = full_box(b"mdhd", 0, |b| {
            put32(b, &[0, 0, timescale, duration]);
            put16(b, &[0x55c4, 0]); // language: und
        });
        let hdlr = full_box(b"hdlr", 0, |b| {
            put32(b, &[0]);
            b.extend(b"vide");
            put32(b, &[0, 0, 0]);
            b.extend(b"video\0");
        });
        let vmhd = full_box(b"vmhd", 1, |b| put16(b, &[0; 4]));
        let url = full_box(b"url ", 1, |_| {}); // the data are in this file
        let dref = full_box(b"dref", 0, |b| {
            put32(b, &[1]);
            b.extend(&url);
        });
        let dinf = plain_box(b"dinf", |b| b.extend(&dref));
        let stsd = full_box(b"stsd", 0, |b| {
            put32(b, &[1]);
            b.extend(avc1(width, height, sps, pps));
        });
        let stts = full_box(b"stts", 0, |b| put32(b, &[1, frames, FRAME_UNITS]));
        let stss = full_box(b"stss", 0, |b| {
            put32(b, &[self.sync.len() as u32]);
            put32(b, &self.sync);
        });
        let stsc = full_box(b"stsc", 0, |b| put32(b, &[1, 1, frames, 1])); // one chunk holds all
        let stsz = full_box(b"stsz", 0, |b| {
            put32(b, &[0, frames]);
            put32(b, &self.sizes);
        });
        let stco = full_box(b"stco", 0, |b| put32(b, &[1, self.data_start as u32]));
        let stbl = plain_box(b"stbl", |b| {
            [&stsd, &stts, &stss, &stsc, &stsz, &stco].into_iter().for_each(|part| b.extend(part));
        });
        let minf =
            plain_box(b"minf", |b| [&vmhd, &dinf, &stbl].into_iter().for_each(|p| b.extend(p)));
        let mdia =
            plain_box(b"mdia", |b| [&mdhd, &hdlr, &minf].into_iter().for_each(|p| b.extend(p)));
        let trak = plain_box(b"trak", |b| [&tkhd, &mdia].into_iter().for_each(|p| b.extend(p)));
        Ok(plain_box(b"moov", |b| [&mvhd, &trak].into_iter().for_each(|p| b.extend(p))))
    }
}

fn ftyp() -> Vec<u8> {
    plain_box(b"ftyp", |b| {
        b.extend(b"isom");
        put32(b, &[0x200]);
        b.extend(b"isomiso2avc1mp41");
    })
}

/// The sample entry: size, codec configuration, colours (BT.709, limited range), square pixels.
fn avc1(width: u16, height: u16, sps: &[u8], pps: &[Vec<u8>]) -> Vec<u8> {
    let avcc = plain_box(b"avcC", |b| {
        // Version, profile, compatibility, level; 4-byte lengths; one SPS.
        b.extend([1, sps[1], sps[2], sps[3], 0xff, 0xe1]);
        put16(b, &[sps.len() as u16]);
        b.extend(sps);
        b.push(pps.len() as u8);
        for pps in pps {
            put16(b, &[pps.len() as u16]);
            b.extend(pps);
        }
        if matches!(sps[1], 100 | 110 | 122 | 144) {
            b.extend([0xfd, 0xf8, 0xf8, 0]); // 4:2:0, 8 bits, 8 bits, no SPS extension
        }
    });
    let colr = plain_box(b"colr", |b| {
        b.extend(b"nclx");
        put16(b, &[1, 1, 1]);
        b.push(0); // limited range
    });
    let pasp = plain_box(b"pasp", |b| put32(b, &[1, 1]));
    plain_box(b"avc1", |b| {
        b.extend([0, 0, 0, 0, 0, 0, 0, 1]); // reserved, data reference 1
        b.extend([0; 16]);
        put16(b, &[width, height]);
        put32(b, &[0x48_0000, 0x48_0000, 0]); // 72 dpi
        put16(b, &[1]); // frames a sample
        b.extend([0; 32]); // compressor name
        put16(b, &[24, 0xffff]); // depth
        [&avcc, &colr, &pasp].into_iter().for_each(|part| b.extend(part));
    })
}

fn plain_box(kind: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(kind);
    fill(&mut bytes);
    let size = bytes.len() as u32;
    bytes[..4].copy_from_slice(&size.to_be_bytes());
    bytes
}

/// A box with version 0 and flags.
fn full_box(kind: &[u8; 4], flags: u32, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    plain_box(kind, |b| {
        put32(b, &[flags]);
        fill(b);
    })
}

fn put32(bytes: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| bytes.extend(v.to_be_bytes()));
}

fn put16(bytes: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| bytes.extend(v.to_be_bytes()));
}

/// The NAL units between start codes (`00 00 01`, with or without a zero before).
pub fn nal_units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..stream.len().saturating_sub(2)).filter(|&i| stream[i..i + 3] == [0, 0, 1]).collect();
    let unit = |(k, &start): (usize, &usize)| {
        let end = starts.get(k + 1).copied().unwrap_or(stream.len());
        let mut unit = &stream[start + 3..end];
        // Zeros before the next start code belong to it.
        while let [rest @ .., 0] = unit {
            unit = rest;
        }
        unit
    };
    starts.iter().enumerate().map(unit).filter(|unit| !unit.is_empty()).collect()
}

fn broken(what: &str) -> Error {
    Error::Render {
        what: format!("the film cannot be put into MP4: {what}"),
        remedy: "report this with the command that was run".into(),
    }
}

fn unwritable(error: std::io::Error) -> Error {
    Error::Render {
        what: format!("the MP4 cannot be written: {error}"),
        remedy: "check the space left on the disk".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_are_found_behind_both_kinds_of_start_code() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 9];
        assert_eq!(nal_units(&stream), [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 9]]);
        assert!(nal_units(&[1, 2]).is_empty());
    }

    #[test]
    fn parameter_sets_may_not_change_and_frames_may_not_exceed_the_announced() {
        let track = Track { width: 16, height: 16, fps: 25, frames: 1 };
        let stream = |level| [0, 0, 1, 0x67, 66, 0, level, 9, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 9];
        let mut muxer = Muxer::new(std::io::Cursor::new(Vec::new()), track).unwrap();
        muxer.add(&stream(30)).unwrap();
        assert!(muxer.add(&stream(31)).unwrap_err().to_string().contains("parameter sets"));
        assert!(muxer.add(&stream(30)).unwrap_err().to_string().contains("more frames"));
        let empty = Muxer::new(std::io::Cursor::new(Vec::new()), track).unwrap();
        assert!(empty.finish().is_err());
    }
}
