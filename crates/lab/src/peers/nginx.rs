//! nginx as a real server that says its name.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::namespace::Namespace;
use crate::process::Process;

/// A running nginx; dropping it ends it.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    _files: tempfile::TempDir,
}

impl Nginx {
    /// Starts nginx inside `namespace` on all addresses, port 80: every request is answered with `answer`. Returns
    /// when it listens.
    pub fn start(namespace: &Namespace, answer: &str) -> io::Result<Self> {
        let files = tempfile::tempdir()?;
        let directory = files.path().display();
        // One process, one user: it also runs in a user namespace that has only root.
        let conf = format!(
            "user root; daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;\n\
             events {{ worker_connections 512; }}\n\
             http {{\n\
             access_log off; keepalive_timeout 0; default_type text/plain;\n\
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n\
             fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; \
             scgi_temp_path {directory}/scgi;\n\
             server {{ listen 80; location / {{ return 200 \"{answer}\\n\"; }} }}\n\
             }}\n"
        );
        let path = files.path().join("nginx.conf");
        std::fs::write(&path, conf)?;
        let mut command =
            Command::new(crate::need::find_program("nginx").ok_or(io::ErrorKind::NotFound)?);
        command.args(["-e", "stderr", "-p"]).arg(files.path()).arg("-c").arg(&path);
        let process = Process::start(namespace, "nginx", &mut command)?;
        let nginx = Self { process, _files: files };
        let local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
        let ask = || crate::http::get(Ipv4Addr::LOCALHOST, local, Duration::from_secs(1)).ok();
        match namespace.run(|| crate::eventually(Duration::from_secs(10), ask)) {
            Some(_) => Ok(nginx),
            None => {
                Err(io::Error::other(format!("nginx does not answer: {}", nginx.process.log())))
            }
        }
    }

    /// Stops it as `nginx -s stop` does and waits for its end.
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        self.process.terminate()
    }
}
