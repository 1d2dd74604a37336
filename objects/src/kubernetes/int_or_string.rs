//! Pure. A value that is a number or a name: how Kubernetes writes ports.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A port by number or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IntOrString {
    /// A number from 0 to 65535.
    Number(u16),
    /// The name of a port.
    Name(String),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<IntOrString, D::Error> {
        deserializer.deserialize_any(PortVisitor)
    }
}

struct PortVisitor;

impl Visitor<'_> for PortVisitor {
    type Value = IntOrString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port number or the name of a port")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<IntOrString, E> {
        u16::try_from(number)
            .map(IntOrString::Number)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<IntOrString, E> {
        // Kubernetes takes "80" for the name of a port, then fails to find it; Weft reads what was meant.
        Ok(match text.parse() {
            Ok(number) => IntOrString::Number(number),
            Err(_) => IntOrString::Name(text.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::IntOrString;

    #[test]
    fn reads_numbers_and_names_and_refuses_the_rest() {
        let read = |text| serde_json::from_str::<IntOrString>(text);
        assert_eq!(read("80").unwrap(), IntOrString::Number(80));
        assert_eq!(read("\"80\"").unwrap(), IntOrString::Number(80));
        assert_eq!(
            read("\"http\"").unwrap(),
            IntOrString::Name("http".to_owned())
        );
        assert!(read("70000").is_err());
        assert!(read("-1").is_err());
        assert!(read("true").is_err());
    }
}
