//! Pure. Whether a trace is sampled: the client's word, then what the request id remembers, then the share.
//! Source: docs/compat.md#request-traces.

/// What a share is counted in.
pub const WHOLE: u32 = 10_000;

/// Where a UUID's version stands, in which Envoy and Istio remember the decision.
const MARK: usize = 14;

/// Why a trace is sampled or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The context of the client says so.
    Context(bool),
    /// Its request id says so: a proxy before us has decided.
    Remembered,
    /// It asks for a trace with `x-client-trace-id`.
    Asked,
    /// It is within the share, or not.
    Share(bool),
}

impl Decision {
    /// Whether it is sampled.
    pub const fn is_sampled(self) -> bool {
        match self {
            Decision::Context(sampled) | Decision::Share(sampled) => sampled,
            Decision::Remembered | Decision::Asked => true,
        }
    }

    /// Decides. With an id that is a UUID, every proxy that sees it and has the same share decides
    /// alike; without one `random` decides.
    pub fn make(
        context: Option<bool>,
        request_id: Option<&[u8]>,
        asked: bool,
        share: u32,
        random: u32,
    ) -> Self {
        if let Some(sampled) = context {
            return Decision::Context(sampled);
        }
        let id = request_id.filter(|id| is_uuid(id));
        if matches!(id.and_then(|id| id.get(MARK)), Some(b'9' | b'a' | b'b')) {
            return Decision::Remembered;
        }
        if asked {
            return Decision::Asked;
        }
        let number = id.and_then(number).unwrap_or(random);
        Decision::Share(number % WHOLE < share)
    }

    /// The id that tells the next proxies what was decided; `None` when it does so already or cannot.
    pub fn mark(self, request_id: &[u8]) -> Option<[u8; 36]> {
        let mark = match self {
            Decision::Share(true) => b'9',
            Decision::Asked => b'b',
            _ => return None,
        };
        let mut id: [u8; 36] = request_id.try_into().ok()?;
        if !is_uuid(&id) {
            return None;
        }
        *id.get_mut(MARK)? = mark;
        Some(id)
    }
}

fn is_uuid(id: &[u8]) -> bool {
    let is_right = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    id.len() == 36 && id.iter().enumerate().all(is_right)
}

/// Its first eight digits.
fn number(id: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(id.get(..8)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &[u8] = b"00000064-0000-4000-8000-000000000000";

    #[test]
    fn the_client_then_the_id_then_the_share_decide() {
        let marked = |mark: u8| {
            let mut id = ID.to_vec();
            id[MARK] = mark;
            id
        };
        for (context, id, asked, share, random, expected) in [
            (
                Some(false),
                Some(marked(b'9')),
                true,
                WHOLE,
                0,
                Decision::Context(false),
            ),
            (Some(true), None, false, 0, 0, Decision::Context(true)),
            (None, Some(marked(b'9')), false, 0, 0, Decision::Remembered),
            (None, Some(marked(b'a')), false, 0, 0, Decision::Remembered),
            (None, Some(ID.to_vec()), true, 0, 0, Decision::Asked),
            // 0x64 is 100: the share must be above it.
            (
                None,
                Some(ID.to_vec()),
                false,
                100,
                0,
                Decision::Share(false),
            ),
            (
                None,
                Some(ID.to_vec()),
                false,
                101,
                9999,
                Decision::Share(true),
            ),
            (
                None,
                Some(b"not a uuid".to_vec()),
                false,
                100,
                99,
                Decision::Share(true),
            ),
            (None, None, false, 100, 100, Decision::Share(false)),
            (None, None, false, 0, 0, Decision::Share(false)),
            (None, None, false, WHOLE, u32::MAX, Decision::Share(true)),
        ] {
            let decision = Decision::make(context, id.as_deref(), asked, share, random);
            assert_eq!(decision, expected, "{context:?} {id:?} {asked} {share}");
        }
    }

    #[test]
    fn an_id_remembers_what_was_decided_here() {
        let marked = Decision::Share(true).mark(ID).unwrap();
        assert_eq!(&marked, b"00000064-0000-9000-8000-000000000000");
        let again = Decision::make(None, Some(&marked), false, 0, 0);
        assert_eq!(again, Decision::Remembered);
        assert_eq!(Decision::Asked.mark(ID).unwrap()[MARK], b'b');
        assert_eq!(Decision::Share(false).mark(ID), None);
        assert_eq!(Decision::Context(true).mark(ID), None);
        assert_eq!(Decision::Share(true).mark(b"short"), None);
    }

    #[test]
    fn a_share_is_kept_over_many_ids() {
        let sampled = (0..100_000_u32).filter(|number| {
            let spread = number.wrapping_mul(2_654_435_761);
            let id = format!("{spread:08x}-0000-4000-8000-000000000000");
            Decision::make(None, Some(id.as_bytes()), false, 500, 0).is_sampled()
        });
        let count = sampled.count();
        assert!((4_800..5_200).contains(&count), "{count}");
    }
}
