//! Users and groups by name, as `/etc/passwd` and `/etc/group` have them.

use std::path::Path;

use healthcheck::process::User;

/// What a script is told about who runs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) name: String,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// The two files.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    passwd: String,
    group: String,
}

impl Users {
    /// Reads them in `/etc`; one that cannot be read has nobody in it.
    pub(crate) fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
        Self { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    /// The account of a user, with its own group or another one. `Err`: the name that nobody has.
    pub(crate) fn account<'a>(
        &self,
        user: &'a str,
        group: Option<&'a str>,
    ) -> Result<Account, &'a str> {
        // name:password:uid:gid:comment:home:shell (passwd(5))
        let entry = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            let home = fields.nth(1)?.to_owned();
            let shell = fields.next().unwrap_or("/bin/sh").to_owned();
            Some(Account { user: User { uid, gid }, name, home, shell })
        };
        let found = self.passwd.lines().filter_map(entry).find(|account| account.name == user);
        let mut account = found.ok_or(user)?;
        if let Some(group) = group {
            account.user.gid = self.group_id(group).ok_or(group)?;
        }
        Ok(account)
    }

    /// name:password:gid:members (group(5))
    fn group_id(&self, group: &str) -> Option<u32> {
        self.group.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == group).then(|| fields.nth(1)?.parse().ok())?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers() {
        let users = Users {
            passwd:
                "root:x:0:0:root:/root:/bin/bash\nbroken\nwww:x:33:34:web:/var/www:/bin/false\n"
                    .into(),
            group: "root:x:0:\nadm:x:4:www\n".into(),
        };
        let www = users.account("www", None).unwrap();
        assert_eq!((www.user, www.home.as_str()), (User { uid: 33, gid: 34 }, "/var/www"));
        assert_eq!(users.account("www", Some("adm")).unwrap().user.gid, 4);
        assert_eq!(users.account("www", Some("wheel")), Err("wheel"));
        assert_eq!(users.account("nobody", Some("adm")), Err("nobody"));
    }
}
