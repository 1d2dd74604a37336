//! Pure. Filters of lines: the part of CEL that is about one request, read once and asked for every line.
//! Source: docs/compat.md#request-log.
//!
//! As in CEL, an attribute that is absent is an error, `||` and `&&` absorb an error of one side, and an
//! expression that ends in an error does not hold.

mod read;
mod token;

use regex::Regex;

/// Longest expression, in bytes.
const LENGTH: usize = 4096;
/// Deepest nesting.
const DEPTH: usize = 32;

/// Why an expression is refused.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is too long.
    #[error("the expression is longer than {LENGTH} bytes")]
    Long,
    /// It is nested too deeply.
    #[error("the expression is nested more than {DEPTH} levels deep")]
    Deep,
    /// It cannot be read.
    #[error("the expression is not understood at {0:?}")]
    Syntax(Box<str>),
    /// It names something that is not supported.
    #[error("{0} is not supported in expressions")]
    Unknown(Box<str>),
    /// A regular expression is bad.
    #[error("the regular expression {0:?} is not understood")]
    Regex(Box<str>),
}

/// What an expression can ask of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// `request.path`.
    Path,
    /// `request.url_path`: without query.
    UrlPath,
    /// `request.query`.
    Query,
    /// `request.host`.
    Host,
    /// `request.scheme`.
    Scheme,
    /// `request.method`.
    Method,
    /// `request.protocol`.
    Protocol,
    /// `request.size`: of the body.
    RequestSize,
    /// `request.total_size`.
    RequestTotalSize,
    /// `request.duration`.
    Duration,
    /// `request.id`, `request.useragent`, `request.referer`, `request.headers[...]`, by number.
    RequestHeader(usize),
    /// `response.headers[...]`, by number.
    ResponseHeader(usize),
    /// `response.code`.
    Code,
    /// `response.code_details`.
    CodeDetails,
    /// `response.grpc_status`.
    GrpcStatus,
    /// `response.size`: of the body.
    ResponseSize,
    /// `response.total_size`.
    ResponseTotalSize,
    /// `source.address`.
    SourceAddress,
    /// `destination.address`.
    DestinationAddress,
    /// `destination.port`.
    DestinationPort,
    /// `upstream.address`.
    UpstreamAddress,
    /// `connection.mtls`.
    MutualTls,
    /// `connection.uri_san_peer_certificate`.
    Principal,
}

/// A value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Term<'a> {
    /// A truth.
    Bool(bool),
    /// A whole number; durations are nanoseconds.
    Number(i64),
    /// A text.
    Text(std::borrow::Cow<'a, str>),
}

/// A request that is asked.
pub trait Facts {
    /// The value of an attribute; `None` when absent.
    fn get(&self, attribute: Attribute) -> Option<Term<'_>>;
}

/// An expression, ready to be asked.
#[derive(Debug, Default)]
pub struct Filter {
    root: Option<Node>,
    /// Names of the request's headers, by number, lower case.
    pub request: Vec<Box<str>>,
    /// Names of the answer's headers, by number.
    pub response: Vec<Box<str>>,
}

#[derive(Debug)]
enum Node {
    Bool(bool),
    Number(i64),
    Text(Box<str>),
    Get(Attribute),
    /// Whether an attribute is there.
    Has(Attribute),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    /// Whether the first is among the others.
    In(Box<Node>, Vec<Node>),
    Test(Test, Box<Node>, Box<Node>),
    Matches(Box<Node>, Box<Regex>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    StartsWith,
    EndsWith,
    Contains,
}

impl Filter {
    /// Whether a line is to be written.
    pub fn holds(&self, facts: &impl Facts) -> bool {
        match &self.root {
            None => true,
            Some(root) => truth(root, facts) == Some(true),
        }
    }
}

fn truth(node: &Node, facts: &impl Facts) -> Option<bool> {
    match node {
        Node::And(one, other) => match (truth(one, facts), truth(other, facts)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Node::Or(one, other) => match (truth(one, facts), truth(other, facts)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Node::Not(inner) => truth(inner, facts).map(|it| !it),
        Node::Has(attribute) => Some(facts.get(*attribute).is_some()),
        Node::Compare(how, one, other) => compare(*how, &term(one, facts)?, &term(other, facts)?),
        Node::In(one, others) => {
            let one = term(one, facts)?;
            let mut others = others.iter().map(|it| term(it, facts));
            Some(others.any(|it| it.as_ref() == Some(&one)))
        }
        Node::Test(test, one, other) => match (term(one, facts)?, term(other, facts)?) {
            (Term::Text(one), Term::Text(other)) => Some(match test {
                Test::StartsWith => one.starts_with(&*other),
                Test::EndsWith => one.ends_with(&*other),
                Test::Contains => one.contains(&*other),
            }),
            _ => None,
        },
        Node::Matches(one, regex) => match term(one, facts)? {
            Term::Text(text) => Some(regex.is_match(&text)),
            _ => None,
        },
        Node::Bool(truth) => Some(*truth),
        Node::Get(attribute) => match facts.get(*attribute)? {
            Term::Bool(truth) => Some(truth),
            _ => None,
        },
        Node::Number(_) | Node::Text(_) => None,
    }
}

fn term<'a>(node: &'a Node, facts: &'a impl Facts) -> Option<Term<'a>> {
    match node {
        Node::Number(number) => Some(Term::Number(*number)),
        Node::Text(text) => Some(Term::Text((&**text).into())),
        Node::Get(attribute) => facts.get(*attribute),
        other => truth(other, facts).map(Term::Bool),
    }
}

fn compare(how: Comparison, one: &Term<'_>, other: &Term<'_>) -> Option<bool> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (one, other) {
        (Term::Number(one), Term::Number(other)) => one.cmp(other),
        (Term::Text(one), Term::Text(other)) => one.cmp(other),
        (Term::Bool(one), Term::Bool(other)) => one.cmp(other),
        _ => return None,
    };
    Some(match how {
        Comparison::Equal => order == Equal,
        Comparison::Unequal => order != Equal,
        Comparison::Less => order == Less,
        Comparison::LessOrEqual => order != Greater,
        Comparison::More => order == Greater,
        Comparison::MoreOrEqual => order != Less,
    })
}

#[cfg(test)]
mod tests;
