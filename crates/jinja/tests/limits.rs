//! No template panics, hangs or takes memory without bound: hostile ones by name, and any that can be put together from
//! the tokens of real ones (longer with `PROPTEST_CASES`).

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jinja::{Template, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Renders with the variables of the fixture.
fn render(source: &str) -> Result<String, jinja::Error> {
    static VARIABLES: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/templates/context.json");
        let mut context: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        context["variables"]["messages"] = context["dialogues"]["words"].clone();
        context["variables"]["tools"] = json!(null);
        let variables = context["variables"].as_object().unwrap();
        variables.iter().map(|(name, value)| (name.clone(), Value::from_json(value).unwrap())).collect()
    });
    Template::parse(source)?.render(VARIABLES.clone())
}

#[test]
fn templates_without_an_end_are_errors() {
    let nested = "[".repeat(5000);
    let many_blocks = "{% if yes %}".repeat(3000);
    let chain = format!("{{{{ text{} }}}}", "|trim".repeat(5000));
    for source in [
        "{% set ns = namespace(x='ab') %}{% for i in range(90) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(90) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x='a') %}{% for i in range(90) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(90) %}{% set ns.x = ns.x | replace('a', 'aaa') %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(90) %}{% set ns.x = (ns.x * 9).join(ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(90) %}{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(90) %}{% set ns.x = '{0}{0}'.format(ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='a\\n') %}{% for i in range(90) %}{% set ns.x = ns.x | indent(ns.x, true, true) %}{% endfor %}",
        "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}\
         {% set ns.y = [ns.y, ns.y] %}{{ ns.x == ns.y }}{% endfor %}",
        "{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set ns.x = [ns.x] | reverse %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(1000) %}{{ list | sort | join | tojson }}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% macro m() %}{% endmacro %}{% endfor %}{% endfor %}",
        "{% set x = 'ab' * 4000000 %}{% for i in range(100000) %}{% if x %}{{ 'c' in x }}{{ x == x }}{{ x[-1] }}\
         {{ x | length }}{% endif %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(20) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}\
         {% for i in range(100000) %}{{ [ns.x, ns.x] | sort | first is none }}{{ loop.changed(ns.x) }}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for x in list recursive %}{{ loop(list) }}{% endfor %}",
        "{{ 'a' * 999999999999 }}",
        "{{ [1] * 999999999999 }}",
        "{{ '%999999999999d' % 1 }}",
        "{{ '%.999999999999f' % 1 }}",
        "{{ '{:>999999999999}'.format(1) }}",
        "{{ 'a'.center(999999999999) }}",
        "{{ [1] | tojson(indent=999999999999) }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 1.5 ** 99999999 }}",
        "{{ range(999999999999) }}",
        "{{ range(0, -999999999999, -1) | list }}",
        "{{ 'x' | indent(999999999999) }}",
        &nested,
        &many_blocks,
        &chain,
        &format!("{{{{ {nested} }}}}"),
        &format!("{{{{ {}1 }}}}", "(".repeat(5000)),
        &format!("{{{{ {}1 }}}}", "not ".repeat(5000)),
        &format!("{{{{ {}1 }}}}", "-".repeat(5000)),
        &format!("{{{{ text{} }}}}", "[0]".repeat(5000)),
        &format!("{{{{ {}1 }}}}", "1 if 1 else ".repeat(5000)),
        "{{ loop.cycle() }}",
        "{% for x in list %}{{ loop.cycle() }}{% endfor %}",
        "{{ 'abc'[0:2:0] }}",
        "{{ -170141183460469231731687303715884105727 - 2 }}",
        "{{ '%(' % text }}",
        "{{ '%' % text }}",
        "{{ '{' .format() }}",
    ] {
        let start = Instant::now();
        let outcome = render(source);
        if source != nested {
            assert!(outcome.is_err(), "{source}: {outcome:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{source}: {:?}", start.elapsed());
    }
}

/// Pieces of templates, each complete or not.
const TOKENS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{%-",
    "-%}",
    "{{-",
    "-}}",
    "{#",
    "#}",
    "{%+",
    "+%}",
    " ",
    "\n",
    "\r\n",
    "text",
    "n",
    "neg",
    "f",
    "list",
    "nums",
    "mixed",
    "data",
    "objs",
    "schema",
    "messages",
    "missing",
    "none",
    "true",
    "1",
    "0",
    "-1",
    "2.5",
    "1e20",
    "'a'",
    "\"b\\n\"",
    "''",
    "'%s'",
    "'%d'",
    "'{}'",
    "'\\u00e9'",
    "multi",
    "uni",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ".",
    "|",
    "~",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "==",
    "!=",
    "<",
    ">=",
    "=",
    " in ",
    " not ",
    " is ",
    " and ",
    " or ",
    " if ",
    " else ",
    " for ",
    " set ",
    "x",
    "ns",
    "ns.x",
    "loop",
    "loop.index",
    "loop.last",
    "loop.previtem",
    "namespace(x=1)",
    "range(3)",
    "range(",
    ".items()",
    ".get('b')",
    ".split('a')",
    ".strip()",
    ".replace('a', 'bb')",
    ".format(",
    ".join(",
    ".title()",
    "[0]",
    "[1:]",
    "[::-1]",
    "[",
    "| tojson",
    "| length",
    "| list",
    "| join(', ')",
    "| map(attribute='name')",
    "| selectattr('n', 'eq', 1)",
    "| default('d', true)",
    "| round(1)",
    "| int",
    "| sort",
    "| unique",
    "| indent(2)",
    "| trim",
    "| first",
    "| last",
    "| dictsort",
    "is string",
    "is mapping",
    "is defined",
    "is divisibleby 2",
    "{% for x in ",
    "{% endfor %}",
    "{% if ",
    "{% elif ",
    "{% else %}",
    "{% endif %}",
    "{% set x = ",
    "{% set ns = namespace(x=1) %}",
    "{% set x %}",
    "{% endset %}",
    "{% macro m(a, b=1) %}",
    "{% endmacro %}",
    "{{ m(",
    "{% call m() %}",
    "{% endcall %}",
    "caller()",
    "{% generation %}",
    "{% endgeneration %}",
    "{% raw %}",
    "{% endraw %}",
    "{% break %}",
    "{% continue %}",
    " recursive",
    "loop(",
    "loop.cycle(",
    "{% with x = ",
    "{% endwith %}",
    "{% filter upper %}",
    "{% endfilter %}",
    "猫",
    "\u{1f642}",
    "\\",
];

/// Expressions, mostly well formed.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "text",
        "n",
        "neg",
        "f",
        "list",
        "nums",
        "mixed",
        "data",
        "objs",
        "missing",
        "none",
        "true",
        "0",
        "1",
        "-3",
        "2.5",
        "'a%s'",
        "''",
        "multi",
        "uni",
        "'{}-{}'",
        "loop.index",
        "messages",
        "x",
        "range(4)",
        "(1, 'a')",
        "{'k': [1]}",
        "large",
        "tiny",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(5, 40, 4, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", "in", "not in", "and", "or",
        ]);
        let suffix = prop::sample::select(vec![
            ".items()",
            ".keys()",
            ".strip()",
            ".split()",
            ".title()",
            ".upper()",
            ".splitlines()",
            ".nope",
            "[0]",
            "[-1]",
            "[1:]",
            "[::-1]",
            "[:2]",
            "[3:0:-1]",
            " | tojson",
            " | tojson(indent=1)",
            " | length",
            " | list",
            " | join('-')",
            " | string",
            " | reverse",
            " | sort",
            " | unique",
            " | first",
            " | last",
            " | int",
            " | float",
            " | round",
            " | abs",
            " | title",
            " | indent",
            " | wordcount",
            " | dictsort",
            " | items",
            " | sum",
            " | min",
            " | map('upper')",
            " | select('string')",
            " | map(attribute='name')",
            " | default('d')",
            " is string",
            " is none",
            " is iterable",
            " is odd",
            " is sequence",
            ".isdigit()",
            ".istitle()",
            ".zfill(4)",
            ".center(5)",
            ".partition('l')",
        ]);
        let call = prop::sample::select(vec![
            ".split(#)",
            ".replace(#, 'z')",
            ".join(#)",
            ".format(#, #)",
            ".startswith(#)",
            ".find(#)",
            ".count(#)",
            ".get(#)",
            "[#]",
            "[#:#]",
            "[#:#:#]",
            " | default(#, true)",
            " | join(#)",
            " | round(#)",
            " | replace(#, #)",
            " | indent(#)",
            " | trim(#)",
            " is eq(#)",
            " is divisibleby(#)",
            " | map(#) | list",
            " | selectattr(#) | list",
            ".strip(#)",
            ".index(#)",
            ".ljust(#)",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(left, op, right)| format!("({left} {op} {right})")),
            (inner.clone(), suffix).prop_map(|(of, suffix)| format!("({of}){suffix}")),
            (inner.clone(), call, inner.clone())
                .prop_map(|(of, call, arg)| format!("({of}){}", call.replace('#', &arg))),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} if {b} else [{c}])")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(512), ..ProptestConfig::default() })]

    #[test]
    fn tokens_in_any_order_never_panic(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..40)) {
        let _ = render(&tokens.concat());
    }

    #[test]
    fn expressions_never_panic(expressions in prop::collection::vec(expression(), 1..4)) {
        let _ = render(&expressions.iter().map(|expression| format!("{{{{ {expression} }}}}")).collect::<String>());
        let _ = render(&format!("{{% for x in {} %}}{{{{ x }}}}{{{{ loop.last }}}}{{% endfor %}}", expressions[0]));
    }

    #[test]
    fn changed_templates_never_panic(at in 0_usize..4000, cut in 0_usize..30, put in prop::sample::select(TOKENS)) {
        let source = include_str!("../../../fixtures/templates/idioms.txt");
        let line = source.lines().nth(at % source.lines().count()).unwrap_or_default();
        let letters: Vec<char> = line.chars().collect();
        let from = (at / 7) % (letters.len() + 1);
        let to = (from + cut).min(letters.len());
        let changed: String = letters[..from].iter().copied().chain(put.chars()).chain(letters[to..].iter().copied()).collect();
        let _ = render(&changed);
    }
}
