//! How a feature map lies in memory: padded NHWC.

/// Floats that channels are rounded up to: a multiple of every level's vector.
pub(crate) const CHANNEL_BLOCK: usize = 16;

/// One image's feature map: rows of pixels of channels, `[h + 2 halo][w + 2 halo][stride]`. The
/// halo and the channels from `c` to `stride` are always zero, so a kernel never asks where the
/// border is, and a window's row (its columns and all their channels) is one contiguous run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Zero rows and columns on each side.
    pub halo: usize,
    /// Floats from a pixel to the next: `c` rounded up to [`CHANNEL_BLOCK`], but see
    /// [`Shape::tight`].
    pub stride: usize,
}

impl Shape {
    /// A feature map of `c` channels, `h` x `w`, with `halo`.
    pub fn new([c, h, w]: [usize; 3], halo: usize) -> Self {
        Self { c, h, w, halo, stride: c.next_multiple_of(CHANNEL_BLOCK) }
    }

    /// The same feature map without idle channels, pixel behind pixel. For images: with their few
    /// channels a window's row is one run then, of a fifth of the memory. Direct convolutions read
    /// it; whatever loads vectors of channels cannot.
    pub fn tight(self) -> Self {
        Self { stride: self.c, ..self }
    }

    /// Floats an image.
    pub fn len(&self) -> usize {
        (self.h + 2 * self.halo) * self.row()
    }

    /// Floats from a row to the next.
    pub fn row(&self) -> usize {
        (self.w + 2 * self.halo) * self.stride
    }

    /// Where pixel (y, x) begins; -halo..h + halo and -halo..w + halo.
    pub fn at(&self, y: isize, x: isize) -> usize {
        let halo = self.halo as isize;
        debug_assert!(y >= -halo && x >= -halo);
        (y + halo) as usize * self.row() + (x + halo) as usize * self.stride
    }

    /// Pixels without the halo.
    pub fn pixels(&self) -> usize {
        self.h * self.w
    }
}

/// The order in which a tensor's values are counted: that of the network's own axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// (c, h, w).
    FeatureMap,
    /// (t, d).
    Tokens,
}
