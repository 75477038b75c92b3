//! The element types that tensors are stored in, and their way to `f32`.

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
        }
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
            _ => return None,
        })
    }

    /// One element from its bytes, `size()` of them, rounded to the nearest `f32`.
    pub(super) fn decode(self, bytes: &[u8], order: ByteOrder) -> f32 {
        let mut word = [0u8; 8];
        for (i, slot) in word.iter_mut().take(self.size()).enumerate() {
            *slot = match order {
                ByteOrder::Little => bytes[i],
                ByteOrder::Big => bytes[self.size() - 1 - i],
            };
        }
        let bits = u64::from_le_bytes(word);
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
        }
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
