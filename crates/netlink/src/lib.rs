//! A netlink socket: envelopes, acknowledgements, extended errors, dumps and batches.
