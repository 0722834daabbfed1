//! Benchmarks in a report: what is read of them, their tables, their chart, and the items whose verdict flips.

pub mod contents;

pub mod flips;

pub mod collect;

pub mod tables;
pub mod words;

pub mod chart;
pub mod markdown;
pub mod section;
