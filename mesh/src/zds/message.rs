//! Pure. The messages of the node socket as bytes, both ways; the only user of their generated types.

use prost::Message;
use proto::zds;

/// The largest packet either side may send, in bytes (contract: node socket).
pub const MAX_PACKET: usize = 1024;

/// Room left for an error text inside an [`Ack`] once the protobuf headers are counted.
const MAX_ERROR_TEXT: usize = 1000;

/// What the agent knows of a pod when it hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodInfo {
    /// The pod's name.
    pub name: String,
    /// The namespace of the pod object.
    pub namespace: String,
    /// The service account that the pod runs as.
    pub service_account: String,
}

/// What the agent asks of ztunnel. The namespace descriptor of `Add` travels beside the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start serving this pod.
    Add {
        /// The pod's uid.
        uid: String,
        /// Who the pod is; absent from agents that do not know it.
        info: Option<PodInfo>,
    },
    /// The pod is still there, but the agent has no descriptor for it: keep serving it.
    Keep {
        /// The pod's uid.
        uid: String,
    },
    /// Stop serving this pod.
    Delete {
        /// The pod's uid.
        uid: String,
    },
    /// Everything the agent knew has been sent: drop every pod that was not mentioned.
    SnapshotSent,
}

/// ztunnel's answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// Why the request failed; `None` when it succeeded.
    pub error: Option<String>,
}

/// Why bytes from the node socket are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not protobuf, or not of this type.
    #[error("packet is not a {message} message")]
    Malformed {
        /// The message that was expected.
        message: &'static str,
        /// What the decoder said.
        source: prost::DecodeError,
    },
    /// A well-formed packet that carries none of the payloads that this version knows.
    #[error("{message} message carries no payload known to this version")]
    NoPayload {
        /// The message that was expected.
        message: &'static str,
    },
    /// A pod was named with an empty uid.
    #[error("{payload} request has an empty pod uid")]
    EmptyUid {
        /// Which payload it was.
        payload: &'static str,
    },
    /// The peer speaks another version of this protocol.
    #[error("peer speaks version {version} of the node socket, only version 1 is understood")]
    Version {
        /// The number in its hello.
        version: i32,
    },
}

/// The bytes of the hello that opens a connection.
#[must_use]
pub fn encode_hello() -> Vec<u8> {
    zds::ZdsHello {
        version: zds::Version::V1.into(),
    }
    .encode_to_vec()
}

/// Checks the hello that opens a connection.
///
/// # Errors
/// When the bytes are not a hello or name another version.
pub fn decode_hello(bytes: &[u8]) -> Result<(), DecodeError> {
    let hello = zds::ZdsHello::decode(bytes).map_err(malformed("ZdsHello"))?;
    if hello.version == i32::from(zds::Version::V1) {
        Ok(())
    } else {
        Err(DecodeError::Version {
            version: hello.version,
        })
    }
}

impl Request {
    /// The packet for this request. May exceed [`MAX_PACKET`] when names do; sending refuses it then.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use zds::workload_request::Payload;
        let payload = match self {
            Request::Add { uid, info } => Payload::Add(zds::AddWorkload {
                uid: uid.clone(),
                workload_info: info.as_ref().map(|info| zds::WorkloadInfo {
                    name: info.name.clone(),
                    namespace: info.namespace.clone(),
                    service_account: info.service_account.clone(),
                }),
            }),
            Request::Keep { uid } => Payload::Keep(zds::KeepWorkload { uid: uid.clone() }),
            Request::Delete { uid } => Payload::Del(zds::DelWorkload { uid: uid.clone() }),
            Request::SnapshotSent => Payload::SnapshotSent(zds::SnapshotSent {}),
        };
        zds::WorkloadRequest {
            payload: Some(payload),
        }
        .encode_to_vec()
    }

    /// Reads a request from one packet.
    ///
    /// # Errors
    /// When the bytes are not a request, carry no known payload, or name a pod with an empty uid.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        use zds::workload_request::Payload;
        const MESSAGE: &str = "WorkloadRequest";
        let request = zds::WorkloadRequest::decode(bytes).map_err(malformed(MESSAGE))?;
        match request.payload {
            None => Err(DecodeError::NoPayload { message: MESSAGE }),
            Some(Payload::SnapshotSent(_)) => Ok(Request::SnapshotSent),
            Some(Payload::Keep(keep)) => Ok(Request::Keep {
                uid: uid("keep", keep.uid)?,
            }),
            Some(Payload::Del(del)) => Ok(Request::Delete {
                uid: uid("delete", del.uid)?,
            }),
            Some(Payload::Add(add)) => Ok(Request::Add {
                uid: uid("add", add.uid)?,
                info: add.workload_info.map(|info| PodInfo {
                    name: info.name,
                    namespace: info.namespace,
                    service_account: info.service_account,
                }),
            }),
        }
    }
}

impl Ack {
    /// The packet for this answer. A long error text is cut so that the packet always fits.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut error = self.error.clone().unwrap_or_default();
        // An empty text would read as success.
        if self.error.is_some() && error.is_empty() {
            error.push_str("unknown error");
        }
        let mut end = error.len().min(MAX_ERROR_TEXT);
        while !error.is_char_boundary(end) {
            end -= 1;
        }
        error.truncate(end);
        let payload = zds::workload_response::Payload::Ack(zds::Ack { error });
        zds::WorkloadResponse {
            payload: Some(payload),
        }
        .encode_to_vec()
    }

    /// Reads an answer from one packet.
    ///
    /// # Errors
    /// When the bytes are not a response or carry no acknowledgement.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const MESSAGE: &str = "WorkloadResponse";
        let response = zds::WorkloadResponse::decode(bytes).map_err(malformed(MESSAGE))?;
        match response.payload {
            None => Err(DecodeError::NoPayload { message: MESSAGE }),
            Some(zds::workload_response::Payload::Ack(ack)) => Ok(Ack {
                error: Some(ack.error).filter(|error| !error.is_empty()),
            }),
        }
    }
}

fn malformed(message: &'static str) -> impl FnOnce(prost::DecodeError) -> DecodeError {
    move |source| DecodeError::Malformed { message, source }
}

fn uid(payload: &'static str, uid: String) -> Result<String, DecodeError> {
    if uid.is_empty() {
        Err(DecodeError::EmptyUid { payload })
    } else {
        Ok(uid)
    }
}
