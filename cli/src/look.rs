//! Reads the pages of the mesh's running programs through the sandbox.

use anyhow::{Context, Result, bail};
use sandbox::{Sandbox, Target};
use serde_json::Value;

/// The node proxy's dump.
pub(crate) const DUMP: &str = "http://127.0.0.1:15000/config_dump";
/// Its readiness.
pub(crate) const PROXY_READY: &str = "http://127.0.0.1:15021/healthz/ready";
/// Its metrics.
pub(crate) const PROXY_METRICS: &str = "http://127.0.0.1:15020/metrics";
/// The node agent's readiness.
pub(crate) const AGENT_READY: &str = "http://127.0.0.1:8000/readyz";
/// The controller's readiness.
pub(crate) const CONTROLLER_READY: &str = "http://127.0.0.1:15014/ready";
/// What is wrong with the objects.
pub(crate) const PROBLEMS: &str = "http://127.0.0.1:15014/debug/problems";
/// What the controller publishes.
pub(crate) const RESOURCES: &str = "http://127.0.0.1:15014/debug/resources";

/// The text of a page.
///
/// # Errors
/// When nobody answers, or the answer is no success; the page's own words are in the error.
pub(crate) fn page(sandbox: &Sandbox, target: &Target, url: &str) -> Result<String> {
    // The sandbox runs this very program.
    let command = ["/proc/self/exe", "run", "echo", "--get", url];
    let output = sandbox.exec(target, &command)?;
    if !output.exit.is_success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.text())
}

/// A page that is JSON.
///
/// # Errors
/// As [`page`], and when it is not JSON.
pub(crate) fn json(sandbox: &Sandbox, target: &Target, url: &str) -> Result<Value> {
    let text = page(sandbox, target, url)?;
    serde_json::from_str(&text).with_context(|| url.to_owned())
}

/// Text of a field; empty when it is not there or not text.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Elements of a field; none when it is not there.
pub(crate) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    let list = value.get(field).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}
