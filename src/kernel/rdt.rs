//! Intel RDT through resctrl.
