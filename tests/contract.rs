//! The server's protocol, table by table.

#[test]
fn placeholder() {}
