//! Where Coffer keeps buckets and objects: an index, blobs, and the records between them.
