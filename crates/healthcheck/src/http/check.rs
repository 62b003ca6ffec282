//! One run of the HTTP check.

use core::net::SocketAddr;
use core::time::Duration;

use super::body::Body;
use super::chunked::Chunked;
use super::head::{Collector, Framing};
use super::{Http, Method, Request};
use crate::ending::Ending;
use crate::{Failure, Machine, Output};

/// Answers of the 1xx class before the real one.
const INTERIM: u8 = 10;

#[derive(Debug)]
enum Part {
    Head(Collector),
    Counted { left: u64, body: Body },
    Chunked { decoder: Chunked, body: Body },
    UntilClose { body: Body },
}

/// One run of the HTTP check: sends the requests one after the other, each on a connection of its own.
#[derive(Debug)]
pub struct HttpCheck {
    http: Http,
    target: SocketAddr,
    /// Which request is under way.
    index: usize,
    message: Vec<u8>,
    part: Part,
    interim: u8,
    unsent: bool,
    reconnect: bool,
    ending: Ending,
}

impl HttpCheck {
    /// A run against `target`, whose address stands for a host that is not named.
    #[must_use]
    pub fn new(http: Http, target: SocketAddr) -> Self {
        Self {
            http,
            target,
            index: 0,
            message: Vec::new(),
            part: Part::Head(Collector::default()),
            interim: 0,
            unsent: false,
            reconnect: false,
            ending: Ending::Running,
        }
    }

    fn request(&self) -> Option<&Request> {
        self.http.requests.get(self.index)
    }

    /// The present request is answered.
    fn conclude(&mut self, result: Result<(), Failure>) {
        if !self.ending.is_running() {
            return;
        }
        self.index = self.index.saturating_add(1);
        if result.is_err() || self.request().is_none() {
            self.ending.decide(result);
            return;
        }
        self.part = Part::Head(Collector::default());
        self.reconnect = true;
    }

    fn conclude_body(&mut self) {
        let Some(request) = self.http.requests.get(self.index) else { return };
        let result = match &mut self.part {
            Part::Head(_) => return,
            Part::Counted { body, .. } | Part::Chunked { body, .. } | Part::UntilClose { body } => {
                if body.is_too_long() {
                    Err(Failure::TooLong { limit: request.body_limit })
                } else {
                    body.judge(&request.body)
                }
            }
        };
        self.conclude(result);
    }

    /// Takes a piece of the head; returns what is left of it for the body.
    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (Part::Head(collector), Some(request)) =
            (&mut self.part, self.http.requests.get(self.index))
        else {
            return bytes;
        };
        let (taken, head) = collector.take(bytes);
        let rest = bytes.get(taken..).unwrap_or_default();
        let head = match head {
            None => return rest,
            Some(Err(failure)) => {
                self.conclude(Err(failure));
                return &[];
            }
            Some(Ok(head)) => head,
        };
        if (100..=199).contains(&head.status) && head.status != 101 {
            self.interim = self.interim.saturating_add(1);
            if self.interim > INTERIM {
                let what = "too many interim responses";
                self.conclude(Err(Failure::Malformed { what }));
                return &[];
            }
            return self.take_head(rest);
        }
        if !request.is_wanted(head.status) {
            self.conclude(Err(Failure::Reply { code: head.status }));
            return &[];
        }
        if !request.body.needs_body() {
            self.conclude(Ok(()));
            return &[];
        }
        let body = Body::new(&request.body, request.body_limit);
        let framing = if request.method == Method::Head { Framing::None } else { head.framing };
        self.part = match framing {
            Framing::None => Part::Counted { left: 0, body },
            Framing::Length(left) => Part::Counted { left, body },
            Framing::Chunked => Part::Chunked { decoder: Chunked::new(), body },
            Framing::UntilClose => Part::UntilClose { body },
        };
        rest
    }

    fn take_body(&mut self, bytes: &[u8]) {
        let complete = match &mut self.part {
            Part::Head(_) => return,
            Part::Counted { left, body } => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                body.take(bytes.get(..here).unwrap_or_default());
                *left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                *left == 0 || body.is_too_long()
            }
            Part::Chunked { decoder, body } => {
                match decoder.decode(bytes, |chunk| body.take(chunk)) {
                    Ok(complete) => complete || body.is_too_long(),
                    Err(failure) => {
                        self.conclude(Err(failure));
                        return;
                    }
                }
            }
            Part::UntilClose { body } => {
                body.take(bytes);
                body.is_too_long()
            }
        };
        if complete {
            self.conclude_body();
        }
    }
}

impl Machine for HttpCheck {
    fn handle_connected(&mut self) {
        match self.request() {
            None => self.ending.decide(Ok(())),
            Some(request) => {
                self.message = request.encode(self.target);
                self.unsent = true;
            }
        }
    }

    fn handle_data(&mut self, bytes: &[u8]) {
        if !self.ending.is_running() || self.reconnect {
            return;
        }
        let rest = self.take_head(bytes);
        if self.ending.is_running() && !self.reconnect {
            self.take_body(rest);
        }
    }

    fn handle_closed(&mut self, failure: Option<Failure>) {
        if self.reconnect && failure.is_none() {
            return; // it is about to be closed anyway
        }
        match &self.part {
            // In good order: the end of the body.
            Part::UntilClose { .. } if failure.is_none() && self.ending.is_running() => {
                self.conclude_body();
                // The connection is gone already.
                if let Ending::Close(result) = self.ending {
                    self.ending = Ending::Report(result);
                }
            }
            Part::Counted { .. } | Part::Chunked { .. }
                if failure.is_none() && self.ending.is_running() =>
            {
                let what = "the body ends before its end";
                self.ending.closed(Some(Failure::Malformed { what }));
            }
            Part::Head(_)
            | Part::Counted { .. }
            | Part::Chunked { .. }
            | Part::UntilClose { .. } => {
                self.ending.closed(failure);
            }
        }
    }

    fn handle_timeout(&mut self, after: Duration) {
        self.ending.timed_out(after);
    }

    fn poll_output(&mut self) -> Option<Output<'_>> {
        if !self.ending.is_running() {
            return self.ending.poll_output();
        }
        if core::mem::take(&mut self.reconnect) {
            self.interim = 0;
            self.unsent = false;
            return Some(Output::Reconnect);
        }
        if core::mem::take(&mut self.unsent) {
            return Some(Output::Transmit(&self.message));
        }
        None
    }
}

#[cfg(test)]
mod tests;
