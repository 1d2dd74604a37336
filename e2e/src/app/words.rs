//! gRPC programs with tonic inside of pods: a service that does what its messages say, and a client of it.
//!
//! ```text
//! app words serve PORT     `weft.words.Words` and an external authorization server
//! app words call CALL      one call (a JSON `Call`); prints a `Told`
//! ```

mod judge;
mod serve;
mod call;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use call::call;
pub use serve::serve;

/// The service's name; its methods are all alike.
pub const SERVICE: &str = "weft.words.Words";
/// Header of a request that the authorization server admits it by, when it has [`LET_IN`] as its value.
pub const LET: &str = "x-let";
/// The value of [`LET`].
pub const LET_IN: &str = "in";
/// Header that the authorization server adds to what it admits.
pub const CHECKED: &str = "x-checked";

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One message, one answer.
    Unary,
    /// One message, many answers.
    Stream,
    /// The next message is sent when the answer to the one before has come.
    Bidi,
}

/// A call.
///
/// What messages ask for: `many:3:x` three answers, `tell:name` the value of a header of the request, `wait:300` an answer
/// after so many milliseconds, `fail:9` that gRPC status; anything else comes back as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// `http://host:port`.
    pub url: String,
    /// Method of [`SERVICE`].
    pub method: String,
    /// What is done.
    pub kind: Kind,
    /// Messages; one unless it is [`Kind::Bidi`].
    pub messages: Vec<String>,
    /// Metadata.
    pub metadata: Vec<(String, String)>,
    /// The client's deadline, milliseconds.
    pub deadline: Option<u64>,
}

impl Call {
    /// A unary call.
    #[must_use]
    pub fn unary(url: &str, message: &str) -> Self {
        Self {
            url: url.to_owned(),
            method: "Say".to_owned(),
            kind: Kind::Unary,
            messages: vec![message.to_owned()],
            metadata: Vec::new(),
            deadline: None,
        }
    }
}

/// What became of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// gRPC status, as tonic has it.
    pub code: i32,
    /// Its message.
    pub why: String,
    /// Answers.
    pub messages: Vec<String>,
    /// Metadata of the answer's head.
    pub metadata: BTreeMap<String, String>,
    /// Metadata behind the answers.
    pub trailers: BTreeMap<String, String>,
    /// How long it took, milliseconds.
    pub milliseconds: u64,
}
