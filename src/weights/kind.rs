//! What kind of file somebody gave as weights.

use hdf5_pure::File;

/// What a file seems to be, from its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    TorchZip,
    TorchLegacy,
    Safetensors,
    /// Nothing we read, and what it looks like instead.
    Other(&'static str),
}

impl FileKind {
    /// From its first bytes.
    pub(super) fn sniff(bytes: &[u8]) -> FileKind {
        // A safetensors header is JSON after its length, which is below 10^8: eight bytes of which
        // the upper four are zero.
        if bytes.len() > 8 && bytes[4..9] == *b"\0\0\0\0{" {
            return FileKind::Safetensors;
        }
        // Pages of servers begin with blank lines at times.
        if bytes.trim_ascii_start().first() == Some(&b'<') {
            return FileKind::Other("it is a web page, not weights");
        }
        match bytes {
            [] => FileKind::Other("the file is empty"),
            [b'P', b'K', 3 | 5, 4 | 6, ..] => FileKind::TorchZip,
            [0x80, 0..=5, ..] => FileKind::TorchLegacy,
            [0x89, b'H', b'D', b'F', ..] => FileKind::Other(if is_of_keras(bytes) {
                "it holds the weights of a Keras model, which are not read"
            } else {
                "it is an HDF5 file (a direction or a surface?), not weights"
            }),
            [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', b'h', b't', b't', b'p', ..] => {
                FileKind::Other("it is a Git LFS pointer, not the weights file itself")
            }
            [0x1f, 0x8b, ..] => FileKind::Other("it is compressed with gzip"),
            _ if bytes.get(257..262) == Some(b"ustar") => FileKind::Other(
                "it is a tar archive, as torch.save wrote before PyTorch 0.1.10, which is not \
                 supported",
            ),
            _ => FileKind::Other("it is no weights file of a known kind"),
        }
    }

    /// What is to be done about a file of this kind that cannot be read.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            FileKind::TorchZip | FileKind::TorchLegacy => {
                "if the file may be damaged, copy or download it again; else save the state dict \
                 anew with `torch.save(model.state_dict(), path)` or as safetensors"
            }
            FileKind::Safetensors => "copy or download it again, or write it anew",
            FileKind::Other(_) => {
                "give a file of `torch.save(model.state_dict(), path)` or a safetensors file"
            }
        }
    }
}

/// Whether an HDF5 file has the groups that Keras writes: those of `.weights.h5`, or of its older `.h5`.
fn is_of_keras(bytes: &[u8]) -> bool {
    let groups = File::from_bytes(bytes.to_vec()).and_then(|file| file.root().groups());
    groups.is_ok_and(|groups| {
        let is_one = |group: &String| {
            ["layers", "model_weights", "optimizer_weights", "_layer_checkpoint_dependencies"]
                .contains(&group.as_str())
        };
        groups.iter().any(is_one)
    })
}
