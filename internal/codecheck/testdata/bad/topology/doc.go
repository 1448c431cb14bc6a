// Package topology has nothing wrong.
package topology
