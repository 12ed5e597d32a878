package redisproc

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// maxSocketPath: the kernel's field holds 104 (macOS) to 108 bytes with the
	// closing zero, and Redis cuts a longer one without a word.
	maxSocketPath = 100
	socketName    = "redis.sock"
)

// SocketPath is where the server of dir listens: in dir, or if that path is too
// long for a socket in a short folder below the system's temporary one, the same
// for the same dir. The folder is ours alone (0700), else an error.
func SocketPath(dir string) (string, error) {
	if path := filepath.Join(dir, socketName); len(path) <= maxSocketPath {
		return path, nil
	}
	sum := sha256.Sum256([]byte(dir))
	name := fmt.Sprintf("lookupq-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8]))
	for _, base := range []string{os.TempDir(), "/tmp"} {
		short := filepath.Join(base, name)
		if len(short)+1+len(socketName) > maxSocketPath {
			continue
		}
		if err := privateDir(short); err != nil {
			return "", fmt.Errorf("folder for the Redis socket: %w", err)
		}
		return filepath.Join(short, socketName), nil
	}
	return "", fmt.Errorf("no path short enough for the Redis socket: choose a --data-dir of at most %d characters", maxSocketPath-len("/redis/"+socketName))
}

// privateDir makes path, or checks that it is a real folder of 0700: in a shared
// temporary folder somebody else may have put something of that name there.
func privateDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ownedByUs(info) {
		return fmt.Errorf("%s exists and is not a private folder of this user: remove it", path)
	}
	return nil
}

// RemoveSocket removes the socket and the short folder SocketPath may have made
// for it. Call it when the server has ended; what is missing is no error.
func RemoveSocket(path, dir string) {
	_ = os.Remove(path)
	if filepath.Dir(path) != dir {
		_ = os.Remove(filepath.Dir(path))
	}
}

// ping asks for PONG; a server that is loading answers otherwise.
func ping(ctx context.Context, socket string) error {
	reply, err := do(ctx, socket, "PING")
	if err != nil {
		return err
	}
	if reply != "+PONG" {
		return fmt.Errorf("redis says %q", reply)
	}
	return nil
}

// do sends one command over a connection of its own and returns the first line
// of the reply. It exists so that the supervisor needs no client library.
func do(ctx context.Context, socket string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(pollTimeout)); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		b.WriteString("$" + strconv.Itoa(len(a)) + "\r\n" + a + "\r\n")
	}
	if _, err := conn.Write([]byte(b.String())); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}
