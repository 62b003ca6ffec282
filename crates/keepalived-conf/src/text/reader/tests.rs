use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::loader::{LoadError, Loaded, SingleFile};
use crate::text::tree::Item;

/// Files in memory; a name that ends in `*` matches by prefix. Answers as the host `me`.
struct Memory(&'static [(&'static str, &'static str)], &'static str);

impl Memory {
    fn new(files: &'static [(&'static str, &'static str)]) -> Self {
        Self(files, "me")
    }
}

impl Loader for Memory {
    fn load(&mut self, _from: &str, pattern: &str) -> Result<Vec<Loaded>, LoadError> {
        let fits = |name: &str| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        let found: Vec<Loaded> = self
            .0
            .iter()
            .filter(|(name, _)| fits(name))
            .map(|(name, text)| Loaded { name: (*name).into(), text: (*text).into() })
            .collect();
        if found.is_empty() { Err(LoadError::NotFound) } else { Ok(found) }
    }

    fn config_id(&self) -> &str {
        self.1
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".into())
    }
}

fn shown(block: &Block, into: &mut String) {
    for item in &block.items {
        match item {
            Item::Statement(statement) => {
                let words: Vec<String> = statement
                    .words()
                    .map(|word| {
                        if word.text.contains(' ') {
                            format!("<{}>", word.text)
                        } else {
                            word.text.clone()
                        }
                    })
                    .collect();
                into.push_str(&words.join(" "));
                if let Some(block) = &statement.block {
                    into.push_str(" {");
                    shown(block, into);
                    into.push('}');
                }
                into.push(';');
            }
            Item::Directive(words, _) => {
                let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
                into.push_str(&["[", &words.join(" "), "]"].concat());
            }
        }
    }
}

/// Statements as `a b;c {d;};`, and the codes of what is found.
fn tree_with(text: &str, loader: &mut dyn Loader) -> (String, Vec<Code>) {
    let Read { root, sources, report, .. } = read("test.conf", text, loader);
    let mut tree = String::new();
    shown(&root, &mut tree);
    (tree, report.finish(&sources).iter().map(|found| found.code).collect())
}

fn tree(text: &str) -> String {
    tree_with(text, &mut Memory::new(&[])).0
}

fn codes(text: &str) -> Vec<Code> {
    tree_with(text, &mut Memory::new(&[])).1
}

#[test]
fn comments() {
    assert_eq!(
        tree("a ! x\nb#x\n c\\!x # y\nd\\#x\n\"e # x\" y\n# { only\n"),
        "a;b;c!x;d#x;<e # x> y;"
    );
}

#[test]
fn quotes_join_and_end_words() {
    assert_eq!(tree("a\"b c\"d \"\" 'e f'\n"), "a <b c> d  'e f';");
    assert_eq!(
        tree_with("a \"b c\nd\n", &mut SingleFile),
        ("a <b c>;d;".into(), vec![Code::UnterminatedQuote])
    );
}

#[test]
fn blanks_and_line_ends() {
    assert_eq!(tree("\t a\u{b}b\u{c}c\r\nd\r\n\r\n   \ne"), "a b c;d;e;");
}

#[test]
fn braces_anywhere() {
    assert_eq!(tree("a {b\nc }\nd\n{\ne\n}\nf{ g } h\n"), "a {b;c;};d {e;};f {g;};h;");
    assert_eq!(codes("}"), [Code::ExtraCloseBrace]);
    assert_eq!(tree_with("{ a }\nb\n", &mut SingleFile), ("b;".into(), vec![Code::ExtraOpenBrace]));
}

#[test]
fn an_unclosed_block_is_found_where_it_opens() {
    let Read { sources, report, root, .. } = read("x", "a {\n b {\n}\nc\n", &mut SingleFile);
    let found = report.finish(&sources);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code, sources.text(found[0].span)), (Code::UnclosedBlock, "a {"));
    let mut tree = String::new();
    shown(&root, &mut tree);
    assert_eq!(tree, "a {b {};c;};");
}

#[test]
fn a_top_level_block_closes_what_is_open_above_it() {
    let (tree, codes) =
        tree_with("vrrp_instance a {\n b {\n c\nvrrp_instance d {\n}\n", &mut SingleFile);
    assert_eq!(tree, "vrrp_instance a {b {c;};};vrrp_instance d {};");
    assert_eq!(codes, [Code::UnclosedBlock, Code::UnclosedBlock]);
}

#[test]
fn nesting_is_bounded() {
    let text = "a {\n".repeat(100) + &"}\n".repeat(100);
    assert_eq!(codes(&text), [Code::NestingLimit]);
}

#[test]
fn long_and_odd_lines_are_dropped() {
    let text =
        "a\n".to_string() + &"b".repeat(MAX_LINE + 1) + "\nc\0d\ne\n" + &"f".repeat(MAX_LINE);
    let (tree, codes) = tree_with(&text, &mut SingleFile);
    assert_eq!(tree, format!("a;e;{};", "f".repeat(MAX_LINE)));
    assert_eq!(codes, [Code::LineDropped, Code::LineDropped]);
}

#[test]
fn conditions() {
    assert_eq!(
        tree(
            "@me a\n@you b\n@^me c\n@^you d\n  @me e\nf @you g\n@me $X=1\nh${X}\n@me ~SEQ(q,2) i${q}\n"
        ),
        "a;d;e;f @you g;h1;i1;i2;"
    );
    assert_eq!(codes("@ a"), [Code::Preprocessor]);
    assert_eq!(tree("@me a {\n@you }\n}\n"), "a {};");
}

#[test]
fn our_own_lines() {
    assert_eq!(
        tree("@vipd guard vip_probe { timeout 20ms\na {\n @vipd b \"c d\"\n}\n"),
        "[guard vip_probe timeout 20ms]a {[b c d]};"
    );
}

#[test]
fn variables_are_late_and_recursive() {
    assert_eq!(
        tree("$A=foo\n$B=${A}bar\n$A=qux\nk${A} $A\n$B\n\"${B}\" \"$A\"\n$A. x\n"),
        "kqux qux;quxbar;quxbar $A;$A. x;"
    );
    assert_eq!(tree("$E=\na${E}x\n$F =3\n$G=a\"b c\"\nf ${G}\n"), "ax;$F =3;f a <b c>;");
    assert_eq!(
        tree_with("${UNDEFINED}x {\n}\n", &mut SingleFile),
        ("${UNDEFINED}x {};".into(), vec![Code::UndefinedVariable])
    );
}

#[test]
fn variables_of_several_lines() {
    let text = "$M=one \\\n two ${Z} \\\n\n$Z=late\n$M\npre $M\n$M post\n";
    assert_eq!(
        tree_with(text, &mut SingleFile),
        ("one;two late;pre one;two late;$M post;".into(), vec![Code::Preprocessor])
    );
    assert_eq!(tree("$B=a ${N} { \\\n b \\\n}\n~SEQ(N, 2) $B\n"), "a 1 {b;};a 2 {b;};");
}

#[test]
fn predefined_variables() {
    assert_eq!(
        tree("a${_HASH}b ${_BANG} ${_ENV HOME} ${_RANDOM 5 5} ${_PWD}\n"),
        "a#b ! /root 5 .;"
    );
    assert_eq!(codes("${_ENV NONE}"), [Code::UndefinedVariable]);
}

#[test]
fn sequences() {
    let all = "~SEQ(i, 2) a${i} $i x\n~SEQ(j,10,-3,2) b$j\n~SEQx(k,8,11) c${k}\n~SEQ(a,2) ~SEQ(b,2) n${a}${b}\n~SEQ(f,-2) o${f}\n~SEQ(g,07,0x9) p${g}\n$N=2\n~SEQ(h,$N) q${h}\n~SEQ(l,3,1) r${l}\n";
    assert_eq!(
        tree(&all.replace("b$j", "b${j}").replace("$N)", "${N})")),
        "a1 1 x;a2 2 x;b10;b7;b4;c8;c9;ca;cb;n11;n12;n21;n22;o-1;o-2;p7;p8;p9;q1;q2;r3;r2;r1;"
    );
    for wrong in [
        "~SEQ(t, 1, 2, 3, 4) u",
        "~SEQ(t) u",
        "~SEQ(t, a) u",
        "~SEQ(t, 3, 0, 5) u",
        "~SEQ(t, 1, -1, 5) u",
        "~SEQ(t, 1",
    ] {
        assert_eq!(
            tree_with(wrong, &mut SingleFile),
            (String::new(), vec![Code::Preprocessor]),
            "{wrong}"
        );
    }
}

#[test]
fn lists() {
    assert_eq!(
        tree("~LST({c,d},{1,2},{3}) l${c}-${d}.\n~LST(e, x, y) m${e}\n"),
        "l1-2.;l3-.;mx;my;"
    );
    for wrong in ["~LST(a) b", "~LST() b", "~LST({a,b}{1,2}) c", "~LST({a,b},{1,2) c"] {
        assert_eq!(codes(wrong), [Code::Preprocessor], "{wrong}");
    }
}

#[test]
fn a_sequence_bomb_is_defused() {
    for bomb in [
        "~SEQ(a,1000000000) x",
        "~SEQ(a,100000) ~SEQ(b,100000) ",
        "~SEQ(a,1,9223372036854775807) ${a}",
        "$A=x\n~SEQ(a,99999999) $A",
    ] {
        assert!(codes(bomb).contains(&Code::ExpansionLimit), "{bomb}");
    }
}

#[test]
fn variable_bombs_are_defused() {
    let doubling: Vec<String> = (1..60)
        .map(|n| {
            format!(
                "$V{n}=${{V{m}}}${{V{m}}}
",
                m = n - 1
            )
        })
        .collect();
    let doubling = doubling.concat();
    for bomb in [
        format!("$V0=xxxxxxxx\n{doubling}a ${{V40}}\n"),
        format!("$V0=\n{doubling}a {}\n", "${V15}".repeat(100)),
        "$A=${A}\n$A\n".into(),
        "$A=x ${B}\n$B=y ${A}\na $A\n".into(),
        "$A=x \\\n$A\n$A\n".into(),
        format!(
            "$V0={}\n$V1={}\n{}",
            "x".repeat(1000),
            "${V0}".repeat(200),
            "~SEQ(i,1000) ${V1}${V1}${V1}${V1}${V1}\n"
        ),
    ] {
        let found = codes(&bomb);
        assert_eq!(
            found.iter().filter(|&&code| code == Code::ExpansionLimit).count(),
            1,
            "{found:?} {}",
            bomb.get(..40).unwrap_or("")
        );
    }
}

#[test]
fn includes_anywhere() {
    let mut files = Memory::new(&[("d/a", "x\n"), ("d/b", "y {\nz\n"), ("c", "include d/a\n")]);
    assert_eq!(
        tree_with("a { include d/*\n}\n}\ninclude c\n$P=c\ninclude $P\n", &mut files),
        ("a {x;y {z;};};x;x;".into(), vec![])
    );
}

#[test]
fn missing_includes() {
    for (text, severe) in [
        ("include nothing", Some(false)),
        ("include nothing*", None),
        ("includem nothing*", None),
        ("includem nothing", Some(true)),
        ("includew nothing*", Some(true)),
        ("includea nothing", Some(true)),
        ("includer nothing", Some(false)),
        ("include", Some(false)),
    ] {
        let Read { sources, report, .. } = read("x", text, &mut Memory::new(&[]));
        let found = report.finish(&sources);
        let severity = found.first().map(|found| found.severity == crate::Severity::Error);
        assert_eq!(severity, severe, "{text}: {found:?}");
    }
    assert_eq!(tree("\"include\" x\nincluded y\n"), "include x;included y;");
}

#[test]
fn includes_with_braces_that_must_match() {
    let mut files = Memory::new(&[("open", "a {\n")]);
    assert_eq!(tree_with("include open\n}\n", &mut files).1, []);
    assert_eq!(tree_with("includeb open\n}\n", &mut files).1, [Code::Include]);
}

#[test]
fn include_loops_end() {
    let mut files = Memory::new(&[
        ("a", "include b\n"),
        ("b", "include a\nx\n"),
        ("c", "include ./c\n"),
        ("./c", "include c\n"),
    ]);
    assert_eq!(tree_with("include a\n", &mut files), ("x;".into(), vec![Code::IncludeLimit]));
    assert_eq!(tree_with("include c\n", &mut files).1, [Code::IncludeLimit]);
}

#[test]
fn an_endless_chain_of_includes_ends() {
    struct Endless(u32);
    impl Loader for Endless {
        fn load(&mut self, _from: &str, _pattern: &str) -> Result<Vec<Loaded>, LoadError> {
            self.0 += 1;
            Ok(vec![Loaded {
                name: self.0.to_string(),
                text: "include next\ninclude next\n".into(),
            }])
        }
    }
    let mut loader = Endless(0);
    let found = tree_with("include first\n", &mut loader).1;
    assert!(found.iter().all(|&code| code == Code::IncludeLimit || code == Code::Suppressed));
    assert!(loader.0 < 200_000, "{}", loader.0);
}
