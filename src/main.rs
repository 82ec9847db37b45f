//! `fractary-codex`: see the library.

fn main() -> std::process::ExitCode {
    fractary_codex::cli::run()
}

/// The allocator of musl is slow if several threads use it: a run in which nothing has changed takes
/// 1.4 times as long with it.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
