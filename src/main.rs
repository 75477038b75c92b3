//! The `lossreel` command: parses, calls the library, exits.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
