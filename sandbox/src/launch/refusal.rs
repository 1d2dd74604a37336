//! Pure. Which switch of the machine forbids user namespaces, in words.

use nix::errno::Errno;

/// The switches that distributions use, as read from `/proc/sys`; `None` where the machine has no such switch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// `user.max_user_namespaces`.
    pub(crate) max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone` (Debian's older kernels).
    pub(crate) unprivileged_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu from 23.10).
    pub(crate) apparmor: Option<u64>,
}

/// Names the switch that explains `errno`, and how to change it.
pub(crate) fn explain(errno: Errno, switches: &Switches) -> String {
    let switch = match switches {
        Switches {
            max_user_namespaces: Some(0),
            ..
        } => {
            "sysctl user.max_user_namespaces is 0: raise it (sysctl -w user.max_user_namespaces=15000)"
        }
        Switches {
            unprivileged_clone: Some(0),
            ..
        } => "sysctl kernel.unprivileged_userns_clone is 0: set it to 1, or run as root",
        Switches {
            apparmor: Some(1), ..
        } => {
            "AppArmor restricts user namespaces: set sysctl kernel.apparmor_restrict_unprivileged_userns to 0, \
             give this program an AppArmor profile with the rule `userns`, or run as root"
        }
        _ if errno == Errno::ENOSPC => {
            "a limit on namespaces is reached (sysctl user.max_*_namespaces)"
        }
        _ if errno == Errno::EPERM => {
            "no sysctl forbids it, so a seccomp filter or security module does (in a container: its profile)"
        }
        _ => "no known switch explains it",
    };
    format!("{errno}; {switch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_switch_that_is_off() {
        let apparmor = Switches {
            apparmor: Some(1),
            ..Switches::default()
        };
        assert!(explain(Errno::EPERM, &apparmor).contains("apparmor_restrict_unprivileged_userns"));
        let limit = Switches {
            max_user_namespaces: Some(0),
            ..Switches::default()
        };
        assert!(explain(Errno::ENOSPC, &limit).contains("user.max_user_namespaces"));
        let debian = Switches {
            unprivileged_clone: Some(0),
            ..Switches::default()
        };
        assert!(explain(Errno::EPERM, &debian).contains("unprivileged_userns_clone"));
    }

    #[test]
    fn suspects_a_filter_when_every_switch_is_on() {
        let open = Switches {
            max_user_namespaces: Some(9),
            unprivileged_clone: Some(1),
            apparmor: Some(0),
        };
        assert!(explain(Errno::EPERM, &open).contains("seccomp"));
    }
}
