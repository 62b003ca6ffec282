//! The director: started, given another configuration, or only clearing up.

use lvs::{BuildError, Director, Foreign, RunningDirector, ServiceConfig};

use crate::cli::{Half, RunOptions};
use crate::run::{StartError, chain};

/// Starts it when there is a service to direct; otherwise removes what a process that was killed has left.
pub(crate) fn start(
    options: &RunOptions,
    services: &[ServiceConfig],
) -> Result<Option<RunningDirector>, BuildError> {
    let nothing = services.is_empty();
    // keepalived takes a service that is there already for its own.
    let mut builder = Director::builder(config(services)).foreign(Foreign::Adopt);
    if let Some(directory) = &options.run_directory {
        builder = builder.run_directory(directory);
    }
    if !nothing {
        return builder.start().map(Some);
    }
    // The virtual servers of a process that was killed may not be configured any more. `-P` leaves them to the other half.
    if options.only != Some(Half::Vrrp) && builder.has_leftovers() {
        match builder.build() {
            Ok(director) => {
                let events = director.events();
                drop(director);
                while let Some(event) = events.try_recv() {
                    log::log!(event.kind.level(), "{event}");
                }
            }
            Err(error) => log::warn!("what a dead process has left stays: {}", chain(&error)),
        }
    }
    Ok(None)
}

/// Gives it other services. What stays keeps its connections, its health and its checks.
pub(crate) fn reload(
    options: &RunOptions,
    director: &mut Option<RunningDirector>,
    services: &[ServiceConfig],
) -> Result<(), StartError> {
    if let Some(director) = director {
        director.apply(config(services))?;
    } else {
        *director = start(options, services).map_err(StartError::Director)?;
    }
    Ok(())
}

fn config(services: &[ServiceConfig]) -> lvs::Config {
    services.iter().cloned().fold(lvs::Config::new(), lvs::Config::service)
}
