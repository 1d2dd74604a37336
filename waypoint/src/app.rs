//! Wiring only.

/// Runs the L7 proxy.
///
/// # Errors
/// When a setting is bad or a part cannot be started.
pub fn run_from_environment() -> anyhow::Result<()> {
    anyhow::bail!("not wired yet")
}
