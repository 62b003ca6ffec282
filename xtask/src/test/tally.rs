//! Adding up what libtest prints and what the tests wrote into the skip log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// The sum over all test programs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Tests that ran and passed.
    pub(crate) passed: usize,
    /// Tests that failed, and programs that gave no result.
    pub(crate) failed: usize,
    /// How many `test result:` lines were read.
    pub(crate) results: usize,
    skipped: Vec<Skip>,
    failures: Vec<(String, String)>,
    /// Tests that failed and then passed when they ran alone.
    flaky: Vec<(String, String)>,
    /// Programs and their tests that libtest said `ok` to.
    ok: Vec<(String, String)>,
}

/// A test that did not run, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Skip {
    need: String,
    why: String,
    test: String,
}

impl Tally {
    /// Takes one line of a test program's output.
    pub(crate) fn line(&mut self, program: &str, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.results += 1;
            self.passed += count(counts, " passed");
            self.failed += count(counts, " failed");
        } else if let Some((test, verdict)) =
            line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
        {
            if verdict == "ok" {
                let test = test.trim_end_matches(" - should panic");
                self.ok.push((program.to_owned(), test.to_owned()));
            } else if verdict == "FAILED" {
                self.failures.push((program.to_owned(), test.to_owned()));
            } else if let Some(why) = verdict.strip_prefix("ignored") {
                let why = why.trim_start_matches([',', ' ']).to_owned();
                // A test binary's other life, as the child process of its own tests.
                if why.starts_with("not a test") {
                    return;
                }
                self.skipped.push(Skip { need: "ignored".to_owned(), why, test: test.to_owned() });
            }
        }
    }

    /// Counts a program as failed that gave no result of its own.
    pub(crate) fn fail(&mut self, program: &str, why: &str) {
        self.failed += 1;
        self.failures.push((program.to_owned(), why.to_owned()));
    }

    /// How many failures were counted for `program`.
    pub(crate) fn failures_of(&self, program: &str) -> usize {
        self.failures.iter().filter(|(name, _)| name == program).count()
    }

    /// The tests of `program` that failed, by name.
    pub(crate) fn failed_tests(&self, program: &str) -> Vec<String> {
        let of_program = self.failures.iter().filter(|(name, _)| name == program);
        of_program.map(|(_, test)| test.clone()).collect()
    }

    /// How many tests passed only when they ran alone.
    pub(crate) const fn flaky(&self) -> usize {
        self.flaky.len()
    }

    /// Takes back one failure of `test`, which passed when it ran alone. It stays on record.
    pub(crate) fn passed_alone(&mut self, program: &str, test: &str) {
        let failure = (program.to_owned(), test.to_owned());
        if let Some(index) = self.failures.iter().position(|failed| *failed == failure) {
            self.failures.swap_remove(index);
            self.failed -= 1;
            self.passed += 1;
            self.ok.push(failure.clone());
            self.flaky.push(failure);
        }
    }

    /// Takes the lines `test TAB need TAB why` that skipped tests wrote. libtest counted them as passed.
    pub(crate) fn read_skips(&mut self, log: &Path) {
        let lines = std::fs::read_to_string(log).unwrap_or_default();
        let mut skips: Vec<Skip> = lines
            .lines()
            .filter_map(|line| {
                let mut fields = line.splitn(3, '\t').map(str::to_owned);
                Some(Skip { test: fields.next()?, need: fields.next()?, why: fields.next()? })
            })
            .collect();
        // A test that asked twice is one test.
        skips.sort_by(|a, b| a.test.cmp(&b.test));
        skips.dedup_by(|a, b| a.test == b.test);
        self.passed = self.passed.saturating_sub(skips.len());
        self.skipped.extend(skips);
    }

    /// The tests that ran and passed, as `package::path`. Programs are called `package kind target`; documentation
    /// tests have no names that stay and are left out.
    pub(crate) fn ran(&self) -> BTreeSet<String> {
        let ran = |(program, test): &(String, String)| {
            let mut words = program.split(' ');
            let (package, _kind, target) = (words.next()?, words.next()?, words.next()?);
            // As the skip log has it: by the executable's name.
            let logged = format!("{}::{test}", target.replace('-', "_"));
            let skipped = self.skipped.iter().any(|skip| skip.test.replace('-', "_") == logged);
            (!skipped).then(|| format!("{package}::{test}"))
        };
        self.ok.iter().filter_map(ran).collect()
    }

    /// Prints what failed, what was skipped and why, and the sum alone on the last line.
    pub(crate) fn report(&self, took: Duration) {
        println!();
        for (program, test) in &self.failures {
            println!("FAILED   {program}: {test}");
        }
        for (program, test) in &self.flaky {
            println!("FLAKY    {program}: {test} (failed among others, see above; passed alone)");
        }
        let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for skip in &self.skipped {
            reasons.entry((&skip.need, &skip.why)).or_default().push(&skip.test);
        }
        for ((need, why), tests) in reasons {
            println!("skipped, {need}: {why}");
            for test in tests {
                println!("  {test}");
            }
        }
        println!("took {} s", took.as_secs());
        if !self.flaky.is_empty() {
            println!("{} of those that passed did so on the second try only", self.flaky.len());
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len());
    }
}

/// The number before `what` in `ok. 3 passed; 0 failed; ...`.
fn count(counts: &str, what: &str) -> usize {
    let before = counts.split(';').find_map(|part| part.trim().strip_suffix(what));
    before
        .and_then(|text| text.rsplit(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up_and_skips_are_not_passes() {
        let mut tally = Tally::default();
        for line in [
            "test a ... ok",
            "test b ... FAILED",
            "test c ... ignored, needs an hour",
            "test child ... ignored, not a test: the process that other tests start",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            tally.line("lab test lab", line);
        }
        assert_eq!((tally.passed, tally.failed, tally.results), (42, 1, 2));
        assert_eq!(tally.failures_of("lab test lab"), 1);
        let log = std::env::temp_dir().join(format!("tally-{}", std::process::id()));
        std::fs::write(
            &log,
            "lab::a\tuml\tno program\nlab::a\troot\trun as root\nlab::d\tuml\tno program\n",
        )
        .expect("the temporary directory can be written");
        tally.read_skips(&log);
        std::fs::remove_file(&log).expect("it was just written");
        assert_eq!((tally.passed, tally.failed, tally.skipped.len()), (40, 1, 3));
    }

    #[test]
    fn who_passes_alone_is_no_failure_but_stays_on_record() {
        let mut tally = Tally::default();
        for line in [
            "test a ... FAILED",
            "test b ... FAILED",
            "test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            tally.line("lab test lab", line);
        }
        assert_eq!(tally.failed_tests("lab test lab"), ["a", "b"]);
        tally.passed_alone("lab test lab", "b");
        tally.passed_alone("lab test lab", "never failed");
        assert_eq!((tally.passed, tally.failed, tally.flaky()), (1, 1, 1));
        assert_eq!(tally.failed_tests("lab test lab"), ["a"]);
        assert!(tally.ran().contains("lab::b"));
    }

    #[test]
    fn what_ran_is_what_passed_and_was_not_skipped() {
        let mut tally = Tally::default();
        for line in [
            "test a ... ok",
            "test b::c - should panic ... ok",
            "test d ... FAILED",
            "test e ... ignored",
        ] {
            tally.line("netlink-batch test ipvs_kernel (in user-mode Linux)", line);
        }
        tally.line("other lib one-two", "test a ... ok");
        tally.line("documentation", "test src/lib.rs - (line 3) ... ok");
        let skip = |test: &str| Skip { need: String::new(), why: String::new(), test: test.into() };
        tally.skipped.push(skip("one_two::a"));
        let ran: Vec<String> = tally.ran().into_iter().collect();
        assert_eq!(ran, ["netlink-batch::a", "netlink-batch::b::c"]);
    }
}
