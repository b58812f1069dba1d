//! Obligations of every row of the protocol table.
