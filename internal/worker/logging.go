package worker

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/lookupq/lookupq/internal/numbers"
)

const redacted = "[redacted]"

var errLevel = errors.New("log level: use debug, info, warn or error")

// LogOptions shape the log.
type LogOptions struct {
	// Out gets the lines, standard error as a rule: JSON, or a console form when it is a terminal.
	Out *os.File
	// Level is debug, info, warn or error; "" is info.
	Level string
	// Secrets are replaced wherever a line shows one, whatever brought it there.
	Secrets []string
}

// NewLogger builds the worker's log. An unknown level is an error.
func NewLogger(opt LogOptions) (zerolog.Logger, error) {
	level := zerolog.InfoLevel
	if opt.Level != "" {
		var err error
		if level, err = zerolog.ParseLevel(opt.Level); err != nil {
			return zerolog.Nop(), errLevel
		}
	}
	return newLogger(opt.Out, opt.Secrets, level, term.IsTerminal(int(opt.Out.Fd()))), nil
}

// newLogger writes to out, in the console form if asked.
func newLogger(out io.Writer, secrets []string, level zerolog.Level, console bool) zerolog.Logger {
	out = newRedactor(out, secrets)
	if console {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

// redactor replaces known credentials in every line. It is the last line of
// defence: nothing is meant to log them. Written to by many goroutines, like the
// file below it.
type redactor struct {
	out     io.Writer
	secrets [][]byte
}

// minSecret keeps a short password ("a") from punching holes into every line.
const minSecret = 6

// newRedactor returns out itself if there is nothing to hide.
func newRedactor(out io.Writer, secrets []string) io.Writer {
	r := redactor{out: out}
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		r.secrets = append(r.secrets, []byte(s))
		// The same credential as JSON spells it, and as a URL does.
		for _, form := range append(jsonForms(s), url.QueryEscape(s), url.PathEscape(s)) {
			if form != s {
				r.secrets = append(r.secrets, []byte(form))
			}
		}
	}
	if len(r.secrets) == 0 {
		return out
	}
	// The longest first: one may be a part of another.
	slices.SortFunc(r.secrets, func(a, b []byte) int { return cmp.Compare(len(b), len(a)) })
	return r
}

// jsonForms are s inside a JSON string, as zerolog spells it and as encoding/json does.
func jsonForms(s string) []string {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil
	}
	var escaped bytes.Buffer
	json.HTMLEscape(&escaped, plain.Bytes())
	var forms []string
	for _, b := range [][]byte{plain.Bytes(), escaped.Bytes()} {
		b = bytes.TrimSpace(b)
		forms = append(forms, string(b[1:len(b)-1])) // without the quotes
	}
	return forms
}

// Write implements io.Writer.
func (r redactor) Write(line []byte) (int, error) {
	n, clean := len(line), line
	for _, s := range r.secrets {
		if bytes.Contains(clean, s) {
			clean = bytes.ReplaceAll(clean, s, []byte(redacted))
		}
	}
	if _, err := r.out.Write(clean); err != nil {
		return 0, err
	}
	return n, nil
}

// RedactURL is a URL, or a list of them, that may be shown: no password and no
// query. What cannot be parsed is hidden whole.
func RedactURL(raw string) string {
	var all []string
	for one := range strings.SplitSeq(raw, ",") {
		u, err := url.Parse(one)
		if err != nil {
			all = append(all, redacted)
			continue
		}
		if u.User != nil {
			u.User = url.User(redacted)
		}
		if u.RawQuery != "" {
			u.RawQuery = redacted
		}
		shown, err := url.PathUnescape(u.String()) // the brackets of [redacted]
		if err != nil {
			shown = redacted
		}
		all = append(all, shown)
	}
	return strings.Join(all, ",")
}

// urlSecrets are the passwords and tokens in URLs.
func urlSecrets(raws ...string) []string {
	var all []string
	for _, raw := range raws {
		for one := range strings.SplitSeq(raw, ",") {
			u, err := url.Parse(one)
			if err != nil || u.User == nil {
				continue
			}
			if pw, ok := u.User.Password(); ok {
				all = append(all, pw)
			} else {
				all = append(all, u.User.Username()) // a NATS token
			}
		}
	}
	return all
}

// maxSafeText is a line of a terminal or two: enough to recognise an upstream's words.
const maxSafeText = 200

// SafeText makes text of an unknown source fit for a log: one line, at most 200
// bytes, and runs of seven or more digits, which may be numbers, hidden but for
// the last four.
func SafeText(s string) string {
	b := make([]byte, 0, min(len(s), maxSafeText))
	for i := 0; i < len(s) && len(b) < maxSafeText; {
		if c := s[i]; c >= '0' && c <= '9' {
			run := digitRun(s[i:])
			b = append(b, maskRun(s[i:i+run])...)
			i += run
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			r = ' '
		}
		b = utf8.AppendRune(b, r)
		i += size
	}
	if len(b) > maxSafeText {
		b = b[:maxSafeText]
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(b), ""))
}

// digitRun is how many bytes of digits s starts with, grouping between digits included.
func digitRun(s string) int {
	end := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			end = i + 1
		case c != ' ' && c != '-' && c != '.' || i > end:
			return end
		}
	}
	return end
}

// maskRun hides a run that is long enough to be a number.
func maskRun(run string) string {
	const shortest = 7
	digits := 0
	for i := range len(run) {
		if run[i] >= '0' && run[i] <= '9' {
			digits++
		}
	}
	if digits < shortest {
		return run
	}
	return numbers.Mask(run)
}
