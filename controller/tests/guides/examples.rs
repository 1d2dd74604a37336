//! Examples in `examples/`: each says in its first lines which service's routes come out of it, line by line.
//! `# routes: NAMESPACE/HOST`, then `# LINE` for every line.

use std::fs;
use std::path::Path;

use crate::shown::lines;
use crate::{routes, world};

#[test]
fn every_example_comes_to_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guides/examples");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut head = text.lines().map_while(|it| it.strip_prefix("# "));
        let name = head.next().and_then(|it| it.strip_prefix("routes: "));
        let name = name.unwrap_or_else(|| panic!("{} says no service", path.display()));
        let expected: Vec<&str> = head.collect();
        let found = lines(&routes(&world(&text), name));
        assert_eq!(found, expected, "{}: {found:#?}", path.display());
        count += 1;
    }
    assert!(count > 0);
}
