//! VRRP elections in virtual time: real state machines over lossy links, seeded and replayable.
