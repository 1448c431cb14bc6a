package router

import "testing"

func TestKeysInCommentsAreReadOrRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]CommentKey{
		"DELETE FROM t /*idempotency_key='abc'*/":                             {Text: "abc"},
		"DELETE FROM t -- idempotency_key='abc'":                              {Text: "abc"},
		"/* action='x',idempotency_key='a%20b%2Cc',zone='y' */ DELETE FROM t": {Text: "a b,c"},
		`/*idempotency_key='it\'s'*/ DELETE FROM t`:                           {Text: "it's"},
		"/* idempotency_key=$12 */ DELETE FROM t":                             {Param: 12},
		"/* idempotency_key='$1' */ DELETE FROM t":                            {Param: 1},
		"/* idempotency_key='%241' */ DELETE FROM t":                          {Text: "$1"},
		"/* my_idempotency_key='x' */ DELETE FROM t":                          {},
		"/* the idempotency_key of it */ DELETE FROM t":                       {},
		"UPDATE t SET idempotency_key='x', c = '/* idempotency_key=''y'' */'": {},
	} {
		got, found, err := ReadCommentKey([]byte(text))
		if got != want || found != (want != CommentKey{}) || err != nil {
			t.Errorf("%s: %+v, %v, %v", text, got, found, err)
		}
	}
	for _, text := range []string{"/*idempotency_key=*/", "/*idempotency_key=''*/", "/*idempotency_key='a*/", "/*idempotency_key=a*/", "/*idempotency_key=$*/", "/*idempotency_key=$0*/",
		"/*idempotency_key='%'*/", "/*idempotency_key='%00'*/", "/*idempotency_key='%ff'*/", "/*idempotency_key='a'*/ /*idempotency_key='a'*/", `/*idempotency_key='a\'*/`} {
		if key, _, err := ReadCommentKey([]byte(text + " DELETE FROM t")); err == nil {
			t.Errorf("%s gives %+v", text, key)
		}
	}
}
