//! What a profile is read as, and every refusal by its words.

use serde_json::{Value, json};

use super::*;

fn plan(config: Value) -> Result<Profile> {
    let seccomp: Seccomp = serde_json::from_value(config).expect("the types fit");
    Ok(profile(&seccomp)?.expect("there is a filter"))
}

/// A profile of one rule.
fn with_rule(rule: &Value) -> Result<Profile> {
    plan(json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/agent", "syscalls": [rule] }))
}

fn refusal(result: Result<Profile>) -> String {
    let error = result.expect_err("is refused");
    assert_eq!(error.kind(), crate::error::Kind::Refused);
    error.to_string()
}

#[test]
fn reads_all_there_is() {
    let profile = plan(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_S390X", "SCMP_ARCH_X32"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
        "listenerPath": "/run/agent.sock",
        "listenerMetadata": "who",
        "syscalls": [{
            "names": ["clone", "no_such_call", "unshare"],
            "action": "SCMP_ACT_NOTIFY",
            "args": [
                { "index": 0, "value": 7, "valueTwo": 5, "op": "SCMP_CMP_MASKED_EQ" },
                { "index": 5, "value": 9, "op": "SCMP_CMP_GT" }
            ]
        }]
    }));
    let argument = |index| Argument::new(index).expect("0 to 5");
    let expected = Profile {
        default_action: Action::Errno(38),
        architectures: vec![Arch::X86_64, Arch::X32],
        rules: vec![Rule {
            syscalls: ["clone", "unshare"].into_iter().filter_map(Syscall::named).collect(),
            action: Action::Notify,
            conditions: vec![
                Condition {
                    argument: argument(0),
                    operator: Operator::MaskedEqual { mask: 7 },
                    value: 5,
                },
                Condition { argument: argument(5), operator: Operator::Greater, value: 9 },
            ],
        }],
        flags: Flags::LOG,
        listener: Some(Listener { socket: "/run/agent.sock".into(), metadata: "who".into() }),
    };
    assert_eq!(profile.expect("is sound"), expected);
}

#[test]
fn an_empty_object_is_no_filter() {
    assert_eq!(profile(&Seccomp::default()).expect("is sound"), None);
}

#[test]
fn every_action_means_what_it_says() {
    let expected = [
        ("SCMP_ACT_KILL", Action::KillThread, None),
        ("SCMP_ACT_KILL_THREAD", Action::KillThread, None),
        ("SCMP_ACT_KILL_PROCESS", Action::KillProcess, None),
        ("SCMP_ACT_TRAP", Action::Trap, None),
        ("SCMP_ACT_ERRNO", Action::Errno(1), Some(Action::Errno(77))),
        ("SCMP_ACT_TRACE", Action::Trace(1), Some(Action::Trace(77))),
        ("SCMP_ACT_ALLOW", Action::Allow, None),
        ("SCMP_ACT_LOG", Action::Log, None),
        ("SCMP_ACT_NOTIFY", Action::Notify, None),
    ];
    assert_eq!(known_actions().count(), expected.len());
    for (name, plain, with_errno) in expected {
        let action = |rule: Value| with_rule(&rule).map(|profile| profile.rules[0].action);
        assert_eq!(
            action(json!({ "names": ["read"], "action": name })).ok(),
            Some(plain),
            "{name}"
        );
        let rule = json!({ "names": ["read"], "action": name, "errnoRet": 77 });
        assert_eq!(action(rule).ok(), with_errno, "{name}");
    }
}

#[test]
fn every_operator_means_what_it_says() {
    let expected = [
        ("SCMP_CMP_NE", Operator::NotEqual, 3),
        ("SCMP_CMP_LT", Operator::Less, 3),
        ("SCMP_CMP_LE", Operator::LessOrEqual, 3),
        ("SCMP_CMP_EQ", Operator::Equal, 3),
        ("SCMP_CMP_GE", Operator::GreaterOrEqual, 3),
        ("SCMP_CMP_GT", Operator::Greater, 3),
        ("SCMP_CMP_MASKED_EQ", Operator::MaskedEqual { mask: 3 }, 4),
    ];
    assert_eq!(known_operators().count(), expected.len());
    for (name, operator, value) in expected {
        let args = json!([{ "index": 0, "value": 3, "valueTwo": 4, "op": name }]);
        let profile =
            with_rule(&json!({ "names": ["read"], "action": "SCMP_ACT_TRAP", "args": args }));
        let condition = profile.expect("is sound").rules[0].conditions[0];
        assert_eq!((condition.operator, condition.value), (operator, value), "{name}");
    }
}

#[test]
fn flags_default_to_spec_allow_only_when_absent() {
    let flags = |config| plan(config).expect("is sound").flags;
    assert_eq!(flags(json!({ "defaultAction": "SCMP_ACT_ALLOW" })), Flags::SPEC_ALLOW);
    assert_eq!(flags(json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": [] })), Flags::NONE);
}

#[test]
fn every_known_architecture_and_flag_is_accepted() {
    let config = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": known_architectures().collect::<Vec<_>>(),
        "flags": known_flags().collect::<Vec<_>>(),
    });
    let profile = plan(config).expect("is sound");
    assert_eq!(profile.architectures.len(), 5);
    assert_eq!(profile.flags, Flags::LOG | Flags::SPEC_ALLOW | Flags::WAIT_KILLABLE_RECV);
    let supported: Vec<_> = supported_flags(|flag| flag == Flags::LOG).collect();
    assert_eq!(supported, ["SECCOMP_FILTER_FLAG_LOG"]);
}

#[test]
fn lists_for_features_are_sorted() {
    assert!(known_actions().is_sorted());
    assert!(known_operators().is_sorted());
    assert!(known_architectures().is_sorted());
    assert!(known_flags().is_sorted());
}

#[test]
fn refusals_of_the_object_name_their_field() {
    let cases = [
        (
            json!({ "defaultAction": "SCMP_ACT_MAYBE" }),
            r#"linux.seccomp.defaultAction: unknown action "SCMP_ACT_MAYBE""#,
        ),
        (
            json!({ "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW" }] }),
            r#"linux.seccomp.defaultAction: unknown action """#,
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/agent" }),
            "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY can't be the default: \
             the listener could never be handed over",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1 }),
            "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW takes no errno",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 65536 }),
            "linux.seccomp.defaultErrnoRet: 65536 is more than 16 bits hold",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "x"] }),
            r#"linux.seccomp.architectures[1]: unknown architecture "x""#,
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"] }),
            r#"linux.seccomp.flags[0]: unknown flag "SECCOMP_FILTER_FLAG_NEW_LISTENER""#,
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "who" }),
            "linux.seccomp.listenerMetadata: can't be sent without a listenerPath",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_NOTIFY" }] }),
            "linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs the socket of an agent",
        ),
    ];
    for (config, expected) in cases {
        assert_eq!(refusal(plan(config)), expected);
    }
}

#[test]
fn refusals_of_a_rule_name_their_field() {
    let arg = |arg: Value| json!({ "names": ["read"], "action": "SCMP_ACT_TRAP", "args": [arg] });
    let cases = [
        (json!({ "names": ["read"], "action": "X" }), r#"action: unknown action "X""#),
        (json!({ "names": ["read"] }), r#"action: unknown action """#),
        (
            json!({ "names": ["read"], "action": "SCMP_ACT_LOG", "errnoRet": 1 }),
            "errnoRet: SCMP_ACT_LOG takes no errno",
        ),
        (
            json!({ "names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 70000 }),
            "errnoRet: 70000 is more than 16 bits hold",
        ),
        (json!({ "names": ["read", ""], "action": "SCMP_ACT_TRAP" }), "names[1]: is empty"),
        (
            json!({ "names": ["read", "write"], "action": "SCMP_ACT_NOTIFY" }),
            "names[1]: SCMP_ACT_NOTIFY can't be used for write: \
             the listener could never be handed over",
        ),
        (
            arg(json!({ "index": 6, "value": 0, "op": "SCMP_CMP_EQ" })),
            "args[0].index: 6: the last argument is 5",
        ),
        (
            arg(json!({ "index": 0, "value": 0, "op": "SCMP_CMP_LIKE" })),
            r#"args[0].op: unknown operator "SCMP_CMP_LIKE""#,
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(refusal(with_rule(&rule)), format!("linux.seccomp.syscalls[0].{expected}"));
    }
}
