//! A cover: the smallest grey JPEG of a given size that decoders take.

/// A picture of one grey (0 black to 255 white), baseline JPEG.
///
/// Every block has the same mean, so only the first carries a number and all others say "as
/// before"; the Huffman tables hold just what that needs (ITU T.81, annex F).
pub fn grey(width: u16, height: u16, level: u8) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8];
    segment(&mut out, 0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    // A quantiser of 8 makes the coefficient of a flat block its level less 128.
    segment(&mut out, 0xdb, &[&[0u8][..], &[8; 64]].concat());
    let [h1, h0] = height.to_be_bytes();
    let [w1, w0] = width.to_be_bytes();
    segment(&mut out, 0xc0, &[8, h1, h0, w1, w0, 1, 1, 0x11, 0]);
    // Differences of 0 to 11 bits, each a code of four bits; and one code of a bit: end of block.
    let mut lengths = [0u8; 16];
    lengths[3] = 12;
    let categories: Vec<u8> = (0..12).collect();
    segment(
        &mut out,
        0xc4,
        &[&[0x00][..], &lengths, &categories].concat(),
    );
    let mut lengths = [0u8; 16];
    lengths[0] = 1;
    segment(&mut out, 0xc4, &[&[0x10][..], &lengths, &[0]].concat());
    segment(&mut out, 0xda, &[1, 1, 0x00, 0, 63, 0]);

    let mut bits = Bits::default();
    let mean = i32::from(level) - 128;
    let size = 32 - mean.unsigned_abs().leading_zeros();
    bits.put(size, 4);
    let value = if mean < 0 {
        mean + (1 << size) - 1
    } else {
        mean
    };
    bits.put(value as u32, size);
    bits.put(0, 1);
    let blocks = u32::from(width.div_ceil(8)) * u32::from(height.div_ceil(8));
    for _ in 1..blocks {
        bits.put(0, 5);
    }
    out.extend(bits.finish());
    out.extend([0xff, 0xd9]);
    out
}

fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend([0xff, marker]);
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend(body);
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.waiting = self.waiting << count | u64::from(value);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.waiting >> self.count) as u8;
            self.bytes.push(byte);
            if byte == 0xff {
                self.bytes.push(0);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.put((1 << (8 - self.count)) - 1, 8 - self.count);
        }
        self.bytes
    }
}
