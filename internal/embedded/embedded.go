// Package embedded runs the two servers of `worker run --embedded` next to the
// worker: the real nats-server as a library, and Redis as a supervised child
// process or, where no binary is installed, in process. What comes in is a data
// directory and where to listen; what goes out are the URLs to connect to. Who
// starts one of them closes it; a data directory has one user at a time, which a
// file lock guards.
package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// ownerOnly: results and numbers lie in these folders.
	ownerOnly = 0o700
	lockFile  = "lock"
)

// errLocked says that another process holds the lock; lockPath adds who.
var errLocked = errors.New("in use by another process")

// claim is a directory that belongs to one server.
type claim struct {
	path string   // absolute
	lock *dirLock // to be released last of all
	// fresh says that this claim created the directory. Of several that are made at
	// once, one does.
	fresh bool
}

// claimDir creates dir/sub for its owner alone and locks it.
func claimDir(dir, sub string) (claim, error) {
	if dir == "" {
		return claim{}, errors.New("embedded servers need a directory: set --data-dir")
	}
	abs, err := filepath.Abs(filepath.Join(dir, sub))
	if err != nil {
		return claim{}, fmt.Errorf("data directory %s: %w", dir, err)
	}
	fresh, err := makeDir(abs)
	if err != nil {
		return claim{}, fmt.Errorf("data directory %s cannot be created (choose another with --data-dir): %w", dir, err)
	}
	lock, err := lockPath(filepath.Join(abs, lockFile))
	if err != nil {
		return claim{}, fmt.Errorf("data directory %s: %w; stop that process or choose another directory with --data-dir", dir, err)
	}
	return claim{path: abs, lock: lock, fresh: fresh}, nil
}

// makeDir makes path and what is above it, and reports whether path is new.
func makeDir(path string) (fresh bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), ownerOnly); err != nil {
		return false, err
	}
	err = os.Mkdir(path, ownerOnly)
	if errors.Is(err, os.ErrExist) {
		return false, os.MkdirAll(path, ownerOnly) // which refuses a file
	}
	return err == nil, err
}

// dirLock is a held lock. It dies with the process, however that ends.
type dirLock struct{ file *os.File }

// lockPath takes the lock at path without waiting, and leaves our pid in it for
// the error message of the next one.
func lockPath(path string) (*dirLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is the operator's own data directory
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		holder := make([]byte, 20)
		n, _ := f.ReadAt(holder, 0)
		_ = f.Close()
		if pid := strings.TrimSpace(string(holder[:n])); pid != "" && errors.Is(err, errLocked) {
			return nil, fmt.Errorf("%w (pid %s)", err, pid)
		}
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		_ = f.Close()
		return nil, err
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &dirLock{file: f}, nil
}

// release gives the lock back. The file stays: removing it would let two
// processes lock two different files of one name.
func (l *dirLock) release() error {
	return errors.Join(unlock(l.file), l.file.Close())
}
