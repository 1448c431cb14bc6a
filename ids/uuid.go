package ids

import "github.com/google/uuid"

// UUID7 makes a UUID of version 7 (RFC 9562): ordered by time within this process, random otherwise. The error is that of the
// system's random numbers.
func UUID7() (uuid.UUID, error) { return uuid.NewV7() }
