//! The script check: what an exit code says.

use std::sync::Arc;

use crate::Failure;
use crate::process::{Exit, Program};

/// Runs a program; its exit code is the result.
///
/// Its time is the check's ([`Timing::timeout`](crate::Timing::timeout)), not the program's own. A program that cannot be run at all has failed, with the
/// reason; one that was not started for want of a process or a descriptor has given no result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Script {
    program: Arc<Program>,
    weights: bool,
}

impl Script {
    /// Success is exit code 0.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self { program: Arc::new(program), weights: false }
    }

    /// Exit codes from 2 to 255 are successes, too, and tell a weight: [`Script::weight`].
    #[must_use]
    pub fn weights(self) -> Self {
        Self { weights: true, ..self }
    }

    /// What an exit code of a script with [`Script::weights`] says: code - 2 from 2 on, nothing for 0 and 1.
    #[must_use]
    pub fn weight(code: i64) -> Option<u8> {
        code.checked_sub(2)
            .and_then(|weight| u8::try_from(weight).ok())
            .filter(|&weight| weight <= 253)
    }

    /// What runs.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What an end means; `None`: nothing.
    #[must_use]
    pub fn judge(&self, exit: Exit) -> Option<Result<(), Failure>> {
        Some(match exit {
            Exit::Lost => return None,
            Exit::Code(0) => Ok(()),
            Exit::Code(code) if self.weights && (2..=255).contains(&code) => Ok(()),
            Exit::Code(code) => Err(Failure::Exit { code }),
            Exit::Signal(signal) => Err(Failure::Signal { signal }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged_as_configured() {
        let plain = Script::new(Program::new("/bin/true"));
        let weighing = plain.clone().weights();
        let of = |code| {
            (plain.judge(Exit::Code(code)).unwrap(), weighing.judge(Exit::Code(code)).unwrap())
        };
        let failed = |code| Err(Failure::Exit { code });
        assert_eq!(of(0), (Ok(()), Ok(())));
        assert_eq!(of(1), (failed(1), failed(1)));
        assert_eq!(of(2), (failed(2), Ok(())));
        assert_eq!(of(255), (failed(255), Ok(())));
        assert_eq!(weighing.judge(Exit::Signal(9)), Some(Err(Failure::Signal { signal: 9 })));
        assert_eq!(plain.judge(Exit::Lost), None);
        assert_eq!(
            [-1, 0, 1, 2, 255, 256].map(Script::weight),
            [None, None, None, Some(0), Some(253), None]
        );
    }
}
