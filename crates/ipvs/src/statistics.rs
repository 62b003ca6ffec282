//! Counters of services and destinations.

/// Counters since the object was made (or last zeroed), and rates over about the last two seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub incoming_packets: u64,
    /// Packets to clients; only masquerading sees them.
    pub outgoing_packets: u64,
    /// Octets from clients.
    pub incoming_bytes: u64,
    /// Octets to clients; only masquerading sees them.
    pub outgoing_bytes: u64,
    /// Connections a second.
    pub connections_per_second: u64,
    /// Packets a second from clients.
    pub incoming_packets_per_second: u64,
    /// Packets a second to clients.
    pub outgoing_packets_per_second: u64,
    /// Octets a second from clients.
    pub incoming_bytes_per_second: u64,
    /// Octets a second to clients.
    pub outgoing_bytes_per_second: u64,
}
