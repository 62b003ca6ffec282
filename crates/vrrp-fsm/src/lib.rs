//! The VRRP election as a pure state machine: no I/O, no clock, no threads.
