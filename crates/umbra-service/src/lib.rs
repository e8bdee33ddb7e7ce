//! Sessions, the shadow-copy-set state machine, the catalog
