//! CNI plugin, node agent, redirection rules.
