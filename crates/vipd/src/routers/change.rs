//! From the virtual routers that run to those of another configuration, touching only what differs.

use std::collections::BTreeSet;

use vrrp::{ApplyError, BuildError};

use super::{Plan, Routers, Running};
use crate::run::chain;

/// What a reload does, by names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Steps<'a> {
    /// Run on with another configuration.
    changed: Vec<&'a str>,
    /// Leave: not configured any more, or not in this sync group.
    removed: BTreeSet<&'a str>,
    /// Come, and take nothing of those that leave.
    added: BTreeSet<&'a str>,
    /// Come when those that leave have left.
    replaced: BTreeSet<&'a str>,
}

impl<'a> Steps<'a> {
    fn between(old: &'a Plan, new: &'a Plan) -> Self {
        let mut steps = Self::default();
        let stays = |name: &str| {
            let same = |plan: &Plan| {
                let group = plan.group_of(name)?;
                Some((group.0.clone(), group.1.iter().cloned().collect::<BTreeSet<_>>()))
            };
            old.router(name).is_some() && new.router(name).is_some() && same(old) == same(new)
        };
        steps.removed.extend(old.names().filter(|name| !stays(name)));
        for name in new.names() {
            if !stays(name) {
                // Whoever leaves may be the same virtual router under another name.
                let apart = steps.removed.is_empty();
                let come = if apart { &mut steps.added } else { &mut steps.replaced };
                come.insert(name);
            } else if old.router(name).map(|one| &one.router)
                != new.router(name).map(|one| &one.router)
            {
                steps.changed.push(name);
            }
        }
        // Those that lose an address first, so that another one may have it.
        steps.changed.sort_by_key(|name| {
            let (Some(before), Some(after)) = (old.router(name), new.router(name)) else {
                return false;
            };
            before.addresses.is_subset(&after.addresses)
        });
        steps
    }

    /// It cannot be changed while it runs: it leaves, with its group, and comes again.
    fn replace(&mut self, unit: &[&'a str]) {
        self.removed.extend(unit);
        self.replaced.extend(unit);
    }
}

impl Routers {
    /// Brings what runs to another plan. Mastership is kept where an instance runs on.
    ///
    /// # Errors
    ///
    /// Nothing has changed when those that come cannot be built.
    pub(crate) fn reload(&mut self, new: &Plan) -> Result<Summary, BuildError> {
        let old = core::mem::replace(&mut self.plan, new.clone());
        let mut steps = Steps::between(&old, new);
        let added = self.build(new, &steps.added).inspect_err(|_| self.plan = old.clone())?;
        let mut summary = Summary { added: steps.added.len(), ..Summary::default() };
        for name in core::mem::take(&mut steps.changed) {
            match self.apply(new, name) {
                Ok(()) => summary.changed += 1,
                Err(error @ ApplyError::Fixed { .. }) => {
                    log::warn!("{error}; it leaves the election and starts again");
                    steps.replace(&new.unit(name));
                }
                Err(error) => log::error!("{name} stays as it was: {}", chain(&error)),
            }
        }
        for name in &steps.removed {
            let running = self.running.iter_mut().find(|one| one.names.contains(*name));
            if let Some(running) = running {
                running.names.remove(*name);
                running.router.handle().remove(name).unwrap_or_else(|error| log::error!("{error}"));
                log::info!("{name}: released");
            }
        }
        summary.replaced = steps.replaced.len();
        summary.removed = steps.removed.iter().filter(|name| new.router(name).is_none()).count();
        let replaced = self.build(new, &steps.replaced);
        for router in [Ok(added), replaced] {
            match router.and_then(|built| {
                built.map(|(router, part)| Running::start(router, &part)).transpose()
            }) {
                Ok(running) => self.running.extend(running),
                Err(error) => {
                    summary.failed = true;
                    log::error!("what is new does not run: {}", chain(&error));
                }
            }
        }
        self.drop_idle();
        summary.same = new.routers.len() - summary.added - summary.replaced - summary.changed;
        Ok(summary)
    }

    /// What [`Routers::reload`] would do, as lines.
    pub(crate) fn preview(&self, new: &Plan) -> String {
        let steps = Steps::between(&self.plan, new);
        let mut lines = Vec::new();
        let mut tell = |name: &str, what: &str| lines.push(format!("{name}: {what}\n"));
        for name in &steps.changed {
            tell(name, "changes while it runs");
        }
        for name in &steps.removed {
            let again = steps.replaced.contains(name);
            tell(name, if again { "leaves, and starts again" } else { "leaves" });
        }
        for name in steps.added.iter().chain(steps.replaced.difference(&steps.removed)) {
            tell(name, "comes");
        }
        if lines.is_empty() { "virtual routers stay as they are\n".into() } else { lines.concat() }
    }

    fn build(
        &self,
        new: &Plan,
        names: &BTreeSet<&str>,
    ) -> Result<Option<(vrrp::Router, Plan)>, BuildError> {
        let part = new.part(names);
        if part.is_empty() {
            return Ok(None);
        }
        Ok(Some((part.build(&self.place, false)?, part)))
    }

    fn apply(&self, new: &Plan, name: &str) -> Result<(), ApplyError> {
        let (Some(running), Some(router)) = (self.of(name), new.router(name)) else {
            return Ok(());
        };
        running.router.handle().apply(router.reloaded.clone())
    }

    /// Ends routers none of whose virtual routers is in service.
    fn drop_idle(&mut self) {
        let (idle, running) =
            core::mem::take(&mut self.running).into_iter().partition(|one| one.names.is_empty());
        self.running = running;
        let idle: Vec<Running> = idle;
        for one in idle {
            one.router.shutdown().unwrap_or_else(|error| log::error!("{}", chain(&error)));
        }
    }
}

/// How many virtual routers a reload concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    changed: usize,
    added: usize,
    removed: usize,
    replaced: usize,
    same: usize,
    failed: bool,
}

impl core::fmt::Display for Summary {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "virtual routers: {} changed, {} added, {} removed, {} started again, {} as before",
            self.changed, self.added, self.removed, self.replaced, self.same
        )
    }
}
