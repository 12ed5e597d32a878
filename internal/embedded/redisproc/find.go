package redisproc

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// The oldest release with everything our scripts need.
const minMajor, minMinor = 6, 2

// Binary is a server found on this machine.
type Binary struct {
	// Path is where it lies, Name and Version what it calls itself ("redis-server", "7.0.15").
	Path, Name, Version string
}

// String is for logs: "redis-server 7.0.15".
func (b Binary) String() string { return b.Name + " " + b.Version }

// ErrNotFound says that no usable server is installed; the text joined to it says
// what was found instead.
var ErrNotFound = errors.New("no valkey-server or redis-server of version 6.2 or later on PATH")

// Find looks for valkey-server, then redis-server on PATH, and asks each for its
// version. The error is ErrNotFound or the end of ctx.
func Find(ctx context.Context) (Binary, error) {
	var why error
	for _, name := range []string{"valkey-server", "redis-server"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		version, err := askVersion(ctx, path)
		if err == nil {
			return Binary{Path: path, Name: name, Version: version}, nil
		}
		why = errors.Join(why, fmt.Errorf("%s: %w", path, err))
	}
	if err := ctx.Err(); err != nil {
		return Binary{}, err
	}
	return Binary{}, errors.Join(ErrNotFound, why)
}

// askVersion runs the binary with --version and checks that it is new enough.
func askVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("does not tell its version: %w", err)
	}
	return parseVersion(string(out))
}

// parseVersion reads "Redis server v=7.0.15 sha=…" and refuses what is too old.
func parseVersion(out string) (string, error) {
	m := regexp.MustCompile(`v=((\d+)\.(\d+)[^ ]*)`).FindStringSubmatch(out)
	if m == nil {
		return "", errors.New("does not tell its version")
	}
	major, errMajor := strconv.Atoi(m[2])
	minor, errMinor := strconv.Atoi(m[3])
	if errMajor != nil || errMinor != nil || major < minMajor || major == minMajor && minor < minMinor {
		return "", fmt.Errorf("version %s is older than %d.%d", m[1], minMajor, minMinor)
	}
	return m[1], nil
}
