//! The element types that tensors are stored in, and their way to `f32` and back.

use crate::names::named_enum;

named_enum! {
    /// The element type that `f32` values are written in.
    #[derive(Default)]
    pub enum StoredAs("element type") {
        /// As they are.
        #[default]
        F32 = "f32",
        /// bfloat16, to the nearest with ties to even: 8 significant bits, the range of `f32`.
        Bf16 = "bf16",
        /// IEEE 754 half precision, to the nearest with ties to even: 11 significant bits. Finite values
        /// beyond its largest, 65504, become that.
        F16 = "f16",
    }
}

impl StoredAs {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            StoredAs::F32 => 4,
            StoredAs::Bf16 | StoredAs::F16 => 2,
        }
    }

    /// The name in a safetensors header.
    pub(super) fn dtype(self) -> &'static str {
        match self {
            StoredAs::F32 => "F32",
            StoredAs::Bf16 => "BF16",
            StoredAs::F16 => "F16",
        }
    }

    /// What reading a stored `value` gives back.
    pub fn rounded(self, value: f32) -> f32 {
        match self {
            StoredAs::F32 => value,
            StoredAs::Bf16 => f32::from_bits(u32::from(bf16_from_f32(value)) << 16),
            StoredAs::F16 => f32_from_f16(f16_from_f32(value)),
        }
    }

    /// Appends the little-endian bytes of `values` to `bytes`.
    pub(super) fn encode(self, values: &[f32], bytes: &mut Vec<u8>) {
        match self {
            StoredAs::F32 => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            StoredAs::Bf16 => {
                bytes.extend(values.iter().flat_map(|&v| bf16_from_f32(v).to_le_bytes()));
            }
            StoredAs::F16 => {
                bytes.extend(values.iter().flat_map(|&v| f16_from_f32(v).to_le_bytes()));
            }
        }
    }
}

/// The nearest bfloat16, ties to even; a NaN stays one.
fn bf16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        // Cutting the fraction off could leave an infinity.
        return (bits >> 16) as u16 | 0x40;
    }
    let odd = bits >> 16 & 1;
    let rounded = ((bits + 0x7fff + odd) >> 16) as u16;
    // A finite value stays finite, as in half precision.
    if value.is_finite() && rounded & 0x7fff == 0x7f80 { rounded - 1 } else { rounded }
}

/// The nearest half, ties to even; a NaN stays one, and a finite value stays finite.
fn f16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    if !value.is_finite() {
        return sign | if value.is_nan() { 0x7e00 } else { 0x7c00 };
    }
    let magnitude = value.abs();
    let half = if magnitude < 2f32.powi(-14) {
        // Subnormal: multiples of 2^-24, which adding 0.5 rounds to (the last bit of 0.5 is 2^-24).
        ((magnitude + 0.5).to_bits() - 0.5f32.to_bits()) as u16
    } else {
        // Exponents 127 and 15 both mean 1; 13 bits of the fraction are rounded off.
        let bits = magnitude.to_bits() - ((127 - 15) << 23);
        let odd = bits >> 13 & 1;
        ((bits + 0xfff + odd) >> 13).min(0x7bff) as u16
    };
    sign | half
}

/// A stored element type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    BF16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    /// No real number (complex, quantised): of so many bytes.
    Other(usize),
}

/// The order of the bytes of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl Element {
    /// Bytes per element.
    pub(super) fn size(self) -> usize {
        match self {
            Element::I8 | Element::U8 | Element::Bool => 1,
            Element::F16 | Element::BF16 | Element::I16 | Element::U16 => 2,
            Element::F32 | Element::I32 | Element::U32 => 4,
            Element::F64 | Element::I64 | Element::U64 => 8,
            Element::Other(size) => size,
        }
    }

    /// Whether its values are real numbers.
    pub(super) fn is_real(self) -> bool {
        !matches!(self, Element::Other(_))
    }

    /// The element type of a `torch` storage class.
    pub(super) fn of_storage_class(name: &str) -> Option<Element> {
        Some(match name {
            "HalfStorage" => Element::F16,
            "BFloat16Storage" => Element::BF16,
            "FloatStorage" => Element::F32,
            "DoubleStorage" => Element::F64,
            "CharStorage" => Element::I8,
            "ShortStorage" => Element::I16,
            "IntStorage" => Element::I32,
            "LongStorage" => Element::I64,
            "ByteStorage" => Element::U8,
            "BoolStorage" => Element::Bool,
            "ComplexFloatStorage" => Element::Other(8),
            "ComplexDoubleStorage" => Element::Other(16),
            "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage"
            | "UntypedStorage" => Element::Other(1),
            "QInt32Storage" => Element::Other(4),
            _ => return None,
        })
    }

    /// One element from its bytes, `size()` of them, rounded to the nearest `f32`; NaN for what is no real
    /// number.
    pub(super) fn decode(self, bytes: &[u8], order: ByteOrder) -> f32 {
        let bits = self.bits(bytes, order);
        match self {
            Element::F16 => f32_from_f16(bits as u16),
            Element::BF16 => f32::from_bits((bits as u32) << 16),
            Element::F32 => f32::from_bits(bits as u32),
            Element::F64 => f64::from_bits(bits) as f32,
            Element::I8 => f32::from(bits as i8),
            Element::I16 => f32::from(bits as i16),
            Element::I32 => bits as i32 as f32,
            Element::I64 => bits as i64 as f32,
            Element::U8 | Element::U16 | Element::U32 | Element::U64 => bits as f32,
            Element::Bool => f32::from(u8::from(bits != 0)),
            Element::Other(_) => f32::NAN,
        }
    }

    /// One element from its bytes, rounded to the nearest `f64`.
    pub(super) fn decode_f64(self, bytes: &[u8], order: ByteOrder) -> f64 {
        let bits = self.bits(bytes, order);
        match self {
            Element::F64 => f64::from_bits(bits),
            Element::I32 => f64::from(bits as i32),
            Element::I64 => bits as i64 as f64,
            Element::U32 | Element::U64 => bits as f64,
            // The others are exact in f32.
            _ => f64::from(self.decode(bytes, order)),
        }
    }

    /// An element's bytes as a number.
    fn bits(self, bytes: &[u8], order: ByteOrder) -> u64 {
        let mut word = [0u8; 8];
        for (i, slot) in word.iter_mut().take(self.size()).enumerate() {
            *slot = match order {
                ByteOrder::Little => bytes[i],
                ByteOrder::Big => bytes[self.size() - 1 - i],
            };
        }
        u64::from_le_bytes(word)
    }
}

/// IEEE 754 half precision: 1 sign, 5 exponent (bias 15) and 10 fraction bits. Exact.
fn f32_from_f16(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(half >> 10 & 0x1f);
    let fraction = f32::from(half & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24), // zero and subnormals
        0x1f if fraction == 0.0 => sign * f32::INFINITY,
        0x1f => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_has_its_known_values() {
        // From the table of IEEE 754 binary16.
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(f32_from_f16(bits), value, "{bits:#x}");
        }
        assert!(f32_from_f16(0x7e00).is_nan());
        assert!(f32_from_f16(0x8000).is_sign_negative());
    }

    #[test]
    fn every_half_and_every_bf16_survives_and_between_two_the_nearest_is_taken() {
        for bits in 0..=u16::MAX {
            let half = f32_from_f16(bits);
            let brain = f32::from_bits(u32::from(bits) << 16);
            if half.is_nan() {
                assert!(f32_from_f16(f16_from_f32(half)).is_nan());
            } else {
                assert_eq!(f16_from_f32(half), bits, "{half}");
            }
            if brain.is_nan() {
                assert!(StoredAs::Bf16.rounded(brain).is_nan());
            } else {
                assert_eq!(bf16_from_f32(brain), bits, "{brain}");
            }
        }
        for (stored, largest) in [(StoredAs::F16, 0x7bffu16), (StoredAs::Bf16, 0x7f7f)] {
            let at = |bits: u16| match stored {
                StoredAs::F16 => f32_from_f16(bits),
                _ => f32::from_bits(u32::from(bits) << 16),
            };
            for low in 0..largest {
                let (a, b) = (at(low), at(low + 1));
                // Exact in f64, and in f32: one bit more than either.
                let middle = ((f64::from(a) + f64::from(b)) / 2.0) as f32;
                let even = if low % 2 == 0 { a } else { b };
                assert_eq!(stored.rounded(middle), even, "{stored}: {a} {b}");
                assert_eq!(stored.rounded(-middle), -even);
                if middle.next_down() > a && middle.next_up() < b {
                    assert_eq!(stored.rounded(middle.next_down()), a, "{stored}");
                    assert_eq!(stored.rounded(middle.next_up()), b, "{stored}");
                }
            }
            assert_eq!(stored.rounded(f32::MAX), at(largest));
            assert_eq!(stored.rounded(f32::NEG_INFINITY), f32::NEG_INFINITY);
            assert!(stored.rounded(f32::from_bits(0x7f80_0001)).is_nan());
        }
    }

    #[test]
    fn each_element_decodes_in_both_byte_orders() {
        let check = |element: Element, little: &[u8], value: f32| {
            let big: Vec<u8> = little.iter().rev().copied().collect();
            assert_eq!(little.len(), element.size());
            assert_eq!(element.decode(little, ByteOrder::Little), value, "{element:?}");
            assert_eq!(element.decode(&big, ByteOrder::Big), value, "{element:?}");
        };
        check(Element::F16, &0x3c01u16.to_le_bytes(), 1.0 + 1.0 / 1024.0);
        check(Element::BF16, &0x3f81u16.to_le_bytes(), 1.007_812_5);
        check(Element::F32, &1.5f32.to_le_bytes(), 1.5);
        check(Element::F64, &(-0.1f64).to_le_bytes(), -0.1);
        check(Element::I8, &(-3i8).to_le_bytes(), -3.0);
        check(Element::I16, &(-300i16).to_le_bytes(), -300.0);
        check(Element::I32, &(-70_000i32).to_le_bytes(), -70_000.0);
        check(Element::I64, &117_300i64.to_le_bytes(), 117_300.0);
        check(Element::U8, &[200], 200.0);
        check(Element::U16, &60_000u16.to_le_bytes(), 60_000.0);
        check(Element::U32, &4_000_000_000u32.to_le_bytes(), 4e9);
        check(Element::U64, &(1u64 << 40).to_le_bytes(), 1_099_511_627_776.0);
        check(Element::Bool, &[2], 1.0);
    }
}
