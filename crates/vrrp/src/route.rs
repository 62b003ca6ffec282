//! Routes that live and die with the virtual addresses.

use vip_netlink::{Object, Route};

use crate::error::BuildError;
use crate::links::Links;
use crate::virtual_router::VirtualRouter;

/// A route that the Master adds after its addresses and removes before them.
///
/// Next hops that name no interface by its index get the one named here; a route without next hop leads to the link of that
/// interface, or of the addresses.
///
/// ```
/// use vrrp::{NextHop, Route, VirtualRoute, VirtualRouter, Vrid};
///
/// let default = Route::new("0.0.0.0/0".parse()?).next_hop(NextHop::gateway("192.0.2.254".parse()?));
/// let inside = VirtualRoute::new(Route::new("10.1.0.0/16".parse()?)).interface("eth1");
/// let web = VirtualRouter::new("web", Vrid::new(51)?, "eth0")
///     .address("192.0.2.100/24".parse()?)
///     .route(default)
///     .route(inside);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualRoute {
    route: Route,
    interface: Option<String>,
}

impl VirtualRoute {
    /// This route.
    #[must_use]
    pub const fn new(route: Route) -> Self {
        Self { route, interface: None }
    }

    /// The interface of its next hops.
    #[must_use]
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interface = Some(name.into());
        self
    }
}

impl From<Route> for VirtualRoute {
    fn from(route: Route) -> Self {
        Self::new(route)
    }
}

/// The routes and rules of a virtual router, as the kernel wants them, in the order in which they are added.
pub(crate) fn companions(
    virtual_router: &VirtualRouter,
    links: &Links,
) -> Result<Vec<Object>, BuildError> {
    let mut objects = Vec::new();
    for VirtualRoute { route, interface } in &virtual_router.routes {
        let usual = virtual_router.address_interface();
        // The kernel finds the interface of a gateway by itself.
        let name = match interface {
            Some(name) => Some(name.as_str()),
            None => route.needs_interface().then_some(usual.as_str()),
        };
        let link =
            name.map(|name| crate::builder::find(links, virtual_router, name)).transpose()?;
        let route = route.clone();
        objects.push(Object::from(match link {
            Some(link) => route.through(link.index),
            None => route,
        }));
    }
    objects.extend(virtual_router.rules.iter().cloned().map(Object::from));
    for object in &objects {
        object.check().map_err(|source| BuildError::Companion {
            virtual_router: virtual_router.name.to_string(),
            object: object.to_string(),
            source,
        })?;
    }
    Ok(objects)
}
