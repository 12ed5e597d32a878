package worker

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/lookupq/lookupq/internal/dur"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/providers"
)

// unset marks a duration that the file does not set and whose default depends on others.
const unset = time.Duration(-1)

var errToken = errors.New("must be 1 to 64 letters, digits, '-' or '_', starting with a letter or digit")

// parsed stores what parse makes of the text.
func parsed[T any](dst *T, parse func(string) (T, error)) func(string) error {
	return func(text string) error {
		v, err := parse(text)
		if err == nil {
			*dst = v
		}
		return err
	}
}

func anyText(dst *string) func(string) error {
	return parsed(dst, func(s string) (string, error) { return s, nil })
}

func anyWord(string) error { return nil }

func token(dst *string) func(string) error {
	return parsed(dst, func(s string) (string, error) {
		if !names.ValidToken(s) {
			return "", errToken
		}
		return s, nil
	})
}

// tenantName is a token in a list.
func tenantName(s string) error {
	if !names.ValidToken(s) {
		return errToken
	}
	return nil
}

func integer(dst *int, low, high int) func(string) error {
	return parsed(dst, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("must be a whole number from %d to %d, not %q", low, high, s)
		}
		return n, nil
	})
}

func boolean(dst *bool) func(string) error {
	return parsed(dst, func(s string) (bool, error) {
		if s != "true" && s != "false" {
			return false, fmt.Errorf("must be true or false, not %q", s)
		}
		return s == "true", nil
	})
}

func duration(dst *time.Duration) func(string) error { return parsed(dst, dur.Parse) }

// positive is a duration above zero.
func positive(dst *time.Duration) func(string) error {
	return parsed(dst, func(s string) (time.Duration, error) {
		d, err := dur.Parse(s)
		if err == nil && d == 0 {
			err = errors.New("must be above 0")
		}
		return d, err
	})
}

// rateForm is N, a slash, an optional count and a unit: 20/s, 100/m, 5/3s.
var rateForm = regexp.MustCompile(`^(\d{1,9}(?:\.\d{1,6})?)/(\d{0,6}[smh])$`)

// parseRate reads 20/s, 100/m, 1000/h or 5/3s as a number per second.
func parseRate(s string) (float64, error) {
	r, err := parseNumberRate(s)
	return r.PerSecond, err
}

// parseNumberRate reads a rate with its window.
func parseNumberRate(s string) (NumberRate, error) {
	m := rateForm.FindStringSubmatch(s)
	if m == nil {
		return NumberRate{}, fmt.Errorf(`must be a rate like "20/s", "100/m", "1000/h" or "5/3s", not %q`, s)
	}
	every := m[2]
	if len(every) == 1 {
		every = "1" + every
	}
	per, err := dur.Parse(every)
	n, errN := strconv.ParseFloat(m[1], 64)
	if err != nil || errN != nil || per == 0 || n == 0 {
		return NumberRate{}, fmt.Errorf("rate %q is none: both numbers must be above 0", s)
	}
	return NumberRate{PerSecond: n / per.Seconds(), Per: per}, nil
}

// priceForm is an exact decimal amount and a currency: 0.002CNY.
var priceForm = regexp.MustCompile(`^(\d{1,9}(?:\.\d{1,9})?) ?([A-Z]{3})$`)

// parsePrice reads the price of one number.
func parsePrice(s string) (providers.Cost, error) {
	m := priceForm.FindStringSubmatch(s)
	if m == nil {
		return providers.Cost{}, fmt.Errorf(`must be an amount and a currency like "0.002CNY", not %q`, s)
	}
	return providers.Cost{Amount: m[1], Currency: m[2]}, nil
}

// amountForm is a plain decimal number.
var amountForm = regexp.MustCompile(`^\d{1,12}(?:\.\d{1,6})?$`)

// parseAmount reads an amount of whatever an upstream counts a balance in.
func parseAmount(s string) (float64, error) {
	if !amountForm.MatchString(s) {
		return 0, fmt.Errorf("must be a number like 1000 or 12.50, in the unit of the provider's balance, not %q", s)
	}
	return strconv.ParseFloat(s, 64)
}

// region reads an ISO 3166-1 code that phone numbers can be resolved in.
func region(dst *string) func(string) error {
	return parsed(dst, func(s string) (string, error) {
		code := strings.ToUpper(s)
		if code == "UK" {
			return "", errors.New(`must be an ISO 3166-1 code: write GB, not "UK"`)
		}
		if len(code) != 2 || phonenumbers.GetCountryCodeForRegion(code) == 0 {
			return "", fmt.Errorf("must be an ISO 3166-1 code like CN or DE, not %q", s)
		}
		return code, nil
	})
}

// failover checks an entry of failover_on.
func failover(s string) error {
	if s != "not_found" {
		return fmt.Errorf("knows not_found only, not %q; failures fail over by themselves", s)
	}
	return nil
}

// Prefixes are what subjects and streams of NATS may be called.
var (
	subjectPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	streamPrefix  = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
)

func matching(dst *string, form *regexp.Regexp) func(string) error {
	return parsed(dst, func(s string) (string, error) {
		if !form.MatchString(s) {
			return "", fmt.Errorf("must match %s, not be %q", form, s)
		}
		return s, nil
	})
}

// listenAddr reads host:port; "" serves nothing.
func listenAddr(dst *string) func(string) error {
	return parsed(dst, func(s string) (string, error) {
		if s == "" {
			return s, nil
		}
		_, port, err := net.SplitHostPort(s)
		if n, errPort := strconv.Atoi(port); err != nil || errPort != nil || n < 0 || n > 65535 {
			return "", fmt.Errorf(`must be host:port like "127.0.0.1:8080", or "" for none, not %q`, s)
		}
		return s, nil
	})
}

// httpURL reads a provider's address. A query or a user would end up in errors.
func httpURL(dst *string) func(string) error {
	return parsed(dst, func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "", errors.New(`must be an address like "https://api.example.com"`)
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "", errors.New("must be an address without user, query or fragment; credentials belong to keys")
		}
		return strings.TrimRight(s, "/"), nil
	})
}

// natsURL checks a list of NATS servers; the error never quotes it.
func natsURL(s string) error {
	for one := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return errors.New(`must be an address like "nats://127.0.0.1:4222", several separated by commas`)
		}
	}
	return nil
}

// redisURL checks the scheme; internal/redisdb reads the rest.
func redisURL(s string) error {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || rest == "" || !strings.HasPrefix(scheme, "redis") && scheme != "unix" {
		return errors.New(`must be an address like "redis://127.0.0.1:6379/0" or "redis-socket:///run/redis.sock"`)
	}
	return nil
}

// existing reads the path of a file that must be there; a relative one is looked
// up beside the configuration.
func (r *reader) existing(dst *string) func(string) error {
	return parsed(dst, func(s string) (string, error) {
		if s == "" {
			return s, nil
		}
		path := r.beside(s)
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			return "", fmt.Errorf("names the file %s, which cannot be read: check the path", path)
		}
		return path, nil
	})
}

// beside makes a relative path one relative to the configuration file.
func (r *reader) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}
