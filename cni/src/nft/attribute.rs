//! Pure. Netlink attributes: writing nested lists of them, and walking over those that come back.

/// Set on attributes that hold attributes.
const NESTED: u16 = 0x8000;

/// The bits of an attribute's type that say what it is.
const TYPE_MASK: u16 = 0x3fff;

/// Attributes under construction.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, value);
        self
    }

    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// A number in network order, as nearly all numbers of nftables are.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn nested(self, kind: u16, inner: Attributes) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn put(&mut self, kind: u16, value: &[u8]) {
        // Callers keep their lists short enough (sets are cut into pieces); a longer one would be refused by the
        // kernel for its wrong length, never half applied.
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// Walks over the attributes in `bytes`; stops at the first that is not whole.
pub(super) fn walk(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    raw(bytes).map(|(kind, value)| (kind & TYPE_MASK, value))
}

/// The same, with the flags that stand beside the type.
fn raw(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Whether `all` has every attribute of `some`, with the same value; of nested ones, again, at least what `some` has.
pub(super) fn contains(all: &[u8], some: &[u8]) -> bool {
    raw(some).all(|(kind, value)| match find(all, kind & TYPE_MASK) {
        Some(held) if kind & NESTED != 0 => contains(held, value),
        Some(held) => held == value,
        None => false,
    })
}

/// The first attribute of this kind.
pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    walk(bytes)
        .find(|(other, _)| *other == kind)
        .map(|(_, value)| value)
}

/// Text of an attribute, without the closing zero.
pub(super) fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}
