// Package sql belongs to router.
package sql

import _ "example.com/m/ring"
