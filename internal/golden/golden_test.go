package golden_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/golden"
)

// recorder is a test that keeps its failure instead of failing.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { r.failure = fmt.Sprintf(format, args...) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failure runs Check as a test of its own would.
func failure(name, got string) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() { // owner: failure; ends with Check
		defer close(done)
		golden.Check(r, name, got)
	}()
	<-done
	return r.failure
}

func TestEqualTextPasses(t *testing.T) {
	t.Setenv("PGRING_UPDATE", "")
	if got := failure("example", "first line\nsecond line\n"); got != "" {
		t.Errorf("Check failed: %s", got)
	}
}

func TestDifferentTextFailsWithADiff(t *testing.T) {
	t.Setenv("PGRING_UPDATE", "")
	got := failure("example", "first line\nanother line\n")
	for _, want := range []string{"testdata/example.golden", "PGRING_UPDATE=1", "   2 - second line\n", "   2 + another line\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("failure lacks %q:\n%s", want, got)
		}
	}
}

func TestMissingFileSaysHowToMakeIt(t *testing.T) {
	t.Setenv("PGRING_UPDATE", "")
	if got := failure("absent", "text\n"); !strings.Contains(got, "PGRING_UPDATE=1") || !strings.Contains(got, "text") {
		t.Errorf("failure is %q", got)
	}
}

func TestUpdateWritesTheFile(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PGRING_UPDATE", "1")
	if got := failure("deep/er", "new\n"); got != "" {
		t.Fatal(got)
	}
	if text, err := os.ReadFile("testdata/deep/er.golden"); err != nil || string(text) != "new\n" {
		t.Errorf("file holds %q, %v", text, err)
	}
}

func TestDiffShowsOnlyTheNeighbourhood(t *testing.T) {
	var want, got strings.Builder
	for i := range 20 {
		fmt.Fprintf(&want, "line %d\n", i)
		if i == 10 {
			got.WriteString("inserted \n")
		}
		if i != 15 {
			fmt.Fprintf(&got, "line %d\n", i)
		}
	}
	golden.Check(t, "diff", golden.Diff(want.String(), got.String()))
	golden.Check(t, "diff_newline", golden.Diff("a\nb\n", "a\nb"))
	if diff := golden.Diff("same\n", "same\n"); diff != "" {
		t.Errorf("equal texts differ: %s", diff)
	}
}
