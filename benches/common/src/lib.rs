//! What the benchmarks share: figures out of repeated measurements, tables, lines of JSON, the machine's name.

pub mod error;
pub mod lines;
pub mod machine;
pub mod stats;
pub mod table;
