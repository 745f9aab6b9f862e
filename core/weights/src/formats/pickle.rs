//! A pickle reader that cannot run anything: it builds values, and calls nothing but the constructors named in
//! [`crate::pickle_torch`]. Everything else becomes a record that carries its name and what was put into it.
//!
//! Values live in an arena and refer to each other by index. Nesting therefore needs no recursion, neither while
//! reading nor when the values are dropped, and a value that contains itself is harmless.

use crate::pickle_torch::{self, PickleCallResult};
use crate::source::Dtype;
use std::collections::HashMap;

/// Longest pickle that is read. The one of a giant model with its optimizer is under a megabyte.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// Most values that are kept.
const MAX_NODES: usize = 2 << 20;
/// Most references from containers and the stack to values, shared ones counted each time.
const MAX_REFERENCES: usize = 8 << 20;

/// Longest `module.name`; names are copied into the values made from them.
const MAX_NAME: usize = 512;

/// Index of a value.
pub(crate) type Id = u32;

/// Why a pickle was not read.
#[derive(Debug)]
pub(crate) enum PickleError {
    /// It names something dangerous.
    Refused(String),
    /// It is broken, or needs what this reader leaves out.
    Malformed(String),
}

pub(crate) type Outcome<T> = Result<T, PickleError>;

/// Shorthand for [`PickleError::Malformed`].
pub(crate) fn malformed<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(PickleError::Malformed(reason.into()))
}

/// A run of numbers elsewhere in the file.
#[derive(Clone, Debug)]
pub(crate) struct PickledStorage {
    pub key: String,
    /// `None` for an untyped storage, which is counted in bytes.
    pub dtype: Option<Dtype>,
    pub count: usize,
}

/// A view of a storage; offset and strides count elements.
#[derive(Clone, Debug)]
pub(crate) struct PickledTensor {
    pub storage: PickledStorage,
    pub dtype: Dtype,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum PickleValue {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A name that stands for something known, see [`pickle_torch::judge`].
    Global(pickle_torch::PickleGlobal),
    Storage(PickledStorage),
    Tensor(Box<PickledTensor>),
    /// What a call of an unknown name would have made: its class and what was put into it, without any behaviour.
    Record(Box<PickledObject>),
    /// Something that is not understood and was not called; its name.
    Opaque(String),
}

/// An object of an unknown class, inert: nothing of the class was run.
#[derive(Clone, Debug, Default)]
pub(crate) struct PickledObject {
    /// `module.name` of its class, or of the function that would have made it.
    pub class: String,
    /// The state that the object would have been given.
    pub state: Option<Id>,
    /// Items that were set in it, where it is a kind of dictionary.
    pub items: Vec<(Id, Id)>,
}

/// A pickle that was read.
pub(crate) struct Pickle {
    pub nodes: Vec<PickleValue>,
    pub root: Id,
    /// Bytes used; what follows is not part of this pickle.
    pub length: usize,
}

impl Pickle {
    /// The value at `id`.
    pub fn get(&self, id: Id) -> &PickleValue {
        &self.nodes[id as usize]
    }

    /// The value at the top.
    pub fn top(&self) -> &PickleValue {
        self.get(self.root)
    }

    /// The attributes of an object by name: those in its `__dict__`, then those in its slots.
    pub fn attributes(&self, record: &PickledObject) -> Vec<(&str, Id)> {
        let dictionary = |id: Id| match self.get(id) {
            PickleValue::Dict(items) => &items[..],
            _ => &[],
        };
        let items: Vec<(Id, Id)> = match record.state.map(|id| self.get(id)) {
            Some(PickleValue::Dict(items)) => items.clone(),
            Some(PickleValue::Tuple(both)) if both.len() == 2 => {
                both.iter().flat_map(|&id| dictionary(id)).copied().collect()
            }
            _ => Vec::new(),
        };
        let named = |&(key, value): &(Id, Id)| match self.get(key) {
            PickleValue::Text(name) => Some((name.as_str(), value)),
            _ => None,
        };
        items.iter().filter_map(named).collect()
    }
}

/// Read the pickle that `bytes` starts with.
pub(crate) fn parse(bytes: &[u8]) -> Outcome<Pickle> {
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    let mut machine = Unpickler { bytes, ..Unpickler::default() };
    let root = machine.run()?;
    Ok(Pickle { nodes: machine.nodes, root, length: machine.at })
}

#[derive(Default)]
pub(crate) struct Unpickler<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<PickleValue>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    references: usize,
}

impl<'a> Unpickler<'a> {
    fn run(&mut self) -> Outcome<Id> {
        if self.byte()? != 0x80 {
            return malformed("it does not start like a pickle of protocol 2 or later");
        }
        let protocol = self.byte()?;
        if !(2..=5).contains(&protocol) {
            return malformed(format!("pickle protocol {protocol} is not 2, 3, 4 or 5"));
        }
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Outcome<()> {
        match opcode {
            // Framing and stack.
            0x95 => self.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                self.charge(1)
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.peek()?;
                self.push_id(top)
            }
            // Atoms.
            b'N' => self.push(PickleValue::None),
            0x88 => self.push(PickleValue::Bool(true)),
            0x89 => self.push(PickleValue::Bool(false)),
            b'K' => self.unsigned(1).and_then(|n| self.push(PickleValue::Int(n as i64))),
            b'M' => self.unsigned(2).and_then(|n| self.push(PickleValue::Int(n as i64))),
            b'J' => self.unsigned(4).and_then(|n| self.push(PickleValue::Int(i64::from(n as u32 as i32)))),
            b'I' | b'L' => self.decimal(),
            0x8a => self.unsigned(1).and_then(|n| self.long(n as usize)),
            0x8b => self.unsigned(4).and_then(|n| self.long(n as usize)),
            // No float is needed to place a tensor; that one was there is enough.
            b'G' => self.take(8).and_then(|_| self.push(PickleValue::Opaque("float".into()))),
            b'F' => self.line().and_then(|_| self.push(PickleValue::Opaque("float".into()))),
            // Text and bytes.
            0x8c | b'U' => self.unsigned(1).and_then(|n| self.text(n)),
            b'X' | b'T' => self.unsigned(4).and_then(|n| self.text(n)),
            0x8d => self.unsigned(8).and_then(|n| self.text(n)),
            b'V' => {
                let line = self.line()?.to_string();
                self.push(PickleValue::Text(line))
            }
            b'C' => self.unsigned(1).and_then(|n| self.blob(n)),
            b'B' => self.unsigned(4).and_then(|n| self.blob(n)),
            0x8e | 0x96 => self.unsigned(8).and_then(|n| self.blob(n)),
            // Containers.
            b')' => self.push(PickleValue::Tuple(Vec::new())),
            b']' => self.push(PickleValue::List(Vec::new())),
            b'}' => self.push(PickleValue::Dict(Vec::new())),
            0x8f => self.push(PickleValue::List(Vec::new())),
            b't' => self.pop_mark().and_then(|items| self.push(PickleValue::Tuple(items))),
            b'l' => self.pop_mark().and_then(|items| self.push(PickleValue::List(items))),
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(opcode - 0x84));
                let Some(from) = from.filter(|&f| f >= self.floor()) else {
                    return malformed("stack underflow");
                };
                let items = self.stack.split_off(from);
                self.push(PickleValue::Tuple(items))
            }
            b'd' => {
                let pairs = self.pop_pairs()?;
                self.push(PickleValue::Dict(pairs))
            }
            0x91 => self.pop_mark().and_then(|items| self.push(PickleValue::List(items))),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' | 0x90 => self.pop_mark().and_then(|items| self.append(items)),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(vec![(key, value)])
            }
            b'u' => self.pop_pairs().and_then(|pairs| self.set_items(pairs)),
            // Memo.
            b'q' => self.unsigned(1).and_then(|n| self.remember(n as u32)),
            b'r' => self.unsigned(4).and_then(|n| self.remember(n as u32)),
            b'p' => self.line_number().and_then(|n| self.remember(n)),
            0x94 => self.remember(self.memo.len() as u32),
            b'h' => self.unsigned(1).and_then(|n| self.recall(n as u32)),
            b'j' => self.unsigned(4).and_then(|n| self.recall(n as u32)),
            b'g' => self.line_number().and_then(|n| self.recall(n)),
            // Names and what would be calls.
            b'c' => {
                let (module, name) = (self.line()?.to_string(), self.line()?.to_string());
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.global(&module, &name)
            }
            b'i' => {
                let (module, name) = (self.line()?.to_string(), self.line()?.to_string());
                self.pop_mark()?;
                self.global(&module, &name)?;
                self.forget_call()
            }
            b'o' => {
                let items = self.pop_mark()?;
                let Some(&class) = items.first() else { return malformed("an object without a class") };
                self.push_id(class)?;
                self.forget_call()
            }
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                self.call(callee, arguments)
            }
            0x92 => {
                let (_keywords, arguments, callee) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callee, arguments)
            }
            b'b' => {
                let state = self.pop()?;
                self.build(state)
            }
            b'Q' => {
                let id = self.pop()?;
                let node = pickle_torch::persistent(self, id)?;
                self.push(node)
            }
            b'P' => malformed("persistent ids as text are not used by torch"),
            0x82..=0x84 => malformed("extension codes are not used by torch"),
            0x97 | 0x98 => malformed("out-of-band buffers are not used by torch"),
            _ => malformed(format!("unknown opcode {opcode:#04x} at byte {}", self.at - 1)),
        }
    }

    /// The value at `id`.
    pub fn get(&self, id: Id) -> &PickleValue {
        &self.nodes[id as usize]
    }

    fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else { return malformed("the pickle is truncated") };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Outcome<u8> {
        Ok(self.take(1)?[0])
    }

    fn unsigned(&mut self, width: usize) -> Outcome<u64> {
        Ok(self.take(width)?.iter().rev().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }

    fn line(&mut self) -> Outcome<&'a str> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return malformed("the pickle is truncated");
        };
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).or_else(|_| malformed("a name is not UTF-8"))
    }

    fn line_number(&mut self) -> Outcome<u32> {
        self.line()?.parse().or_else(|_| malformed("a memo index is not a number"))
    }

    fn decimal(&mut self) -> Outcome<()> {
        let node = match self.line()?.trim_end_matches('L') {
            "00" => PickleValue::Bool(false),
            "01" => PickleValue::Bool(true),
            line => line.parse().map_or_else(|_| PickleValue::Opaque("integer".into()), PickleValue::Int),
        };
        self.push(node)
    }

    fn long(&mut self, count: usize) -> Outcome<()> {
        let bytes = self.take(count)?;
        if count > 8 {
            return self.push(PickleValue::Opaque("integer beyond 64 bits".into()));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let fill = if negative { u64::MAX } else { 0 };
        let value = bytes.iter().rev().fold(fill, |n, &b| (n << 8) | u64::from(b));
        self.push(PickleValue::Int(value as i64))
    }

    fn text(&mut self, count: u64) -> Outcome<()> {
        let bytes = self.take(usize::try_from(count).unwrap_or(usize::MAX))?;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(PickleValue::Text(text.into())),
            // Python allows lone surrogates; keys of tensors have none.
            Err(_) => self.push(PickleValue::Opaque("text".into())),
        }
    }

    fn blob(&mut self, count: u64) -> Outcome<()> {
        self.take(usize::try_from(count).unwrap_or(usize::MAX))?;
        self.push(PickleValue::Opaque("bytes".into()))
    }

    /// Count references, which is what bounds time and memory whatever the pickle repeats.
    pub fn charge(&mut self, references: usize) -> Outcome<()> {
        self.references += references;
        if self.references > MAX_REFERENCES {
            return malformed("the pickle holds more values than any checkpoint");
        }
        Ok(())
    }

    pub fn push(&mut self, node: PickleValue) -> Outcome<()> {
        if self.nodes.len() >= MAX_NODES {
            return malformed("the pickle holds more values than any checkpoint");
        }
        self.nodes.push(node);
        self.push_id((self.nodes.len() - 1) as Id)
    }

    fn push_id(&mut self, id: Id) -> Outcome<()> {
        self.charge(1)?;
        self.stack.push(id);
        Ok(())
    }

    /// What lies below belongs to an open mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn peek(&self) -> Outcome<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => malformed("stack underflow"),
        }
    }

    fn pop(&mut self) -> Outcome<Id> {
        let id = self.peek()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_text(&mut self) -> Outcome<String> {
        let id = self.pop()?;
        match self.get(id) {
            PickleValue::Text(text) => Ok(text.clone()),
            _ => malformed("a name that is not text"),
        }
    }

    fn pop_mark(&mut self) -> Outcome<Vec<Id>> {
        let Some(mark) = self.marks.pop() else { return malformed("no mark") };
        Ok(self.stack.split_off(mark))
    }

    fn pop_pairs(&mut self) -> Outcome<Vec<(Id, Id)>> {
        let items = self.pop_mark()?;
        if items.len() % 2 != 0 {
            return malformed("a key without a value");
        }
        Ok(items.as_chunks().0.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn append(&mut self, items: Vec<Id>) -> Outcome<()> {
        let target = self.peek()?;
        match &mut self.nodes[target as usize] {
            PickleValue::List(list) => list.extend(items),
            PickleValue::Opaque(_) | PickleValue::Record(_) => {}
            _ => return malformed("append to what is not a list"),
        }
        Ok(())
    }

    fn set_items(&mut self, pairs: Vec<(Id, Id)>) -> Outcome<()> {
        let target = self.peek()?;
        match &mut self.nodes[target as usize] {
            PickleValue::Dict(dict) => dict.extend(pairs),
            PickleValue::Record(record) => record.items.extend(pairs),
            PickleValue::Opaque(_) => {}
            _ => return malformed("items set in what is not a dictionary"),
        }
        Ok(())
    }

    /// State of an object: kept for those of unknown classes, whose tensors may be in it. What else has any has none that
    /// matters (`_metadata` of a state dict).
    fn build(&mut self, state: Id) -> Outcome<()> {
        let target = self.peek()?;
        if let PickleValue::Record(record) = &mut self.nodes[target as usize] {
            record.state = Some(state);
        }
        self.charge(1)
    }

    fn remember(&mut self, index: u32) -> Outcome<()> {
        let top = self.peek()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Outcome<()> {
        match self.memo.get(&index).copied() {
            Some(id) => self.push_id(id),
            None => malformed(format!("memo {index} was never set")),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Outcome<()> {
        if module.len() + name.len() > MAX_NAME {
            return malformed("a name is too long");
        }
        let node = pickle_torch::judge(module, name)?;
        self.push(node)
    }

    /// Replace the class on the stack by an inert instance of it.
    fn forget_call(&mut self) -> Outcome<()> {
        let class = self.pop()?;
        let name = pickle_torch::name_of(self.get(class));
        self.push(pickle_torch::record(name))
    }

    fn call(&mut self, callee: Id, arguments: Id) -> Outcome<()> {
        let PickleValue::Tuple(arguments) = self.get(arguments) else {
            return malformed("a call whose arguments are not a tuple");
        };
        let arguments = arguments.clone();
        self.charge(arguments.len())?;
        match pickle_torch::construct(self, callee, &arguments)? {
            PickleCallResult::New(node) => self.push(node),
            PickleCallResult::Same(id) => self.push_id(id),
        }
    }
}
