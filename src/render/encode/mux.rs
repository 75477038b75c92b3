//! The MP4 file around an H.264 stream: one track, `moov` before `mdat`, so that a film starts to
//! play before all of it is there.
//!
//! The boxes are those of the crate shiguredo_mp4, which does without input and output of its own.
//! Frames are written as they come: the size of `moov` is bounded by their number, so its place is
//! kept free at the front, and nothing is buffered and nothing moved.

use std::io::{Seek, SeekFrom, Write};
use std::num::NonZeroU32;

use shiguredo_mp4::boxes::{Avc1Box, AvccBox, SampleEntry, UnknownBox, VisualSampleEntryFields};
use shiguredo_mp4::mux::{Mp4FileMuxer, Mp4FileMuxerOptions, MuxError, Sample};
use shiguredo_mp4::{BoxSize, BoxType, TrackKind, Uint};

use crate::error::{Error, Result};

/// The size and the rate of a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Track {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Frames a second, at least 1.
    pub fps: u32,
    /// At most this many frames will come.
    pub frames: usize,
}

/// An MP4 file that grows frame by frame.
pub struct Muxer<W: Write + Seek> {
    out: W,
    track: Track,
    boxes: Mp4FileMuxer,
    /// Units of time a second.
    timescale: NonZeroU32,
    /// Bytes written.
    bytes: u64,
    frames: usize,
    /// The sequence's and the pictures'.
    parameter_sets: Option<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// Units of time a frame.
const FRAME_UNITS: u32 = 512;

/// Room for everything but the two tables that grow with the frames.
const FIXED_ROOM: usize = 1536;

impl<W: Write + Seek> Muxer<W> {
    /// Begins a file. Errors: what `out` reports.
    pub fn new(mut out: W, track: Track) -> Result<Self> {
        let options = Mp4FileMuxerOptions {
            reserved_moov_box_size: FIXED_ROOM + 8 * track.frames,
            ..Default::default()
        };
        let boxes = Mp4FileMuxer::with_options(options).map_err(refused)?;
        let header = boxes.initial_boxes_bytes();
        out.write_all(header).map_err(unwritable)?;
        let bytes = header.len() as u64;
        let timescale = NonZeroU32::new(track.fps * FRAME_UNITS).unwrap_or(NonZeroU32::MIN);
        Ok(Self { out, track, boxes, timescale, bytes, frames: 0, parameter_sets: None })
    }

    /// Adds a frame of an H.264 byte stream (Annex B). Parameter sets go to `avcC`, the other NAL
    /// units into the sample, each after its length.
    ///
    /// Errors: [`Error::Render`] on a first frame without parameter sets, on ones that change and on
    /// more frames than announced; what `out` reports.
    pub fn add(&mut self, annex_b: &[u8]) -> Result<()> {
        let mut data = Vec::with_capacity(annex_b.len() + 16);
        let (mut sps, mut pps, mut keyframe) = (None, Vec::new(), false);
        for nal in nal_units(annex_b) {
            match nal[0] & 0x1f {
                7 => sps = Some(nal),
                8 => pps.push(nal.to_vec()),
                9 => {} // access unit delimiter: MP4 does without
                kind => {
                    keyframe |= kind == 5;
                    data.extend((nal.len() as u32).to_be_bytes());
                    data.extend(nal);
                }
            }
        }
        let mut sample_entry = None;
        if let Some(sps) = sps.filter(|_| !pps.is_empty()) {
            match &self.parameter_sets {
                None => {
                    let mut levelled = sps.to_vec();
                    if let Some(byte) = levelled.get_mut(3) {
                        *byte = level(self.track);
                    }
                    sample_entry = Some(avc1(self.track, &levelled, &pps));
                    self.parameter_sets = Some((sps.to_vec(), pps));
                }
                Some(known) if (&known.0[..], &known.1) == (sps, &pps) => {}
                Some(_) => {
                    return Err(broken("the encoder changed its parameter sets in the middle"));
                }
            }
        }
        if self.frames >= self.track.frames {
            return Err(broken("there are more frames than announced"));
        }
        self.out.write_all(&data).map_err(unwritable)?;
        let sample = Sample {
            track_kind: TrackKind::Video,
            sample_entry,
            keyframe,
            timescale: self.timescale,
            duration: FRAME_UNITS,
            composition_time_offset: None,
            data_offset: self.bytes,
            data_size: data.len(),
        };
        self.boxes.append_sample(&sample).map_err(refused)?;
        self.bytes += data.len() as u64;
        self.frames += 1;
        Ok(())
    }

    /// Bytes of the file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes `moov` and ends the file. Errors: [`Error::Render`] on a film without frames; what
    /// `out` reports.
    pub fn finish(mut self) -> Result<W> {
        if self.frames == 0 {
            return Err(broken("the film has no frame"));
        }
        let boxes = self.boxes.finalize().map_err(refused)?;
        debug_assert!(boxes.is_faststart_enabled(), "moov has outgrown its room");
        let attempt = boxes.offset_and_bytes_pairs().try_for_each(|(offset, bytes)| {
            self.out.seek(SeekFrom::Start(offset))?;
            self.out.write_all(bytes)
        });
        attempt.and_then(|()| self.out.flush()).map_err(unwritable)?;
        Ok(self.out)
    }
}

/// The least level that a film of this size and rate needs (H.264, Table A-1: macroblocks a second and
/// in a frame; a film of one reference frame needs no more). The encoder chooses one by the rate of bits
/// that it might reach and does not, and what plays a film may go by its level and refuse it.
fn level(track: Track) -> u8 {
    // Ten times the level, macroblocks a second, macroblocks in a frame.
    const LEVELS: [(u8, u64, u64); 12] = [
        (10, 1_485, 99),
        (12, 6_000, 396),
        (13, 11_880, 396),
        (21, 19_800, 792),
        (22, 20_250, 1_620),
        (30, 40_500, 1_620),
        (31, 108_000, 3_600),
        (32, 216_000, 5_120),
        (40, 245_760, 8_192),
        (42, 522_240, 8_704),
        (51, 983_040, 36_864),
        (52, 2_073_600, 36_864),
    ];
    let blocks = |pixels: u16| u64::from(pixels).div_ceil(16);
    let frame = blocks(track.width) * blocks(track.height);
    // No side is longer than the square root of eight frames.
    let side = blocks(track.width).max(blocks(track.height));
    let holds = |&(_, a_second, a_frame): &(u8, u64, u64)| {
        frame * u64::from(track.fps) <= a_second && frame <= a_frame && side * side <= 8 * a_frame
    };
    LEVELS.into_iter().find(holds).map_or(52, |l| l.0)
}

/// The sample entry: size, codec configuration, colours (BT.709, limited range), square pixels.
fn avc1(track: Track, sps: &[u8], pps: &[Vec<u8>]) -> SampleEntry {
    let plain_box = |kind: &[u8; 4], payload: &[u8]| {
        let box_type = BoxType::Normal(*kind);
        let box_size = BoxSize::with_payload_size(box_type, payload.len() as u64);
        UnknownBox { box_type, box_size, payload: payload.to_vec() }
    };
    let byte = |i: usize| sps.get(i).copied().unwrap_or_default();
    SampleEntry::Avc1(Avc1Box {
        visual: VisualSampleEntryFields {
            data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
            width: track.width,
            height: track.height,
            horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
            vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
            frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
            compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
            depth: VisualSampleEntryFields::DEFAULT_DEPTH,
        },
        avcc_box: AvccBox {
            avc_profile_indication: byte(1),
            profile_compatibility: byte(2),
            avc_level_indication: byte(3),
            length_size_minus_one: Uint::new(3),
            sps_list: vec![sps.to_vec()],
            pps_list: pps.to_vec(),
            // 4:2:0 of 8 bits, written for the profiles that have a choice.
            chroma_format: Some(Uint::new(1)),
            bit_depth_luma_minus8: Some(Uint::new(0)),
            bit_depth_chroma_minus8: Some(Uint::new(0)),
            sps_ext_list: Vec::new(),
        },
        unknown_boxes: vec![
            plain_box(b"colr", b"nclx\0\x01\0\x01\0\x01\0"),
            plain_box(b"pasp", &[0, 0, 0, 1, 0, 0, 0, 1]),
        ],
    })
}

/// The NAL units between start codes (`00 00 01`, with or without a zero before).
fn nal_units(stream: &[u8]) -> Vec<&[u8]> {
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

fn refused(error: MuxError) -> Error {
    broken(&error.to_string())
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
    fn a_film_says_the_least_level_that_its_size_and_rate_need() {
        let of = |width, height, fps| level(Track { width, height, fps, frames: 1 });
        for (width, height, fps, want) in [
            (1920, 1080, 60, 42),
            (1920, 1080, 30, 40),
            (1920, 1080, 24, 40),
            (1280, 720, 60, 32),
            (1280, 720, 30, 31),
            (854, 480, 60, 31),
            (3840, 2160, 30, 51),
            (3840, 2160, 60, 52),
            (4096, 180, 60, 40),
        ] {
            assert_eq!(of(width, height, fps), want, "{width}x{height} at {fps}");
        }
        let track = Track { width: 1280, height: 720, fps: 60, frames: 1 };
        let mut muxer = Muxer::new(std::io::Cursor::new(Vec::new()), track).unwrap();
        // What the encoder says is 4.1.
        muxer.add(&[0, 0, 1, 0x67, 100, 0, 41, 9, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 9]).unwrap();
        let file = muxer.finish().unwrap().into_inner();
        let at = file.windows(4).position(|w| w == b"avcC").unwrap();
        // The box's own, and that of the sequence's parameters after their length.
        assert_eq!((file[at + 7], file[at + 15]), (32, 32));
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
