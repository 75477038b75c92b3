//! TensorBoard's event files: records of protocol buffers, each with the CRC-32C of its length and its bytes.

use crc::{CRC_32_ISCSI, Crc};

/// A number at a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    /// Its name; what comes before a slash is the group.
    pub(crate) tag: &'static str,
    /// The step.
    pub(crate) step: u64,
    /// Seconds since 1970.
    pub(crate) time: f64,
    /// The number.
    pub(crate) value: f64,
}

/// The bytes of an event file with `scalars`.
pub(crate) fn events(scalars: &[Scalar]) -> Vec<u8> {
    let mut out = Vec::new();
    let start = scalars.first().map_or(0.0, |scalar| scalar.time);
    // Event { wall_time = 1, step = 2, file_version = 3, summary = 5 }.
    let mut version = double(1, start);
    version.extend(bytes(3, b"brain.Event:2"));
    record(&version, &mut out);
    for scalar in scalars {
        // Summary { value = 1 { tag = 1, simple_value = 2 } }.
        let mut value = bytes(1, scalar.tag.as_bytes());
        value.push(2 << 3 | 5);
        value.extend((scalar.value as f32).to_le_bytes());
        let mut event = double(1, scalar.time);
        event.push(2 << 3);
        event.extend(varint(scalar.step));
        event.extend(bytes(5, &bytes(1, &value)));
        record(&event, &mut out);
    }
    out
}

/// Length, its checksum, the bytes, theirs.
fn record(data: &[u8], out: &mut Vec<u8>) {
    let len = (data.len() as u64).to_le_bytes();
    for part in [&len[..], data] {
        out.extend(part);
        out.extend(masked_crc(part).to_le_bytes());
    }
}

fn masked_crc(data: &[u8]) -> u32 {
    let crc = Crc::<u32>::new(&CRC_32_ISCSI).checksum(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn double(field: u8, value: f64) -> Vec<u8> {
    let mut out = vec![field << 3 | 1];
    out.extend(value.to_le_bytes());
    out
}

fn bytes(field: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    out.extend(varint(data.len() as u64));
    out.extend(data);
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_that_of_the_format() {
        // The check value of CRC-32C, and of TFRecord's first record of an empty event file.
        assert_eq!(Crc::<u32>::new(&CRC_32_ISCSI).checksum(b"123456789"), 0xe306_9283);
        assert_eq!(varint(300), [0xac, 0x02]);
        let scalar = Scalar { tag: "a", step: 5, time: 1.0, value: 0.5 };
        let out = events(&[scalar]);
        let first = u64::from_le_bytes(out[..8].try_into().unwrap()) as usize;
        let second = &out[12 + first + 4..];
        let len = u64::from_le_bytes(second[..8].try_into().unwrap()) as usize;
        assert_eq!(second.len(), 12 + len + 4);
        let event = &second[12..12 + len];
        // wall_time, step 5, summary of 10 bytes: a value of 8: the tag and 0.5.
        let want = [
            &[9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 16, 5, 42, 10, 10, 8, 10, 1, b'a', 21][..],
            &0.5f32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(event, want);
    }
}
