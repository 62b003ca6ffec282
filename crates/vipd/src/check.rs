//! `vipd check FILE...` and `keepalived -t`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use keepalived_conf::{Code, Command, Config, Diagnostic, Parsed, Severity};

use crate::cli::CheckOptions;
use crate::files::{self, ReadError};
use crate::render;

/// Checks all files, prints what is found, and says by the exit code how bad it is.
pub(crate) fn check(options: &CheckOptions) -> ExitCode {
    let mut output = match Output::open(options) {
        Ok(output) => output,
        Err(error) => {
            eprint(&format!("vipd: {error}\n"));
            return ExitCode::from(if options.as_keepalived { 4 } else { 2 });
        }
    };
    let mut worst = 0;
    for path in &options.files {
        let result = files::parse(path, options.config_id.as_deref());
        output.file(&path.to_string_lossy(), &result, options);
        let code = if options.as_keepalived {
            let absent = result.as_ref().map_or_else(|_| Vec::new(), absent_interfaces);
            for line in &absent {
                output.print(&format!("{line}\n"));
            }
            keepalived_code(&result, absent.is_empty())
        } else {
            own_code(&result)
        };
        worst = worst.max(code);
    }
    ExitCode::from(worst)
}

/// `keepalived --signum=NAME`: for `kill -s "$(...)"` in scripts.
pub(crate) fn print_number(number: i32) -> ExitCode {
    let written = writeln!(std::io::stdout(), "{number}");
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// 0 runs as written, 1 runs with warnings, 2 does not run.
fn own_code(result: &Result<Parsed, ReadError>) -> u8 {
    match result {
        Ok(parsed) => match parsed.diagnostics.iter().map(|found| found.severity).max() {
            Some(Severity::Error) => 2,
            Some(Severity::Warning) => 1,
            Some(_) | None => 0,
        },
        Err(_) => 2,
    }
}

/// keepalived's: 0 clean, 4 cannot run, 5 would run with complaints, 6 scripts without `enable_script_security`.
/// What keepalived does and this version does not is no complaint.
fn keepalived_code(result: &Result<Parsed, ReadError>, interfaces_exist: bool) -> u8 {
    let Ok(parsed) = result else { return 4 };
    let complaint = |found: &&Diagnostic| found.severity == Severity::Warning && !ours(found.code);
    if !parsed.can_run() {
        4
    } else if !interfaces_exist || parsed.diagnostics.iter().any(|found| complaint(&found)) {
        5
    } else if unsecured_scripts(&parsed.config) {
        6
    } else {
        0
    }
}

/// A line for each virtual router whose interface this host does not have. `vipd check` does not look: it may run elsewhere.
fn absent_interfaces(parsed: &Parsed) -> Vec<String> {
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    // Two lines of headings.
    let present: Vec<&str> = devices
        .lines()
        .skip(2)
        .filter_map(|line| line.split_once(':').map(|(name, _)| name.trim()))
        .collect();
    let used = parsed.config.vrrp_instances.iter().filter_map(|instance| {
        instance.interface.as_ref().map(|interface| (&instance.name.value, interface))
    });
    used.filter(|(_, interface)| !present.contains(&interface.value.as_str()))
        .map(|(instance, interface)| {
            render::printable(&format!(
                "{}: warning[no-interface]: `vrrp_instance {instance}` would not start: there is no interface `{}` on this host; there are: {}",
                parsed.sources.place(interface.span),
                interface.value,
                present.join(", ")
            ))
        })
        .collect()
}

fn ours(code: Code) -> bool {
    matches!(code, Code::NotActedOn | Code::UnknownDirective | Code::Empty)
}

/// Scripts that exist would run without the security checks.
fn unsecured_scripts(config: &Config) -> bool {
    let notify = config
        .vrrp_instances
        .iter()
        .map(|instance| &instance.notify)
        .chain(config.sync_groups.iter().map(|group| &group.notify));
    let notified = notify
        .flat_map(|notify| {
            [&notify.any, &notify.master, &notify.backup, &notify.fault, &notify.stop]
        })
        .flatten();
    let tracked = config.scripts.iter().filter_map(|script| script.script.as_ref());
    let exists = |command: &Command| {
        command.words.first().is_some_and(|program| std::path::Path::new(program).is_file())
    };
    !config.global.enable_script_security.is_some_and(|enabled| enabled.value)
        && notified.chain(tracked).any(exists)
}

/// Where findings go: standard output, or standard error or a file as `keepalived -t`.
struct Output {
    to: Box<dyn Write>,
    colours: bool,
}

impl Output {
    fn open(options: &CheckOptions) -> std::io::Result<Self> {
        let colours_wanted = std::env::var_os("NO_COLOR").is_none();
        Ok(match &options.log_file {
            Some(path) => Self { to: Box::new(std::fs::File::create(path)?), colours: false },
            None if options.as_keepalived => {
                Self { to: Box::new(std::io::stderr()), colours: false }
            }
            None => Self {
                colours: colours_wanted && std::io::stdout().is_terminal(),
                to: Box::new(std::io::stdout()),
            },
        })
    }

    fn file(&mut self, name: &str, result: &Result<Parsed, ReadError>, options: &CheckOptions) {
        let parsed = match result {
            Ok(parsed) => parsed,
            Err(error) => return self.print(&format!("error: {error}\n")),
        };
        for found in &parsed.diagnostics {
            if options.plain || options.as_keepalived {
                self.print(&format!("{}\n", render::line(found)));
            } else {
                let picture = render::picture(found, &parsed.sources, self.colours);
                self.print(&format!("{picture}\n\n"));
            }
        }
        if !options.plain && !options.as_keepalived {
            self.print(&summary(name, parsed));
        }
    }

    /// A reader that went away is no reason to fail.
    fn print(&mut self, text: &str) {
        self.to.write_all(text.as_bytes()).unwrap_or_default();
    }
}

/// `FILE: 1 virtual router, 2 virtual servers; 3 warnings. It can run.`
fn summary(name: &str, parsed: &Parsed) -> String {
    let count =
        |severity| parsed.diagnostics.iter().filter(|found| found.severity == severity).count();
    let numbers = [
        (parsed.config.vrrp_instances.len(), "virtual router"),
        (parsed.config.virtual_servers.len(), "virtual server"),
        (count(Severity::Error), "error"),
        (count(Severity::Warning), "warning"),
        (count(Severity::Note), "note"),
    ];
    let listed: Vec<String> = numbers
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}{}", if *number == 1 { "" } else { "s" }))
        .collect();
    let found = if listed.is_empty() { "nothing configured".into() } else { listed.join(", ") };
    let verdict = match (parsed.can_run(), parsed.config.is_empty()) {
        (true, false) => "It can run",
        (true, true) => "It would run and do nothing",
        (false, _) => "It cannot run",
    };
    render::printable(&format!("{name}: {found}. {verdict}.")) + "\n"
}

fn eprint(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}
