//! Which parameters lie together, and which part of them a rank has.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::params;
use crate::train::Network;

/// Parameters that are gathered together: those of a residual branch, in the order that the branch takes them, or one by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardUnit {
    /// `backbone.blocks.3.attention`, `backbone.blocks.3.feed_forward`, or the parameter's own name.
    pub name: String,
    /// Names and shapes, one behind the other.
    pub parameters: Vec<(String, Vec<usize>)>,
}

impl ShardUnit {
    /// Values of all its parameters.
    pub fn length(&self) -> usize {
        self.parameters.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Whether it is a residual branch.
    pub fn is_branch(&self) -> bool {
        self.parameters.len() > 1
    }
}

/// A parameter's values in a rank's part of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSegment {
    /// The parameter.
    pub name: String,
    /// Where they lie in the part.
    pub at: Range<usize>,
}

/// How a network is shared out: every unit is cut into as many equal parts as there are ranks, the last filled up with zeros.
#[derive(Clone, Debug)]
pub struct ShardPlan {
    /// All units, in the order of the network.
    pub units: Vec<ShardUnit>,
    /// The unit of each parameter.
    of_parameter: BTreeMap<String, usize>,
    rank: usize,
    ranks: usize,
}

/// The unit that a parameter belongs to. In the names stands the order of a block's fields: `norm1`, `attn`, `ls1`, then `norm2`,
/// `mlp`, `ls2`.
fn unit_name(parameter: &str) -> String {
    let branch = || {
        let (block, rest) = parameter.strip_prefix("backbone.blocks.")?.split_once('.')?;
        let kind = match rest.split('.').next()? {
            "norm1" | "attn" | "ls1" => "attention",
            _ => "feed_forward",
        };
        Some(format!("backbone.blocks.{block}.{kind}"))
    };
    branch().unwrap_or_else(|| parameter.to_owned())
}

impl ShardPlan {
    /// The plan for a network that is whole, seen from one of so many ranks.
    pub fn new(network: &Network, rank: usize, ranks: usize) -> Self {
        let mut units: Vec<ShardUnit> = Vec::new();
        let mut of_parameter = BTreeMap::new();
        params::visit(network, |seen| {
            let name = unit_name(seen.name);
            let parameter = (seen.name.to_owned(), seen.shape);
            match units.last_mut().filter(|unit| unit.name == name) {
                Some(unit) => unit.parameters.push(parameter),
                None => units.push(ShardUnit { name, parameters: vec![parameter] }),
            }
            of_parameter.insert(seen.name.to_owned(), units.len() - 1);
        });
        Self { units, of_parameter, rank, ranks }
    }

    /// Number of the unit that a parameter belongs to.
    pub fn unit_of(&self, parameter: &str) -> Option<usize> {
        self.of_parameter.get(parameter).copied()
    }

    /// Values of each rank's part of a unit.
    pub fn each(&self, unit: usize) -> usize {
        self.units[unit].length().div_ceil(self.ranks)
    }

    /// The values of a unit that this rank has.
    fn own(&self, unit: usize) -> Range<usize> {
        let (each, length) = (self.each(unit), self.units[unit].length());
        (self.rank * each).min(length)..((self.rank + 1) * each).min(length)
    }

    /// This rank's part of a unit's values.
    pub fn cut(&self, unit: usize, all: &[f32]) -> Vec<f32> {
        let mut part = all[self.own(unit)].to_vec();
        part.resize(self.each(unit), 0.0);
        part
    }

    /// What lies in this rank's part of a unit, one behind the other from its beginning.
    pub fn segments(&self, unit: usize) -> Vec<ShardSegment> {
        let own = self.own(unit);
        let mut start = 0;
        let of = |(name, shape): &(String, Vec<usize>)| {
            let all = start..start + shape.iter().product::<usize>();
            start = all.end;
            let here = all.start.max(own.start)..all.end.min(own.end);
            (!here.is_empty()).then(|| ShardSegment {
                name: name.clone(),
                at: here.start - own.start..here.end - own.start,
            })
        };
        self.units[unit].parameters.iter().filter_map(of).collect()
    }
}
