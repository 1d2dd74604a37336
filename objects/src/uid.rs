//! Pure. Uids for objects that no API server has given one: the objects of a directory.
//!
//! The uid follows from kind, namespace, name and the object's *incarnation*: how often an object of that
//! name has been retired in this directory. So every program that reads the directory works out the same
//! uid without writing anything, and an object that was deleted and made anew has another one.

use crate::kinds::Key;

/// The uid of an object in its n-th incarnation (0 first), in the form of a UUID.
#[must_use]
pub fn derive(key: &Key, incarnation: u64) -> String {
    let mut hash = FNV_OFFSET;
    for part in [
        key.kind.resource().as_str(),
        &key.namespace,
        &key.name,
        &incarnation.to_string(),
    ] {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
    // Version 8 (made in the maker's own way) and the variant bits of RFC 9562.
    let marked = (hash & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
    let text = format!("{marked:032x}");
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

/// FNV-1a with 128 bits: stable for ever, and no one gains from a collision in his own directory.
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

#[cfg(test)]
mod tests {
    use super::derive;
    use crate::kinds::{Key, Kind};

    #[test]
    fn differs_by_every_part_and_looks_like_a_uuid() {
        let key = Key::new(Kind::Pod, "a", "b");
        let uid = derive(&key, 0);
        assert_eq!(uid, derive(&key, 0));
        assert_eq!(uid.len(), 36);
        assert_eq!(uid.as_bytes()[14], b'8');
        assert!(matches!(uid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        for other in [
            derive(&key, 1),
            derive(&Key::new(Kind::Service, "a", "b"), 0),
            derive(&Key::new(Kind::Pod, "ab", ""), 0),
        ] {
            assert_ne!(uid, other);
        }
    }
}
