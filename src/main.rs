//! The `lossreel` command: parses, calls the library, exits.

fn main() {}
