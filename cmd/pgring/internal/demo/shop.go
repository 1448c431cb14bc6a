package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// customer is a made-up one; the same number is always the same customer.
type customer struct {
	id                   int64
	name, email, country string
	created              time.Time
	orders               []order
}

type order struct {
	id            int64
	placed        time.Time
	total, status string
}

// countries lists code and name.
func countries() [][2]string {
	return [][2]string{{"AR", "Argentina"}, {"BR", "Brazil"}, {"CA", "Canada"}, {"DE", "Germany"}, {"ES", "Spain"}, {"FR", "France"},
		{"GB", "United Kingdom"}, {"IN", "India"}, {"JP", "Japan"}, {"NG", "Nigeria"}, {"PL", "Poland"}, {"US", "United States"}}
}

// countriesSQL inserts all of them at once; a reference table takes them on every shard or on none.
func countriesSQL() string {
	var rows []string
	for _, c := range countries() {
		rows = append(rows, fmt.Sprintf("('%s', '%s')", c[0], c[1]))
	}
	return "INSERT INTO countries (code, name) VALUES " + strings.Join(rows, ", ") + " ON CONFLICT (code) DO NOTHING"
}

// accountsSQL inserts all accounts that are missing, on their shards or on none.
func accountsSQL() string {
	var rows []string
	for id := range int64(accounts) {
		rows = append(rows, fmt.Sprintf("(%d, '%s', %d)", id+1, newCustomer(id+1).name, savings))
	}
	return "INSERT INTO accounts (id, owner, balance) VALUES " + strings.Join(rows, ", ") + " ON CONFLICT (id) DO NOTHING"
}

const (
	accounts   = 20
	savings    = 100 // of each account
	firstNames = "Ada Alan Barbara Claude Dorothy Edgar Emmy Frances Grace Hedy Jim Joan Katherine Leslie Margaret Niklaus Radia Tony"
	lastNames  = "Adler Bauer Costa Diaz Evans Fischer Garcia Haddad Ito Jansen Kowalski Lopez Moreau Nguyen Okafor Patel Rossi Silva"
	states     = "new paid sent sent sent returned"
)

func newCustomer(id int64) customer {
	dice := rand.New(rand.NewPCG(uint64(id), 6432))
	pick := func(words string) string {
		list := strings.Fields(words)
		return list[dice.IntN(len(list))]
	}
	first, last := pick(firstNames), pick(lastNames)
	c := customer{
		id: id, name: first + " " + last, email: strings.ToLower(fmt.Sprintf("%s.%s.%d@example.com", first, last, id)),
		country: countries()[dice.IntN(len(countries()))][0],
		created: time.Date(2025, 1, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(dice.IntN(365*24*60)) * time.Minute),
	}
	for n := range 1 + dice.IntN(5) {
		c.orders = append(c.orders, order{id: int64(n + 1), placed: c.created.Add(time.Duration(dice.IntN(90*24*60)) * time.Minute),
			total: fmt.Sprintf("%d.%02d", 5+dice.IntN(495), dice.IntN(100)), status: pick(states)})
	}
	return c
}
