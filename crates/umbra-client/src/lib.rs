//! For other programs: run a writer, ask for shadow copies
