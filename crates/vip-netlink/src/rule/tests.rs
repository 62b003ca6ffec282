use proptest::prelude::*;

use super::*;
use crate::route::tests::any_prefix;

fn any_rule_of(ipv6: bool) -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        (1..u32::MAX).prop_map(RuleAction::Lookup),
        Just(RuleAction::LookupVrf),
        (1 << 20..u32::MAX).prop_map(RuleAction::Goto),
        Just(RuleAction::Nothing),
        Just(RuleAction::Blackhole),
        Just(RuleAction::Unreachable),
        Just(RuleAction::Prohibit),
    ];
    let name =
        || proptest::option::of("[a-z0-9.-]{1,15}".prop_filter("a name", |name| is_name(name)));
    let ports = || proptest::option::of((1_u16..=100, 100_u16..));
    let from_to = (any_prefix(ipv6), any_prefix(ipv6), any::<u8>(), any::<bool>());
    let packets = (
        any::<(u32, u32)>(),
        proptest::option::of((0_u32..9, 9_u32..)),
        any::<u8>(),
        ports(),
        ports(),
    );
    let suppress = (proptest::option::of(0_u32..129), proptest::option::of(0_u32..9));
    (0_u32..1 << 20, action, from_to, (name(), name()), packets, suppress, any::<u8>()).prop_map(
        move |(
            priority,
            action,
            (from, to, tos, invert),
            (input, output),
            packets,
            suppress,
            protocol,
        )| {
            let ((mark, bits), users, ip_protocol, source_ports, destination_ports) = packets;
            let mut rule = Rule::new(ipv6, priority, action)
                .from(from)
                .to(to)
                .tos(tos)
                .mark(mark, bits)
                .invert(invert)
                .ip_protocol(ip_protocol)
                .protocol(protocol);
            (rule.matches.input, rule.matches.output, rule.matches.users) = (input, output, users);
            (rule.matches.source_ports, rule.matches.destination_ports) =
                (source_ports, destination_ports);
            (rule.suppress_prefix_len, rule.suppress_group) = suppress;
            rule
        },
    )
}

fn is_name(name: &str) -> bool {
    crate::link::is_interface_name(name)
}

pub(crate) fn any_rule() -> impl Strategy<Value = Rule> {
    any::<bool>().prop_flat_map(any_rule_of)
}

proptest! {
    #[test]
    fn text_reads_back(rule in any_rule()) {
        let text = rule.to_string();
        prop_assert_eq!(text.parse::<Rule>(), Ok(rule), "{}", text);
    }

    #[test]
    fn what_is_written_is_read(rule in any_rule()) {
        prop_assert_eq!(rule.check(), Ok(()));
        let read = codec::decode(codec::encode(&rule).as_bytes());
        prop_assert_eq!(read.as_ref(), Some(&rule));
        prop_assert!(rule.could_mean(&rule) && rule.agrees_with(&rule));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "ipv[46] priority [0-9]{1,4} (lookup|goto|nop)( (from|to|fwmark|iif|sport|not|[0-9./-]{1,8})){0,6}") {
        if let Ok(rule) = text.parse::<Rule>() {
            prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule));
        }
    }

    #[test]
    fn any_change_is_read_or_refused(rule in any_rule(), cut: u16, change: (u16, u8)) {
        let mut bytes = codec::encode(&rule).as_bytes().to_vec();
        let len = bytes.len();
        bytes[usize::from(change.0) % len] = change.1;
        bytes.truncate(usize::from(cut) % (len + 1));
        if let Some(rule) = codec::decode(&bytes) {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..150), family in 0_usize..3) {
        let mut bytes = bytes;
        if let (Some(first), Some(&family)) = (bytes.first_mut(), [2_u8, 10].get(family)) {
            *first = family;
        }
        if let Some(rule) = codec::decode(&bytes) {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let rule = |text: &str| text.parse::<Rule>().unwrap();
    for (text, reason) in [
        ("ipv4 priority 5 lookup 0", "rule 5 looks into table 0, which there is not"),
        ("ipv4 priority 5 goto 5", "rule 5 goes on with rule 5: that has to be a later one"),
        (
            "ipv4 priority 5 nop to ::1/128",
            "::1/128 does not go with rule 5: it is of the other address family",
        ),
        (
            "ipv6 priority 5 nop dport 9-8",
            "rule 5 matches destination ports from 9 to 8: no packet has them",
        ),
        (
            "ipv6 priority 5 nop sport 0-8",
            "rule 5 matches source ports from 0 to 8: no packet has them",
        ),
    ] {
        assert_eq!(rule(text).check().unwrap_err().to_string(), reason);
    }
    let error = Rule::ipv4(5, RuleAction::Nothing).input("a b").check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "rule 5 matches packets of the interface \"a b\": no interface can have that name"
    );
    for text in [
        "",
        "ipv5 priority 1 nop",
        "ipv4 priority x nop",
        "ipv4 priority 1",
        "ipv4 priority 1 nop iif a/b",
    ] {
        assert!(text.parse::<Rule>().is_err(), "{text:?}");
    }
}

#[test]
fn a_vaguer_rule_could_mean_a_more_precise_one() {
    let vague: Rule = "ipv4 priority 5 lookup 100 from 192.0.2.0/24 proto 18".parse().unwrap();
    let precise = vague.clone().mark(1, 1);
    assert!(vague.could_mean(&precise) && !precise.could_mean(&vague));
    assert!(!vague.could_mean(&precise.clone().protocol(3)));
    assert!(!vague.could_mean(&Rule::ipv4(6, RuleAction::Lookup(100))));
}
