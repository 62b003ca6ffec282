//! Checks the invariants of `docs/properties.md` after every input.

use core::{net::IpAddr, time::Duration};

use vrrp_fsm::{
    AddressesLostPolicy, Config, Conflict, EffectFailed, EffectId, EncodeError, Fault, Faults,
    Heard, Instant, MAX_DATAGRAM_LEN, Output, PathId, Reason, SendFailed, State, Ticket, Verdict,
    VirtualRouter, Wanted, Why,
    vrrp_proto::{Advertisement, Header, Ipv4Packet, Priority, Trailer, Version, Vrid},
};

use crate::{
    host::{SECOND, SEED, address, advertisement_at, at},
    properties::ops::{Defect, FAULTS, OWN, Op, SOURCES, on_path, trailer, with_guard, with_paths},
};

/// A host that looks at everything the machine does.
pub(super) struct Observer {
    pub(super) router: VirtualRouter,
    now: Instant,
    /// The moment of the latest input.
    latest: Instant,
    sending: [Result<(), SendFailed>; 2],
    pending: Option<(EffectId, Wanted)>,
    wanted: Wanted,
    /// Whether some address may be installed.
    installed: bool,
    reported: State,
    term: u64,
    /// Whether an advertisement has been handed out in this mastership.
    advertised: bool,
    /// What the guard was asked so far.
    tickets: Vec<Ticket>,
    /// The latest advertisement.
    received: Option<Op>,
    /// Whether a mastership has failed: then nobody is preempted.
    failed: bool,
    pub(super) events: Vec<&'static str>,
}

/// What is visible of the machine.
#[derive(Debug, PartialEq)]
pub(super) struct Visible {
    state: State,
    reported: State,
    deadline: Option<Instant>,
    faults: Faults,
    priority: Priority,
    master: Option<Heard>,
    term: u64,
    why: Why,
}

impl Observer {
    pub(super) fn new(config: Config) -> Self {
        let mut router = VirtualRouter::new(config, SEED).unwrap();
        router.handle_source_address(at(0), PathId::FIRST, Some(address(OWN)));
        Self {
            router,
            now: at(0),
            latest: at(0),
            sending: [Ok(()); 2],
            pending: None,
            wanted: Wanted::None,
            installed: false,
            reported: State::Initialize,
            term: 0,
            advertised: false,
            tickets: Vec::new(),
            received: None,
            failed: false,
            events: Vec::new(),
        }
    }

    fn visible(&self) -> Visible {
        Visible {
            state: self.router.state(),
            reported: self.router.reported_state(),
            deadline: self.router.poll_timeout(),
            faults: self.router.faults(),
            priority: self.router.priority(),
            master: self.router.master(),
            term: self.router.term(),
            why: self.router.why(self.now),
        }
    }

    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::AdvanceClock(duration) => {
                let until = self.now + *duration;
                // A deadline in the past would hang this loop; it is bounded to show that.
                for _ in 0..10_000 {
                    let Some(deadline) = self.router.poll_timeout() else { break };
                    if deadline > until {
                        break;
                    }
                    self.now = self.now.max(deadline);
                    self.timeout();
                }
                assert!(self.router.poll_timeout().is_none_or(|deadline| deadline > until));
                self.now = until;
            }
            Op::Pause(duration) => self.now += *duration,
            Op::Timeout => self.timeout(),
            Op::Receive { .. } => {
                self.receive(op);
                self.received = Some(op.clone());
            }
            Op::Copy => {
                if let Some(Op::Receive { source, priority, interval, defect, path }) =
                    self.received
                {
                    self.receive(&Op::Receive {
                        source,
                        priority,
                        interval,
                        defect,
                        path: 1 - path,
                    });
                }
            }
            Op::Startup => self.input(op, VirtualRouter::handle_startup),
            Op::Shutdown => self.input(op, VirtualRouter::handle_shutdown),
            Op::AnswerEffect(success) => self.answer(op, *success),
            Op::StaleEffect => {
                let (late, before) = (self.late(), self.visible());
                self.input(op, |router, now| {
                    router.handle_effect(now, EffectId::default(), Err(EffectFailed));
                });
                // A9: what is over changes nothing.
                assert!(late || self.visible() == before);
            }
            Op::Sending { path, works } => {
                self.sending[*path] = if *works { Ok(()) } else { Err(SendFailed) };
            }
            Op::Fault(fault) => {
                self.input(op, |router, now| router.handle_fault(now, FAULTS[*fault]));
            }
            Op::FaultCleared(fault) => {
                self.input(op, |router, now| router.handle_fault_cleared(now, FAULTS[*fault]));
            }
            Op::Source { path, present } => {
                let source = present.then(|| address(on_path(OWN, *path)));
                let path = PathId::new(u8::try_from(*path).unwrap());
                self.input(op, |router, now| router.handle_source_address(now, path, source));
            }
            Op::Priority(priority) => {
                self.input(op, |router, now| router.handle_priority(now, Priority::new(*priority)));
            }
            Op::Reconfigure { priority, interval, addresses, guard, dialect, paths } => {
                let addresses = (1..=*addresses).map(|host| IpAddr::from([192, 0, 2, 100 + host]));
                let config = dialect
                    .speak(self.router.config().clone())
                    .priority(Priority::new(*priority))
                    .advertisement_interval(*interval)
                    .virtual_addresses(addresses.collect());
                let config = with_guard(with_paths(config, *paths), *guard);
                self.input(op, |router, now| router.handle_config(now, config.clone()).unwrap());
            }
            Op::TimeoutInBacklog => {
                let (late, before) = (self.late(), self.visible());
                self.input(op, VirtualRouter::handle_timeout_in_backlog);
                // Only a Master acts before everything is heard.
                let acts = before.state == State::Master;
                assert!(acts || late || self.visible() == before);
                assert!(acts || self.router.state() == before.state);
            }
            Op::MacChanged => self.input(op, VirtualRouter::handle_mac_changed),
            Op::Overflow => self.input(op, VirtualRouter::handle_overflow),
            Op::AddressesLost => self.input(op, VirtualRouter::handle_addresses_lost),
            Op::Verdict(verdict) => {
                if let [.., ticket] = self.tickets[..] {
                    self.input(op, |router, now| {
                        let ticket = router.pending_question().unwrap_or(ticket);
                        router.handle_verdict(now, ticket, *verdict);
                    });
                }
            }
            Op::StaleVerdict(verdict) => {
                if let [.., one, other] = self.tickets[..] {
                    let (late, before) = (self.late(), self.visible());
                    self.input(op, |router, now| {
                        let stale =
                            if router.pending_question() == Some(one) { other } else { one };
                        router.handle_verdict(now, stale, *verdict);
                    });
                    assert!(late || self.visible() == before);
                }
            }
        }
    }

    fn timeout(&mut self) {
        self.input(&Op::Timeout, VirtualRouter::handle_timeout);
        if let Some(deadline) = self.router.poll_timeout() {
            assert!(deadline > self.now, "{deadline} is not after {}", self.now);
        }
        let before = self.visible();
        self.router.handle_timeout(self.now);
        assert_eq!(self.router.poll_output(), None, "a repeated timeout does nothing");
        assert_eq!(self.visible(), before, "a repeated timeout does nothing");
    }

    fn receive(&mut self, op: &Op) {
        let Op::Receive { source, priority, interval, defect, path } = *op else { return };
        let path = path.min(self.router.paths().count() - 1);
        let op = &Op::Receive { source, priority, interval, defect, path };
        let source = SOURCES[source];
        let template = self.router.config().clone().advertisement_interval(interval);
        let template = with_paths(template, 1);
        let alone = template.clone().also_version_2(false);
        let other_version = match template.version {
            Version::V2 => alone.version(Version::V3),
            Version::V3 if template.also_version_2 => alone.version(Version::V2),
            Version::V3 => alone.version(Version::V2).advertisement_interval(SECOND),
        };
        let sender = match defect {
            Defect::Version => other_version,
            Defect::Vrid => {
                let mut other = template;
                other.vrid = Vrid::new(52).unwrap();
                other
            }
            Defect::Addresses => template.virtual_addresses(vec![address("192.0.2.200")]),
            Defect::Unsigned => template.trailer(None),
            Defect::Key if template.trailer.is_some() => template.trailer(Some(trailer(2))),
            Defect::None
            | Defect::Checksum
            | Defect::HopLimit
            | Defect::Truncated
            | Defect::Key => template,
        };
        let utc = Duration::from_nanos(self.now.as_nanos());
        let mut packet = advertisement_at(utc, sender, on_path(source, path), priority);
        packet.path = PathId::new(u8::try_from(path).unwrap());
        match defect {
            Defect::Checksum => *packet.bytes.last_mut().unwrap() ^= 0x55,
            Defect::HopLimit => packet.bytes[8] = 254,
            Defect::Truncated => {
                packet.bytes[3] -= 1;
                packet.bytes.pop();
            }
            _ => {}
        }
        // A late wake is answered first, whatever the packet is.
        let late = self.late();
        let before = self.visible();
        let discards = self.discards();
        let mut result = Ok(());
        self.input(op, |router, now| result = router.handle_datagram(now, packet.datagram()));
        let counted = self.discards() - discards;
        assert_eq!(counted, u64::from(result.is_err()), "one counter a discard: {result:?}");
        let no_defect = match defect {
            Defect::None | Defect::Addresses => true,
            Defect::Unsigned | Defect::Key => self.router.config().trailer.is_none(),
            Defect::Version => self.router.config().also_version_2,
            _ => false,
        };
        if !no_defect || source == OWN {
            assert!(result.is_err(), "{defect:?} from {source} was accepted");
        }
        if result.is_err() && !late {
            // A7: an invalid packet changes nothing but counters.
            assert_eq!(self.visible(), before, "{result:?}");
        }
        let preempted = priority > 0
            && priority < before.priority.get()
            && self.router.config().preempt_mode
            && self.router.config().preempt_delay.is_zero()
            && before.state == State::Backup
            && !matches!(before.why, Why::AwaitingVerdict { .. })
            && !late
            && !self.failed;
        if preempted {
            // VS-39: a worse Master does not move the timer.
            assert_eq!(self.visible().deadline, before.deadline);
        }
    }

    fn discards(&self) -> u64 {
        self.router.statistics().discards().map(|(_, number)| number).sum()
    }

    fn late(&self) -> bool {
        self.router.poll_timeout().is_some_and(|deadline| deadline < self.now)
    }

    fn answer(&mut self, op: &Op, success: bool) {
        let Some((id, wanted)) = self.pending.take() else { return };
        if success {
            self.installed = wanted == Wanted::All;
        }
        let result = if success { Ok(()) } else { Err(EffectFailed) };
        let waits = self.router.pending_effect() == Some(id);
        self.input(op, |router, now| {
            let id = router.pending_effect().filter(|_| waits).unwrap_or(id);
            router.handle_effect(now, id, result);
        });
    }

    /// Gives one input, carries out what follows, and checks both.
    fn input(&mut self, op: &Op, mut input: impl FnMut(&mut VirtualRouter, Instant)) {
        self.input_dyn(op, &mut input);
    }

    fn input_dyn(&mut self, op: &Op, input: &mut dyn FnMut(&mut VirtualRouter, Instant)) {
        let before = self.visible();
        let outputs = self.step(input);
        let faults = self.router.faults();
        self.failed |= faults.contains(Fault::CannotAdvertise);
        self.failed |= faults.contains(Fault::AddressesFailed);
        assert!(outputs.len() <= 6, "{op:?} makes {outputs:?}");
        let entered = self.router.state() == State::Master && self.router.term() > before.term;
        if entered {
            self.advertised = false;
        }
        for output in &outputs {
            self.output(op, &before, *output);
        }
        self.check_state(op, &before);
        // Only now, because its results are inputs of their own.
        for output in outputs {
            if let Output::Send(_) = output {
                for (path, result) in
                    self.router.paths().collect::<Vec<_>>().into_iter().zip(self.sending)
                {
                    let has_source = self.router.source(path).is_some();
                    let result = if has_source { result } else { Err(SendFailed) };
                    let mut sent = |router: &mut VirtualRouter, now| {
                        router.handle_send(now, path, result);
                    };
                    self.input_dyn(op, &mut sent);
                }
            }
        }
    }

    /// Gives an input, and the same to a twin that is what a model checker would have made of the
    /// machine after the former one: it has to do the same, and to become the same.
    fn step(&mut self, input: &mut dyn FnMut(&mut VirtualRouter, Instant)) -> Vec<Output> {
        let mut twin = self.router.clone();
        twin.canonicalize(self.latest);
        let since = self.now.saturating_duration_since(self.latest);
        let twins_now = VirtualRouter::CANONICAL_NOW + since;
        input(&mut twin, twins_now);
        input(&mut self.router, self.now);
        self.latest = self.now;
        let (outputs, twins) = (drain(&mut self.router), drain(&mut twin));
        // When a conflict was told of last is no part of the form.
        let conflict = |output: &&Output| !matches!(output, Output::Conflict { .. });
        let same = outputs.iter().filter(conflict).map(essence);
        let same = same.eq(twins.iter().filter(conflict).map(essence));
        assert!(same, "{outputs:?} {twins:?}");
        let mut canonical = self.router.clone();
        canonical.canonicalize(self.now);
        twin.canonicalize(twins_now);
        assert_eq!(canonical, twin);
        outputs
    }

    fn output(&mut self, op: &Op, before: &Visible, output: Output) {
        self.events.push(match output {
            Output::Send(send) if send.priority.is_release() => "release",
            Output::Send(_) => "send",
            Output::SetAddresses { wanted: Wanted::All, .. } => "install",
            Output::SetAddresses { wanted: Wanted::None, .. } => "remove",
            Output::Announce => "announce",
            Output::AskPromotion { .. } => "ask",
            Output::StateChanged { to: State::Initialize, .. } => "to initialize",
            Output::StateChanged { to: State::Backup, .. } => "to backup",
            Output::StateChanged { to: State::Master, .. } => "to master",
            Output::Contended { .. } => "contended",
            Output::Conflict { conflict: Conflict::Owner { .. }, .. } => "owner conflict",
            Output::Conflict { .. } => "address conflict",
        });
        match output {
            Output::Send(send) if send.priority.is_release() => {
                // A2: only a Master that leaves says so.
                assert_eq!(before.state, State::Master, "{op:?}");
                assert_ne!(self.router.state(), State::Master, "{op:?}");
                self.check_encoding(output);
            }
            Output::Send(send) => {
                let owners = matches!(op, Op::Receive { priority: 255, .. });
                let owners = owners && before.priority.is_owner();
                let yields = (self.router.config().advertise_before_yielding || owners)
                    && before.state == State::Master
                    && matches!(op, Op::Receive { .. });
                assert!(self.router.state() == State::Master || yields, "{op:?}");
                assert_eq!(send.priority, self.router.priority(), "{op:?}");
                self.advertised = true;
                self.check_encoding(output);
            }
            Output::SetAddresses { wanted, id } => {
                if let Some((older, _)) = self.pending {
                    assert!(id > older);
                }
                if wanted == Wanted::All {
                    // A3: installed only by a Master that has advertised.
                    assert_eq!(self.router.state(), State::Master, "{op:?}");
                    assert!(self.advertised, "{op:?}");
                    self.installed = true;
                }
                self.wanted = wanted;
                self.pending = Some((id, wanted));
            }
            Output::Announce => {
                assert_eq!(self.router.state(), State::Master, "{op:?}");
                assert_eq!(self.reported, State::Master, "{op:?}");
                assert!(self.advertised && self.installed && self.pending.is_none(), "{op:?}");
            }
            Output::AskPromotion { ticket, reason } => {
                assert_eq!(self.router.state(), State::Backup, "{op:?}");
                assert!(!matches!(reason, Reason::MasterReleased { .. }), "{op:?}");
                assert!(self.tickets.last().is_none_or(|former| ticket > *former), "{op:?}");
                let guard = self.router.config().guard.unwrap();
                let deadline = self.router.poll_timeout().unwrap();
                assert!(deadline <= self.now + guard.deadline, "{op:?}");
                self.tickets.push(ticket);
            }
            Output::StateChanged { from, to, term, .. } => {
                assert_eq!(from, self.reported, "{op:?}");
                assert_ne!(from, to, "{op:?}");
                match to {
                    State::Master => {
                        assert!(term > self.term, "{op:?}");
                        assert!(self.installed && self.pending.is_none(), "{op:?}");
                    }
                    State::Backup => assert_eq!(self.wanted, Wanted::None, "{op:?}"),
                    State::Initialize => {
                        assert!(!self.installed && self.wanted == Wanted::None, "{op:?}");
                    }
                }
                self.reported = to;
                self.term = term;
            }
            Output::Contended { winner, loser, .. } => {
                assert_eq!(winner, address(OWN));
                assert_ne!(loser, winner);
            }
            Output::Conflict { conflict, total } => {
                assert!(total > 0);
                assert_eq!(conflict_of(op, before, &self.router), Some(conflict), "{op:?}");
            }
        }
    }

    /// A10: our advertisements are valid, and the same however often they are encoded.
    fn check_encoding(&self, output: Output) {
        for path in self.router.paths() {
            self.check_encoding_on(path, output);
        }
    }

    fn check_encoding_on(&self, path: PathId, output: Output) {
        let Output::Send(send) = output else { return };
        let destination = self.router.destinations(path).next().unwrap();
        let (mut first, mut second) = ([0; MAX_DATAGRAM_LEN], [0xff; MAX_DATAGRAM_LEN]);
        let encoded = self.router.encode(&send, path, destination, &mut first);
        let again = self.router.encode(&send, path, destination, &mut second);
        assert_eq!(encoded, again);
        let bytes = match encoded {
            Ok(bytes) => bytes,
            Err(error) => {
                assert_eq!(error, EncodeError::NoSourceAddress { path });
                assert_eq!(self.router.source(path), None);
                return;
            }
        };
        let packet = Ipv4Packet::parse(bytes).unwrap();
        let config = self.router.config();
        let header = Header::parse(packet.payload()).unwrap();
        let (message, behind) = header.split(packet.payload(), config.family).unwrap();
        if let Some(trailer) = &config.trailer {
            let verified = Trailer::parse(message, behind)
                .and_then(|found| found.verify(&trailer.keys()[0], packet.pseudo_header()));
            assert_eq!(verified, Ok(message));
        } else {
            assert!(behind.is_empty());
        }
        let parsed = Advertisement::parse(message, packet.pseudo_header()).unwrap();
        assert_eq!(parsed.version(), send.version);
        assert_eq!(parsed.priority(), send.priority);
        assert_eq!(parsed.vrid(), config.vrid);
        assert_eq!(parsed.interval().as_duration(), config.advertisement_interval);
        assert!(parsed.addresses().iter().eq(config.virtual_addresses.iter().copied()));
    }

    fn check_state(&self, op: &Op, before: &Visible) {
        let now = self.visible();
        let config = self.router.config();
        assert_eq!(now.reported, self.reported);
        assert_eq!(self.router.statistics().outputs_lost, 0);
        match now.state {
            State::Initialize => {
                // A1: no timer of the protocol; those of retries and pauses have their cause.
                let pausing = now.faults.contains(Fault::CannotAdvertise)
                    || now.faults.contains(Fault::AddressesFailed);
                let removing = self.installed || self.pending.is_some();
                let delayed = self.router.is_candidate() && !config.start_delay.is_zero();
                let cause = pausing || removing || delayed;
                assert!(now.deadline.is_none() || cause, "{op:?}: {now:?}");
            }
            State::Backup => {
                assert!(now.faults.is_empty(), "{op:?}");
                assert_eq!(now.reported, State::Backup, "{op:?}");
                // A6, as far as it can be seen from outside.
                let learned = now.master.map(|master| master.interval);
                let longest = learned.unwrap_or_default().max(config.advertisement_interval);
                let skew = longest.max(SECOND);
                let latest = self.now + longest * u32::from(config.missed_advertisements) + skew;
                assert!(now.deadline.unwrap() <= latest, "{op:?}: {now:?}");
            }
            State::Master => {
                assert!(now.faults.is_empty(), "{op:?}");
                let latest = self.now + config.advertisement_interval;
                assert!(now.deadline.unwrap() <= latest, "{op:?}: {now:?}");
            }
        }
        if now.state != State::Master {
            assert_eq!(self.wanted, Wanted::None, "{op:?}");
        }
        if now.state == State::Master && before.state == State::Initialize {
            // A4: only the owner skips Backup.
            assert!(now.priority.is_owner(), "{op:?}");
        }
        if now.state == State::Master && before.state == State::Backup {
            self.check_promotion(op, before);
        }
        if now.state == State::Backup && before.state == State::Master {
            self.check_demotion(op, before);
        }
    }

    /// Only at a deadline, or when a guard allows it; out of silence not without its leave.
    fn check_promotion(&self, op: &Op, before: &Visible) {
        let asked = matches!(before.why, Why::AwaitingVerdict { .. });
        let due = before.deadline.is_some_and(|deadline| deadline <= self.now);
        match op {
            Op::Timeout => assert!(due, "{op:?}"),
            Op::Verdict(verdict) => assert!(asked && (due || *verdict == Verdict::Promote)),
            other => panic!("{other:?} promoted"),
        }
        let reason = match self.router.why(self.now) {
            Why::Installing { reason, .. } | Why::Serving { reason, .. } => Some(reason),
            _ => None,
        };
        let Some(guard) = self.router.config().guard else { return };
        if reason == Some(Reason::MasterSilent) && guard.max_vetoes.is_none() {
            assert!(asked, "{op:?} promoted out of silence");
            assert!(!due || guard.default_verdict == Verdict::Promote, "{op:?} after a veto");
        }
    }

    /// A5: only for a better advertisement, a late wake, or stolen addresses.
    fn check_demotion(&self, op: &Op, before: &Visible) {
        let late = before.deadline.is_some_and(|deadline| deadline < self.now);
        match op {
            Op::Receive { priority, .. } => {
                assert!(late || *priority >= before.priority.get(), "{op:?}");
            }
            Op::AddressesLost => {
                let policy = self.router.config().addresses_lost;
                assert!(late || policy == AddressesLostPolicy::StepDown, "{op:?}");
            }
            other => assert!(late, "{other:?} demoted"),
        }
    }
}

fn drain(router: &mut VirtualRouter) -> Vec<Output> {
    core::iter::from_fn(|| router.poll_output()).collect()
}

/// What an output makes happen.
fn essence(output: &Output) -> (&'static str, u8) {
    match *output {
        Output::Send(send) => ("send", send.priority.get()),
        Output::SetAddresses { wanted: Wanted::All, .. } => ("install", 0),
        Output::SetAddresses { wanted: Wanted::None, .. } => ("remove", 0),
        Output::Announce => ("announce", 0),
        Output::AskPromotion { .. } => ("ask", 0),
        Output::StateChanged { to: State::Initialize, .. } => ("to initialize", 0),
        Output::StateChanged { to: State::Backup, .. } => ("to backup", 0),
        Output::StateChanged { to: State::Master, .. } => ("to master", 0),
        Output::Contended { ongoing, .. } => ("contended", u8::from(ongoing)),
        Output::Conflict { .. } => ("conflict", 0),
    }
}

/// What a received advertisement may give reason to shout about.
fn conflict_of(op: &Op, before: &Visible, router: &VirtualRouter) -> Option<Conflict> {
    let Op::Receive { source, priority, path, .. } = op else { return None };
    let other = address(SOURCES[*source]);
    if SOURCES[*source] == OWN {
        let address = address(on_path(OWN, *path));
        (before.state != State::Initialize).then_some(Conflict::SourceAddress { address })
    } else {
        let owners = *priority == 255 && router.config().priority.is_owner();
        owners.then_some(Conflict::Owner { other })
    }
}
