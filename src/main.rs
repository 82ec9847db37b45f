//! `fractary-codex`: see the library.

fn main() -> std::process::ExitCode {
    fractary_codex::cli::run()
}
