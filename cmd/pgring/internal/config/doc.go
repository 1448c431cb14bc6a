// Package config turns one YAML file into a checked Config, or into all of the file's errors at once.
//
// It guarantees that a Config returned by Load or Parse is complete (defaults are filled in), consistent (every name that
// refers to a shard, table or group exists) and says nothing that pgring does not do: an unknown key is an error with its
// position, its line and a caret. It does not look at the network, at certificates or at the shards; `pgring check
// --connect` does that.
//
//	bytes ─▶ syntax tree ─▶ decode (types, ${VAR}, secrets) ─▶ check (references, order) ─▶ Config
//	                  └──────────── problems, sorted by position ───────────────┘
//
// The structs are the only description of the format: their tags hold each key's name, default, limits and meaning, from
// which the JSON schema and docs/config.md are generated.
package config
