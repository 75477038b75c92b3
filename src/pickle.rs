//! A restricted machine for Python pickles, as `torch.save` and numpy write them.
//!
//! A pickle is a program that builds objects and may call any function it names. This machine
//! calls none: a handful of names (`OrderedDict`, torch's tensor rebuilders) have a meaning here,
//! and everything else becomes an opaque node that remembers only its name. Nodes live in one
//! arena and refer to each other by index, so that shared, self-containing and deeply nested
//! objects cost what their opcodes cost, and no walk or drop of them recurses. Steps and copied
//! elements are counted against a budget, and lengths are checked against the bytes left.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::element::{ByteOrder, Element};
use numpy::NumpyArray;

pub(crate) mod numpy;

/// Steps (opcodes and copied elements) that one pickle may take. A tensor takes about 50: this is
/// 80,000 tensors, and half a gigabyte of nodes at the very most.
const MAX_STEPS: usize = 1 << 22;
/// Distinct foreign names that are kept for the report.
const MAX_IGNORED: usize = 64;

/// What went wrong, without the file's name; the caller adds it.
pub(super) type Parsed<T> = Result<T, String>;

/// Index of a node.
pub(super) type Id = usize;

/// A Python object, as far as it matters here.
#[derive(Debug, Clone)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Rc<str>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Pairs in order of insertion; of pairs with equal keys the last counts.
    Dict(Vec<(Id, Id)>),
    /// A class or function by its dotted name.
    Global(Rc<str>),
    Storage(Rc<StorageRef>),
    Tensor(Rc<TensorRef>),
    /// Bytes, also those of a Python 2 string that is no text.
    Bytes(Rc<[u8]>),
    /// What numpy's `_reconstruct` makes before it is told what is in it.
    EmptyArray,
    /// numpy's type of an element.
    NumpyType(Element, ByteOrder),
    Array(Rc<NumpyArray>),
    /// What some other class or function would have made.
    Opaque(Rc<str>),
}

/// A storage elsewhere in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StorageRef {
    pub(super) key: Rc<str>,
    pub(super) element: Element,
    /// Its class in Python.
    pub(super) class: Rc<str>,
    /// Elements of the whole storage.
    pub(super) numel: usize,
    /// Where this view of it starts, in elements, and how many it has (old files have views).
    pub(super) view: (usize, usize),
}

/// A strided window on a storage; offset and strides in elements.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TensorRef {
    pub(super) storage: Rc<StorageRef>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The objects of one pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    /// The object it is a pickle of.
    pub(super) root: Id,
    /// Bytes it took.
    pub(super) len: usize,
    /// Names it mentions that have no meaning here, sorted.
    pub(super) ignored: BTreeSet<String>,
}

impl Pickle {
    /// Runs the pickle at the beginning of `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Parsed<Pickle> {
        Machine::new(bytes).run()
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The items of a dict whose keys are strings, each key once, with its last value.
    pub(super) fn items<'a>(&'a self, pairs: &[(Id, Id)]) -> Vec<(&'a str, Id)> {
        let mut place: HashMap<&str, usize> = HashMap::new();
        let mut items: Vec<(&str, Id)> = Vec::new();
        for &(key, value) in pairs {
            let Node::Str(key) = self.node(key) else { continue };
            match place.get(&**key) {
                Some(&i) => items[i].1 = value,
                None => {
                    place.insert(key, items.len());
                    items.push((key, value));
                }
            }
        }
        items
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    pos: usize,
    steps: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    ignored: BTreeSet<String>,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Machine {
            bytes,
            pos: 0,
            steps: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            ignored: BTreeSet::new(),
        }
    }

    fn run(mut self) -> Parsed<Pickle> {
        loop {
            self.count(1)?;
            let opcode = self.u8()?;
            if opcode == b'.' {
                let root = self.pop()?;
                let Machine { nodes, pos, ignored, .. } = self;
                return Ok(Pickle { nodes, root, len: pos, ignored });
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Parsed<()> {
        match opcode {
            // Framing: PROTO, FRAME.
            0x80 => match self.u8()? {
                0..=5 => Ok(()),
                version => Err(format!("it has pickle protocol {version}, newer than 5")),
            },
            0x95 => self.take(8).map(drop),

            // Scalars: NONE, NEWTRUE, NEWFALSE, BININT, BININT1, BININT2, LONG1, LONG4, INT, LONG,
            // BINFLOAT.
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))
            }
            b'K' => {
                let value = self.u8()?;
                self.push(Node::Int(value.into()))
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))
            }
            0x8a => {
                let len = self.u8()?.into();
                self.long(len)
            }
            0x8b => {
                let len = self.len32()?;
                self.long(len)
            }
            b'I' | b'L' => self.decimal(),
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))
            }

            // Strings: SHORT_BINSTRING, BINSTRING, SHORT_BINUNICODE, BINUNICODE, BINUNICODE8.
            b'U' | 0x8c => {
                let len = self.u8()?.into();
                self.string(len)
            }
            b'T' | b'X' => {
                let len = self.len32()?;
                self.string(len)
            }
            0x8d => {
                let len = self.len64()?;
                self.string(len)
            }
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8.
            b'C' => {
                let len = self.u8()?.into();
                self.keep_bytes(len)
            }
            b'B' => {
                let len = self.len32()?;
                self.keep_bytes(len)
            }
            0x8e | 0x96 => {
                let len = self.len64()?;
                self.keep_bytes(len)
            }

            // Containers: EMPTY_TUPLE, TUPLE1..3, TUPLE, EMPTY_LIST, LIST, EMPTY_DICT, DICT,
            // EMPTY_SET, FROZENSET.
            b')' => self.push(Node::Tuple(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many((opcode - 0x84).into())?;
                self.push(Node::Tuple(items))
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))
            }
            b']' => self.push(Node::List(Vec::new())),
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))
            }
            b'}' => self.push(Node::Dict(Vec::new())),
            b'd' => {
                let items = self.pop_mark()?;
                let pairs = pairs(&items)?;
                self.push(Node::Dict(pairs))
            }
            0x8f => self.push(Node::Opaque("set".into())),
            0x91 => {
                self.pop_mark()?;
                self.push(Node::Opaque("frozenset".into()))
            }

            // Filling: APPEND, APPENDS, SETITEM, SETITEMS, ADDITEMS.
            b'a' => {
                let items = self.pop_many(1)?;
                self.extend_list(items)
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.extend_list(items)
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.extend_dict(&items)
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.extend_dict(&items)
            }
            0x90 => self.pop_mark().map(drop),

            // The stack: MARK, POP, POP_MARK, DUP.
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }

            // The memo: BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET.
            b'q' => {
                let slot = self.u8()?.into();
                self.put(slot)
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?).into();
                self.put(slot)
            }
            0x94 => self.put(self.memo.len() as u64),
            b'h' => {
                let slot = self.u8()?.into();
                self.get(slot)
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?).into();
                self.get(slot)
            }

            // Names and calls: GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ, NEWOBJ_EX, INST, OBJ, BUILD,
            // BINPERSID.
            b'c' => {
                let name = self.dotted_name()?;
                self.push(Node::Global(name))
            }
            0x93 => {
                let parts = self.pop_many(2)?;
                let (Node::Str(module), Node::Str(name)) =
                    (&self.nodes[parts[0]], &self.nodes[parts[1]])
                else {
                    return Err("a name in it is no string".to_string());
                };
                let name = format!("{module}.{name}");
                let name = self.note_name(&name)?;
                self.push(Node::Global(name))
            }
            b'R' | 0x81 => {
                let parts = self.pop_many(2)?;
                self.call(parts[0], parts[1])
            }
            0x92 => {
                let parts = self.pop_many(3)?;
                self.call(parts[0], parts[1])
            }
            b'i' => {
                let name = self.dotted_name()?;
                self.pop_mark()?;
                self.push(Node::Opaque(name))
            }
            b'o' => {
                let items = self.pop_mark()?;
                let class = *items.first().ok_or("an object in it has no class")?;
                let name = self.name_of(class);
                self.push(Node::Opaque(name))
            }
            // What an array holds, or attributes such as OrderedDict's `_metadata`.
            b'b' => {
                let state = self.pop()?;
                if let Ok(object) = self.top()
                    && let Some(built) = numpy::build(&self.nodes, object, state)
                {
                    self.nodes[object] = built?;
                }
                Ok(())
            }
            b'Q' => {
                let id = self.pop()?;
                if let Some(class) = self.class_of_module(id) {
                    self.stack.push(class);
                    return Ok(());
                }
                let storage = self.storage(id)?;
                self.push(Node::Storage(Rc::new(storage)))
            }

            other => {
                Err(format!("it has pickle opcode {other:#04x}, which torch.save never writes"))
            }
        }
    }

    // ---- the bytes -------------------------------------------------------------------------

    fn take(&mut self, len: usize) -> Parsed<&'a [u8]> {
        let left = self.bytes.len() - self.pos;
        if len > left {
            return Err(format!(
                "its pickle is cut off: {len} bytes wanted at offset {}, {left} left",
                self.pos
            ));
        }
        let taken = &self.bytes[self.pos..self.pos + len];
        self.pos += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Parsed<u8> {
        Ok(self.take(1)?[0])
    }

    fn len32(&mut self) -> Parsed<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn len64(&mut self) -> Parsed<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?))
            .map_err(|_| "a length in it does not fit this machine".to_string())
    }

    /// A line without its newline.
    fn line(&mut self) -> Parsed<&'a str> {
        let rest = &self.bytes[self.pos..];
        let len = rest.iter().position(|&b| b == b'\n').ok_or("its pickle is cut off in a name")?;
        let line = self.take(len + 1)?;
        std::str::from_utf8(&line[..len]).map_err(|_| "a name in it is not UTF-8".to_string())
    }

    // ---- the stack -------------------------------------------------------------------------

    fn count(&mut self, steps: usize) -> Parsed<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(format!("its pickle takes more than {MAX_STEPS} steps"));
        }
        Ok(())
    }

    fn push(&mut self, node: Node) -> Parsed<()> {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    /// Pops above the innermost mark only, as Python does.
    fn pop(&mut self) -> Parsed<Id> {
        Ok(self.pop_many(1)?[0])
    }

    fn pop_many(&mut self, count: usize) -> Parsed<Vec<Id>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() < floor + count {
            return Err("its pickle takes from an empty stack".to_string());
        }
        Ok(self.cut_stack(self.stack.len() - count))
    }

    fn pop_mark(&mut self) -> Parsed<Vec<Id>> {
        let floor = self.marks.pop().ok_or("its pickle closes what it did not open")?;
        Ok(self.cut_stack(floor))
    }

    /// Not `split_off`, which at 0 hands out the whole capacity of the stack.
    fn cut_stack(&mut self, floor: usize) -> Vec<Id> {
        let items = self.stack[floor..].to_vec();
        self.stack.truncate(floor);
        items
    }

    fn top(&self) -> Parsed<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => Err("its pickle takes from an empty stack".to_string()),
        }
    }

    fn put(&mut self, slot: u64) -> Parsed<()> {
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn get(&mut self, slot: u64) -> Parsed<()> {
        let id = *self.memo.get(&slot).ok_or("its pickle refers to an object it has not made")?;
        self.stack.push(id);
        Ok(())
    }

    // ---- values ----------------------------------------------------------------------------

    /// A little-endian two's complement integer; longer ones than 16 bytes are nothing we need.
    fn long(&mut self, len: usize) -> Parsed<()> {
        let bytes = self.take(len)?;
        if len > 16 {
            return self.push(Node::Opaque("int".into()));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut word = [if negative { 0xff } else { 0 }; 16];
        word[..len].copy_from_slice(bytes);
        self.push(Node::Int(i128::from_le_bytes(word)))
    }

    /// INT and LONG of protocol 1: a decimal line; `00` and `01` are the booleans.
    fn decimal(&mut self) -> Parsed<()> {
        let line = self.line()?;
        let node = match line {
            "00" => Node::Bool(false),
            "01" => Node::Bool(true),
            digits => Node::Int(
                digits.trim_end_matches('L').parse().map_err(|_| "a number in it is no number")?,
            ),
        };
        self.push(node)
    }

    /// Text. A Python 2 string may be any bytes.
    fn string(&mut self, len: usize) -> Parsed<()> {
        let bytes = self.take(len)?;
        self.push(match std::str::from_utf8(bytes) {
            Ok(text) => Node::Str(text.into()),
            Err(_) => Node::Bytes(bytes.into()),
        })
    }

    fn keep_bytes(&mut self, len: usize) -> Parsed<()> {
        let bytes = self.take(len)?;
        self.push(Node::Bytes(bytes.into()))
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Parsed<()> {
        let list = self.top()?;
        match &mut self.nodes[list] {
            Node::List(all) => all.extend(items),
            Node::Opaque(_) | Node::EmptyArray => {}
            _ => return Err("its pickle appends to what is no list".to_string()),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Parsed<()> {
        let dict = self.top()?;
        match &mut self.nodes[dict] {
            Node::Dict(all) => all.extend(pairs(items)?),
            Node::Opaque(_) => {}
            _ => return Err("its pickle sets items of what is no dict".to_string()),
        }
        Ok(())
    }

    // ---- names and calls -------------------------------------------------------------------

    fn dotted_name(&mut self) -> Parsed<Rc<str>> {
        let module = self.line()?;
        let name = self.line()?;
        self.note_name(&format!("{module}.{name}"))
    }

    /// Remembers a foreign name for the report.
    fn note_name(&mut self, name: &str) -> Parsed<Rc<str>> {
        self.count(name.len() / 64)?;
        if Known::of(name).is_none()
            && storage_class(name).is_none()
            && self.ignored.len() < MAX_IGNORED
        {
            self.ignored.insert(name.chars().take(128).collect());
        }
        Ok(name.into())
    }

    fn name_of(&self, id: Id) -> Rc<str> {
        match &self.nodes[id] {
            Node::Global(name) | Node::Opaque(name) => name.clone(),
            _ => "an unnamed object".into(),
        }
    }

    /// What `callable(*args)` would be.
    fn call(&mut self, callable: Id, args: Id) -> Parsed<()> {
        let name = self.name_of(callable);
        let known = match &self.nodes[callable] {
            Node::Global(name) => Known::of(name),
            _ => None,
        };
        let Node::Tuple(args) = &self.nodes[args] else {
            return Err(format!("{name} in it has no tuple of arguments"));
        };
        let node = match (known, args.as_slice()) {
            (None, args) => match numpy::call(&self.nodes, &name, args) {
                Some(made) => {
                    let made = made?;
                    // Bytes that a text is encoded into again and again are counted.
                    if let Node::Bytes(bytes) = &made {
                        self.count(bytes.len() / 64)?;
                    }
                    made
                }
                None => Node::Opaque(name),
            },
            (Some(Known::OrderedDict), []) | (Some(Known::DefaultDict), _) => {
                Node::Dict(Vec::new())
            }
            (Some(Known::OrderedDict), &[items, ..]) => Node::Dict(self.pairs_of(items)?),
            (Some(Known::Size), &[size]) => {
                self.stack.push(size);
                return Ok(());
            }
            // A tensor that Python attributes were set on: (rebuilder, class, arguments, attributes).
            (Some(Known::FromType), &[rebuilder, _, args, ..]) => {
                let inner = match &self.nodes[rebuilder] {
                    Node::Global(name) => Known::of(name),
                    _ => None,
                };
                if matches!(inner, Some(Known::FromType)) {
                    return Err(format!("{name} in it calls itself"));
                }
                return self.call(rebuilder, args);
            }
            (Some(Known::Parameter), &[data, ..]) => {
                self.stack.push(data);
                return Ok(());
            }
            (Some(Known::Tensor), &[storage, offset, size, strides, ..]) => {
                let tensor = self.tensor(storage, offset, size, strides)?;
                self.count(2 * tensor.shape.len())?;
                Node::Tensor(Rc::new(tensor))
            }
            _ => return Err(format!("{name} in it has too few arguments")),
        };
        self.push(node)
    }

    /// The pairs of `[[key, value], ...]`, a list of lists or of tuples.
    fn pairs_of(&mut self, items: Id) -> Parsed<Vec<(Id, Id)>> {
        let (Node::List(items) | Node::Tuple(items)) = &self.nodes[items] else {
            return Err("an OrderedDict in it is not made of pairs".to_string());
        };
        let mut pairs = Vec::new();
        for &item in items {
            match &self.nodes[item] {
                Node::List(pair) | Node::Tuple(pair) if pair.len() == 2 => {
                    pairs.push((pair[0], pair[1]));
                }
                _ => return Err("an OrderedDict in it is not made of pairs".to_string()),
            }
            // A memoized list may be copied again and again: copies are counted as they are made.
            if self.steps + pairs.len() > MAX_STEPS {
                break;
            }
        }
        self.count(pairs.len())?;
        Ok(pairs)
    }

    fn tensor(&self, storage: Id, offset: Id, size: Id, strides: Id) -> Parsed<TensorRef> {
        let Node::Storage(storage) = &self.nodes[storage] else {
            return Err("a tensor in it has no storage".to_string());
        };
        let (shape, strides) = (self.dims(size)?, self.dims(strides)?);
        if shape.len() != strides.len() {
            return Err("a tensor in it has a stride count unlike its rank".to_string());
        }
        Ok(TensorRef { storage: storage.clone(), offset: self.index(offset)?, shape, strides })
    }

    fn dims(&self, id: Id) -> Parsed<Vec<usize>> {
        const MAX_RANK: usize = 16;
        match &self.nodes[id] {
            Node::Tuple(dims) | Node::List(dims) if dims.len() <= MAX_RANK => {
                dims.iter().map(|&d| self.index(d)).collect()
            }
            Node::Tuple(_) | Node::List(_) => {
                Err(format!("a tensor in it has more than {MAX_RANK} dimensions"))
            }
            _ => Err("a tensor in it has a shape that is no tuple".to_string()),
        }
    }

    /// A count or an index: not negative, and of a sane size, so that sums of two never overflow.
    fn index(&self, id: Id) -> Parsed<usize> {
        match self.nodes[id] {
            Node::Int(value) if (0..1 << 48).contains(&value) => Ok(value as usize),
            Node::Int(value) => Err(format!("a tensor in it has a size or offset of {value}")),
            _ => Err("a tensor in it has a size that is no integer".to_string()),
        }
    }

    /// The class of `('module', class, file, source)`, as files before PyTorch 1.6 name the class of a
    /// module whose source they have.
    fn class_of_module(&self, id: Id) -> Option<Id> {
        let Node::Tuple(parts) = &self.nodes[id] else { return None };
        let &[kind, class, _file, _source] = parts.as_slice() else { return None };
        let is_module = matches!(&self.nodes[kind], Node::Str(kind) if &**kind == "module");
        (is_module && matches!(self.nodes[class], Node::Global(_))).then_some(class)
    }

    /// `('storage', class, key, location, numel[, view])`, torch's name for a storage.
    fn storage(&self, id: Id) -> Parsed<StorageRef> {
        let bad = || "a storage in it is not named as torch.save does".to_string();
        let Node::Tuple(parts) = &self.nodes[id] else { return Err(bad()) };
        let &[kind, class, key, _location, numel, ref view @ ..] = parts.as_slice() else {
            return Err(bad());
        };
        let (Node::Str(kind), Node::Global(class), Node::Str(key)) =
            (&self.nodes[kind], &self.nodes[class], &self.nodes[key])
        else {
            return Err(bad());
        };
        if &**kind != "storage" {
            return Err(bad());
        }
        let element = storage_class(class).unwrap_or(Element::Other(0));
        let numel = self.index(numel)?;
        let view = match view.first().map(|&v| &self.nodes[v]) {
            None | Some(Node::None) => (0, numel),
            Some(Node::Tuple(parts)) if parts.len() == 3 => {
                let (start, len) = (self.index(parts[1])?, self.index(parts[2])?);
                if start + len > numel {
                    return Err("a view in it reaches beyond its storage".to_string());
                }
                (start, len)
            }
            Some(_) => return Err(bad()),
        };
        Ok(StorageRef { key: key.clone(), element, class: class.clone(), numel, view })
    }
}

fn pairs(items: &[Id]) -> Parsed<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        return Err("a dict in it has a key without a value".to_string());
    }
    Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// The callables that have a meaning here.
#[derive(Clone, Copy)]
enum Known {
    OrderedDict,
    DefaultDict,
    Size,
    Tensor,
    Parameter,
    FromType,
}

impl Known {
    fn of(name: &str) -> Option<Known> {
        Some(match name {
            "collections.OrderedDict" => Known::OrderedDict,
            "collections.defaultdict" => Known::DefaultDict,
            "torch.Size" => Known::Size,
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => Known::Tensor,
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
                Known::Parameter
            }
            "torch._tensor._rebuild_from_type" | "torch._tensor._rebuild_from_type_v2" => {
                Known::FromType
            }
            _ => return None,
        })
    }
}

/// The element type of a storage class by its dotted name (`torch.FloatStorage`,
/// `torch.cuda.FloatStorage`).
fn storage_class(name: &str) -> Option<Element> {
    let class = name.strip_prefix("torch.cuda.").or_else(|| name.strip_prefix("torch."))?;
    Element::of_storage_class(class.strip_prefix("storage.").unwrap_or(class))
}

#[cfg(test)]
mod tests;
