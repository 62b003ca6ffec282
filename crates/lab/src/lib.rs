//! Network namespaces, real peers and user-mode Linux kernels for the tests of this workspace.
//!
//! A [`Namespace`] is an anonymous network namespace: it has no name under `/run/netns`, is held by a
//! file descriptor and ends with the process, so any number of tests can have theirs at once. A [`Node`] has
//! a `/run` of its own besides, so that two daemons with the same pid file paths can run side by side.
//! [`veth`] and [`Bridge`] wire them together; [`Capture`] and [`AddressMonitor`] watch from outside, so that a
//! verdict never rests on what the tested code says about itself.
//!
//! Every test starts with [`need!`], which skips it *by name and with a reason* where something is missing:
//!
//! ```
//! # fn a_test() {
//! lab::need!(netns);
//! let (left, right) = (lab::Namespace::new().unwrap(), lab::Namespace::new().unwrap());
//! lab::veth(&left, "eth0", &right, "eth0").unwrap();
//! left.ip("addr add 192.0.2.1/24 dev eth0").unwrap();
//! let addresses = left.output(std::process::Command::new("ip").arg("addr")).unwrap();
//! assert!(String::from_utf8_lossy(&addresses.stdout).contains("192.0.2.1/24"));
//! # }
//! # a_test();
//! ```
//!
//! Not root? [`need!`]`(netns)` then starts the test binary again inside a user namespace, where it is.

mod capture;
pub mod http;
mod link;
mod monitor;
mod namespace;
pub mod need;
pub mod peers;
mod privilege;
pub mod probe;
mod process;
mod sys;
mod time;
pub mod uml;
mod usage;

pub use capture::{Capture, Filter, Frame};
pub use link::{Bridge, veth};
pub use monitor::{AddressEvent, AddressMonitor};
pub use namespace::{Namespace, Node};
pub use process::{Line, Process};
pub use time::{TimeLock, eventually, now, time_lock};
pub use usage::{ThreadUsage, Usage};
