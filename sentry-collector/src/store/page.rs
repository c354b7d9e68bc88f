//! Pages of a listing: the query for rows, and the form in which a reader gets them.
//!
//! A relation is a named list in the store. Its rows have named columns, and numbers in the order
//! of their arrival. [`listed!`] declares a type with the columns that a reader wants.

use sentry_proto::v1;

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A condition on rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// The column has this value.
    Is(&'static str, Cell),
    /// The column is one of these texts. Events only.
    IsOneOf(&'static str, Vec<String>),
    /// It is one that is searched for. Events only.
    Searched(v1::Search),
    /// The column is at least this.
    From(&'static str, i64),
    /// The column is less than this.
    Below(&'static str, i64),
    /// Another relation has a row of the same number with this value in the column: for rows that
    /// have several of something.
    Has { relation: &'static str, column: &'static str, value: Cell },
}

/// A query of a relation.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// All of them hold.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) paging: Paging,
}

/// The part of the matching rows that makes a page. A cursor names the last row of the page before,
/// so new rows neither repeat nor hide others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    /// Number of the last row of the page before.
    pub(crate) after: Option<i64>,
    pub(crate) newest_first: bool,
    pub(crate) limit: usize,
}

/// The number of the last row that was examined, if more rows may follow.
pub(crate) type Next = Option<i64>;

/// The origin of an event.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) sensor: String,
    pub(crate) host: String,
    pub(crate) version: String,
    pub(crate) boot_id: String,
    /// Of the run.
    pub(crate) container: Option<v1::Container>,
}

/// A row of a relation, as its reader wants it. [`listed!`] implements it.
pub(crate) trait Listed: Sized + 'static {
    const RELATION: &'static str;
    const COLUMNS: &'static [&'static str];

    /// Takes the cells in the order of the columns.
    ///
    /// # Errors
    /// The first column that is of another type.
    fn read(next: impl FnMut() -> Cell) -> Result<Self, &'static str>;
}

/// A type as which a column can be read.
pub(crate) trait FromCell: Sized {
    fn from_cell(cell: Cell) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Integer(number) = cell { Some(number) } else { None }
    }
}

impl FromCell for bool {
    fn from_cell(cell: Cell) -> Option<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text) } else { None }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Bytes(bytes) = cell { Some(bytes) } else { None }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell) -> Option<Self> {
        if cell == Cell::Null { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}

/// Declares a type for rows of a relation: its fields are the columns.
macro_rules! listed {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident of $relation:literal {
            $($(#[$field_about:meta])* $field_vis:vis $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug)]
        $vis struct $name {
            $($(#[$field_about])* $field_vis $field: $type,)*
        }

        impl $crate::store::Listed for $name {
            const RELATION: &'static str = $relation;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read(mut next: impl FnMut() -> $crate::store::Cell) -> Result<Self, &'static str> {
                Ok(Self {
                    $($field: $crate::store::FromCell::from_cell(next()).ok_or(stringify!($field))?,)*
                })
            }
        }
    };
}

pub(crate) use listed;
