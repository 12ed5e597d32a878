package worker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/internal/names"
)

// FaultError is one mistake in the configuration, in words that say the remedy.
type FaultError struct {
	// Place is "worker.yaml:12", or the environment variable that brought the value.
	Place string
	// Path is the field, "routes.carrier-cn.linger"; "" for the file as a whole.
	Path    string
	Problem string

	line int // for the order
}

// Error implements error.
func (f FaultError) Error() string {
	if f.Path == "" {
		return f.Place + ": " + f.Problem
	}
	return f.Place + ": " + f.Path + ": " + f.Problem
}

// ConfigError is every fault of a configuration.
type ConfigError []FaultError

// Error implements error: one fault a line.
func (e ConfigError) Error() string {
	all := make([]string, len(e))
	for i, f := range e {
		all[i] = f.Error()
	}
	return strings.Join(all, "\n")
}

// reader walks the YAML tree by tables of fields and gathers every fault.
type reader struct {
	file, dir string
	env       func(string) (string, bool)
	faults    []FaultError
	warnings  []string
	lines     map[string]int // line of each path that the file sets
}

func newReader(file, dir string, env func(string) (string, bool)) *reader {
	return &reader{file: file, dir: dir, env: env, lines: map[string]int{}}
}

// field is one name below a mapping: a scalar, which the environment may set too,
// or a node that reads itself.
type field struct {
	scalar func(text string) error
	node   func(n *yaml.Node, path string) // n is nil if the file says nothing
}

type fields map[string]field

// result is all faults in the order of the file, nil if there are none.
func (r *reader) result() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b FaultError) int { return cmp.Compare(a.line, b.line) })
	return ConfigError(r.faults)
}

// place names a line of the file; line 0 is the file as a whole.
func (r *reader) place(line int) string {
	if line == 0 {
		return r.file
	}
	return r.file + ":" + strconv.Itoa(line)
}

// fault notes a mistake at a line.
func (r *reader) fault(line int, path, format string, args ...any) {
	r.faults = append(r.faults, FaultError{
		Place: r.place(line), Path: path, Problem: fmt.Sprintf(format, args...), line: line,
	})
}

// wrong notes a mistake at the line where path, or the nearest thing above it, stands.
func (r *reader) wrong(path, format string, args ...any) {
	r.fault(r.lineOf(path), path, format, args...)
}

// warn notes an oddity at path.
func (r *reader) warn(path, text string) {
	r.warnings = append(r.warnings, r.place(r.lineOf(path))+": "+path+": "+text)
}

// lineOf is the line of path or of the nearest path above it.
func (r *reader) lineOf(path string) int {
	for path != "" {
		if line := r.lines[path]; line > 0 {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// section reads the mapping n into fs; nil reads the environment only.
func (r *reader) section(n *yaml.Node, path string, fs fields) {
	given := map[string]*yaml.Node{}
	for key, value := range r.pairs(n, path) {
		f, known := fs[key.Value]
		at := join(path, key.Value)
		switch {
		case !known:
			r.fault(key.Line, at, "unknown field%s", suggest(key.Value, slices.Collect(maps.Keys(fs))))
		case f.scalar != nil && value != nil && value.Kind != yaml.ScalarNode:
			r.fault(value.Line, at, "takes one value, not a list or mapping")
		default:
			given[key.Value] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fs)) {
		r.field(fs[name], given[name], join(path, name))
	}
}

// field reads one field; the environment wins over the file.
func (r *reader) field(f field, n *yaml.Node, path string) {
	if f.scalar == nil {
		f.node(n, path)
		return
	}
	if name := envName(path); !strings.Contains(path, "[") {
		// An empty variable is as good as none: compose files pass those on.
		if text, ok := r.env(name); ok && text != "" {
			if err := f.scalar(text); err != nil {
				r.faults = append(r.faults, FaultError{Place: name, Path: path, Problem: err.Error()})
			}
			return
		}
	}
	if n == nil {
		return
	}
	if err := f.scalar(n.Value); err != nil {
		r.fault(n.Line, path, "%v", err)
	}
}

// pairs yields the keys and values of a mapping and notes their lines. A value
// that is null is nil; a key given twice, and anything but a mapping, is a fault.
func (r *reader) pairs(n *yaml.Node, path string) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		n = resolve(n)
		if n == nil {
			return
		}
		if n.Kind != yaml.MappingNode {
			r.fault(n.Line, path, "must be a mapping: write `name: value` lines below it")
			return
		}
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if first := seen[key.Value]; first > 0 {
				r.fault(key.Line, join(path, key.Value), "stands twice, first in line %d: remove one", first)
				continue
			}
			seen[key.Value] = key.Line
			r.lines[join(path, key.Value)] = key.Line
			if !yield(key, resolve(n.Content[i+1])) {
				return
			}
		}
	}
}

// entries reads a mapping of names that the operator chose; ok says which are
// allowed besides tokens. each gets every entry, value nil if it is empty.
func (r *reader) entries(n *yaml.Node, path string, each func(name string, value *yaml.Node, path string)) {
	for key, value := range r.pairs(n, path) {
		at := join(path, key.Value)
		if !names.ValidToken(key.Value) && (path != "tenants" || key.Value != anyTenant) {
			r.fault(key.Line, at, "%v", errToken)
			continue
		}
		each(key.Value, value, at)
	}
}

// items reads a list; each gets every item with its path.
func (r *reader) items(n *yaml.Node, path string, each func(i int, item *yaml.Node, path string)) {
	n = resolve(n)
	if n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.fault(n.Line, path, "must be a list: write [a, b], or `- a` lines below it")
		return
	}
	for i, item := range n.Content {
		at := path + "[" + strconv.Itoa(i) + "]"
		r.lines[at] = item.Line
		each(i, resolve(item), at)
	}
}

// words reads a list of plain values into dst, each checked by ok.
func (r *reader) words(dst *[]string, ok func(string) error) field {
	return field{node: func(n *yaml.Node, path string) {
		if resolve(n) != nil {
			*dst = nil
		}
		r.items(n, path, func(_ int, item *yaml.Node, path string) {
			if item == nil || item.Kind != yaml.ScalarNode {
				r.wrong(path, "takes one value, not a list or mapping")
				return
			}
			if err := ok(item.Value); err != nil {
				r.wrong(path, "%v", err)
				return
			}
			*dst = append(*dst, item.Value)
		})
	}}
}

// resolve follows aliases; null is nil.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Tag == "!!null" {
		return nil
	}
	return n
}

// join appends a name to a path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// envName is the variable of a scalar: LOOKUPQ_ROUTES_CARRIER_CN_LINGER.
func envName(path string) string {
	return "LOOKUPQ_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}
