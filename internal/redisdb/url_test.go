package redisdb

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		url  string
		want target
	}{
		{"redis://127.0.0.1:6379/0", target{scheme: "redis", addrs: []string{"127.0.0.1:6379"}}},
		{" redis://cache ", target{scheme: "redis", addrs: []string{"cache:6379"}}},
		{"redis://[::1]/2", target{scheme: "redis", addrs: []string{"[::1]:6379"}, db: 2}},
		{"redis://cache/?db=7", target{scheme: "redis", addrs: []string{"cache:6379"}, db: 7}},
		{
			"rediss://u:p%40ss@cache:7000/1",
			target{scheme: "rediss", addrs: []string{"cache:7000"}, user: "u", password: "p@ss", db: 1, tls: true},
		},
		{
			"redis-socket://:secret@/var/run/redis.sock?db=3",
			target{scheme: "redis-socket", addrs: []string{"/var/run/redis.sock"}, password: "secret", db: 3},
		},
		{"unix:///r.sock", target{scheme: "unix", addrs: []string{"/r.sock"}}},
		{
			"redis-sentinel://u:p@s1,s2:5000/4?master=main&sentinel_user=su&sentinel_password=sp",
			target{
				scheme: "redis-sentinel", addrs: []string{"s1:26379", "s2:5000"}, user: "u", password: "p",
				master: "main", sentinelUser: "su", sentinelPassword: "sp", db: 4,
			},
		},
		{"redis-cluster://n1", target{scheme: "redis-cluster", addrs: []string{"n1:6379"}, cluster: true}},
		{
			"rediss-cluster://n1:7000,[::1],n3",
			target{scheme: "rediss-cluster", addrs: []string{"n1:7000", "[::1]:6379", "n3:6379"}, cluster: true, tls: true},
		},
		{"redis://n1,n2", target{scheme: "redis", addrs: []string{"n1:6379", "n2:6379"}, cluster: true}},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			got, err := parse(tt.url)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			require.NotContains(t, got.String(), "secret")
		})
	}
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ url, want string }{
		{"", "no ://"},
		{"localhost:6379", "no ://"},
		{"http://localhost", `unknown scheme "http"`},
		{"redis-magic://localhost", `unknown scheme "redis-magic"`},
		{"rediss-socket:///r.sock", `unknown scheme "rediss-socket"`},
		{"redis://", "no host"},
		{"redis://:6379", "no host"},
		{"redis://a,,b", "no host"},
		{"redis://h/x", `database "x" is not a number`},
		{"redis://h/-1", `database "-1" is not a number`},
		{"redis://h/0?pool=3", `unknown parameter "pool"`},
		{"redis://h/0?master=m", "belongs to redis-sentinel"},
		{"redis://h/0?%zz", "malformed"},
		{"redis://u:se%cret@h", "malformed"},
		{"redis://h:port", "malformed"},
		{"redis-sentinel://h", "needs ?master=name"},
		{"redis-cluster://h/1", "only database 0"},
		{"redis-socket://redis.sock", "three slashes"},
		{"unix://", "three slashes"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			_, err := parse(tt.url)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "se%cret")
		})
	}
}

// FuzzParse: no URL makes the parser panic or yield a target without an address.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"redis://a:1,b:2/0", "redis-socket:///x", "redis-sentinel://u:p@h/1?master=m", "rediss://[::1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, url string) {
		if got, err := parse(url); err == nil {
			require.NotEmpty(t, got.addrs)
			require.NotContains(t, got.addrs, "")
		}
	})
}
