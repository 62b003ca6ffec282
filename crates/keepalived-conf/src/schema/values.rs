//! Words into numbers, times, addresses, commands.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;
use core::net::IpAddr;
use core::str::FromStr;
use core::time::Duration;

use super::suggest::is_typographic;
use super::{Context, spanned, suggest};
use crate::config::{Command, Network};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Spanned;
use crate::text::lex::{Word, is_blank};
use crate::text::tree::Statement;

impl Context<'_> {
    /// The first argument, for keywords whose arity guarantees one.
    pub(super) fn text(statement: &Statement) -> Option<Spanned<String>> {
        statement.arguments.first().map(spanned)
    }

    /// A whole number within a range; otherwise `None` and a warning that `default` stays.
    #[expect(clippy::needless_pass_by_value, reason = "the bounds are literals of small integers")]
    pub(super) fn number<T>(
        &mut self,
        statement: &Statement,
        least: T,
        most: T,
        default: &str,
    ) -> Option<Spanned<T>>
    where
        T: FromStr + PartialOrd + Display,
    {
        let word = statement.arguments.first()?;
        let name = &statement.keyword.text;
        match word.text.parse::<T>() {
            Ok(number) if number >= least && number <= most => {
                Some(Spanned::new(number, word.span))
            }
            Err(_) if word.text.is_empty() || !is_integer(&word.text) => {
                let message =
                    format!("`{}` is not a number; `{name}` stays at {default}", shown(&word.text));
                self.report(
                    Diagnostic::warning(Code::BadValue, word.span, message)
                        .help(format!("write a number from {least} to {most}")),
                );
                None
            }
            Ok(_) | Err(_) => {
                let message = format!(
                    "`{name} {}` is out of range; it stays at {default}",
                    shown(&word.text)
                );
                self.report(
                    Diagnostic::warning(Code::OutOfRange, word.span, message)
                        .help(format!("write a number from {least} to {most}")),
                );
                None
            }
        }
    }

    /// Seconds with up to six decimals, within a range in microseconds.
    pub(super) fn seconds(
        &mut self,
        statement: &Statement,
        least: u64,
        most: u64,
        default: &str,
    ) -> Option<Spanned<Duration>> {
        let word = statement.arguments.first()?;
        let name = &statement.keyword.text;
        let range = format!("write seconds from {} to {}", decimal(least), decimal(most));
        match microseconds(&word.text) {
            Some(time) if time >= least && time <= most => {
                Some(Spanned::new(Duration::from_micros(time), word.span))
            }
            Some(_) => {
                let message = format!(
                    "`{name} {}` is out of range; it stays at {default}",
                    shown(&word.text)
                );
                self.report(Diagnostic::warning(Code::OutOfRange, word.span, message).help(range));
                None
            }
            None => {
                let message = format!(
                    "`{}` is not a time in seconds; `{name}` stays at {default}",
                    shown(&word.text)
                );
                self.report(Diagnostic::warning(Code::BadValue, word.span, message).help(range));
                None
            }
        }
    }

    /// `on`, `true`, `yes`, `off`, `false`, `no`; nothing means on.
    pub(super) fn boolean(&mut self, statement: &Statement) -> Option<Spanned<bool>> {
        let Some(word) = statement.arguments.first() else {
            return Some(Spanned::new(true, statement.keyword.span));
        };
        match word.text.as_str() {
            "on" | "true" | "yes" => Some(Spanned::new(true, word.span)),
            "off" | "false" | "no" => Some(Spanned::new(false, word.span)),
            other => {
                let message = format!(
                    "`{}` is neither yes nor no; `{}` is left as it was",
                    shown(other),
                    statement.keyword.text
                );
                self.report(
                    Diagnostic::warning(Code::BadValue, word.span, message)
                        .help("write `true`, `on`, `yes` or `false`, `off`, `no`"),
                );
                None
            }
        }
    }

    pub(super) fn address(&mut self, word: &Word) -> Option<Spanned<IpAddr>> {
        let parsed = word.text.parse().ok().map(|address| Spanned::new(address, word.span));
        if parsed.is_none() {
            self.bad_address(word, "an IP address", "write it like 192.0.2.1 or 2001:db8::1");
        }
        parsed
    }

    /// An address with an optional prefix length.
    pub(super) fn network(&mut self, word: &Word) -> Option<Spanned<Network>> {
        let bare = word.text.parse::<IpAddr>().ok().map(Network::from);
        let parsed = bare
            .or_else(|| Network::parse(&word.text))
            .map(|network| Spanned::new(network, word.span));
        if parsed.is_none() {
            self.bad_address(
                word,
                "an IP address with an optional prefix length",
                "write it like 192.0.2.1, 192.0.2.1/24 or 2001:db8::1/64",
            );
        }
        parsed
    }

    /// The same for an address that an interface can have. A bad prefix length is taken as the longest, as keepalived does.
    pub(super) fn host(&mut self, word: &Word) -> Option<Spanned<Network>> {
        let bare =
            word.text.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
        let network = match (Network::parse(&word.text), bare) {
            (None, Some(address)) => {
                let longest = Network::from(address).prefix_len();
                let message = format!(
                    "`{}` has no valid prefix length; /{longest} is used",
                    shown(&word.text)
                );
                self.report(
                    Diagnostic::warning(Code::OutOfRange, word.span, message)
                        .help(format!("write a number from 0 to {longest} behind the `/`")),
                );
                Some(Spanned::new(address.into(), word.span))
            }
            (_, _) => self.network(word),
        }?;
        let ip = network.value.addr();
        if ip.is_multicast() || ip.is_unspecified() {
            let message = format!("{ip} is not the address of a host; it is skipped");
            self.report(
                Diagnostic::warning(Code::BadValue, word.span, message)
                    .help("write an address that an interface can have"),
            );
            return None;
        }
        Some(network)
    }

    fn bad_address(&mut self, word: &Word, what: &str, help: &str) {
        let (code, help) = if is_typographic(&word.text) {
            (
                Code::TypographicQuotes,
                "remove the typographic quotes: addresses are not quoted, and keepalived's quotes are the ASCII `\"`",
            )
        } else {
            (Code::BadValue, help)
        };
        let message = format!("`{}` is not {what}; it is skipped", shown(&word.text));
        self.report(Diagnostic::warning(code, word.span, message).help(help));
    }

    /// A port from 1 to 65535.
    pub(super) fn port(&mut self, word: &Word) -> Option<Spanned<u16>> {
        match word.text.parse::<u16>() {
            Ok(port) if port > 0 => Some(Spanned::new(port, word.span)),
            Ok(_) | Err(_) => {
                let message = format!("`{}` is not a port; it is skipped", shown(&word.text));
                self.report(
                    Diagnostic::warning(Code::BadValue, word.span, message)
                        .help("write a number from 1 to 65535"),
                );
                None
            }
        }
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        statement: &Statement,
        choices: &[(&'static str, T)],
        fold: bool,
        default: &str,
    ) -> Option<Spanned<T>> {
        let word = statement.arguments.first()?;
        let fits = |name: &str| {
            if fold { name.eq_ignore_ascii_case(&word.text) } else { name == word.text }
        };
        let found = choices.iter().find(|(name, _)| fits(name));
        if found.is_none() {
            let names = || choices.iter().map(|&(name, _)| name);
            let message = format!(
                "`{} {}` is not known; {default}",
                statement.keyword.text,
                shown(&word.text)
            );
            let help = match suggest::closest(&word.text, names()) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => format!("write one of: {}", names().collect::<Vec<_>>().join(", ")),
            };
            self.report(Diagnostic::warning(Code::BadValue, word.span, message).help(help));
        }
        found.map(|&(_, value)| Spanned::new(value, word.span))
    }

    /// `SCRIPT [user [group]]` or `"SCRIPT arguments" [user [group]]`, with both kinds of quotes.
    pub(super) fn command(&mut self, statement: &Statement) -> Option<Command> {
        let (tail, span) = statement.tail();
        if is_typographic(tail) {
            self.report(
                Diagnostic::warning(Code::TypographicQuotes, span, format!("typographic quotes do not quote, so `{}` would not run", statement.keyword.text))
                    .help("put the command and its arguments between ASCII quotes: \"/path/to/script argument\""),
            );
            return None;
        }
        let script = statement.arguments.first()?;
        let quoted = tail.chars().next().filter(|first| matches!(first, '"' | '\''));
        let (command, rest) = match quoted {
            Some(quote) => tail
                .get(1..)
                .unwrap_or("")
                .split_once(quote)
                .unwrap_or((tail.get(1..).unwrap_or(""), "")),
            None => tail.split_once(is_blank).unwrap_or((tail, "")),
        };
        // User and group are words of the line; their places are those of the last words.
        let names: Vec<&str> = rest.split(is_blank).filter(|word| !word.is_empty()).collect();
        let skip = statement.arguments.len().saturating_sub(names.len());
        let mut names = statement.arguments.iter().skip(skip).map(spanned);
        let words = split_command(command);
        if words.is_empty() {
            self.report(
                Diagnostic::error(
                    Code::MissingValue,
                    span,
                    format!("`{}` names no program", statement.keyword.text),
                )
                .help("write the path of the script"),
            );
            return None;
        }
        Some(Command { words, user: names.next(), group: names.next(), span: script.span })
    }
}

/// Splits a command line at blanks; quotes of both kinds join, a backslash keeps the next character.
fn split_command(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut in_word = false;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                in_word = true;
            }
            (None | Some('"'), '\\') => {
                word.extend(characters.next());
                in_word = true;
            }
            (None, _) if is_blank(character) => {
                if core::mem::take(&mut in_word) {
                    words.push(core::mem::take(&mut word));
                }
            }
            (None | Some(_), _) => {
                word.push(character);
                in_word = true;
            }
        }
    }
    if in_word {
        words.push(word);
    }
    words
}

/// At most 40 characters of a word, for messages.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2`, `0.25`, `.5`: microseconds, without floating point.
fn microseconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut micros = 0;
    let mut unit = 100_000;
    for digit in fraction.bytes().take(6) {
        micros += u64::from(digit - b'0') * unit;
        unit /= 10;
    }
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

fn decimal(micros: u64) -> String {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    if rest == 0 {
        format!("{seconds}")
    } else {
        format!("{seconds}.{}", format!("{rest:06}").trim_end_matches('0'))
    }
}

/// The place of an optional argument behind a name, as in `dev eth0`.
pub(super) fn after<'w>(words: &mut impl Iterator<Item = &'w Word>) -> Option<Spanned<String>> {
    words.next().map(spanned)
}
