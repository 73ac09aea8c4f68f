#![expect(missing_docs, reason="x")]
fn main(){}
