//! Numbers of `linux/ip_vs.h`: commands and attributes of the `IPVS` family.

/// Name and version of the generic-netlink family (`IPVS_GENL_NAME`, `IPVS_GENL_VERSION`).
pub(crate) const FAMILY: &str = "IPVS";
pub(crate) const VERSION: u8 = 1;
/// Octets of `genlmsghdr`; the family has no header of its own.
pub(crate) const HEADER: usize = 4;

/// `IPVS_CMD_*`.
pub(crate) mod command {
    pub(crate) const NEW_SERVICE: u8 = 1;
    pub(crate) const SET_SERVICE: u8 = 2;
    pub(crate) const DEL_SERVICE: u8 = 3;
    pub(crate) const GET_SERVICE: u8 = 4;
    pub(crate) const NEW_DEST: u8 = 5;
    pub(crate) const SET_DEST: u8 = 6;
    pub(crate) const DEL_DEST: u8 = 7;
    pub(crate) const GET_DEST: u8 = 8;
    pub(crate) const NEW_DAEMON: u8 = 9;
    pub(crate) const DEL_DAEMON: u8 = 10;
    pub(crate) const GET_DAEMON: u8 = 11;
    pub(crate) const SET_CONFIG: u8 = 12;
    pub(crate) const GET_CONFIG: u8 = 13;
    pub(crate) const GET_INFO: u8 = 15;
    pub(crate) const ZERO: u8 = 16;
    pub(crate) const FLUSH: u8 = 17;
}

/// `IPVS_CMD_ATTR_*`, the outermost attributes.
pub(crate) mod top {
    pub(crate) const SERVICE: u16 = 1;
    pub(crate) const DEST: u16 = 2;
    pub(crate) const DAEMON: u16 = 3;
    pub(crate) const TIMEOUT_TCP: u16 = 4;
    pub(crate) const TIMEOUT_TCP_FIN: u16 = 5;
    pub(crate) const TIMEOUT_UDP: u16 = 6;
}

/// `IPVS_INFO_ATTR_*`, outermost in the answer to `GET_INFO`.
pub(crate) mod info {
    pub(crate) const VERSION: u16 = 1;
    pub(crate) const CONN_TAB_SIZE: u16 = 2;
}

/// `IPVS_SVC_ATTR_*`.
pub(crate) mod service {
    pub(crate) const AF: u16 = 1;
    pub(crate) const PROTOCOL: u16 = 2;
    pub(crate) const ADDR: u16 = 3;
    pub(crate) const PORT: u16 = 4;
    pub(crate) const FWMARK: u16 = 5;
    pub(crate) const SCHED_NAME: u16 = 6;
    pub(crate) const FLAGS: u16 = 7;
    pub(crate) const TIMEOUT: u16 = 8;
    pub(crate) const NETMASK: u16 = 9;
    pub(crate) const STATS: u16 = 10;
    pub(crate) const PE_NAME: u16 = 11;
    pub(crate) const STATS64: u16 = 12;
}

/// `IPVS_DEST_ATTR_*`.
pub(crate) mod dest {
    pub(crate) const ADDR: u16 = 1;
    pub(crate) const PORT: u16 = 2;
    pub(crate) const FWD_METHOD: u16 = 3;
    pub(crate) const WEIGHT: u16 = 4;
    pub(crate) const U_THRESH: u16 = 5;
    pub(crate) const L_THRESH: u16 = 6;
    pub(crate) const ACTIVE_CONNS: u16 = 7;
    pub(crate) const INACT_CONNS: u16 = 8;
    pub(crate) const PERSIST_CONNS: u16 = 9;
    pub(crate) const STATS: u16 = 10;
    pub(crate) const ADDR_FAMILY: u16 = 11;
    pub(crate) const STATS64: u16 = 12;
    pub(crate) const TUN_TYPE: u16 = 13;
    pub(crate) const TUN_PORT: u16 = 14;
    pub(crate) const TUN_FLAGS: u16 = 15;
}

/// `IPVS_DAEMON_ATTR_*`.
pub(crate) mod daemon {
    pub(crate) const STATE: u16 = 1;
    pub(crate) const MCAST_IFN: u16 = 2;
    pub(crate) const SYNC_ID: u16 = 3;
    pub(crate) const SYNC_MAXLEN: u16 = 4;
    pub(crate) const MCAST_GROUP: u16 = 5;
    pub(crate) const MCAST_GROUP6: u16 = 6;
    pub(crate) const MCAST_PORT: u16 = 7;
    pub(crate) const MCAST_TTL: u16 = 8;
}

/// `IPVS_STATS_ATTR_*`, in both the 32-bit and the 64-bit nest.
pub(crate) mod stats {
    pub(crate) const CONNS: u16 = 1;
    pub(crate) const INPKTS: u16 = 2;
    pub(crate) const OUTPKTS: u16 = 3;
    pub(crate) const INBYTES: u16 = 4;
    pub(crate) const OUTBYTES: u16 = 5;
    pub(crate) const CPS: u16 = 6;
    pub(crate) const INPPS: u16 = 7;
    pub(crate) const OUTPPS: u16 = 8;
    pub(crate) const INBPS: u16 = 9;
    pub(crate) const OUTBPS: u16 = 10;
}

/// `IP_VS_SVC_F_PERSISTENT`.
pub(crate) const FLAG_PERSISTENT: u32 = 0x1;
/// The service flags that a manager sets; the kernel keeps the others.
pub(crate) const FLAGS_MASK: u32 = 0x3d;

/// `IP_VS_CONN_F_FWD_MASK` and its values.
pub(crate) const METHOD_MASK: u32 = 0x7;
pub(crate) const METHOD_MASQ: u32 = 0;
pub(crate) const METHOD_LOCALNODE: u32 = 1;
pub(crate) const METHOD_TUNNEL: u32 = 2;
pub(crate) const METHOD_DROUTE: u32 = 3;
pub(crate) const METHOD_BYPASS: u32 = 4;

/// `IP_VS_CONN_F_TUNNEL_TYPE_*`.
pub(crate) const TUNNEL_IPIP: u8 = 0;
pub(crate) const TUNNEL_GUE: u8 = 1;
pub(crate) const TUNNEL_GRE: u8 = 2;

/// `IP_VS_TUNNEL_ENCAP_FLAG_*`.
pub(crate) const TUNNEL_NOCSUM: u16 = 0;
pub(crate) const TUNNEL_CSUM: u16 = 1;
pub(crate) const TUNNEL_REMCSUM: u16 = 2;

/// `IP_VS_STATE_*` of a sync daemon.
pub(crate) const STATE_MASTER: u32 = 1;
pub(crate) const STATE_BACKUP: u32 = 2;
