package pgserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// templateAge is when a template is made anew: programs that clean the temporary directory remove single old files of it.
const templateAge = 24 * time.Hour

// createCluster fills the data directory from the template unless it holds a cluster already. The last step is a rename,
// so a directory is either complete or absent.
func (s *Server) createCluster(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.DataDir, "PG_VERSION")); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.DataDir), 0o755); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	partial := s.DataDir + ".partial"
	if err := errors.Join(os.RemoveAll(partial), os.Mkdir(partial, 0o700), s.account.give(partial)); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	if err := s.copyTemplate(ctx, partial); err != nil {
		return fmt.Errorf("create data directory (each directory above %s must let user id %d in): %w", s.DataDir, s.account.uid, err)
	}
	if err := os.Rename(partial, s.DataDir); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	return nil
}

// copyTemplate copies the template while its lock is held for reading.
func (s *Server) copyTemplate(ctx context.Context, target string) error {
	stamp, err := s.binaries.stamp()
	if err != nil {
		return err
	}
	args := s.initdbArgs()
	sum := sha256.Sum256([]byte(string(s.binaries) + "\n" + stamp + "\n" + strings.Join(args, "\n")))
	dir := filepath.Join(tempDir(), fmt.Sprintf("pgring-template-%d-%x", s.account.uid, sum[:6]))
	lock, err := lockFile(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := s.buildTemplate(dir, args); err != nil {
		return err
	}
	if err := lock.share(); err != nil {
		return err
	}
	return s.account.run("cp", "-a", "--reflink=auto", dir+"/.", target)
}

func (s *Server) initdbArgs() []string {
	locale := s.cfg.Locale
	if locale == "" {
		locale = "C.UTF-8"
	}
	args := []string{"-U", superuser, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions", "--locale=" + locale}
	if s.cfg.Dir == "" {
		args = append(args, "--wal-segsize=1") // MiB; a segment is the largest file of a template
	}
	if s.cfg.ICULocale != "" {
		args = append(args, "--locale-provider=icu", "--icu-locale="+s.cfg.ICULocale)
	}
	return args
}

// buildTemplate runs initdb unless a fresh template exists. The caller holds its lock alone.
func (s *Server) buildTemplate(dir string, args []string) error {
	info, err := os.Stat(dir)
	if err == nil && time.Since(info.ModTime()) < templateAge {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	partial := dir + ".partial"
	if err := errors.Join(os.RemoveAll(dir), os.RemoveAll(partial), os.Mkdir(partial, 0o700), s.account.give(partial)); err != nil {
		return err
	}
	if err := s.account.run(s.binaries.Path("initdb"), append([]string{"-D", partial}, args...)...); err != nil {
		return err
	}
	if s.cfg.Dir == "" {
		if err := s.dropTemplate0(partial); err != nil {
			return err
		}
	}
	return os.Rename(partial, dir)
}

// dropTemplate0 leaves out what is a third of a new cluster and of use to none that is thrown away.
func (s *Server) dropTemplate0(dir string) error {
	command := s.account.command(s.binaries.Path("postgres"), "--single", "-D", dir, "template1")
	command.Stdin = strings.NewReader("UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'\nDROP DATABASE template0\n")
	return finish(command)
}
