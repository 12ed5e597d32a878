package redisproc

import (
	"fmt"
	"strings"
	"unicode"
)

// config is the whole configuration, given on stdin. AOF with everysec loses at
// most a second of decisions when the machine (not the process) dies, and
// JetStream holds the record; noeviction, because a lease or journal that
// vanishes silently breaks a promise; no port, the socket's folder is 0700.
func config(opt Options) (string, error) {
	socket, err := quote(opt.Socket)
	if err != nil {
		return "", err
	}
	dir, err := quote(opt.Dir)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`port 0
unixsocket %s
unixsocketperm 700
dir %s
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
loglevel warning
logfile ""
`, socket, dir), nil
}

// quote writes a path as the configuration file wants it.
func quote(path string) (string, error) {
	if strings.ContainsFunc(path, unicode.IsControl) {
		return "", fmt.Errorf("path %q has control characters: choose another --data-dir", path)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`, nil
}
