package e2e

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

const (
	teamSize    = 8               // clients that transfer at once
	teamTime    = 3 * time.Second // of one mode in one round
	teamSavers  = 500             // accounts on each shard, so that few transfers wait for one another
	singleShard = "one shard"
)

// BenchmarkTransfers compares what a transfer costs on one shard and on two, by 2pc and by a saga. Each iteration is a round in which
// every mode has its turn, the first one another each time; ratios are those within a round, and the median of the rounds counts.
//
//	make bench-transfers; with TMPDIR=/a/folder the servers' data is there, else in memory
func BenchmarkTransfers(b *testing.B) {
	c := start(b, layout{durable: true})
	accounts := make([][]int64, len(c.servers))
	for i, s := range c.servers {
		accounts[i] = c.customersOn(b, i, 1, teamSavers)
		execute(b, s.ConnectAs(b, appLogin, database), "INSERT INTO customers (id, name, balance) SELECT id, 'saver', 1000000 FROM unnest($1::bigint[]) id", accounts[i])
	}
	modes := []string{singleShard, "2pc", "saga"}
	rates := map[string][]float64{}
	for b.Loop() {
		round := len(rates[singleShard])
		for i := range modes {
			mode := modes[(round+i)%len(modes)]
			rates[mode] = append(rates[mode], c.transferRate(b, mode, accounts))
		}
	}
	for _, mode := range modes {
		b.ReportMetric(median(rates[mode]), unit(mode)+"/s")
	}
	for _, pair := range [][2]string{{"2pc", singleShard}, {"saga", singleShard}, {"saga", "2pc"}} {
		var ratios []float64
		for i, rate := range rates[pair[0]] {
			ratios = append(ratios, rate/rates[pair[1]][i])
		}
		b.ReportMetric(median(ratios), unit(pair[0])+":"+unit(pair[1]))
	}
	b.ReportMetric(0, "ns/op") // a round takes as long as it is told to
}

func unit(mode string) string {
	if mode == singleShard {
		return "single"
	}
	return mode
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// transferRate returns the transfers in a second that a team gets done.
func (c *cluster) transferRate(b *testing.B, mode string, accounts [][]int64) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), teamTime)
	defer cancel()
	var done atomic.Int64
	var team errgroup.Group
	for range teamSize {
		conn := c.connect(b)
		if mode != singleShard {
			execute(b, conn, "SET pgring.cross_shard = '"+mode+"'")
		}
		// owner: transferRate; ends with ctx.
		team.Go(func() error {
			for ctx.Err() == nil {
				from := rand.IntN(len(accounts))
				to := from
				if mode != singleShard {
					to = (from + 1 + rand.IntN(len(accounts)-1)) % len(accounts)
				}
				err := pay(context.WithoutCancel(ctx), conn, accounts[from][rand.IntN(teamSavers)], accounts[to][rand.IntN(teamSavers)])
				var told *pgconn.PgError
				switch {
				case err == nil:
					done.Add(1)
				case errors.As(err, &told) && (told.Code == "40P01" || told.Code == "55P03"): // they met in the wrong order
				default:
					return err
				}
			}
			return nil
		})
	}
	must(b, team.Wait())
	return float64(done.Load()) / teamTime.Seconds()
}

// pay is the same four round trips in every mode.
func pay(ctx context.Context, conn *pgx.Conn, from, to int64) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "UPDATE customers SET balance = balance - 1 WHERE id = $1 /* compensate: UPDATE customers SET balance = balance + 1 WHERE id = $1 */", from); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE customers SET balance = balance + 1 WHERE id = $1 /* compensate: UPDATE customers SET balance = balance - 1 WHERE id = $1 */", to); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
