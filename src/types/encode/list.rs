//! Lists as PostgreSQL arrays: `{1,NULL,"a b"}` in text; dimensions, element type and elements in binary.
//!
//! The elements of all rows are written as one column by the element type's own writer, then taken apart again by the rows' offsets.
//! A binary element looks exactly like a cell, so a row's elements are one copy. Lists of lists are arrays of several dimensions;
//! where the inner lists differ in length there is no such array: text prints them all the same, binary refuses.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, FixedSizeListArray, GenericListArray, GenericListViewArray, OffsetSizeTrait};
use datafusion::arrow::datatypes::{DataType, FieldRef};

use super::Format;
use super::cells::{Cells, NULL_LENGTH};
use super::column::{ColumnWriter, column_writer, downcast};
use crate::error::{Error, ErrorKind, Result};
use crate::types::values::write_array_element;
use crate::types::{Form, SqlType};

/// Whether the type is one of Arrow's lists.
pub(crate) fn is_list(data_type: &DataType) -> bool {
    list_element(data_type).is_some()
}

/// The element field of one of Arrow's lists.
pub(crate) fn list_element(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
        | DataType::ListView(element)
        | DataType::LargeListView(element) => Some(element),
        _ => None,
    }
}

/// A list column as ranges over its values.
pub(crate) struct ListRows<'a> {
    array: &'a dyn Array,
    values: &'a ArrayRef,
    kind: ListKind<'a>,
}

enum ListKind<'a> {
    List(&'a GenericListArray<i32>),
    LargeList(&'a GenericListArray<i64>),
    Fixed(&'a FixedSizeListArray),
    View(&'a GenericListViewArray<i32>),
    LargeView(&'a GenericListViewArray<i64>),
}

impl<'a> ListRows<'a> {
    pub(crate) fn of(array: &'a ArrayRef) -> Result<ListRows<'a>> {
        let (values, kind) = match array.data_type() {
            DataType::List(_) => downcast::<GenericListArray<i32>>(array).map(|list| (list.values(), ListKind::List(list)))?,
            DataType::LargeList(_) => {
                downcast::<GenericListArray<i64>>(array).map(|list| (list.values(), ListKind::LargeList(list)))?
            }
            DataType::FixedSizeList(_, _) => {
                downcast::<FixedSizeListArray>(array).map(|list| (list.values(), ListKind::Fixed(list)))?
            }
            DataType::ListView(_) => {
                downcast::<GenericListViewArray<i32>>(array).map(|list| (list.values(), ListKind::View(list)))?
            }
            DataType::LargeListView(_) => {
                downcast::<GenericListViewArray<i64>>(array).map(|list| (list.values(), ListKind::LargeView(list)))?
            }
            other => return Err(Error::internal(format!("a list column arrived as {other}"))),
        };
        Ok(ListRows { array: array.as_ref(), values, kind })
    }

    pub(crate) fn values(&self) -> &'a ArrayRef {
        self.values
    }

    /// Where the row's elements stand in the values; `None` for NULL.
    pub(crate) fn row(&self, row: usize) -> Option<Range<usize>> {
        fn offsets<O: OffsetSizeTrait>(list: &GenericListArray<O>, row: usize) -> Range<usize> {
            let offsets = list.value_offsets();
            offsets[row].as_usize()..offsets[row + 1].as_usize()
        }
        fn view<O: OffsetSizeTrait>(list: &GenericListViewArray<O>, row: usize) -> Range<usize> {
            let start = list.value_offset(row).as_usize();
            start..start + list.value_size(row).as_usize()
        }
        if self.array.is_null(row) {
            return None;
        }
        Some(match self.kind {
            ListKind::List(list) => offsets(list, row),
            ListKind::LargeList(list) => offsets(list, row),
            ListKind::View(list) => view(list, row),
            ListKind::LargeView(list) => view(list, row),
            ListKind::Fixed(list) => {
                let length = usize::try_from(list.value_length()).unwrap_or_default();
                let start = usize::try_from(list.value_offset(row)).unwrap_or_default();
                start..start + length
            }
        })
    }

    /// A range of values that covers all elements of `rows`.
    pub(crate) fn cover(&self, rows: Range<usize>) -> Range<usize> {
        let mut ranges = rows.filter_map(|row| self.row(row)).filter(|range| !range.is_empty());
        let Some(first) = ranges.next() else { return 0..0 };
        ranges.fold(first, |cover, range| cover.start.min(range.start)..cover.end.max(range.end))
    }
}

/// The writer for an array of `element`s.
pub(crate) fn array_writer(
    element: &SqlType,
    data_type: &DataType,
    format: Format,
    settings: &Form,
) -> Result<Box<dyn ColumnWriter>> {
    let mut levels = 1;
    let mut field = list_element(data_type).ok_or_else(|| Error::internal(format!("{data_type} is no list")))?;
    while let Some(inner) = list_element(field.data_type()).filter(|_| is_dimension(element, field.data_type())) {
        field = inner;
        levels += 1;
    }
    let writer = column_writer(element, field, format, settings)?;
    Ok(match format {
        Format::Text => {
            let innermost: Box<dyn ColumnWriter> =
                Box::new(TextArrayWriter { element: writer, is_dimension: false, cells: Cells::default(), text: vec![] });
            (1..levels).fold(innermost, |element, _| {
                Box::new(TextArrayWriter { element, is_dimension: true, cells: Cells::default(), text: vec![] })
                    as Box<dyn ColumnWriter>
            })
        }
        Format::Binary => Box::new(BinaryArrayWriter {
            levels,
            lower_bound: 1,
            element: writer,
            element_oid: element.oid(),
            cells: Cells::default(),
            bytes: vec![],
        }),
    })
}

/// Whether a list inside a list is one more dimension, and not the form of the element itself.
fn is_dimension(element: &SqlType, data_type: &DataType) -> bool {
    match element {
        SqlType::Int2Vector | SqlType::OidVector => list_element(data_type).is_some_and(|inner| is_list(inner.data_type())),
        _ => true,
    }
}

/// The writer for `int2vector` and `oidvector`: elements without braces in text, counted from 0 in binary.
pub(crate) fn vector_writer(
    element: &SqlType,
    data_type: &DataType,
    format: Format,
    settings: &Form,
) -> Result<Option<Box<dyn ColumnWriter>>> {
    let Some(field) = list_element(data_type) else {
        return Ok(match format {
            Format::Text => super::scalar::strings(data_type, |text, cells| cells.bytes(text)),
            Format::Binary => None,
        });
    };
    let writer = column_writer(element, field, format, settings)?;
    Ok(Some(match format {
        Format::Text => Box::new(VectorWriter { element: writer, cells: Cells::default(), text: vec![] }),
        Format::Binary => Box::new(BinaryArrayWriter {
            levels: 1,
            lower_bound: 0,
            element: writer,
            element_oid: element.oid(),
            cells: Cells::default(),
            bytes: vec![],
        }),
    }))
}

/// Writes the elements of `rows` as one column; returns where in the values the first of them stands.
fn write_elements(list: &ListRows<'_>, rows: Range<usize>, element: &mut dyn ColumnWriter, cells: &mut Cells) -> Result<usize> {
    let cover = list.cover(rows);
    cells.clear();
    let start = cover.start;
    element.write(list.values(), cover, cells)?;
    Ok(start)
}

struct TextArrayWriter {
    element: Box<dyn ColumnWriter>,
    /// The elements are arrays themselves: their braces are not quoted.
    is_dimension: bool,
    cells: Cells,
    text: Vec<u8>,
}

impl ColumnWriter for TextArrayWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let list = ListRows::of(array)?;
        let start = write_elements(&list, rows.clone(), self.element.as_mut(), &mut self.cells)?;
        for row in rows {
            let Some(elements) = list.row(row) else {
                cells.null();
                continue;
            };
            let mut contents = elements.map(|element| self.cells.content(element - start));
            // An array without a single element has no dimensions.
            if self.is_dimension && contents.clone().all(|content| content == Some(b"{}")) {
                cells.fixed(*b"{}");
                continue;
            }
            self.text.clear();
            self.text.push(b'{');
            let is_dimension = self.is_dimension;
            let append = |content: Option<&[u8]>, text: &mut Vec<u8>| match content {
                None => text.extend_from_slice(b"NULL"),
                Some(content) if is_dimension => text.extend_from_slice(content),
                Some(content) => write_array_element(content, text),
            };
            if let Some(first) = contents.next() {
                append(first, &mut self.text);
            }
            for content in contents {
                self.text.push(b',');
                append(content, &mut self.text);
            }
            self.text.push(b'}');
            cells.bytes(&self.text)?;
        }
        Ok(())
    }
}

struct VectorWriter {
    element: Box<dyn ColumnWriter>,
    cells: Cells,
    text: Vec<u8>,
}

impl ColumnWriter for VectorWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let list = ListRows::of(array)?;
        let start = write_elements(&list, rows.clone(), self.element.as_mut(), &mut self.cells)?;
        for row in rows {
            let Some(elements) = list.row(row) else {
                cells.null();
                continue;
            };
            self.text.clear();
            for (position, element) in elements.enumerate() {
                if position > 0 {
                    self.text.push(b' ');
                }
                self.text.extend_from_slice(self.cells.content(element - start).unwrap_or(b"0"));
            }
            cells.bytes(&self.text)?;
        }
        Ok(())
    }
}

struct BinaryArrayWriter {
    levels: usize,
    lower_bound: i32,
    element: Box<dyn ColumnWriter>,
    element_oid: u32,
    cells: Cells,
    bytes: Vec<u8>,
}

impl ColumnWriter for BinaryArrayWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let mut arrays = vec![Arc::clone(array)];
        let mut cover = rows.clone();
        for level in 0..self.levels {
            let list = ListRows::of(&arrays[level])?;
            cover = list.cover(cover);
            let values = Arc::clone(list.values());
            arrays.push(values);
        }
        let leaf = arrays.pop().ok_or_else(|| Error::internal("an array without elements"))?;
        let start = cover.start;
        self.cells.clear();
        self.element.write(&leaf, cover, &mut self.cells)?;
        let lists = arrays.iter().map(ListRows::of).collect::<Result<Vec<_>>>()?;
        for row in rows {
            let Some(elements) = lists[0].row(row) else {
                cells.null();
                continue;
            };
            let mut walk = Walk {
                lists: &lists,
                elements: &self.cells,
                start,
                dimensions: vec![None; self.levels],
                has_null: false,
                bytes: &mut self.bytes,
            };
            walk.bytes.clear();
            walk.bytes.resize(header_length(self.levels), 0);
            walk.level(0, elements)?;
            let (dimensions, has_null) = (walk.dimensions, walk.has_null);
            let content = finish_header(&mut self.bytes, &dimensions, has_null, self.element_oid, self.lower_bound);
            cells.bytes(content)?;
        }
        Ok(())
    }
}

const fn header_length(levels: usize) -> usize {
    12 + 8 * levels
}

/// Fills the space before the elements and returns the array's bytes: the header alone for an array without elements.
fn finish_header<'a>(
    bytes: &'a mut [u8],
    dimensions: &[Option<usize>],
    has_null: bool,
    element_oid: u32,
    lower_bound: i32,
) -> &'a [u8] {
    // A vector keeps its one dimension also without elements.
    let is_vector = lower_bound == 0;
    let is_empty = !is_vector && dimensions.iter().any(|dimension| dimension.unwrap_or_default() == 0);
    let number = if is_empty { 0 } else { u32::try_from(dimensions.len()).unwrap_or_default() };
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes[4..8].copy_from_slice(&u32::from(has_null && !is_empty).to_be_bytes());
    bytes[8..12].copy_from_slice(&element_oid.to_be_bytes());
    if is_empty {
        return &bytes[..12];
    }
    for (slot, dimension) in bytes[12..].chunks_exact_mut(8).zip(dimensions) {
        slot[..4].copy_from_slice(&u32::try_from(dimension.unwrap_or_default()).unwrap_or(u32::MAX).to_be_bytes());
        slot[4..].copy_from_slice(&lower_bound.to_be_bytes());
    }
    bytes
}

/// Collects one array's elements in row-major order and checks that its parts agree in length.
struct Walk<'a> {
    lists: &'a [ListRows<'a>],
    elements: &'a Cells,
    start: usize,
    dimensions: Vec<Option<usize>>,
    has_null: bool,
    bytes: &'a mut Vec<u8>,
}

impl Walk<'_> {
    fn level(&mut self, level: usize, range: Range<usize>) -> Result<()> {
        match self.dimensions[level] {
            None => self.dimensions[level] = Some(range.len()),
            Some(expected) if expected == range.len() => {}
            Some(_) => return Err(ragged()),
        }
        if level + 1 == self.lists.len() {
            if range.is_empty() {
                return Ok(());
            }
            let (from, to) = (range.start - self.start, range.end - self.start);
            self.has_null |= (from..to).any(|element| self.elements.cells(element, element + 1) == NULL_LENGTH);
            self.bytes.extend_from_slice(self.elements.cells(from, to));
            return Ok(());
        }
        for row in range {
            let inner = self.lists[level + 1].row(row).ok_or_else(ragged)?;
            self.level(level + 1, inner)?;
        }
        Ok(())
    }
}

fn ragged() -> Error {
    Error::new(ErrorKind::DataException, "multidimensional arrays must have sub-arrays with matching dimensions")
        .with_hint("Read the column in text format, or convert it to json.")
}
