//! Pure. Words and signs into a tree, from the loosest binding to the tightest.

use regex::Regex;

use super::token::{self, Token};
use super::{Attribute, Comparison, DEPTH, Filter, FilterError, LENGTH, Node, Test};

/// Nanoseconds of units of `duration("...")`; longer words first.
const UNITS: [(&str, i64); 4] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Filter {
    /// Reads an expression; an empty one always holds.
    ///
    /// # Errors
    /// Says what is not understood or not supported.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > LENGTH {
            return Err(FilterError::Long);
        }
        let tokens = token::read(text)?;
        let mut filter = Self::default();
        if tokens.is_empty() {
            return Ok(filter);
        }
        let mut reader = Reader {
            tokens: &tokens,
            request: &mut filter.request,
            response: &mut filter.response,
        };
        let root = reader.any(0)?;
        if !reader.tokens.is_empty() {
            return Err(reader.bad());
        }
        filter.root = Some(root);
        Ok(filter)
    }
}

struct Reader<'a> {
    tokens: &'a [Token],
    request: &'a mut Vec<Box<str>>,
    response: &'a mut Vec<Box<str>>,
}

impl Reader<'_> {
    fn bad(&self) -> FilterError {
        let shown = self.tokens.iter().take(4).map(|token| match token {
            Token::Name(text) | Token::Text(text) => text.to_string(),
            Token::Number(number) => number.to_string(),
            Token::Sign(sign) => (*sign).to_owned(),
        });
        FilterError::Syntax(shown.collect::<Vec<_>>().join(" ").into())
    }

    fn take(&mut self, sign: &str) -> bool {
        match self.tokens.split_first() {
            Some((Token::Sign(found), rest)) if *found == sign => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, sign: &str) -> Result<(), FilterError> {
        match self.take(sign) {
            true => Ok(()),
            false => Err(self.bad()),
        }
    }

    fn name(&mut self) -> Option<Box<str>> {
        match self.tokens.split_first() {
            Some((Token::Name(name), rest)) => {
                self.tokens = rest;
                Some(name.clone())
            }
            _ => None,
        }
    }

    fn text(&mut self) -> Result<Box<str>, FilterError> {
        match self.tokens.split_first() {
            Some((Token::Text(text), rest)) => {
                self.tokens = rest;
                Ok(text.clone())
            }
            _ => Err(self.bad()),
        }
    }

    fn any(&mut self, depth: usize) -> Result<Node, FilterError> {
        if depth >= DEPTH {
            return Err(FilterError::Deep);
        }
        let mut node = self.all(depth)?;
        let mut count = 0;
        while self.take("||") {
            count = chained(count)?;
            node = Node::Or(Box::new(node), Box::new(self.all(depth)?));
        }
        Ok(node)
    }

    fn all(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut node = self.relation(depth)?;
        let mut count = 0;
        while self.take("&&") {
            count = chained(count)?;
            node = Node::And(Box::new(node), Box::new(self.relation(depth)?));
        }
        Ok(node)
    }

    fn relation(&mut self, depth: usize) -> Result<Node, FilterError> {
        let one = self.unary(depth)?;
        let comparison = [
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::MoreOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::More),
        ];
        for (sign, comparison) in comparison {
            if self.take(sign) {
                let other = self.unary(depth)?;
                return Ok(Node::Compare(comparison, Box::new(one), Box::new(other)));
            }
        }
        match self.tokens.split_first() {
            Some((Token::Name(word), rest)) if &**word == "in" => self.tokens = rest,
            _ => return Ok(one),
        }
        if self.take("[") {
            let mut among = Vec::new();
            while !self.take("]") {
                if !among.is_empty() {
                    self.expect(",")?;
                }
                among.push(self.unary(depth)?);
            }
            return Ok(Node::In(Box::new(one), among));
        }
        // `'name' in request.headers`
        let Node::Text(header) = one else {
            return Err(self.bad());
        };
        match (
            self.name().as_deref(),
            self.take("."),
            self.name().as_deref(),
        ) {
            (Some("request"), true, Some("headers")) => Ok(Node::Has(self.request_header(&header))),
            (Some("response"), true, Some("headers")) => {
                Ok(Node::Has(self.response_header(&header)))
            }
            _ => Err(self.bad()),
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Node, FilterError> {
        if depth >= DEPTH {
            return Err(FilterError::Deep);
        }
        if self.take("!") {
            return Ok(Node::Not(Box::new(self.unary(depth + 1)?)));
        }
        let mut node = self.primary(depth)?;
        while self.take(".") {
            let word = self.name().ok_or_else(|| self.bad())?;
            self.expect("(")?;
            let test = match &*word {
                "startsWith" => Test::StartsWith,
                "endsWith" => Test::EndsWith,
                "contains" => Test::Contains,
                "matches" => {
                    let pattern = self.text()?;
                    self.expect(")")?;
                    let regex = Regex::new(&pattern).map_err(|_| FilterError::Regex(pattern))?;
                    return Ok(Node::Matches(Box::new(node), Box::new(regex)));
                }
                other => return Err(FilterError::Unknown(format!("function {other}").into())),
            };
            let other = self.unary(depth + 1)?;
            self.expect(")")?;
            node = Node::Test(test, Box::new(node), Box::new(other));
        }
        Ok(node)
    }

    fn primary(&mut self, depth: usize) -> Result<Node, FilterError> {
        if self.take("(") {
            let inner = self.any(depth + 1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let negative = self.take("-");
        let (first, rest) = self.tokens.split_first().ok_or_else(|| self.bad())?;
        match first {
            Token::Number(number) => {
                self.tokens = rest;
                Ok(Node::Number(if negative { -number } else { *number }))
            }
            Token::Text(text) if !negative => {
                self.tokens = rest;
                Ok(Node::Text(text.clone()))
            }
            Token::Name(name) if !negative => {
                self.tokens = rest;
                self.named(name)
            }
            _ => Err(self.bad()),
        }
    }

    fn named(&mut self, name: &str) -> Result<Node, FilterError> {
        match name {
            "true" => return Ok(Node::Bool(true)),
            "false" => return Ok(Node::Bool(false)),
            "has" => {
                self.expect("(")?;
                let name = self.name().ok_or_else(|| self.bad())?;
                let attribute = self.attribute(&name)?;
                self.expect(")")?;
                return Ok(Node::Has(attribute));
            }
            "duration" => {
                self.expect("(")?;
                let text = self.text()?;
                self.expect(")")?;
                return duration(&text)
                    .map(Node::Number)
                    .ok_or_else(|| FilterError::Unknown(format!("duration {text:?}").into()));
            }
            _ => {}
        }
        self.attribute(name).map(Node::Get)
    }

    fn attribute(&mut self, object: &str) -> Result<Attribute, FilterError> {
        self.expect(".")?;
        let field = self.name().ok_or_else(|| self.bad())?;
        let attribute = match (object, &*field) {
            ("request", "path") => Attribute::Path,
            ("request", "url_path") => Attribute::UrlPath,
            ("request", "query") => Attribute::Query,
            ("request", "host") => Attribute::Host,
            ("request", "scheme") => Attribute::Scheme,
            ("request", "method") => Attribute::Method,
            ("request", "protocol") => Attribute::Protocol,
            ("request", "size") => Attribute::RequestSize,
            ("request", "total_size") => Attribute::RequestTotalSize,
            ("request", "duration") => Attribute::Duration,
            ("request", "id") => self.request_header("x-request-id"),
            ("request", "useragent") => self.request_header("user-agent"),
            ("request", "referer") => self.request_header("referer"),
            ("request", "headers") => {
                let header = self.key()?;
                self.request_header(&header)
            }
            ("response", "headers") => {
                let header = self.key()?;
                self.response_header(&header)
            }
            ("response", "code") => Attribute::Code,
            ("response", "code_details") => Attribute::CodeDetails,
            ("response", "grpc_status") => Attribute::GrpcStatus,
            ("response", "size") => Attribute::ResponseSize,
            ("response", "total_size") => Attribute::ResponseTotalSize,
            ("source", "address") => Attribute::SourceAddress,
            ("destination", "address") => Attribute::DestinationAddress,
            ("destination", "port") => Attribute::DestinationPort,
            ("upstream", "address") => Attribute::UpstreamAddress,
            ("connection", "mtls") => Attribute::MutualTls,
            ("connection", "uri_san_peer_certificate") => Attribute::Principal,
            _ => return Err(FilterError::Unknown(format!("{object}.{field}").into())),
        };
        Ok(attribute)
    }

    fn key(&mut self) -> Result<Box<str>, FilterError> {
        self.expect("[")?;
        let key = self.text()?;
        self.expect("]")?;
        Ok(key)
    }

    fn request_header(&mut self, name: &str) -> Attribute {
        match &*name.to_ascii_lowercase() {
            ":method" => Attribute::Method,
            ":path" => Attribute::Path,
            ":authority" | "host" => Attribute::Host,
            ":scheme" => Attribute::Scheme,
            name => Attribute::RequestHeader(number(self.request, name)),
        }
    }

    fn response_header(&mut self, name: &str) -> Attribute {
        Attribute::ResponseHeader(number(self.response, &name.to_ascii_lowercase()))
    }
}

/// Long chains nest as deeply as they are long; this keeps them from filling the stack.
fn chained(count: usize) -> Result<usize, FilterError> {
    match count < 8 * DEPTH {
        true => Ok(count + 1),
        false => Err(FilterError::Deep),
    }
}

fn number(names: &mut Vec<Box<str>>, name: &str) -> usize {
    if let Some(known) = names.iter().position(|known| **known == *name) {
        return known;
    }
    names.push(name.into());
    names.len() - 1
}

/// One number and unit.
fn duration(text: &str) -> Option<i64> {
    let (unit, nanoseconds) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(*nanoseconds)
}
