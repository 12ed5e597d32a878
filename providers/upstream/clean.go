package upstream

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lookupq/lookupq/providers"
)

const (
	redacted = "[redacted]"
	// minBodySecret is the length from which a secret is looked for in replies.
	minBodySecret = 12
	// maxMessage cuts an upstream's words to a line.
	maxMessage = 200
	// maxNumberDigits is how many digits of a phone number a text may show.
	maxNumberDigits = 4
	// phoneDigits is the shortest run of digits taken for a phone number.
	phoneDigits = 7
	// separator are what stands between the groups of a phone number, at most
	// maxSeparators of them in a row: "(030) / 123".
	separator     = " -./()‐‑–—"
	maxSeparators = 4
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
	for _, form := range forms(secret) {
		text = replaceFold(text, form)
	}
	return text
}

// forms are the ways in which a secret is written in a request, the longest first:
// one may begin with another.
func forms(secret string) []string {
	all := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
	quoted := Quote(secret)
	all = append(all, string(quoted[1:len(quoted)-1]))
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(all)
}

// redactBody hides the secrets that a reply repeats: facts and raw objects are
// made of it, and those go to whoever asked. A secret that is short may be part
// of any word, and stays.
func redactBody(body []byte, secrets []providers.Secret) []byte {
	for _, s := range secrets {
		secret := s.Reveal()
		if len(secret) < minBodySecret {
			continue
		}
		for _, form := range forms(secret) {
			for _, spelled := range []string{form, strings.ToUpper(form), strings.ToLower(form)} {
				if bytes.Contains(body, []byte(spelled)) {
					body = bytes.ReplaceAll(body, []byte(spelled), []byte(redacted))
				}
			}
		}
	}
	return body
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
		b.WriteString(redacted)
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

// maskNumbers hides runs of digits, also grouped as phone numbers are: 1 (303)
// 555-0000, 06.12.34.56.78, 030/1234567. Addresses of the Internet stay: which
// one an upstream does not let in is what its message is about.
func maskNumbers(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if n := addressLength(text[i:]); n > 0 {
			b.WriteString(text[i : i+n])
			i += n
			continue
		}
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

// digitRun is the length of the digits that text starts with, separators between
// them included, and how many digits they are.
func digitRun(text string) (length, digits int) {
	separators := 0
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9':
			digits++
			separators = 0
			length = i + 1
		case digits > 0 && separators < maxSeparators && strings.ContainsRune(separator, c):
			separators++
		default:
			return length, digits
		}
	}
	return length, digits
}

// addressLength is the length of the IPv4 address that text starts with, 0 if
// there is none. Four pairs are none: phone numbers are written so, too.
func addressLength(text string) int {
	n := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if n < 0 {
		n = len(text)
	}
	address := strings.TrimRight(text[:n], ".") // the end of a sentence
	if ip, err := netip.ParseAddr(address); err != nil || !ip.Is4() || pairs(address) {
		return 0
	}
	if next, _ := digitRun("0" + text[len(address):]); next > 1 {
		return 0 // more digits follow: it is the head of something longer
	}
	return len(address)
}

// pairs reports whether text has two digits between all its dots.
func pairs(text string) bool {
	for group := range strings.SplitSeq(text, ".") {
		if len(group) != 2 {
			return false
		}
	}
	return true
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
