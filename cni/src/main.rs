//! Entry point of the CNI plugin and the node agent as a program of its own: plugin when a container runtime calls
//! it, agent otherwise.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni::app::start()
}
