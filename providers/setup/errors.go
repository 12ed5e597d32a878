package setup

import (
	"errors"
	"strconv"
	"strings"
)

// FieldError is one mistake in a provider's configuration, in words that say the remedy.
type FieldError struct {
	// Line is where it stands, 0 where that is not known.
	Line int
	// Path is the field within the provider, "settings.code_actions.-3".
	Path string
	// Problem says what is wrong and what would be right.
	Problem string
}

// Error implements error: "settings.language (line 12): …".
func (e FieldError) Error() string {
	place := e.Path
	if e.Line > 0 {
		place = strings.TrimSpace(place + " (line " + strconv.Itoa(e.Line) + ")")
	}
	if place == "" {
		return e.Problem
	}
	return place + ": " + e.Problem
}

// FieldErrors are all mistakes of one provider's configuration. The loader of the
// configuration takes them apart with errors.As to add the file's name.
type FieldErrors []FieldError

// Error implements error: one mistake a line.
func (es FieldErrors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Join gathers the mistakes in errs, whatever they are wrapped in, below path; an
// error that is no FieldError becomes one. It returns nil if every err is nil.
func Join(path string, errs ...error) error {
	var all FieldErrors
	for _, err := range errs {
		for _, e := range split(err) {
			e.Path = joinPath(path, e.Path)
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

func split(err error) []FieldError {
	if err == nil {
		return nil
	}
	if many, ok := errors.AsType[FieldErrors](err); ok {
		return many
	}
	if one, ok := errors.AsType[FieldError](err); ok {
		return []FieldError{one}
	}
	return []FieldError{{Problem: err.Error()}}
}

// joinPath puts an index right behind its list: "reason_actions[2].any".
func joinPath(a, b string) string {
	if a == "" || b == "" || strings.HasPrefix(b, "[") {
		return a + b
	}
	return a + "." + b
}
