//! Being elected, as a value one holds.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use reactor::Clock;
use std::time::Instant;

use crate::error::CampaignError;
use crate::guard::SharedGuard;
use crate::handle::{CampaignId, Command, Granted, Handle, Index, Lost};

/// How often an unready service is asked again.
const READY_PERIOD: Duration = Duration::from_millis(100);

/// The election of one virtual router. Nothing happens before [`Election::campaign`].
pub struct Election {
    handle: Handle,
    router: Index,
    name: Arc<str>,
    ready: Option<Box<dyn FnMut() -> bool + Send>>,
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election").field("virtual_router", &self.name).finish_non_exhaustive()
    }
}

impl Election {
    pub(crate) fn new(handle: Handle, router: Index, name: Arc<str>) -> Self {
        Self { handle, router, name, ready: None }
    }

    /// Stands for election only once `ready` returns true: it is asked every 100 ms, on the thread that campaigns, before we
    /// become a candidate. A service that stops being ready later says so by
    /// [`Handle::set_ready`](crate::Handle::set_ready).
    #[must_use]
    pub fn ready(mut self, ready: impl FnMut() -> bool + Send + 'static) -> Self {
        self.ready = Some(Box::new(ready));
        self
    }

    /// Becomes a candidate and waits, without limit, until this router is Master and its addresses are present.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Stopped`] when the router is shut down meanwhile.
    pub fn campaign(self) -> Result<Leadership, CampaignError> {
        self.run(None)
    }

    /// As [`Election::campaign`], but gives up after `timeout`; then it is no candidate any more.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Timeout`] says what it waited for.
    pub fn campaign_timeout(self, timeout: Duration) -> Result<Leadership, CampaignError> {
        self.run(Some(timeout))
    }

    /// Takes the leadership if this router is Master at this moment, and changes nothing otherwise.
    ///
    /// # Errors
    ///
    /// [`CampaignError::NotMaster`] says why not.
    pub fn try_lead(&self) -> Result<Leadership, CampaignError> {
        let campaign = next_campaign();
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(Command::Lead { router: self.router, campaign, reply })?;
        match answer.recv() {
            Ok(Ok(granted)) => Ok(self.leadership(campaign, granted)),
            Ok(Err(why)) => Err(CampaignError::NotMaster {
                virtual_router: self.name.to_string(),
                why: why.to_string(),
            }),
            Err(_) => Err(CampaignError::Stopped),
        }
    }

    fn run(mut self, timeout: Option<Duration>) -> Result<Leadership, CampaignError> {
        let until = timeout.and_then(|timeout| Clock::now().checked_add(timeout));
        self.wait_until_ready(timeout, until)?;
        let campaign = next_campaign();
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(Command::Campaign { router: self.router, campaign, reply })?;
        let granted = match until {
            None => answer.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => answer.recv_deadline(until),
        };
        match granted {
            Ok(granted) => Ok(self.leadership(campaign, granted)),
            Err(RecvTimeoutError::Disconnected) => Err(CampaignError::Stopped),
            Err(RecvTimeoutError::Timeout) => {
                let error = self.timeout(timeout.unwrap_or_default());
                self.handle.tell(Command::Resign { router: self.router, campaign, released: None });
                Err(error)
            }
        }
    }

    /// Asks the service until it is ready. The pause between is a wait on a channel that nobody sends to.
    fn wait_until_ready(
        &mut self,
        timeout: Option<Duration>,
        until: Option<Instant>,
    ) -> Result<(), CampaignError> {
        let Some(mut ready) = self.ready.take() else { return Ok(()) };
        let never = crossbeam_channel::never::<()>();
        while !ready() {
            if self.handle.status().is_err() {
                return Err(CampaignError::Stopped);
            }
            if until.is_some_and(|until| Clock::now() >= until) {
                return Err(CampaignError::Timeout {
                    virtual_router: self.name.to_string(),
                    timeout: timeout.unwrap_or_default(),
                    why: "the service is not ready".to_owned(),
                });
            }
            if never.recv_timeout(READY_PERIOD).is_ok() {
                break;
            }
        }
        Ok(())
    }

    fn timeout(&self, timeout: Duration) -> CampaignError {
        let Ok(status) = self.handle.status() else { return CampaignError::Stopped };
        let why = status.virtual_routers.get(self.router).map(|status| status.why.to_string());
        CampaignError::Timeout {
            virtual_router: self.name.to_string(),
            timeout,
            why: why.unwrap_or_default(),
        }
    }

    fn send(&self, command: Command) -> Result<(), CampaignError> {
        self.handle.send(command).map_err(|_| CampaignError::Stopped)
    }

    fn leadership(&self, campaign: CampaignId, granted: Granted) -> Leadership {
        Leadership {
            handle: self.handle.clone(),
            router: self.router,
            campaign,
            name: Arc::clone(&self.name),
            granted,
        }
    }
}

fn next_campaign() -> CampaignId {
    static CAMPAIGN: AtomicU64 = AtomicU64::new(0);
    CAMPAIGN.fetch_add(1, Ordering::Relaxed)
}

/// We are Master, until [`Leadership::lost`] says otherwise.
///
/// Dropping it resigns: priority 0 is sent, the addresses are removed, and there is no candidacy before the next
/// [`Election::campaign`]. A leadership that is lost ends the candidacy too: an address that nobody serves is not taken over.
/// Mastership is not a lock: in a partition both sides can have it
/// (see [`Leadership::fencing_token`]).
#[derive(Debug)]
#[must_use = "dropping a leadership resigns"]
pub struct Leadership {
    handle: Handle,
    router: Index,
    campaign: CampaignId,
    name: Arc<str>,
    granted: Granted,
}

impl Leadership {
    /// Becomes readable when mastership is lost: the first read tells why, every later one fails at once because the channel
    /// is closed. Also closed when the router ends. Stop serving then.
    #[must_use]
    pub const fn lost(&self) -> &Receiver<Lost> {
        &self.granted.lost
    }

    /// Orders the masterships of this process: a later one has a higher term. It is not a fencing token.
    #[must_use]
    pub const fn term(&self) -> u64 {
        self.granted.term
    }

    /// The name of the virtual router.
    #[must_use]
    pub fn virtual_router(&self) -> &str {
        &self.name
    }

    /// A number that shared storage can use to refuse an old Master. VRRP alone cannot supply one: `None` unless the virtual
    /// router's guard does and has it now, as [`LockFile`](crate::LockFile) does while its lease lasts. Members of a sync group
    /// have theirs of the group's guard itself.
    #[must_use]
    pub fn fencing_token(&self) -> Option<u64> {
        self.granted.guard.as_ref().and_then(SharedGuard::fencing_token)
    }

    /// Resigns and waits until the addresses are gone, at most `timeout`; whether they are.
    #[must_use]
    pub fn resign(self, timeout: Duration) -> bool {
        let (released, answer) = crossbeam_channel::bounded(1);
        let order = Command::Resign {
            router: self.router,
            campaign: self.campaign,
            released: Some(released),
        };
        if self.handle.send(order).is_err() {
            return true;
        }
        match answer.recv_timeout(timeout) {
            // A router that has ended has released.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        let order =
            Command::Resign { router: self.router, campaign: self.campaign, released: None };
        self.handle.tell(order);
    }
}
