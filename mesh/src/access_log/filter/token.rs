//! Pure. An expression in words, signs and literals.

use super::FilterError;

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(Box<str>),
    Text(Box<str>),
    Number(i64),
    Sign(&'static str),
}

/// Signs; longer ones first.
const SIGNS: [&str; 16] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "-",
];

/// Takes an expression apart.
pub(super) fn read(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '"' | '\'' => literal(rest, first)?,
            '0'..='9' => {
                let (digits, length) = while_true(rest, |letter| letter.is_ascii_digit());
                let number = digits.parse().map_err(|_| bad(rest))?;
                (Token::Number(number), length)
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let (name, length) = while_true(rest, |letter| {
                    letter.is_ascii_alphanumeric() || letter == '_'
                });
                (Token::Name(name.into()), length)
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| bad(rest))?;
                (Token::Sign(sign), sign.len())
            }
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

fn bad(rest: &str) -> FilterError {
    FilterError::Syntax(rest.chars().take(20).collect::<String>().into())
}

fn while_true(text: &str, holds: impl Fn(char) -> bool) -> (&str, usize) {
    let end = text.find(|letter| !holds(letter)).unwrap_or(text.len());
    (text.get(..end).unwrap_or_default(), end)
}

/// A text in quotes, with its escapes.
fn literal(rest: &str, quote: char) -> Result<(Token, usize), FilterError> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            letter if letter == quote => return Ok((Token::Text(text.into()), at + 1)),
            '\\' => match letters.next().map(|(_, escaped)| escaped) {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(escaped @ ('\\' | '"' | '\'')) => text.push(escaped),
                // Backslashes of regular expressions are written twice in CEL.
                _ => return Err(bad(rest)),
            },
            letter => text.push(letter),
        }
    }
    Err(bad(rest))
}
