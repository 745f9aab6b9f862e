//! From a heap of pictures to a data set, in steps that each leave a Parquet file: features once, copies, balance,
//! retrieval, and a report of what each step took and left. Nothing is ever deleted.
//!
//! Source: DINOv2 (Oquab et al. 2023), section 3 and appendix A, for copies and retrieval; "Automatic Data Curation for
//! Self-Supervised Learning" (Vo et al. 2024) for the balance.
#![cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "a page compiles what a window shows of a heap, and makes none")
)]

mod balance;
mod contents;
mod copies;
// Threads that read files, and a device that is waited for: a page has neither.
#[cfg(not(target_family = "wasm"))]
mod embed;
mod error;
mod features;
pub mod heap;
#[cfg(not(target_family = "wasm"))]
mod heap_pictures;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod made_heap;
mod nearest;
mod picture;
mod quality;
mod report;
mod retrieve;
mod small_picture;
mod steps;
mod table;

pub use balance::{BalanceOptions, BalanceSummary, ClusterDraw, balance};
pub use copies::{CopiesOptions, CopiesSummary, copies};
#[cfg(not(target_family = "wasm"))]
pub use embed::{EmbedOptions, EmbedSummary, embed, features_of};
pub use error::{CurateError, Heard};
pub use features::{FeatureOrigin, FeatureStore, StoredPicture};
pub use nearest::{BlockPlan, FeatureRows, Neighbour, SearchOptions, SearchShape, nearest};
pub use picture::PictureQuality;
pub use quality::{QualityOptions, QualitySummary, quality};
pub use report::{CurationReportOptions, CurationReportSummary, report};
pub use retrieve::{RetrievalMethod, RetrievalOptions, RetrievalSummary, retrieve};
pub use steps::CurationStep;
pub use table::{CuratedPicture, CurationTable, RowsTaken};

/// Files of a folder of curation.
pub mod names {
    /// The rows that [`embed`](crate::embed()) leaves.
    pub const EMBED: &str = "embed.parquet";
    /// Of the folder that copies are looked for against.
    pub const AGAINST: &str = "against.parquet";
    /// The rows that the filters of quality leave.
    pub const QUALITY: &str = "quality.parquet";
    /// The rows that the search for copies leaves.
    pub const COPIES: &str = "copies.parquet";
    /// The rows with what was decided in a window.
    pub const CHOSEN: &str = "chosen.parquet";
    /// The rows that the balance leaves.
    pub const BALANCE: &str = "balance.parquet";
    /// Of the pictures whose like is looked for.
    pub const QUERIES: &str = "queries.parquet";
    /// The page of what each step took and left.
    pub const REPORT: &str = "report.html";
    /// The rows that retrieval leaves.
    pub const RETRIEVE: &str = "retrieve.parquet";
}
