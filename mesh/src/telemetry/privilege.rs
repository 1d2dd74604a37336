//! Pure. Names the capability that is missing when the kernel refuses: "operation not permitted" tells nobody what to do.

use std::io;

/// Words to put behind what was tried: which capability is missing, if that is why it was refused; else nothing.
#[must_use]
pub fn lack(error: &io::Error, capability: &str) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        format!(": {capability} is missing")
    } else {
        String::new()
    }
}

/// To change nftables, routing and sockets of a network namespace.
pub const NET_ADMIN: &str = "CAP_NET_ADMIN";
/// To enter a network namespace.
pub const SYS_ADMIN: &str = "CAP_SYS_ADMIN";
/// To read what belongs to others.
pub const DAC_OVERRIDE: &str = "CAP_DAC_OVERRIDE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_permission_is_blamed_on_a_capability() {
        let said = |number| lack(&io::Error::from_raw_os_error(number), NET_ADMIN);
        let (not_permitted, denied, not_found) = (1, 13, 2);
        assert_eq!(said(not_permitted), ": CAP_NET_ADMIN is missing");
        assert_eq!(said(denied), ": CAP_NET_ADMIN is missing");
        assert_eq!(said(not_found), "");
    }
}
