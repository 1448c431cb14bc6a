package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a folder on a disk of so many bytes, which is gone after the test. It is mounted where nobody else sees it, in a mount
// namespace of a process of its own, which any user may have.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	holder := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-c",
		fmt.Sprintf("mount -t tmpfs -o size=%d tmpfs /mnt && echo ready && exec cat", bytes))
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	holder.Stderr = t.Output()
	hold, err := holder.StdinPipe() // it ends with this
	must(t, err)
	out, err := holder.StdoutPipe()
	must(t, err)
	must(t, holder.Start())
	t.Cleanup(func() {
		must(t, hold.Close())
		must(t, holder.Wait())
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("no disk could be mounted: %q, %v", line, err)
	}
	return fmt.Sprintf("/proc/%d/root/mnt", holder.Process.Pid)
}

// TestAFullDiskRefusesAsynchronousWritesUntilThereIsRoom fills the disk while a shard is locked, so that what was acknowledged is in the
// log alone.
func TestAFullDiskRefusesAsynchronousWritesUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 20<<20) // for two of the log's files of 8 MiB
	c := startWithEvents(t, options{logs: filepath.Join(disk, "async")})
	conn := c.connect()
	acknowledged := 0
	data := `{"a": "` + strings.Repeat("x", 7_000) + `"}`
	insert := func() error {
		_, err := conn.Exec(t.Context(), "add", acknowledged, data)
		if err == nil {
			acknowledged++
		}
		return err
	}
	_, err := conn.Prepare(t.Context(), "add", "INSERT INTO events (user_id, n, data) VALUES (1, $1, $2)") // which the lock would not let through
	must(t, err)
	must(t, insert())
	run(t, conn, "SELECT pgring.flush('events')")
	holder := c.shardOf(1).Connect(t)
	run(t, holder, "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE")
	for err == nil && acknowledged < 5000 {
		err = insert()
	}
	refused := wantCode(t, err, "53100")
	if refused.Message != `no room for asynchronous writes to table "events"` || refused.Detail != "The disk of pgring's log is full. Nothing was accepted." {
		t.Errorf("the error is %+v", refused)
	}
	wantCode(t, insert(), "53100")
	c.wantAccepted("while the disk was full", int64(acknowledged))
	run(t, holder, "ROLLBACK") // what is applied makes room
	waitFor(t, "room on the disk", func() bool { return insert() == nil })
	run(t, conn, "SELECT pgring.flush('events')")
	wantValue(t, conn, "SELECT count(*) FROM events", fmt.Sprint(acknowledged))

	// Somebody else fills the disk, and makes room again.
	ballast := filepath.Join(disk, "ballast")
	for err = nil; err == nil && acknowledged < 10_000; err = insert() {
		if acknowledged%100 == 0 {
			fill(t, ballast) // also what the log lets go of
		}
	}
	wantCode(t, err, "53100")
	must(t, os.Remove(ballast))
	must(t, insert())
	run(t, conn, "SELECT pgring.flush('events')")
	wantValue(t, conn, "SELECT count(*) FROM events", fmt.Sprint(acknowledged))
}

// TestADiskThatIsFullAtTheStartKeepsNothingUp: what is in the log is applied, and more is taken when there is room.
func TestADiskThatIsFullAtTheStartKeepsNothingUp(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 20<<20)
	o := options{logs: filepath.Join(disk, "async"), own: true}
	c := startWithEvents(t, o)
	conn := c.connect()
	const insert = "INSERT INTO events (user_id, n) VALUES (1, $1)"
	_, err := conn.Prepare(t.Context(), "add", insert)
	must(t, err)
	_, err = conn.Exec(t.Context(), "add", 0)
	must(t, err)
	run(t, conn, "SELECT pgring.flush('events')")
	holder := c.shardOf(1).Connect(t)
	run(t, holder, "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE")
	for n := range 5 {
		_, err = conn.Exec(t.Context(), "add", 1+n)
		must(t, err)
	}
	c.wantAccepted("while the table was locked", 6)
	c.stop()
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	again := &cluster{t: t, servers: c.servers}
	again.build(withEvents(o))
	run(t, holder, "ROLLBACK")
	waitFor(t, "what is in the log to be applied", func() bool { return value(t, holder, "SELECT count(*) FROM events WHERE user_id = 1") == "6" })
	conn = again.connect()
	add := func(n int) error {
		_, err := conn.Exec(t.Context(), insert, n)
		return err
	}
	for err, n := error(nil), 10; err == nil; n++ { // there is room in the file that is begun
		if _, err = conn.Exec(t.Context(), "INSERT INTO events (user_id, n, data) VALUES (1, $1, $2)", n, `{"a": "`+strings.Repeat("x", 7_000)+`"}`); err != nil {
			wantCode(t, err, "53100")
		}
	}
	must(t, os.Remove(ballast))
	waitFor(t, "room", func() bool { return add(9) == nil })
}

// fill makes a file of all the room that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(t, err)
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	must(t, file.Close())
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
