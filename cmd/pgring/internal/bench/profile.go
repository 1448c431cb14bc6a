package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// profile runs every cell on pgring once more and has it write a CPU profile meanwhile. These runs do not count, because being
// profiled costs a little.
func (l *lab) profile(ctx context.Context) error {
	if err := os.MkdirAll(l.options.Profiles, 0o755); err != nil {
		return fmt.Errorf("make a folder for profiles: %w", err)
	}
	through := l.contenders[len(l.contenders)-1]
	for _, cell := range l.cells() {
		file := filepath.Join(l.options.Profiles, strings.ReplaceAll(cell.Name(), "/", "-")+".pprof")
		l.options.say("profiling %s: %s", cell.Name(), file)
		group, ctx := errgroup.WithContext(ctx)
		// owner: profile; ends when pgring has sent the profile, or ctx does
		group.Go(func() error { return l.fetchProfile(ctx, file) })
		// owner: profile; ends when pgbench does
		group.Go(func() error {
			_, err := l.measure(ctx, trial{cell, through, 1, length{seconds: l.options.Seconds}})
			return err
		})
		if err := group.Wait(); err != nil {
			return fmt.Errorf("profile %s: %w", cell.Name(), err)
		}
	}
	return nil
}

func (l *lab) fetchProfile(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(l.options.Seconds)*time.Second+grace)
	defer cancel()
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", l.web, l.options.Seconds)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask pgring for a profile: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask pgring for a profile: it answered %s", response.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		out.Close()
		return fmt.Errorf("write %s: %w", file, err)
	}
	return out.Close()
}
