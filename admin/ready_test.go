package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/pgring/pgring/internal/faultnet"
)

// get asks an endpoint and returns the code and the body.
func (r *rig) get(path string) (int, string) {
	r.t.Helper()
	answer, err := http.Get(r.web.URL + path)
	must(r.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(r.t, err)
	return answer.StatusCode, string(body)
}

type ready struct {
	Status  string
	Reasons []string
	Epoch   int64
	Shards  []struct {
		Shard, Reason string
		Up            bool
	}
}

func (r *rig) ready(query string) (int, ready) {
	r.t.Helper()
	code, body := r.get("/readyz" + query)
	var parsed ready
	must(r.t, json.Unmarshal([]byte(body), &parsed))
	if regexp.MustCompile(`127\.0\.0\.1|postgres|password`).MatchString(body) {
		r.t.Errorf("the body tells what is not for everybody:\n%s", body)
	}
	return code, parsed
}

func TestReadyzSaysWhichShardIsDown(t *testing.T) {
	r := newRig(t, 2, 0)
	for _, query := range []string{"", "?shards=all"} {
		if code, body := r.ready(query); code != 200 || body.Status != "ready" || len(body.Reasons) != 0 || len(body.Shards) != 2 || body.Epoch != 1 {
			t.Errorf("with both shards: %d %+v", code, body)
		}
	}
	r.servers[1].Kill9(t)
	waitFor(t, "the dead shard to be noticed", func() bool { _, body := r.ready(""); return body.Status == "degraded" })
	code, body := r.ready("")
	if code != 200 || len(body.Reasons) != 1 || !strings.HasPrefix(body.Reasons[0], "shard s2 is down: ") || body.Shards[1].Up || !body.Shards[0].Up {
		t.Errorf("with one shard: %d %+v", code, body)
	}
	if code, body := r.ready("?shards=all"); code != 503 || body.Status != "not ready" {
		t.Errorf("all shards wanted: %d %+v", code, body)
	}
	if code, body := r.get("/healthz"); code != 200 || !strings.Contains(body, `"status": "ok"`) {
		t.Errorf("healthz: %d %s", code, body)
	}
	r.servers[0].Kill9(t)
	waitFor(t, "readiness to end", func() bool { code, _ := r.ready(""); return code == 503 })
	_, body = r.ready("")
	if !strings.Contains(strings.Join(body.Reasons, "\n"), "no shard is up") {
		t.Errorf("without shards: %+v", body)
	}
	for _, s := range r.servers {
		s.Restart(t)
	}
	waitFor(t, "readiness to come back", func() bool { code, body := r.ready("?shards=all"); return code == 200 && body.Status == "ready" })
}

func TestLostControlDatabaseIsDegradedNotDown(t *testing.T) {
	var link *faultnet.Proxy
	r := newRig(t, 2, 0, throughLink(&link))
	link.Refuse()
	link.Cut()
	waitFor(t, "the loss to be noticed", func() bool { return !r.topology.Status().Connected })
	code, body := r.ready("?shards=all")
	if code != 200 || body.Status != "degraded" || len(body.Reasons) != 1 || !regexp.MustCompile(`^control database lost since 20..-..-..T..:..:..Z, serving map epoch 1$`).MatchString(body.Reasons[0]) {
		t.Errorf("%d %+v", code, body)
	}
	wantOutput(t, r.psql("boss", "SHOW STATE;", "SHOW PEERS;", "REFERENCE TABLE currencies;"), "control_database|lost", "ERROR:  08006: the control database", "ERROR:  08006: nothing was changed: a server cannot be reached")
	link.Accept()
	waitFor(t, "the connection to come back", func() bool { _, body := r.ready(""); return body.Status == "ready" })
}

func TestReadyzFollowsWhetherClientsAreAccepted(t *testing.T) {
	r := newRig(t, 1, 0)
	r.serving.Store(false)
	if code, body := r.ready(""); code != 503 || body.Reasons[0] != "clients are not accepted" {
		t.Errorf("%d %+v", code, body)
	}
}

func TestMetricsAreWhatPrometheusExpects(t *testing.T) {
	r := newRig(t, 2, 0)
	r.exec("INSERT INTO users VALUES (1, 'secret-value')")
	r.psql("eyes", "SHOW POOLS;")
	code, body := r.get("/metrics")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	must(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "pgring_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	must(t, err)
	for _, name := range []string{"go_goroutines", "process_open_fds", "pgring_build_info", "pgring_clients", "pgring_console_command_seconds", "pgring_commits_total", "pgring_shard_slots"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	wantOutput(t, body, `pgring_shard_up{shard="s2"} 1`, `pgring_statements_total{plan="one"} 1`, `pgring_pool_size{shard="s1",user="postgres"} 5`, "pgring_control_database_up 1", "pgring_map_epoch 1",
		`pgring_console_command_seconds_count{command="SHOW POOLS"} 1`)
	if strings.Contains(body, "secret-value") || strings.Contains(body, "INSERT") {
		t.Error("metrics tell of queries")
	}
}

func TestProfilesAreOff(t *testing.T) {
	r := newRig(t, 1, 0)
	for _, path := range []string{"/debug/pprof/", "/", "/nothing"} {
		if code, _ := r.get(path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
}
