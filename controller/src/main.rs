//! Entry point of the controller as a program of its own.

fn main() -> anyhow::Result<()> {
    controller::app::start()
}
