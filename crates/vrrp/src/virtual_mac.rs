//! What an operator says about the virtual MAC address of a virtual router.

use vrrp_fsm::vrrp_proto::{AddressFamily, Vrid};

use crate::path::Path;
use crate::virtual_router::VirtualRouter;

/// The virtual MAC address of a virtual router (RFC 9568 §7.3): 00-00-5E-00-01-{VRID} for IPv4, 00-00-5E-00-02-{VRID} for IPv6.
///
/// With it the addresses move between hosts together with the MAC address that the hosts of the link know them by, so that
/// nobody's ARP or neighbour cache has to change. Without it (the default, as in keepalived) they move to the interface's own MAC
/// address, and every host on the link has to believe the announcements.
///
/// It lives on an interface of its own, a macvlan in private mode on the interface of the virtual router, from the start of the
/// router to its end. The virtual addresses are on it, advertisements leave by it, and the kernel answers ARP and neighbour solicitations with it. So
/// that the real MAC address answers for none of them, `arp_ignore`, `arp_filter` and `arp_announce` of the real interface are set, and put back
/// at the end. It needs macvlan in the kernel (`CONFIG_MACVLAN`). Where the kernel has `nf_tables` the macvlan tells no
/// switch what it listens to: the real interface does.
///
/// ```
/// # use vrrp::{VirtualMac, VirtualRouter, Vrid};
/// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
///     .virtual_mac(VirtualMac::new().interface("web0"))
///     .address("192.0.2.100/32".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualMac {
    interface: Option<String>,
    pub(crate) advertise_from_parent: bool,
}

impl VirtualMac {
    /// On an interface named `vrrp.VRID` for IPv4, `vrrp6.VRID` for IPv6; advertisements leave with the virtual MAC address.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the interface, 1 to 15 bytes. Two virtual routers of one VRID on different interfaces need different ones.
    #[must_use]
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interface = Some(name.into());
        self
    }

    /// Whether advertisements leave from the real interface, with its MAC address, and are heard there only; false by default.
    /// It has to be the same on all routers of the virtual router. Switches then learn where the virtual MAC address is by
    /// the announcements only.
    #[must_use]
    pub const fn advertise_from_parent(mut self, on: bool) -> Self {
        self.advertise_from_parent = on;
        self
    }

    fn name(&self, vrid: Vrid, family: AddressFamily) -> String {
        let prefix = match family {
            AddressFamily::Ipv4 => "vrrp",
            AddressFamily::Ipv6 => "vrrp6",
        };
        self.interface.clone().unwrap_or_else(|| format!("{prefix}.{vrid}"))
    }
}

impl VirtualRouter {
    /// The name of the interface of its virtual MAC address.
    pub(crate) fn device_name(&self) -> Option<String> {
        let virtual_mac = self.virtual_mac.as_ref()?;
        Some(virtual_mac.name(self.vrid, self.decide_family().unwrap_or(AddressFamily::Ipv4)))
    }

    /// The interface that addresses are on which name none.
    pub(crate) fn address_interface(&self) -> String {
        self.device_name().unwrap_or_else(|| self.interface.clone())
    }

    /// The interface whose sockets a path uses: multicast on the virtual router's own interface is that of the virtual MAC address. The other
    /// routers' packets with that address as their source come in nowhere else.
    pub(crate) fn socket_interface(&self, path: &Path) -> String {
        let virtual_mac = self.virtual_mac.as_ref().filter(|mac| !mac.advertise_from_parent);
        let concerned = path.is_multicast() && path.interface == self.interface;
        let device = virtual_mac.filter(|_| concerned).and_then(|_| self.device_name());
        device.unwrap_or_else(|| path.interface.clone())
    }

    /// Whether packets for its addresses are taken (RFC 9568 §6.4.3): with `Accept_Mode`, and always by the owner.
    pub(crate) fn accepts(&self) -> bool {
        self.has_accept_mode() || self.priority == 255
    }
}
