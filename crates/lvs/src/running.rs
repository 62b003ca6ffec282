//! A director on its own thread.

use core::time::Duration;
use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use reactor::{Clock, Waker};

use crate::config::Config;
use crate::director::Director;
use crate::error::{ReconfigureError, StopError, Stopped};
use crate::event::Events;
use crate::status::Status;

/// How long an answer of the director is waited for before it counts as gone. Its loop answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What other threads ask of the director. Answers go through channels that never block it.
#[derive(Debug)]
enum Order {
    Status(Sender<Status>),
    Reconfigure(Config, Sender<Result<(), ReconfigureError>>),
    Repair,
    Stop,
    Leave,
}

/// A [`Director`] that runs in a thread of its own. Dropping it stops it: its services are removed.
#[derive(Debug)]
pub struct RunningDirector {
    orders: Sender<Order>,
    waker: Waker,
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
        Ok(Self { orders, waker, events, thread: Some(thread) })
    }

    /// A receiver of what happens.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// What every service, real server and check is at this moment.
    pub fn status(&self) -> Result<Status, Stopped> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(Order::Status(reply))?;
        receive(&answer)
    }

    /// Replaces the configuration; see [`Director::reconfigure`].
    pub fn reconfigure(&self, config: Config) -> Result<(), ReconfigureError> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.send(Order::Reconfigure(config, reply))?;
        receive(&answer)?
    }

    /// Repairs what others have changed in our services; see [`Director::repair`].
    pub fn repair(&self) -> Result<(), Stopped> {
        self.send(Order::Repair)
    }

    /// Removes our services and ends.
    ///
    /// # Errors
    /// As [`Director::stop`].
    pub fn stop(mut self) -> Result<(), StopError> {
        self.end(Order::Stop)
    }

    /// Ends without removing anything; see [`Director::leave`].
    ///
    /// # Errors
    /// As [`Director::stop`].
    pub fn leave(mut self) -> Result<(), StopError> {
        self.end(Order::Leave)
    }

    fn end(&mut self, order: Order) -> Result<(), StopError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        if self.send(order).is_err() {
            // It has ended by itself: the result of its thread says why.
        }
        thread.join().unwrap_or(Err(StopError::Panicked))
    }

    fn send(&self, order: Order) -> Result<(), Stopped> {
        self.orders.send(order).map_err(|_| Stopped)?;
        self.waker.wake();
        Ok(())
    }
}

impl Drop for RunningDirector {
    fn drop(&mut self) {
        if self.end(Order::Stop).is_err() {
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
            match order {
                // Whoever asked may be gone by now.
                Order::Status(reply) => drop(reply.send(director.status())),
                Order::Reconfigure(config, reply) => {
                    drop(reply.send(director.reconfigure(Clock::now(), config)));
                }
                Order::Repair => director.repair(Clock::now()),
                Order::Stop => return director.stop(),
                Order::Leave => {
                    director.leave();
                    return Ok(());
                }
            }
        }
        director.wait().map_err(failed)?;
    }
}
