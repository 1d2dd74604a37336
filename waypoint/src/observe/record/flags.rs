//! Pure. Envoy's response flags: what was out of the ordinary about an answer. Source: docs/compat.md#request-flags.

use std::fmt;

/// Declares flags with their words side by side, in the order in which they are printed.
macro_rules! flags {
    ($( $(#[doc = $doc:literal])+ $name:ident = $word:literal ),+ $(,)?) => {
        /// One thing out of the ordinary.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Flag { $( $(#[doc = $doc])+ $name ),+ }

        impl Flag {
            /// All of them, in the order in which they are printed.
            pub const ALL: &'static [Flag] = &[ $( Flag::$name ),+ ];

            /// The short word of logs and labels.
            pub const fn word(self) -> &'static str {
                match self { $( Flag::$name => $word ),+ }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $( Flag::$name => concat!($($doc),+) ),+ }
            }
        }
    };
}

flags! {
    /// All tries that the retry policy allows were used up.
    RetriesExceeded = "URX",
    /// No endpoint of the destination is healthy.
    NoHealthyUpstream = "UH",
    /// No connection to the endpoint.
    UpstreamFailure = "UF",
    /// A limit of the destination was reached.
    UpstreamOverflow = "UO",
    /// No route matched.
    NoRoute = "NR",
    /// The destination does not exist.
    NoCluster = "NC",
    /// The client went away.
    DownstreamClosed = "DC",
    /// Active health checks failed.
    FailedLocalHealthCheck = "LH",
    /// The request or a try took too long.
    UpstreamTimeout = "UT",
    /// The connection was reset from here.
    LocalReset = "LR",
    /// The endpoint reset the stream.
    UpstreamReset = "UR",
    /// The endpoint closed the connection.
    UpstreamClosed = "UC",
    /// Delayed on purpose.
    DelayInjected = "DI",
    /// Refused on purpose.
    FaultInjected = "FI",
    /// Over a rate limit.
    RateLimited = "RL",
    /// An external authorization server refused it.
    Unauthorized = "UAEX",
    /// The rate limit server failed.
    RateLimitError = "RLSE",
    /// The stream was idle for too long.
    IdleTimeout = "SI",
    /// A header's value was refused.
    InvalidHeader = "IH",
    /// The client broke the protocol.
    DownstreamProtocolError = "DPE",
    /// The endpoint broke the protocol.
    UpstreamProtocolError = "UPE",
    /// The stream lasted longer than its limit.
    MaxStreamDuration = "UMSDR",
    /// Answered from a cache.
    FromCache = "RFCF",
    /// No configuration of a filter has arrived.
    NoFilterConfig = "NFCF",
    /// The whole took too long.
    DurationTimeout = "DT",
    /// Overload management ended it.
    OverloadManager = "OM",
    /// DNS gave no answer.
    DnsFailure = "DF",
    /// A share of requests is dropped because the destination is overloaded.
    DropOverload = "DO",
    /// The client reset the stream.
    DownstreamRemoteReset = "DRO",
    /// All requests are dropped because the destination is overloaded.
    UnconditionalDrop = "UDO",
}

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// None of them.
    pub const NONE: Flags = Flags(0);

    /// This one more.
    #[must_use]
    pub const fn with(self, flag: Flag) -> Self {
        Self(self.0 | 1 << flag as u8)
    }

    /// Adds one.
    pub fn insert(&mut self, flag: Flag) {
        *self = self.with(flag);
    }

    /// Whether it is among them.
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl From<Flag> for Flags {
    fn from(flag: Flag) -> Self {
        Self::NONE.with(flag)
    }
}

/// `-` for none, else the words with commas between.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let mut is_first = true;
        for flag in Flag::ALL.iter().filter(|flag| self.contains(**flag)) {
            if !std::mem::take(&mut is_first) {
                f.write_str(",")?;
            }
            f.write_str(flag.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn prints_as_envoy_does() {
        assert_eq!(Flags::NONE.to_string(), "-");
        assert_eq!(Flags::from(Flag::NoRoute).to_string(), "NR");
        let both = Flags::from(Flag::RetriesExceeded).with(Flag::UpstreamFailure);
        assert_eq!(both.to_string(), "URX,UF");
        assert!(both.contains(Flag::UpstreamFailure) && !both.contains(Flag::NoRoute));
    }

    #[test]
    fn the_set_is_closed_and_its_words_differ() {
        let words: BTreeSet<_> = Flag::ALL.iter().map(|flag| flag.word()).collect();
        let expected = "DC DF DI DO DPE DT FI IH LH LR NC NFCF NR OM RFCF RL RLSE SI UAEX UC UF UH UMSDR \
                        UO UPE UR URX UT UDO DRO";
        assert_eq!(words, expected.split(' ').collect());
        assert!(Flag::ALL.len() <= 32);
    }
}
