package ring

import (
	"encoding/hex"
	"strconv"
)

// String returns the key in PostgreSQL's text format; ParseKey of it gives an equal key. The zero Key is "".
func (k Key) String() string {
	switch k.typ {
	case KeyInt:
		return strconv.FormatInt(int64(k.lo), 10)
	case KeyText:
		return string(k.data)
	case KeyUUID:
		return k.uuid()
	case KeyTimestamp, KeyTimestampTZ:
		return string(appendTimestamp(nil, k.typ, int64(k.lo)))
	case KeyNumeric:
		return string(appendNumeric(nil, &k))
	case KeyBytea:
		return `\x` + hex.EncodeToString(k.data)
	default:
		return string(k.data)
	}
}

func (k Key) uuid() string {
	text := make([]byte, 0, 36)
	for i, b := range k.uuidBytes() {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, []byte{b})
	}
	return string(text)
}
