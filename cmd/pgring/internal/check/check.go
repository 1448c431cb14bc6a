package check

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/ingest"
)

const (
	shardTimeout = 30 * time.Second // everything that is asked of one shard, connecting included
	sideBySide   = 8                // shards that are asked at the same time
)

// Options say what is checked and how it is reached.
type Options struct {
	Config *config.Config
	// Dial connects to a shard with one of its logins.
	Dial func(ctx context.Context, shard config.Shard, login config.Login) (*pgx.Conn, error)
	// Control connects to the control database. Nil means that it is on a shard.
	Control func(ctx context.Context) (*pgx.Conn, error)
	// Kafka has the brokers of asynchronous writes. Nil means that there are none.
	Kafka *ingest.KafkaConfig
}

// Run asks every shard and returns what it found. Only a cancelled context is an error: a shard that does not answer is a
// finding.
func Run(ctx context.Context, o Options) (*Report, error) {
	probes := make([]*probe, len(o.Config.Shards))
	group := errgroup.Group{}
	group.SetLimit(sideBySide)
	for i, shard := range o.Config.Shards {
		// owner: Run; ends when the shard has answered or shardTimeout has passed.
		group.Go(func() error {
			probes[i] = look(ctx, o, shard)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	r := &reporter{cfg: o.Config, probes: probes}
	r.servers()
	r.control(ctx, o)
	r.kafka(ctx, o)
	r.tables()
	return r.report(), nil
}

// reporter turns what was seen into findings.
type reporter struct {
	cfg      *config.Config
	probes   []*probe
	findings []Finding
	summary  []TableReport
}

func (r *reporter) errorf(shard, hint, message string) {
	r.findings = append(r.findings, Finding{Severity: Error, Shard: shard, Message: message, Hint: hint})
}

func (r *reporter) warn(shard, hint, message string) {
	r.findings = append(r.findings, Finding{Severity: Warning, Shard: shard, Message: message, Hint: hint})
}

// seen lists the shards whose facts are known.
func (r *reporter) seen() []*probe {
	var seen []*probe
	for _, p := range r.probes {
		if p.facts != nil {
			seen = append(seen, p)
		}
	}
	return seen
}
