//! The resources of Coffer: types, CEL rules and generated YAML.
