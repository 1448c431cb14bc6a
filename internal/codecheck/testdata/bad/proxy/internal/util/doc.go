// Package util has a name that says nothing.
package util

import _ "example.com/m/rebalance"
