package merge

import (
	"fmt"
	"strconv"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// fault is what is wrong with a value that a shard sent.
type fault uint8

const (
	sound    fault = iota
	broken         // not a value of its type in its format
	foreign        // written under a setting that hides its order
	overflow       // the combined value does not fit its type
)

func malformed(message, detail string) *pgwire.Error {
	return &pgwire.Error{Code: "08P01", Message: message, Detail: detail}
}

// complain turns a value's fault into the error for the client.
func (f fault) complain(field pgwire.Field) error {
	switch f {
	case sound:
		return nil
	case broken:
		return malformed("shard sent a malformed value", fmt.Sprintf("Column %q is not a valid %s.", field.Name, typeName(field.Type)))
	case foreign:
		return &pgwire.Error{Code: "0A000", Message: "values of several shards cannot be compared",
			Detail: fmt.Sprintf("Column %q of type %s is in a text format that does not show its order.", field.Name, typeName(field.Type)),
			Hint:   formatHint(field.Type)}
	case overflow:
		if field.Type == oidNumeric {
			return &pgwire.Error{Code: "22003", Message: "value overflows numeric format"}
		}
		return &pgwire.Error{Code: "22003", Message: "bigint out of range"}
	}
	return fmt.Errorf("complain about column %q: unknown fault %d", field.Name, f)
}

func formatHint(oid uint32) string {
	if oid == oidBytea {
		return "SET bytea_output = 'hex', or ask for binary results."
	}
	return "SET DateStyle = 'ISO', or ask for binary results."
}

// refuseOrder says why rows cannot be merged by a column.
func refuseOrder(column int, field pgwire.Field) error {
	e := &pgwire.Error{Code: "0A000", Message: "rows of several shards cannot be merged in this order",
		Detail: fmt.Sprintf("Sort column %d, %q, is of type %s, %s.", column+1, field.Name, typeName(field.Type), whyUnordered(field.Type)),
		Hint:   "Sort by another column, or restrict the statement to one shard key."}
	if isText(field.Type) {
		e.Hint = `Sort by the column COLLATE "C", or restrict the statement to one shard key.`
	}
	return e
}

func whyUnordered(oid uint32) string {
	if isText(oid) || oid == oidBPChar {
		return "whose order depends on its collation"
	}
	return "whose order is known to PostgreSQL alone"
}

// refuseAggregate says why an aggregate's parts cannot be combined.
func refuseAggregate(column int, aggregate router.Aggregate, field pgwire.Field) error {
	name := aggregateName(aggregate)
	return &pgwire.Error{Code: "0A000", Message: name + " of several shards cannot be combined exactly",
		Detail: fmt.Sprintf("Column %d, %q, is of type %s, %s.", column+1, field.Name, typeName(field.Type), whyNotCombined(aggregate, field.Type)),
		Hint:   "Restrict the statement to one shard key, or compute it in the application from the rows."}
}

func aggregateName(aggregate router.Aggregate) string {
	switch aggregate {
	case router.AggCount:
		return "count"
	case router.AggSum:
		return "sum"
	case router.AggMin:
		return "min"
	case router.AggMax:
		return "max"
	case router.AggBoolAnd:
		return "bool_and"
	case router.AggBoolOr:
		return "bool_or"
	case router.AggregateUnset:
	}
	return "aggregate " + strconv.Itoa(int(aggregate))
}

func whyNotCombined(aggregate router.Aggregate, oid uint32) string {
	switch aggregate {
	case router.AggMin, router.AggMax:
		return whyUnordered(oid)
	case router.AggSum:
		if oid == oidFloat4 || oid == oidFloat8 {
			return "whose sum depends on the order of its terms"
		}
		return "whose sum is known to PostgreSQL alone"
	case router.AggCount, router.AggBoolAnd, router.AggBoolOr, router.AggregateUnset:
	}
	return "which is not the aggregate's own"
}

// typeName is PostgreSQL's name of a built-in type that may appear in a refusal, as psql shows it.
func typeName(oid uint32) string {
	if order, ok := orderingOf(oid); ok {
		return order.name
	}
	switch oid {
	case oidText:
		return "text"
	case oidVarchar:
		return "character varying"
	case oidName:
		return "name"
	case oidBPChar:
		return "character"
	case 114:
		return "json"
	case 790:
		return "money"
	case 869:
		return "inet"
	case 1186:
		return "interval"
	case 1266:
		return "time with time zone"
	case 3802:
		return "jsonb"
	}
	return "with OID " + strconv.FormatUint(uint64(oid), 10)
}
