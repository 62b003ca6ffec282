//! The programs that tests run against: daemons, web servers, and the readers of the kernel's tables.

mod daemon;
pub(crate) mod frr;
mod ipvs;
mod nginx;

pub use daemon::Daemon;
pub use frr::{Frr, FrrVirtualRouter};
pub use ipvs::{Destination, Service, Table};
pub use nginx::Nginx;
