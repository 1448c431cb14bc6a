package admin

import "context"

// hotKeysShown is how many keys SHOW HOT KEYS lists.
const hotKeysShown = 100

func hotKeyColumns() []column {
	return []column{
		{"group", text, "Colocation group: its tables share the key."},
		{"key", text, "Value of the shard key; NULL when it is not used enough to be worth knowing."},
		{"hash", integer, "Its hash, as SHOW PLACEMENT has it."},
		{"per_s", float, "Statements a second that are about this key alone, through this proxy."},
		{"error_per_s", float, "How much too high that is at most, beside the sample's own error."},
	}
}

// showHotKeys answers SHOW HOT KEYS.
func (c *Console) showHotKeys(_ context.Context, _ *input) (*outcome, error) {
	var rows []row
	for _, k := range c.cfg.Server.HotKeys(hotKeysShown) {
		rows = append(rows, row{k.Table, orNull(k.Name), int64(k.Hash), k.PerSecond, k.Error})
	}
	return rowsOf(rows)
}
