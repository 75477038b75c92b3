//! YUV4MPEG2: uncompressed 4:2:0 frames that ffmpeg, x264, aomenc and others read from a pipe.

use super::yuv::Yuv;

/// The header of a film of `fps` frames a second: progressive, square pixels, chroma sited as in
/// MPEG-2 and H.264, limited range. (BT.709 cannot be said in this format.)
pub fn header([width, height]: [u32; 2], fps: u32) -> Vec<u8> {
    let header =
        format!("YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED\n");
    header.into_bytes()
}

/// A frame with its own little header.
pub fn frame(yuv: &Yuv) -> Vec<u8> {
    [b"FRAME\n", &yuv.y[..], &yuv.u, &yuv.v].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_a_word_and_three_planes() {
        let yuv = Yuv::from_rgba(&[255; 4 * 4 * 2], 4, 4, 2);
        let frame = frame(&yuv);
        assert_eq!(frame, [b"FRAME\n", &[235u8; 8][..], &[128; 4]].concat());
        assert!(header([4, 2], 25).starts_with(b"YUV4MPEG2 W4 H2 F25:1 "));
    }
}
