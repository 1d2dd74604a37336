//! Measures two node proxies beside plain TCP on the same nodes, in CPU-seconds.
//!
//! Rounds are interleaved: in each, every load runs once plain and once through the mesh, in turn
//! first. CPU is read from the scheduler's own counters (nanoseconds per thread), and from the
//! machine's busy time, because the kernel's work for a proxy is often charged to others.

pub mod scale;
pub mod cpu;
pub mod memory;
pub mod load;
pub mod round;
pub mod table;
