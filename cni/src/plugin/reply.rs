//! Pure. What the plugin prints: results, versions, and errors with the numbers of the CNI specification.

use serde_json::json;

use super::ask;
use crate::add_event::{AddEvent, WRONG};

/// The versions of the specification that the plugin speaks.
pub(super) const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// The agent says that a pod is not as it should be; from 100 on numbers are a plugin's own.
const NOT_AS_IT_SHOULD_BE: u32 = 100;

/// What an answer says when the caller did not say which version it speaks.
pub(super) const DEFAULT_VERSION: &str = "1.1.0";

/// The plugin's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// For standard output; may be empty.
    pub text: String,
    /// Whether the exit status is zero.
    pub is_success: bool,
}

/// Why a call failed, as the CNI specification wants it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    code: u32,
    message: String,
    details: String,
}

impl Reply {
    pub(super) fn new(version: &str, result: Result<String, Failure>) -> Self {
        match result {
            Ok(text) => Reply {
                text,
                is_success: true,
            },
            Err(failure) => Reply {
                text: failure.json(version),
                is_success: false,
            },
        }
    }

    /// For callers that could not even read the call.
    #[must_use]
    pub fn unreadable(error: &std::io::Error) -> Self {
        let failure = Failure::new(5, "cannot read standard input", &error.to_string());
        Reply::new(DEFAULT_VERSION, Err(failure))
    }
}

impl Failure {
    fn new(code: u32, message: &str, details: &str) -> Self {
        Failure {
            code,
            message: message.into(),
            details: details.into(),
        }
    }

    pub(super) fn version(version: &str) -> Self {
        let message = format!("CNI version {version} is not supported");
        Failure::new(
            1,
            &message,
            &format!("supported are {}", VERSIONS.join(", ")),
        )
    }

    pub(super) fn environment(message: &str) -> Self {
        Failure::new(4, message, "")
    }

    /// A command that this version of the specification does not have.
    pub(super) fn unsupported(command: &str, version: &str) -> Self {
        match command {
            "CHECK" | "STATUS" | "GC" => {
                let message = format!("CNI version {version} does not have {command}");
                Failure::new(1, &message, "")
            }
            _ => Failure::new(4, &format!("unknown CNI_COMMAND: {command:?}"), ""),
        }
    }

    pub(super) fn undecodable(error: &serde_json::Error) -> Self {
        Failure::new(
            6,
            "the network configuration cannot be read",
            &error.to_string(),
        )
    }

    pub(super) fn configuration(message: &str) -> Self {
        Failure::new(7, message, "")
    }

    /// Asking again may help: the runtime does so by itself.
    pub(super) fn not_let_in(event: &AddEvent, error: &ask::Error) -> Self {
        let message = format!(
            "the mesh's node agent did not let pod {} start",
            name(event)
        );
        Failure::new(11, &message, &mesh::telemetry::report(error))
    }

    /// Either the agent knows what is wrong with the pod, or it cannot tell now.
    pub(super) fn not_as_it_should_be(event: &AddEvent, error: &ask::Error) -> Self {
        let pod = name(event);
        match error {
            ask::Error::Refused {
                status: WRONG,
                words,
            } => {
                let message = format!("the mesh's part of pod {pod} is not as it should be");
                Failure::new(NOT_AS_IT_SHOULD_BE, &message, words)
            }
            error => {
                let message = format!("the mesh's node agent cannot tell how pod {pod} is");
                Failure::new(11, &message, &mesh::telemetry::report(error))
            }
        }
    }

    fn json(&self, version: &str) -> String {
        let Failure {
            code,
            message,
            details,
        } = self;
        let mut error = json!({ "cniVersion": version, "code": code, "msg": message });
        if let (false, Some(error)) = (details.is_empty(), error.as_object_mut()) {
            error.insert("details".into(), details.as_str().into());
        }
        error.to_string()
    }
}

fn name(event: &AddEvent) -> String {
    format!("{}/{}", event.pod_namespace, event.pod_name)
}

/// The answer to VERSION.
pub(super) fn versions(version: &str) -> String {
    json!({ "cniVersion": version, "supportedVersions": VERSIONS }).to_string()
}

/// Whether a version of the specification is that old or younger; one that cannot be read is not.
pub(super) fn is_at_least(version: &str, (major, minor): (u32, u32)) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let (have_major, have_minor) = (parts.next().flatten(), parts.next().flatten());
    have_major
        .zip(have_minor)
        .is_some_and(|have| have >= (major, minor))
}
