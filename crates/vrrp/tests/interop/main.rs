//! Elections with other implementations, in every role: a matrix that `docs/interop.md` shows, and what the others do
//! differently, one test each. Verdicts come from outside: from a capture at the switch and from the kernels' address
//! lists. `cargo xtask interop` runs this and prints the table.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_in_result,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, reads the clock and prints tables"
)]
#![allow(clippy::allow_attributes, reason = "not every one of them occurs at any time")]

mod child;
mod combination;
mod differences;
mod document;
mod loss;
mod machine;
mod matrix;
mod play;
mod stage;
mod three;
mod wire;
