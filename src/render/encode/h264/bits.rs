//! Bits and Exp-Golomb codes (clause 9.1), and NAL units around them (clause 7.3.1).

/// Bits, most significant first.
#[derive(Debug, Clone, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// The bits that do not fill a byte yet, in the low end.
    held: u64,
    count: u32,
}

impl BitWriter {
    /// The low `count` bits of `value`, at most 32.
    #[inline]
    pub fn put(&mut self, value: u32, count: u32) {
        debug_assert!(count <= 32 && (count == 32 || value >> count == 0));
        self.held = self.held << count | u64::from(value);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.held >> self.count) as u8);
        }
    }

    /// `ue(v)`.
    #[inline]
    pub fn ue(&mut self, value: u32) {
        let code = value + 1;
        let length = code.ilog2();
        self.put(0, length);
        self.put(code, length + 1);
    }

    /// `se(v)`.
    pub fn se(&mut self, value: i32) {
        self.ue(if value > 0 { 2 * value as u32 - 1 } else { 2 * value.unsigned_abs() });
    }

    /// The payload with its stop bit.
    pub fn finish(mut self) -> Vec<u8> {
        self.put(1, 1);
        self.put(0, (8 - self.count) % 8);
        self.bytes
    }
}

/// Appends a NAL unit with its start code to a byte stream; no three bytes of `payload` may look
/// like one.
pub fn put_nal(stream: &mut Vec<u8>, header: u8, payload: &[u8]) {
    stream.extend([0, 0, 0, 1, header]);
    let mut zeros = 0;
    for &byte in payload {
        if zeros == 2 && byte <= 3 {
            stream.push(3);
            zeros = 0;
        }
        stream.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
}

/// Reads what [`BitWriter`] writes; beyond the end everything is zero.
pub struct BitReader {
    bytes: Vec<u8>,
    at: usize,
}

impl BitReader {
    /// The payload of a NAL unit, its header byte left out.
    pub fn of_nal(nal: &[u8]) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(nal.len());
        for (i, &byte) in nal.iter().enumerate().skip(1) {
            if !(byte == 3 && i > 2 && nal[i - 2..i] == [0, 0]) {
                bytes.push(byte);
            }
        }
        Self { bytes, at: 0 }
    }

    /// The next `count` bits.
    pub fn take(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |value, _| {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            let bit = u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
            value << 1 | bit
        })
    }

    /// `ue(v)`.
    pub fn ue(&mut self) -> u32 {
        let mut length = 0;
        while length < 31 && self.take(1) == 0 {
            length += 1;
        }
        (1 << length) - 1 + self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_no_start_code_arises() {
        let mut bits = BitWriter::default();
        let numbers = [0, 1, 2, 3, 7, 8, 254, 255, 65_534, 1_000_000];
        bits.put(0, 25);
        numbers.iter().for_each(|&n| bits.ue(n));
        [0, 1, -1, 2, -2].iter().for_each(|&n| bits.se(n));
        let payload = bits.finish();
        let mut stream = Vec::new();
        put_nal(&mut stream, 0x61, &payload);
        assert!(stream[4..].windows(3).all(|w| w[..2] != [0, 0] || w[2] > 2), "{stream:?}");
        let mut reader = BitReader::of_nal(&stream[4..]);
        assert_eq!(reader.take(25), 0);
        assert_eq!(numbers.map(|_| reader.ue()), numbers);
        // se(v): 0, 1, -1, 2, -2 are the codes 0 to 4 (table 9-3).
        assert_eq!([0; 5].map(|_| reader.ue()), [0, 1, 2, 3, 4]);
    }
}
