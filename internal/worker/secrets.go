package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
)

// maxSecretFile bounds what a wrong path can make us read.
const maxSecretFile = 64 << 10

// envReference is ${NAME} in a value.
var envReference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// secret reads a credential given as ${NAME} or file:/path. One that stands in
// the file itself is taken, with a warning; one that looks like a reference gone
// wrong is an error, since it would be sent to the upstream as it is. No error
// ever quotes a value.
func (r *reader) secret(dst *providers.Secret, path string) func(string) error {
	return parsed(dst, func(text string) (providers.Secret, error) {
		value, err := r.reference(text)
		switch {
		case err != nil:
			return providers.Secret{}, err
		case value == "":
			return providers.Secret{}, errors.New(`is empty: write "${NAME_OF_A_VARIABLE}" or "file:/path"`)
		case strings.ContainsFunc(value, badInSecret):
			return providers.Secret{}, errors.New("holds spaces or control characters: a credential has none, check where it comes from")
		case value == text && strings.Contains(text, "$"):
			return providers.Secret{}, errors.New(`looks like a variable but is none: write "${NAME}" with letters, digits and _`)
		case value == text:
			r.warn(path, `the credential stands in the file itself; "${NAME}" or "file:/path" keeps it out`)
		}
		return providers.NewSecret(value), nil
	})
}

// expanded reads an address that may hold ${NAME} anywhere, or be file:/path as a
// whole, and checks what comes out.
func (r *reader) expanded(dst *string, check func(string) error) func(string) error {
	return parsed(dst, func(text string) (string, error) {
		value, err := r.reference(text)
		if err != nil {
			return "", err
		}
		return value, check(value)
	})
}

// reference replaces ${NAME} by the variable and file:PATH by the file's content
// without the line end; other text it returns as it is.
func (r *reader) reference(text string) (string, error) {
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		return readSecretFile(r.beside(path))
	}
	var missing []string
	value := envReference.ReplaceAllStringFunc(text, func(ref string) string {
		name := ref[2 : len(ref)-1]
		v, ok := r.env(name)
		if !ok || v == "" {
			missing = append(missing, name)
		}
		return v
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("needs the environment variable %s, which is not set: export it, or write file:/path", strings.Join(missing, ", "))
	}
	return value, nil
}

// expandSettings replaces ${NAME} and file:PATH in the texts of a provider's
// settings. What comes in that way is taken for secret.
func (c *Config) expandSettings(r *reader, n *yaml.Node, path string) *yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		value, err := r.reference(n.Value)
		if err != nil {
			r.fault(n.Line, path, "%s", err)
		}
		if value != n.Value {
			n.Value = value
			c.settingSecrets = append(c.settingSecrets, value)
		}
	}
	for i, child := range n.Content {
		at := path
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue // a name
			}
			at = join(path, n.Content[i-1].Value)
		}
		c.expandSettings(r, child, at)
	}
	return n
}

// readSecretFile reads a small file and cuts the line end that editors add.
func readSecretFile(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return "", fmt.Errorf("names the file %s, which cannot be read: check the path and its permissions", path)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil || len(b) > maxSecretFile {
		return "", fmt.Errorf("names the file %s, which is no file of at most 64 KiB", path)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// badInSecret reports characters that no credential has.
func badInSecret(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }
