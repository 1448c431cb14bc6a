package router

import (
	"strconv"

	"github.com/pgring/pgring/topology"
)

// The refusals that several parts of the package give.

func missingKey(table, column, what string) *Refusal {
	return &Refusal{
		Reason:  MissingKey,
		Message: what + " needs a shard key",
		Detail:  "Table " + quoteIdent(table) + " is sharded by " + quoteIdent(column) + ", and its rows are on several shards.",
		Hint:    "Add " + quoteIdent(column) + " = … to the condition.",
	}
}

func insertWithoutKey(table, column, why string) *Refusal {
	return &Refusal{
		Reason:  MissingKey,
		Message: "INSERT needs a value for the shard key",
		Detail:  "Table " + quoteIdent(table) + " is sharded by " + quoteIdent(column) + ", " + why,
		Hint:    "Give " + quoteIdent(column) + " a constant or a parameter in the INSERT.",
	}
}

func nullKey(n *requirement) *Refusal {
	return &Refusal{
		Reason:  NullKey,
		Message: "null value in shard key " + quoteIdent(n.column()) + " of table " + quoteIdent(n.table),
		Detail:  "A row without a key has no shard.",
		Hint:    "Give " + quoteIdent(n.column()) + " a value.",
	}
}

func noShard(n *requirement) *Refusal {
	return &Refusal{
		Reason: Unsupported, Message: "no shard takes this key",
		Detail: "The placement of " + quoteIdent(n.table) + " has no shard for the value of " + quoteIdent(n.column()) + ".",
		Hint:   "Give the value a shard, or the placement a default one.",
	}
}

func changesKey(table, column string) *Refusal {
	return &Refusal{
		Reason:  ChangesKey,
		Message: "the shard key cannot be updated",
		Detail:  "Table " + quoteIdent(table) + " is sharded by " + quoteIdent(column) + ": another value may belong to another shard.",
		Hint:    "Insert the row with its new key and delete the old one.",
	}
}

func keyNotUnderstood(n *requirement, o *operand, params Values) *Refusal {
	r := &Refusal{
		Reason:  KeyNotUnderstood,
		Message: "the value of shard key " + quoteIdent(n.column()) + " is not understood",
		Detail:  "A value for table " + quoteIdent(n.table) + " has a form that pgring cannot place with certainty.",
		Hint:    "Write the value as a plain constant of the key's type, or bind it as a parameter of that type.",
	}
	if o.kind != operandParam {
		return r
	}
	name := "$" + strconv.Itoa(o.index+1)
	v, _ := params.Value(o.index)
	switch {
	case v.OID != 0:
		r.Detail = "Parameter " + name + " is declared with type oid " + strconv.FormatUint(uint64(v.OID), 10) +
			", and the key is of type " + o.keyType.String() + "."
	case o.shared:
		r.Detail = "Parameter " + name + " has no declared type and is used in several places, so its type is not certain."
		r.Hint = "Declare the parameter's type, or bind the key as a parameter of its own."
	}
	return r
}

func crossShardWrite(what, detail string) *Refusal {
	return &Refusal{
		Reason:  CrossShardWrite,
		Message: what,
		Detail:  detail,
		Hint:    "Write the rows of one shard at a time.",
	}
}

// whole names a table for people: with its schema unless that is public.
func whole(t *topology.Table) string {
	if t.Schema == "public" || t.Schema == "" {
		return t.Table
	}
	return t.Name.String()
}

// pinHint says how to pin the statement to one shard.
func (a *analysis) pinHint() string {
	for i := range a.st.needs {
		if n := &a.st.needs[i]; len(n.key) == 1 {
			return "Add a condition on the shard key, such as " + n.table + "." + n.key[0] + " = …, or query less at once."
		}
	}
	return "Add conditions on the shard keys."
}
