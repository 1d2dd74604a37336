//! What goes over the wire: message definitions and their generated types.
