//! Which of the teacher's targets each row of the student meets.

/// Targets of every student row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPairs {
    /// `[rows]`: index of a target row, or -1.
    pub first: Vec<i32>,
    /// `[rows]`: index of another, or -1.
    pub second: Vec<i32>,
}
