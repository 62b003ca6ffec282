//! Packets that no router may listen to.

use core::{net::IpAddr, time::Duration};

use vrrp_fsm::{
    Config, Datagram, Instant, MAX_DATAGRAM_LEN, Output, PathId, VirtualRouter,
    vrrp_proto::{Priority, Version, Vrid},
};

/// One packet for each defect, each as mighty as can be otherwise: of the owner.
#[derive(Debug)]
pub(crate) struct Forgeries(Vec<Vec<u8>>);

impl Forgeries {
    /// Those for a router with this configuration and address.
    pub(crate) fn new(config: Config, own: IpAddr) -> Self {
        let foreign = IpAddr::from([192, 0, 2, 99]);
        let valid = advertisement(config.clone(), foreign);
        let mut checksum = valid.clone();
        *checksum.last_mut().expect("a packet is not empty") ^= 0x55;
        let mut hop_limit = valid.clone();
        hop_limit[8] = 254;
        let mut destination = valid.clone();
        destination[19] = 19;
        let mut short = valid;
        short[3] -= 1;
        short.pop();
        let mut other = config.clone();
        other.vrid = Vrid::new(52).expect("not zero");
        let vrid = advertisement(other, foreign);
        let second = Duration::from_secs(1);
        let version = advertisement(
            config.clone().version(Version::V2).advertisement_interval(second),
            foreign,
        );
        let own_source = advertisement(config, own);
        Self(vec![checksum, hop_limit, destination, short, vrid, version, own_source])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.0
            .iter()
            .map(|bytes| Datagram::ipv4(PathId::FIRST, bytes).expect("the header of IP is right"))
    }
}

/// What an owner with this configuration sends when it starts.
fn advertisement(config: Config, source: IpAddr) -> Vec<u8> {
    let config = config.priority(Priority::OWNER);
    let mut router = VirtualRouter::new(config, 0).expect("a valid configuration");
    router.handle_source_address(Instant::ZERO, PathId::FIRST, Some(source));
    router.handle_startup(Instant::ZERO);
    let send = core::iter::from_fn(|| router.poll_output()).find_map(|output| match output {
        Output::Send(send) => Some(send),
        _ => None,
    });
    let send = send.expect("an owner advertises at once");
    let to = router.destinations(PathId::FIRST).next().expect("the group");
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    router.encode(&send, PathId::FIRST, to, &mut buffer).expect("a valid advertisement").to_vec()
}
