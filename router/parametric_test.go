package router

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/pgring/pgring/topology"
)

// silentShop is the shop where nobody listens to writes.
func silentShop() *topology.Snapshot {
	s := newShop()
	tables := s.tables()
	for i := range tables {
		tables[i].Silent = tables[i].Name.Table != "made"
	}
	return s.snapshotOf(1, tables)
}

func TestConstantsThatMayBeParameters(t *testing.T) {
	r, snap, env := New(Config{}), silentShop(), testEnv()
	for text, want := range map[string]string{
		"SELECT qty FROM order_items WHERE user_id = 5 AND qty = 3":                                        "SELECT qty FROM order_items WHERE user_id = $1  AND qty = 3",
		"UPDATE order_items SET qty = qty + 3 WHERE user_id = 5":                                           "UPDATE order_items SET qty = qty + $1  WHERE user_id = $2 ",
		"UPDATE order_items SET qty = qty + -3, product_id=7*product_id WHERE qty >= 2/**/AND user_id = 5": "UPDATE order_items SET qty = qty + -$1 , product_id=$2 *product_id WHERE qty >= $3 /**/AND user_id = $4 ",
		"UPDATE order_items SET qty = -3 WHERE user_id = 5":                                                "UPDATE order_items SET qty = -$1  WHERE user_id = $2 ",
		"UPDATE order_items SET qty = 3 WHERE user_id = -5":                                                "UPDATE order_items SET qty = $1  WHERE user_id = -$2 ",
		"UPDATE orders SET id = 3 WHERE user_id = 5 AND product_id < 7":                                    "UPDATE orders SET id = $1  WHERE user_id = $2  AND product_id < $3 ",
		"UPDATE orders SET id = 3 WHERE user_id = 5 AND total < 7":                                         "", // an operator of a user's may fit better
		"UPDATE order_items SET qty = order_items.virt + 3 WHERE user_id = 5":                              "", // virt(order_items)
		"UPDATE orders SET total = product_id + 3 WHERE user_id = 5":                                       "", // a cast of a user's may write it
		"UPDATE orders SET status = CURRENT_USER, id = 3 WHERE user_id = 5":                                "",
		"UPDATE order_items AS x (a, b, c) SET qty = x.qty + 3 WHERE user_id = 5":                          "",
		"UPDATE order_items SET qty = 3 WHERE user_id = 5 AND product_id |+| qty":                          "",
		"DELETE FROM order_items WHERE user_id = 5 AND product_id <> 3":                                    "DELETE FROM order_items WHERE user_id = $1  AND product_id <> $2 ",
		"INSERT INTO order_items (user_id, order_id, qty) VALUES (5, 7, -3)":                               "INSERT INTO order_items (user_id, order_id, qty) VALUES ($1 , $2 , -$3 )",
		"INSERT INTO order_items VALUES (7, 5, NULL, 3)":                                                   "INSERT INTO order_items VALUES ($1 , $2 , NULL, $3 )",
		"INSERT INTO orders (user_id, id, created) VALUES (5, 7, CURRENT_TIMESTAMP)":                       "INSERT INTO orders (user_id, id, created) VALUES ($1 , $2 , CURRENT_TIMESTAMP)",

		"UPDATE order_items SET qty = qty + 3 WHERE user_id = 5 RETURNING qty":                       "", // rows of a type
		"UPDATE order_items SET qty = 1 / 0 WHERE user_id = 5":                                       "", // an error when it is planned
		"UPDATE order_items SET qty = qty + (1 - 3) WHERE user_id = 5":                               "",
		"UPDATE order_items SET qty = 3000000000 WHERE user_id = 5":                                  "",
		"UPDATE order_items SET qty = qty + 1.5 WHERE user_id = 5":                                   "",
		"UPDATE order_items SET qty = 3::smallint WHERE user_id = 5":                                 "",
		"UPDATE order_items SET qty = 3 WHERE user_id = 5 OR user_id = 5":                            "",
		"UPDATE order_items SET qty = 3 WHERE user_id = 5 AND product_id IN (3, 4)":                  "",
		"UPDATE orders SET status = 'new' WHERE user_id = 5":                                         "",
		"UPDATE orders SET total = 3 WHERE user_id = 5":                                              "", // may be out of its range
		"UPDATE customers SET score = 3 WHERE id = 5":                                                "",
		"UPDATE made SET n = 3 WHERE id = 5":                                                         "", // somebody listens
		"UPDATE settings SET id = 3 WHERE user_id = 5":                                               "", // at home
		"UPDATE order_items SET qty = (SELECT 3) WHERE user_id = 5":                                  "",
		"WITH x AS (SELECT 3) UPDATE order_items SET qty = 3 WHERE user_id = 5":                      "",
		"UPDATE order_items SET qty = qty + touch_orders(3) WHERE user_id = 5":                       "",
		"UPDATE order_items SET qty = 3 * random() WHERE user_id = 5":                                "",
		"INSERT INTO order_items (user_id, qty) VALUES (5, 3) ON CONFLICT DO NOTHING":                "",
		"INSERT INTO order_items (user_id, qty) VALUES (5, 3) ON CONFLICT DO UPDATE SET qty = 4 + 5": "",
		"INSERT INTO order_items (user_id, qty) VALUES (5, 3), (5, 4)":                               "",
		"INSERT INTO order_items (user_id, qty) SELECT 5, 3":                                         "",
		"INSERT INTO loose (user_id, token) VALUES (5, 3)":                                           "",
		"DELETE FROM order_items USING orders o WHERE order_items.user_id = 5 AND o.user_id = 5":     "", // a function of the other row is written like a column
	} {
		var scratch Scratch
		bounds, err := r.Query(snap, env, []byte(text), &scratch)
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		users := NewEnv([]string{"app", "pg_catalog", "public"}) // operators of users' come first
		if other, err := r.Query(snap, users, []byte(text), new(Scratch)); err == nil && other[0].Inert(other[0].Values) {
			t.Errorf("%s: inert, though its operators may be users'", text)
		}
		var p Parametric
		if bounds[0].Parametric(&p, true); string(p.SQL) != want {
			t.Errorf("%s\n got %q\nwant %q", text, p.SQL, want)
		}
	}
}

// TestPlacesInAParametricText: what stands in both texts is at the same place for the client.
func TestPlacesInAParametricText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Parametric
		var places []int // in the client's text, by character of SQL; in a parameter its beginning
		client := ""
		for i := range rapid.IntRange(1, 12).Draw(t, "constants") {
			word := rapid.StringOfN(rapid.RuneFrom([]rune("aü漢 ")), 0, 5, -1).Draw(t, "between")
			number := rapid.StringOfN(rapid.RuneFrom([]rune("123")), 1, 9, -1).Draw(t, "constant")
			for j := range utf8.RuneCountInString(word) {
				places = append(places, utf8.RuneCountInString(client)+j+1)
			}
			client += word
			for range appendParam(nil, i) {
				places = append(places, utf8.RuneCountInString(client)+1)
			}
			p.places = append(p.places, place{len(client), len(client) + len(number)})
			client += number
		}
		end := strings.Repeat("z", 3)
		for j := range end {
			places = append(places, utf8.RuneCountInString(client)+j+1)
		}
		p.client = []byte(client + end)
		p.write()
		if n := utf8.RuneCount(p.SQL); n != len(places) {
			t.Fatalf("%q has %d characters, not %d", p.SQL, n, len(places))
		}
		for i, want := range places {
			if got := p.Position(i + 1); got != want {
				t.Fatalf("%q, character %d of %q: %d, not %d", p.client, i+1, p.SQL, got, want)
			}
		}
	})
}
