//! The compression of GIF: LZW with codes of variable length (Welch 1984; GIF89a, appendix F).
//!
//! Frames of a film are mostly one symbol, that of what stays. A run of it is matched against the
//! runs known so far without looking at each pixel; the codes are those of plain LZW all the same.
//!
//! Against weezl 0.1.12, the crate gif's, in processor time of one thread on an Intel Sapphire Rapids
//! (`cargo bench --bench lzw` repeats it on the films of `lossreel demo`): 34 times faster on what
//! changes from frame to frame in a flat map, 3.4 times in a surface in space around which the camera
//! moves, 1.6 to 3.2 times on whole frames; in both the same bytes within 0.1 %.

/// Codes there are.
const CODES: usize = 4096;
/// Slots of the dictionary, a power of two well above the codes.
const SLOTS: usize = 1 << 14;
/// Bits of a code before one is added for every doubling.
const SYMBOL_BITS: u32 = 8;
const CLEAR: u16 = 1 << SYMBOL_BITS;
const END: u16 = CLEAR + 1;

struct Coder {
    out: Vec<u8>,
    held: u64,
    count: u32,
    width: u32,
    next: u16,
    /// By prefix and symbol: age, prefix, symbol; and the code. What another age left is empty.
    keys: Vec<u32>,
    codes: Vec<u16>,
    age: u32,
    /// The symbol whose runs are known, and the code of a run of each length from 1.
    often: u8,
    runs: Vec<u16>,
}

impl Coder {
    fn emit(&mut self, code: u16) {
        self.held |= u64::from(code) << self.count;
        self.count += self.width;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    fn clear(&mut self) {
        self.emit(CLEAR);
        (self.width, self.next) = (SYMBOL_BITS + 1, END + 1);
        self.age += 1;
        if self.age == 1 << 12 {
            self.keys.fill(0);
            self.age = 1;
        }
        self.runs.clear();
        self.runs.push(u16::from(self.often));
    }

    /// The slot of `prefix` followed by `symbol`, and whether it is there.
    fn slot(&self, prefix: u16, symbol: u8) -> (usize, u32, bool) {
        let key = self.age << 20 | u32::from(prefix) << 8 | u32::from(symbol);
        let mut slot = (key.wrapping_mul(0x9e37_79b1) >> 18) as usize;
        while self.keys[slot] != key && self.keys[slot] >> 20 == self.age {
            slot = (slot + 1) % SLOTS;
        }
        (slot, key, self.keys[slot] == key)
    }

    /// Takes the next code for what was just not found; begins anew when there is none left.
    fn take_code(&mut self) -> u16 {
        let code = self.next;
        self.next += 1;
        if u32::from(self.next) > 1 << self.width {
            self.width += 1;
        }
        code
    }

    fn is_full(&self) -> bool {
        usize::from(self.next) == CODES
    }
}

/// `pixels` as the data of a frame: the number of bits, then the codes.
pub fn encode(pixels: &[u8], often: u8) -> Vec<u8> {
    let mut coder = Coder {
        out: vec![SYMBOL_BITS as u8],
        held: 0,
        count: 0,
        width: SYMBOL_BITS + 1,
        next: END + 1,
        keys: vec![0; SLOTS],
        codes: vec![0; SLOTS],
        age: 0,
        often,
        runs: Vec::new(),
    };
    coder.clear();
    // What is matched so far: its code, and its length where it is a run (else 0).
    let (mut prefix, mut run) = (None, 0);
    let mut at = 0;
    while at < pixels.len() {
        let symbol = pixels[at];
        if symbol == often && (run > 0 || prefix.is_none()) {
            let mut left = run_length(&pixels[at..], often);
            at += left;
            loop {
                let step = left.min(coder.runs.len() - run);
                (run, left) = (run + step, left - step);
                if left == 0 {
                    break;
                }
                // The longest run known, and there is more of it.
                coder.emit(coder.runs[run - 1]);
                let code = coder.take_code();
                coder.runs.push(code);
                if coder.is_full() {
                    coder.clear();
                }
                run = 0;
            }
            prefix = Some(coder.runs[run - 1]);
            continue;
        }
        at += 1;
        let single = usize::from(symbol == often);
        let Some(known) = prefix else {
            (prefix, run) = (Some(u16::from(symbol)), single);
            continue;
        };
        let (slot, key, found) = coder.slot(known, symbol);
        if found {
            (prefix, run) = (Some(coder.codes[slot]), 0);
            continue;
        }
        coder.emit(known);
        coder.keys[slot] = key;
        coder.codes[slot] = coder.take_code();
        if coder.is_full() {
            coder.clear();
        }
        (prefix, run) = (Some(u16::from(symbol)), single);
    }
    if let Some(known) = prefix {
        coder.emit(known);
    }
    // A decoder adds what the last code told it, and may need a bit more from here on.
    if u32::from(coder.next) == 1 << coder.width && coder.width < 12 {
        coder.width += 1;
    }
    coder.emit(END);
    if coder.count > 0 {
        coder.out.push(coder.held as u8);
    }
    coder.out
}

/// How many of `pixels` are `symbol` from the start on.
fn run_length(pixels: &[u8], symbol: u8) -> usize {
    let other = |chunk: &&[u8]| chunk.iter().fold(0, |any, p| any | (p ^ symbol)) != 0;
    let whole = pixels.chunks_exact(64).take_while(|chunk| !other(chunk)).count() * 64;
    whole + pixels[whole..].iter().take_while(|&&p| p == symbol).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decoder by the book.
    fn decode(data: &[u8]) -> Vec<u8> {
        let (mut at, mut width) = (0, SYMBOL_BITS + 1);
        let bits = &data[1..];
        let mut table: Vec<Vec<u8>> = Vec::new();
        let mut before: Option<Vec<u8>> = None;
        let mut out = Vec::new();
        loop {
            let code = (0..width).fold(0u16, |code, i| {
                let bit = at as u32 + i;
                code | u16::from(bits[bit as usize / 8] >> (bit % 8) & 1) << i
            });
            at += width as usize;
            if code == CLEAR {
                table = (0..=END).map(|c| vec![c as u8]).collect();
                (width, before) = (SYMBOL_BITS + 1, None);
                continue;
            }
            if code == END {
                assert!(bits.len() * 8 - at < 8, "bytes are left");
                return out;
            }
            let entry = match (&before, table.get(usize::from(code))) {
                (_, Some(entry)) => entry.clone(),
                (Some(before), None) => [&before[..], &before[..1]].concat(),
                (None, None) => panic!("code {code} before it is known"),
            };
            if let Some(before) = before {
                table.push([&before[..], &entry[..1]].concat());
                if table.len() == 1 << width && width < 12 {
                    width += 1;
                }
            }
            out.extend(&entry);
            before = Some(entry);
        }
    }

    #[test]
    fn what_goes_in_comes_out_whatever_it_is() {
        let mut seed = 1u32;
        let mut random = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        };
        let mut cases: Vec<Vec<u8>> = vec![vec![], vec![0], vec![7], vec![0; 5], vec![3; 700_000]];
        cases.push(vec![0; 1_000_000]);
        cases.push((0..300_000).map(|_| random() as u8).collect());
        // Runs of all lengths with something between them, as frames have.
        let mut frame = Vec::new();
        while frame.len() < 600_000 {
            let length = random() % if random() % 9 == 0 { 4000 } else { 40 };
            frame.extend(vec![0; length as usize]);
            frame.extend((0..random() % 20).map(|_| random() as u8 % 30));
        }
        cases.push(frame);
        for case in cases {
            for often in [0, 3] {
                assert!(decode(&encode(&case, often)) == case, "{} pixels", case.len());
            }
        }
        // Every length of the last code's neighbourhood: the width changes before the end code, too.
        for n in 0..1200 {
            let case: Vec<u8> = (0..n).map(|i| (i * 7 % 251) as u8).collect();
            assert!(decode(&encode(&case, 0)) == case, "{n} pixels");
        }
    }

    #[test]
    fn runs_cost_what_they_cost_pixel_by_pixel() {
        // With another symbol's runs known, those of zero go the plain way.
        let case: Vec<u8> =
            (0..200_000).map(|i| if i % 977 < 20 { (i % 13) as u8 } else { 0 }).collect();
        assert!(encode(&case, 0) == encode(&case, 255));
    }
}
