//! The fenced blocks of the repository's documents, for the tests that run them as they are written.

use std::path::Path;

/// A fenced block of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What follows the opening fence: `sh`, `yaml`.
    pub language: String,
    /// The comment right before it, which says who runs it: `run` marks what `tests/play` runs, `cluster` what `tests/cluster` runs.
    pub mark: String,
    /// What is between the fences, without the indentation of the list that the block is in.
    pub text: String,
}

/// All fenced blocks of a document, in order.
///
/// # Panics
/// When there is no such document.
pub fn blocks(document: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(document)
        .unwrap_or_else(|error| panic!("{}: {error}", document.display()));
    of_text(&text)
}

fn of_text(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut mark = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if let Some(language) = bare.strip_prefix("```") {
            let body: Vec<&str> = lines
                .by_ref()
                .take_while(|line| line.trim() != "```")
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            let mark = std::mem::take(&mut mark);
            blocks.push(Block { language: language.to_owned(), mark, text: body.join("\n") });
        } else if let Some(comment) = bare.strip_prefix("<!-- ") {
            comment.trim_end_matches(" -->").clone_into(&mut mark);
        } else if !bare.is_empty() {
            mark.clear();
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_language_its_mark_and_no_indentation() {
        let text = "Text.\n\n<!-- cluster -->\n```sh\nkubectl get a\n\nb\n```\n\n<!-- lost -->\ntext\n```yaml\na: 1\n```\n1. item:\n\n   ```yaml\n   a:\n     b: 1\n   ```\n";
        let block = |language: &str, mark: &str, text: &str| Block {
            language: language.to_owned(),
            mark: mark.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(
            of_text(text),
            [
                block("sh", "cluster", "kubectl get a\n\nb"),
                block("yaml", "", "a: 1"),
                block("yaml", "", "a:\n  b: 1"),
            ]
        );
    }
}
