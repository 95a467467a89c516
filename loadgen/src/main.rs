//! The binary `earmark-loadgen`: its allocator and its exit code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    earmark_loadgen::command_line(std::env::args_os())
}
