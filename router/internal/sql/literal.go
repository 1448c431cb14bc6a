package sql

// Decode returns the value of a literal's text: quotes removed and escapes
// resolved. Numbers are returned as they are. It allocates, in buf, only when a
// string has doubled quotes, escapes or continuation lines; the result may
// alias text or buf. False: an escape that only PostgreSQL should judge.
func Decode(text []byte, kind Kind, buf []byte) ([]byte, bool) {
	switch kind {
	case String:
		return decodeQuoted(text, buf, false)
	case EString:
		return decodeQuoted(text[1:], buf, true)
	case DollarString:
		n := 1
		for text[n] != '$' {
			n++
		}
		return text[n+1 : len(text)-n-1], true
	case Integer, Float:
		return text, true
	default:
		return nil, false
	}
}

// decodeQuoted decodes '…' with its continuations.
func decodeQuoted(text, buf []byte, escapes bool) ([]byte, bool) {
	if body := text[1 : len(text)-1]; plain(body, escapes) {
		return body, true
	}
	out := buf[:0]
	s := Scanner{Text: text}
	for q := 0; q >= 0; {
		end := s.quoteEnd(q+1, escapes, true)
		var ok bool
		if out, ok = appendBody(out, text[q+1:end-1], escapes); !ok {
			return nil, false
		}
		q = s.continuation(end)
	}
	return out, true
}

// plain says whether a body stands for itself.
func plain(body []byte, escapes bool) bool {
	for _, c := range body {
		if c == '\'' || c == '\\' && escapes {
			return false
		}
	}
	return true
}

func appendBody(out, body []byte, escapes bool) ([]byte, bool) {
	for i := 0; i < len(body); i++ {
		c := body[i]
		if c == '\'' {
			i++ // doubled
		}
		if c != '\\' || !escapes {
			out = append(out, c)
			continue
		}
		i++
		switch body[i] {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'v', 'x', 'u', 'U', '0', '1', '2', '3', '4', '5', '6', '7':
			return nil, false
		default:
			out = append(out, body[i])
		}
	}
	return out, true
}
