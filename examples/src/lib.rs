//! One file per thing a user wants to do: see the examples of this package.

/// The README of the repository: its lines compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
