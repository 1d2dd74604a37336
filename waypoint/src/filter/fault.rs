//! Pure. Requests broken on purpose: which share of them, and how they are answered.
//!
//! Delay and refusal are drawn each by itself, from random numbers that should be uniform.

use std::time::Duration;

use http::StatusCode;
use mesh::model::http::{Abort, Fault, Fraction};

/// How a refused request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status for a client that speaks HTTP; `None` is the reply's own.
    pub status: Option<StatusCode>,
    /// Status for one that speaks gRPC; `None` follows from the other.
    pub grpc: Option<u16>,
}

/// Whether a request is of a share.
pub fn is_of_share(share: Fraction, random: u64) -> bool {
    let wide = u128::from(random) * u128::from(share.denominator.max(1));
    wide >> 64 < u128::from(share.numerator)
}

/// How long a request waits first, if it does.
pub fn delay(fault: &Fault, random: u64) -> Option<Duration> {
    let (delay, share) = fault.delay?;
    is_of_share(share, random).then_some(delay)
}

/// How a request is refused, if it is.
pub fn refusal(fault: &Fault, is_grpc: bool, random: u64) -> Option<Refusal> {
    let (abort, share) = fault.abort?;
    is_of_share(share, random).then(|| match abort {
        Abort::Http(status) => Refusal {
            status: StatusCode::from_u16(status).ok(),
            grpc: None,
        },
        Abort::Grpc(status) => Refusal {
            status: (!is_grpc).then(|| http_status(status)),
            grpc: Some(status),
        },
    })
}

/// The HTTP status that a gRPC status means to a client that does not speak gRPC.
pub fn http_status(grpc: u16) -> StatusCode {
    match grpc {
        0 => StatusCode::OK,
        3 | 9 | 11 => StatusCode::BAD_REQUEST,
        4 => StatusCode::GATEWAY_TIMEOUT,
        5 => StatusCode::NOT_FOUND,
        6 | 10 => StatusCode::CONFLICT,
        7 => StatusCode::FORBIDDEN,
        8 => StatusCode::TOO_MANY_REQUESTS,
        12 => StatusCode::NOT_IMPLEMENTED,
        14 => StatusCode::SERVICE_UNAVAILABLE,
        16 => StatusCode::UNAUTHORIZED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(numerator: u32, denominator: u32) -> Fraction {
        Fraction {
            numerator,
            denominator,
        }
    }

    #[test]
    fn a_share_is_as_large_as_it_says() {
        for (numerator, denominator, expected) in [
            (0, 100, 0),
            (100, 100, 1000),
            (25, 100, 250),
            (1, 3, 333),
            (1, 1_000_000, 0),
            (999_999, 1_000_000, 1000),
            (5, 0, 1000),
            (u32::MAX, u32::MAX, 1000),
        ] {
            let share = share(numerator, denominator);
            let at = |n: u64| u64::MAX / 1000 * n + u64::MAX / 2000;
            let hits = (0..1000).filter(|n| is_of_share(share, at(*n))).count();
            assert!(hits.abs_diff(expected) <= 1, "{share:?}: {hits}");
        }
        assert!(!is_of_share(share(0, 1), 0));
        assert!(is_of_share(share(1, 1), u64::MAX));
    }

    #[test]
    fn delay_and_refusal_are_drawn_each_by_itself() {
        let second = Duration::from_secs(1);
        let fault = Fault {
            delay: Some((second, share(1, 2))),
            abort: Some((Abort::Http(418), share(1, 4))),
        };
        let (low, middle, high) = (0, u64::MAX / 3, u64::MAX);
        assert_eq!(delay(&fault, low), Some(second));
        assert_eq!(delay(&fault, middle), Some(second));
        assert_eq!(delay(&fault, high), None);
        assert!(refusal(&fault, false, low).is_some());
        assert!(refusal(&fault, false, middle).is_none());
        assert_eq!(delay(&Fault::default(), low), None);
        assert_eq!(refusal(&Fault::default(), true, low), None);
    }

    #[test]
    fn a_refusal_speaks_the_clients_words() {
        let refused = |abort, is_grpc| {
            let fault = Fault {
                delay: None,
                abort: Some((abort, share(1, 1))),
            };
            let refusal = refusal(&fault, is_grpc, 0).unwrap();
            (refusal.status.map(|it| it.as_u16()), refusal.grpc)
        };
        for (abort, is_grpc, expected) in [
            (Abort::Http(418), false, (Some(418), None)),
            (Abort::Http(503), true, (Some(503), None)),
            (Abort::Http(7), false, (None, None)),
            (Abort::Grpc(14), true, (None, Some(14))),
            (Abort::Grpc(14), false, (Some(503), Some(14))),
            (Abort::Grpc(16), false, (Some(401), Some(16))),
            (Abort::Grpc(99), false, (Some(500), Some(99))),
        ] {
            assert_eq!(refused(abort, is_grpc), expected, "{abort:?} {is_grpc}");
        }
    }
}
