// Package natsctx reads the context files of the NATS command line tool, in which
// people keep server addresses and credentials. A name comes in, what to connect
// with goes out.
package natsctx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Context is what a file may say. Fields that only the NATS tool needs are left out.
type Context struct {
	URL         string `json:"url"`
	Token       string `json:"token"`
	User        string `json:"user"`
	Password    string `json:"password"`
	Creds       string `json:"creds"`
	NKey        string `json:"nkey"`
	Cert        string `json:"cert"`
	Key         string `json:"key"`
	CA          string `json:"ca"`
	NSC         string `json:"nsc"`
	JSDomain    string `json:"jetstream_domain"`
	JSPrefix    string `json:"jetstream_api_prefix"`
	InboxPrefix string `json:"inbox_prefix"`
	TLSFirst    bool   `json:"tls_first"`
}

// Load reads the context called name. It is searched where the NATS tool keeps
// them: $XDG_CONFIG_HOME/nats/context, else ~/.config/nats/context; getenv is
// os.LookupEnv outside of tests. The error lists the contexts there are.
func Load(name string, getenv func(string) (string, bool)) (Context, error) {
	var c Context
	dir, err := folder(getenv)
	if err != nil {
		return c, err
	}
	if name == "" || strings.ContainsAny(name, `/\`) || strings.Contains(name, "..") {
		return c, fmt.Errorf("NATS context %q: give the name of a context, not a path", name)
	}
	path := filepath.Join(dir, name+".json")
	b, err := os.ReadFile(path) //nolint:gosec // a name without separators in a folder of the user
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("NATS context %q: there is no %s (%s)", name, path, list(dir))
	}
	if err != nil {
		return c, fmt.Errorf("NATS context %q: %w", name, err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("NATS context %q: %s: %w", name, path, err)
	}
	if c.NSC != "" && c.Creds == "" {
		return c, fmt.Errorf("NATS context %q takes its credentials from nsc, which is not supported: give --creds FILE instead", name)
	}
	if c.JSPrefix == "" && c.JSDomain != "" {
		c.JSPrefix = "$JS." + c.JSDomain + ".API"
	}
	for _, p := range []*string{&c.Creds, &c.NKey, &c.Cert, &c.Key, &c.CA} {
		*p = expand(*p, getenv)
	}
	return c, nil
}

// folder is where the context files are.
func folder(getenv func(string) (string, bool)) (string, error) {
	if dir, ok := getenv("XDG_CONFIG_HOME"); ok && dir != "" {
		return filepath.Join(dir, "nats", "context"), nil
	}
	home, ok := getenv("HOME")
	if !ok || home == "" {
		return "", errors.New("NATS contexts: neither XDG_CONFIG_HOME nor HOME is set")
	}
	return filepath.Join(home, ".config", "nats", "context"), nil
}

// expand replaces a leading ~ by the home folder.
func expand(path string, getenv func(string) (string, bool)) string {
	rest, ok := strings.CutPrefix(path, "~/")
	home, set := getenv("HOME")
	if !ok || !set {
		return path
	}
	return filepath.Join(home, rest)
}

// list names the contexts of a folder for an error.
func list(dir string) string {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(paths) == 0 {
		return "there are no contexts"
	}
	var all []string
	for _, p := range paths {
		all = append(all, strings.TrimSuffix(filepath.Base(p), ".json"))
	}
	return "there are: " + strings.Join(all, ", ")
}
