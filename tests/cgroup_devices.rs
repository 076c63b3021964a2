//! The device filter: the emitted program, run by a small interpreter, against the plain meaning of the rules.

use etui::kernel::cgroup::device_rules::{Access, DeviceKind, DeviceRule, Devices, Verdict};
use etui::kernel::cgroup::devices::{DeviceFilter, WithoutRights};
use etui::sys::bpf::Instruction;
use proptest::prelude::*;

/// One question of the kernel.
#[derive(Debug, Clone, Copy)]
struct Question {
    kind: DeviceKind,
    major: u32,
    minor: u32,
    access: Access,
}

/// For each access asked for, the last rule that names it decides; what none names is denied.
fn meaning(rules: &[DeviceRule], question: Question) -> bool {
    [Access::READ, Access::WRITE, Access::MKNOD]
        .into_iter()
        .filter(|access| question.access.contains(*access))
        .all(|access| {
            let decides = rules.iter().rev().find(|rule| match rule.devices {
                Devices::All => true,
                Devices::Named { kind, major, minor } => {
                    kind == question.kind
                        && major.is_none_or(|number| number == question.major)
                        && minor.is_none_or(|number| number == question.minor)
                        && rule.access.contains(access)
                }
            });
            decides.is_some_and(|rule| rule.verdict == Verdict::Allow)
        })
}

/// Runs the program as the kernel would: 64-bit registers, 32-bit operations that clear the upper half.
fn run(program: &[Instruction], question: Question) -> bool {
    let access = u32::from(question.access.bits());
    let context = [access << 16 | question.kind as u32, question.major, question.minor];
    let mut registers = [0_u32; 11];
    let mut next = 0_usize;
    loop {
        let instruction = program[next];
        next += 1;
        let to = usize::from(instruction.registers & 0xf);
        let from = usize::from(instruction.registers >> 4);
        let constant = instruction.immediate.cast_unsigned();
        match instruction.opcode {
            0x61 => {
                assert_eq!((from, instruction.offset % 4), (1, 0), "only the context is readable");
                registers[to] = context[usize::try_from(instruction.offset).unwrap() / 4];
            }
            0xbc => registers[to] = registers[from],
            0xb4 => registers[to] = constant,
            0x54 => registers[to] &= constant,
            0x4c => registers[to] |= registers[from],
            0x64 => registers[to] <<= constant,
            0x74 => registers[to] >>= constant,
            0x56 if registers[to] == constant => {}
            0x16 if registers[to] != constant => {}
            0x56 | 0x16 | 0x05 => {
                next += usize::try_from(instruction.offset).expect("programs only jump forward");
            }
            0x95 => return registers[0] == 1,
            other => panic!("instruction {other:#x} is not known here"),
        }
    }
}

fn filter(rules: Vec<DeviceRule>) -> DeviceFilter {
    DeviceFilter { rules, without_rights: WithoutRights::Fail }
}

fn access() -> impl Strategy<Value = Access> {
    "[rwm]{1,3}".prop_map(|letters| Access::parse(&letters).unwrap())
}

fn kind() -> impl Strategy<Value = DeviceKind> {
    prop_oneof![Just(DeviceKind::Block), Just(DeviceKind::Character)]
}

/// Few numbers, so that rules and questions meet; and the edges of a word.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..3_u32, 1 => Just((1 << 12) - 1), 1 => Just((1 << 20) - 1),
        1 => Just(u32::MAX), 1 => Just(1 << 31)]
}

fn rule() -> impl Strategy<Value = DeviceRule> {
    let named = (kind(), proptest::option::of(number()), proptest::option::of(number()))
        .prop_map(|(kind, major, minor)| Devices::Named { kind, major, minor });
    let devices = prop_oneof![1 => Just(Devices::All), 12 => named];
    let verdict = prop_oneof![Just(Verdict::Allow), Just(Verdict::Deny)];
    (verdict, devices, access()).prop_map(|(verdict, devices, access)| DeviceRule {
        verdict,
        devices,
        access,
    })
}

/// The kernel's device numbers have 12 and 20 bits (`MINORBITS`).
fn device() -> impl Strategy<Value = (u32, u32)> {
    let major = prop_oneof![4 => 0..3_u32, 1 => Just((1 << 12) - 1)];
    let minor = prop_oneof![4 => 0..3_u32, 1 => Just((1 << 20) - 1)];
    (major, minor)
}

fn question() -> impl Strategy<Value = Question> {
    (kind(), device(), access()).prop_map(|(kind, (major, minor), access)| Question {
        kind,
        major,
        minor,
        access,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn the_program_means_what_the_rules_mean(
        rules in proptest::collection::vec(rule(), 0..12),
        questions in proptest::collection::vec(question(), 16),
    ) {
        let program = filter(rules.clone()).program();
        for question in questions {
            prop_assert_eq!(run(&program, question), meaning(&rules, question), "{:?}", question);
        }
    }
}

#[test]
fn denying_one_access_denies_any_request_that_includes_it() {
    let null = Devices::Named { kind: DeviceKind::Character, major: Some(1), minor: Some(3) };
    let program = filter(vec![
        DeviceRule { verdict: Verdict::Allow, devices: Devices::All, access: Access::ALL },
        DeviceRule { verdict: Verdict::Deny, devices: null, access: Access::WRITE },
    ])
    .program();
    let ask = |letters| {
        let access = Access::parse(letters).unwrap();
        run(&program, Question { kind: DeviceKind::Character, major: 1, minor: 3, access })
    };
    assert!(ask("r"));
    assert!(!ask("w"));
    assert!(!ask("rw"), "opening for both must not slip past a rule for one");
}

/// Docker's rules, its list twice: what is said twice, or in vain, costs nothing.
#[test]
fn a_usual_filter_is_short() {
    let rule = |verdict, major, minor| DeviceRule {
        verdict,
        devices: Devices::Named { kind: DeviceKind::Character, major: Some(major), minor },
        access: Access::ALL,
    };
    let nodes = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];
    let allowed = nodes.map(|(major, minor)| rule(Verdict::Allow, major, Some(minor)));
    let once = [&allowed[..], &[rule(Verdict::Deny, 10, Some(229))]].concat();
    let program = filter([&once[..], &once].concat()).program();
    // Nine to begin with; kind, six tests, past the answer, the answer; the answer for the rest.
    assert_eq!(program.len(), 9 + 1 + 6 + 1 + 2 + 2, "{program:#?}");
}

#[test]
fn many_rules_are_one_program() {
    let rules = (0..5000).map(|minor| DeviceRule {
        verdict: Verdict::Allow,
        devices: Devices::Named { kind: DeviceKind::Block, major: Some(8), minor: Some(minor) },
        access: Access::ALL,
    });
    let program = filter(rules.collect()).program();
    let ask = |minor| {
        run(&program, Question { kind: DeviceKind::Block, major: 8, minor, access: Access::ALL })
    };
    assert!(ask(0) && ask(2500) && ask(4999));
    assert!(!ask(5000));
}
