//! How good the features are: protocols that need no further training of the backbone.
//!
//! [`catalogue`] is the door; an [`outcome`] is what comes out of it.

pub mod agreement;
pub mod cache;
pub mod catalogue;
pub mod confusion;
pub mod crops;
pub mod data;
pub mod dense;
pub mod depth;
pub mod descriptors;
pub mod embedding;
pub mod follow;
pub mod gather;
pub mod knn;
pub mod linear;
pub mod logistic;
pub mod masks;
mod numbered;
pub mod outcome;
mod parameter;
pub mod pictures;
pub mod retrieve;
pub mod run;
pub mod segment;
pub mod spread;
pub mod suite;
pub mod whole;

/// One number a picture, of which a share was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Accuracy {
    /// How many were right.
    pub correct: usize,
    /// Out of so many.
    pub total: usize,
}

impl Accuracy {
    /// The share that was right, 0 to 1; 0 of nothing.
    pub fn value(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.correct as f64 / self.total as f64 }
    }

    /// The 95 % interval of Wilson (1927) for the share, within 0 to 1; everything when there is no test.
    ///
    /// It says how far the value could be off because the test set is small, not how much another
    /// run of training would differ.
    pub fn wilson95(&self) -> (f64, f64) {
        const Z: f64 = 1.959_963_984_540_054;
        if self.total == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (self.total as f64, self.value());
        let scale = 1.0 + Z * Z / n;
        let centre = (p + Z * Z / (2.0 * n)) / scale;
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
        ((centre - half).max(0.0), (centre + half).min(1.0))
    }
}

/// Why an evaluation could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EvalProtocolError {
    /// There are no pictures on one side.
    #[error("no {0} to evaluate with")]
    Empty(&'static str),
    /// Features and labels, or the two sets, do not fit together.
    #[error("{what}: found {found}, expected {expected}")]
    Shape {
        /// Which input or property.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// A label is not below the number of classes.
    #[error("{set} picture {index} has label {label}, but there are only {classes} classes")]
    Label {
        /// `"training"` or `"test"`.
        set: &'static str,
        /// Which picture.
        index: usize,
        /// Its label.
        label: u32,
        /// How many classes there are.
        classes: usize,
    },
    /// A feature is NaN or infinite. Training has usually diverged when this happens.
    #[error("the feature of {set} picture {index} holds a number that is not finite")]
    NotFinite {
        /// `"training"` or `"test"`.
        set: &'static str,
        /// Which picture.
        index: usize,
    },
    /// An option is outside its range.
    #[error("{option} is {value}, expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        value: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// Labels of pixels leave nothing to tell apart: what they hold, and the way out.
    #[error("{0}")]
    OneClass(String),
    /// Hardly any depth lies in the range that counts: the figures of it, and the way out.
    #[error("{0}")]
    Range(String),
    /// The progress callback asked to stop.
    #[error("the evaluation was stopped")]
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_interval_of_known_cases() {
        // From R: binom::binom.wilson(8, 10) and (0, 20).
        let (lo, hi) = Accuracy { correct: 8, total: 10 }.wilson95();
        assert!((lo - 0.490_162).abs() < 1e-5 && (hi - 0.943_318).abs() < 1e-5, "{lo} {hi}");
        let (lo, hi) = Accuracy { correct: 0, total: 20 }.wilson95();
        assert!(lo == 0.0 && (hi - 0.161_125).abs() < 1e-5, "{lo} {hi}");
        assert_eq!(Accuracy::default().wilson95(), (0.0, 1.0));
        assert_eq!(Accuracy { correct: 5, total: 5 }.wilson95().1, 1.0);
    }
}
