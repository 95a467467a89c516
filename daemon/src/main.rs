//! The binary `earmark`: the command line, and nothing else.

use std::process::ExitCode;

/// Many small short-lived buffers cross threads here; mimalloc was made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    earmark::cli::run()
}
