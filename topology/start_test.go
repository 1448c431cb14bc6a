package topology_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

func TestStartFillsAnEmptyControlDatabaseFromTheWish(t *testing.T) {
	c := newCluster(t)
	w := wish("s1", "s2", "s3")
	w.Ring = ring.Config{VirtualNodes: 64, LoadBound: 1.1}
	text := "m"
	w.Tables = []topology.TableWish{
		sharded("customers", "id", "shop"), sharded("orders", "customer_id", "customers_alias"),
		{Name: topology.ParseName("countries"), Kind: topology.Reference},
		{Name: topology.ParseName("settings"), Kind: topology.Home, Shard: "s2"},
		{Name: topology.ParseName("modulo"), Kind: topology.Sharded, Key: []string{"k"}, Strategy: topology.Hash},
		{Name: topology.ParseName("names"), Kind: topology.Sharded, Key: []string{"name"}, Strategy: topology.Range,
			Layout: topology.Layout{Ranges: []topology.Bound{{Shard: "s1"}, {From: &text, Shard: "s3"}}}},
		{Name: topology.ParseName("tenants"), Kind: topology.Sharded, Key: []string{"t"}, Strategy: topology.List,
			Layout: topology.Layout{Lists: []topology.Listed{{Values: []string{"a", "b"}, Shard: "s2"}}, Default: "s1"}},
	}
	load(t, c.config(w))
	snap := load(t, c.config(w)).Current() // as another proxy reads it back
	if snap.Epoch != 1 || snap.Home != "s1" || len(snap.Shards) != 3 || snap.Ring != w.Ring {
		t.Fatalf("snapshot: %+v", snap)
	}
	for i, s := range snap.Shards {
		if s.Number != i+1 || s.State != topology.Active || s.Weight != 1 || s.Port != 5432 {
			t.Errorf("shard %+v", s)
		}
	}
	for table, want := range map[string][]ring.ShardID{
		"customers": {"s1", "s2", "s3"}, "orders": {"s1", "s2", "s3"}, "modulo": {"s1", "s2", "s3"}, "names": {"s1", "s3"}, "tenants": {"s1", "s2"},
	} {
		if got := owners(t, snap, table); !slices.Equal(got, want) {
			t.Errorf("owners of %s: %v, want %v", table, got, want)
		}
	}
	if snap.Table("public", "settings").Shard != "s2" || snap.Table("public", "countries").Kind != topology.Reference {
		t.Error("home or reference table lost")
	}
	if snap.Group("shop") == nil || snap.Group("customers_alias") == nil || snap.Group("public.modulo") == nil {
		t.Error("groups are not named after colocate, else after the table")
	}
}

func TestFourProxiesStartingAtOnceMakeOneCluster(t *testing.T) {
	c := newCluster(t)
	w := wish("s1", "s2")
	w.Tables = []topology.TableWish{sharded("customers", "id", "")}
	var wg sync.WaitGroup
	ids := make([]string, 4)
	for i := range ids {
		// owner: the test; ends when Start returns.
		wg.Go(func() {
			topo, err := topology.New(c.config(w))
			if err == nil {
				_, err = topo.Start(t.Context())
			}
			if err != nil {
				t.Errorf("proxy %d: %v", i, err)
				return
			}
			snap := topo.Current()
			ids[i] = fmt.Sprintf("%s at %d with %d shards and %v", snap.ClusterID, snap.Epoch, len(snap.Shards), snap.Table("public", "customers").Group.Epoch)
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("the proxies see %v", ids)
		}
	}
	if n := c.count(t, "s1", "SELECT count(*) FROM pgring.migrations"); n != 5 {
		t.Errorf("%d migrations recorded", n)
	}
}

func TestStartRefusesASchemaOfANewerPgring(t *testing.T) {
	c := newCluster(t)
	load(t, c.config(wish("s1")))
	c.exec(t, "INSERT INTO pgring.migrations VALUES (99)", "s1")
	var newer *topology.NewerSchemaError
	if err := refusal(t, c.config(wish("s1"))); !errors.As(err, &newer) || newer.Found != 99 {
		t.Errorf("error: %v", err)
	}
}

func TestStartUsesAnEmptySchemaItWasGiven(t *testing.T) {
	c := newCluster(t)
	c.exec(t, "CREATE SCHEMA pgring", "s1")
	if snap := load(t, c.config(wish("s1"))).Current(); snap.Epoch != 1 {
		t.Errorf("epoch %d", snap.Epoch)
	}
}

func TestStartSaysWhatItCouldNotReach(t *testing.T) {
	c, server := ownCluster(t)
	server.Shutdown(t)
	cfg := c.config(wish("s1"))
	cfg.StartTimeout = 300 * time.Millisecond
	topo, err := topology.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = topo.Start(t.Context())
	if err == nil || time.Since(began) > 5*time.Second {
		t.Fatalf("error %v after %s", err, time.Since(began))
	}
	t.Log(err)
	if s := topo.Status(); s.Connected || s.LastError == "" || topo.Current() != nil {
		t.Errorf("status %+v", s)
	}
	if err := topo.Run(t.Context()); !errors.Is(err, topology.ErrNotStarted) {
		t.Errorf("Run before Start: %v", err)
	}
}

func TestStartWaitsForAControlDatabaseThatComesUp(t *testing.T) {
	c, server := ownCluster(t, "s1")
	server.Shutdown(t)
	topo, err := topology.New(c.config(wish("s1")))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	// owner: the test, which reads done; ends with Start.
	go func() { _, err := topo.Start(t.Context()); done <- err }()
	await(t, 5*time.Second, "a failed attempt", func() bool { return topo.Status().LastError != "" })
	server.Restart(t)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestStartDoesNotRetryAWrongPassword(t *testing.T) {
	server := pgtest.Start(t, 1, pgtest.SCRAM())[0]
	server.CreateUser(t, "operator", "secret")
	c := &cluster{dsn: func(db string) string {
		return strings.Replace(server.DSN("operator", db), "secret", "wrong-word", 1)
	}}
	began := time.Now()
	err := refusal(t, c.config(wish("s1")))
	if time.Since(began) > 5*time.Second {
		t.Errorf("it took %s to fail with %v", time.Since(began), err)
	}
	if strings.Contains(err.Error(), "wrong-word") {
		t.Errorf("the error holds the password: %v", err)
	}
}

func TestNewNamesEveryMistakeInTheWish(t *testing.T) {
	c := &cluster{}
	w := wish("s1", "s1")
	w.Home = "s7"
	w.Shards[0].Host = ""
	w.Tables = []topology.TableWish{{Name: topology.ParseName("a"), Kind: topology.Sharded}, {Name: topology.ParseName("b")},
		{Name: topology.ParseName("c"), Kind: topology.Reference, Key: []string{"k"}}}
	_, err := topology.New(c.config(w))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, word := range []string{"s1 is named twice", "s1 has no host", "s7", "public.a needs 1 to 4 key columns", "public.b has no kind", "public.c is reference"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
}
