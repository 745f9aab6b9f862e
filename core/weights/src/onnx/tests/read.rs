//! Reads ONNX files back, by the public description of the format and not by the writer's code.

use std::collections::BTreeMap;

/// The value of a field.
#[derive(Clone, Debug)]
pub enum Field {
    Integer(i64),
    Float(f32),
    Bytes(Vec<u8>),
}

impl Field {
    pub fn integer(&self) -> i64 {
        if let Self::Integer(value) = self { *value } else { panic!("{self:?} is no integer") }
    }
    pub fn bytes(&self) -> &[u8] {
        if let Self::Bytes(value) = self { value } else { panic!("{self:?} are no bytes") }
    }
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
    pub fn message(&self) -> Fields {
        Fields::read(self.bytes())
    }
}

/// The fields of a message by number, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub BTreeMap<u64, Vec<Field>>);

impl Fields {
    pub fn read(mut bytes: &[u8]) -> Self {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        }
        let mut fields = Self::default();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let field = match tag & 7 {
                0 => Field::Integer(varint(&mut bytes) as i64),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Field::Bytes(value.to_vec())
                }
                5 => {
                    let (value, rest) = bytes.split_at(4);
                    bytes = rest;
                    Field::Float(f32::from_le_bytes(value.try_into().unwrap()))
                }
                wire => panic!("wire type {wire} does not occur in ONNX files of this kind"),
            };
            fields.0.entry(tag >> 3).or_default().push(field);
        }
        fields
    }

    pub fn all(&self, number: u64) -> &[Field] {
        self.0.get(&number).map_or(&[], Vec::as_slice)
    }
    pub fn one(&self, number: u64) -> &Field {
        let all = self.all(number);
        assert_eq!(all.len(), 1, "field {number} of {:?}", self.0.keys());
        &all[0]
    }
    pub fn texts(&self, number: u64) -> Vec<String> {
        self.all(number).iter().map(Field::text).collect()
    }
}

/// A tensor of any type; integers and truth values are small enough to be exact as f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// A node of the graph.
pub struct Node {
    pub op: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    attributes: BTreeMap<String, Fields>,
}

impl Node {
    /// An integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attributes.get(name).map(|a| {
            assert_eq!(a.one(20).integer(), 2);
            a.one(3).integer()
        })
    }
    /// A list of integers.
    pub fn ints(&self, name: &str) -> Vec<i64> {
        assert_eq!(self.attributes[name].one(20).integer(), 7);
        self.attributes[name].all(8).iter().map(Field::integer).collect()
    }
    /// A number.
    pub fn float(&self, name: &str) -> f32 {
        assert_eq!(self.attributes[name].one(20).integer(), 1);
        if let Field::Float(value) = self.attributes[name].one(2) { *value } else { panic!("{name}") }
    }
}

/// A model as its file says it is.
pub struct Model {
    pub ir: i64,
    pub opset: i64,
    pub metadata: BTreeMap<String, String>,
    pub nodes: Vec<Node>,
    pub constants: BTreeMap<String, Tensor>,
    /// Names of constants whose numbers lie in another file.
    pub external: Vec<String>,
    pub inputs: Vec<(String, Vec<String>)>,
    pub outputs: Vec<(String, Vec<String>)>,
}

/// Reads a model; `beside` gives the content of a file beside it.
pub fn model(bytes: &[u8], beside: impl Fn(&str) -> Vec<u8>) -> Model {
    let file = Fields::read(bytes);
    let graph = file.one(7).message();
    let (mut constants, mut external) = (BTreeMap::new(), Vec::new());
    for field in graph.all(5) {
        let tensor = field.message();
        let shape: Vec<usize> = tensor.all(1).iter().map(|d| d.integer() as usize).collect();
        let name = tensor.one(8).text();
        let raw = if tensor.all(14).is_empty() {
            tensor.one(9).bytes().to_vec()
        } else {
            assert_eq!(tensor.one(14).integer(), 1);
            let entries: BTreeMap<String, String> = tensor
                .all(13)
                .iter()
                .map(|e| (e.message().one(1).text(), e.message().one(2).text()))
                .collect();
            let (offset, length): (usize, usize) =
                (entries["offset"].parse().unwrap(), entries["length"].parse().unwrap());
            external.push(name.clone());
            beside(&entries["location"])[offset..offset + length].to_vec()
        };
        let data: Vec<f32> = match tensor.one(2).integer() {
            1 => raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
            7 => raw.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect(),
            kind => panic!("{name} is of type {kind}"),
        };
        assert_eq!(data.len(), shape.iter().product::<usize>(), "{name}");
        assert!(constants.insert(name.clone(), Tensor { shape, data }).is_none(), "{name} occurs twice");
    }
    let node = |field: &Field| {
        let node = field.message();
        let attribute = |field: &Field| (field.message().one(1).text(), field.message());
        Node {
            op: node.one(4).text(),
            name: node.one(3).text(),
            inputs: node.texts(1),
            outputs: node.texts(2),
            attributes: node.all(5).iter().map(attribute).collect(),
        }
    };
    let value = |field: &Field| {
        let (value, dim) = (field.message(), |field: &Field| {
            let dim = field.message();
            dim.all(1).first().map_or_else(|| dim.one(2).text(), |n| n.integer().to_string())
        });
        let tensor = value.one(2).message().one(1).message();
        assert_eq!(tensor.one(1).integer(), 1, "float32");
        (value.one(1).text(), tensor.one(2).message().all(1).iter().map(dim).collect())
    };
    let opset = file.one(8).message();
    let entry = |field: &Field| (field.message().one(1).text(), field.message().one(2).text());
    Model {
        ir: file.one(1).integer(),
        opset: opset.one(2).integer(),
        metadata: file.all(14).iter().map(entry).collect(),
        nodes: graph.all(1).iter().map(node).collect(),
        constants,
        external,
        inputs: graph.all(11).iter().map(value).collect(),
        outputs: graph.all(12).iter().map(value).collect(),
    }
}
