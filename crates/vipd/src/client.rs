//! `vipd status`, `why`, `events`, `plan`, ...: asks a running daemon by its control socket.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is asked, and how the answer is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) socket: PathBuf,
    pub(crate) line: String,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Once,
    /// Again every second, on a screen that is cleared.
    Watch,
    /// Lines as they come.
    Follow,
}

const PERIOD: Duration = Duration::from_secs(1);

/// 0 answered, 1 the daemon refuses, 2 nobody answers.
pub(crate) fn ask(question: &Question) -> ExitCode {
    loop {
        let code = match exchange(question) {
            Ok(code) => code,
            Err(error) => {
                let absent = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
                let why = if absent.contains(&error.kind()) {
                    "no vipd runs here (it listens where `vipd run --control` says)".into()
                } else if error.kind() == io::ErrorKind::PermissionDenied {
                    "only the user that runs the daemon may ask it: use sudo".into()
                } else {
                    error.to_string()
                };
                let text = format!("vipd: {}: {why}\n", question.socket.display());
                io::stderr().write_all(text.as_bytes()).unwrap_or_default();
                return ExitCode::from(2);
            }
        };
        if question.how != How::Watch {
            return ExitCode::from(code);
        }
        crossbeam_channel::never::<()>().recv_timeout(PERIOD).unwrap_or_default();
    }
}

fn exchange(question: &Question) -> io::Result<u8> {
    let mut connection = UnixStream::connect(&question.socket)?;
    connection.write_all(format!("{}\n", question.line).as_bytes())?;
    let mut out = io::stdout();
    if question.how == How::Follow {
        let mut part = [0; 4096];
        loop {
            let length = connection.read(&mut part)?;
            if length == 0 {
                return Ok(0);
            }
            out.write_all(part.get(..length).unwrap_or_default())?;
            out.flush()?;
        }
    }
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    if let Some(refused) = answer.strip_prefix("error: ") {
        io::stderr().write_all(format!("vipd: {refused}").as_bytes())?;
        return Ok(1);
    }
    if question.how == How::Watch {
        // Home, and everything below cleared.
        out.write_all(b"\x1b[H\x1b[J")?;
    }
    out.write_all(answer.as_bytes())?;
    Ok(0)
}
