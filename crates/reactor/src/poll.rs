//! The epoll instance and its registrations.

use core::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{Timespec, epoll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::events::Events;
use crate::{Clock, Waker};

/// The name a caller gives to a descriptor; it comes back in each [`Event`](crate::Event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a token is its number and nothing else")]
pub struct Token(pub u64);

/// What to be told about. Errors and hang-ups are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interest {
    /// Bytes, a connection or an event can be read, or the peer stopped writing.
    Readable,
    /// A connect has ended, or bytes can be written.
    Writable,
    /// Both of them.
    ReadableWritable,
    /// Errors and hang-ups only.
    ErrorsOnly,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        let read = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        match self {
            Self::Readable => read,
            Self::Writable => epoll::EventFlags::OUT,
            Self::ReadableWritable => read | epoll::EventFlags::OUT,
            Self::ErrorsOnly => epoll::EventFlags::empty(),
        }
    }
}

/// One registered descriptor: the slot it has and the generation of that slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registration {
    slot: u32,
    generation: u32,
}

/// The slot numbers of the waker's and the timer's descriptors, outside what [`Reactor::register`] hands out.
const WAKER: Registration = Registration { slot: u32::MAX, generation: 0 };
const TIMER: Registration = Registration { slot: u32::MAX - 1, generation: 0 };

impl Registration {
    fn data(self) -> epoll::EventData {
        epoll::EventData::new_u64((u64::from(self.slot) << 32) | u64::from(self.generation))
    }

    pub(crate) fn of(data: epoll::EventData) -> Self {
        let [s0, s1, s2, s3, g0, g1, g2, g3] = data.u64().to_be_bytes();
        Self {
            slot: u32::from_be_bytes([s0, s1, s2, s3]),
            generation: u32::from_be_bytes([g0, g1, g2, g3]),
        }
    }

    pub(crate) fn is_waker(self) -> bool {
        self == WAKER
    }

    fn index(self) -> usize {
        usize::try_from(self.slot).unwrap_or(usize::MAX)
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    token: Option<Token>,
}

/// An epoll instance with a waker. See the [crate documentation](crate).
#[derive(Debug)]
pub struct Reactor {
    epoll: OwnedFd,
    waker: Arc<OwnedFd>,
    /// Deadlines go through a timer descriptor, because the kernel adds up to a thousandth to a timeout of
    /// `epoll_pwait2` (`select_estimate_accuracy`): 3.6 ms to one of 3.6 s, whatever the timer slack.
    timer: OwnedFd,
    /// When the timer fires, or fired.
    armed: Cell<Option<Instant>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl AsFd for Reactor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Reactor {
    /// Opens an epoll instance, the event descriptor of its waker and its timer (three descriptors).
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = Arc::new(Waker::descriptor()?);
        epoll::add(&epoll, &waker, WAKER.data(), epoll::EventFlags::IN)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        // Edge-triggered: told once when it fires, and never read.
        epoll::add(&epoll, &timer, TIMER.data(), epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        let armed = Cell::new(None);
        Ok(Self { epoll, waker, timer, armed, slots: Vec::new(), free: Vec::new() })
    }

    /// A handle with which any thread can end the present or next [`Reactor::wait`].
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::new(Arc::clone(&self.waker))
    }

    /// How many descriptors are registered, the waker's not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Whether no descriptor is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Watches `descriptor` (level-triggered). The reactor does not own it: call [`Reactor::deregister`], or close the
    /// descriptor and call [`Reactor::forget`].
    pub fn register(
        &mut self,
        descriptor: impl AsFd,
        interest: Interest,
        token: Token,
    ) -> io::Result<Registration> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => u32::try_from(self.slots.len())
                .ok()
                .filter(|&slot| slot < TIMER.slot)
                .inspect(|_| self.slots.push(Slot { generation: 0, token: None }))
                .ok_or(io::ErrorKind::OutOfMemory)?,
        };
        let unused = Registration { slot, generation: 0 };
        let generation = self.slots.get(unused.index()).map_or(0, |entry| entry.generation);
        let registration = Registration { slot, generation };
        if let Err(error) =
            epoll::add(&self.epoll, descriptor, registration.data(), interest.flags())
        {
            self.free.push(slot);
            return Err(error.into());
        }
        if let Some(entry) = self.slots.get_mut(registration.index()) {
            entry.token = Some(token);
        }
        Ok(registration)
    }

    /// Changes what to be told about `descriptor`.
    pub fn modify(
        &self,
        registration: Registration,
        descriptor: impl AsFd,
        interest: Interest,
    ) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, descriptor, registration.data(), interest.flags())?)
    }

    /// Stops watching `descriptor`. Its events that are already in a batch are not delivered any more.
    pub fn deregister(
        &mut self,
        registration: Registration,
        descriptor: impl AsFd,
    ) -> io::Result<()> {
        self.forget(registration);
        Ok(epoll::delete(&self.epoll, descriptor)?)
    }

    /// Frees the registration of a descriptor that is closed, or about to be, and has no duplicate: the kernel forgets it by itself.
    /// A registration that is no longer valid is left alone.
    pub fn forget(&mut self, registration: Registration) {
        if let Some(entry) = self.slots.get_mut(registration.index())
            && entry.generation == registration.generation
            && entry.token.is_some()
        {
            entry.token = None;
            entry.generation = entry.generation.wrapping_add(1);
            self.free.push(registration.slot);
        }
    }

    /// Waits for events until `until` (`None`: without limit; a moment in the past: do not wait) and puts them into
    /// `events`, replacing what was there. Returns early, possibly without events, when woken or interrupted by a signal, or
    /// at the moment that an earlier call waited for: a deadline that is moved back again and again costs no system call
    /// each time.
    pub fn wait(&self, until: Option<Instant>, events: &mut Events) -> io::Result<()> {
        let now = Clock::now();
        let span = until.map(|until| until.saturating_duration_since(now));
        // Not representable is as good as no limit.
        let Some(span) = span.and_then(|span| Timespec::try_from(span).ok()) else {
            return self.fill(None, events);
        };
        if span == Timespec::default() {
            return self.fill(Some(span), events);
        }
        if !self.fires_soon_enough(now, until) {
            let once = Itimerspec { it_interval: Timespec::default(), it_value: span };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
            self.armed.set(until);
        }
        self.fill(None, events)
    }

    /// Whether the timer fires before `until` anyway, and not before half of the time has passed: usually there is another
    /// event by then, and it can be set for longer.
    fn fires_soon_enough(&self, now: Instant, until: Option<Instant>) -> bool {
        let (Some(armed), Some(until)) = (self.armed.get(), until) else { return false };
        let half = until.saturating_duration_since(now) / 2;
        armed == until || armed < until && armed.saturating_duration_since(now) > half
    }

    /// Takes what is there without waiting and without reading the clock; otherwise as [`Reactor::wait`].
    pub fn poll(&self, events: &mut Events) -> io::Result<()> {
        self.fill(Some(Timespec::default()), events)
    }

    fn fill(&self, timeout: Option<Timespec>, events: &mut Events) -> io::Result<()> {
        events.fill(|buffer| match epoll::wait(&self.epoll, buffer, timeout.as_ref()) {
            Ok((events, _)) => Ok(events),
            Err(rustix::io::Errno::INTR) => Ok(&mut []),
            Err(error) => Err(error.into()),
        })?;
        if events.woken() {
            Waker::drain(&self.waker)?;
        }
        Ok(())
    }

    /// The token of `registration`, if it is still valid.
    pub(crate) fn token(&self, registration: Registration) -> Option<Token> {
        let entry = self.slots.get(registration.index())?;
        if entry.generation == registration.generation { entry.token } else { None }
    }
}
