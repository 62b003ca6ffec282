//! What an operator asks of the daemon through the control socket.

use core::time::Duration;
use std::path::PathBuf;

use ipvs::{DestinationKey, ServiceKey};

use super::{Running, Wanted, chain};
use crate::routers::Routers;
use crate::{json, state};

/// How long a drained server's connections are waited for unless told otherwise.
const DRAIN: Duration = Duration::from_secs(300);

impl Running {
    /// The answer to a question; it begins with `error: ` when there is none.
    pub(super) fn answer(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let answer = match words.as_slice() {
            ["status"] => Ok(self.status()),
            ["status", "json"] => Ok(format!("{}\n", self.json())),
            ["why", name] => self.why(name),
            ["resign", name] => self.stand(name, false),
            ["campaign", name] => self.stand(name, true),
            ["drain", server] => self.drain(server, Some(DRAIN)),
            ["drain", server, seconds] => match seconds.parse() {
                Ok(seconds) => self.drain(server, Some(Duration::from_secs(seconds))),
                Err(_) => Err(format!("`{seconds}` is no number of seconds")),
            },
            ["restore", server] => self.drain(server, None),
            // A path may have blanks in it.
            ["plan", ..] => self.plan(line.trim_start().trim_start_matches("plan").trim().into()),
            _ => Err(format!("`{line}` is not understood")),
        };
        answer.unwrap_or_else(|error| format!("error: {error}\n"))
    }

    fn status(&self) -> String {
        let lines = state::lines(self.routers.as_ref(), self.director.as_ref());
        if lines.is_empty() {
            return "nothing runs\n".into();
        }
        lines.iter().map(|line| crate::render::printable(line) + "\n").collect()
    }

    pub(super) fn json(&self) -> json::Json {
        let routers = self.routers.as_ref().map(Routers::status).unwrap_or_default();
        let director = self.director.as_ref().and_then(|director| director.status().ok());
        json::state(&routers, director.as_ref())
    }

    fn why(&self, name: &str) -> Result<String, String> {
        let routers = self.routers.as_ref().map(Routers::status).unwrap_or_default();
        if let Some(status) = routers.iter().find_map(|status| status.virtual_router(name)) {
            let mut lines = vec![
                format!("{name} is {}: {}\n", status.state, status.why),
                format!("effective priority {}\n", status.priority),
            ];
            for tracker in &status.trackers {
                lines.push(format!(
                    "tracks {}: {:?}, influence {:?}\n",
                    tracker.name, tracker.condition, tracker.influence
                ));
            }
            for path in &status.paths {
                let ago = |since: Option<Duration>| {
                    since.map_or_else(|| "never".into(), |since| format!("{since:.1?} ago"))
                };
                lines.push(format!(
                    "on {}: sent {}, heard {}\n",
                    path.interface,
                    ago(path.sent),
                    ago(path.heard)
                ));
            }
            return Ok(lines.concat());
        }
        if let Some(group) = routers.iter().find_map(|status| status.sync_group(name)) {
            return Ok(format!("{name} is {group}\n"));
        }
        let Some(director) = &self.director else {
            return Err(format!("there is no `{name}`; `vipd status` lists what there is"));
        };
        let mut lines = Vec::new();
        for (service, server) in self.places(name)? {
            if let Ok(Some(why)) = director.handle().why(service, server) {
                lines.push(format!("{why}\n"));
            }
        }
        Ok(lines.concat())
    }

    /// Every service that has this real server: `ADDRESS` or `ADDRESS:PORT`.
    fn places(&self, server: &str) -> Result<Vec<(ServiceKey, DestinationKey)>, String> {
        let status = self.director.as_ref().and_then(|director| director.status().ok());
        let services = status.map(|status| status.services).unwrap_or_default();
        let fits =
            |key: &DestinationKey| key.to_string() == server || key.address.to_string() == server;
        let places: Vec<_> = services
            .iter()
            .flat_map(|service| {
                let servers = service.real_servers.iter().map(|server| server.destination);
                servers.filter(fits).map(|server| (service.service, server))
            })
            .collect();
        if places.is_empty() {
            return Err(format!("there is no `{server}`; `vipd status` lists what there is"));
        }
        Ok(places)
    }

    fn drain(&self, server: &str, at_most: Option<Duration>) -> Result<String, String> {
        let places = self.places(server)?;
        let Some(director) = &self.director else { return Err("there is no director".into()) };
        let mut lines = Vec::new();
        for (service, server) in places {
            let done = match at_most {
                Some(at_most) => director.handle().drain(service, server, at_most),
                None => director.handle().restore(service, server),
            };
            done.map_err(|error| error.to_string())?;
            let what = match at_most {
                Some(at_most) => format!(
                    "gets no new connections, and is taken out after {at_most:?} at the latest"
                ),
                None => "is back".into(),
            };
            lines.push(format!("{service}: real server {server} {what}\n"));
        }
        Ok(lines.concat())
    }

    fn stand(&mut self, name: &str, candidate: bool) -> Result<String, String> {
        let routers = self.routers.as_ref().ok_or("no virtual router runs here")?;
        routers.set_candidate(name, candidate)?;
        if candidate {
            return Ok(format!("{name} stands for election again\n"));
        }
        self.notifier.resign(name, &self.scripts);
        Ok(format!("{name} has left the election until `vipd campaign {name}` or a restart\n"))
    }

    /// What a reload with this file would do.
    fn plan(&self, file: PathBuf) -> Result<String, String> {
        let mut options = self.options.clone();
        options.file = file;
        let wanted = Wanted::read(&options).map_err(|error| chain(&error))?;
        let mut text = match &self.routers {
            Some(routers) => routers.preview(&wanted.plan),
            None => String::new(),
        };
        let services = if self.services == wanted.services { "stay as they are" } else { "change" };
        text.push_str("virtual servers ");
        text.push_str(services);
        text.push('\n');
        Ok(text)
    }
}
