//! Watches servers, and says when one goes or comes back.
//!
//! ```text
//! cargo run --example health_check -- tcp://192.0.2.10:6379 https://192.0.2.11/health ping://192.0.2.12 \
//!     dns://192.0.2.53/example.com smtp://192.0.2.25 script:/usr/local/bin/check-database
//! ```
//!
//! One thread and one descriptor, whatever their number. Servers are addresses: names are resolved before a check exists, and here
//! by nobody. `https` takes any certificate. Ends with its input (Ctrl-D).

use std::{
    error::Error,
    io::{self, Write as _},
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use healthcheck::{
    Check, CheckId, DnsQuery, Driver, Http, Kind, Outcome, RecordType, Request, Script, Smtp,
    Timing, Tls, process::Program,
};
use reactor::{Clock, Events, Interest, Reactor, Token};

fn main() -> ExitCode {
    if let Err(error) = run() {
        eprintln!("health_check: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<(), Box<dyn Error>> {
    let servers: Vec<String> = std::env::args().skip(1).collect();
    if servers.is_empty() {
        return Err("give SERVER..., such as tcp://192.0.2.10:80".into());
    }
    // Two failures in a row and a server is down, two successes and it is up; in doubt, look again soon.
    let two = 2.try_into()?;
    let timing = Timing::new()
        .interval(Duration::from_secs(2))
        .timeout(Duration::from_secs(1))
        .fall(two)
        .rise(two)
        .retry_interval(Duration::from_millis(200))
        .first_success_decides(true)
        .initial(Outcome::Down)
        .start_jitter(Duration::from_millis(200));
    let mut driver = Driver::new(std::process::id().into())?;
    for (id, server) in (0..).zip(&servers) {
        let check = check(server).map_err(|error| format!("{server}: {error}"))?;
        driver.add(Clock::now(), CheckId(id), check.timing(timing));
    }

    let (mut reactor, mut events) = (Reactor::new()?, Events::with_capacity(1));
    reactor.register(&driver, Interest::Readable, Token(0))?;
    let (input_ended, waker) = (Arc::new(AtomicBool::new(false)), reactor.waker());
    let ended = Arc::clone(&input_ended);
    thread::spawn(move || {
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        ended.store(true, Ordering::Relaxed);
        waker.wake();
    });
    while !input_ended.load(Ordering::Relaxed) {
        reactor.wait(driver.poll_timeout(), &mut events)?;
        driver.process(Clock::now())?;
        while let Some(event) = driver.poll_event() {
            let server = usize::try_from(event.id.0).ok().and_then(|index| servers.get(index));
            let server = server.map_or("?", String::as_str);
            match event.cause {
                None => println!("{server} is {}", event.outcome),
                Some(cause) => println!("{server} is {}: {cause}", event.outcome),
            }
            if event.silent {
                println!("{server}: it cannot be told any more, see the check's last_deferral");
            }
            io::stdout().flush()?;
        }
    }
    Ok(())
}

/// What an argument asks for.
fn check(server: &str) -> Result<Check, Box<dyn Error>> {
    if let Some(path) = server.strip_prefix("script:") {
        return Ok(Check::script(Script::new(Program::new(path))));
    }
    let (scheme, rest) = server.split_once("://").ok_or("no scheme")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    let address = |port: u16| -> Result<SocketAddr, Box<dyn Error>> {
        let alone = host.trim_matches(['[', ']']).parse::<IpAddr>();
        Ok(alone.map(|ip| SocketAddr::new(ip, port)).or_else(|_| host.parse())?)
    };
    let page = || Ok::<_, Box<dyn Error>>(Kind::Http(Http::new(Request::new(path)?.whole())));
    Ok(match scheme {
        "tcp" => Check::new(address(80)?, Kind::Tcp),
        "http" => Check::new(address(80)?, page()?),
        "https" => Check::new(address(443)?, page()?).tls(Tls::unverified()?),
        "smtp" => Check::new(address(25)?, Kind::Smtp(Smtp::new("localhost")?)),
        "ping" => Check::new(address(0)?, Kind::Ping),
        "dns" => {
            let query = DnsQuery::new(path.trim_start_matches('/'), RecordType::SOA)?;
            Check::new(address(53)?, Kind::Dns(query))
        }
        _ => return Err("no scheme that is known".into()),
    })
}
