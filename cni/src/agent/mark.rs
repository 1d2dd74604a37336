//! Writes on the pod how far its enrolment is; the controller lets peers use tunnels to it only when it is enabled
//! (contract: eligibility, docs/compat.md#eligibility).

use std::sync::Arc;

use objects::kinds::Key;
use objects::sink::{Error, Sink};
use serde_json::json;

/// The annotation.
pub const ANNOTATION: &str = "ambient.istio.io/redirection";

/// The name under which the agent writes.
pub(crate) const MANAGER: &str = "cni";

/// How far a pod's enrolment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirection {
    /// Rules are in place and ztunnel serves the pod.
    Enabled,
    /// Rules are in place, but ztunnel has not confirmed.
    Pending,
}

/// Writes marks through a sink.
#[derive(Clone)]
pub struct Marker {
    sink: Arc<dyn Sink>,
}

impl std::fmt::Debug for Marker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marker").finish_non_exhaustive()
    }
}

impl Marker {
    /// A marker that writes through this sink.
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Marker { sink }
    }

    /// Marks this very pod.
    ///
    /// # Errors
    /// When the sink refuses.
    pub async fn mark(&self, pod: &Key, uid: &str, redirection: Redirection) -> Result<(), Error> {
        let word = match redirection {
            Redirection::Enabled => "enabled",
            Redirection::Pending => "pending",
        };
        let fields = json!({ "metadata": { "annotations": { ANNOTATION: word } } });
        self.sink.patch(MANAGER, pod, Some(uid), fields).await
    }

    /// Takes the mark away; fine when there is none.
    ///
    /// # Errors
    /// When the sink refuses.
    pub async fn unmark(&self, pod: &Key) -> Result<(), Error> {
        // An API server keeps what was patched until somebody says otherwise; a directory keeps the patch itself.
        let fields = json!({ "metadata": { "annotations": { ANNOTATION: null } } });
        self.sink.patch(MANAGER, pod, None, fields).await?;
        self.sink.remove(MANAGER, pod).await
    }
}
