//! What one virtual router does at present, for people and programs.

use std::sync::Arc;

use vrrp_fsm::{Condition, PathId};

use super::{Instance, Shared};
use crate::status::{PathStatus, TrackerStatus, VirtualRouterStatus};

impl Instance {
    fn trackers(&self) -> Vec<TrackerStatus> {
        let names = self.settings.trackers.iter();
        names
            .zip(self.tracking.influences())
            .map(|((name, _), (tracker, influence))| TrackerStatus {
                name: Arc::clone(name),
                condition: self.tracking.condition(tracker).unwrap_or(Condition::Unknown),
                influence,
            })
            .collect()
    }

    fn path_status(&self, shared: &Shared) -> Vec<PathStatus> {
        let now = shared.now();
        let status = |(path, port): (PathId, usize)| {
            let (port, path) = (shared.ports.get(port)?, self.machine.path_status(path)?);
            let ago = |at| now.saturating_duration_since(at);
            Some(PathStatus {
                interface: port.device.name.clone(),
                source: path.source,
                sent: path.sent_at.map(ago),
                heard: path.heard_at.map(ago),
                is_failing: path.is_failing,
                send_failures: path.send_failures,
            })
        };
        self.paths().filter_map(status).collect()
    }

    /// The addresses in the kernel that are ours, for people.
    pub(crate) fn held(&self, shared: &Shared) -> Vec<String> {
        self.addresses.ours().map(|object| shared.links.shown_object(&object)).collect()
    }

    pub(crate) fn status(&self, shared: &Shared) -> VirtualRouterStatus {
        let now = shared.now();
        let config = self.machine.config();
        VirtualRouterStatus {
            name: Arc::clone(&self.name),
            vrid: config.vrid,
            family: config.family,
            interface: self.settings.interface.clone(),
            state: self.machine.reported_state(),
            why: self.machine.why(now),
            faults: self.machine.faults(),
            candidate: self.standing,
            term: self.machine.term(),
            priority: self.machine.priority(),
            source: self.machine.source(PathId::FIRST),
            paths: self.path_status(shared),
            addresses: self.held(shared),
            trackers: self.trackers(),
            statistics: *self.machine.statistics(),
        }
    }
}
