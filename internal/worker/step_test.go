package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/names"
)

func TestKeySets(t *testing.T) {
	t.Parallel()
	key := func(name string, tenants ...string) Key { return Key{Name: name, Tenants: tenants} }
	type set struct{ tenants, keys []string }
	for name, c := range map[string]struct {
		keys []Key
		want []set
	}{
		"keyless":       {nil, []set{{nil, nil}}},
		"for everybody": {[]Key{key("a"), key("b")}, []set{{nil, []string{"a", "b"}}}},
		"one reserved": {
			[]Key{key("a"), key("b", "acme")},
			[]set{{nil, []string{"a"}}, {[]string{"acme"}, []string{"a", "b"}}},
		},
		"tenants with the same keys share them": {
			[]Key{key("a"), key("b", "zoo", "acme"), key("c", "bank")},
			[]set{{nil, []string{"a"}}, {[]string{"acme", "zoo"}, []string{"a", "b"}}, {[]string{"bank"}, []string{"a", "c"}}},
		},
		"nothing for the others": {
			[]Key{key("b", "acme")}, []set{{[]string{"acme"}, []string{"b"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []set
			seen := map[string]bool{}
			for _, s := range keySets(c.keys) {
				var keys []string
				for _, k := range s.keys {
					keys = append(keys, k.Name)
				}
				got = append(got, set{s.tenants, keys})
				id := s.name("a-provider-with-a-name-that-is-almost-as-long-as-one-may-be-xyz")
				require.True(t, names.ValidToken(id), id)
				require.False(t, seen[id])
				seen[id] = true
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestForTenant(t *testing.T) {
	t.Parallel()
	open, own := &provider{name: "open"}, &provider{name: "own"}
	s := &step{name: "qxt", all: []*provider{open, own}, open: open, of: map[string]*provider{"acme": own}}
	require.Same(t, own, s.forTenant("acme"))
	require.Same(t, open, s.forTenant("zoo"))
	s.open = nil
	require.Nil(t, s.forTenant("zoo"))
	require.ErrorContains(t, s.noKey(), "reserved to other tenants")
}
