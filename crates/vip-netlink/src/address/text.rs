//! Addresses as lines of text, for a journal.

use core::fmt;
use core::str::FromStr;

use super::{Address, InvalidAddress, Options, Scope};

/// The words of the yes-or-no properties.
const WORDS: [(Options, &str); 6] = [
    (Options::DETECT_DUPLICATES, "dad"),
    (Options::DEPRECATED, "deprecated"),
    (Options::NO_PREFIX_ROUTE, "noprefixroute"),
    (Options::HOME, "home"),
    (Options::MANAGE_TEMPORARY, "mngtmpaddr"),
    (Options::AUTOJOIN, "autojoin"),
];

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} dev {}", self.ip, self.prefix_len, self.interface)?;
        if let Some(peer) = self.peer {
            write!(f, " peer {peer}")?;
        }
        if self.scope != Scope::GLOBAL {
            write!(f, " scope {}", self.scope.number())?;
        }
        if let Some(label) = &self.label {
            write!(f, " label {label}")?;
        }
        if let Some(broadcast) = self.broadcast {
            write!(f, " broadcast {broadcast}")?;
        }
        for (_, word) in WORDS.iter().filter(|(option, _)| self.options.contains(*option)) {
            write!(f, " {word}")?;
        }
        if self.protocol != 0 {
            write!(f, " proto {}", self.protocol)?;
        }
        Ok(())
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        fn parse<T: FromStr>(word: Option<&str>) -> Result<T, InvalidAddress> {
            word.and_then(|word| word.parse().ok()).ok_or(InvalidAddress::Text)
        }
        let mut words = text.split(' ');
        let (ip, prefix_len) =
            words.next().and_then(|word| word.split_once('/')).ok_or(InvalidAddress::Text)?;
        if words.next() != Some("dev") {
            return Err(InvalidAddress::Text);
        }
        let mut address =
            Self::new(parse(words.next())?, parse(Some(ip))?, parse(Some(prefix_len))?)?
                .deprecated(false);
        while let Some(word) = words.next() {
            address = match word {
                "peer" => address.peer(parse(words.next())?)?,
                "scope" => address.scope(Scope::new(parse(words.next())?)),
                "label" => address.label(words.next().ok_or(InvalidAddress::Text)?)?,
                "broadcast" => address.broadcast(parse(words.next())?),
                "proto" => address.protocol(parse(words.next())?),
                word => {
                    let (option, _) = WORDS
                        .iter()
                        .find(|(_, known)| *known == word)
                        .ok_or(InvalidAddress::Text)?;
                    address.option(*option, true)
                }
            };
        }
        Ok(address)
    }
}
