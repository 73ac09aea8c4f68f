//! AWS Signature V4: sign and verify, in headers, presigned and chunked. Pure.
