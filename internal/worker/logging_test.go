package worker

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// A credential must not reach the log in any spelling, in either form.
func TestLogHidesSecrets(t *testing.T) {
	t.Parallel()
	secrets := []string{"k3y-value", "k3y-value-longer", `qu"ote&me`, "short"}
	for _, console := range []bool{false, true} {
		var out strings.Builder
		log := newLogger(&out, secrets, zerolog.InfoLevel, console)
		log.Info().Err(errors.New("POST /x?apikey=k3y-value: refused")).Str("form", `qu"ote&me`).Str("url", "https://h/?k=qu%22ote%26me").
			Str("longer", "<k3y-value-longer>").Str("word", "short").Msg("call failed")
		text := out.String()
		for _, secret := range []string{"k3y-value", "-longer", "ote&me", `ote\u0026me`, "qu%22ote"} {
			require.NotContains(t, text, secret)
		}
		require.Contains(t, text, redacted)
		require.Contains(t, text, "short", "too short to be told from a word")
	}
}

func TestLogForms(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := newLogger(&out, nil, zerolog.WarnLevel, false)
	log.Info().Msg("not shown")
	log.Warn().Int("n", 1).Msg("shown")
	require.True(t, strings.HasPrefix(out.String(), `{"level":"warn","n":1,"time":`), out.String())
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}

func TestNewLogger(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "log")
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	log, err := NewLogger(LogOptions{Out: f, Level: "error"})
	require.NoError(t, err)
	log.Error().Msg("x")
	text, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Contains(t, string(text), `"message":"x"`, "a file gets JSON")
	_, err = NewLogger(LogOptions{Out: f, Level: "loud"})
	require.ErrorContains(t, err, "debug, info, warn or error")
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"nats://127.0.0.1:4222":                 "nats://127.0.0.1:4222",
		"nats://me:secret@a:4222,nats://t0k@b":  "nats://[redacted]@a:4222,nats://[redacted]@b",
		"redis://:secret@127.0.0.1:6379/0":      "redis://[redacted]@127.0.0.1:6379/0",
		"redis-socket:///run/redis.sock?db=1":   "redis-socket:///run/redis.sock?[redacted]",
		"https://api.example/x?apikey=secret#f": "https://api.example/x?[redacted]#f",
		"redis://secret%zz@h":                   "[redacted]",
	} {
		got := RedactURL(raw)
		require.Equal(t, want, got)
		require.NotContains(t, got, "secret")
	}
}

func TestSafeText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"all fine":                          "all fine",
		"number 13972565391 is bad":         "number ***5391 is bad",
		"+86 139-7256-5391, twice":          "+***5391, twice",
		"code -6, 200 numbers, 1.5 s":       "code -6, 200 numbers, 1.5 s",
		"余额不足 13972565391":                  "余额不足 ***5391",
		"two\nlines\tand\x00more\x7f":       "two lines and more",
		"broken \xff utf8":                  "broken   utf8",
		"":                                  "",
		"at 2026-11-21 the 1234567 numbers": "at ***1121 the *** numbers",
	} {
		require.Equal(t, want, SafeText(text), "%q", text)
	}
	long := SafeText(strings.Repeat("余额不足 13972565391 ", 50))
	require.LessOrEqual(t, len(long), maxSafeText)
	require.NotContains(t, long, "1397256")
}

func FuzzSafeText(f *testing.F) {
	f.Add("number 13972565391 is bad")
	f.Add("\xff\n余额")
	f.Fuzz(func(t *testing.T, s string) {
		got := SafeText(s)
		if len(got) > maxSafeText || strings.ContainsAny(got, "\n\r\x00") {
			t.Fatalf("%q became %q", s, got)
		}
		run := 0
		for i := range len(got) {
			run++
			if got[i] < '0' || got[i] > '9' {
				run = 0
			}
			if run >= 7 {
				t.Fatalf("%q shows a number: %q", s, got)
			}
		}
	})
}
