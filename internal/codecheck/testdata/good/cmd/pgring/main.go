package main

import (
	"context"

	_ "example.com/m/admin"
	_ "example.com/m/internal/pgserver"
	_ "example.com/m/router"
)

func main() { _ = context.Background() }

type Exported struct{}
