//! The command line: our own, and keepalived's.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::client::{How, Question};
use crate::control;
use crate::signals;

/// keepalived's default configuration file.
const DEFAULT_FILE: &str = "/etc/keepalived/keepalived.conf";
/// keepalived's pid file, written when the program is called by keepalived's name.
const DEFAULT_PID_FILE: &str = "/run/keepalived.pid";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Run(RunOptions),
    Check(CheckOptions),
    /// Outlive another vipd, which gives its process identifier: see `--sentinel`.
    Sentinel(String),
    /// Ask a running daemon.
    Ask(Question),
    /// Print the number of a signal.
    Signal(i32),
}

/// How to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunOptions {
    pub(crate) file: PathBuf,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) vrrp_pid_file: Option<PathBuf>,
    pub(crate) checkers_pid_file: Option<PathBuf>,
    /// Only virtual routers, or only virtual servers; both when neither is set.
    pub(crate) only: Option<Half>,
    pub(crate) detail: bool,
    pub(crate) config_id: Option<String>,
    /// Where addresses and services are journalled.
    pub(crate) run_directory: Option<PathBuf>,
    /// Whether a second process outlives a kill of this one.
    pub(crate) sentinel: bool,
    /// Where the control socket is.
    pub(crate) control: Option<PathBuf>,
    /// Things asked for that cannot be had, each a sentence for the log.
    pub(crate) notices: Vec<String>,
}

/// `-P`, `-C`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Vrrp,
    Checkers,
}

/// How to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckOptions {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) plain: bool,
    pub(crate) config_id: Option<String>,
    /// Called as `keepalived -t`: its exit codes, on standard error.
    pub(crate) as_keepalived: bool,
    /// `-t=FILE`: where the findings go.
    pub(crate) log_file: Option<PathBuf>,
}

/// Reads the command line. keepalived's options are taken when the program is called by its name, or with an option
/// in the place of a subcommand.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Task, clap::Error> {
    let named = arguments
        .first()
        .and_then(|path| PathBuf::from(path).file_stem().map(|stem| stem == "keepalived"));
    let by_name = named.unwrap_or(false);
    let first = arguments.get(1).map(|first| first.to_string_lossy().into_owned());
    // With more behind it `-V` is keepalived's, which keeps addresses; alone it must not start anything.
    let ours = matches!(first.as_deref(), None | Some("-h" | "--help" | "--version"))
        || (first.as_deref() == Some("-V") && arguments.len() == 2);
    let option = first.as_deref().is_some_and(|first| first.starts_with('-'));
    if by_name || (option && !ours) {
        let matches = keepalived_command(by_name).try_get_matches_from(arguments)?;
        Ok(keepalived_task(&matches, by_name))
    } else {
        let matches = command().try_get_matches_from(arguments)?;
        own_task(&matches)
    }
}

const AFTER_HELP: &str = "\
Called with keepalived's options (vipd -n -l -D -f FILE), or through a link named
`keepalived`, it takes keepalived's command line; see `vipd -n --help`.

Exit codes of run:   0 stopped by a signal, 1 could not start or failed, 2 configuration with errors
Exit codes of check: 0 runs as written, 1 runs with warnings, 2 does not run
64: wrong command line";

fn command() -> Command {
    let config_id =
        Arg::new("config-id").short('i').long("config-id").value_name("ID").help(
            "What `@ID` lines are compared with [default: the host name up to its first dot]",
        );
    Command::new("vipd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("VRRP and LVS daemon that runs the keepalived.conf you already have")
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("run")
                .about("Runs a configuration in the foreground until SIGTERM or SIGINT")
                .after_help("Exit codes: 0 stopped by a signal, 1 could not start or failed, 2 configuration with errors")
                .arg(Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf)).help("The configuration"))
                .arg(flag("verbose", Some('v'), "verbose", "Logs more"))
                .arg(path("pid", Some('p'), "pid", "Writes the process id to this file and removes it at the end"))
                .arg(path("run-directory", None, "run-directory", "Where the lists of what is configured in the kernel are kept [default: /run/vrrp, /run/lvs]").value_name("DIRECTORY"))
                .arg(flag("sentinel", None, "sentinel", "Starts a second, small process that says farewell for this one if it is killed"))
                .arg(path("control", None, "control", "The socket at which it can be asked [default: /run/vipd/control]").value_name("SOCKET"))
                .arg(config_id.clone()),
        )
        .subcommand(Command::new("sentinel").hide(true).arg(Arg::new("worker").required(true)))
        .subcommand(
            Command::new("check")
                .about("Reads configurations and shows what is wrong with them, where, and what to do")
                .after_help("Exit codes: 0 runs as written, 1 runs with warnings, 2 does not run (errors, or unreadable)")
                .arg(
                    Arg::new("files")
                        .value_name("FILE")
                        .required(true)
                        .num_args(1..)
                        .value_parser(value_parser!(PathBuf))
                        .help("Configurations; `-` reads standard input"),
                )
                .arg(flag("plain", None, "plain", "One line for each finding: FILE:LINE: SEVERITY[CODE]: TEXT"))
                .arg(config_id),
        )
        .subcommands(questions())
}

/// What a running daemon can be asked.
fn questions() -> Vec<Command> {
    let ask = |name: &'static str, about: &'static str| {
        let socket = path("socket", Some('s'), "socket", "Where the daemon listens");
        Command::new(name)
            .about(about)
            .arg(socket.value_name("SOCKET").default_value(control::DEFAULT_PATH))
            .after_help("Exit codes: 0 done, 1 the daemon refuses, 2 no daemon answers")
    };
    let word = |name: &'static str, help: &'static str| {
        Arg::new("word").value_name(name).required(true).help(help)
    };
    vec![
        ask("status", "Shows what everything does at this moment, and why")
            .arg(flag("json", None, "json", "For programs"))
            .arg(flag("watch", Some('w'), "watch", "Again every second").conflicts_with("json")),
        ask("why", "Says why an instance, a sync group or a real server is in its state")
            .arg(word("NAME", "Its name; of a real server ADDRESS or ADDRESS:PORT")),
        ask("events", "Shows what happens from now on").arg(flag(
            "follow",
            Some('f'),
            "follow",
            "Goes on until stopped (it always does)",
        )),
        ask("plan", "Says what a reload with a file would do, and does nothing")
            .arg(word("FILE", "The configuration").value_parser(value_parser!(PathBuf))),
        ask("resign", "Takes an instance out of the election: it releases its addresses")
            .arg(word("NAME", "The vrrp_instance")),
        ask("campaign", "Lets an instance stand for election again")
            .arg(word("NAME", "The vrrp_instance")),
        ask("drain", "Takes a real server out of service, its connections ended first")
            .arg(word("SERVER", "ADDRESS or ADDRESS:PORT"))
            .arg(
                Arg::new("seconds")
                    .long("at-most")
                    .value_name("SECONDS")
                    .value_parser(value_parser!(u32))
                    .help("How long connections are waited for [default: 300]"),
            ),
        ask("restore", "Undoes drain").arg(word("SERVER", "ADDRESS or ADDRESS:PORT")),
    ]
}

fn question(name: &str, matches: &ArgMatches) -> Question {
    let is = |id: &str| matches.try_get_one::<bool>(id).ok().flatten() == Some(&true);
    let mut line = name.to_owned();
    let mut how = How::Once;
    match name {
        "status" if is("json") => line.push_str(" json"),
        "status" if is("watch") => how = How::Watch,
        "events" => how = How::Follow,
        "plan" => {
            let file = matches.get_one::<PathBuf>("word").cloned().unwrap_or_default();
            // The daemon may be somewhere else.
            let file = std::path::absolute(&file).unwrap_or(file);
            line = format!("{line} {}", file.display());
        }
        _ => {
            if let Ok(Some(word)) = matches.try_get_one::<String>("word") {
                line = format!("{line} {word}");
            }
        }
    }
    if let Ok(Some(seconds)) = matches.try_get_one::<u32>("seconds") {
        line = format!("{line} {seconds}");
    }
    let socket = matches.get_one::<PathBuf>("socket").cloned().unwrap_or_default();
    Question { socket, line, how }
}

fn flag(id: &'static str, short: Option<char>, long: &'static str, help: &'static str) -> Arg {
    Arg::new(id).short(short).long(long).action(ArgAction::SetTrue).help(help)
}

fn path(id: &'static str, short: Option<char>, long: &'static str, help: &'static str) -> Arg {
    Arg::new(id)
        .short(short)
        .long(long)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(help)
}

fn own_task(matches: &ArgMatches) -> Result<Task, clap::Error> {
    match matches.subcommand() {
        Some(("run", matches)) => Ok(Task::Run(RunOptions {
            file: matches.get_one::<PathBuf>("file").cloned().unwrap_or_default(),
            pid_file: matches.get_one("pid").cloned(),
            detail: matches.get_flag("verbose"),
            config_id: matches.get_one("config-id").cloned(),
            run_directory: matches.get_one("run-directory").cloned(),
            sentinel: matches.get_flag("sentinel"),
            control: matches.get_one("control").cloned(),
            ..RunOptions::default()
        })),
        Some(("sentinel", matches)) => {
            Ok(Task::Sentinel(matches.get_one("worker").cloned().unwrap_or_default()))
        }
        Some(("check", matches)) => Ok(Task::Check(CheckOptions {
            files: matches.get_many::<PathBuf>("files").into_iter().flatten().cloned().collect(),
            plain: matches.get_flag("plain"),
            config_id: matches.get_one("config-id").cloned(),
            ..CheckOptions::default()
        })),
        Some((name, matches)) => Ok(Task::Ask(question(name, matches))),
        None => {
            Err(command().error(clap::error::ErrorKind::MissingSubcommand, "say `run` or `check`"))
        }
    }
}

/// keepalived's options that take a value and have no effect here, with what is said about them.
const WITHOUT_EFFECT_VALUED: &[(&str, Option<char>, &str, &str)] = &[
    ("log-facility", Some('S'), "log-facility", "messages go to standard error"),
    ("log-file", Some('g'), "log-file", "messages go to standard error"),
    ("bfd_pid", Some('b'), "bfd_pid", "there is no BFD process"),
    (
        "namespace",
        Some('s'),
        "namespace",
        "start the program inside the namespace: ip netns exec NAME vipd ...",
    ),
    ("snmp-agent-socket", Some('A'), "snmp-agent-socket", "there is no SNMP agent"),
    ("umask", Some('u'), "umask", "the umask stays"),
    ("core-dump-pattern", Some('M'), "core-dump-pattern", "core dumps are left to the system"),
];

/// keepalived's flags that have no effect here, with what is said about them.
const WITHOUT_EFFECT: &[(&str, Option<char>, &str, &str)] = &[
    ("flush-log-file", None, "flush-log-file", "messages are never held back"),
    ("release-vips", Some('X'), "release-vips", "addresses are removed at the stop, always"),
    (
        "dont-release-vrrp",
        Some('V'),
        "dont-release-vrrp",
        "addresses are removed at the stop, always",
    ),
    (
        "dont-release-ipvs",
        Some('I'),
        "dont-release-ipvs",
        "services are removed at the stop, always",
    ),
    ("dont-respawn", Some('R'), "dont-respawn", "there are no child processes"),
    ("dump-conf", Some('d'), "dump-conf", "the configuration is not written to the log"),
    ("address-monitoring", Some('a'), "address-monitoring", "changes of addresses are not logged"),
    ("snmp", Some('x'), "snmp", "there is no SNMP agent"),
    ("core-dump", Some('m'), "core-dump", "core dumps are left to the system"),
    ("mem-check-log", Some('L'), "mem-check-log", "there is no memory check"),
    ("ignore-sigint", None, "ignore-sigint", "SIGINT stops the program"),
    ("no_bfd", Some('B'), "no_bfd", ""),
    ("all", None, "all", ""),
    ("all-config", Some('e'), "all-config", "missing includes are warnings"),
    ("perf", None, "perf", "there is no profiling"),
    ("no-mem-check", None, "no-mem-check", ""),
];

fn keepalived_command(by_name: bool) -> Command {
    let mut command = Command::new(if by_name { "keepalived" } else { "vipd" })
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .about("vipd, called with keepalived's options")
        .after_help("It stays in the foreground and logs to standard error, with and without -n and -l.\n\nExit codes of -t: 0 clean, 4 cannot run, 5 would run with complaints, 6 would run scripts without enable_script_security")
        .arg(path("file", Some('f'), "use-file", "The configuration").default_value(DEFAULT_FILE))
        .arg(flag("dont-fork", Some('n'), "dont-fork", "Stays in the foreground (it always does)"))
        .arg(flag("log-console", Some('l'), "log-console", "Logs to standard error (it always does)"))
        .arg(flag("no-syslog", Some('G'), "no-syslog", "Does not log to syslog (it never does)"))
        .arg(flag("log-detail", Some('D'), "log-detail", "Logs more"))
        .arg(flag("vrrp", Some('P'), "vrrp", "Only virtual routers"))
        .arg(flag("check", Some('C'), "check", "Only virtual servers and their checks"))
        .arg(path("pid", Some('p'), "pid", "Writes the process id to this file"))
        .arg(path("vrrp_pid", Some('r'), "vrrp_pid", "The same, when there are virtual routers"))
        .arg(path("checkers_pid", Some('c'), "checkers_pid", "The same, when there are virtual servers"))
        .arg(Arg::new("config-id").short('i').long("config-id").value_name("ID").help("What `@ID` lines are compared with"))
        .arg(
            path("config-test", Some('t'), "config-test", "Checks the configuration and does not run it")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("-"),
        )
        .arg(
            Arg::new("signum")
                .long("signum")
                .value_name("NAME")
                .value_parser(["RELOAD", "STOP", "DATA", "STATS", "STATS_CLEAR", "JSON"])
                .help("Prints the number of the signal that asks for this"),
        )
        .arg(Arg::new("version").short('v').long("version").action(ArgAction::Version).help("Prints the version"));
    for &(id, short, long, _) in WITHOUT_EFFECT_VALUED {
        command = command.arg(Arg::new(id).short(short).long(long).value_name("VALUE").hide(true));
    }
    for &(id, short, long, _) in WITHOUT_EFFECT {
        command =
            command.arg(Arg::new(id).short(short).long(long).action(ArgAction::SetTrue).hide(true));
    }
    command
}

fn keepalived_task(matches: &ArgMatches, by_name: bool) -> Task {
    let file = matches.get_one::<PathBuf>("file").cloned().unwrap_or_else(|| DEFAULT_FILE.into());
    let config_id = matches.get_one("config-id").cloned();
    if let Some(name) = matches.get_one::<String>("signum") {
        return Task::Signal(signals::number(name));
    }
    if let Some(log_file) = matches.get_one::<PathBuf>("config-test") {
        let log_file = Some(log_file.clone()).filter(|path| path.as_os_str() != "-");
        return Task::Check(CheckOptions {
            files: vec![file],
            config_id,
            as_keepalived: true,
            log_file,
            ..CheckOptions::default()
        });
    }
    let mut notices: Vec<String> = Vec::new();
    if !matches.get_flag("dont-fork") {
        notices.push("staying in the foreground as with -n: let your service manager (systemd: Type=simple) keep it in the background".into());
    }
    let valued = WITHOUT_EFFECT_VALUED.iter().filter(|(id, ..)| matches.contains_id(id));
    let flags = WITHOUT_EFFECT.iter().filter(|(id, ..)| matches.get_flag(id));
    for (_, _, long, why) in valued.chain(flags).filter(|(.., why)| !why.is_empty()) {
        notices.push(format!("option --{long} has no effect: {why}"));
    }
    let only = match (matches.get_flag("vrrp"), matches.get_flag("check")) {
        (true, false) => Some(Half::Vrrp),
        (false, true) => Some(Half::Checkers),
        (true, true) | (false, false) => None,
    };
    Task::Run(RunOptions {
        file,
        pid_file: matches
            .get_one("pid")
            .cloned()
            .or_else(|| by_name.then(|| DEFAULT_PID_FILE.into())),
        vrrp_pid_file: matches.get_one("vrrp_pid").cloned(),
        checkers_pid_file: matches.get_one("checkers_pid").cloned(),
        only,
        detail: matches.get_flag("log-detail"),
        config_id,
        run_directory: None,
        sentinel: false,
        control: None,
        notices,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(line: &str) -> Task {
        parse(line.split(' ').map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn keepalived_options_run() {
        let Task::Run(options) = task("vipd -n -l -D -G -f a.conf -p p -r r -c c") else {
            panic!("it should run")
        };
        assert_eq!(options.file, PathBuf::from("a.conf"));
        assert_eq!(options.pid_file, Some("p".into()));
        assert_eq!(options.vrrp_pid_file, Some("r".into()));
        assert_eq!(options.checkers_pid_file, Some("c".into()));
        assert!(options.detail);
        assert_eq!(options.notices, Vec::<String>::new());
    }

    #[test]
    fn long_names_and_joined_letters() {
        let Task::Run(options) =
            task("vipd -nlDG --use-file=a.conf --pid p --vrrp_pid r --checkers_pid c")
        else {
            panic!("it should run")
        };
        assert_eq!((options.file, options.vrrp_pid_file), ("a.conf".into(), Some("r".into())));
    }

    #[test]
    fn keepalived_by_name_has_its_defaults() {
        let Task::Run(options) = task("/usr/sbin/keepalived -P") else { panic!("it should run") };
        assert_eq!(options.file, PathBuf::from(DEFAULT_FILE));
        assert_eq!(options.pid_file, Some(DEFAULT_PID_FILE.into()));
        assert_eq!(options.only, Some(Half::Vrrp));
        assert!(
            options.notices.iter().any(|notice| notice.contains("foreground")),
            "{:?}",
            options.notices
        );
    }

    #[test]
    fn options_without_effect_are_named() {
        let Task::Run(options) = task("vipd -n -x -S 3 -B") else { panic!("it should run") };
        assert_eq!(
            options.notices,
            [
                "option --log-facility has no effect: messages go to standard error",
                "option --snmp has no effect: there is no SNMP agent"
            ]
        );
    }

    #[test]
    fn config_test_with_and_without_a_log() {
        let Task::Check(options) = task("vipd -t -f a.conf") else { panic!("it should check") };
        assert!(options.as_keepalived && options.log_file.is_none());
        let Task::Check(options) = task("vipd --config-test=log -f a.conf") else {
            panic!("it should check")
        };
        assert_eq!(options.log_file, Some("log".into()));
    }

    #[test]
    fn signal_numbers_are_those_of_keepalived() {
        for (name, number) in [
            ("RELOAD", 1),
            ("STOP", 15),
            ("DATA", 10),
            ("STATS", 12),
            ("STATS_CLEAR", 63),
            ("JSON", 36),
        ] {
            assert_eq!(task(&format!("keepalived --signum={name}")), Task::Signal(number));
        }
    }

    #[test]
    fn own_subcommands() {
        let Task::Run(options) = task("vipd run a.conf -v --pid p") else {
            panic!("it should run")
        };
        assert_eq!(
            (options.file, options.pid_file, options.detail),
            ("a.conf".into(), Some("p".into()), true)
        );
        let Task::Check(options) = task("vipd check --plain a.conf b.conf") else {
            panic!("it should check")
        };
        assert_eq!((options.files.len(), options.plain, options.as_keepalived), (2, true, false));
    }

    #[test]
    fn definitions_are_consistent() {
        command().debug_assert();
        keepalived_command(true).debug_assert();
    }
}
