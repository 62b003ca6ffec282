//! One file per thing a user wants to do: see the examples of this package.
