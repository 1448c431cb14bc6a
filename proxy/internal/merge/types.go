package merge

// OIDs of pg_type, which never change for built-in types.
const (
	oidBool        = 16
	oidBytea       = 17
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidFloat4      = 700
	oidFloat8      = 701
	oidBPChar      = 1042 // ignores trailing spaces when compared: refused
	oidVarchar     = 1043
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidNumeric     = 1700
	oidUUID        = 2950
)

// isText reports whether a type's order is that of a collation, and byte order under collation C.
func isText(oid uint32) bool {
	switch oid {
	case oidText, oidVarchar, oidName:
		return true
	}
	return false
}
