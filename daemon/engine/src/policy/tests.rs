//! Policies as people write them: what is taken, what is refused and where, what is warned of.

use super::*;

fn rules(rules: &str) -> String {
    format!("name = \"test\"\n{rules}")
}

fn mistakes(text: &str) -> Vec<String> {
    Policy::check(text).expect_err(text).iter().map(ToString::to_string).collect()
}

fn warnings(text: &str) -> Vec<String> {
    let (_, warnings) = Policy::check(text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:?}"));
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn mistakes_have_line_and_column_of_the_file() {
    for (text, expected) in [
        ("", "1:1: the policy has no name"),
        ("name = ", "1:8: this is not TOML"),
        ("name = \"a\"\ncolour = 1", "2:1: there is no setting colour"),
        (
            "name = \"a\"\nshipment_max = 1",
            "2:1: there is no setting shipment_max; did you mean shipments_max?",
        ),
        ("name = \"a\"\nshipments_max = 0", "2:17: expected a whole number from 1"),
        ("name = \"a\"\ntime_zone = \"Mars/Base\"", "2:13: \"Mars/Base\" is no time zone"),
        ("name = \"a\"\nactive_from = \"tomorrow\"", "2:15: expected a moment with its offset"),
        ("name = \"a\"\nactive_from = 2027-11-26", "2:15: expected a moment with its offset"),
        ("name = \"a\"\nshare = 100", "2:9: expected a whole number of per cent from 1 to 99"),
        ("name = \"a\"\nonly_when = 'line.cold'", "2:13: `only_when` may ask about order and time alone"),
        ("name = \"a\"\nunfillable = \"wait\"", "2:14: \"wait\" is none of"),
        ("name = \"a\"\nunfillable = \"backorder\"", "2:14: nothing says how long orders wait"),
        ("name = \"a\"\nbackorder_days = 3", "2:1: backorder_days is for orders that wait"),
        (
            "name = \"a\"\nbackorder_days = 366\nunfillable = \"backorder\"",
            "2:18: expected a whole number of days from 1 to 365",
        ),
        ("name = \"a\"\nsplit_when = 'node.cold'", "2:14: `split_when` may ask about order and time alone"),
        (
            "name = \"a\"\n[weights]\nsplit = 1",
            "3:1: there is no setting split; weights are shipment, mile, late_day",
        ),
        ("name = \"a\"\nfull_day = \"skip\"", "2:12: \"skip\" is neither \"wait\" nor \"exclude\""),
        ("name = \"a\"\nlate = \"never\"", "2:8: \"never\" is neither \"allow\" nor \"refuse\""),
        ("name = \"a\"\ntransit_miles_per_day = 399", "2:25: expected a whole number from 400 to 10000"),
        ("name = \"a\"\ntransit_weekends = 1", "2:20: expected true or false"),
        ("name = \"a\"\n[[rule]]\nexclude = 'node.cold'", "2:1: the rule has no name"),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"",
            "2:1: a rule has one of require, exclude, prefer, avoid, together, apart, keep and services; \"b\" has none",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nexclude = 'node.kind == \"shop\"'",
            "4:25: node.kind is never \"shop\"",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"é\"\nexclude = \"node.cold && nod.cold\"",
            "4:25: there is no field nod.cold",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nexclude = '''\nnode.cold\n  && node.hot'''",
            "6:6: there is no field node.hot",
        ),
        ("name = \"a\"\n[[rule]]\nname = \"b\"\navoid = 'node.cold'", "2:1: \"b\" says not what it costs"),
        ("name = \"a\"\n[[rule]]\nname = \"b\"\navoid = 'node.cold'\ncost = -1", "5:8: expected an amount"),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nexclude = 'node.cold'\ncost = 1",
            "5:1: only a rule that prefers or avoids has a cost",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\navoid = 'line.cold'\ncost = 1",
            "4:9: a preference is about whole orders",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nwhen = 'node.cold'\nexclude = 'true'",
            "4:8: `when` may ask about order, line and time alone",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\ntogether = 'node.cold'",
            "4:12: which lines it is about cannot depend on a node",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nwhen = 'line.cold'\napart = 'line.hazmat'",
            "2:1: `when` of a rule about lines may ask about order and time alone",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\ntogether = 'line.cold'\nfrom = 'line.hazmat'",
            "5:1: only a rule that says what is `apart`",
        ),
        ("name = \"a\"\n[[rule]]\nname = \"b\"\nkeep = 'true'", "2:1: \"b\" says not how much is kept"),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nkeep = 'true'\nunits = 0",
            "5:9: expected a whole number from 1",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nkeep = 'true'\nunits = 1\n[[rule]]\nname = \"b\"\napart = 'true'",
            "6:1: there is a rule \"b\" already",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nservices = \"EXPRESS\"",
            "4:12: expected a list of services, like",
        ),
        ("name = \"a\"\n[[rule]]\nname = \"b\"\nservices = []", "4:12: expected a list of services, like"),
        ("name = \"a\"\n[[rule]]\nname = \"b\"\nservices = [\"x\", 3]", "4:18: expected a service in quotes"),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nservices = [\"x\", \"x\"]",
            "4:18: service \"x\" stands in the list already",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nservices = [\"x\"]\notherwise = 'true'",
            "5:13: expected a list of services, like",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nservices = [\"x\"]\ncost = 3",
            "5:1: a rule that names services has a name, `when` and `otherwise` beside them, not cost",
        ),
        (
            "name = \"a\"\n[[rule]]\nname = \"b\"\nwhen = 'line.cold'\nservices = [\"x\"]",
            "4:8: a rule that names services is about whole orders",
        ),
        ("name = \"a\"\n[[rule]]\nservices = [\"x\"]", "2:1: the rule has no name"),
    ] {
        let found = mistakes(text);
        assert!(found[0].starts_with(expected), "{text}\nexpected {expected}\nfound {found:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = rules(
        "split_lines = 3\n[[rule]]\nname = \"a\"\nexclude = 'node.hot'\n[[rule]]\nname = \"b\"\nrequire = '1 +'\n",
    );
    let found = mistakes(&text);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn rules_that_never_match_or_only_repeat_others_are_warned_of() {
    let rule = |name: &str, rest: &str| format!("[[rule]]\nname = \"{name}\"\n{rest}\n");
    for (policy, expected) in [
        (rule("a", "exclude = 'node.cold && !node.cold'"), "4:11: warning: \"a\" can never match"),
        (
            rule("a", "require = 'node.priority >= 0'"),
            "4:11: warning: \"a\" can never match: every node is always",
        ),
        (
            rule("a", "when = 'time.hour > 23'\nexclude = 'node.cold'"),
            "5:11: warning: \"a\" is never in force",
        ),
        (
            rule("a", "require = 'node.kind == \"dc\" && node.kind == \"3pl\"'"),
            "4:11: warning: \"a\" leaves no node",
        ),
        (rule("a", "exclude = 'node.cold || !node.cold'"), "4:11: warning: \"a\" leaves no node: every node"),
        (rule("a", "avoid = 'node.cold'\ncost = 0"), "4:9: warning: \"a\" does nothing: its cost is 0"),
        (
            rule("a", "require = 'node.cold'\notherwise = 'node.cold && node.hazmat'"),
            "4:11: warning: the `otherwise` of \"a\" lets no node in",
        ),
        (
            rule("a", "exclude = 'node.kind == \"store\"'")
                + &rule("b", "when = 'order.value < 20'\nexclude = 'node.kind == \"store\" && node.cold'"),
            "8:11: warning: \"b\" does nothing: rule \"a\" excludes all that it excludes",
        ),
        (
            rule("a", "avoid = 'node.kind == \"vendor\"'\ncost = 3")
                + &rule("b", "require = 'node.kind == \"dc\"'"),
            "4:9: warning: \"a\" does nothing: rule \"b\" excludes all that it makes dearer",
        ),
        (
            rule("a", "exclude = 'node.cold'") + &rule("b", "exclude = 'node.cold == true'"),
            "7:11: warning: \"b\" does nothing",
        ),
        ("split_when = 'order.units < 1'".to_owned(), "2:14: warning: split_when is never true"),
        ("review_when = 'order.units < 1'".to_owned(), "2:15: warning: review_when is never true"),
        ("refuse_when = 'order.units < 1'".to_owned(), "2:15: warning: refuse_when is never true"),
        ("partial_when = 'order.units < 1'".to_owned(), "2:16: warning: partial_when is never true"),
        (
            "only_when = 'order.units > 5 && order.units < 2'".to_owned(),
            "2:13: warning: only_when is never true: this version is for no order",
        ),
        ("late = 'refuse'".to_owned(), "2:8: warning: late is about nothing that is shipped"),
        ("weights.late_day = 3".to_owned(), "2:20: warning: late_day is about nothing that is shipped"),
        (
            rule("a", "exclude = 'node.kind == \"dc\"'") + &rule("b", "require = 'node.kind == \"dc\"'"),
            "7:11: warning: \"b\" leaves no node: rules before it",
        ),
        (rule("a", "apart = 'line.cold && !line.cold'"), "4:9: warning: \"a\" can never match: no line"),
        (
            rule("a", "when = 'time.hour > 23'\nkeep = 'node.cold'\nunits = 1"),
            "5:8: warning: \"a\" can never match: no node",
        ),
        (rule("a", "when = 'time.hour > 23'\nservices = ['x']"), "5:12: warning: \"a\" is never in force"),
        (
            rule("a", "services = ['x', 'y']\notherwise = ['C/x', 'y']"),
            "4:12: warning: the `otherwise` of \"a\" lets orders go by no service",
        ),
        (
            rule("a", "when = 'order.value > 50'\nservices = ['x']")
                + &rule("b", "when = 'order.value > 20'\nservices = ['C/x']"),
            "5:12: warning: \"a\" does nothing: rule \"b\" lets orders go by no other service",
        ),
        (rule("a", "services = ['x']") + &rule("b", "services = ['x']"), "7:12: warning: \"b\" does nothing"),
        (
            rule("a", "when = 'order.units > 2'\nservices = ['C/y']") + &rule("b", "services = ['x', 'D/y']"),
            "5:12: warning: \"a\" leaves no service: rule \"b\" names none of its own",
        ),
    ] {
        let found = warnings(&rules(&policy));
        assert_eq!(found.len(), 1, "{policy}\n{found:?}");
        assert!(found[0].starts_with(expected), "{policy}\nexpected {expected}\nfound {found:?}");
    }
}

#[test]
fn sound_policies_are_taken_without_a_word() {
    let rule = |name: &str, rest: &str| format!("[[rule]]\nname = \"{name}\"\n{rest}\n");
    let policy =
        "time_zone = \"America/New_York\"\nshipments_max = 3\nsplit_lines = false\nunfillable = \"partial\"\n\
                  split_when = 'order.value > 50.00'\nweights = { shipment = \"0.25\", mile = 0.000_1, late_day = 2 }\n\
                  late = \"refuse\"\nfull_day = \"exclude\"\ntransit_miles_per_day = 500\ntransit_weekends = true\n"
            .replace("0.000_1", "0.0001")
            + &rule("a", "require = 'node.kind == \"dc\"'\notherwise = 'true'")
            + &rule("b", "when = 'line.hazmat'\nexclude = 'node.kind == \"dc\"'")
            + &rule("c", "avoid = 'node.miles > 500'\ncost = \"2.50\"")
            + &rule("d", "when = 'order.channel == 1'\ntogether = 'line.group == \"kitchen\"'")
            + &rule("e", "apart = 'line.hazmat'\nfrom = 'line.cold'")
            + &rule("f", "when = 'line.quantity < 5'\nkeep = 'node.kind == \"store\"'\nunits = 2")
            + &rule("g", "when = 'order.value >= 200'\nservices = ['EXPRESS', 'UPS/NEXT_DAY']\notherwise = ['UPS/2_DAY']")
            + &rule("h", "when = 'order.hazmat'\nservices = ['GROUND', 'EXPRESS']");
    assert_eq!(warnings(&rules(&policy)), [] as [&str; 0]);
}

#[test]
fn sizes_are_bounded() {
    assert!(mistakes(&rules(&"#".repeat(TEXT_LEN_MAX)))[0].contains("longer than"));
    let many: String = (0..=RULES_MAX)
        .map(|n| format!("[[rule]]\nname = \"{n}\"\nexclude = 'node.priority == {n}'\n"))
        .collect();
    assert!(mistakes(&rules(&many))[0].contains("more than 256 rules"));
    let falling: String = (0..=FALLBACKS_MAX)
        .map(|n| format!("[[rule]]\nname = \"{n}\"\nexclude = 'node.priority == {n}'\notherwise = 'true'\n"))
        .collect();
    assert!(mistakes(&rules(&falling))[0].contains("more than 16 rules have an `otherwise`"));
}

#[test]
fn the_page_lists_every_field_and_its_policies_are_sound() {
    let page = include_str!("../../../../docs/policy.md");
    let mut rest = page;
    for field in FIELDS {
        let row = format!("| `{}` | {} | {}", field.name, field.kind.name(), field.meaning);
        let at = rest.find(&row).unwrap_or_else(|| panic!("docs/policy.md lacks, in this place: {row}"));
        rest = &rest[at..];
        assert!(
            field.values.iter().all(|value| rest[..rest.find('\n').unwrap_or(0)].contains(value)),
            "{row}"
        );
    }
    assert_eq!(page.matches("\n| `order.").count() + page.matches("\n| `line.").count(), 20);
    let policies: Vec<_> = page.split("```toml policy\n").skip(1).collect();
    assert!(!policies.is_empty());
    for policy in policies {
        let text = policy.split("```").next().unwrap_or_default();
        assert_eq!(warnings(text), [] as [&str; 0]);
    }
}
