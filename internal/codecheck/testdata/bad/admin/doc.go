// Package admin imports what it may not.
package admin

import (
	_ "example.com/m/ids"
	_ "example.com/m/proxy"
	_ "example.com/m/router"
)
