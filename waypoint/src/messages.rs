//! Pure. How many gRPC messages there are in a body, seen piece by piece. Source: gRPC over HTTP/2, "Length-Prefixed-Message".

/// A flag and a length.
const PREFIX: usize = 5;

/// Counts the messages that have begun.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    count: u64,
    /// Bytes of a prefix that have come so far; the flag is not needed.
    prefix: usize,
    length: u32,
    /// Bytes of the message that are still to come.
    left: u64,
}

impl Messages {
    /// More of the body.
    pub fn see(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skip = usize::try_from(self.left).unwrap_or(usize::MAX);
                let skip = skip.min(bytes.len());
                self.left -= skip as u64;
                bytes = bytes.get(skip..).unwrap_or_default();
                continue;
            }
            bytes = rest;
            self.length = match self.prefix {
                0 => 0,
                _ => self.length << 8 | u32::from(*first),
            };
            self.prefix += 1;
            if self.prefix == PREFIX {
                self.prefix = 0;
                self.left = self.length.into();
                self.count += 1;
            }
        }
    }

    /// How many there were so far.
    pub const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::Messages;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let mut body = Vec::new();
        for length in [0_u32, 1, 300, 0, 70_000] {
            body.push(0);
            body.extend_from_slice(&length.to_be_bytes());
            body.extend(std::iter::repeat_n(7, length as usize));
        }
        for piece in [1, 2, 3, 5, 7, 64, 1000, body.len()] {
            let mut messages = Messages::default();
            body.chunks(piece).for_each(|it| messages.see(it));
            assert_eq!(messages.count(), 5, "in pieces of {piece}");
        }
        let mut cut = Messages::default();
        cut.see(&[0, 0, 0, 0]);
        assert_eq!(cut.count(), 0, "not even its length is known");
    }
}
