//! The node proxy as a program: settings from the environment, errors to the log's end.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    ztunnel::app::run_from_environment()
}
