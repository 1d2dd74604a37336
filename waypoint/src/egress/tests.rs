//! Which addresses and hosts a client may choose, as tables.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn range(address: &str, prefix: Option<u8>) -> ServiceAddress {
    ServiceAddress {
        network: "".into(),
        address: ip(address),
        prefix,
    }
}

#[test]
fn only_addresses_of_the_service_are_reached_as_dialled() {
    let addresses = [
        range("203.0.113.7", None),
        range("198.51.100.0", Some(24)),
        range("2001:db8::", Some(32)),
    ];
    for (dialled, expected) in [
        ("203.0.113.7:443", Ok(ip("203.0.113.7"))),
        ("198.51.100.200:443", Ok(ip("198.51.100.200"))),
        ("[::ffff:198.51.100.9]:443", Ok(ip("198.51.100.9"))),
        ("[2001:db8:1::1]:443", Ok(ip("2001:db8:1::1"))),
        (
            "203.0.113.8:443",
            Err(Forbidden::NotOfService(ip("203.0.113.8"))),
        ),
        (
            "198.51.101.1:443",
            Err(Forbidden::NotOfService(ip("198.51.101.1"))),
        ),
        (
            "[2001:db9::1]:443",
            Err(Forbidden::NotOfService(ip("2001:db9::1"))),
        ),
        (
            "127.0.0.1:443",
            Err(Forbidden::NotOfService(ip("127.0.0.1"))),
        ),
        (
            "bank.example:443",
            Err(Forbidden::NoAddress("bank.example:443".into())),
        ),
    ] {
        assert_eq!(as_dialled(&addresses, dialled), expected, "{dialled}");
    }
    let everything = [range("0.0.0.0", Some(0))];
    assert!(as_dialled(&everything, "8.8.8.8:53").is_ok());
    assert!(as_dialled(&everything, "[2001:db8::1]:53").is_err());
    assert!(as_dialled(&[], "8.8.8.8:53").is_err());
}

#[test]
fn only_hosts_that_the_service_covers_are_asked_for() {
    let wild: Arc<str> = "*.Bank.example".into();
    for (asked, expected) in [
        ("a.bank.example", Some("a.bank.example")),
        ("A.BANK.example:8443", Some("a.bank.example")),
        ("a.b.bank.example.", Some("a.b.bank.example")),
        ("bank.example", None),
        (".bank.example", None),
        ("a..bank.example", None),
        ("a.bank.example.evil.example", None),
        ("abank.example", None),
        ("127.0.0.1", None),
        ("[::1]:80", None),
        ("a/b.bank.example", None),
        ("a%00.bank.example", None),
        ("evil.example:80.bank.example", None),
    ] {
        let found = as_asked(&wild, Some(asked)).ok();
        assert_eq!(found.as_deref(), expected, "{asked}");
    }
    let long = format!("{}.bank.example", "a".repeat(64));
    assert!(as_asked(&wild, Some(&long)).is_err());
    for nothing in [None, Some("")] {
        let refused = Forbidden::NoHost(Arc::clone(&wild));
        assert_eq!(as_asked(&wild, nothing), Err(refused));
    }
    let whole: Arc<str> = "api.bank.example".into();
    for asked in [None, Some("evil.example")] {
        assert_eq!(as_asked(&whole, asked), Ok(Arc::clone(&whole)), "{asked:?}");
    }
}
