//! numpy's arrays in a pickle: `_reconstruct` followed by a state, or `_frombuffer` since protocol 5,
//! with the bytes of the elements as Python 2 (a byte string), Python 3 (bytes) or Python 3 writing
//! for Python 2 (latin-1 text through `_codecs.encode`) put them.
//!
//! The same description of a type (`<f4`, `|u1`) stands in the header of a `.npy` file.

use std::rc::Rc;

use super::{Id, Node, Parsed};
use crate::element::{ByteOrder, Element};

/// Dimensions of an array at most, as numpy has it.
const MAX_RANK: usize = 32;

/// An array with the bytes of its elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NumpyArray {
    /// The type of an element.
    pub(crate) element: Element,
    /// The order of the bytes of an element.
    pub(crate) order: ByteOrder,
    /// The dimensions.
    pub(crate) shape: Vec<usize>,
    /// Whether the first index runs fastest.
    pub(crate) fortran: bool,
    /// `shape.iter().product()` elements.
    pub(crate) bytes: Rc<[u8]>,
}

impl NumpyArray {
    /// An array whose bytes are as many as its shape says; `bytes` may not be longer.
    pub(crate) fn new(
        (element, order): (Element, ByteOrder),
        shape: Vec<usize>,
        fortran: bool,
        bytes: Rc<[u8]>,
    ) -> Parsed<Self> {
        let wanted = bytes_of(&shape, element);
        if wanted != Some(bytes.len()) {
            return Err(format!(
                "an array of {shape:?} in it has {} bytes instead of {}",
                bytes.len(),
                wanted.map_or("more than can be counted".to_string(), |n| n.to_string())
            ));
        }
        Ok(Self { element, order, shape, fortran, bytes })
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.element.size()
    }

    /// The same elements with the last index running fastest.
    pub(crate) fn in_c_order(self) -> Self {
        if !self.fortran || self.shape.len() < 2 || self.bytes.is_empty() {
            return Self { fortran: false, ..self };
        }
        let size = self.element.size();
        let mut strides = Vec::with_capacity(self.shape.len());
        let mut stride = 1;
        for &dim in &self.shape {
            strides.push(stride);
            stride *= dim;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.len() {
            let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
            bytes.extend_from_slice(&self.bytes[at * size..(at + 1) * size]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Self { fortran: false, bytes: bytes.into(), ..self }
    }

    /// The elements as numbers, in the order they lie in.
    pub(crate) fn values(&self) -> impl Iterator<Item = f32> + '_ {
        self.bytes
            .chunks_exact(self.element.size())
            .map(|element| self.element.decode(element, self.order))
    }
}

/// Bytes of an array of `shape`, `None` where they cannot be counted.
pub(crate) fn bytes_of(shape: &[usize], element: Element) -> Option<usize> {
    shape.iter().try_fold(element.size(), |n, &dim| n.checked_mul(dim))
}

/// The type that numpy writes as `<f4`, `|u1`, `>i8`, `f8` or `?`; `None` for one without numbers in it
/// (text, records, objects) or one that `f32` does not hold.
pub(crate) fn type_of(description: &str) -> Option<(Element, ByteOrder)> {
    let (order, name) = match description.split_at_checked(1)? {
        ("<" | "|" | "=", name) => (ByteOrder::Little, name),
        (">", name) => (ByteOrder::Big, name),
        _ => (ByteOrder::Little, description),
    };
    let element = match name {
        "u1" | "uint8" => Element::U8,
        "b1" | "?" | "bool" => Element::Bool,
        "i1" | "int8" => Element::I8,
        "u2" | "uint16" => Element::U16,
        "i2" | "int16" => Element::I16,
        "u4" | "uint32" => Element::U32,
        "i4" | "int32" => Element::I32,
        "u8" | "uint64" => Element::U64,
        "i8" | "int64" => Element::I64,
        "f2" | "float16" => Element::F16,
        "f4" | "float32" => Element::F32,
        "f8" | "float64" => Element::F64,
        _ => return None,
    };
    Some((element, order))
}

/// What calling `name` makes, where it is one of numpy's; `None` for anything else, also for a call
/// that numpy would not make.
pub(super) fn call(nodes: &[Node], name: &str, args: &[Id]) -> Option<Parsed<Node>> {
    let function = name.strip_prefix("numpy.").map(|rest| rest.trim_start_matches('_'));
    match (function, args) {
        (Some("core.multiarray._reconstruct"), _) => Some(Ok(Node::EmptyArray)),
        (Some("dtype"), &[description, ..]) => {
            let Node::Str(description) = &nodes[description] else { return None };
            let (element, order) = type_of(description)?;
            Some(Ok(Node::NumpyType(element, order)))
        }
        (Some("core.numeric._frombuffer"), &[bytes, dtype, shape, order]) => {
            let bytes = bytes_in(&nodes[bytes])?;
            let Node::NumpyType(element, byte_order) = nodes[dtype] else { return None };
            let Node::Str(order) = &nodes[order] else { return None };
            let array = shape_in(nodes, shape).and_then(|shape| {
                NumpyArray::new((element, byte_order), shape, &**order == "F", bytes)
            });
            Some(array.map(|array| Node::Array(Rc::new(array))))
        }
        (None, &[text, encoding, ..]) if name == "_codecs.encode" => {
            let (Node::Str(text), Node::Str(encoding)) = (&nodes[text], &nodes[encoding]) else {
                return None;
            };
            if !matches!(&**encoding, "latin1" | "latin-1" | "iso-8859-1") {
                return None;
            }
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
            Some(Ok(Node::Bytes(bytes?.into())))
        }
        _ => None,
    }
}

/// What an object becomes that is given `state` after it was made; `None` where it stays what it is.
pub(super) fn build(nodes: &[Node], object: Id, state: Id) -> Option<Parsed<Node>> {
    let Node::Tuple(state) = &nodes[state] else { return None };
    match (&nodes[object], state.as_slice()) {
        (Node::NumpyType(element, _), &[_version, order, ..]) => match &nodes[order] {
            Node::Str(order) if &**order == ">" => {
                Some(Ok(Node::NumpyType(*element, ByteOrder::Big)))
            }
            _ => None,
        },
        (Node::EmptyArray, &[_version, shape, dtype, fortran, bytes]) => {
            // An array of objects, of text or of records stays empty.
            let Node::NumpyType(element, order) = nodes[dtype] else { return None };
            let bytes = bytes_in(&nodes[bytes])?;
            let fortran = matches!(nodes[fortran], Node::Bool(true) | Node::Int(1));
            let array = shape_in(nodes, shape)
                .and_then(|shape| NumpyArray::new((element, order), shape, fortran, bytes));
            Some(array.map(|array| Node::Array(Rc::new(array))))
        }
        _ => None,
    }
}

/// The bytes of bytes, or of Python 2's strings.
fn bytes_in(node: &Node) -> Option<Rc<[u8]>> {
    match node {
        Node::Bytes(bytes) => Some(bytes.clone()),
        Node::Str(text) => Some(text.clone().into()),
        _ => None,
    }
}

fn shape_in(nodes: &[Node], shape: Id) -> Parsed<Vec<usize>> {
    let bad = || "an array in it has a shape that is none".to_string();
    let Node::Tuple(dims) = &nodes[shape] else { return Err(bad()) };
    if dims.len() > MAX_RANK {
        return Err(bad());
    }
    dims.iter()
        .map(|&dim| match nodes[dim] {
            Node::Int(value) => usize::try_from(value).map_err(|_| bad()),
            _ => Err(bad()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Pickle;
    use super::*;

    /// The array that is the value of the only key of a pickled dict, and that key.
    fn only_array(pickle: &[u8]) -> (String, NumpyArray) {
        let pickle = Pickle::parse(pickle).unwrap();
        let Node::Dict(pairs) = pickle.node(pickle.root) else { panic!("no dict") };
        let &[(key, value)] = pairs.as_slice() else { panic!("{} pairs", pairs.len()) };
        let key = match pickle.node(key) {
            Node::Str(key) => key.to_string(),
            Node::Bytes(key) => String::from_utf8(key.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        let Node::Array(array) = pickle.node(value) else { panic!("{:?}", pickle.node(value)) };
        (key, NumpyArray::clone(array))
    }

    /// Protocol 2 as Python 2 and as Python 3 write `{"data": np.array([[1, 255], [3, 200]], "u1")}`.
    fn pickled(python: u8) -> Vec<u8> {
        let mut out = b"\x80\x02}".to_vec();
        if python == 2 {
            out.extend(b"U\x04data");
        } else {
            out.extend(b"c_codecs\nencode\nX\x04\0\0\0dataX\x06\0\0\0latin1\x86R");
        }
        out.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85");
        out.extend(b"U\x01b\x87R(K\x01K\x02K\x02\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R");
        out.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89");
        if python == 2 {
            out.extend(b"U\x04\x01\xff\x03\xc8");
        } else {
            // Latin-1 text in UTF-8.
            out.extend(
                b"c_codecs\nencode\nX\x06\0\0\0\x01\xc3\xbf\x03\xc3\x88X\x06\0\0\0latin1\x86R",
            );
        }
        out.extend(b"tbs.");
        out
    }

    #[test]
    fn an_array_is_the_same_from_python_2_and_from_python_3() {
        for python in [2, 3] {
            let (key, array) = only_array(&pickled(python));
            assert_eq!(key, "data");
            assert_eq!((array.shape.as_slice(), array.element), (&[2, 2][..], Element::U8));
            assert_eq!(array.bytes[..], [1, 255, 3, 200]);
        }
    }

    #[test]
    fn an_array_of_protocol_5_is_read() {
        let mut out =
            b"\x80\x05}\x8c\x01x\x8c\x12numpy.core.numeric\x8c\x0b_frombuffer\x93".to_vec();
        out.extend(
            b"(\x96\x04\0\0\0\0\0\0\0\x01\0\x02\0\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02i2K\0K\x01",
        );
        out.extend(b"\x87R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb");
        out.extend(b"K\x02\x85\x8c\x01CtRs.");
        let (key, array) = only_array(&out);
        assert_eq!((key.as_str(), array.values().collect::<Vec<_>>()), ("x", vec![1.0, 2.0]));
    }

    #[test]
    fn an_array_of_another_size_than_its_bytes_is_refused() {
        let mut bytes = pickled(2);
        let at = bytes.windows(5).position(|w| w == b"K\x02K\x02\x86").unwrap();
        bytes[at + 1] = 3;
        let error = Pickle::parse(&bytes).unwrap_err();
        assert!(error.contains("4 bytes instead of 6"), "{error}");
    }

    #[test]
    fn fortran_order_is_turned_into_c_order() {
        let array = NumpyArray::new(
            (Element::U8, ByteOrder::Little),
            vec![2, 3],
            true,
            [1, 4, 2, 5, 3, 6].into(),
        );
        assert_eq!(array.unwrap().in_c_order().bytes[..], [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn types_are_told_by_their_description() {
        assert_eq!(type_of("<f4"), Some((Element::F32, ByteOrder::Little)));
        assert_eq!(type_of(">i8"), Some((Element::I64, ByteOrder::Big)));
        assert_eq!(type_of("|u1"), Some((Element::U8, ByteOrder::Little)));
        assert_eq!(type_of("|O"), None);
        assert_eq!(type_of("<U5"), None);
        assert_eq!(type_of(""), None);
    }
}
