//! What a rejected promise says, and the word that a program tells such errors apart by.

use burn::tensor::ExecutionError;
use dinoscope_core::analysis::AnalysisError;
use dinoscope_core::data::DataError;
use dinoscope_core::explore::ModelError;
use dinoscope_core::weights::WeightsError;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum JsApiError {
    /// The weights can't be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// There is no model in them.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The picture can't be used.
    #[error(transparent)]
    Picture(#[from] DataError),
    /// An option is outside its range: the option, what was given, and what is expected.
    #[error("{option} is {given}, expected {expected}")]
    Argument {
        /// Its name.
        option: &'static str,
        /// What was given.
        given: String,
        /// The range in words.
        expected: String,
    },
    /// A person wants it no more.
    #[error("it was stopped")]
    Stopped,
    /// The browser gave no device.
    #[error("opening a WebGPU device: {0}")]
    Open(String),
    /// The device failed on the way.
    #[error("the device failed: {0}")]
    Device(#[from] ExecutionError),
    /// The features can't be analysed.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
}

impl JsApiError {
    /// An option outside its range.
    pub fn argument(option: &'static str, given: impl ToString, expected: impl Into<String>) -> Self {
        Self::Argument { option, given: given.to_string(), expected: expected.into() }
    }

    /// The error's `code` in JavaScript.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Weights(_) | Self::Model(_) => "weights",
            Self::Picture(_) => "image",
            Self::Argument { .. } | Self::Analysis(AnalysisError::Option { .. }) => "argument",
            Self::Stopped => "stopped",
            Self::Open(_) | Self::Device(_) => "device",
            Self::Analysis(_) => "features",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_what_was_given_and_what_is_expected() {
        let failure = JsApiError::argument("block", 12, "0 to 11");
        assert_eq!(failure.to_string(), "block is 12, expected 0 to 11");
        assert_eq!(failure.code(), "argument");
        assert_eq!(JsApiError::from(AnalysisError::Empty("pictures")).code(), "features");
    }
}
