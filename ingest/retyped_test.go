package ingest_test

import "testing"

// Parameters of no declared type are read as what their columns are when the row is written, not as what they were for rows before.
func TestAColumnWhoseTypeHasChangedGetsWhatWasWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	r.open(rule)
	write := func(user int64, value string) {
		record := event(user, 1, value)
		record.Types = nil
		r.append(record)
		r.wait()
	}
	r.server.ExecIn(t, "s1", "ALTER TABLE events ALTER body TYPE date USING NULL")
	write(1, "2026-01-01")
	r.server.ExecIn(t, "s1", "ALTER TABLE events ALTER body TYPE timestamptz")
	write(2, "2026-01-01 10:00:00+05")
	r.want("SELECT count(*) FROM events WHERE user_id = 2 AND body = '2026-01-01 10:00:00+05'", 1)
	r.server.ExecIn(t, "s1", "ALTER TABLE events ALTER body TYPE text")
	write(3, "2026-1-1")
	r.want("SELECT count(*) FROM events WHERE user_id = 3 AND body = '2026-1-1'", 1)
}
