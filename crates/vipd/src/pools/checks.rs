//! From the checks of a `real_server` to those of a director.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use healthcheck::{
    BodyMatch, Check, Digest, DnsQuery, FileCheck, Http, HttpVersion, Kind, NumberRule, Outcome,
    Reply, Request, Script, Smtp, Source, Timing, Tls, Udp,
};
use keepalived_conf::{
    Check as Written, CheckSettings, Config, Connection, HttpCheck, HttpProtocol, MiscCheck,
    RealServer, Spanned, Target, UdpCheck, Url, VirtualServer,
};
use lvs::WeightRule;

use crate::scripts::runnable::Rules;

/// keepalived's name in its mail checks.
const HELO: &str = "smtpchecker.keepalived.org";
/// keepalived's name in its requests.
const AGENT: &str = "KeepAliveClient";

/// Why a check cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CheckError {
    #[error("HTTP_GET: {0}")]
    Request(#[from] healthcheck::RequestError),
    #[error("HTTP_GET: the pattern cannot be used: {0}")]
    Pattern(#[from] healthcheck::PatternError),
    #[error("SSL_GET: {0}")]
    Tls(#[from] healthcheck::TlsError),
    #[error("SMTP_CHECK: {0}")]
    Helo(#[from] healthcheck::HelloNameError),
    #[error("DNS_CHECK: {0}")]
    Name(#[from] healthcheck::DnsNameError),
    #[error("DNS_CHECK: {0}")]
    RecordType(#[from] healthcheck::UnknownRecordType),
}

/// What is not the same for all kinds.
#[derive(Clone, Copy)]
struct Defaults {
    retry: u32,
    /// `None`: the interval.
    delay_before_retry: Option<Duration>,
}

/// TCP, UDP, SMTP and ping.
const USUAL: Defaults = Defaults { retry: 1, delay_before_retry: Some(Duration::from_secs(1)) };
const HTTP: Defaults = Defaults { retry: 1, delay_before_retry: Some(Duration::from_secs(3)) };
const DNS: Defaults = Defaults { retry: 3, delay_before_retry: None };
const MISC: Defaults = Defaults { retry: 0, delay_before_retry: Some(Duration::from_secs(1)) };

/// The real server that is checked, and what is around it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) config: &'a Config,
    pub(super) rules: &'a Rules,
    pub(super) server: &'a VirtualServer,
    pub(super) real: &'a RealServer,
}

impl Place<'_> {
    /// The check, and what its number does to the weight; `None`: nothing to check by.
    pub(super) fn check(
        &self,
        written: &Written,
    ) -> Result<Option<(Check, WeightRule)>, CheckError> {
        let plain = |check| Ok(Some((check, WeightRule::Ignored)));
        match written {
            Written::Tcp(check) => plain(self.connected(check, Kind::Tcp, USUAL)),
            Written::Ping(check) => plain(self.connected(check, Kind::Ping, USUAL)),
            Written::Http(check) => plain(self.http(check)?),
            Written::Smtp(check) => {
                let name = check.helo_name.as_ref().map_or(HELO, |name| name.value.as_str());
                let kind = Kind::Smtp(Smtp::new(name)?.single_lines());
                plain(self.connected(&check.connection, kind, USUAL))
            }
            Written::Dns(check) => {
                let name = check.name.as_ref().map_or(".", |name| name.value.as_str());
                let record = check.record_type.as_ref().map_or("SOA", |kind| kind.value.as_str());
                let kind = Kind::Dns(DnsQuery::new(name, record.parse()?)?);
                plain(self.connected(&check.connection, kind, DNS))
            }
            Written::Udp(check) => {
                plain(self.connected(&check.connection, Kind::Udp(udp(check)), USUAL))
            }
            Written::Misc(check) => Ok(self.misc(check)),
            Written::File(check) => {
                let name = check.track_file.as_ref();
                let mut files = self.config.track_files.iter();
                let file =
                    files.find(|file| name.is_some_and(|name| name.value == file.name.value));
                let Some((file, path)) = file.and_then(|file| Some((file, file.path.as_ref()?)))
                else {
                    log::error!(
                        "real_server {}: FILE_CHECK names no track_file; it is left out",
                        self.real.address.value
                    );
                    return Ok(None);
                };
                let weight = check.weight.or(file.weight).map_or(1, |weight| weight.value);
                let reversed = if check.weight.is_some() { check.reverse } else { file.reverse };
                let weight = i32::from(if reversed.is_some() { -weight } else { weight });
                let (rule, effect) = match weight {
                    0 => (NumberRule::ZeroIsUp, WeightRule::Ignored),
                    weight => (NumberRule::Told, WeightRule::Added(weight)),
                };
                let check_file = FileCheck::new(&path.value, rule).otherwise(0);
                let timing = self.timing(&check.settings, USUAL);
                Ok(Some((Check::file(check_file).timing(timing), effect)))
            }
            Written::Unsupported(_) | _ => Ok(None),
        }
    }

    fn connected(&self, connection: &Connection, kind: Kind, defaults: Defaults) -> Check {
        let service_port = match self.server.target.value {
            Target::Address { port, .. } => port,
            Target::FirewallMark(_) | Target::Group(_) | _ => 0,
        };
        let address = connection.connect_ip.map_or(self.real.address.value, |one| one.value);
        let port = connection.connect_port.or(self.real.port).map_or(service_port, |one| one.value);
        Check::new(SocketAddr::new(address, port), kind)
            .source(source(connection, address))
            .timing(self.timing(&connection.settings, defaults))
    }

    fn http(&self, written: &HttpCheck) -> Result<Check, CheckError> {
        let host = [&written.virtualhost, &self.real.virtualhost, &self.server.virtualhost];
        let host = host.into_iter().flatten().next();
        let mut requests = Vec::new();
        for url in &written.urls {
            requests.push(request(written, url, host)?);
        }
        if requests.is_empty() {
            requests.push(request(written, &Url::default(), host)?);
        }
        let check = self.connected(&written.connection, Kind::Http(Http::all(requests)), HTTP);
        if !written.tls {
            return Ok(check);
        }
        let mut tls = Tls::unverified()?;
        let sni = written.sni_name.as_ref().or(host);
        if let Some(name) = sni.filter(|_| written.enable_sni.is_some_and(|on| on.value)) {
            tls = tls.server_name(&name.value)?;
        }
        Ok(check.tls(tls))
    }

    fn misc(&self, written: &MiscCheck) -> Option<(Check, WeightRule)> {
        let script = written.script.clone().unwrap_or_default();
        let refused = |error| {
            log::error!(
                "real_server {}: MISC_CHECK: {error}; it is left out",
                self.real.address.value
            );
        };
        let program = self.rules.runnable(&script).map_err(refused).ok()?.program;
        let dynamic = written.dynamic.is_some_and(|dynamic| dynamic.value);
        let script = Script::new(program);
        let (script, rule) = if dynamic {
            (script.weights(), WeightRule::ExitCode)
        } else {
            (script, WeightRule::Ignored)
        };
        let timing = self.timing(&written.settings, MISC).from_start(true);
        let settings = self.settings(&written.settings);
        let interval = settings.delay_loop.map_or(Duration::from_secs(60), |time| time.value);
        let timeout = written.timeout.map_or(interval, |timeout| timeout.value);
        Some((Check::script(script).timing(timing.timeout(timeout)), rule))
    }

    fn settings(&self, own: &CheckSettings) -> CheckSettings {
        own.or(&self.real.settings).or(&self.server.checks)
    }

    /// keepalived's times: the first check after one second and up to `warmup` more; each level may set them, the innermost stands.
    fn timing(&self, own: &CheckSettings, defaults: Defaults) -> Timing {
        let settings = self.settings(own);
        let seconds = |time: Option<Spanned<Duration>>, default| {
            time.map_or(default, |time: Spanned<Duration>| time.value)
        };
        let interval = seconds(settings.delay_loop, Duration::from_secs(60));
        let alpha = settings.alpha.is_some_and(|alpha| alpha.value);
        let retry = settings.retry.map_or(defaults.retry, |retry| retry.value);
        let delay = defaults.delay_before_retry.unwrap_or(interval);
        Timing::new()
            .interval(interval)
            .timeout(seconds(settings.connect_timeout, Duration::from_secs(5)))
            .keepalived_retry(retry, seconds(settings.delay_before_retry, delay))
            .start_delay(Duration::from_secs(1))
            .start_jitter(seconds(settings.warmup, interval))
            .initial(if alpha { Outcome::Down } else { Outcome::Up })
    }
}

fn source(connection: &Connection, target: IpAddr) -> Source {
    let mut source = Source::new();
    let any = if target.is_ipv4() {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    if connection.bindto.is_some() || connection.bind_port.is_some() {
        let address = connection.bindto.map_or(any, |address| address.value);
        let port = connection.bind_port.map_or(0, |port| port.value);
        source = source.address(SocketAddr::new(address, port));
    }
    if let Some(interface) = &connection.bind_interface {
        source = source.interface(&interface.value);
    }
    if let Some(mark) = connection.firewall_mark.filter(|mark| mark.value != 0) {
        source = source.mark(mark.value);
    }
    source
}

fn request(
    written: &HttpCheck,
    url: &Url,
    host: Option<&Spanned<String>>,
) -> Result<Request, CheckError> {
    let version = match written.protocol.map(|protocol| protocol.value) {
        Some(HttpProtocol::Http11) => HttpVersion::Http11,
        Some(HttpProtocol::Http10Close) => HttpVersion::Http10Close,
        _ => HttpVersion::Http10,
    };
    let path = url.path.as_ref().map_or("/", |path| path.value.as_str());
    let mut request = Request::new(path)?.version(version).agent(AGENT)?;
    if let Some(host) = url.virtualhost.as_ref().or(host) {
        request = request.host(&host.value)?;
    }
    if !url.statuses.is_empty() {
        request = request.statuses(url.statuses.iter().cloned());
    }
    if let Some(digest) = url.digest.as_ref().and_then(|digest| md5(&digest.value)) {
        request = request.digest(digest);
    }
    if let Some(regex) = &url.regex {
        let ignore_case = url.regex_options.iter().any(|option| option == "caseless");
        let multiline = url.regex_options.iter().any(|option| option == "multiline");
        let dot_all = url.regex_options.iter().any(|option| option == "dotall");
        let flags: String = [(ignore_case, 'i'), (multiline, 'm'), (dot_all, 's')]
            .into_iter()
            .filter_map(|(on, flag)| on.then_some(flag))
            .collect();
        let flags = if flags.is_empty() { flags } else { format!("(?{flags})") };
        let mut pattern = BodyMatch::new(&format!("{flags}{}", regex.value))?;
        let offset = |written: Option<Spanned<u32>>, default| {
            written.map_or(default, |offset| usize::try_from(offset.value).unwrap_or(default))
        };
        pattern = pattern
            .offsets(offset(url.regex_min_offset, 0), offset(url.regex_max_offset, usize::MAX));
        if url.regex_no_match.is_some() {
            pattern = pattern.absent();
        }
        request = request.body_match(pattern);
    }
    Ok(request)
}

/// The 32 hexadecimal digits of a digest.
fn md5(text: &str) -> Option<Digest> {
    let mut octets = [0; 16];
    for (index, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(Digest::Md5(octets))
}

fn udp(written: &UdpCheck) -> Udp {
    let udp = Udp::new(written.payload.clone());
    if written.require_reply.is_none() {
        return udp;
    }
    let length = |written: Option<Spanned<u16>>, default| {
        usize::from(written.map_or(default, |length| length.value))
    };
    let (least, most) =
        (length(written.min_reply_length, 0), length(written.max_reply_length, 255));
    let mut reply = Reply::new();
    // keepalived looks at the length only when it knows what to expect.
    if !written.reply.is_empty() {
        reply = reply.lengths(least..=most).begins(written.reply.clone());
    }
    udp.reply(reply)
}
