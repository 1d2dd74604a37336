//! Tables for the document reader.

use proptest::prelude::*;
use serde_json::json;

use super::{ErrorKind, MAX_DEPTH, Mark, Path, Step, parse};

fn line(text: &str, path: &[Step]) -> u32 {
    parse(text.as_bytes()).unwrap()[0].line_of(&path.iter().cloned().collect())
}

fn key(text: &str) -> Step {
    Step::Key(text.to_owned())
}

#[test]
fn every_field_has_its_line() {
    let text = "a: 1\nb:\n  - x: 1\n    y: 2\n  - z:\n      - deep\nc: {d: 1,\n    e: 2}\n";
    assert_eq!(line(text, &[]), 1);
    assert_eq!(line(text, &[key("b")]), 2);
    assert_eq!(line(text, &[key("b"), Step::Index(0), key("y")]), 4);
    assert_eq!(line(text, &[key("b"), Step::Index(1)]), 5);
    assert_eq!(
        line(text, &[key("b"), Step::Index(1), key("z"), Step::Index(0)]),
        6
    );
    assert_eq!(line(text, &[key("c"), key("e")]), 8);
}

#[test]
fn a_missing_field_is_at_its_parent() {
    let text = "a: 1\nb:\n  c: 1\n";
    assert_eq!(line(text, &[key("b"), key("nope"), key("deeper")]), 2);
}

#[test]
fn columns_count_from_one() {
    let documents = parse(b"a:\n  b: 1\n").unwrap();
    assert_eq!(
        documents[0].mark_of(&Path::of_keys(&["a", "b"])),
        Mark { line: 2, column: 3 }
    );
}

#[test]
fn a_file_may_hold_many_documents_and_empty_ones_do_not_count() {
    let documents =
        parse(b"# just a comment\n---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n").unwrap();
    let values: Vec<_> = documents
        .iter()
        .map(|document| document.value().clone())
        .collect();
    assert_eq!(values, [json!({"a": 1}), json!({"b": 2})]);
    assert_eq!(documents[1].line(), 8);
    assert_eq!(parse(b"").unwrap(), []);
}

#[test]
fn json_is_read_as_well_tabs_included() {
    let documents =
        parse(b"{\n\t\"a\": [1, {\"b\": null}],\n\t\"c\": \"x\\u00e9\\/\"\n}\n").unwrap();
    assert_eq!(
        documents[0].value(),
        &json!({"a": [1, {"b": null}], "c": "xé/"})
    );
    assert_eq!(documents[0].line_of(&Path::of_keys(&["c"])), 3);
}

#[test]
fn quoted_words_are_text() {
    let documents = parse(b"a: \"80\"\nb: 'true'\nc: |\n  1\n  2\nd: !!str 5\n").unwrap();
    assert_eq!(
        documents[0].value(),
        &json!({"a": "80", "b": "true", "c": "1\n2\n", "d": "5"})
    );
}

#[test]
fn an_alias_is_a_copy_that_keeps_the_lines_of_the_original() {
    let documents = parse(b"a: &x\n  b: 1\nc: *x\n").unwrap();
    assert_eq!(documents[0].value(), &json!({"a": {"b": 1}, "c": {"b": 1}}));
    assert_eq!(documents[0].line_of(&Path::of_keys(&["c"])), 3);
    assert_eq!(documents[0].line_of(&Path::of_keys(&["c", "b"])), 2);
}

#[test]
fn a_list_falls_apart_into_documents_with_their_own_lines() {
    let text = b"kind: List\nitems:\n- kind: A\n  spec:\n    x: 1\n- kind: B\n";
    let items = parse(text).unwrap().remove(0).into_items("items").unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].line_of(&Path::of_keys(&["spec", "x"])), 5);
    assert_eq!(items[1].line_of(&Path::of_keys(&["kind"])), 6);
    assert_eq!(items[1].value(), &json!({"kind": "B"}));
}

#[test]
fn what_is_refused_names_its_line() {
    let deep = "[".repeat(MAX_DEPTH + 1);
    for (text, line, expected) in [
        (
            "a: 1\nb: 2\na: 3\n",
            3,
            "the key `a` is already given in line 1",
        ),
        (
            "a: &x {b: 1}\nc:\n  <<: *x\n",
            3,
            "merge keys (`<<`) are not supported",
        ),
        ("a: 1\n? [x]\n: 2\n", 2, "a key must be a plain value"),
        (
            "a: &x\n  b: *x\n",
            2,
            "an alias to something that is not complete yet",
        ),
        ("a: !custom 1\n", 1, "the tag `!custom` is not supported"),
        (
            "a: !!int x\n",
            1,
            "the value is not what its tag `tag:yaml.org,2002:!int` says",
        ),
        (&deep, 1, "nested deeper than 100 levels"),
        ("a: \"\0\"", 1, "a NUL character in the text"),
    ] {
        let error = parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            (error.mark.line, error.kind.to_string().as_str()),
            (line, expected),
            "{text}"
        );
    }
    let error = parse(b"a: 1\nb: [1\nc: 2\n").unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Syntax { .. }) && error.mark.line >= 2,
        "{error}"
    );
    assert_eq!(parse(b"a: 1\nb: \xff").unwrap_err().mark.line, 2);
}

#[test]
fn copies_by_aliases_are_bounded() {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let copies = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{copies}]\n"));
    }
    assert_eq!(
        parse(text.as_bytes()).unwrap_err().kind,
        ErrorKind::TooManyNodes
    );
}

#[test]
fn paths_print_as_users_write_them() {
    let path: Path = [key("spec"), key("ports"), Step::Index(0), key("a.b/c")]
        .into_iter()
        .collect();
    assert_eq!(path.to_string(), "spec.ports[0][\"a.b/c\"]");
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_text_of_yaml_signs_gets_an_answer(text in "[-:?,\\[\\]{}#&*!|>'\"%@` \t\r\na-c0-9~.<]{0,120}") {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn what_json_writes_is_read_back(value in json_value()) {
        let text = serde_json::to_string_pretty(&json!({ "root": value })).unwrap();
        let documents = parse(text.as_bytes()).unwrap();
        prop_assert_eq!(documents[0].value(), &json!({ "root": value }));
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        "[ -~]{0,12}".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z ]{1,6}", inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

#[test]
fn a_part_of_a_document_keeps_its_lines() {
    let text =
        "a: 1\nspec:\n  template:\n    metadata:\n      name: x\n    list:\n      - y\nlast: 2\n";
    let document = parse(text.as_bytes()).unwrap().remove(0);
    let part = document
        .part(&Path::of_keys(&["spec", "template"]))
        .unwrap();
    assert_eq!(part.value().pointer("/metadata/name").unwrap(), "x");
    let line = |keys: &[&str]| part.line_of(&Path::of_keys(keys));
    assert_eq!([line(&["metadata", "name"]), line(&["list"])], [5, 6]);
    assert_eq!(part.line_of(&Path::of_keys(&["list"]).at(0)), 7);
    assert!(
        document
            .part(&Path::of_keys(&["spec", "nothing"]))
            .is_none()
    );
}
