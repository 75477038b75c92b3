//! Small pickles by hand, most of them hostile.

use super::*;
use crate::element::Element;

fn parse(bytes: &[u8]) -> Pickle {
    Pickle::parse(bytes).unwrap()
}

fn problem(bytes: &[u8]) -> String {
    Pickle::parse(bytes).unwrap_err()
}

#[test]
fn scalars_of_every_opcode_have_their_values() {
    for (bytes, value) in [
        (&b"K\x07."[..], 7),
        (b"M\x00\x01.", 256),
        (b"J\xff\xff\xff\xff.", -1),
        (b"\x8a\x00.", 0),
        (b"\x8a\x01\xfe.", -2),
        (b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 0x1950_a86a_20f9_469c_fc6c),
        (b"\x8b\x02\x00\x00\x00\x00\x80.", -32768),
        (b"L123L\n.", 123),
        (b"I-5\n.", -5),
    ] {
        let pickle = parse(bytes);
        assert!(matches!(pickle.node(pickle.root), Node::Int(v) if *v == value), "{value}");
        assert_eq!(pickle.len, bytes.len());
    }
    let pickle = parse(b"G?\xf8\x00\x00\x00\x00\x00\x00.");
    assert!(matches!(pickle.node(pickle.root), Node::Float(v) if *v == 1.5));
    let pickle = parse(b"I01\n.");
    assert!(matches!(pickle.node(pickle.root), Node::Bool(true)));
}

#[test]
fn a_call_to_the_system_is_an_inert_name() {
    // pickle.dumps of an object whose __reduce__ is (os.system, ("touch pwned",)).
    let pickle = parse(b"\x80\x02cposix\nsystem\nX\x0b\x00\x00\x00touch pwned\x85R.");
    assert!(matches!(pickle.node(pickle.root), Node::Opaque(name) if &**name == "posix.system"));
    assert_eq!(pickle.ignored.iter().collect::<Vec<_>>(), ["posix.system"]);
    assert!(!std::path::Path::new("pwned").exists());

    let pickle = parse(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x031+1\x85R.");
    assert!(matches!(pickle.node(pickle.root), Node::Opaque(name) if &**name == "builtins.eval"));
    // The other ways to call: INST, OBJ, NEWOBJ, and BUILD with any state.
    for call in [
        &b"(X\x01\x00\x00\x00xios\nsystem\n."[..],
        b"(cos\nsystem\nX\x01\x00\x00\x00xo.",
        b"cos\nsystem\n)\x81}b.",
    ] {
        let pickle = parse(call);
        assert!(matches!(pickle.node(pickle.root), Node::Opaque(name) if &**name == "os.system"));
    }
}

#[test]
fn lengths_beyond_the_bytes_left_are_errors() {
    let mut long = b"\x80\x04\x8d".to_vec();
    long.extend((1u64 << 62).to_le_bytes());
    assert!(problem(&long).contains("4611686018427387904 bytes wanted"));
    for bytes in [
        &b"X\xff\xff\xff\xffab."[..],
        b"T\xff\xff\xff\xffab.",
        b"\x8b\xff\xff\xff\xff.",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x8a\xff.",
        b"U\x05ab",
        b"cposix\nsystem",
        b"",
    ] {
        assert!(problem(bytes).contains("cut off"), "{bytes:?}");
    }
}

#[test]
fn a_memo_bomb_costs_its_opcodes_only() {
    // Forty doublings: lists of ten references to the list before, 10^40 leaves if unfolded.
    let mut bomb = b"\x80\x02]q\x00".to_vec();
    for level in 0..40u8 {
        bomb.extend(b"](");
        for _ in 0..10 {
            bomb.extend([b'h', level]);
        }
        bomb.extend([b'e', b'q', level + 1]);
    }
    bomb.push(b'.');
    let pickle = parse(&bomb);
    assert_eq!(pickle.nodes().len(), 41);

    // Copying a memoized list of pairs again and again is counted and stopped.
    let mut bomb = b"ccollections\nOrderedDict\nq\x00](".to_vec();
    for _ in 0..1000 {
        bomb.extend(b"NN\x86");
    }
    bomb.extend(b"e\x85q\x010");
    for _ in 0..100_000 {
        bomb.extend(b"h\x00h\x01R0");
    }
    bomb.extend(b"N.");
    assert!(problem(&bomb).contains("steps"));
}

#[test]
fn deep_nesting_and_self_reference_neither_recurse_nor_loop() {
    let mut deep = b"]".to_vec();
    deep.extend(vec![0x85; 1_000_000]); // a tuple in a tuple in a tuple ...
    deep.push(b'.');
    assert_eq!(parse(&deep).nodes().len(), 1_000_001);
    let mut marks = vec![b'('; 1_000_000];
    marks.push(b'.');
    assert!(problem(&marks).contains("empty stack"));
    // A list, and a dict, that contain themselves.
    assert_eq!(parse(b"]q\x00h\x00a.").nodes().len(), 1);
    let pickle = parse(b"}q\x00X\x05\x00\x00\x00modelh\x00s.");
    assert_eq!(pickle.nodes().len(), 2);
}

#[test]
fn too_many_steps_are_an_error_not_a_wait() {
    let mut bytes = vec![b')'; MAX_STEPS + 1];
    bytes.push(b'.');
    assert!(problem(&bytes).contains("steps"));
}

#[test]
fn malformed_programs_are_errors() {
    for bytes in [
        &b"."[..],            // nothing to return
        b"0.",                // POP of nothing
        b"(0.",               // POP of a mark
        b"N(1e.",             // APPENDS without a mark
        b"h\x05.",            // GET of what was never put
        b"q\x00.",            // PUT of nothing
        b"NNa.",              // APPEND to None
        b"N(NNu.",            // SETITEMS on None
        b"}(Nu.",             // a key without a value
        b"NNR.",              // arguments that are no tuple
        b"NN\x93.",           // a name that is no string
        b"(o.",               // an object without a class
        b"NQ.",               // a persistent id that is no tuple
        b"\x80\x06N.",        // a future protocol
        b"Pabc\n.",           // a persistent id of protocol 0
        b"\x82\x01.",         // an extension registry
        b"ctorch\nSize\n)R.", // too few arguments
        b"Iabc\n.",
        b"\xffN.",
    ] {
        assert!(Pickle::parse(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn tensors_with_impossible_sizes_or_storages_are_errors() {
    // _rebuild_tensor_v2(storage, offset, (dim,), (stride,)) on a storage of `numel`.
    let of_class = |class: &str, numel: i64, offset: i64, dim: i64, stride: i64| {
        let mut bytes = b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storage".to_vec();
        bytes.extend(format!("ctorch\n{class}\nU\x010U\x03cpu").bytes());
        let int = |bytes: &mut Vec<u8>, value: i64| {
            bytes.extend(b"\x8a\x08");
            bytes.extend(value.to_le_bytes());
        };
        int(&mut bytes, numel);
        bytes.extend(b"tQ");
        int(&mut bytes, offset);
        int(&mut bytes, dim);
        bytes.push(0x85);
        int(&mut bytes, stride);
        bytes.extend(b"\x85tR.");
        bytes
    };
    let tensor = |numel, offset, dim, stride| of_class("FloatStorage", numel, offset, dim, stride);
    assert!(matches!(parse(&tensor(4, 0, 4, 1)).nodes().last(), Some(Node::Tensor(_))));
    for bytes in [
        tensor(-1, 0, 4, 1),
        tensor(4, -1, 4, 1),
        tensor(4, 0, -4, 1),
        tensor(4, 0, 4, -1),
        tensor(i64::MAX, 0, 4, 1),
        tensor(4, i64::MAX, 4, 1),
        tensor(4, 0, i64::MAX, 1),
        tensor(4, 0, 4, i64::MAX),
    ] {
        assert!(problem(&bytes).contains("size or offset"), "{}", problem(&bytes));
    }
    // What is no real number is no error until it is needed.
    for (class, size) in [("QInt8Storage", 1), ("ComplexFloatStorage", 8), ("OddStorage", 0)] {
        let pickle = parse(&of_class(class, 4, 0, 4, 1));
        let Some(Node::Tensor(tensor)) = pickle.nodes().last() else { panic!("{class}") };
        assert_eq!(tensor.storage.element, Element::Other(size), "{class}");
        assert_eq!(&*tensor.storage.class, format!("torch.{class}"));
    }
}
