//! A director on its own thread.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use ipvs::{DestinationKey, ServiceKey, SyncRole, Weight};
use reactor::{Clock, Waker};

use crate::config::Config;
use crate::director::Director;
use crate::error::{ApplyError, OrderError, StatisticsError, StopError, Stopped};
use crate::event::Events;
use crate::kernel::{KernelError, Traffic};
use crate::status::Status;
use crate::why::Why;

/// How long an answer of the director is waited for before it counts as gone. Its loop answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What other threads ask of the director. Answers go through channels that never block it.
#[derive(Debug)]
enum Order {
    Status(Sender<Status>),
    Why(ServiceKey, DestinationKey, Sender<Option<Why>>),
    Statistics(Sender<Result<BTreeMap<ServiceKey, Traffic>, KernelError>>),
    Apply(Config, Sender<Result<(), ApplyError>>),
    Weight(ServiceKey, DestinationKey, Option<Weight>, Sender<bool>),
    Drain(ServiceKey, DestinationKey, Option<Duration>, Sender<bool>),
    State(SyncRole),
    Repair,
    End(End),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Stop,
    Leave,
}

/// What other threads say to a running director, and ask of it. Clone it freely; it does not keep the director running.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: Sender<Order>,
    waker: Waker,
}

impl Handle {
    /// What every service, real server and check is at this moment.
    pub fn status(&self) -> Result<Status, Stopped> {
        self.ask(Order::Status)
    }

    /// Why a real server stands in the table as it does; see [`Director::why`].
    pub fn why(
        &self,
        service: ServiceKey,
        real_server: DestinationKey,
    ) -> Result<Option<Why>, Stopped> {
        self.ask(|reply| Order::Why(service, real_server, reply))
    }

    /// The kernel's counters of our services; see [`Director::statistics`].
    pub fn statistics(&self) -> Result<BTreeMap<ServiceKey, Traffic>, StatisticsError> {
        Ok(self.ask(Order::Statistics)??)
    }

    /// Replaces the configuration; see [`Director::apply`].
    pub fn apply(&self, config: Config) -> Result<(), ApplyError> {
        self.ask(|reply| Order::Apply(config, reply))?
    }

    /// Sets the weight of a real server, or gives it back to checks and configuration (`None`); see [`Director::set_weight`].
    pub fn set_weight(
        &self,
        service: ServiceKey,
        real_server: DestinationKey,
        weight: Option<Weight>,
    ) -> Result<(), OrderError> {
        let found = self.ask(|reply| Order::Weight(service, real_server, weight, reply))?;
        found.then_some(()).ok_or(OrderError::NoRealServer { service, real_server })
    }

    /// Takes a real server out of service, its connections ended first; see [`Director::drain`].
    pub fn drain(
        &self,
        service: ServiceKey,
        real_server: DestinationKey,
        at_most: Duration,
    ) -> Result<(), OrderError> {
        let found = self.ask(|reply| Order::Drain(service, real_server, Some(at_most), reply))?;
        found.then_some(()).ok_or(OrderError::NoRealServer { service, real_server })
    }

    /// Undoes [`Handle::drain`].
    pub fn restore(
        &self,
        service: ServiceKey,
        real_server: DestinationKey,
    ) -> Result<(), OrderError> {
        let found = self.ask(|reply| Order::Drain(service, real_server, None, reply))?;
        found.then_some(()).ok_or(OrderError::NoRealServer { service, real_server })
    }

    /// Says whether this director is Master; see [`Director::set_state`]. Does not wait.
    pub fn set_state(&self, state: SyncRole) -> Result<(), Stopped> {
        self.send(Order::State(state))
    }

    /// Repairs what others have changed in our services; see [`Director::repair`]. Does not wait.
    pub fn repair(&self) -> Result<(), Stopped> {
        self.send(Order::Repair)
    }

    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Result<T, Stopped> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(order(reply))?;
        receive(&answer)
    }

    fn send(&self, order: Order) -> Result<(), Stopped> {
        self.orders.send(order).map_err(|_| Stopped)?;
        self.waker.wake();
        Ok(())
    }
}

/// A [`Director`] that runs in a thread of its own. Dropping it stops it: its services are removed.
#[derive(Debug)]
pub struct RunningDirector {
    handle: Handle,
    events: Events,
    thread: Option<JoinHandle<Result<(), StopError>>>,
}

impl RunningDirector {
    pub(crate) fn start(director: Director) -> io::Result<Self> {
        let (waker, events) = (director.waker(), director.events());
        let (orders, inbox) = crossbeam_channel::unbounded();
        let thread = std::thread::Builder::new()
            .name("lvs".to_owned())
            .spawn(move || run(director, &inbox))?;
        Ok(Self { handle: Handle { orders, waker }, events, thread: Some(thread) })
    }

    /// A receiver of what happens.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// For other threads: everything but the end.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// As [`Handle::status`].
    pub fn status(&self) -> Result<Status, Stopped> {
        self.handle.status()
    }

    /// As [`Handle::apply`].
    pub fn apply(&self, config: Config) -> Result<(), ApplyError> {
        self.handle.apply(config)
    }

    /// Removes our services and ends.
    ///
    /// # Errors
    /// As [`Director::stop`].
    pub fn stop(mut self) -> Result<(), StopError> {
        self.end(End::Stop)
    }

    /// Ends without removing anything; see [`Director::leave`].
    ///
    /// # Errors
    /// As [`Director::stop`].
    pub fn leave(mut self) -> Result<(), StopError> {
        self.end(End::Leave)
    }

    fn end(&mut self, end: End) -> Result<(), StopError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        if self.handle.send(Order::End(end)).is_err() {
            // It has ended by itself: the result of its thread says why.
        }
        thread.join().unwrap_or(Err(StopError::Panicked))
    }
}

impl Drop for RunningDirector {
    fn drop(&mut self) {
        if self.end(End::Stop).is_err() {
            // The journal lists what is left; the next director of this name removes it.
        }
    }
}

fn receive<T>(answer: &Receiver<T>) -> Result<T, Stopped> {
    answer.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected => Stopped,
    })
}

fn run(mut director: Director, inbox: &Receiver<Order>) -> Result<(), StopError> {
    let failed = |error: io::Error| StopError::Loop { source: error };
    loop {
        director.process(Clock::now()).map_err(failed)?;
        while let Ok(order) = inbox.try_recv() {
            match obey(&mut director, order) {
                None => {}
                Some(End::Stop) => return director.stop(),
                Some(End::Leave) => {
                    director.leave();
                    return Ok(());
                }
            }
        }
        director.wait().map_err(failed)?;
    }
}

fn obey(director: &mut Director, order: Order) -> Option<End> {
    let now = Clock::now();
    match order {
        Order::Status(reply) => answer(&reply, director.status(now)),
        Order::Why(service, real_server, reply) => {
            answer(&reply, director.why(now, &service, &real_server));
        }
        Order::Statistics(reply) => answer(&reply, director.statistics()),
        Order::Apply(config, reply) => answer(&reply, director.apply(now, config)),
        Order::Weight(service, real_server, weight, reply) => {
            answer(&reply, director.set_weight(now, &service, &real_server, weight));
        }
        Order::Drain(service, real_server, Some(at_most), reply) => {
            answer(&reply, director.drain(now, &service, &real_server, at_most));
        }
        Order::Drain(service, real_server, None, reply) => {
            answer(&reply, director.restore(now, &service, &real_server));
        }
        Order::State(state) => director.set_state(now, state),
        Order::Repair => director.repair(now),
        Order::End(end) => return Some(end),
    }
    None
}

fn answer<T>(reply: &Sender<T>, value: T) {
    if reply.send(value).is_err() {
        // Whoever asked is gone.
    }
}
