//! The L7 proxy as a program: settings from the environment, errors to the log's end.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    waypoint::app::run_from_environment()
}
