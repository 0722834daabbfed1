//! Tokens to text as they come: whole characters only, and nothing that may turn out to begin a stop string.

use vlm::error::Error;
use vlm::tokenizer::Tokenizer;

/// What a decoder puts in place of bytes that are no character, or not yet.
const INCOMPLETE: char = '\u{FFFD}';

/// The text of one completion.
#[derive(Debug, Default)]
pub struct TextStream {
    token_ids: Vec<u32>,
    // The tokens from `decoded` on have not become text; those from `context` on are decoded with them, since a token's
    // text may depend on those before it.
    context: usize,
    decoded: usize,
    // Text that may begin a stop string.
    pending: String,
}

/// What further tokens have made certain.
#[derive(Debug, PartialEq)]
pub struct Piece {
    /// Text that may be handed out.
    pub text: String,
    /// A stop string followed it: the completion ends here.
    pub stopped: bool,
}

impl TextStream {
    /// Takes a token.
    ///
    /// Errors: when the tokenizer cannot decode.
    pub fn push(&mut self, token: u32, tokenizer: &Tokenizer, stops: &[String]) -> Result<Piece, Error> {
        self.token_ids.push(token);
        let fresh = self.undecoded(tokenizer)?;
        if !fresh.is_empty() && !fresh.ends_with(INCOMPLETE) {
            self.advance(&fresh);
        }
        Ok(self.certain(stops))
    }

    /// All that is left when no token is to come; bytes that are no character become U+FFFD.
    ///
    /// Errors: when the tokenizer cannot decode.
    pub fn finish(&mut self, tokenizer: &Tokenizer, stops: &[String]) -> Result<Piece, Error> {
        let fresh = self.undecoded(tokenizer)?;
        self.advance(&fresh);
        let Piece { mut text, stopped } = self.certain(stops);
        if !stopped {
            text.push_str(&std::mem::take(&mut self.pending));
        }
        Ok(Piece { text, stopped })
    }

    /// The text of the tokens that have not become text.
    fn undecoded(&self, tokenizer: &Tokenizer) -> Result<String, Error> {
        let before = tokenizer.decode(&self.token_ids[self.context..self.decoded], true)?;
        let with = tokenizer.decode(&self.token_ids[self.context..], true)?;
        Ok(with.strip_prefix(&before).unwrap_or_default().to_owned())
    }

    fn advance(&mut self, fresh: &str) {
        self.pending.push_str(fresh);
        self.context = self.decoded;
        self.decoded = self.token_ids.len();
    }

    /// Takes what is certain out of the pending text.
    fn certain(&mut self, stops: &[String]) -> Piece {
        if let Some(end) = stops.iter().filter_map(|stop| self.pending.find(stop.as_str())).min() {
            self.pending.truncate(end);
            let text = std::mem::take(&mut self.pending);
            return Piece { text, stopped: true };
        }
        let end = self
            .pending
            .char_indices()
            .map(|(start, _)| start)
            .find(|start| stops.iter().any(|stop| stop.starts_with(&self.pending[*start..])))
            .unwrap_or(self.pending.len());
        let rest = self.pending.split_off(end);
        let text = std::mem::replace(&mut self.pending, rest);
        Piece { text, stopped: false }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/assets/base")).unwrap()
    }

    /// The pieces that a text's tokens make, the last one's included, and whether a stop string ended it.
    fn pieces(text: &str, stops: &[&str]) -> (Vec<String>, bool) {
        let tokenizer = tokenizer();
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let (mut stream, mut pieces) = (TextStream::default(), Vec::new());
        for token in tokenizer.encode(text).unwrap() {
            let piece = stream.push(token, &tokenizer, &stops).unwrap();
            pieces.push(piece.text);
            if piece.stopped {
                return (pieces, true);
            }
        }
        let last = stream.finish(&tokenizer, &stops).unwrap();
        pieces.push(last.text);
        (pieces, last.stopped)
    }

    #[test]
    fn pieces_make_the_text_and_hold_whole_characters() {
        for text in ["The cat, the oven.", "naïve 猫🐈 end", "", "  two  spaces "] {
            let (pieces, stopped) = pieces(text, &[]);
            assert_eq!((pieces.concat().as_str(), stopped), (text, false));
            assert!(!pieces.iter().any(|piece| piece.contains(INCOMPLETE)), "{pieces:?}");
        }
    }

    #[test]
    fn text_ends_before_the_first_stop_string() {
        for (stops, expected) in [(&["three", "two"][..], "one "), (&["o th"], "one tw"), (&["e"], "on")] {
            let (pieces, stopped) = pieces("one two three", stops);
            assert_eq!((pieces.concat().as_str(), stopped), (expected, true), "{stops:?}");
        }
    }

    #[test]
    fn what_only_began_like_a_stop_string_is_handed_out_later() {
        let (pieces, stopped) = pieces("aab aac aa", &["aaad", "aa!"]);
        assert_eq!((pieces.concat().as_str(), stopped), ("aab aac aa", false));
    }

    #[test]
    fn bytes_that_are_no_character_are_marked_at_the_end() {
        let tokenizer = tokenizer();
        let mut stream = TextStream::default();
        let tokens = tokenizer.encode("猫").unwrap();
        for token in &tokens[..tokens.len() - 1] {
            assert_eq!(stream.push(*token, &tokenizer, &[]).unwrap().text, "");
        }
        let last = stream.finish(&tokenizer, &[]).unwrap().text;
        assert!(!last.is_empty() && last.chars().all(|character| character == INCOMPLETE), "{last:?}");
    }
}
