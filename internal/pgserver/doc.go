// Package pgserver runs real PostgreSQL servers as child processes: for the tests (through pgtest), for `pgring demo` and
// for the benchmark.
//
// It promises that a started server accepts connections, that a server is gone when Close returns, that servers die with
// the process that started them, and that any number of programs may do this at the same time on one machine. It does not
// manage servers that someone else started, and it is no way to run PostgreSQL in production.
//
//	        Start                 Kill9, Shutdown
//	(none) ───────▶ running ─────────────────────▶ down
//	                │  ▲  ▲                          │
//	         Freeze │  │  └──────── Restart ─────────┘
//	                ▼  │ Thaw
//	               frozen                Close ends every state
//
// A new data directory is copied from a template, which initdb makes once per PostgreSQL version and locale and which stays
// in the temporary directory (TMPDIR, else /dev/shm if it is large, else /tmp), shared by all programs of one user under a
// file lock. Run by root, everything that belongs
// to PostgreSQL runs as, and belongs to, the user postgres, because initdb and postgres refuse root.
package pgserver
