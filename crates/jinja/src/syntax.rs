//! A template as a tree.

use crate::value::Value;

/// An expression and its line.
#[derive(Debug)]
pub(crate) struct Expr {
    pub line: u32,
    pub kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Literal(Value),
    Name(String),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attribute(Box<Expr>, String),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    Call(Box<Expr>, Vec<Argument>),
    Filter(Box<Expr>, FilterCall),
    Test {
        of: Box<Expr>,
        name: String,
        arguments: Vec<Argument>,
        negated: bool,
    },
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// Operators of one precedence, from left to right.
    Arithmetic(Box<Expr>, Vec<(Arithmetic, Expr)>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    If {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Option<Box<Expr>>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

/// An argument of a call.
#[derive(Debug)]
pub(crate) enum Argument {
    Positional(Expr),
    Named(String, Expr),
    Unpacked(Expr),
    UnpackedNamed(Expr),
}

/// A filter and its arguments.
#[derive(Debug)]
pub(crate) struct FilterCall {
    pub line: u32,
    pub name: String,
    pub arguments: Vec<Argument>,
}

/// What a value is assigned to.
#[derive(Debug)]
pub(crate) enum Target {
    Name(String),
    Attribute(String, String),
    Tuple(Vec<Target>),
}

#[derive(Debug)]
pub(crate) enum Statement {
    Text(String),
    Print(Expr),
    For(Box<For>),
    If {
        branches: Vec<(Expr, Vec<Statement>)>,
        otherwise: Vec<Statement>,
    },
    Set(Target, Expr),
    SetBlock {
        target: Target,
        filters: Vec<FilterCall>,
        body: Vec<Statement>,
    },
    /// `with`; `generation` and `block` are scopes too.
    With {
        assignments: Vec<(Target, Expr)>,
        body: Vec<Statement>,
    },
    /// `block`, which sees the template's variables alone.
    Block(Vec<Statement>),
    Filter {
        filters: Vec<FilterCall>,
        body: Vec<Statement>,
    },
    Macro(String, Macro),
    Call {
        call: Expr,
        body: Macro,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct For {
    pub target: Target,
    pub over: Expr,
    pub condition: Option<Expr>,
    pub recursive: bool,
    pub body: Vec<Statement>,
    pub otherwise: Vec<Statement>,
}

/// A macro, or the body of a `call` block.
#[derive(Debug)]
pub(crate) struct Macro {
    pub name: String,
    pub parameters: Vec<(String, Option<Expr>)>,
    pub body: Vec<Statement>,
    /// Whether the body mentions `varargs`, `kwargs` and `caller`, which it has only then.
    pub mentions: [bool; 3],
}

/// The names that [`Macro::mentions`] is about.
pub(crate) const MENTIONED: [&str; 3] = ["varargs", "kwargs", "caller"];
