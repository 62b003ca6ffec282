//! The checks of a `real_server`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::lvs::CheckSettings;
use super::vrrp::Command;
use crate::source::{Span, Spanned};

/// One check of a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// `TCP_CHECK`.
    Tcp(Box<Connection>),
    /// `PING_CHECK`.
    Ping(Box<Connection>),
    /// `HTTP_GET`, `SSL_GET`.
    Http(Box<HttpCheck>),
    /// `SMTP_CHECK`.
    Smtp(Box<SmtpCheck>),
    /// `DNS_CHECK`.
    Dns(Box<DnsCheck>),
    /// `UDP_CHECK`.
    Udp(Box<UdpCheck>),
    /// `MISC_CHECK`.
    Misc(Box<MiscCheck>),
    /// `FILE_CHECK`.
    File(Box<FileCheck>),
    /// A check that is understood but not typed, by its keyword.
    Unsupported(UnsupportedCheck),
}

/// Where a check connects to, from where, and when: all of `TCP_CHECK` and `PING_CHECK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// `connect_ip`; default: the real server's.
    pub connect_ip: Option<Spanned<IpAddr>>,
    /// `connect_port`; default: the real server's.
    pub connect_port: Option<Spanned<u16>>,
    /// `bindto`.
    pub bindto: Option<Spanned<IpAddr>>,
    /// `bind_port`.
    pub bind_port: Option<Spanned<u16>>,
    /// `bind_if`.
    pub bind_interface: Option<Spanned<String>>,
    /// `fwmark`.
    pub firewall_mark: Option<Spanned<u32>>,
    /// Timing.
    pub settings: CheckSettings,
    /// The keyword.
    pub span: Span,
}

/// `http_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpProtocol {
    /// `1.0`.
    Http10,
    /// `1.0C`: 1.0 with `Connection: close`.
    Http10Close,
    /// `1.1`.
    Http11,
}

/// `HTTP_GET { }`, `SSL_GET { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpCheck {
    /// Where to, and when.
    pub connection: Connection,
    /// Whether it is `SSL_GET`.
    pub tls: bool,
    /// `url { }` blocks.
    pub urls: Vec<Url>,
    /// `virtualhost`; default: the real server's, the virtual server's, its address.
    pub virtualhost: Option<Spanned<String>>,
    /// `http_protocol`; default 1.0.
    pub protocol: Option<Spanned<HttpProtocol>>,
    /// `enable_sni`.
    pub enable_sni: Option<Spanned<bool>>,
    /// `sni_name`; default: the virtual host.
    pub sni_name: Option<Spanned<String>>,
}

/// `url { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Url {
    /// `path`.
    pub path: Option<Spanned<String>>,
    /// `digest`: of MD5, 32 hexadecimal digits.
    pub digest: Option<Spanned<String>>,
    /// `status_code`; default 200 to 299.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// `virtualhost`, over that of the check.
    pub virtualhost: Option<Spanned<String>>,
    /// `regex`.
    pub regex: Option<Spanned<String>>,
    /// `regex_no_match`: the body must not match.
    pub regex_no_match: Option<Span>,
    /// `regex_options`.
    pub regex_options: Vec<String>,
    /// `regex_min_offset`.
    pub regex_min_offset: Option<Spanned<u32>>,
    /// `regex_max_offset`.
    pub regex_max_offset: Option<Spanned<u32>>,
    /// The keyword.
    pub span: Span,
}

/// `SMTP_CHECK { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpCheck {
    /// Where to, and when.
    pub connection: Connection,
    /// `helo_name`; default `smtpchecker.keepalived.org`.
    pub helo_name: Option<Spanned<String>>,
}

/// `DNS_CHECK { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsCheck {
    /// Where to, and when.
    pub connection: Connection,
    /// `name`; default `.`.
    pub name: Option<Spanned<String>>,
    /// `type`; default SOA.
    pub record_type: Option<Spanned<String>>,
}

/// `UDP_CHECK { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpCheck {
    /// Where to, and when.
    pub connection: Connection,
    /// `payload`.
    pub payload: Vec<u8>,
    /// `require_reply`.
    pub require_reply: Option<Span>,
    /// The bytes behind `require_reply`; `None` in it stands for any byte.
    pub reply: Vec<Option<u8>>,
    /// `min_reply_length`; default 0.
    pub min_reply_length: Option<Spanned<u16>>,
    /// `max_reply_length`; default 255.
    pub max_reply_length: Option<Spanned<u16>>,
}

/// `MISC_CHECK { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MiscCheck {
    /// `misc_path`, with the user of `user`.
    pub script: Option<Command>,
    /// `user USER [GROUP]`.
    pub user: Option<Spanned<String>>,
    /// The group of it.
    pub group: Option<Spanned<String>>,
    /// `misc_timeout`; default: `delay_loop`.
    pub timeout: Option<Spanned<Duration>>,
    /// `misc_dynamic`: the exit code tells a weight.
    pub dynamic: Option<Spanned<bool>>,
    /// Timing.
    pub settings: CheckSettings,
    /// The keyword.
    pub span: Span,
}

/// `FILE_CHECK { }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileCheck {
    /// `track_file`: the name of a `track_file` block.
    pub track_file: Option<Spanned<String>>,
    /// `weight`; default: the file's.
    pub weight: Option<Spanned<i16>>,
    /// `weight N reverse`.
    pub reverse: Option<Span>,
    /// Timing.
    pub settings: CheckSettings,
    /// The keyword.
    pub span: Span,
}

/// A check of a kind that this version does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsupportedCheck {
    /// Its keyword, e.g. `BFD_CHECK`.
    pub keyword: Spanned<String>,
}
