//! Python's values, as far as chat templates meet them.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

use crate::error::{Error, Result};

/// Containers within containers, and values within a container at any depth.
const MAX_DEPTH: usize = 160;
const MAX_SIZE: usize = 1 << 22;

/// Bytes of a string that are gone through as fast as one value is.
const LETTERS: usize = 256;

/// 2^64, from which on JSON's whole numbers are read as floats.
const BEYOND_INTEGERS: f64 = 18_446_744_073_709_551_616.0;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// What is not there, and what Jinja2 says when it is used nevertheless.
    Undefined(Arc<str>),
    /// `None`.
    None,
    /// `True` and `False`.
    Bool(bool),
    /// An integer; beyond 128 bits none is computed with.
    Int(i128),
    /// A float.
    Float(f64),
    /// A string.
    Str(Arc<str>),
    /// A string that the filters `safe` and `escape` marked: printed like any other, but what is added to it is
    /// escaped, which is not supported.
    Markup(Arc<str>),
    /// A list.
    List(Arc<Items>),
    /// A tuple.
    Tuple(Arc<Items>),
    /// A dictionary.
    Dict(Arc<Dict>),
    /// A range, or the keys, values or items of a dictionary.
    View(Arc<View>),
    /// An iterator, which gives each item once.
    Iterator(Arc<Iter>),
    /// What `namespace` makes.
    Namespace(Arc<Namespace>),
    /// A method of a value, not called yet.
    Method(Arc<(Value, String)>),
    /// A function of the environment.
    Function(Function),
    /// A macro of the template, by its number within a rendering.
    Macro(usize),
    /// The variable `loop`.
    Loop(Arc<Loop>),
}

/// A list's or tuple's items.
#[derive(Debug)]
pub struct Items {
    /// The items.
    pub(crate) items: Vec<Value>,
    extent: Extent,
}

/// A dictionary's entries, in the order in which they came.
#[derive(Debug)]
pub struct Dict {
    /// Keys and values.
    pub(crate) entries: Vec<(Value, Value)>,
    extent: Extent,
}

/// Items that are looked at, not kept in a list.
#[derive(Debug)]
pub struct View {
    pub(crate) kind: ViewKind,
    pub(crate) items: Vec<Value>,
    extent: Extent,
}

/// What a view is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ViewKind {
    /// A range, as Python prints it.
    Range(String),
    /// `dict_keys`, `dict_values` or `dict_items`.
    Of(&'static str),
}

/// An iterator's remaining items.
#[derive(Debug)]
pub struct Iter {
    pub(crate) items: Mutex<VecDeque<Value>>,
    extent: Extent,
}

/// The variables of a namespace.
#[derive(Debug, Default)]
pub struct Namespace {
    pub(crate) entries: Mutex<Vec<(String, Value)>>,
}

/// Functions of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `range`.
    Range,
    /// `dict`.
    Dict,
    /// `namespace`.
    Namespace,
    /// `raise_exception`.
    RaiseException,
    /// `strftime_now`.
    StrftimeNow,
    /// One that Jinja2 has and this crate has not.
    Unsupported(&'static str),
}

/// Where a loop is.
#[derive(Debug)]
pub struct Loop {
    pub(crate) items: Vec<Value>,
    pub(crate) index: AtomicUsize,
    pub(crate) depth: usize,
    pub(crate) changed: Mutex<Option<Vec<Value>>>,
    /// The number of the recursive loop within a rendering.
    pub(crate) recursive: Option<usize>,
}

impl Value {
    /// A string.
    pub fn str(text: impl AsRef<str>) -> Self {
        Self::Str(Arc::from(text.as_ref()))
    }

    /// A value of JSON.
    ///
    /// Errors: whole numbers beyond 64 bits, since a reader of JSON no longer knows whether they were written as
    /// integers or as floats; values that nest too deep.
    pub fn from_json(json: &Json) -> Result<Self> {
        Ok(match json {
            Json::Null => Self::None,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Self::Int(integer.into()),
                (None, Some(integer)) => Self::Int(integer.into()),
                (None, None) => match number.as_f64() {
                    Some(float) if float.fract() != 0.0 || float.abs() < BEYOND_INTEGERS => Self::Float(float),
                    _ => return Err(Error::unsupported(format!("the number {number}, which is beyond 64 bits,"))),
                },
            },
            Json::String(text) => Self::str(text),
            Json::Array(items) => Self::list(items.iter().map(Self::from_json).collect::<Result<_>>()?)?,
            Json::Object(fields) => Self::dict(
                fields
                    .iter()
                    .map(|(key, value)| Ok((Self::str(key), Self::from_json(value)?)))
                    .collect::<Result<_>>()?,
            )?,
        })
    }

    pub(crate) fn list(items: Vec<Value>) -> Result<Self> {
        Ok(Self::List(Arc::new(Items { extent: Extent::around(&items)?, items })))
    }

    pub(crate) fn tuple(items: Vec<Value>) -> Result<Self> {
        Ok(Self::Tuple(Arc::new(Items { extent: Extent::around(&items)?, items })))
    }

    /// A dictionary whose keys differ.
    pub(crate) fn dict(entries: Vec<(Value, Value)>) -> Result<Self> {
        let extent = Extent::around(entries.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Self::Dict(Arc::new(Dict { entries, extent })))
    }

    pub(crate) fn view(kind: ViewKind, items: Vec<Value>) -> Result<Self> {
        Ok(Self::View(Arc::new(View { extent: Extent::around(&items)?, kind, items })))
    }

    /// An iterator, which gives each item once.
    pub(crate) fn iterator(items: Vec<Value>) -> Result<Self> {
        Ok(Self::Iterator(Arc::new(Iter { extent: Extent::around(&items)?, items: Mutex::new(items.into()) })))
    }

    pub(crate) fn undefined(message: impl AsRef<str>) -> Self {
        Self::Undefined(Arc::from(message.as_ref()))
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// An integer; `True` is 1.
    pub(crate) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(integer) => Some(*integer),
            Self::Bool(flag) => Some((*flag).into()),
            _ => None,
        }
    }

    /// A number as a float.
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(float) => Some(*float),
            other => other.as_int().map(|integer| integer as f64),
        }
    }

    /// Whether a condition on the value holds.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(flag) => *flag,
            Self::Int(integer) => *integer != 0,
            Self::Float(float) => *float != 0.0,
            Self::Str(text) | Self::Markup(text) => !text.is_empty(),
            other => other.len() != Some(0),
        }
    }

    /// The number of items or characters; none for what has no length, as iterators.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Undefined(_) => Some(0),
            Self::Str(text) | Self::Markup(text) => Some(text.chars().count()),
            Self::List(list) | Self::Tuple(list) => Some(list.items.len()),
            Self::Dict(dict) => Some(dict.entries.len()),
            Self::View(view) => Some(view.items.len()),
            Self::Loop(state) => Some(state.items.len()),
            _ => None,
        }
    }

    /// The items that a loop goes through; an iterator has none afterwards.
    ///
    /// Errors: for what cannot be iterated over.
    pub(crate) fn iterate(&self) -> Result<Vec<Value>> {
        Ok(match self {
            Self::Undefined(_) => Vec::new(),
            Self::Str(text) => text.chars().map(|letter| Self::str(letter.encode_utf8(&mut [0; 4]))).collect(),
            Self::List(list) | Self::Tuple(list) => list.items.clone(),
            Self::Dict(dict) => dict.entries.iter().map(|(key, _)| key.clone()).collect(),
            Self::View(view) => view.items.clone(),
            Self::Iterator(iterator) => lock(&iterator.items).drain(..).collect(),
            other => return Err(Error::new(format!("'{}' object is not iterable", other.type_name()))),
        })
    }

    /// What Python calls the value's type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Markup(_) => "string marked as safe",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::View(view) => match view.kind {
                ViewKind::Range(_) => "range",
                ViewKind::Of(name) => name,
            },
            Self::Iterator(_) => "generator",
            Self::Namespace(_) => "Namespace",
            Self::Method(_) => "method",
            Self::Function(_) => "function",
            Self::Macro(_) => "Macro",
            Self::Loop(_) => "LoopContext",
        }
    }

    fn extent(&self) -> Extent {
        match self {
            Self::List(list) | Self::Tuple(list) => list.extent,
            Self::Dict(dict) => dict.extent,
            Self::View(view) => view.extent,
            Self::Iterator(iterator) => iterator.extent,
            Self::Method(method) => method.0.extent(),
            // A namespace may change: what contains one counts as deep, so that none comes to contain itself.
            Self::Namespace(_) | Self::Loop(_) => Extent { depth: MAX_DEPTH - 8, size: 1 },
            Self::Str(text) | Self::Markup(text) => Extent { depth: 0, size: 1 + text.len() / LETTERS },
            _ => Extent { depth: 0, size: 1 },
        }
    }

    /// How many values the value is, with all that is within it: what it takes to go through it once.
    pub(crate) fn size(&self) -> usize {
        self.extent().size
    }

    /// Whether a namespace can be reached from the value.
    pub(crate) fn reaches_namespace(&self) -> bool {
        self.extent().depth >= MAX_DEPTH - 8
    }
}

/// How deep and large a value is. The same list within a list twice counts twice, as it does for who goes through it.
#[derive(Clone, Copy, Debug)]
struct Extent {
    depth: usize,
    size: usize,
}

impl Extent {
    /// The extent of a container of these.
    fn around<'a>(items: impl IntoIterator<Item = &'a Value>) -> Result<Self> {
        let mut extent = Self { depth: 1, size: 1 };
        for item in items {
            let inner = item.extent();
            extent.depth = extent.depth.max(inner.depth + 1);
            extent.size = extent.size.saturating_add(inner.size);
        }
        if extent.depth > MAX_DEPTH || extent.size > MAX_SIZE {
            return Err(Error::new(format!("values nest more than {MAX_DEPTH} deep, or contain more than {MAX_SIZE}")));
        }
        Ok(extent)
    }
}

/// What a lock protects; no panic leaves it half written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
