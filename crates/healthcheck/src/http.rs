//! The HTTP check: what is asked, and which answer is wanted.

mod body;
mod check;
mod chunked;
mod head;

use core::net::SocketAddr;
use core::ops::RangeInclusive;
use std::sync::Arc;

use thiserror::Error;

pub use body::Digest;
#[cfg(feature = "regex")]
pub use body::{BodyMatch, PatternError};
pub use check::HttpCheck;

/// How much of a body is read, unless set otherwise.
const BODY: usize = 1 << 20;

/// One or more requests to one server, each on a connection of its own. All of them have to be answered as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Http {
    requests: Arc<[Request]>,
}

impl Http {
    /// One request.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self { requests: Arc::new([request]) }
    }

    /// These requests in this order; with none of them, a connection is enough.
    #[must_use]
    pub fn all(requests: impl Into<Arc<[Request]>>) -> Self {
        Self { requests: requests.into() }
    }
}

/// Which HTTP a request speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.0, which ends with the connection.
    #[default]
    Http10,
    /// HTTP/1.0 with `Connection: close`, for servers that keep it open otherwise (keepalived's `1.0C`).
    Http10Close,
    /// HTTP/1.1 with `Connection: close`.
    Http11,
}

/// How a request asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// For the whole answer.
    #[default]
    Get,
    /// For its head only.
    Head,
}

/// A request and the answer that is wanted: a status of 200 to 299 unless set otherwise, and nothing about the body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    path: String,
    method: Method,
    version: HttpVersion,
    host: Option<String>,
    agent: String,
    statuses: Vec<RangeInclusive<u16>>,
    body: body::Wanted,
    body_limit: usize,
}

/// A text that cannot stand in a request line or a header: it has a control character, or is empty or has a space where that is not possible.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` cannot stand in a request", text.escape_debug())]
#[non_exhaustive]
pub struct RequestError {
    /// The text.
    pub text: String,
}

/// Texts come from configurations; none of them may begin another header.
fn checked(text: &str, space: bool) -> Result<String, RequestError> {
    let good = |character: char| !character.is_control() && (space || character != ' ');
    if text.is_empty() || !text.chars().all(good) {
        return Err(RequestError { text: text.to_owned() });
    }
    Ok(text.to_owned())
}

impl Request {
    /// Asks for this path (and query) by `GET` and HTTP/1.0.
    pub fn new(path: &str) -> Result<Self, RequestError> {
        Ok(Self {
            path: checked(path, false)?,
            method: Method::Get,
            version: HttpVersion::Http10,
            host: None,
            agent: "lvs-healthcheck".to_owned(),
            statuses: vec![200..=299],
            body: body::Wanted::default(),
            body_limit: BODY,
        })
    }

    /// Sets how it asks.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// Sets which HTTP it speaks.
    #[must_use]
    pub fn version(self, version: HttpVersion) -> Self {
        Self { version, ..self }
    }

    /// The virtual host: the `Host` header, else the server's address and port.
    pub fn host(self, host: &str) -> Result<Self, RequestError> {
        Ok(Self { host: Some(checked(host, false)?), ..self })
    }

    /// The `User-Agent` header.
    pub fn agent(self, agent: &str) -> Result<Self, RequestError> {
        Ok(Self { agent: checked(agent, true)?, ..self })
    }

    /// The wanted status codes.
    #[must_use]
    pub fn statuses(self, statuses: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        Self { statuses: statuses.into_iter().collect(), ..self }
    }

    /// The answer has to come to its end. Without this, and nothing wanted of the body, the head decides and the connection is
    /// closed.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.body.whole = true;
        self
    }

    /// The answer has to come to its end and its body not to be empty.
    #[must_use]
    pub fn some_body(mut self) -> Self {
        self.body.whole = true;
        self.body.some = true;
        self
    }

    /// The body has to have this digest.
    #[must_use]
    pub fn digest(mut self, digest: Digest) -> Self {
        self.body.digest = Some(digest);
        self
    }

    /// The body has to match.
    #[cfg(feature = "regex")]
    #[must_use]
    pub fn body_match(mut self, body_match: BodyMatch) -> Self {
        self.body.pattern = Some(body_match);
        self
    }

    /// How many bytes of the body are read when it matters; a longer one is a failure. 1 MiB unless set. They are kept in memory only for
    /// a pattern.
    #[must_use]
    pub fn body_limit(self, bytes: usize) -> Self {
        Self { body_limit: bytes, ..self }
    }

    /// The bytes to send to `target`.
    fn encode(&self, target: SocketAddr) -> Vec<u8> {
        let method = match self.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
        };
        let (version, close) = match self.version {
            HttpVersion::Http10 => ("1.0", ""),
            HttpVersion::Http10Close => ("1.0", "Connection: close\r\n"),
            HttpVersion::Http11 => ("1.1", "Connection: close\r\n"),
        };
        let address = target.to_string();
        let host = self.host.as_deref().unwrap_or(&address);
        let Self { path, agent, .. } = self;
        format!(
            "{method} {path} HTTP/{version}\r\nUser-Agent: {agent}\r\n{close}Host: {host}\r\n\r\n"
        )
        .into_bytes()
    }

    fn is_wanted(&self, status: u16) -> bool {
        self.statuses.iter().any(|range| range.contains(&status))
    }
}
