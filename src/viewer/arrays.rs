//! Numbers of a page as bytes: arrays one behind the other, the bytes of an array sorted by their place
//! within a number, which lets deflate see that neighbouring numbers have like exponents (as the shuffle
//! filter of HDF5 does).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::ser::{Serialize, SerializeSeq as _, Serializer};

use crate::{Error, Result};

/// Where an array lies among the bytes, as the page's header has it: `[offset, length, type]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayRef {
    /// The first byte, a multiple of 8.
    pub offset: usize,
    /// How many numbers.
    pub length: usize,
    /// How they are stored.
    pub kind: Kind,
}

/// How a number is stored, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned byte.
    U8,
    /// 32 bits of floating point.
    F32,
    /// 64 bits of floating point.
    F64,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::U8 => "u1",
            Self::F32 => "f4",
            Self::F64 => "f8",
        }
    }
}

impl Serialize for ArrayRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(3))?;
        list.serialize_element(&self.offset)?;
        list.serialize_element(&self.length)?;
        list.serialize_element(self.kind.name())?;
        list.end()
    }
}

/// The arrays of a page.
#[derive(Debug, Clone, Default)]
pub struct Arrays {
    bytes: Vec<u8>,
}

impl Arrays {
    /// Adds numbers in single precision; those that it cannot hold (a finite value beyond its range, a
    /// step beyond 2^24) have the whole array in double precision.
    pub fn floats(&mut self, values: &[f64]) -> ArrayRef {
        let fits = |v: &f64| {
            let narrow = *v as f32;
            !v.is_finite() || (narrow.is_finite() && (v.fract() != 0.0 || f64::from(narrow) == *v))
        };
        if values.iter().all(fits) {
            let bytes = values.iter().map(|v| (*v as f32).to_le_bytes());
            self.shuffled(bytes.collect::<Vec<_>>(), Kind::F32)
        } else {
            let bytes = values.iter().map(|v| v.to_le_bytes());
            self.shuffled(bytes.collect::<Vec<_>>(), Kind::F64)
        }
    }

    /// Adds bytes.
    pub fn bytes(&mut self, values: &[u8]) -> ArrayRef {
        self.shuffled(values.iter().map(|v| [*v]).collect::<Vec<_>>(), Kind::U8)
    }

    fn shuffled<const N: usize>(&mut self, numbers: Vec<[u8; N]>, kind: Kind) -> ArrayRef {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let offset = self.bytes.len();
        for place in 0..N {
            self.bytes.extend(numbers.iter().map(|number| number[place]));
        }
        ArrayRef { offset, length: numbers.len(), kind }
    }

    /// The payload of a page: the length of `header` as JSON (u32, little-endian), that JSON, zeros up to a
    /// multiple of 8, the arrays; all of it deflated (zlib).
    ///
    /// # Errors
    /// [`Error::Render`] for a header of 4 GiB.
    pub fn payload(&self, header: &impl Serialize) -> Result<Vec<u8>> {
        let too_large = || Error::Render {
            what: "the page's header is larger than 4 GiB".into(),
            remedy: "show fewer runs in one page".into(),
        };
        let json = serde_json::to_vec(header).expect("a page's header is plain data");
        let length = u32::try_from(json.len()).map_err(|_| too_large())?;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(7));
        let padding = [0; 8];
        let pad = (4 + json.len()).next_multiple_of(8) - 4 - json.len();
        // Writing to memory cannot fail.
        let _ = encoder.write_all(&length.to_le_bytes());
        let _ = encoder.write_all(&json);
        let _ = encoder.write_all(&padding[..pad]);
        let _ = encoder.write_all(&self.bytes);
        encoder.finish().map_err(|_| too_large())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn arrays_come_back_from_a_payload() {
        let mut arrays = Arrays::default();
        let bytes = arrays.bytes(&[1, 2, 3]);
        let values = [0.5, f64::NAN, f64::INFINITY, -2.25];
        let floats = arrays.floats(&values);
        assert_eq!((floats.offset, floats.kind), (8, Kind::F32));
        let payload = arrays.payload(&(bytes, floats)).unwrap();
        let mut plain = Vec::new();
        flate2::read::ZlibDecoder::new(payload.as_slice()).read_to_end(&mut plain).unwrap();
        let json = br#"[[0,3,"u1"],[8,4,"f4"]]"#;
        assert_eq!(plain[..4], (json.len() as u32).to_le_bytes());
        assert_eq!(&plain[4..4 + json.len()], json);
        let start = (4 + json.len()).next_multiple_of(8);
        assert_eq!(plain[start..start + 3], [1, 2, 3]);
        // The lowest bytes of the four numbers, then the next: the second number is that of bytes 1, 5, ...
        let shuffled = &plain[start + 8..];
        assert_eq!(shuffled.len(), 16);
        for (i, value) in values.iter().enumerate() {
            let number = f32::from_le_bytes([0, 1, 2, 3].map(|place| shuffled[4 * place + i]));
            assert!(f64::from(number) == *value || value.is_nan() && number.is_nan());
        }
    }

    #[test]
    fn what_single_precision_cannot_hold_is_stored_in_double() {
        let kind = |values: &[f64]| Arrays::default().floats(values).kind;
        assert_eq!(kind(&[0.1, f64::INFINITY, 16_777_216.0]), Kind::F32);
        assert_eq!(kind(&[1e300]), Kind::F64);
        assert_eq!(kind(&[16_777_217.0]), Kind::F64);
    }
}
