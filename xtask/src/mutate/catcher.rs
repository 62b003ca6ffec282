//! Who may notice a mutation.

/// What runs against the mutated crates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Catcher {
    Tests,
    Simulation,
    Model,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Finding {
    Passed,
    /// By which test or property.
    Caught(String),
}

impl Catcher {
    /// The quickest first.
    pub(super) const ALL: [Self; 3] = [Self::Model, Self::Tests, Self::Simulation];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tests => "tests",
            Self::Simulation => "simulation",
            Self::Model => "model",
        }
    }

    /// What cargo is to do.
    pub(super) const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Tests => &[
                "test",
                "--profile",
                "mutate",
                "--package",
                "vrrp-proto",
                "--package",
                "vrrp-fsm",
                "--lib",
                "--tests",
                "--no-fail-fast",
            ],
            Self::Simulation => {
                &["test", "--profile", "mutate", "--package", "vrrp-sim", "--tests"]
            }
            Self::Model => &["run", "--profile", "mutate", "--package", "model", "--", "--quick"],
        }
    }

    /// What the output of a failure says. A mutation that does not compile shows nothing.
    pub(super) fn read(self, output: &str) -> Result<Finding, String> {
        let mut found = match self {
            Self::Tests | Self::Simulation => failed_tests(output),
            Self::Model => wrong_verdicts(output),
        };
        found.dedup();
        let Some(first) = found.first() else {
            if let Some(panic) = output.lines().find(|line| line.contains("panicked at")) {
                return Ok(Finding::Caught(panic.trim().to_owned()));
            }
            return Err(format!("{} does not run:\n{output}", self.name()));
        };
        let more = found.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Ok(Finding::Caught(format!("{first}{more}")))
    }
}

fn failed_tests(output: &str) -> Vec<String> {
    let failed = output.lines().filter_map(|line| {
        line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_owned)
    });
    failed.collect()
}

/// The rows of the model's second table.
fn wrong_verdicts(output: &str) -> Vec<String> {
    let wrong =
        output.lines().filter(|line| line.contains("VIOLATED") || line.contains("UNREACHED"));
    wrong.map(|line| line.split("  ").next().unwrap_or_default().trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read() {
        let output = "test a::b ... ok\ntest c::d ... FAILED\ntest e ... FAILED\n";
        let Ok(Finding::Caught(by)) = Catcher::Tests.read(output) else { panic!("not caught") };
        assert_eq!(by, "c::d and 1 more");
        let output = "L2 one Master when quiet      never     VIOLATED \nN1 two Masters  reached\n";
        let Ok(Finding::Caught(by)) = Catcher::Model.read(output) else { panic!("not caught") };
        assert_eq!(by, "L2 one Master when quiet");
        assert!(Catcher::Tests.read("error[E0308]: mismatched types").is_err());
    }
}
