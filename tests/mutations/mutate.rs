//! How a sound file becomes a bad one.

use lossreel::rng::Rng;

/// Longest file that comes of mutations.
const LONGEST: usize = 1 << 16;

/// What kind of bytes are mutated: texts have numbers, lines and brackets to be hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Form {
    Binary,
    Text,
}

/// Numbers at which sizes, offsets and counts go wrong.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    1 << 40,
    1 << 47,
    1 << 48,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// The same as texts, and what else may stand where a number or a word should.
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "1e999",
    "-0.0",
    "NaN",
    "\"NaN\"",
    "\"inf\"",
    "1e-400",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999",
    "0x10",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"../../x\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "\u{feff}",
];

/// A copy of `bytes` changed in one to six ways; `other` is another sound file to take parts of.
pub(crate) fn mutate(bytes: &[u8], other: &[u8], form: Form, rng: &mut Rng) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    for _ in 0..6 {
        change(&mut copy, other, form, rng);
        if rng.bernoulli(0.5) {
            break;
        }
    }
    copy.truncate(LONGEST);
    copy
}

fn change(bytes: &mut Vec<u8>, other: &[u8], form: Form, rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.extend(other);
        return;
    }
    let at = rng.below(bytes.len());
    let most = 1 << rng.below(8);
    let some = 1 + rng.below(most);
    let end = (at + some).min(bytes.len());
    let kinds = if form == Form::Text { 15 } else { 11 };
    match rng.below(kinds) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = [0, 0x7f, 0x80, 0xff, rng.bits() as u8][rng.below(5)],
        2 => bytes[at] = bytes[at].wrapping_add(rng.below(9) as u8).wrapping_sub(4),
        3 => bytes.truncate(at),
        4 => insert(bytes, at, &(0..some).map(|_| rng.bits() as u8).collect::<Vec<_>>()),
        5 => drop(bytes.drain(at..end)),
        6 => {
            let part = bytes[at..end].to_vec();
            insert(bytes, rng.below(bytes.len() + 1), &part);
        }
        7 => {
            let part = bytes[at..end].to_vec();
            let to = rng.below(bytes.len() - part.len() + 1);
            bytes[to..to + part.len()].copy_from_slice(&part);
        }
        8 | 9 => number(bytes, at, rng),
        10 => {
            // The beginning of the one and the end of the other.
            bytes.truncate(at);
            bytes.extend(&other[rng.below(other.len() + 1)..]);
        }
        11 => numeral(bytes, at, rng),
        12 => {
            let word = WORDS[rng.below(WORDS.len())];
            insert(bytes, at, word.as_bytes());
        }
        13 => lines(bytes, rng),
        _ => bytes[at] = b"{}[]\",:.=-+eE#\n\\ 0123456789"[rng.below(27)],
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}

/// Overwrites 1 to 8 bytes by a number at which sizes go wrong, of either byte order; or by the
/// file's own length or nearly.
fn number(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    let value = match rng.below(4) {
        0 => (bytes.len() + rng.below(5)).saturating_sub(2) as u64,
        _ => NUMBERS[rng.below(NUMBERS.len())].wrapping_add(rng.below(3) as u64).wrapping_sub(1),
    };
    let width = (1 << rng.below(4)).min(bytes.len() - at);
    let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
    let part = if rng.bernoulli(0.7) { &little[..width] } else { &big[8 - width..] };
    bytes[at..at + width].copy_from_slice(part);
}

/// Replaces the next number of a text by a word.
fn numeral(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let is_number = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit) else { return };
    let start = at + start;
    let len = bytes[start..].iter().take_while(|b| is_number(b)).count();
    let word = WORDS[rng.below(WORDS.len())];
    bytes.splice(start..start + len, word.bytes());
}

/// Removes, repeats or swaps lines.
fn lines(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|&b| b == b'\n').map(Vec::from).collect();
    let (a, b) = (rng.below(lines.len()), rng.below(lines.len()));
    match rng.below(3) {
        0 => drop(lines.remove(a)),
        1 => lines.insert(b, lines[a].clone()),
        _ => lines.swap(a, b),
    }
    *bytes = lines.concat();
}

/// A pickle made of random opcodes: mostly such as `torch.save` writes, with operands that fit.
pub(crate) fn pickle(rng: &mut Rng) -> Vec<u8> {
    const PLAIN: &[u8] = b"N}])(tdlusaeR0012bQ\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x81\x92o";
    const NAMES: [&str; 6] = [
        "ccollections\nOrderedDict\n",
        "ctorch._utils\n_rebuild_tensor_v2\n",
        "ctorch._utils\n_rebuild_parameter\n",
        "ctorch\nFloatStorage\n",
        "ctorch\nSize\n",
        "cposix\nsystem\n",
    ];
    let mut out = vec![0x80, 2];
    for _ in 0..rng.below(120) {
        match rng.below(10) {
            0 => out.extend(NAMES[rng.below(NAMES.len())].bytes()),
            1 => out.extend([b'K', rng.below(8) as u8]),
            2 => out.extend([b'q', rng.below(16) as u8]),
            3 => out.extend([b'h', rng.below(16) as u8]),
            4 => {
                let text = ["storage", "0", "cpu", "w", "state_dict"][rng.below(5)];
                out.extend([b'U', text.len() as u8]);
                out.extend(text.bytes());
            }
            5 => {
                let value = NUMBERS[rng.below(NUMBERS.len())];
                out.extend([0x8a, 8]);
                out.extend(value.to_le_bytes());
            }
            _ => out.push(PLAIN[rng.below(PLAIN.len())]),
        }
    }
    out.push(b'.');
    out
}

/// A zip archive of stored entries with right checksums.
pub(crate) fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        // From the version needed to the length of the extra field, as both headers have them.
        let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc.sum().to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes().repeat(2));
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        let start = out.len() as u32;
        out.extend([&b"PK\x03\x04"[..], &common, name.as_bytes(), content].concat());
        let place = [[0; 10].as_slice(), &start.to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02\x0a\x00", &common[..], &place, name.as_bytes()].concat());
    }
    let start = out.len() as u32;
    let count = (entries.len() as u16).to_le_bytes();
    out.extend(&directory);
    out.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend([&start.to_le_bytes()[..], &[0, 0]].concat());
    out
}
