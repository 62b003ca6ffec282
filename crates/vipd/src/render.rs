//! Findings as pictures of the text, or as lines.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use keepalived_conf::{Diagnostic, Severity, SourceFile, Sources, Span};

/// A picture of one finding.
pub(crate) fn picture(found: &Diagnostic, sources: &Sources, colours: bool) -> String {
    let level = match found.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note | _ => Level::NOTE,
    };
    let mut group = level
        .primary_title(printable(&found.message))
        .id(found.code.as_str())
        .element(snippet(found, sources));
    // Labels in other files get pictures of their own.
    for label in found.labels.iter().filter(|label| label.span.file != found.span.file) {
        if let Some((window, source)) =
            sources.file(label.span.file).and_then(|file| Window::around(file, &[label.span]))
        {
            let annotation = AnnotationKind::Context
                .span(window.range(label.span))
                .label(printable(&label.text));
            group = group.element(source.annotation(annotation));
        }
    }
    for help in &found.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    let report: [Group<'_>; 1] = [group];
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&report)
}

fn snippet<'a>(
    found: &'a Diagnostic,
    sources: &'a Sources,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let near: Vec<_> =
        found.labels.iter().filter(|label| label.span.file == found.span.file).collect();
    let mut spans = vec![found.span];
    spans.extend(near.iter().map(|label| label.span));
    let Some((window, source)) =
        sources.file(found.span.file).and_then(|file| Window::around(file, &spans))
    else {
        return Snippet::source("");
    };
    let primary = AnnotationKind::Primary.span(window.range(found.span));
    let here = Some(printable(&found.here)).filter(|here| !here.is_empty());
    let context = near.iter().map(|label| {
        AnnotationKind::Context.span(window.range(label.span)).label(printable(&label.text))
    });
    let annotations: Vec<_> = context.collect();
    source.annotation(primary.label(here)).annotations(annotations)
}

/// The lines that a picture shows: only these are given to the renderer, whatever the file's size.
struct Window {
    start: usize,
    length: usize,
}

impl Window {
    fn around<'a>(
        file: &'a SourceFile,
        spans: &[Span],
    ) -> Option<(Self, Snippet<'a, annotate_snippets::Annotation<'a>>)> {
        let text = file.text();
        let first = spans.iter().map(|span| span.range().start).min()?;
        let last = spans.iter().map(|span| span.range().end).max()?;
        let start = text.get(..first)?.rfind('\n').map_or(0, |newline| newline + 1);
        let end = text.get(last..)?.find('\n').map_or(text.len(), |newline| last + newline);
        let shown = text.get(start..end)?;
        let line = file.position(u32::try_from(start).ok()?).0;
        let snippet =
            Snippet::source(shown).line_start(usize::try_from(line).ok()?).path(file.name());
        Some((Self { start, length: shown.len() }, snippet))
    }

    fn range(&self, span: Span) -> core::ops::Range<usize> {
        let at = |offset: usize| offset.saturating_sub(self.start).min(self.length);
        at(span.range().start)..at(span.range().end)
    }
}

/// One line for one finding, safe for a terminal or a log whatever the configuration contains.
pub(crate) fn line(found: &Diagnostic) -> String {
    printable(&found.to_string())
}

/// The same without the severity, for a log that has levels of its own.
pub(crate) fn without_severity(found: &Diagnostic) -> String {
    let mut text = format!("{}:{}: {} [{}]", found.file, found.line, found.message, found.code);
    for help in &found.help {
        text.push_str("; ");
        text.push_str(help);
    }
    text
}

/// Control characters as escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}
