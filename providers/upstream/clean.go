package upstream

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lookupq/lookupq/providers"
)

const (
	// maxMessage cuts an upstream's words to a line.
	maxMessage = 200
	// maxNumberDigits is how many digits of a phone number a text may show.
	maxNumberDigits = 4
	// phoneDigits is the shortest run of digits taken for a phone number.
	phoneDigits = 7
)

// Clean makes an upstream's words safe to log and to hand out: secrets become
// [redacted] however they are spelled, of a run of digits long enough to be a
// phone number the last four stay, and it is cut to one line of 200 bytes.
func Clean(text string, secrets ...providers.Secret) string {
	for _, s := range secrets {
		text = redact(text, s.Reveal())
	}
	return cut(maskNumbers(oneLine(text)))
}

// redact replaces the secret and the forms in which it travels.
func redact(text, secret string) string {
	if secret == "" {
		return text
	}
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
	for i, form := range forms {
		if !slices.Contains(forms[:i], form) {
			text = replaceFold(text, form)
		}
	}
	return text
}

// replaceFold replaces old without regard to ASCII case: some upstreams echo a
// key in upper case.
func replaceFold(text, old string) string {
	lower, want := asciiLower(text), asciiLower(old)
	if !strings.Contains(lower, want) {
		return text
	}
	var b strings.Builder
	for {
		i := strings.Index(lower, want)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		b.WriteString("[redacted]")
		text, lower = text[i+len(want):], lower[i+len(want):]
	}
}

// asciiLower keeps the length, which strings.ToLower does not.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// oneLine replaces what would break a log line and joins white space.
func oneLine(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}

// maskNumbers hides runs of digits, also grouped by single blanks or hyphens.
func maskNumbers(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		end, digits := digitRun(text[i:])
		switch {
		case digits >= phoneDigits:
			run := onlyDigits(text[i : i+end])
			b.WriteString("…" + run[len(run)-maxNumberDigits:])
		case digits > 0:
			b.WriteString(text[i : i+end])
		default:
			end = 1
			b.WriteByte(text[i])
		}
		i += end
	}
	return b.String()
}

// digitRun is the length of the digits that text starts with, single separators
// between them included, and how many digits they are.
func digitRun(text string) (length, digits int) {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digits++
			length = i + 1
		case (c == ' ' || c == '-') && length == i && digits > 0:
		default:
			return length, digits
		}
	}
	return length, digits
}

func onlyDigits(run string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, run)
}

// cut shortens text, which is valid UTF-8, to the cap without breaking a character.
func cut(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
