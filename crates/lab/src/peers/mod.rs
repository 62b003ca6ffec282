//! The programs that tests run against: daemons, web servers, and the readers of the kernel's tables.

mod daemon;
mod ipvs;
mod nginx;

pub use daemon::Daemon;
pub use ipvs::{Destination, Service, Table};
pub use nginx::Nginx;
